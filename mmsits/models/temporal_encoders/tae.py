"""TAE: temporal attention encoder (Garnot et al., CVPR 2020, arXiv 1911.07757), as TimeMatch uses it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..layers.day_encoding import OffsetDayEncoding, add_day_encoding
from ..layers.master_query import masked_softmax
from .base import TemporalEncoder


@MODELS.register_module()
class TAE(TemporalEncoder):
    """Layer norm, day encoding, attention of several heads whose query is the mean of the dates' queries, perceptron.

    All heads sum the whole features (no value projection); their results stand one behind the other.

    Args:
        in_channels: C of the series.
        n_head: number of heads.
        d_k: length of keys and queries.
        d_model: width after a linear map that follows the day encoding; None leaves it out.
        mlp: widths of the perceptron, the first `n_head` times `d_model` (`in_channels` if that is None).
        dropout: on the features after the perceptron.
        attention_dropout: on the attention weights; in training mode the attention handed out is the dropped one.
        period, day_offset: of the day encoding, see `OffsetDayEncoding`.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: for widths that do not fit each other.
    """

    def __init__(
        self,
        in_channels: int = 128,
        n_head: int = 4,
        d_k: int = 32,
        d_model: int | None = None,
        mlp: Sequence[int] = (512, 128, 128),
        dropout: float = 0.2,
        attention_dropout: float = 0.1,
        period: float = 1000.0,
        day_offset: float = 100.0,
        init_cfg: Any = None,
    ) -> None:
        width = in_channels if d_model is None else d_model
        if len(mlp) < 2 or mlp[0] != n_head * width:
            raise ValueError(
                f'mlp: expected at least two widths, the first {n_head} heads x {width} channels = {n_head * width}; '
                f'got {list(mlp)}'
            )
        super().__init__(in_channels, mlp[-1], init_cfg)
        self.num_heads = n_head
        self.in_norm = nn.LayerNorm(in_channels)
        self.day_encoding = OffsetDayEncoding(in_channels, period, day_offset)
        # A linear map per date, as a convolution of width 1: the published layer, and its initialisation.
        self.in_proj = None if d_model is None else nn.Conv1d(in_channels, d_model, 1)
        self.attention = MeanQueryAttention(width, n_head, d_k)
        self.attention_dropout = nn.Dropout(attention_dropout)
        layers: list[nn.Module] = []
        for c_in, c_out in pairwise(mlp):
            layers += [nn.Linear(c_in, c_out), nn.BatchNorm1d(c_out), nn.ReLU()]
        self.mlp = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.out_norm = nn.LayerNorm(mlp[-1])

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """(N, T, C) -> (N, C'); see `TemporalEncoder.forward`."""
        return self.forward_with_attention(x, days, valid)[0]

    def forward_with_attention(self, x: Tensor, days: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, C) -> (N, C') and the attention (N, heads, T), zero where not valid."""
        x = self.in_norm(x.masked_fill(~valid.unsqueeze(-1), 0.0))
        x = add_day_encoding(x, self.day_encoding(days))
        if self.in_proj is not None:
            x = self.in_proj(x.transpose(1, 2)).transpose(1, 2)
        scores = self.attention(x, valid)  # N, heads, T
        attention = self.attention_dropout(masked_softmax(scores, valid.unsqueeze(1)))
        summed = (attention.to(x.dtype) @ x).flatten(1)  # N, heads * d_model
        return self.out_norm(self.dropout(self.mlp(summed))), attention


class MeanQueryAttention(nn.Module):
    """Scores of dates: each head compares a linear key of the date with the mean, over valid dates, of linear queries,
    which passes a batch norm and a linear map.

    No query or key of a single date is ever computed: the mean of linear maps is the linear map of the mean, and
    query . (K x) = (K^T query) . x.

    Args:
        dim: length of the features.
        num_heads: number of heads.
        key_dim: length of keys and queries.
    """

    def __init__(self, dim: int, num_heads: int, key_dim: int) -> None:
        super().__init__()
        self.num_heads, self.key_dim = num_heads, key_dim
        width = num_heads * key_dim
        self.query = nn.Linear(dim, width)
        self.query_norm = nn.BatchNorm1d(width)
        self.query_proj = nn.Linear(width, width)
        self.key = nn.Linear(dim, width)
        for layer in (self.query, self.key):
            nn.init.normal_(layer.weight, std=(2.0 / key_dim) ** 0.5)

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """(N, T, dim), finite, and bool (N, T) -> scores (N, heads, T), up to a constant per series and head."""
        weight = valid.to(x.dtype).unsqueeze(-1)
        mean = (x * weight).sum(1) / weight.sum(1).clamp(min=1.0)  # N, dim
        query = self.query_proj(self.query_norm(self.query(mean)))
        query = query.unflatten(-1, (self.num_heads, self.key_dim)) / self.key_dim**0.5  # N, heads, key_dim
        shape = (self.num_heads, self.key_dim)
        direction = torch.einsum('nhk,hkd->nhd', query, self.key.weight.to(query.dtype).unflatten(0, shape))
        # Nothing but zero: a softmax does not see the keys' bias, but it stays part of the graph.
        offset = (query * self.key.bias.to(query.dtype).view(shape)).sum(-1, keepdim=True)
        return direction @ x.to(direction.dtype).transpose(1, 2) + (offset - offset.detach())
