"""Pixel-set encoder with a temporal encoder behind it (Garnot et al., CVPR 2020, arXiv 1911.07757; in the form of
TimeMatch, Nyborg et al., 2022, arXiv 2111.02682)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor

from mmsits.structures import ImageSeries

from ..layers.date_packing import DatePacking
from ..layers.linear_block import linear_blocks

PaddedPixels = Literal['ignored', 'copies_in_norms', 'values_in_norms']
_PADDED_PIXELS = ('ignored', 'copies_in_norms', 'values_in_norms')
_POOLINGS = ('mean', 'std', 'min', 'max')


@MODELS.register_module()
class PixelSetBackbone(BaseModule):
    """Encode parcels: each date's set of pixels to one vector, the dates' vectors by a temporal encoder.

    A perceptron that all pixels share; statistics over the pixels of a date; the parcel's geometry beside them, if
    asked for; a second perceptron per date; the temporal encoder. The order of the pixels has no influence.

    Pixels and dates that do not exist take part in nothing by default, the statistics of batch norms included: how many
    a batch adds changes no output.

    Args:
        in_channels: bands of the series.
        encoder: config of a `TemporalEncoder` that takes the last width of `mlp2`.
        mlp1: widths of the pixels' perceptron, behind `in_channels`.
        mlp2: widths of the dates' perceptron, behind the pooled features and the geometry.
        pooling: what is computed over a date's pixels, one behind the other: 'mean', 'std', 'min', 'max'. A single
            pixel has standard deviation 0.
        geometry_channels: features in the inputs' `geometry_sensor`, 0 to take none.
        padded_pixels: what invalid pixels of an existing date do. 'ignored': nothing. 'copies_in_norms', as published:
            they stand for copies of the date's first valid pixel in the statistics of the batch norms (training), and
            nowhere else; so the number of pixels a batch is padded to matters. 'values_in_norms': the same with the
            values that they carry (`SeriesDataPreprocessor` makes these 0).
        sensor: key of the parcels' series.
        geometry_sensor: key of the geometry, a series of one date and 1 x 1 pixel.
        init_cfg: mmengine's initialisation config.

    Attributes:
        out_channels: channels of the one map.
        min_size: smallest height and width, 1.
        pools_space: True, one vector stands for all pixels.

    Raises:
        ValueError: for options that contradict each other.
    """

    min_size = 1
    pools_space = True

    def __init__(
        self,
        in_channels: int,
        encoder: dict[str, Any],
        mlp1: Sequence[int] = (32, 64),
        mlp2: Sequence[int] = (128,),
        pooling: Sequence[str] = ('mean', 'std'),
        geometry_channels: int = 0,
        padded_pixels: PaddedPixels = 'ignored',
        sensor: str = 's2',
        geometry_sensor: str = 'geometry',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        _check_options(mlp1, mlp2, pooling, padded_pixels)
        self.in_channels = in_channels
        self.pooling = tuple(pooling)
        self.geometry_channels = geometry_channels
        self.padded_pixels = padded_pixels
        self.sensor, self.geometry_sensor = sensor, geometry_sensor
        self.mlp1 = linear_blocks([in_channels, *mlp1])
        self.mlp2 = linear_blocks([len(pooling) * mlp1[-1] + geometry_channels, *mlp2])
        self.encoder = MODELS.build(encoder)
        if self.encoder.in_channels != mlp2[-1]:
            raise ValueError(
                f'the temporal encoder takes {self.encoder.in_channels} channels, but mlp2 ends with {mlp2[-1]}'
            )
        self.out_channels = (self.encoder.out_channels,)

    def forward(self, inputs: Mapping[str, ImageSeries]) -> tuple[Tensor]:
        """Encode a batch of parcels.

        Args:
            inputs: sensor -> series, values (N, T, C, H, W), any H x W being taken as one set of pixels, days (N, T),
                valid (N, T, H, W) or (N, T, 1, 1); and the geometry, if the network takes it.

        Returns:
            One map (N, C', 1, 1).

        Raises:
            KeyError: if a sensor is missing.
            ValueError: if the number of bands or the shape of the geometry does not fit.
        """
        return (self.encode_dates(*self.encode_pixels(inputs))[..., None, None],)

    def encode_pixels(self, inputs: Mapping[str, ImageSeries]) -> tuple[Tensor, Tensor, Tensor]:
        """The first half of `forward`, which knows nothing of days.

        Returns:
            Features (N, T, D), zero for dates that do not exist; days (N, T); bool (N, T), whether a date exists.
        """
        series = self._get_series(inputs)
        n, t, _, height, width = series.values.shape
        members = series.valid.expand(n, t, height, width).flatten(2)  # N, T, P: P pixels
        dates = DatePacking(members.any(-1))
        pixels = dates.pack(series.values.flatten(3).transpose(2, 3))  # M, P, C: M dates exist
        pooled = self._pool(pixels, dates.pack(members))
        if self.geometry_channels:
            pooled = torch.cat([pooled, self._get_geometry(inputs)[dates.series].to(pooled.dtype)], 1)
        return dates.unpack(self.mlp2(pooled)), series.days, dates.exists

    def encode_dates(self, features: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """The second half of `forward`: what `encode_pixels` returns, perhaps with other days -> (N, C')."""
        return self.encoder(features, days, valid)

    def encode_shifts(
        self, features: Tensor, days: Tensor, valid: Tensor, shifts: Iterable[int]
    ) -> Iterator[tuple[Tensor]]:
        """The second half of `forward` for the days moved by each of several shifts: yields one map (N, C', 1, 1) per
        shift. Parcels that all share their dates may give them once, (1, T)."""
        for encoded in self.encoder.encode_shifts(features, days, valid, shifts):
            yield (encoded[..., None, None],)

    def _pool(self, pixels: Tensor, members: Tensor) -> Tensor:
        """Pixels (M, P, C) and which of them exist (M, P), one at least per date -> (M, pooled channels)."""
        existing = DatePacking(members)
        if self.padded_pixels == 'ignored' or existing.complete:
            features = existing.unpack(self.mlp1(existing.pack(pixels)))  # M, P, C'
        else:
            if self.padded_pixels == 'copies_in_norms':
                first = pixels[torch.arange(len(pixels), device=pixels.device), members.to(torch.uint8).argmax(1)]
                pixels = torch.where(members.unsqueeze(-1), pixels, first.unsqueeze(1))
            features = self.mlp1(pixels.flatten(0, 1)).unflatten(0, members.shape)
            features = features.masked_fill(~members.unsqueeze(-1), 0.0)
        # Half precision (AMP) is too coarse for a variance.
        features = features.to(torch.promote_types(features.dtype, torch.float32))
        return torch.cat(pool_pixels(features, None if existing.complete else members, self.pooling), 1)

    def _get_series(self, inputs: Mapping[str, ImageSeries]) -> ImageSeries:
        if self.sensor not in inputs:
            raise KeyError(f'PixelSetBackbone was built for sensor {self.sensor!r}, the inputs hold {sorted(inputs)}')
        series = inputs[self.sensor]
        bands = series.values.shape[2]
        if bands != self.in_channels:
            raise ValueError(
                f'PixelSetBackbone was built for {self.in_channels} bands of {self.sensor!r}, the series has {bands}'
            )
        return series

    def _get_geometry(self, inputs: Mapping[str, ImageSeries]) -> Tensor:
        """(N, geometry_channels)."""
        if self.geometry_sensor not in inputs:
            raise KeyError(
                f'PixelSetBackbone was built with geometry_channels={self.geometry_channels}, but the inputs hold '
                f'{sorted(inputs)} and no {self.geometry_sensor!r}: let the dataset give it, or set it to 0'
            )
        values = inputs[self.geometry_sensor].values
        if tuple(values.shape[1:]) != (1, self.geometry_channels, 1, 1):
            raise ValueError(
                f'{self.geometry_sensor!r}: expected one date of {self.geometry_channels} features and 1 x 1 pixel, '
                f'(N, 1, {self.geometry_channels}, 1, 1); got {tuple(values.shape)}'
            )
        return values.flatten(1)


def pool_pixels(features: Tensor, members: Tensor | None, pooling: Sequence[str]) -> list[Tensor]:
    """Statistics over sets of pixels.

    Args:
        features: (M, P, C), zero for pixels that do not belong.
        members: bool (M, P), which pixels belong, one at least per set; None for all.
        pooling: names, see `PixelSetBackbone`.

    Returns:
        A tensor (M, C) per name.
    """
    count = features.shape[1] if members is None else members.sum(1, keepdim=True)
    mean = features.sum(1) / count
    pooled = []
    for name in pooling:
        if name == 'mean':
            pooled.append(mean)
        elif name == 'std':
            pooled.append(_standard_deviation(features, mean, members, count))
        else:
            pooled.append(_extreme(features, members, name))
    return pooled


def _standard_deviation(features: Tensor, mean: Tensor, members: Tensor | None, count: Tensor | int) -> Tensor:
    """The unbiased one, and 0 for a single pixel."""
    difference = features - mean.unsqueeze(1)
    if members is not None:
        difference = difference * members.unsqueeze(-1).to(features.dtype)
    # Unlike a square root's, the slope of a norm is finite at 0.
    norm = torch.linalg.vector_norm(difference, dim=1)
    others = max(count - 1, 1) if isinstance(count, int) else (count - 1).clamp(min=1)
    return norm / others**0.5


def _extreme(features: Tensor, members: Tensor | None, name: str) -> Tensor:
    if members is not None:
        limit = torch.finfo(features.dtype)
        features = features.masked_fill(~members.unsqueeze(-1), limit.max if name == 'min' else limit.min)
    return features.amin(1) if name == 'min' else features.amax(1)


def _check_options(mlp1: Sequence[int], mlp2: Sequence[int], pooling: Sequence[str], padded_pixels: str) -> None:
    if not mlp1 or not mlp2:
        raise ValueError(f'mlp1 and mlp2 need one width at least, got {list(mlp1)} and {list(mlp2)}')
    if isinstance(pooling, str) or not pooling or not set(pooling) <= set(_POOLINGS):
        raise ValueError(f'pooling: expected a list of {", ".join(_POOLINGS)}; got {pooling!r}')
    if padded_pixels not in _PADDED_PIXELS:
        raise ValueError(f'padded_pixels: expected one of {", ".join(_PADDED_PIXELS)}; got {padded_pixels!r}')
