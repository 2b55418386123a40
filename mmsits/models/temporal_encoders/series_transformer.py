"""Transformer encoder over the dates of a series (Russwurm and Koerner, ISPRS J. 2020, arXiv 1910.10536; pre-norm
layers after Xiong et al., 2020)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..layers.day_encoding import OffsetDayEncoding, add_day_encoding
from .base import TemporalEncoder


@MODELS.register_module()
class SeriesTransformer(TemporalEncoder):
    """Linear map, day encoding, layers of self-attention among valid dates, maximum over them.

    Invalid dates are neither attended to nor pooled. A series without any valid date gives zero.

    Args:
        in_channels: C of the series.
        d_model: width of the layers, even; C'.
        n_head: heads; divides `d_model`.
        num_layers: number of layers.
        hidden_channels: width of each layer's perceptron.
        dropout: on what attention and perceptron add.
        period, day_offset: of the day encoding, see `OffsetDayEncoding`.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: for widths and heads that do not fit each other.
    """

    def __init__(
        self,
        in_channels: int = 128,
        d_model: int = 64,
        n_head: int = 4,
        num_layers: int = 3,
        hidden_channels: int = 256,
        dropout: float = 0.1,
        period: float = 1000.0,
        day_offset: float = 100.0,
        init_cfg: Any = None,
    ) -> None:
        if d_model % n_head:
            raise ValueError(f'n_head: {n_head} heads do not divide {d_model} channels')
        super().__init__(in_channels, d_model, init_cfg)
        self.in_proj = nn.Linear(in_channels, d_model)
        self.in_norm = nn.LayerNorm(d_model)
        self.day_encoding = OffsetDayEncoding(d_model, period, day_offset)
        self.layers = nn.ModuleList(
            AttentionLayer(d_model, n_head, hidden_channels, dropout) for _ in range(num_layers)
        )
        self.out_norm = nn.LayerNorm(d_model)

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """(N, T, C) -> (N, C'); see `TemporalEncoder.forward`."""
        x = self.in_norm(self.in_proj(x.masked_fill(~valid.unsqueeze(-1), 0.0)))
        x = add_day_encoding(x, self.day_encoding(days).to(x.dtype))
        observed = valid.any(1, keepdim=True)  # N, 1
        # A softmax over no date is undefined: such a series attends to all of its zeros, and gives zero in the end.
        attended = (valid | ~observed)[:, None, None]  # N, 1, 1, T
        for layer in self.layers:
            x = layer(x, attended)
        x = self.out_norm(x).masked_fill(~valid.unsqueeze(-1), torch.finfo(x.dtype).min)
        return torch.where(observed, x.amax(1), 0.0)


class AttentionLayer(nn.Module):
    """Self-attention among dates and a perceptron per date, each added to its layer-normed input's origin.

    Args:
        width: channels.
        num_heads: heads; divides `width`.
        hidden_channels: of the perceptron.
        dropout: on what both add.
    """

    def __init__(self, width: int, num_heads: int, hidden_channels: int, dropout: float) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_proj = nn.Linear(width, width)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, hidden_channels), nn.GELU(), nn.Linear(hidden_channels, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, attended: Tensor) -> Tensor:
        """(N, T, C) and bool (N, 1, 1, T), which dates are looked at -> (N, T, C)."""
        heads = self.query_key_value(self.attention_norm(x)).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each N, heads, T, C / heads
        summed = F.scaled_dot_product_attention(query, key, value, attn_mask=attended)
        x = x + self.dropout(self.attention_proj(summed.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))
