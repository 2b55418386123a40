"""Convolution blocks of U-TAE (Garnot and Landrieu, ICCV 2021, figure 2 and its appendix), also used by its baselines.

All take images (N, C, H, W). For series, hand them the existing dates: see `layers.date_packing`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, cast

import torch
from torch import Tensor, nn

PaddingMode = Literal['zeros', 'reflect', 'replicate', 'circular']
NORMS = ('group', 'batch', 'instance', None)


def build_norm(norm: str | None, channels: int, num_groups: int = 4) -> nn.Module | None:
    """One normalisation layer by name.

    Args:
        norm: 'group' (`num_groups` groups), 'batch', 'instance' (without weights and running statistics) or None.
        channels: channels of the map.
        num_groups: groups of 'group'.

    Raises:
        ValueError: for another name, or when the groups do not divide the channels.
    """
    if norm is None:
        return None
    if norm == 'batch':
        return nn.BatchNorm2d(channels)
    if norm == 'instance':
        return nn.InstanceNorm2d(channels)
    if norm != 'group':
        raise ValueError(f'norm: expected one of {NORMS}, got {norm!r}')
    if channels % num_groups:
        raise ValueError(
            f"norm 'group': {num_groups} groups do not divide {channels} channels; "
            f'choose widths that are multiples of {num_groups}'
        )
    return nn.GroupNorm(num_groups, channels)


class ConvLayer(nn.Sequential):
    """Convolution, norm and ReLU, once for each consecutive pair of widths.

    Args:
        widths: channels [c0, c1, ...].
        norm: see `build_norm`.
        kernel_size, stride, padding: of every convolution.
        num_groups: groups of the group norm.
        last_relu: False leaves out the very last ReLU.
        padding_mode: as of `torch.nn.Conv2d`.
        bias: of the convolutions; in front of a batch norm it has no effect.
    """

    def __init__(
        self,
        widths: Sequence[int],
        norm: str | None = 'batch',
        kernel_size: int = 3,
        stride: int = 1,
        padding: int = 1,
        num_groups: int = 4,
        last_relu: bool = True,
        padding_mode: PaddingMode = 'reflect',
        bias: bool = True,
    ) -> None:
        layers: list[nn.Module] = []
        for c_in, c_out in pairwise(widths):
            layers.append(nn.Conv2d(c_in, c_out, kernel_size, stride, padding, bias=bias, padding_mode=padding_mode))
            norm_layer = build_norm(norm, c_out, num_groups)
            if norm_layer is not None:
                layers.append(norm_layer)
            # In place: the layer before keeps what its backward pass needs, and a map of a whole series is large.
            layers.append(nn.ReLU(inplace=True))
        super().__init__(*(layers if last_relu else layers[:-1]))


class DownConvBlock(nn.Module):
    """Strided convolution, then two 3x3 convolutions, the second with a residual connection.

    Args:
        in_channels, out_channels: of the block.
        kernel_size, stride, padding: of the strided convolution.
        norm, padding_mode: of all convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 4,
        stride: int = 2,
        padding: int = 1,
        norm: str | None = 'batch',
        padding_mode: PaddingMode = 'reflect',
    ) -> None:
        super().__init__()
        self.down = ConvLayer([in_channels, in_channels], norm, kernel_size, stride, padding, padding_mode=padding_mode)
        self.conv1 = ConvLayer([in_channels, out_channels], norm, padding_mode=padding_mode)
        self.conv2 = ConvLayer([out_channels, out_channels], norm, padding_mode=padding_mode)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        x = self.conv1(self.down(x))
        return x + self.conv2(x)


class UpConvBlock(nn.Module):
    """Transposed convolution, concatenation with the skip map, then two 3x3 convolutions, the second with a residual
    connection.

    The transposed convolution and the 1x1 convolution of the skip map are followed by batch norm, whatever `norm` says.

    Args:
        in_channels, out_channels: of the block.
        skip_channels: of the skip map; None for `out_channels`.
        kernel_size, stride, padding: of the transposed convolution.
        norm, padding_mode: of the 3x3 convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        skip_channels: int | None = None,
        kernel_size: int = 4,
        stride: int = 2,
        padding: int = 1,
        norm: str | None = 'batch',
        padding_mode: PaddingMode = 'reflect',
    ) -> None:
        super().__init__()
        skip_channels = out_channels if skip_channels is None else skip_channels
        self.skip_conv = nn.Sequential(
            nn.Conv2d(skip_channels, skip_channels, 1), nn.BatchNorm2d(skip_channels), nn.ReLU(inplace=True)
        )
        self.up = nn.Sequential(
            nn.ConvTranspose2d(in_channels, out_channels, kernel_size, stride, padding),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )
        self.conv1 = ConvLayer([out_channels + skip_channels, out_channels], norm, padding_mode=padding_mode)
        self.conv2 = ConvLayer([out_channels, out_channels], norm, padding_mode=padding_mode)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(N, C, H, W) and the skip map (N, C'', H * stride, W * stride) -> (N, C', H * stride, W * stride)."""
        x = self.conv1(torch.cat([self.up(x), self.skip_conv(skip)], dim=1))
        return cast(Tensor, x + self.conv2(x))
