"""Attention with one learnt query per head, the 'master query' of L-TAE (Garnot and Landrieu, 2020, section 3)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def masked_softmax(scores: Tensor, valid: Tensor) -> Tensor:
    """Softmax over the last dimension among valid entries; 0 elsewhere, and everywhere in a row without any.

    Never NaN, in value and in gradient, as no infinity is used.

    Args:
        scores: (..., T).
        valid: bool, broadcasts over `scores`.
    """
    lowest = torch.finfo(scores.dtype).min
    return scores.masked_fill(~valid, lowest).softmax(-1).masked_fill(~valid, 0.0)


class MasterQueryAttention(nn.Module):
    """Scores of dates: each head compares its own learnt query with a linear key of the date. Values are not projected.

    As the query does not depend on the input, query and key projection fold into one vector per head (`folded`): head
    h's score of a feature v is query_h . (K_h v + b_h) / sqrt(key_dim) = direction_h . v + offset_h.

    Args:
        dim: length of the features.
        num_heads: number of heads.
        key_dim: length of keys and queries (d_k of the paper).
    """

    def __init__(self, dim: int, num_heads: int, key_dim: int) -> None:
        super().__init__()
        self.num_heads, self.key_dim = num_heads, key_dim
        self.query = nn.Parameter(torch.empty(num_heads, key_dim))
        self.key = nn.Linear(dim, num_heads * key_dim)
        std = (2.0 / key_dim) ** 0.5
        nn.init.normal_(self.query, std=std)
        nn.init.normal_(self.key.weight, std=std)

    def pool(self, x: Tensor, valid: Tensor | None, dropout: nn.Module) -> tuple[Tensor, Tensor]:
        """Sum dates by attention, each head its own share of the channels.

        Args:
            x: (N, T, dim), finite; the heads divide dim.
            valid: bool (N, T), or None to attend to all dates.
            dropout: applied to the attention.

        Returns:
            (N, dim), and the attention (N, heads, T), zero where not valid.
        """
        direction, offset = self.folded()  # heads, dim; heads
        # Nothing but zero: a constant per head does not change a softmax, but the key's bias stays part of the graph.
        zero = (offset - offset.detach()).unsqueeze(-1)
        scores = direction.to(x.dtype) @ x.transpose(1, 2) + zero.to(x.dtype)  # N, heads, T
        attention = scores.softmax(-1) if valid is None else masked_softmax(scores, valid.unsqueeze(1))
        attention = dropout(attention)
        share = x.unflatten(-1, (self.num_heads, -1))  # N, T, heads, dim / heads
        return torch.einsum('nht,nthc->nhc', attention, share).flatten(1), attention

    def folded(self) -> tuple[Tensor, Tensor]:
        """Direction (heads, dim) and offset (heads,) with score = direction . feature + offset.

        In float64: a few thousand multiplications, whose rounding would otherwise shift every score.
        """
        query = self.query.double() / self.key_dim**0.5
        shape = (self.num_heads, self.key_dim)
        direction = torch.einsum('hk,hkd->hd', query, self.key.weight.double().unflatten(0, shape))
        offset = (query * self.key.bias.double().view(shape)).sum(1)
        return direction, offset
