"""What backbones that read one sensor share: taking its series out of the inputs, and filling what was not observed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from mmsits.structures import ImageSeries

from ..layers.date_packing import DatePacking


class SingleSensorBackbone(BaseModule):
    """Base of the backbones that read one sensor.

    Args:
        in_channels: bands of the series.
        sensor: key of the inputs.
        init_cfg: mmengine's initialisation config.

    Attributes:
        min_size: smallest height and width.
        out_channels: channels of the maps, highest resolution first; a backbone sets it.
    """

    min_size = 1
    out_channels: tuple[int, ...]

    def __init__(self, in_channels: int, sensor: str, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.in_channels, self.sensor = in_channels, sensor

    def series_of(self, inputs: Mapping[str, ImageSeries]) -> ImageSeries:
        """The series of the sensor.

        Raises:
            KeyError: if the sensor is missing.
            ValueError: if bands or size do not fit.
        """
        return checked_series(type(self).__name__, inputs, self.sensor, self.in_channels, self.min_size)


def checked_series(
    network: str, inputs: Mapping[str, ImageSeries], sensor: str, in_channels: int, min_size: int = 1
) -> ImageSeries:
    """The series of a sensor, if it is what a network was built for.

    Args:
        network: its name, for messages.
        inputs: sensor -> series.
        sensor: the wanted one.
        in_channels: bands that the network takes.
        min_size: smallest height and width.

    Raises:
        KeyError: if the sensor is missing.
        ValueError: if bands or size do not fit.
    """
    if sensor not in inputs:
        raise KeyError(f'{network} was built for sensor {sensor!r}, the inputs hold {sorted(inputs)}')
    series = inputs[sensor]
    bands, height, width = series.values.shape[2:]
    if bands != in_channels:
        raise ValueError(f'{network} was built for {in_channels} bands of {sensor!r}, the series has {bands}')
    if min(height, width) < min_size:
        raise ValueError(f'{network} takes images of at least {min_size} x {min_size}, got {height} x {width}')
    return series


def existing_images(series: ImageSeries, dates: DatePacking) -> Tensor:
    """Images of the dates that exist (M, C, H, W), zero where a pixel is not valid."""
    images = dates.pack(series.values)
    if series.valid.shape[-2:] != (1, 1):
        images = images.masked_fill(~dates.pack(series.valid).unsqueeze(1), 0.0)
    return images


def filled_values(series: ImageSeries) -> Tensor:
    """Values (N, T, C, H, W), zero where not valid."""
    if bool(series.valid.all()):
        return series.values
    return series.values.masked_fill(~series.valid.unsqueeze(2), 0.0)
