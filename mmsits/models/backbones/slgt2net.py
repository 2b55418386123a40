"""SL-GT2Net: sparse local-global temporal transformer (Ni, Yuan, Zheng, Wang, IEEE TAES 2025, doi
10.1109/TAES.2025.3574022; published code: RSIP-NJUPT/SL-GT2Net)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import ImageSeries, dates_exist

from ..layers.date_fitting import FitDates, FitMode
from ..layers.local_global_blocks import (
    LocalGlobalStage,
    PatchMerge,
    channels_first,
    channels_last,
    upsampling,
)
from .single_sensor import SingleSensorBackbone, filled_values


@MODELS.register_module()
class SLGT2Net(SingleSensorBackbone):
    """A U-shaped transformer over space and time at once, for image series of radar.

    A stem of two convolutions lowers the resolution to a quarter in space and a half in time; each of three more steps
    halves both. At each of these four levels, attention in windows of several sizes and attention to pooled maps take
    turns. A decoder of the same blocks goes back up, time included, and two transposed convolutions to full resolution.
    The mean over time ends it.

    The published network classifies in front of that mean, with a convolution of one pixel; as both are linear, the
    classifier can stand behind it, where it is an ordinary head: `ConvHead(kernel_size=1)`.

    The network knows the order of the dates, not the days. It works on `length` steps: the dates that exist are brought
    there first (`fit_dates`), so padding changes nothing. Any height and width is taken: images are padded with zeros,
    the mean of each band, and maps are cropped again.

    Args:
        in_channels: bands of the series.
        embed_dims: channels of the levels (published: four), highest resolution first.
        depths: blocks of each level, in encoder and decoder.
        num_heads: heads of each level; the number of window sizes divides them.
        window_sizes: of each level, height and width of the windows of each group of channels, in positions.
        window_lengths: of each level, their number of time steps.
        topk_div: each position attends to its best 1 / topk_div only. The released configs say 1, all; the paper's
            "sparse" is 2.
        mlp_ratios: width of the perceptrons in channels, one for all levels or one for each.
        qkv_bias: whether the projections to queries, keys and values have a bias.
        qk_scale: factor of the attention's logits; None for 1 / sqrt(channels of a head).
        drop_rate, attn_drop_rate: dropout of projections and perceptrons, and of attention weights.
        drop_path_rate: probability of leaving a branch of the last encoder block out in training, rising from 0 at the
            first. The decoder's levels repeat those of the encoder.
        layer_scale: see `LocalGlobalBlock`.
        absolute_positions: add a learnt table to the positions of each level. It is made for images of `table_size`
            pixels and interpolated for others.
        relative_positions: see `LocalWindowAttention`.
        channel_refinement: run the spatial-temporal channel refinement blocks that the paper describes. The published
            code does not.
        length: number of steps that dates are brought to; published 16 for Slovenia, 48 for Brandenburg (80 for
            PASTIS-R, unfinished).
        trimmed_steps: time steps that the second convolution of the stem takes off, by a kernel of as many plus one
            without padding; published 0 for 16 steps, 8 for 48 and 80.
        fit_dates: 'resample', 'reflect' (the released configs) or 'zeros' (the published network itself), see
            `FitDates`.
        table_size: height and width that `absolute_positions` are made for.
        with_cp: keep less for the backward pass and compute it again, which takes less memory and more time.
        sensor: key of the inputs.
        init_cfg: mmengine's initialisation config; default the published one, `SLGT2NetInit`.

    Attributes:
        out_channels: channels of the maps: full resolution, then those of the decoder's levels at strides 4, 8 and 16,
            and the encoder's last at stride 32 (of four levels).
        min_size: smallest height and width.

    Raises:
        ValueError: for options that contradict each other.
    """

    min_size = 2  # a single pixel has no neighbourhood: use PixelwiseBackbone on it

    def __init__(
        self,
        in_channels: int = 2,
        embed_dims: Sequence[int] = (96, 192, 384, 768),
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        window_sizes: Sequence[Sequence[int]] = ((7, 14, 21), (7, 14, 21), (7, 14, 14), (7, 7, 7)),
        window_lengths: Sequence[Sequence[int]] = ((8, 4, 2), (4, 4, 2), (2, 2, 2), (1, 1, 1)),
        topk_div: int = 1,
        mlp_ratios: float | Sequence[float] = 4,
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        layer_scale: float | None = None,
        absolute_positions: bool = False,
        relative_positions: bool = False,
        channel_refinement: bool = False,
        length: int = 16,
        trimmed_steps: int = 0,
        fit_dates: FitMode = 'resample',
        table_size: tuple[int, int] = (224, 224),
        with_cp: bool = False,
        sensor: str = 's1',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(in_channels, sensor, init_cfg or dict(type='SLGT2NetInit'))
        dims = list(embed_dims)
        mlp_ratios = [mlp_ratios] * len(dims) if isinstance(mlp_ratios, int | float) else mlp_ratios
        per_level = dict(
            depths=depths,
            num_heads=num_heads,
            window_sizes=window_sizes,
            window_lengths=window_lengths,
            mlp_ratios=mlp_ratios,
        )
        _check_levels(dims, per_level)
        steps = _steps_of_levels(length, trimmed_steps, len(dims))
        self.out_channels = (dims[0], *dims)
        self.stride = 4 * 2 ** (len(dims) - 1)  # of the lowest level
        self.fit_dates = FitDates(length, fit_dates)
        rates = np.split(np.linspace(0, drop_path_rate, sum(depths)), np.cumsum(depths)[:-1])

        def stage(level: int) -> LocalGlobalStage:
            return LocalGlobalStage(
                dims[level],
                depths[level],
                rates[level].tolist(),
                window_sizes[level],
                window_lengths[level],
                relative_positions=relative_positions,
                mlp_ratio=mlp_ratios[level],
                drop=drop_rate,
                layer_scale=layer_scale,
                with_cp=with_cp,
                num_heads=num_heads[level],
                qkv_bias=qkv_bias,
                qk_scale=qk_scale,
                topk_div=topk_div,
                attn_drop=attn_drop_rate,
            )

        self.stem = nn.Conv3d(in_channels, dims[0], 3, 2, 1)
        self.merges = nn.ModuleList([_stem_merge(dims[0], trimmed_steps, channel_refinement)])
        self.merges.extend(
            PatchMerge(above, below, channel_refinement=channel_refinement) for above, below in pairwise(dims)
        )
        self.stages = nn.ModuleList(stage(level) for level in range(len(dims)))
        self.norm = nn.LayerNorm(dims[-1])
        upwards = range(len(dims) - 2, -1, -1)
        self.upsamplings = nn.ModuleList(upsampling(dims[level + 1], dims[level], (2, 2, 2)) for level in upwards)
        self.fusions = nn.ModuleList(nn.Conv3d(2 * dims[level], dims[level], 3, padding=1) for level in upwards)
        self.up_stages = nn.ModuleList(stage(level) for level in upwards)
        self.to_full_size = nn.Sequential(
            *upsampling(dims[0], dims[0], (1, 2, 2)), *upsampling(dims[0], dims[0], (1, 2, 2))
        )
        self.grids = [
            (count, *(-(-side // (4 * 2**level)) for side in table_size)) for level, count in enumerate(steps)
        ]
        self.position_drop = nn.Dropout(drop_rate)
        self.positions = _position_tables(dims, self.grids) if absolute_positions else nn.ParameterList()
        self.up_positions = (
            _position_tables(dims[-2::-1], self.grids[-2::-1]) if absolute_positions else nn.ParameterList()
        )

    def forward(self, inputs: Mapping[str, ImageSeries]) -> tuple[Tensor, ...]:
        """Encode a batch of series.

        Args:
            inputs: sensor -> series, values (N, T, C, H, W), days (N, T), valid (N, T, H, W) or (N, T, 1, 1); what
                stands where not valid has no influence, and neither have the days.

        Returns:
            Maps (N, out_channels[i], H / s, W / s) (rounded up) at strides s of 1, 4, 8, 16, 32.

        Raises:
            KeyError: if the sensor is missing.
            ValueError: if bands or size do not fit.
        """
        series = self.series_of(inputs)
        height, width = series.values.shape[-2:]
        values = self.fit_dates(filled_values(series), dates_exist(series.valid))  # N, L, bands, H, W
        x = F.pad(values.transpose(1, 2), (0, -width % self.stride, 0, -height % self.stride))  # N, bands, L, H', W'
        levels = self.decode(self.encode(x))
        full = self.to_full_size(channels_first(levels[0]))  # N, C0, D0, H', W'
        strides = [1, *(4 * 2**level for level in range(len(levels)))]
        maps = [_mean_over_time(grid) for grid in (full.permute(0, 2, 3, 4, 1), *levels)]
        return tuple(m[..., : -(-height // s), : -(-width // s)] for m, s in zip(maps, strides, strict=True))

    def encode(self, x: Tensor) -> list[Tensor]:
        """The encoder: (N, bands, L, H, W), height and width multiples of `stride` -> maps (N, D_i, H_i, W_i, C_i) of
        its levels, highest resolution first."""
        x = channels_last(self.stem(x))
        levels = []
        for level, (merge, stage) in enumerate(zip(self.merges, self.stages, strict=True)):
            x = stage(self._with_positions(merge(x), self.positions, level, level))
            levels.append(x)
        return [*levels[:-1], self.norm(x)]

    def decode(self, levels: Sequence[Tensor]) -> list[Tensor]:
        """Maps of the encoder -> maps of the decoder, in the same order and shapes; the last stays as it is."""
        decoded = [levels[-1]]
        for index, skip in enumerate(levels[-2::-1]):
            x = self.upsamplings[index](channels_first(decoded[-1]))[:, :, : skip.shape[1]]
            x = channels_last(self.fusions[index](torch.cat([x, channels_first(skip)], 1)))
            x = self._with_positions(x, self.up_positions, index, len(levels) - 2 - index)
            decoded.append(self.up_stages[index](x))
        return decoded[::-1]

    def _with_positions(self, x: Tensor, tables: nn.ParameterList, index: int, level: int) -> Tensor:
        """Add the table of positions, if there is one."""
        if not len(tables):
            return x
        table, size = tables[index].unflatten(1, self.grids[level]), tuple(x.shape[1:4])  # 1, D, H, W, C
        if size != self.grids[level]:
            table = channels_last(F.interpolate(channels_first(table), size, mode='trilinear', align_corners=False))
        return self.position_drop(x + table)


def _mean_over_time(grid: Tensor) -> Tensor:
    """(N, D, H, W, C) -> (N, C, H, W). The mean of the channels-first view takes ten times as long on a CPU."""
    return grid.mean(1).permute(0, 3, 1, 2)


def _stem_merge(dim: int, trimmed_steps: int, channel_refinement: bool) -> PatchMerge:
    """The second convolution of the stem: halves the size, keeps time or takes some steps off."""
    length = trimmed_steps + 1 if trimmed_steps else 3
    return PatchMerge(
        dim,
        dim,
        kernel_size=(length, 3, 3),
        stride=(1, 2, 2),
        padding=(0 if trimmed_steps else 1, 1, 1),
        channel_refinement=channel_refinement,
    )


def _position_tables(dims: Sequence[int], grids: Sequence[tuple[int, ...]]) -> nn.ParameterList:
    """(1, D * H * W, C) for each level."""
    tables = nn.ParameterList()
    for dim, (steps, height, width) in zip(dims, grids, strict=True):
        tables.append(nn.Parameter(nn.init.trunc_normal_(torch.empty(1, steps * height * width, dim), std=0.02)))
    return tables


def _steps_of_levels(length: int, trimmed_steps: int, levels: int) -> list[int]:
    """Time steps at each level."""
    halved = -(-length // 2)
    if not 0 <= trimmed_steps < halved:
        raise ValueError(
            f'trimmed_steps: the stem makes {halved} steps of length={length}; from 0 to {max(halved - 1, 0)} of them '
            f'can be taken off, got {trimmed_steps}'
        )
    steps = [halved - trimmed_steps]
    for _ in range(levels - 1):
        steps.append(-(-steps[-1] // 2))
    return steps


def _check_levels(dims: Sequence[int], per_level: Mapping[str, Sequence[Any]]) -> None:
    if len(dims) < 2:
        raise ValueError(f'embed_dims: one width for each level, two levels at least; got {dims}')
    for name, values in per_level.items():
        if len(values) != len(dims):
            raise ValueError(f'{name}: one entry for each of the {len(dims)} levels, got {list(values)}')
