"""Recurrent layers whose states are maps: ConvLSTM (Shi et al., NIPS 2015, without peepholes) and ConvGRU, as in the
baselines of U-TAE (Garnot and Landrieu, ICCV 2021)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import accumulate
from typing import Literal

import torch
from torch import Tensor, nn

from .date_packing import DatePacking

Cell = Literal['lstm', 'gru']
State = tuple[Tensor, ...]


class RecurrentCell(nn.Module, ABC):
    """One step of a recurrence over maps.

    Args:
        in_channels: of the maps.
        hidden_channels: of the state.

    Attributes:
        parts: tensors of the state; the last one is what is used after the last step.
    """

    parts = 1

    def __init__(self, in_channels: int, hidden_channels: int) -> None:
        super().__init__()
        self.in_channels, self.hidden_channels = in_channels, hidden_channels

    @abstractmethod
    def forward(self, x: Tensor, state: State) -> State:
        """Map (N, C, H, W) and state, `parts` times (N, C', H, W) -> the next state."""


class ConvLSTMCell(RecurrentCell):
    """Long short-term memory; the state is hidden and cell map, and the cell map comes out.

    Args:
        in_channels: of the maps.
        hidden_channels: of the state.
        kernel_size: odd; borders are padded with zeros.
    """

    parts = 2

    def __init__(self, in_channels: int, hidden_channels: int, kernel_size: int = 3) -> None:
        super().__init__(in_channels, hidden_channels)
        self.conv = nn.Conv2d(in_channels + hidden_channels, 4 * hidden_channels, kernel_size, padding=kernel_size // 2)

    def forward(self, x: Tensor, state: State) -> State:
        """(N, C, H, W), hidden and cell (N, C', H, W) -> hidden and cell."""
        hidden, cell = state
        take, forget, out, candidate = self.conv(torch.cat([x, hidden], 1)).chunk(4, 1)
        cell = forget.sigmoid() * cell + take.sigmoid() * candidate.tanh()
        return out.sigmoid() * cell.tanh(), cell


class ConvGRUCell(RecurrentCell):
    """Gated recurrent unit.

    Args:
        in_channels: of the maps.
        hidden_channels: of the state.
        kernel_size: odd; borders are padded with zeros.
    """

    def __init__(self, in_channels: int, hidden_channels: int, kernel_size: int = 3) -> None:
        super().__init__(in_channels, hidden_channels)
        width, padding = in_channels + hidden_channels, kernel_size // 2
        self.gates = nn.Conv2d(width, 2 * hidden_channels, kernel_size, padding=padding)
        self.candidate = nn.Conv2d(width, hidden_channels, kernel_size, padding=padding)

    def forward(self, x: Tensor, state: State) -> State:
        """(N, C, H, W), hidden (N, C', H, W) -> hidden."""
        (hidden,) = state
        update, reset = self.gates(torch.cat([x, hidden], 1)).sigmoid().chunk(2, 1)
        candidate = self.candidate(torch.cat([x, reset * hidden], 1)).tanh()
        return ((1 - update) * hidden + update * candidate,)


_CELLS: dict[str, type[ConvLSTMCell | ConvGRUCell]] = {'lstm': ConvLSTMCell, 'gru': ConvGRUCell}


class ConvRecurrence(nn.Module):
    """Run over the dates of each series, and give the state behind the last one.

    Only dates that exist are run over, in their order, so padding changes nothing and costs nothing.

    Args:
        in_channels: of the maps.
        hidden_channels: of the state.
        cell: 'lstm' or 'gru'.
        kernel_size: of the cell's convolutions, odd.
        bidirectional: run another cell from the last date to the first, and put its state behind the first one's.
        runs_over_padding: as published, run over all dates of the batch, those that do not exist being zero: what a
            series gives then depends on how long the others are.

    Raises:
        ValueError: for an unknown cell.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        cell: Cell = 'lstm',
        kernel_size: int = 3,
        bidirectional: bool = False,
        runs_over_padding: bool = False,
    ) -> None:
        super().__init__()
        if cell not in _CELLS:
            raise ValueError(f'cell: expected one of {", ".join(_CELLS)}; got {cell!r}')
        self.runs_over_padding = runs_over_padding
        self.out_channels = (1 + bidirectional) * hidden_channels
        self.ahead = _CELLS[cell](in_channels, hidden_channels, kernel_size)
        self.back = _CELLS[cell](in_channels, hidden_channels, kernel_size) if bidirectional else None

    def forward(self, maps: Tensor, dates: DatePacking) -> Tensor:
        """Run.

        Args:
            maps: (M, C, H, W), the existing dates.
            dates: which date belongs to which series.

        Returns:
            (N, out_channels, H, W), zero for a series without any date.
        """
        if self.runs_over_padding and not dates.complete:
            maps = dates.unpack(maps).flatten(0, 1)
            dates = DatePacking(torch.ones_like(dates.exists))
        last = run_cell(self.ahead, maps, dates)
        if self.back is None:
            return last
        return torch.cat([last, run_cell(self.back, maps, dates, backwards=True)], 1)


def run_cell(cell: RecurrentCell, maps: Tensor, dates: DatePacking, backwards: bool = False) -> Tensor:
    """The state of a cell behind the last date of each series, or behind the first one.

    Args:
        cell: the cell.
        maps: (M, C, H, W), the existing dates.
        dates: which date belongs to which series.
        backwards: from the last date to the first.

    Returns:
        (N, C', H, W), zero for a series without any date.
    """
    counts = dates.counts.tolist()
    starts = [0, *accumulate(counts)]
    shape = (len(counts), cell.hidden_channels, *maps.shape[2:])
    state: State = tuple(maps.new_zeros(shape) for _ in range(cell.parts))
    for step in range(max(counts, default=0)):
        # The dates of a series stand one behind the other; series that are over keep their state.
        rows = [row for row, count in enumerate(counts) if count > step]
        places = [starts[row] + (counts[row] - 1 - step if backwards else step) for row in rows]
        x = maps[torch.tensor(places, device=maps.device)]
        if len(rows) == len(counts):
            state = cell(x, state)
            continue
        running = torch.tensor(rows, device=maps.device)
        new = cell(x, tuple(part[running] for part in state))
        state = tuple(old.index_copy(0, running, part.to(old.dtype)) for old, part in zip(state, new, strict=True))
    return state[-1]
