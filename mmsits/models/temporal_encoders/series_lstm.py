"""LSTM over the dates of a series, in both directions of time (Russwurm and Koerner, 2020, arXiv 1910.10536)."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from ..layers.day_encoding import OffsetDayEncoding, add_day_encoding
from ..layers.valid_dates import take_dates, valid_dates_first
from .base import TemporalEncoder


@MODELS.register_module()
class SeriesLSTM(TemporalEncoder):
    """Day encoding, then an LSTM over the valid dates in their order, forwards and backwards.

    The last states of both directions stand one behind the other: after the last valid date, and before the first.
    Invalid dates are taken out beforehand, wherever they stand. A series without any valid date gives zero.

    Args:
        in_channels: C of the series, even (the day encoding is as wide).
        hidden_channels: width of each direction; C' is twice as many.
        num_layers: of the LSTM, one above the other.
        dropout: between these layers.
        period, day_offset: of the day encoding, see `OffsetDayEncoding`.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: if `in_channels` is odd.
    """

    def __init__(
        self,
        in_channels: int = 128,
        hidden_channels: int = 128,
        num_layers: int = 2,
        dropout: float = 0.0,
        period: float = 1000.0,
        day_offset: float = 100.0,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(in_channels, 2 * hidden_channels, init_cfg)
        self.day_encoding = OffsetDayEncoding(in_channels, period, day_offset)
        self.lstm = nn.LSTM(
            in_channels, hidden_channels, num_layers, batch_first=True, dropout=dropout, bidirectional=True
        )

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """(N, T, C) -> (N, C'); see `TemporalEncoder.forward`."""
        x = add_day_encoding(x.masked_fill(~valid.unsqueeze(-1), 0.0), self.day_encoding(days))
        order, count = valid_dates_first(valid)
        # A packed sequence has one date at least; what comes of the stand-in is not looked at.
        lengths = count.clamp(min=1).cpu()
        packed = pack_padded_sequence(take_dates(x, order), lengths, batch_first=True, enforce_sorted=False)
        states = self.lstm(packed)[1][0]  # 2 num_layers, N, hidden: the last layer's two directions stand last
        return torch.where(count.unsqueeze(1) > 0, torch.cat([states[-2], states[-1]], 1), 0.0)
