"""3D U-Net over time and space (Rustowicz et al., CVPR workshops 2019, in the form of U-TAE's baselines, Garnot and
Landrieu, ICCV 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import ImageSeries, dates_exist

from ..layers.date_fitting import FitDates
from ..layers.date_packing import DatePacking
from ..layers.spatial_padding import pad_to_multiple
from ..layers.valid_dates import valid_dates_first
from .single_sensor import SingleSensorBackbone, filled_values

# What two poolings make one of.
_FACTOR = 4


class DatedNorm(nn.Module):
    """Batch norm and leaky ReLU over the dates that exist; zero elsewhere, as behind the end of a series.

    Args:
        channels: of the maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm3d(channels)
        self.activation = nn.LeakyReLU(0.01)

    def forward(self, x: Tensor, dates: DatePacking | None) -> Tensor:
        """(N, C, T, H, W) -> the same shape; None if all dates exist."""
        if dates is None:
            return self.activation(self.norm(x))
        existing = dates.pack(x.transpose(1, 2)).unsqueeze(2)  # M, C, 1, H, W
        return dates.unpack(self.activation(self.norm(existing)).squeeze(2)).transpose(1, 2)


class ConvBlock3d(nn.Module):
    """Two 3x3x3 convolutions, each with `DatedNorm`.

    Args:
        in_channels, mid_channels, out_channels: widths.
    """

    def __init__(self, in_channels: int, mid_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv3d(in_channels, mid_channels, 3, padding=1), DatedNorm(mid_channels)
        self.conv2, self.norm2 = nn.Conv3d(mid_channels, out_channels, 3, padding=1), DatedNorm(out_channels)

    def forward(self, x: Tensor, dates: DatePacking | None) -> Tensor:
        """(N, C, T, H, W), zero where dates do not exist -> (N, C', T, H, W), likewise."""
        return self.norm2(self.conv2(self.norm1(self.conv1(x), dates)), dates)


@MODELS.register_module()
class UNet3D(SingleSensorBackbone):
    """A U-Net of 3x3x3 convolutions over the series, the mean over its dates at the end.

    Two poolings halve dates, height and width. A series of n dates comes back as 4 floor(n / 4) dates; those left over
    act through their neighbours only.

    The published classifier is a 3x3x3 convolution in front of the mean over the dates. Both are linear: what the mean
    needs of the convolution are the means over each date's predecessor, itself and its successor. These three are the
    channels of the map, and the classifier is an ordinary `ConvHead(kernel_size=3)`.

    By default the dates that exist are put one behind the other, and what lies behind the end of a shorter series is
    kept at zero in all layers, as if it ended there; so padding changes nothing. Series of less than four dates are
    stretched to four. Any height and width from `min_size` is taken: images are padded inside and maps cropped.

    Args:
        in_channels: bands of the series.
        feats: width of the network; levels have 4, 8 and 16 times as many channels.
        runs_over_padding: as published, take dates that do not exist for images of zeros, wherever they are, and leave
            them out of the mean only: what a series gives then depends on how long the others are, and on the place of
            its missing dates. At least four dates are needed.
        sensor: key of the inputs.
        init_cfg: mmengine's initialisation config; `dict(type='XavierNormalInit')` is the published one.

    Attributes:
        out_channels: channels of the one map, 6 `feats`.
        min_size: smallest height and width.
    """

    min_size = 2  # a single pixel has no neighbourhood to convolve

    def __init__(
        self,
        in_channels: int,
        feats: int = 8,
        runs_over_padding: bool = False,
        sensor: str = 's2',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(in_channels, sensor, init_cfg)
        self.runs_over_padding = runs_over_padding
        self.out_channels = (6 * feats,)
        self.encoder1 = ConvBlock3d(in_channels, 4 * feats, 4 * feats)
        self.encoder2 = ConvBlock3d(4 * feats, 8 * feats, 8 * feats)
        self.center = ConvBlock3d(8 * feats, 16 * feats, 16 * feats)
        self.up2 = nn.ConvTranspose3d(16 * feats, 8 * feats, 3, 2, 1, output_padding=1)
        self.decoder2 = ConvBlock3d(16 * feats, 8 * feats, 8 * feats)
        self.up1 = nn.ConvTranspose3d(8 * feats, 4 * feats, 3, 2, 1, output_padding=1)
        self.up1_norm = DatedNorm(4 * feats)
        self.decoder1 = ConvBlock3d(8 * feats, 4 * feats, 2 * feats)
        self.pool = nn.MaxPool3d(2, 2)
        self.stretch = FitDates(_FACTOR)

    def forward(self, inputs: Mapping[str, ImageSeries]) -> tuple[Tensor, ...]:
        """Encode a batch of series.

        Args:
            inputs: sensor -> series, values (N, T, C, H, W), days (N, T), valid (N, T, H, W) or (N, T, 1, 1); what
                stands where not valid has no influence, and neither have the days.

        Returns:
            One map (N, out_channels[0], H, W).

        Raises:
            KeyError: if the sensor is missing.
            ValueError: if bands, size or number of dates do not fit.
        """
        series = self.series_of(inputs)
        height, width = series.values.shape[-2:]
        values, exists = filled_values(series), dates_exist(series.valid)
        counts = None
        if self.runs_over_padding:
            _refuse_short(values)
        else:
            values, counts = self._one_behind_the_other(values, exists)
        images = pad_to_multiple(values.flatten(0, 1), _FACTOR).unflatten(0, values.shape[:2])
        maps = self._decode(images.transpose(1, 2), counts)  # N, 2 feats, T', H', W'
        kept = maps.shape[2]
        if counts is None:
            averaged = exists[:, :kept]
        else:
            averaged = _first(counts // _FACTOR * _FACTOR, kept)
        return (_neighbouring_means(maps, averaged)[..., :height, :width],)

    def _one_behind_the_other(self, values: Tensor, exists: Tensor) -> tuple[Tensor, Tensor]:
        """The existing dates first, zero behind them, and how many they are, four at least."""
        order, counts = valid_dates_first(exists)
        if exists.all() and values.shape[1] >= _FACTOR:
            return values, counts
        longest, short = max(int(counts.max()), _FACTOR), counts < _FACTOR
        rows, order = torch.arange(len(values), device=values.device).unsqueeze(1), order[:, :longest]
        empty = ~_first(counts, order.shape[1])
        first = _lengthened(values[rows, order].masked_fill(empty[..., None, None, None], 0.0), longest)
        if short.any():
            first[short, :_FACTOR] = self.stretch(values[short], exists[short])
        return first, counts.clamp(min=_FACTOR)

    def _decode(self, x: Tensor, counts: Tensor | None) -> Tensor:
        """(N, C, T, H, W) -> (N, 2 feats, 4 floor(T / 4), H, W), zero behind what is left of each series."""
        steps = x.shape[2]
        lengths = [steps, steps // 2, steps // 2 // 2]
        fine, middle, coarse = (
            _packing(None if counts is None else counts // 2**level, length) for level, length in enumerate(lengths)
        )
        upper = self.encoder1(x, fine)
        lower = self.encoder2(_kept(self.pool(upper), middle), middle)
        x = self.center(_kept(self.pool(lower), coarse), coarse)

        # On the way up, only what two poolings left.
        whole = None if counts is None else counts // _FACTOR
        middle = _packing(None if whole is None else 2 * whole, 2 * lengths[2])
        fine = _packing(None if whole is None else 4 * whole, 4 * lengths[2])
        x = torch.cat([self.up2(x), lower[:, :, : 2 * lengths[2]]], 1)
        x = self.decoder2(_kept(x, middle), middle)
        x = torch.cat([self.up1_norm(self.up1(x), fine), upper[:, :, : 4 * lengths[2]]], 1)
        return _kept(self.decoder1(_kept(x, fine), fine), fine)


def _refuse_short(values: Tensor) -> None:
    if values.shape[1] < _FACTOR:
        raise ValueError(
            f'UNet3D with runs_over_padding=True takes series of four dates at least, got {values.shape[1]}'
        )


def _lengthened(values: Tensor, length: int) -> Tensor:
    """Zeros behind the last date up to `length`."""
    missing = length - values.shape[1]
    return F.pad(values, (0, 0, 0, 0, 0, 0, 0, missing)) if missing > 0 else values


def _first(counts: Tensor, length: int) -> Tensor:
    """Bool (N, length): the first `counts` of each row."""
    return torch.arange(length, device=counts.device) < counts.unsqueeze(1)


def _packing(counts: Tensor | None, length: int) -> DatePacking | None:
    """The first dates of each series, or None if they are all there are."""
    if counts is None:
        return None
    dates = DatePacking(_first(counts, length))
    return None if dates.complete else dates


def _kept(x: Tensor, dates: DatePacking | None) -> Tensor:
    """Zero where dates do not exist."""
    return x if dates is None else x * dates.exists[:, None, :, None, None].to(x.dtype)


def _neighbouring_means(maps: Tensor, averaged: Tensor) -> Tensor:
    """Means over the predecessors of some dates, over these dates, and over their successors.

    Args:
        maps: (N, C, T, H, W).
        averaged: bool (N, T).

    Returns:
        (N, 3 C, H, W), in this order; a neighbour outside the series is zero, and so is the mean of no date.
    """
    share = averaged.to(maps.dtype) / averaged.sum(1, keepdim=True).clamp(min=1)
    weights = torch.stack([F.pad(share[:, 1:], (0, 1)), share, F.pad(share[:, :-1], (1, 0))], 1)  # N, 3, T
    return torch.einsum('ncthw,nkt->nkchw', maps, weights).flatten(1, 2)
