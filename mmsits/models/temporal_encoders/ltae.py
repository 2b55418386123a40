"""L-TAE: lightweight temporal attention encoder (Garnot and Landrieu, AALTD 2020, arXiv 2007.00586), in the form that
U-TAE uses (ICCV 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, cast

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..layers.day_encoding import DayEncoding
from ..layers.masked_norm import TemporalGroupNorm
from ..layers.master_query import MasterQueryAttention, masked_softmax
from .base import TemporalEncoder


@MODELS.register_module()
class LTAE(TemporalEncoder):
    """Group norm, projection, day encoding, attention with one query per head, MLP, group norm.

    Each head sees all channels in its key, but sums its own share of the channels (d_model / n_head) over the dates.

    Nothing here is ever (N, T, d_model): as queries do not depend on the input, the scores are one linear map of the C
    channels, and as attention and projection are both linear, the dates are summed first (N, heads, C) and projected
    afterwards. The numbers are those of the paper's order of operations up to rounding, at 1 / n_head to d_model / C of
    the cost.

    Args:
        in_channels: C of the series.
        n_head: number of heads; divides `in_channels` and `d_model`, and the last width of `mlp`.
        d_k: length of keys and queries.
        d_model: width after the input projection; None leaves the projection out.
        mlp: widths of the perceptron, the first equal to `d_model` (or `in_channels` if that is None).
        dropout: on the features after the perceptron.
        attention_dropout: on the attention weights; in training mode the attention handed out is the dropped one, as
            published.
        period: of the day encoding, in days.
        positional_encoding: False leaves the day encoding out.
        norm_over_padding: take the statistics of the input's group norm over all T dates, invalid ones with the values
            they carry, as the published code does. The output then depends on the padding that a batch adds; needed
            for published weights to give published numbers.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: for widths and heads that do not fit each other.
    """

    def __init__(
        self,
        in_channels: int = 128,
        n_head: int = 16,
        d_k: int = 4,
        d_model: int | None = 256,
        mlp: Sequence[int] = (256, 128),
        dropout: float = 0.2,
        attention_dropout: float = 0.1,
        period: float = 1000.0,
        positional_encoding: bool = True,
        norm_over_padding: bool = False,
        init_cfg: Any = None,
    ) -> None:
        width = in_channels if d_model is None else d_model
        _check_widths(in_channels, n_head, width, mlp)
        super().__init__(in_channels, mlp[-1], init_cfg)
        self.num_heads = n_head
        self.norm_over_padding = norm_over_padding
        self.in_norm = TemporalGroupNorm(n_head, in_channels)
        # A linear map per date. Kept as a convolution of width 1, which recipes of initialisation treat differently
        # from a linear layer.
        self.in_proj = None if d_model is None else nn.Conv1d(in_channels, d_model, 1)
        self.day_encoding = DayEncoding(width // n_head, period) if positional_encoding else None
        self.attention = MasterQueryAttention(width, n_head, d_k)
        self.attention_dropout = nn.Dropout(attention_dropout)
        layers: list[nn.Module] = []
        for c_in, c_out in pairwise(mlp):
            layers += [nn.Linear(c_in, c_out), nn.BatchNorm1d(c_out), nn.ReLU()]
        self.mlp = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.out_norm = nn.GroupNorm(n_head, mlp[-1])

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """(N, T, C) -> (N, C'); see `TemporalEncoder.forward`."""
        return self.forward_with_attention(x, days, valid)[0]

    def forward_with_attention(self, x: Tensor, days: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, C) -> (N, C') and the attention (N, heads, T), zero where not valid."""
        if self.norm_over_padding:
            x = self.in_norm(x)
        else:
            x = self.in_norm(x.masked_fill(~valid.unsqueeze(-1), 0.0), valid)  # N, T, C
        encoding = None if self.day_encoding is None else self.day_encoding(days)  # B, T, d_model / heads
        scores = self._scores(x, encoding)  # N, heads, T
        attention = self.attention_dropout(masked_softmax(scores, valid.unsqueeze(1)))  # N, heads, T
        summed = self._sum_dates(x, encoding, attention)  # N, d_model
        return self.out_norm(self.dropout(self.mlp(summed))), attention

    def _scores(self, x: Tensor, encoding: Tensor | None) -> Tensor:
        """Scores (N, heads, T) of projection(x) + encoding, up to a constant per head, which a softmax does not see."""
        direction, offset = self.attention.folded()  # heads, d_model; heads
        if self.in_proj is None:
            by_channel = direction
        else:
            by_channel = direction @ self.in_proj.weight.squeeze(-1).double()  # heads, C
        # Zero, as the constant would only cost precision; but the key's bias stays part of the graph.
        zero = (offset - offset.detach()).unsqueeze(-1)
        scores = by_channel.to(x.dtype) @ x.transpose(1, 2) + zero.to(x.dtype)  # N, heads, T
        if encoding is None:
            return scores
        # Every head's share of the channels gets the same encoding, so the shares of a direction may be added.
        by_encoding = direction.unflatten(1, (self.num_heads, -1)).sum(1)  # heads, d_model / heads
        of_days = by_encoding.to(encoding.dtype) @ encoding.transpose(1, 2)  # B, heads, T
        return (scores.unflatten(0, (len(of_days), -1)) + of_days.unsqueeze(1)).flatten(0, 1)

    def _sum_dates(self, x: Tensor, encoding: Tensor | None, attention: Tensor) -> Tensor:
        """Each head's sum over dates of its share of projection(x) + encoding: (N, d_model), head after head."""
        if self.in_proj is None:
            share = x.unflatten(-1, (self.num_heads, -1))  # N, T, heads, C / heads
            summed = torch.einsum('nht,nthc->nhc', attention, share)
        else:
            weight = self.in_proj.weight.squeeze(-1).unflatten(0, (self.num_heads, -1))  # heads, d_model / heads, C
            bias = cast(Tensor, self.in_proj.bias).unflatten(0, (self.num_heads, -1))
            summed = torch.einsum('nhc,hdc->nhd', attention @ x, weight)
            summed = summed + attention.sum(-1, keepdim=True) * bias
        if encoding is not None:
            rows = attention.unflatten(0, (len(encoding), -1)).flatten(1, 2)  # B, N / B * heads, T
            summed = summed + (rows @ encoding).reshape(summed.shape)
        return summed.flatten(1)


def _check_widths(in_channels: int, n_head: int, width: int, mlp: Sequence[int]) -> None:
    """Refuse what cannot work, in plain words."""
    if len(mlp) < 2 or mlp[0] != width:
        raise ValueError(
            f'mlp: expected at least two widths, the first {width} (d_model, or in_channels without it); '
            f'got {list(mlp)}'
        )
    for name, channels in (('in_channels', in_channels), ('d_model', width), ('the last width of mlp', mlp[-1])):
        if channels % n_head:
            raise ValueError(f'n_head: {n_head} heads do not divide {name} = {channels}')
