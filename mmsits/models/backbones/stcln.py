"""STCLN: spatial convolutions and a temporal transformer at full resolution (Qin et al., JAG 2025, doi
10.1016/j.jag.2025.104426)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import ImageSeries, dates_exist

from ..layers.conv_blocks import ConvLayer
from ..layers.date_packing import DatePacking
from ..layers.dated_transformer import DatedTransformer, pool_dates
from .single_sensor import SingleSensorBackbone, checked_series, existing_images

POSITIONS = ('days', 'order')


class DatedFeatures(NamedTuple):
    """What STCLN makes of a batch: features of every pixel on every date, and their maximum over the dates first, so
    that any decode head can stand behind it.

    Attributes:
        pooled: maximum over valid dates, (N, D, H, W); zero for a pixel without any.
        dated: from the temporal transformer, (N, H, W, T, D); zero where not valid.
        spatial: from the convolutions alone, (N, H, W, T, D); zero for a date that does not exist.
        valid: bool (N, H, W, T), which of them count.
    """

    pooled: Tensor
    dated: Tensor
    spatial: Tensor
    valid: Tensor


@MODELS.register_module()
class STCLN(SingleSensorBackbone):
    """Convolutions that all dates share lift each image to D channels at full resolution; then a transformer among the
    dates of each pixel.

    Neither height and width nor number of dates is fixed. Only dates that exist are computed and counted in the batch
    norms; only valid ones are normalised together, attended to and pooled, so that padding changes nothing.

    With `further_sensors`, each further sensor has convolutions of its own, and the transformer sees the dates of all
    sensors as one series (those of the first sensor in front). They have to lie on one pixel grid.

    Args:
        in_channels: bands of the series.
        widths: channels of the stages of two 3x3 convolutions; the last is D.
        num_layers, num_heads: of the transformer.
        ffn_ratio: width of its perceptrons by D.
        norm_groups, day_repeats, period: see `DatedTransformer`.
        dropout: of the transformer.
        attention_dropout: on its attention weights; None takes `dropout`, as published.
        positions: 'days', or 'order': the number of a date in its series stands for its day.
        runs_over_padding: as published, take what is not valid for images of zeros: in the statistics of all norms, in
            attention and maximum, and as dates of their own. What a series gives then depends on how long the others
            are.
        channels_last: run the convolutions in channels-last layout, which saves time here.
        sensor: key of the inputs.
        further_sensors: sensor -> bands, of those that are read beside it.
        init_cfg: mmengine's initialisation config.

    Attributes:
        out_channels: channels of `DatedFeatures.pooled`, D.
        dated_channels: D.
        sensors: sensor -> bands of all that are read, in the order of their dates.

    Raises:
        ValueError: for options that contradict each other.
    """

    min_size = 1

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int] = (32, 256),
        num_layers: int = 3,
        num_heads: int = 8,
        ffn_ratio: float = 4.0,
        norm_groups: int = 8,
        day_repeats: int = 8,
        period: float = 1000.0,
        dropout: float = 0.1,
        attention_dropout: float | None = None,
        positions: str = 'days',
        runs_over_padding: bool = False,
        channels_last: bool = True,
        sensor: str = 's2',
        further_sensors: Mapping[str, int] | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(in_channels, sensor, init_cfg)
        further = dict(further_sensors or {})
        if positions not in POSITIONS:
            raise ValueError(f'positions={positions!r}: expected one of {POSITIONS}')
        if not widths:
            raise ValueError('widths: at least one stage of convolutions is needed')
        if sensor in further:
            raise ValueError(f'further_sensors: {sensor!r} is the first sensor already')
        self.sensors = {sensor: in_channels, **further}
        self.positions, self.runs_over_padding, self.channels_last = positions, runs_over_padding, channels_last
        self.dated_channels = widths[-1]
        self.out_channels = (widths[-1],)
        self.stages = _stages(in_channels, widths)
        self.further_stages = nn.ModuleDict({name: _stages(bands, widths) for name, bands in further.items()})
        self.temporal_encoder = DatedTransformer(
            widths[-1],
            num_layers=num_layers,
            num_heads=num_heads,
            hidden_channels=round(ffn_ratio * widths[-1]),
            norm_groups=norm_groups,
            day_repeats=day_repeats,
            period=period,
            dropout=dropout,
            attention_dropout=dropout if attention_dropout is None else attention_dropout,
        )

    def forward(self, inputs: Mapping[str, ImageSeries]) -> DatedFeatures:
        """Encode a batch of series.

        Args:
            inputs: sensor -> series, values (N, T, C, H, W), days (N, T), valid (N, T, H, W) or (N, T, 1, 1); what
                stands where not valid has no influence.

        Returns:
            Features of T dates, those of all sensors together.

        Raises:
            KeyError: if a sensor is missing.
            ValueError: if bands or sizes do not fit.
        """
        spatial, days, valid = self.encode_images(inputs)
        counted = None if bool(valid.all()) else valid
        rows = self.temporal_encoder(spatial.flatten(0, 2), days, None if counted is None else counted.flatten(0, 2))
        dated = rows.unflatten(0, spatial.shape[:3])
        pooled = pool_dates(dated, counted).permute(0, 3, 1, 2)
        if counted is not None:
            dated = dated.masked_fill(~counted.unsqueeze(-1), 0.0)
        return DatedFeatures(pooled, dated, spatial, valid)

    def dated_features(self, inputs: Mapping[str, ImageSeries]) -> dict[str, Tensor]:
        """Features of every pixel on every date, (N, H, W, T, D) by sensor; arguments as for `forward`."""
        lengths = [inputs[sensor].days.shape[1] for sensor in self.sensors]
        dated = self(inputs).dated
        return dict(zip(self.sensors, dated.split(lengths, dim=3), strict=True))

    def attention_over_dates(self, inputs: Mapping[str, ImageSeries]) -> Tensor:
        """How much each date looks at each other one in the last layer, (N, H, W, T looking, T looked at)."""
        spatial, days, valid = self.encode_images(inputs)
        rows = valid.flatten(0, 2)
        weights = self.temporal_encoder.forward_with_attention(spatial.flatten(0, 2), days, rows)[1]
        return weights.unflatten(0, spatial.shape[:3])

    def encode_images(self, inputs: Mapping[str, ImageSeries]) -> tuple[Tensor, Tensor, Tensor]:
        """The part before the transformer: features (N, H, W, T, D) of each image by itself, the days or places (N, T)
        of its date, and bool (N, H, W, T), which count. Arguments and errors as for `forward`."""
        chosen = {
            sensor: checked_series(type(self).__name__, inputs, sensor, bands) for sensor, bands in self.sensors.items()
        }
        sizes = {sensor: tuple(series.values.shape[-2:]) for sensor, series in chosen.items()}
        if len(set(sizes.values())) > 1:
            raise ValueError(f'STCLN reads its sensors on one pixel grid, the batch has {sizes}: resample the coarser')
        parts = [self._encode_sensor(sensor, series) for sensor, series in chosen.items()]
        if len(parts) == 1:
            return parts[0]
        images, days, valid = zip(*parts, strict=True)
        return torch.cat(images, 3), torch.cat(days, 1), torch.cat(valid, 3)

    def _encode_sensor(self, sensor: str, series: ImageSeries) -> tuple[Tensor, Tensor, Tensor]:
        n, t, _, height, width = series.values.shape
        exists = dates_exist(series.valid)
        counted = series.valid.expand(n, t, height, width)
        if self.runs_over_padding:
            exists, counted = torch.ones_like(exists), torch.ones_like(counted)
        images = self._convolve(sensor, series, DatePacking(exists))
        places = series.days if self.positions == 'days' else (exists.cumsum(1) - 1).clamp(min=0)
        return images, places, counted.permute(0, 2, 3, 1)

    def _convolve(self, sensor: str, series: ImageSeries, dates: DatePacking) -> Tensor:
        stages: Any = self.stages if sensor == self.sensor else self.further_stages[sensor]
        frames = existing_images(series, dates)  # M, C, H, W
        if series.valid.shape[-2:] == (1, 1) and self.runs_over_padding:
            frames = frames.masked_fill(~dates.pack(series.valid).unsqueeze(1), 0.0)
        if self.channels_last:
            frames = frames.contiguous(memory_format=torch.channels_last)
        for stage in stages:
            frames = stage(frames)
        # Channels last before dates are put back: each pixel's channels stay together in memory.
        return dates.unpack(frames.permute(0, 2, 3, 1)).permute(0, 2, 3, 1, 4).contiguous()


def _stages(in_channels: int, widths: Sequence[int]) -> nn.ModuleList:
    """Two 3x3 convolutions without bias, with batch norm and ReLU, for each width."""
    return nn.ModuleList(
        ConvLayer([before, after, after], norm='batch', padding_mode='zeros', bias=False)
        for before, after in pairwise((in_channels, *widths))
    )
