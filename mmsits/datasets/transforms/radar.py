"""Transforms of radar series; the computing is done by `mmsits.radar`, in torch.

Ascending and descending orbits see the ground from two sides, at other times of the day: they are two sensors (`s1a`
and `s1d`, as in PASTIS-R), never two halves of one series. Indices of VV and VH: `AddSpectralIndices`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmsits import radar
from mmsits.datasets.backscatter import check_backscatter, unit_kind
from mmsits.datasets.transforms.common import SensorNames, chosen_sensors, generator_of
from mmsits.datasets.transforms.radiometric import _refuse_derived
from mmsits.datasets.transforms.whole_series import SeriesContext, SeriesTransform
from mmsits.structures import ImageSeries

_UNITS = dict(dB='decibel', linear='linear')


def _kind(info: Mapping[str, Any], sensor: str, transform: str) -> str:
    """'decibel' or 'linear'.

    Raises:
        ValueError: if the unit is of something else.
    """
    kind = unit_kind(info['unit'])
    if kind is None:
        raise ValueError(
            f'{transform}: the unit of {sensor} is {info["unit"]!r}, which is neither dB nor linear backscatter. Name '
            "the sensors it is for (sensors), or say the unit where the files have one (units=dict(s1='dB'))."
        )
    return kind


@TRANSFORMS.register_module()
class ConvertBackscatter(SeriesTransform):
    """Bring radar to decibels or to linear powers; the unit of the sensor changes with it, and values are float32.

    The values are compared with the unit that they are said to be in: powers that pass for decibels are refused.
    Statistics of the files hold no longer, and are measured anew before training.

    Required keys: inputs, sensors_info. Changed keys: inputs, sensors_info.

    Args:
        to: 'dB' or 'linear'.
        sensors: names of the sensors.

    Raises:
        ValueError: if `to` is unknown, or, when the dataset is opened, the unit of a sensor is neither.
        DataError: if values contradict their unit.
    """

    def __init__(self, to: str, sensors: SensorNames = ('s1',)) -> None:
        if to not in _UNITS:
            raise ValueError(f'ConvertBackscatter: to must be one of {list(_UNITS)}, got {to!r}')
        self.to = to
        self.sensors = sensors

    def change(self, series: ImageSeries, about: SeriesContext) -> ImageSeries:
        """Convert; see the class."""
        values = np.asarray(series.values)
        seen = np.broadcast_to(series.valid[:, :, None], values.shape)
        check_backscatter(np.where(seen, values, 0), about.info['unit'])
        if unit_kind(about.info['unit']) == _UNITS[self.to]:
            return series._replace(values=values)
        convert = radar.to_decibel if self.to == 'dB' else radar.to_linear
        # What was not observed may be any number.
        converted = convert(np.where(seen, values, 1).astype(np.float32))
        return series._replace(values=np.where(seen, converted, 0).astype(np.float32))

    def changed_info(self, sensor: str, info: dict[str, Any]) -> dict[str, Any]:
        """The other unit."""
        _refuse_derived({sensor: info}, sensor, 'ConvertBackscatter')
        kind = _kind(info, sensor, 'ConvertBackscatter')
        return info if kind == _UNITS[self.to] else {**info, 'unit': self.to}

    def __repr__(self) -> str:
        return f'{type(self).__name__}(to={self.to!r}, sensors={self.sensors})'


@TRANSFORMS.register_module()
class FilterSpeckle(SeriesTransform):
    """Multi-temporal speckle filter of Quegan & Yu: averages speckle over the dates, keeps edges and changes in time.

    It works on powers; decibels are converted and converted back. Values are float32 behind it. See
    `mmsits.radar.filter_speckle`.

    Required keys: inputs, sensors_info. Changed keys: inputs.

    Args:
        window: side of the window of the local mean, odd, pixels.
        sensors: names of the sensors.

    Raises:
        ValueError: if the window is not odd, or, when the dataset is opened, the unit of a sensor is not known.
        DataError: if values contradict their unit.
    """

    def __init__(self, window: int = 7, sensors: SensorNames = ('s1',)) -> None:
        if window < 1 or window % 2 == 0:
            raise ValueError(f'FilterSpeckle: window must be odd, got {window}')
        self.window = window
        self.sensors = sensors

    def change(self, series: ImageSeries, about: SeriesContext) -> ImageSeries:
        """Filter; see the class."""
        values = np.asarray(series.values)
        seen = np.broadcast_to(series.valid[:, :, None], values.shape)
        values = np.where(seen, values, 0).astype(np.float32)
        check_backscatter(values, about.info['unit'])
        power, valid = torch.from_numpy(values), torch.from_numpy(np.array(series.valid))
        if unit_kind(about.info['unit']) == 'linear':
            return series._replace(values=radar.filter_speckle(power, valid, self.window).numpy())
        filtered = radar.filter_speckle(radar.to_linear(power), valid, self.window)
        return series._replace(values=np.where(seen, radar.to_decibel(filtered).numpy(), np.float32(0)))

    def changed_info(self, sensor: str, info: dict[str, Any]) -> dict[str, Any]:
        """The same; the unit is looked at when the dataset is opened, rather than at its first sample."""
        _refuse_derived({sensor: info}, sensor, 'FilterSpeckle')
        _kind(info, sensor, 'FilterSpeckle')
        return info

    def __repr__(self) -> str:
        return f'{type(self).__name__}(window={self.window}, sensors={self.sensors})'


@TRANSFORMS.register_module()
class SimulateSpeckle(BaseTransform):
    """Add speckle to radar, as augmentation: each power is multiplied by a random number of mean 1.

    Valid values become float32; the others stay what they were.

    Required keys: inputs, sensors_info, rng. Changed keys: inputs.

    Args:
        looks: number of looks of the speckle, or the two ends (included) between which it is drawn; fewer is more
            speckle.
        probability: probability with which a sample is touched.
        sensors: names of the sensors.

    Raises:
        ValueError: if looks or probability cannot be, or the unit of a sensor is neither dB nor linear.
    """

    def __init__(
        self, looks: int | tuple[int, int] = (4, 32), probability: float = 0.5, sensors: SensorNames = ('s1',)
    ) -> None:
        low, high = (looks, looks) if isinstance(looks, int) else looks
        if not 1 <= low <= high or not 0 <= probability <= 1:
            raise ValueError(
                f'SimulateSpeckle: looks must be 1 or more, the smaller first, and probability in [0, 1]; got {looks} '
                f'and {probability}'
            )
        self.looks = (int(low), int(high))
        self.probability = probability
        self.sensors = sensors

    def transform(self, results: dict) -> dict:
        """Add the speckle."""
        rng = generator_of(results)
        if rng.random() >= self.probability:
            return results
        looks = int(rng.integers(self.looks[0], self.looks[1] + 1))
        for sensor in chosen_sensors(results, self.sensors):
            info = results['sensors_info'][sensor]
            _refuse_derived(results['sensors_info'], sensor, 'SimulateSpeckle')
            decibels = _kind(info, sensor, 'SimulateSpeckle') == 'decibel'
            generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
            series = results['inputs'][sensor]
            values = np.asarray(series.values).astype(np.float32)
            power = torch.from_numpy(values)
            power = radar.to_linear(power) if decibels else power
            speckled = radar.simulate_speckle(power, looks, generator)
            speckled = radar.to_decibel(speckled) if decibels else speckled
            seen = np.broadcast_to(series.valid[:, None], values.shape)
            results['inputs'][sensor] = series._replace(values=np.where(seen, speckled.numpy(), values))
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(looks={self.looks}, probability={self.probability}, sensors={self.sensors})'
