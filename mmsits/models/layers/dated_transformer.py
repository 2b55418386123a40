"""Transformer layers among the dates of a pixel that keep one feature vector per date (Qin et al., JAG 2025, doi
10.1016/j.jag.2025.104426)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from .attention_layer import PostNormAttentionLayer
from .day_encoding import DayEncoding, add_day_encoding
from .masked_norm import TemporalGroupNorm


class DatedTransformer(nn.Module):
    """Group norm over a pixel's series, day encoding, layers of self-attention among its valid dates.

    Args:
        width: channels D.
        num_layers: number of layers.
        num_heads: heads of each layer; divides `width`.
        hidden_channels: width of each layer's perceptron.
        norm_groups: groups of channels of the norm in front, whose statistics are taken over a group's channels and
            the valid dates of one pixel; divides `width`.
        day_repeats: the day encoding has `width` / `day_repeats` elements and is repeated so often; divides `width`.
        period: of the day encoding, see `DayEncoding`.
        dropout: on what attention and perceptron add, and inside the perceptron.
        attention_dropout: on the attention weights.

    Raises:
        ValueError: for numbers that do not divide the width.
    """

    def __init__(
        self,
        width: int,
        num_layers: int = 3,
        num_heads: int = 8,
        hidden_channels: int = 1024,
        norm_groups: int = 8,
        day_repeats: int = 8,
        period: float = 1000.0,
        dropout: float = 0.1,
        attention_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        for name, number in (('num_heads', num_heads), ('norm_groups', norm_groups), ('day_repeats', day_repeats)):
            if number < 1 or width % number:
                raise ValueError(f'{name}: {number} does not divide {width} channels')
        self.in_norm = TemporalGroupNorm(norm_groups, width)
        self.day_encoding, self.day_repeats = DayEncoding(width // day_repeats, period), day_repeats
        self.layers = nn.ModuleList(
            PostNormAttentionLayer(width, num_heads, hidden_channels, dropout, attention_dropout)
            for _ in range(num_layers)
        )

    def forward(self, rows: Tensor, days: Tensor, valid: Tensor | None = None) -> Tensor:
        """Encode series.

        Args:
            rows: (R, T, D), a pixel's series each; finite also where not valid.
            days: (B, T) with B dividing R: each belongs to R / B consecutive rows.
            valid: bool (R, T), or None if all dates are.

        Returns:
            (R, T, D), finite, and unspecified where not valid.
        """
        rows, attended = self._embed(rows, days, valid)
        for layer in self.layers:
            rows = layer(rows, attended)
        return rows

    def forward_with_attention(self, rows: Tensor, days: Tensor, valid: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """As `forward`, and the weights of the last layer's attention (R, T looking, T looked at)."""
        rows, attended = self._embed(rows, days, valid)
        weights = rows.new_zeros(())
        layer: Any
        for layer in self.layers:
            weights = layer.attention_weights(rows, attended)
            rows = layer(rows, attended)
        return rows, weights

    def _embed(self, rows: Tensor, days: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor | None]:
        encoding = self.day_encoding(days).tile(self.day_repeats).to(rows.dtype)  # B, T, D
        rows = add_day_encoding(self.in_norm(rows, valid), encoding)
        if valid is None:
            return rows, None
        # A softmax over no date is undefined: a series without any attends to whatever stands there.
        return rows, (valid | ~valid.any(1, keepdim=True))[:, None, None]  # R, 1, 1, T


def pool_dates(dated: Tensor, valid: Tensor | None) -> Tensor:
    """The maximum over valid dates.

    Args:
        dated: (..., T, D).
        valid: bool (..., T), or None if all are.

    Returns:
        (..., D), zero where no date is valid.
    """
    if valid is None:
        return dated.amax(-2)
    pooled = dated.masked_fill(~valid.unsqueeze(-1), torch.finfo(dated.dtype).min).amax(-2)
    return pooled.masked_fill(~valid.any(-1).unsqueeze(-1), 0.0)
