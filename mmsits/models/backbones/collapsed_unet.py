"""One stream of CropMapping's network: a 3D convolution that collapses the dates, then a 2D U-Net (Rangzan and
Ramezanpour, CropMapping of Partially Annotated Time Series Satellite Images with 3D Convolutional Neural Networks)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import ImageSeries, dates_exist

from ..layers.conv_blocks import ConvLayer
from ..layers.date_fitting import FitDates
from ..layers.regular_days import ToRegularDays
from .single_sensor import SingleSensorBackbone, filled_values

_COLLAPSED_CHANNELS = 32
_LEVELS = 4


class DateCollapse(nn.Sequential):
    """A 3x3x3 convolution, then one over all dates at once; each with batch norm and ReLU.

    Args:
        in_channels: bands.
        num_dates: dates of each series, all of which the second convolution takes.
        out_channels: width of both.
    """

    def __init__(self, in_channels: int, num_dates: int, out_channels: int = _COLLAPSED_CHANNELS) -> None:
        super().__init__(
            nn.Conv3d(in_channels, out_channels, 3, padding=1),
            nn.BatchNorm3d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv3d(out_channels, out_channels, (num_dates, 1, 1)),
            nn.BatchNorm3d(out_channels),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, C', H, W)."""
        return super().forward(x).squeeze(2)


def double_convolution(in_channels: int, out_channels: int) -> ConvLayer:
    """Two 3x3 convolutions with batch norm and ReLU, borders padded with zeros."""
    return ConvLayer([in_channels, out_channels, out_channels], 'batch', padding_mode='zeros', bias=False)


class PlainUNet(nn.Module):
    """The U-Net of Ronneberger et al. (MICCAI 2015) with padded convolutions: four poolings, transposed convolutions on
    the way up, no classifier.

    Where a size is odd, the map that comes up is resized to the skip map.

    Args:
        in_channels: of the map.
        width: channels of the highest level; they double at each pooling.
    """

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(_LEVELS)]
        self.down_blocks = nn.ModuleList(double_convolution(a, b) for a, b in pairwise([in_channels, *widths]))
        self.bottleneck = double_convolution(widths[-1], 2 * widths[-1])
        self.up_convs = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in reversed(widths))
        self.up_blocks = nn.ModuleList(double_convolution(2 * w, w) for w in reversed(widths))
        self.pool = nn.MaxPool2d(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), sides of 16 at least -> (N, width, H, W)."""
        skips = []
        for block in self.down_blocks:
            skips.append(block(x))
            x = self.pool(skips[-1])
        x = self.bottleneck(x)
        for up_conv, block in zip(self.up_convs, self.up_blocks, strict=True):
            skip, x = skips.pop(), up_conv(x)
            if x.shape[-2:] != skip.shape[-2:]:
                x = F.interpolate(x, skip.shape[-2:], mode='bilinear', align_corners=False)
            x = block(torch.cat([skip, x], 1))
        return x


@MODELS.register_module()
class CollapsedUNet(SingleSensorBackbone):
    """A 3D convolution over the series, a convolution that collapses its dates, and a 2D U-Net.

    The network takes a fixed number of dates. By default the dates that exist are stretched or squeezed to it in their
    order, so other dates and padding have no influence. Where a position means a month, as in series of monthly
    composites of which some may be missing, give `days`: then values are interpolated to fixed days, and a missing
    month is filled by its neighbours instead of shifting all others.

    Args:
        in_channels: bands of the series.
        num_dates: dates that the network takes.
        width: channels of the U-Net's highest level, and of the map.
        days: first and last of `num_dates` days at equal distances, counted from the reference date of the samples;
            None fits by order.
        sensor: key of the inputs.
        init_cfg: mmengine's initialisation config.

    Attributes:
        out_channels: channels of the one map, `width`.
        min_size: smallest height and width.
    """

    min_size = 2**_LEVELS

    def __init__(
        self,
        in_channels: int,
        num_dates: int = 6,
        width: int = 64,
        days: tuple[float, float] | None = None,
        sensor: str = 's2',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(in_channels, sensor, init_cfg)
        self.out_channels = (width,)
        self.by_days = None if days is None else ToRegularDays(*days, num_dates)
        self.by_order = FitDates(num_dates)
        self.collapse = DateCollapse(in_channels, num_dates)
        self.unet = PlainUNet(_COLLAPSED_CHANNELS, width)

    def forward(self, inputs: Mapping[str, ImageSeries]) -> tuple[Tensor, ...]:
        """Encode a batch of series.

        Args:
            inputs: sensor -> series, values (N, T, C, H, W), days (N, T), valid (N, T, H, W) or (N, T, 1, 1); what
                stands where not valid has no influence.

        Returns:
            One map (N, width, H, W).

        Raises:
            KeyError: if the sensor is missing.
            ValueError: if bands or size do not fit.
        """
        return (self.unet(self.collapsed(inputs)),)

    def collapsed(self, inputs: Mapping[str, ImageSeries]) -> Tensor:
        """What the U-Net is given, (N, 32, H, W); arguments as of `forward`."""
        series = self.series_of(inputs)
        return self.collapse(self._fitted(series).transpose(1, 2))

    def _fitted(self, series: ImageSeries) -> Tensor:
        """Values (N, num_dates, C, H, W)."""
        if self.by_days is None:
            return self.by_order(filled_values(series), dates_exist(series.valid))
        return _at_days(series, self.by_days)


def _at_days(series: ImageSeries, grid: ToRegularDays) -> Tensor:
    """Values at fixed days, (N, length, C, H, W): each pixel from its own valid dates where these differ, zero for a
    pixel without any."""
    values, days, valid = series
    if valid.shape[-2:] == (1, 1):
        return grid(values.flatten(2), days, valid[..., 0, 0]).unflatten(2, values.shape[2:])
    height, width = values.shape[-2:]
    rows = values.permute(0, 3, 4, 1, 2).flatten(0, 2)  # N * H * W, T, C
    pixels = grid(rows, days, valid.permute(0, 2, 3, 1).flatten(0, 2))
    return pixels.unflatten(0, (len(values), height, width)).permute(0, 3, 4, 1, 2)
