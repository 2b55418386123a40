"""Layers of self-attention among the dates of a series (Vaswani et al., 2017; pre-norm after Xiong et al., 2020)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

_LARGEST_SCORES = 2**22
"""So many scores of attention are kept at once on a processor: 16 MiB, which its caches hold."""


def attention_over_dates(query: Tensor, key: Tensor, value: Tensor, attended: Tensor | None, dropout: float) -> Tensor:
    """torch's attention, with little memory also where a processor has no fused kernel, which is with dropout.

    There the rows are taken some at a time, and their scores computed again for the gradient: quicker, too, than to
    write the scores of all of them to memory and read them back.

    Args:
        query: (N, heads, T, C / heads).
        key: likewise.
        value: likewise.
        attended: bool (N, 1, 1, T), or None for all dates.
        dropout: on the attention weights.

    Returns:
        (N, heads, T, C / heads).
    """
    scores_per_row = query.shape[1] * query.shape[2] * key.shape[2]
    rows = max(1, _LARGEST_SCORES // max(1, scores_per_row))
    fused = not dropout or query.device.type != 'cpu' or not torch.is_grad_enabled()
    if fused or rows >= len(query):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=attended, dropout_p=dropout)
    masks = (None,) * len(query.split(rows)) if attended is None else attended.split(rows)
    parts = [
        checkpoint(F.scaled_dot_product_attention, *part, dropout, use_reentrant=False)
        for part in zip(query.split(rows), key.split(rows), value.split(rows), masks, strict=True)
    ]
    return torch.cat(parts)


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
        x = x + self.dropout(self.attend(self.attention_norm(x), attended))
        return x + self.dropout(self.mlp(self.mlp_norm(x)))

    def attend(self, x: Tensor, attended: Tensor | None, dropout: float = 0.0) -> Tensor:
        """Self-attention alone; `dropout` is that of the attention weights, None attends to all dates."""
        heads = self.query_key_value(x).unflatten(-1, (3, self.num_heads, -1))
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # each N, heads, T, C / heads
        summed = attention_over_dates(query, key, value, attended, dropout)
        return self.attention_proj(summed.transpose(1, 2).flatten(2))

    def attention_weights(self, x: Tensor, attended: Tensor | None = None) -> Tensor:
        """How much each date looks at each other one, (N, T looking, T looked at), the mean over the heads.

        For pictures: `attend` itself never writes the weights to memory. Arguments as for `attend`.
        """
        query, key, _ = self.query_key_value(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
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
        self.attention_dropout = nn.Dropout(attention_dropout)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden_channels),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden_channels, width),
        )

    def forward(self, x: Tensor, attended: Tensor | None) -> Tensor:
        """(N, T, C) and bool (N, 1, 1, T), which dates are looked at, or None for all -> (N, T, C)."""
        share = self.attention_dropout.p if self.training else 0.0
        x = self.attention_norm(x + self.dropout(self.attend(x, attended, share)))
        return self.mlp_norm(x + self.dropout(self.mlp(x)))
