"""GRU over the dates of a series, with day encoding: one of TimeMatch's encoders (Nyborg et al., 2022)."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..layers.day_encoding import OffsetDayEncoding, add_day_encoding
from ..layers.valid_dates import take_dates, valid_dates_first
from .base import TemporalEncoder


@MODELS.register_module()
class SeriesGRU(TemporalEncoder):
    """Day encoding, then a GRU over the valid dates in their order; its output at the last of them.

    Invalid dates are taken out beforehand, wherever they stand. A series without any valid date gives zero.

    Args:
        in_channels: C of the series.
        hidden_channels: C'.
        num_layers: of the GRU, one above the other.
        dropout: between these layers.
        period, day_offset: of the day encoding, see `OffsetDayEncoding`.
        init_cfg: mmengine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int = 128,
        hidden_channels: int = 128,
        num_layers: int = 1,
        dropout: float = 0.0,
        period: float = 1000.0,
        day_offset: float = 100.0,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(in_channels, hidden_channels, init_cfg)
        self.day_encoding = OffsetDayEncoding(in_channels, period, day_offset)
        self.gru = nn.GRU(in_channels, hidden_channels, num_layers, batch_first=True, dropout=dropout)

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """(N, T, C) -> (N, C'); see `TemporalEncoder.forward`."""
        x = add_day_encoding(x, self.day_encoding(days))
        if bool(valid.all()):
            return self.gru(x)[0][:, -1]
        order, count = valid_dates_first(valid)
        longest = max(int(count.max()), 1)
        x = x.masked_fill(~valid.unsqueeze(-1), 0.0)
        outputs = self.gru(take_dates(x, order[:, :longest]))[0]  # N, longest, C'
        # What follows the last valid date is not looked at.
        last = take_dates(outputs, (count - 1).clamp(min=0).unsqueeze(1)).squeeze(1)
        return torch.where(count.unsqueeze(1) > 0, last, 0.0)
