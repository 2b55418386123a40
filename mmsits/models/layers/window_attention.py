"""Attention in windows of several sizes at once, and to pooled maps: the two attentions of SL-GT2Net (Ni et al., IEEE
TAES 2025).

Maps are channels-last, (N, D, H, W, C), D being time. Windows, heads and samples are rows of one batch for the
attention; the only loop is over the few sizes of windows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sparse_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    scale: float,
    topk_div: int = 1,
    bias: Tensor | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Scaled dot-product attention in which each query may look at its best keys only.

    Args:
        query: (..., Q, E).
        key: (..., K, E).
        value: (..., K, E).
        scale: factor of the logits.
        topk_div: each query keeps exactly floor(K / topk_div) keys, one at least; 1 keeps all. Which of equal
            logits are kept is open.
        bias: added to the logits, broadcasts over (..., Q, K).
        dropout: probability of dropping an attention weight.

    Returns:
        (..., Q, E).
    """
    if topk_div == 1:
        return F.scaled_dot_product_attention(query, key, value, bias, dropout, scale=scale)
    logits = (query * scale) @ key.transpose(-2, -1)
    if bias is not None:
        logits = logits + bias
    # By index and not by a threshold: equal logits are common, and keeping all of them would change the sum.
    kept, index = logits.topk(max(logits.shape[-1] // topk_div, 1), dim=-1, sorted=False)
    weights = torch.zeros_like(logits).scatter(-1, index, kept.softmax(-1).to(logits.dtype))
    return F.dropout(weights, dropout, training=dropout > 0) @ value


class LocalWindowAttention(nn.Module):
    """Self-attention within windows; each group of channels has windows of its own size (SMLW-MHSA).

    Windows do not overlap. A map that they do not divide is padded with zeros at its ends, behind the projection to
    queries, keys and values. As published, nothing masks the padded positions: they take part in the softmax with a
    logit of 0.

    Args:
        dim: channels.
        num_heads: heads of all groups together.
        window_sizes: height and width of the windows, one number for each group of channels.
        window_lengths: number of time steps of the windows, one for each group.
        qkv_bias: whether the projection to queries, keys and values has a bias.
        qk_scale: factor of the logits; None for 1 / sqrt(channels of a head).
        topk_div: each position looks at its best 1 / topk_div of the window only; 1 for all.
        relative_positions: add a learnt bias for each offset between two positions. As published, offsets are those of
            the positions' numbers on a grid of height, width, time, while the positions are in the order time, height,
            width.
        attn_drop: dropout of the attention weights.
        proj_drop: dropout of the output.

    Raises:
        ValueError: for numbers that do not divide one another.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        window_sizes: Sequence[int],
        window_lengths: Sequence[int],
        qkv_bias: bool = False,
        qk_scale: float | None = None,
        topk_div: int = 1,
        relative_positions: bool = False,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
    ) -> None:
        super().__init__()
        groups = len(window_sizes)
        if not groups or len(window_lengths) != groups:
            raise ValueError(
                'window_sizes and window_lengths: one number for each group of channels, equally many; got '
                f'{list(window_sizes)} and {list(window_lengths)}'
            )
        if num_heads % groups or dim % num_heads:
            raise ValueError(
                f'{groups} sizes of windows must divide {num_heads} heads, and these {dim} channels: choose other heads'
            )
        self.dim, self.groups, self.heads = dim, groups, num_heads // groups
        self.scale = head_scale(dim, num_heads, qk_scale)
        self.topk_div, self.attn_drop = topk_div, attn_drop
        self.windows = [(length, size, size) for length, size in zip(window_lengths, window_sizes, strict=True)]
        self.qkv = nn.Linear(dim, 3 * dim, bias=qkv_bias)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)
        self.relative_bias = nn.ParameterList()
        for group, window in enumerate(self.windows if relative_positions else ()):
            table, index = _relative_bias(window, self.heads)
            self.relative_bias.append(table)
            # Made from the arguments, hence not in the checkpoint.
            self.register_buffer(f'relative_index_{group}', index, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, H, W, C) -> the same shape."""
        qkv = self.qkv(x).unflatten(-1, (3, self.groups, -1))  # N, D, H, W, 3, groups, C / groups
        attended = [self._attend(qkv[..., group, :], group) for group in range(self.groups)]
        return self.proj_drop(self.proj(torch.cat(attended, -1)))

    def _attend(self, qkv: Tensor, group: int) -> Tensor:
        """One group: (N, D, H, W, 3, C / groups) -> (N, D, H, W, C / groups)."""
        window = self.windows[group]
        size = qkv.shape[1:4]
        missing = [-length % side for length, side in zip(size, window, strict=True)]
        if any(missing):
            qkv = F.pad(qkv, (0, 0, 0, 0, 0, missing[2], 0, missing[1], 0, missing[0]))
        counts = [length // side for length, side in zip(qkv.shape[1:4], window, strict=True)]
        query, key, value = _to_windows(qkv, counts, window, self.heads)
        dropout = self.attn_drop if self.training else 0.0
        out = sparse_attention(query, key, value, self.scale, self.topk_div, self._bias(group), dropout)
        depth, height, width = size
        return _from_windows(out, counts, window)[:, :depth, :height, :width]

    def _bias(self, group: int) -> Tensor | None:
        if not len(self.relative_bias):
            return None
        index = self.get_buffer(f'relative_index_{group}')
        return self.relative_bias[group][index].permute(2, 0, 1)  # heads, n, n


def _to_windows(qkv: Tensor, counts: Sequence[int], window: Sequence[int], heads: int) -> Tensor:
    """(N, D, H, W, 3, g) -> queries, keys and values (3, M, heads, n, e) of M windows of n positions."""
    grid = qkv.view(
        len(qkv), counts[0], window[0], counts[1], window[1], counts[2], window[2], 3, heads, -1
    )  # N, D', d, H', h, W', w, 3, heads, e
    return grid.permute(7, 0, 1, 3, 5, 8, 2, 4, 6, 9).flatten(6, 8).flatten(1, 4)


def _from_windows(out: Tensor, counts: Sequence[int], window: Sequence[int]) -> Tensor:
    """(M, heads, n, e) -> (N, D, H, W, heads * e)."""
    grid = out.unflatten(2, tuple(window)).unflatten(0, (-1, *counts))  # N, D', H', W', heads, d, h, w, e
    merged = grid.permute(0, 1, 5, 2, 6, 3, 7, 4, 8)  # N, D', d, H', h, W', w, heads, e
    return merged.flatten(7, 8).flatten(5, 6).flatten(3, 4).flatten(1, 2)


def _relative_bias(window: Sequence[int], heads: int) -> tuple[nn.Parameter, Tensor]:
    """Table of biases (offsets, heads), and the row of each pair of positions (n, n)."""
    length, height, width = window
    sides = (height, width, length)  # the published order, which is not that of the positions
    grid = torch.cartesian_prod(*(torch.arange(side) for side in sides))  # n, 3
    offset = grid[:, None] - grid[None] + torch.tensor(sides) - 1  # n, n, 3
    rows = (offset[..., 0] * (2 * sides[1] - 1) + offset[..., 1]) * (2 * sides[2] - 1) + offset[..., 2]
    table = nn.Parameter(torch.empty((2 * sides[0] - 1) * (2 * sides[1] - 1) * (2 * sides[2] - 1), heads))
    nn.init.trunc_normal_(table, std=0.02)
    return table, rows


class PooledAttention(nn.Module):
    """Attention of every position to a pyramid of pooled maps (SMGW-MHSA).

    The published code cuts the queries into windows, which changes nothing, as all windows look at the same keys.

    Args:
        dim: channels.
        num_heads: heads.
        qkv_bias: whether the projection to queries has a bias.
        qk_scale, topk_div, attn_drop, proj_drop: as of `LocalWindowAttention`, of all pooled positions instead of the
            window's.

    Raises:
        ValueError: if the heads do not divide the channels.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        qkv_bias: bool = False,
        qk_scale: float | None = None,
        topk_div: int = 1,
        attn_drop: float = 0.0,
        proj_drop: float = 0.0,
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'{num_heads} heads do not divide {dim} channels')
        self.num_heads, self.scale = num_heads, head_scale(dim, num_heads, qk_scale)
        self.topk_div, self.attn_drop = topk_div, attn_drop
        self.q = nn.Linear(dim, dim, bias=qkv_bias)
        self.pooling = PyramidPooling(dim)
        self.proj = nn.Linear(dim, dim)
        self.proj_drop = nn.Dropout(proj_drop)

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, H, W, C) -> the same shape."""
        query = self._heads(self.q(x).flatten(1, 3))  # N, heads, D * H * W, e
        key, value = (self._heads(part) for part in self.pooling(x).chunk(2, -1))  # N, heads, K, e
        dropout = self.attn_drop if self.training else 0.0
        out = sparse_attention(query, key, value, self.scale, self.topk_div, dropout=dropout)
        return self.proj_drop(self.proj(out.transpose(1, 2).flatten(2).view(x.shape)))

    def _heads(self, tokens: Tensor) -> Tensor:
        return tokens.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class PyramidPooling(nn.Module):
    """Keys and values from maps averaged over ever smaller cells of space and time.

    Each map plus its own depth-wise convolution, all cells one behind the other, norm, linear map.

    Args:
        dim: channels.
        sizes: number of cells of the maps along height and width, and along time where there are as many steps.
    """

    def __init__(self, dim: int, sizes: Sequence[int] = (1, 2, 3, 6)) -> None:
        super().__init__()
        self.sizes = tuple(sizes)
        self.convs = nn.ModuleList(nn.Conv3d(dim, dim, 3, padding=1, groups=dim) for _ in self.sizes)
        self.norm = nn.LayerNorm(dim)
        self.proj = nn.Linear(dim, 2 * dim)

    def forward(self, x: Tensor) -> Tensor:
        """(N, D, H, W, C) -> (N, K, 2 C), keys first."""
        maps = x.permute(0, 4, 1, 2, 3)  # N, C, D, H, W
        cells = []
        for size, conv in zip(self.sizes, self.convs, strict=True):
            pooled = F.adaptive_avg_pool3d(maps, (min(size, maps.shape[2]), size, size))
            cells.append((pooled + conv(pooled)).flatten(2))  # N, C, cells
        return self.proj(self.norm(torch.cat(cells, 2).transpose(1, 2)))


def head_scale(dim: int, num_heads: int, qk_scale: float | None) -> float:
    """The factor of the logits."""
    return (dim // num_heads) ** -0.5 if qk_scale is None else qk_scale
