"""Blocks of SL-GT2Net (Ni et al., IEEE TAES 2025): stages of local and global attention, and the convolutions between
them.

Maps are channels-last, (N, D, H, W, C), D being time. Seen channels-first, such a map is what convolutions call
`channels_last_3d`, so nothing is copied between the two.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from .window_attention import LocalWindowAttention, PooledAttention


def channels_first(x: Tensor) -> Tensor:
    """(N, D, H, W, C) -> (N, C, D, H, W), a view."""
    return x.permute(0, 4, 1, 2, 3)


def channels_last(x: Tensor) -> Tensor:
    """(N, C, D, H, W) -> (N, D, H, W, C), contiguous."""
    return x.permute(0, 2, 3, 4, 1).contiguous()


class Mlp(nn.Sequential):
    """Two linear layers with GELU between them.

    Args:
        dim: channels.
        hidden_dim: channels between the layers.
        drop: dropout behind each layer.
    """

    def __init__(self, dim: int, hidden_dim: int, drop: float = 0.0) -> None:
        super().__init__(
            nn.Linear(dim, hidden_dim), nn.GELU(), nn.Dropout(drop), nn.Linear(hidden_dim, dim), nn.Dropout(drop)
        )


class ChannelGate(nn.Module):
    """Weigh channels by their means and those of their two neighbours, and add the result to the input (CRM)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, D, H, W) -> the same shape."""
        means = x.mean((2, 3, 4)).unsqueeze(1)  # N, 1, C
        gate = self.conv(means).sigmoid().squeeze(1)
        return x + x * gate[:, :, None, None, None]


class ChannelRefinement(nn.Sequential):
    """Spatial-temporal channel refinement block (STCRB), without the connection around it.

    Depth-wise convolution, GELU, `ChannelGate`, point-wise convolution, on channels-first maps.

    Args:
        dim: channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(
            nn.Conv3d(dim, dim, 3, padding=1, groups=dim, bias=False),
            nn.GELU(),
            ChannelGate(),
            nn.Conv3d(dim, dim, 1, bias=False),
        )


class PatchMerge(nn.Module):
    """Lower the resolution: norm, channel refinement if wanted, strided convolution, norm.

    Args:
        dim, out_dim: channels in and out.
        kernel_size, stride, padding: of the convolution, each (time, height, width).
        channel_refinement: run `ChannelRefinement` before the convolution. The paper describes it; the published code
            makes its weights and leaves it out.
    """

    def __init__(
        self,
        dim: int,
        out_dim: int,
        kernel_size: tuple[int, int, int] = (3, 3, 3),
        stride: tuple[int, int, int] = (2, 2, 2),
        padding: tuple[int, int, int] = (1, 1, 1),
        channel_refinement: bool = False,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.refinement = ChannelRefinement(dim) if channel_refinement else None
        self.reduction = nn.Conv3d(dim, out_dim, kernel_size, stride, padding, bias=False)
        self.norm2 = nn.LayerNorm(out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, H, W, C) -> (N, D', H', W', C')."""
        maps = channels_first(self.norm1(x))
        if self.refinement is not None:
            maps = maps + self.refinement(maps)
        return self.norm2(channels_last(self.reduction(maps)))


class PositionConv(nn.Conv3d):
    """Conditional position encoding: a depth-wise convolution, added to its input.

    Args:
        dim: channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim, dim, 3, padding=1, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, H, W, C) -> the same shape."""
        return x + channels_last(super().forward(channels_first(x)))


class ChannelScale(nn.Conv3d):
    """A factor and an offset for each channel of a channels-first map: a depth-wise convolution of one pixel, without
    running a convolution.

    Args:
        dim: channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim, dim, 1, groups=dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, D, H, W) -> the same shape."""
        bias = cast(Tensor, self.bias)
        return torch.addcmul(bias[:, None, None, None], x, self.weight[:, 0])


def upsampling(dim: int, out_dim: int, factors: tuple[int, int, int]) -> nn.Sequential:
    """Transposed convolution without overlap, GELU, `ChannelScale`, GELU, on channels-first maps.

    Args:
        dim: channels in.
        out_dim: channels out.
        factors: of time, height and width.
    """
    return nn.Sequential(
        nn.ConvTranspose3d(dim, out_dim, factors, factors), nn.GELU(), ChannelScale(out_dim), nn.GELU()
    )


class LocalGlobalBlock(nn.Module):
    """Attention and perceptron, each behind a norm and with a connection around it.

    Args:
        dim: channels.
        attn: the attention, from and to (N, D, H, W, dim).
        mlp_ratio: width of the perceptron's hidden layer, in channels.
        drop: dropout of the perceptron.
        drop_path: probability of leaving a sample's branch out in training.
        layer_scale: first value of a learnt factor of each channel of each branch; None for no such factors.
    """

    def __init__(
        self,
        dim: int,
        attn: nn.Module,
        mlp_ratio: float = 4.0,
        drop: float = 0.0,
        drop_path: float = 0.0,
        layer_scale: float | None = None,
    ) -> None:
        super().__init__()
        self.norm1, self.attn = nn.LayerNorm(dim), attn
        self.norm2, self.mlp = nn.LayerNorm(dim), Mlp(dim, int(dim * mlp_ratio), drop)
        self.drop_path = DropPath(drop_path)
        self.gamma1 = self.gamma2 = None
        if layer_scale is not None:
            self.gamma1 = nn.Parameter(torch.full((dim,), float(layer_scale)))
            self.gamma2 = nn.Parameter(torch.full((dim,), float(layer_scale)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, H, W, C) -> the same shape."""
        x = x + self.drop_path(_scaled(self.attn(self.norm1(x)), self.gamma1))
        return x + self.drop_path(_scaled(self.mlp(self.norm2(x)), self.gamma2))


def _scaled(x: Tensor, factors: Tensor | None) -> Tensor:
    return x if factors is None else x * factors


class LocalGlobalStage(nn.Module):
    """Blocks with local attention and blocks with global attention in turn, the position encoding behind the first.

    Args:
        dim: channels.
        depth: number of blocks.
        drop_path: probability of each block.
        window_sizes, window_lengths, relative_positions: of the local attention, see `LocalWindowAttention`.
        mlp_ratio, drop, layer_scale: of the blocks, see `LocalGlobalBlock`; `drop` also of the attentions' output.
        with_cp: keep no activations of a block, compute them again in the backward pass: less memory, more time.
        attention: further arguments of both attentions.
    """

    def __init__(
        self,
        dim: int,
        depth: int,
        drop_path: Sequence[float],
        window_sizes: Sequence[int],
        window_lengths: Sequence[int],
        relative_positions: bool = False,
        mlp_ratio: float = 4.0,
        drop: float = 0.0,
        layer_scale: float | None = None,
        with_cp: bool = False,
        **attention: Any,
    ) -> None:
        super().__init__()
        local: dict[str, Any] = dict(
            window_sizes=window_sizes, window_lengths=window_lengths, relative_positions=relative_positions
        )
        attention['proj_drop'] = drop
        self.with_cp = with_cp
        self.position = PositionConv(dim)
        self.blocks = nn.ModuleList()
        for index in range(depth):
            attn = PooledAttention(dim, **attention) if index % 2 else LocalWindowAttention(dim, **attention, **local)
            self.blocks.append(LocalGlobalBlock(dim, attn, mlp_ratio, drop, drop_path[index], layer_scale))

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, H, W, C) -> the same shape."""
        for index, block in enumerate(self.blocks):
            x = checkpoint(block, x, use_reentrant=False) if self.with_cp and x.requires_grad else block(x)
            if index == 0:
                x = self.position(x)
        return x
