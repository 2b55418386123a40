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
        self.attention_dropout = nn.Dropout(attention_dropout)
        # Dropout in front of ReLU gives the same numbers as behind it, and one wide map less is kept for the gradient.
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden_channels),
            nn.Dropout(dropout),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_channels, width),
        )

    def forward(self, x: Tensor, attended: Tensor | None, kept: int | None = None) -> Tensor:
        """As `AttentionLayer.forward`."""
        share = self.attention_dropout.p if self.training else 0.0
        x = self.attention_norm(x[:, :kept] + self.dropout(self.attend(x, attended, share, kept)))
        return self.mlp_norm(x + self.dropout(self.mlp(x)))
