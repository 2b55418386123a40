"""CropMapping's network on Sentinel-1 and Sentinel-2 (Rangzan and Ramezanpour)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmseg.registry import MODELS

from .fusion import FusionBackbone


@MODELS.register_module()
class SiameseUNet3D(FusionBackbone):
    """One `CollapsedUNet` for each sensor, alike but for their bands and with weights of their own; the maps of both
    are concatenated.

    The published pre-training puts a 1x1 convolution behind (`MultiLabelHead`), the fine-tuning a 3x3 convolution with
    32 channels and a 1x1 convolution (`MultiLabelHead(hidden_channels=32)`).

    A sensor that a sample lacks takes part with zeros; see `FusionBackbone`.

    Args:
        in_channels: sensor -> bands, in the order of the concatenation.
        num_dates: dates that the streams take, see `CollapsedUNet`.
        width: channels of each stream's map.
        days: see `CollapsedUNet`.
        sensor_dropout: see `FusionBackbone`.
        init_cfg: mmengine's initialisation config.

    Attributes:
        out_channels: channels of the one map, `width` for each sensor.
        min_size: smallest height and width.
    """

    def __init__(
        self,
        in_channels: Mapping[str, int] | None = None,
        num_dates: int = 6,
        width: int = 64,
        days: tuple[float, float] | None = None,
        sensor_dropout: float = 0.0,
        init_cfg: Any = None,
    ) -> None:
        bands = dict(s1=2, s2=10) if in_channels is None else dict(in_channels)
        stream = dict(type='CollapsedUNet', num_dates=num_dates, width=width, days=days)
        super().__init__(
            {sensor: dict(stream, in_channels=count) for sensor, count in bands.items()},
            'late',
            sensor_dropout,
            init_cfg,
        )
