"""Layers of self-attention among the dates of a series (Vaswani et al., 2017; pre-norm after Xiong et al., 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

_SCORES_AT_ONCE = 2**18
"""So many scores of attention are worked on at once on a processor: 1 MiB, which its nearer caches hold."""


def attention_over_dates(query: Tensor, key: Tensor, value: Tensor, attended: Tensor | None, dropout: float) -> Tensor:
    """torch's attention; on a processor, which has no fused kernel with dropout, `DroppedAttention` in its place.

    Args:
        query: (N, heads, T, C / heads).
        key: likewise.
        value: likewise.
        attended: bool (N, 1, 1, T), or None for all dates.
        dropout: on the attention weights.

    Returns:
        (N, heads, T, C / heads).
    """
    if not _in_steps(dropout) or query.device.type != 'cpu' or not torch.is_grad_enabled():
        return F.scaled_dot_product_attention(query, key, value, attn_mask=attended, dropout_p=dropout)
    kept = random_mask((*query.shape[:3], key.shape[2]), dropout)
    return DroppedAttention.apply(query, key, value, attended, kept, 1 / (1 - _in_steps(dropout)))


def _in_steps(dropout: float) -> float:
    """A probability as a multiple of 1 / 65536."""
    return min(round(dropout * 2**16), 2**16 - 1) / 2**16


def random_mask(shape: Sequence[int], dropout: float) -> Tensor:
    """Bool on the processor, False with the probability `dropout` rounded to a multiple of 1 / 65536.

    Four numbers come out of each random word: a quarter of the time of `Tensor.bernoulli_`.
    """
    count = math.prod(shape)
    words = torch.empty(-(-count // 4), dtype=torch.int64).random_(-(2**63), None)
    return (words.view(torch.int16)[:count] >= int(_in_steps(dropout) * 2**16) - 2**15).view(tuple(shape))


class WordDropout(nn.Dropout):
    """torch's dropout; on a processor with `random_mask`, which is quicker."""

    def forward(self, input: Tensor) -> Tensor:
        """Drop numbers of a tensor of any shape, in training."""
        if not self.training or not _in_steps(self.p) or input.device.type != 'cpu':
            return super().forward(input)
        return input * random_mask(input.shape, self.p).to(input.dtype).mul_(1 / (1 - _in_steps(self.p)))


class DroppedAttention(torch.autograd.Function):
    """Softmax attention with given dropout, exact, in little memory and in one thread's caches.

    Rows are taken few at a time, and their scores computed again for the gradient rather than written to memory and
    read back; only the mask is kept.
    """

    @staticmethod
    @torch.amp.custom_fwd(device_type='cpu', cast_inputs=torch.float32)
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, attended: Tensor | None, kept: Tensor, factor: float
    ) -> Tensor:
        """Attend.

        Args:
            ctx: of torch.
            query: see `attention_over_dates`.
            key: likewise.
            value: likewise.
            attended: likewise.
            kept: bool (N, heads, T, T), False where a weight is dropped.
            factor: on the weights that are kept.

        Returns:
            (N, heads, T, C / heads).
        """
        out = torch.empty_like(value, memory_format=torch.contiguous_format)
        query = query * (query.shape[-1] ** -0.5)
        for rows in _parts(kept):
            weights = _softmax_scores(query[rows], key[rows], None if attended is None else attended[rows])
            torch.matmul(weights.mul_(kept[rows]), value[rows], out=out[rows])
        ctx.save_for_backward(query, key, value, attended, kept)
        ctx.factor = factor
        return out.mul_(factor)

    @staticmethod
    @once_differentiable
    @torch.amp.custom_bwd(device_type='cpu')
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        """Gradients of query, key and value."""
        query, key, value, attended, kept = ctx.saved_tensors
        gradient = gradient * ctx.factor
        of_query, of_key, of_value = (
            torch.empty_like(part, memory_format=torch.contiguous_format) for part in (query, key, value)
        )
        for rows in _parts(kept):
            weights = _softmax_scores(query[rows], key[rows], None if attended is None else attended[rows])
            of_weights = (gradient[rows] @ value[rows].transpose(-1, -2)).mul_(kept[rows])
            of_scores = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype)
            torch.matmul(weights.mul_(kept[rows]).transpose(-1, -2), gradient[rows], out=of_value[rows])
            torch.matmul(of_scores, key[rows], out=of_query[rows])
            torch.matmul(of_scores.transpose(-1, -2), query[rows], out=of_key[rows])
        return of_query.mul_(query.shape[-1] ** -0.5), of_key, of_value, None, None, None


def _parts(kept: Tensor) -> list[slice]:
    """Rows that are worked on together."""
    count = max(1, _SCORES_AT_ONCE // max(1, kept[0].numel() if len(kept) else 1))
    return [slice(first, first + count) for first in range(0, len(kept), count)]


def _softmax_scores(query: Tensor, key: Tensor, attended: Tensor | None) -> Tensor:
    scores = query @ key.transpose(-1, -2)
    if attended is not None:
        scores.masked_fill_(~attended, -torch.inf)
    return scores.softmax(-1)


class AttentionLayer(nn.Module):
    """Self-attention among dates and a perceptron per date, each added to its layer-normed input's origin.

    Args:
        width: channels.
        num_heads: heads; divides `width`.
        hidden_channels: of the perceptron.
        dropout: on what both add.
        head_channels: of one head; None shares `width` among the heads.
        qkv_bias: give the projections to queries, keys and values a bias.
        mlp_dropout: dropout inside the perceptron; None for no such layer.
    """

    def __init__(
        self,
        width: int,
        num_heads: int,
        hidden_channels: int,
        dropout: float,
        head_channels: int | None = None,
        qkv_bias: bool = True,
        mlp_dropout: float | None = None,
    ) -> None:
        super().__init__()
        inner = width if head_channels is None else num_heads * head_channels
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * inner, bias=qkv_bias)
        self.attention_proj = nn.Linear(inner, width)
        self.mlp_norm = nn.LayerNorm(width)
        middle = [] if mlp_dropout is None else [nn.Dropout(mlp_dropout)]
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden_channels), nn.GELU(), *middle, nn.Linear(hidden_channels, width)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, attended: Tensor | None, kept: int | None = None) -> Tensor:
        """Run the layer.

        Args:
            x: (N, T, C).
            attended: bool (N, 1, 1, T), which dates are looked at; None for all.
            kept: only so many of the first rows of T are wanted, and computed; None for all.

        Returns:
            (N, T, C), or (N, kept, C).
        """
        x = x[:, :kept] + self.dropout(self.attend(self.attention_norm(x), attended, kept=kept))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))

    def attend(self, x: Tensor, attended: Tensor | None, dropout: float = 0.0, kept: int | None = None) -> Tensor:
        """Self-attention alone; `dropout` is that of the attention weights, None attends to all dates."""
        query, key, value = self._heads(x, kept)
        summed = attention_over_dates(query, key, value, attended, dropout)
        return self.attention_proj(summed.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor, kept: int | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, (N, heads, T, C / heads) each; queries of the rows that are kept."""
        if kept is None:
            query, key, value = self.query_key_value(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
            return query, key, value
        weight, bias = self.query_key_value.weight, self.query_key_value.bias
        inner = len(weight) // 3
        query = F.linear(x[:, :kept], weight[:inner], None if bias is None else bias[:inner])
        both = F.linear(x, weight[inner:], None if bias is None else bias[inner:])
        key, value = both.unflatten(-1, (2, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        return query.unflatten(-1, (self.num_heads, -1)).transpose(1, 2), key, value

    def attention_weights(self, x: Tensor, attended: Tensor | None = None) -> Tensor:
        """How much each date looks at each other one, (N, T looking, T looked at), the mean over the heads.

        For pictures: `attend` itself never writes the weights to memory. Arguments as for `attend`.
        """
        query, key, _ = self._heads(x, None)
        scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
        if attended is not None:
            scores = scores.masked_fill(~attended, float('-inf'))
        return scores.softmax(-1).mean(1)


class PackedProjection(nn.Linear):
    """Query, key and value projections in one, initialised as torch's own attention does: by Xavier's rule over all
    three, without bias at first."""

    def reset_parameters(self) -> None:
        """Initialise."""
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)


class PostNormAttentionLayer(AttentionLayer):
    """As `AttentionLayer`, but norms stand behind the sums, the activation is ReLU, and dropout also acts on attention
    weights and inside the perceptron: torch's `TransformerEncoderLayer` with its defaults, in numbers and in
    initialisation.

    Args:
        width, num_heads, hidden_channels, dropout: see `AttentionLayer`.
        attention_dropout: on the attention weights.
    """

    def __init__(
        self, width: int, num_heads: int, hidden_channels: int, dropout: float, attention_dropout: float
    ) -> None:
        super().__init__(width, num_heads, hidden_channels, dropout)
        self.query_key_value = PackedProjection(width, 3 * width)
        nn.init.zeros_(self.attention_proj.bias)
        self.dropout = WordDropout(dropout)
        self.attention_dropout = nn.Dropout(attention_dropout)
        # Dropout in front of ReLU gives the same numbers as behind it, and one wide map less is kept for the gradient.
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden_channels),
            WordDropout(dropout),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_channels, width),
        )

    def forward(self, x: Tensor, attended: Tensor | None, kept: int | None = None) -> Tensor:
        """As `AttentionLayer.forward`."""
        share = self.attention_dropout.p if self.training else 0.0
        x = self.attention_norm(x[:, :kept] + self.dropout(self.attend(x, attended, share, kept)))
        return self.mlp_norm(x + self.dropout(self.mlp(x)))
