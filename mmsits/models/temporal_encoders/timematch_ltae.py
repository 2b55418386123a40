"""L-TAE in the form that TimeMatch uses (Nyborg et al., ISPRS J. 2022, arXiv 2111.02682): batch norms instead of group
norms, a day encoding over the full width."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..layers.date_packing import DatePacking
from ..layers.day_encoding import OffsetDayEncoding, add_day_encoding
from ..layers.linear_block import linear_blocks
from ..layers.master_query import MasterQueryAttention, masked_softmax
from .base import TemporalEncoder


@MODELS.register_module()
class TimeMatchLTAE(TemporalEncoder):
    """Projection with batch norm and ReLU, day encoding, attention with one learnt query per head, perceptron.

    Beside `LTAE`: no group norm before and after; the projection ends in batch norm and ReLU; the encoding of a date is
    as wide as the features instead of being repeated per head. Invalid dates take no part in anything, the statistics
    of the batch norms included.

    Args:
        in_channels: C of the series.
        n_head: number of heads; divides `d_model`.
        d_k: length of keys and queries.
        d_model: width after the projection; None leaves the projection out.
        mlp: widths of the perceptron, the first equal to `d_model` (or `in_channels` if that is None).
        dropout: on the features after the perceptron.
        attention_dropout: on the attention weights; in training mode the attention handed out is the dropped one.
        period, day_offset: of the day encoding, see `OffsetDayEncoding`.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: for widths and heads that do not fit each other.
    """

    def __init__(
        self,
        in_channels: int = 128,
        n_head: int = 16,
        d_k: int = 8,
        d_model: int | None = 256,
        mlp: Sequence[int] = (256, 128),
        dropout: float = 0.2,
        attention_dropout: float = 0.1,
        period: float = 1000.0,
        day_offset: float = 100.0,
        init_cfg: Any = None,
    ) -> None:
        width = in_channels if d_model is None else d_model
        if len(mlp) < 2 or mlp[0] != width:
            raise ValueError(f'mlp: expected at least two widths, the first {width}; got {list(mlp)}')
        if width % n_head:
            raise ValueError(f'n_head: {n_head} heads do not divide {width} channels')
        super().__init__(in_channels, mlp[-1], init_cfg)
        self.num_heads = n_head
        self.in_proj = linear_blocks([in_channels] if d_model is None else [in_channels, d_model])
        self.day_encoding = OffsetDayEncoding(width, period, day_offset)
        self.attention = MasterQueryAttention(width, n_head, d_k)
        self.attention.key.reset_parameters()  # as published, unlike the original L-TAE
        self.attention_dropout = nn.Dropout(attention_dropout)
        self.mlp = linear_blocks(mlp)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """(N, T, C) -> (N, C'); see `TemporalEncoder.forward`."""
        return self.forward_with_attention(x, days, valid)[0]

    def forward_with_attention(self, x: Tensor, days: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, C) -> (N, C') and the attention (N, heads, T), zero where not valid."""
        dates = DatePacking(valid)
        x = dates.unpack(self.in_proj(dates.pack(x)))  # N, T, d_model
        x = add_day_encoding(x, self.day_encoding(days))
        summed, attention = self.attention.pool(x, valid, self.attention_dropout)
        return self.dropout(self.mlp(summed)), attention

    def encode_shifts(self, x: Tensor, days: Tensor, valid: Tensor, shifts: Iterable[int]) -> Iterator[Tensor]:
        """(N, T, C) -> (N, C') for each shift; only the day encoding and what it is added to are done anew.

        Scores and sums over dates are linear in features plus encoding, so the features' part of them is shared.
        """
        dates = DatePacking(valid)
        x = dates.unpack(self.in_proj(dates.pack(x)))  # N, T, d_model
        direction = self.attention.folded()[0].to(x.dtype)  # heads, d_model
        of_features = direction @ x.transpose(1, 2)  # N, heads, T
        share = x.unflatten(-1, (self.num_heads, -1))  # N, T, heads, d_model / heads
        for shift in shifts:
            encoding = self.day_encoding(days + shift).to(x.dtype)  # B, T, d_model
            of_days = (direction @ encoding.transpose(1, 2)).repeat_interleave(len(x) // len(encoding), 0)
            attention = self.attention_dropout(masked_softmax(of_features + of_days, valid.unsqueeze(1)))
            by_group = attention.unflatten(0, (len(encoding), -1))  # B, N / B, heads, T
            encoded = encoding.unflatten(-1, (self.num_heads, -1))  # B, T, heads, d_model / heads
            summed = torch.einsum('nht,nthc->nhc', attention, share).flatten(1)
            summed = summed + torch.einsum('bnht,bthc->bnhc', by_group, encoded).reshape(summed.shape)
            yield self.dropout(self.mlp(summed))
