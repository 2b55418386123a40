"""Any temporal encoder as a backbone: each pixel's series by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import ImageSeries


@MODELS.register_module()
class PixelwiseBackbone(BaseModule):
    """Encode the series of each pixel with one temporal encoder: dense patches, pixel sets and single pixels alike.

    Only pixels that were observed are encoded, so padding costs nothing and has no part in the statistics of batch
    norms. The features of the others are 0. With one pixel per sample, such batch norms need batches of two or more.

    Args:
        in_channels: bands of the series.
        encoder: config of a `TemporalEncoder`, `dict(type='LTAE', in_channels=64, …)`. Where it takes another number
            of channels than there are bands, a linear layer that all dates share stands before it; where it names none,
            it takes the bands.
        sensor: key of the inputs.
        init_cfg: mmengine's initialisation config.

    Attributes:
        out_channels: channels of the one map.
        min_size: smallest height and width, 1.
    """

    min_size = 1

    def __init__(self, in_channels: int, encoder: dict[str, Any], sensor: str = 's2', init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.sensor = sensor
        self.encoder = MODELS.build(dict(in_channels=in_channels) | dict(encoder))
        width = self.encoder.in_channels
        self.embed = nn.Identity() if width == in_channels else nn.Linear(in_channels, width)
        self.out_channels = (self.encoder.out_channels,)

    def forward(self, inputs: Mapping[str, ImageSeries]) -> tuple[Tensor]:
        """Encode a batch of series.

        Args:
            inputs: sensor -> series, values (N, T, C, H, W), days (N, T), valid (N, T, H, W) or (N, T, 1, 1); what
                stands where not valid has no influence.

        Returns:
            One map (N, C', H, W).

        Raises:
            KeyError: if the sensor is missing.
            ValueError: if the number of bands does not fit.
        """
        values, days, valid = self._get_series(inputs)
        n, t, _, height, width = values.shape
        valid = valid.expand(n, t, height, width).permute(0, 2, 3, 1)  # N, H, W, T
        observed = valid.any(-1)  # N, H, W
        if not observed.any():
            return (values.new_zeros(n, *self.out_channels, height, width),)
        rows = values.permute(0, 3, 4, 1, 2)[observed]  # P, T, C: P pixels were observed
        row_valid = valid[observed]  # P, T
        if not observed.all():
            # A sample's pixels share their dates, but are no longer equally many.
            days = days[:, None, None].expand(n, height, width, t)[observed]  # P, T
        encoded = self.encoder(self.embed(rows.masked_fill(~row_valid.unsqueeze(-1), 0.0)), days, row_valid)  # P, C'
        maps = encoded.new_zeros(n, height, width, encoded.shape[1])
        return (maps.index_put((observed,), encoded).permute(0, 3, 1, 2),)

    def _get_series(self, inputs: Mapping[str, ImageSeries]) -> ImageSeries:
        if self.sensor not in inputs:
            raise KeyError(f'PixelwiseBackbone was built for sensor {self.sensor!r}, the inputs hold {sorted(inputs)}')
        series = inputs[self.sensor]
        bands = series.values.shape[2]
        if bands != self.in_channels:
            raise ValueError(
                f'PixelwiseBackbone was built for {self.in_channels} bands of {self.sensor!r}, the series has {bands}'
            )
        return series
