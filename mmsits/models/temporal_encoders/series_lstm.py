"""LSTM over the dates of a series, in both directions of time (Russwurm and Koerner, 2020, arXiv 1910.10536; with
`states='all_cells'` the baseline of Xu et al., ISPRS J. 2024, doi 10.1016/j.isprsjprs.2023.12.005)."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from ..layers.day_encoding import OffsetDayEncoding, add_day_encoding
from ..layers.valid_dates import take_dates, valid_dates_first
from .base import TemporalEncoder

STATES = ('last_outputs', 'all_cells')


@MODELS.register_module()
class SeriesLSTM(TemporalEncoder):
    """Day encoding, then an LSTM over the valid dates in their order, forwards and backwards.

    The last states of both directions stand one behind the other: after the last valid date, and before the first.
    With `states='all_cells'` it is the cells of all layers, not the last one's outputs. Invalid dates are taken out
    beforehand, wherever they stand. A series without any valid date gives zero.

    Args:
        in_channels: C of the series, even if there is a day encoding, which is as wide.
        hidden_channels: width of each direction; C' is twice as many, or that times `num_layers` for 'all_cells'.
        num_layers: of the LSTM, one above the other.
        dropout: between these layers.
        bias: of the LSTM.
        states: 'last_outputs' or 'all_cells'.
        layer_norms: one in front of the LSTM, one behind its states.
        positional_encoding: False leaves the day encoding out; then only the order of dates matters.
        zeros_where_invalid: go over invalid dates too, as zeros, as published. The result then depends on the padding.
        period, day_offset: of the day encoding, see `OffsetDayEncoding`.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: if `states` is unknown, or `in_channels` is odd with day encoding.
    """

    def __init__(
        self,
        in_channels: int = 128,
        hidden_channels: int = 128,
        num_layers: int = 2,
        dropout: float = 0.0,
        bias: bool = True,
        states: str = 'last_outputs',
        layer_norms: bool = False,
        positional_encoding: bool = True,
        zeros_where_invalid: bool = False,
        period: float = 1000.0,
        day_offset: float = 100.0,
        init_cfg: Any = None,
    ) -> None:
        if states not in STATES:
            raise ValueError(f'states={states!r}: expected one of {STATES}')
        width = 2 * hidden_channels * (num_layers if states == 'all_cells' else 1)
        super().__init__(in_channels, width, init_cfg)
        self.states, self.zeros_where_invalid = states, zeros_where_invalid
        self.in_norm = nn.LayerNorm(in_channels) if layer_norms else nn.Identity()
        self.day_encoding = OffsetDayEncoding(in_channels, period, day_offset) if positional_encoding else None
        self.lstm = nn.LSTM(
            in_channels, hidden_channels, num_layers, bias, batch_first=True, dropout=dropout, bidirectional=True
        )
        self.out_norm = nn.LayerNorm(width) if layer_norms else nn.Identity()

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """(N, T, C) -> (N, C'); see `TemporalEncoder.forward`."""
        x = self.in_norm(x.masked_fill(~valid.unsqueeze(-1), 0.0))
        if self.day_encoding is not None:
            x = add_day_encoding(x, self.day_encoding(days))
        if self.zeros_where_invalid:
            return self.out_norm(self._joined(*self.lstm(x)[1]))
        order, count = valid_dates_first(valid)
        # A packed sequence has one date at least; what comes of the stand-in is not looked at.
        lengths = count.clamp(min=1).cpu()
        packed = pack_padded_sequence(take_dates(x, order), lengths, batch_first=True, enforce_sorted=False)
        encoded = self.out_norm(self._joined(*self.lstm(packed)[1]))
        return torch.where(count.unsqueeze(1) > 0, encoded, 0.0)

    def _joined(self, outputs: Tensor, cells: Tensor) -> Tensor:
        """Last outputs and cells (2 num_layers, N, hidden), the two directions of a layer side by side -> (N, C')."""
        chosen = outputs[-2:] if self.states == 'last_outputs' else cells
        return chosen.transpose(0, 1).flatten(1)
