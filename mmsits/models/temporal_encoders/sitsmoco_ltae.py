"""L-TAE in the form that SITS-MoCo compares with (Xu et al., ISPRS J. 2024, doi 10.1016/j.isprsjprs.2023.12.005)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor, nn

from ..layers.day_encoding import DayEncoding
from ..layers.linear_block import linear_blocks
from ..layers.master_query import MasterQueryAttention
from ..layers.valid_dates import ToFixedLength, ToLengthWithZeros
from .base import TemporalEncoder
from .post_norm_transformer import embed_dates


@MODELS.register_module()
class SITSMoCoLTAE(TemporalEncoder):
    """Perceptron per date, layer norm, projection, layer norm over channels and dates jointly, attention with one
    learnt query per head, perceptron, layer norm: a network of fixed length.

    Beside `TimeMatchLTAE`: a perceptron in front; a layer norm with a weight for each channel and step behind the
    projection; days count from the series' first date, so a season that begins later looks the same.

    Series are brought to `length` steps first (`ToFixedLength`).

    Args:
        in_channels: C of the series.
        embed_channels: widths of the perceptron in front.
        n_head: number of heads; divides `d_model`.
        d_k: length of keys and queries.
        d_model: width after the projection.
        mlp: widths of the perceptron behind `d_model`, C' the last.
        length: number of steps.
        dropout: on the features after the perceptron.
        attention_dropout: on the attention weights.
        period: of the day encoding, in days.
        zeros_where_invalid: fill series up to `length` with zeros instead of stretching them, put zeros where a date is
            not valid, attend to these and count them in all norms, as published. The result then depends on the
            padding.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: for widths and heads that do not fit each other.
    """

    def __init__(
        self,
        in_channels: int = 10,
        embed_channels: Sequence[int] = (32, 64, 128),
        n_head: int = 16,
        d_k: int = 8,
        d_model: int = 256,
        mlp: Sequence[int] = (128,),
        length: int = 70,
        dropout: float = 0.2,
        attention_dropout: float = 0.1,
        period: float = 1000.0,
        zeros_where_invalid: bool = False,
        init_cfg: Any = None,
    ) -> None:
        if not embed_channels or not mlp:
            raise ValueError(f'expected at least one width each, got {list(embed_channels)} and {list(mlp)}')
        if d_model % n_head:
            raise ValueError(f'n_head: {n_head} heads do not divide {d_model} channels')
        super().__init__(in_channels, mlp[-1], init_cfg)
        self.zeros_where_invalid = zeros_where_invalid
        self.to_fixed_length = (ToLengthWithZeros if zeros_where_invalid else ToFixedLength)(length)
        self.embed = linear_blocks([in_channels, *embed_channels], bias=True)
        self.in_norm = nn.LayerNorm(embed_channels[-1])
        # A linear map per date, as a convolution of width 1: the published layer, and its initialisation.
        self.in_proj = nn.Conv1d(embed_channels[-1], d_model, 1)
        self.series_norm = nn.LayerNorm([d_model, length])
        self.day_encoding = DayEncoding(d_model, period, double=True)
        self.attention = MasterQueryAttention(d_model, n_head, d_k)
        self.attention_dropout = nn.Dropout(attention_dropout)
        self.mlp = linear_blocks([d_model, *mlp], bias=True)
        self.dropout = nn.Dropout(dropout)
        self.out_norm = nn.LayerNorm(mlp[-1])

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """(N, T, C) -> (N, C'); see `TemporalEncoder.forward`."""
        x, since_first = self._fixed(x, days, valid)
        observed = valid.any(1, keepdim=True) if not self.zeros_where_invalid else valid.new_ones(len(valid), 1)
        exists = observed.expand(-1, x.shape[1])
        x = self.in_norm(embed_dates(self.embed, x, exists, padding_in_norms=False))
        x = self.series_norm(self.in_proj(x.transpose(1, 2))).transpose(1, 2)  # N, L, d_model
        x = x + self.day_encoding(since_first).to(x.dtype)
        summed = self.attention.pool(x, None, self.attention_dropout)[0]
        return self.out_norm(self.dropout(self.mlp(summed)))

    def _fixed(self, x: Tensor, days: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Series of fixed length, and days since the first of them, 0 in filled steps."""
        steps, at = self.to_fixed_length(x, days, valid)
        since_first = at - at[:, :1]
        if len(since_first) != len(steps):
            since_first = since_first.repeat_interleave(len(steps) // len(since_first), 0)
        if self.zeros_where_invalid:
            # Filled steps have day 0 rather than one before the first.
            since_first = since_first.clamp(min=0)
        return steps, since_first
