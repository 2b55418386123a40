"""The Transformer of SITS-MoCo (Xu et al., ISPRS J. 2024, doi 10.1016/j.isprsjprs.2023.12.005)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..layers.attention_layer import PostNormAttentionLayer, WordDropout
from ..layers.date_packing import DatePacking
from ..layers.day_encoding import OffsetDayEncoding, add_day_encoding
from ..layers.linear_block import linear_blocks
from .base import TemporalEncoder

POSITIONS = ('days', 'order')


@MODELS.register_module()
class PostNormTransformer(TemporalEncoder):
    """Perceptron per date, layer norm, day encoding, layers of self-attention among valid dates, mean over them.

    Beside `SeriesTransformer`: three linear layers with batch norms in front instead of one, norms behind the sums,
    mean instead of maximum. Invalid dates are neither attended to nor pooled, and have no part in the batch norms'
    statistics. A series without any valid date gives zero.

    Args:
        in_channels: C of the series.
        embed_channels: widths of the perceptron in front of `d_model`.
        d_model: width of the layers, even; C'.
        n_head: heads; divides `d_model`.
        num_layers: number of layers.
        hidden_channels: width of each layer's perceptron.
        dropout: on the embedded dates, on what attention and perceptron add, and inside the perceptron.
        attention_dropout: on the attention weights; None takes `dropout`, as published. 0 takes a third of the memory
            where the device has fused attention.
        positions: 'days', or 'order': the number of a date among the valid ones stands for its day.
        period, day_offset: of the day encoding, see `OffsetDayEncoding`; a series that begins with the year has day 0
            there.
        padding_in_norms: count invalid dates in the batch norms' statistics, as zeros, as published. Changes training
            only.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: for widths and heads that do not fit each other, or unknown positions.
    """

    def __init__(
        self,
        in_channels: int = 10,
        embed_channels: Sequence[int] = (32, 64),
        d_model: int = 128,
        n_head: int = 16,
        num_layers: int = 1,
        hidden_channels: int = 128,
        dropout: float = 0.2,
        attention_dropout: float | None = None,
        positions: str = 'days',
        period: float = 1000.0,
        day_offset: float = 0.0,
        padding_in_norms: bool = False,
        init_cfg: Any = None,
    ) -> None:
        if d_model % n_head:
            raise ValueError(f'n_head: {n_head} heads do not divide {d_model} channels')
        if positions not in POSITIONS:
            raise ValueError(f'positions={positions!r}: expected one of {POSITIONS}')
        super().__init__(in_channels, d_model, init_cfg)
        self.positions, self.padding_in_norms = positions, padding_in_norms
        self.embed = linear_blocks([in_channels, *embed_channels, d_model], bias=True)
        self.in_norm = nn.LayerNorm(d_model)
        self.day_encoding = OffsetDayEncoding(d_model, period, day_offset)
        self.dropout = WordDropout(dropout)
        of_weights = dropout if attention_dropout is None else attention_dropout
        self.layers = nn.ModuleList(
            PostNormAttentionLayer(d_model, n_head, hidden_channels, dropout, of_weights) for _ in range(num_layers)
        )
        self.out_norm = nn.LayerNorm(d_model)

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """(N, T, C) -> (N, C'); see `TemporalEncoder.forward`."""
        return sum_dates(self.encode_dates(x, days, valid), self.weigh_dates(x, valid))

    def weigh_dates(self, x: Tensor, valid: Tensor) -> Tensor:
        """How much each date counts, (N, T), 0 where not valid; their sums may be any."""
        return valid.to(torch.float32)

    def encode_dates(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """(N, T, C) -> (N, T, C'), finite, and unspecified where not valid; arguments as for `forward`."""
        x = self.in_norm(embed_dates(self.embed, x, valid, self.padding_in_norms))
        places = days if self.positions == 'days' else valid.cumsum(1) - 1
        x = self.dropout(add_day_encoding(x, self.day_encoding(places).to(x.dtype)))
        # A softmax over no date is undefined: such a series attends to all of its zeros, and gives zero in the end.
        attended = None if bool(valid.all()) else (valid | ~valid.any(1, keepdim=True))[:, None, None]  # N, 1, 1, T
        for layer in self.layers:
            x = layer(x, attended)
        return self.out_norm(x)


def embed_dates(blocks: nn.Module, x: Tensor, valid: Tensor, padding_in_norms: bool) -> Tensor:
    """Run `linear_blocks` on the valid dates of (N, T, C), zero elsewhere; or on all, invalid ones as zeros."""
    if padding_in_norms:
        x = x.masked_fill(~valid.unsqueeze(-1), 0.0)
        return blocks(x.flatten(0, 1)).unflatten(0, x.shape[:2])
    dates = DatePacking(valid)
    return dates.unpack(blocks(dates.pack(x)))


def sum_dates(features: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean over dates: (N, T, C') and weights (N, T) >= 0 -> (N, C'), zero where all weights are."""
    total = weights.sum(1, keepdim=True)
    weights = weights / total.clamp(min=torch.finfo(weights.dtype).tiny)
    return (weights.unsqueeze(1).to(features.dtype) @ features).squeeze(1)
