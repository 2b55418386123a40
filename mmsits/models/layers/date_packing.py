"""Work on the dates that exist, and on no others.

Series of one batch differ in length, so a batch (N, T, ...) contains dates that exist in no series. `DatePacking` takes
the existing ones out, one behind the other, so that whatever is applied date by date costs nothing for padding, and
puts results back.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class DatePacking:
    """The way from (N, T, ...) to the M existing dates (M, ...) and back.

    The M dates stand in the order of the batch: those of the first series first, each series in its own order of dates.

    Args:
        exists: bool (N, T), whether the date exists in the series.
    """

    def __init__(self, exists: Tensor) -> None:
        if exists.ndim != 2 or exists.dtype != torch.bool:
            raise ValueError(f'exists: expected a bool tensor (N, T), got {exists.dtype} {tuple(exists.shape)}')
        self.exists = exists
        self.complete = bool(exists.all())
        self.index = exists.flatten().nonzero().squeeze(1)  # M positions among the N * T
        self.counts = exists.sum(1)  # N

    @property
    def series(self) -> Tensor:
        """Int64 (M,): the row of the batch that each date belongs to."""
        return self.index // self.exists.shape[1]

    def pack(self, values: Tensor) -> Tensor:
        """(N, T, ...) -> (M, ...); a view when every date exists."""
        flat = values.flatten(0, 1)
        return flat if self.complete else flat.index_select(0, self.index)

    def unpack(self, packed: Tensor) -> Tensor:
        """(M, ...) -> (N, T, ...), zero where a date does not exist."""
        shape = self.exists.shape + packed.shape[1:]
        if self.complete:
            return packed.reshape(shape)
        flat = packed.new_zeros((self.exists.numel(), *packed.shape[1:]))
        return flat.index_copy(0, self.index, packed).view(shape)

    def sum_dates(self, packed: Tensor) -> Tensor:
        """(M, ...) -> (N, ...): the sum over the dates of each series, zero for a series without any."""
        if self.complete:
            return packed.unflatten(0, tuple(self.exists.shape)).sum(1)
        rows = packed.split(self.counts.tolist())
        return torch.stack([row.sum(0) for row in rows])


def shared_over_dates(block: Callable[[Tensor], Tensor], values: Tensor, exists: Tensor) -> Tensor:
    """Apply a block for images to each existing date of a batch of series.

    Args:
        block: maps (M, C, H, W) to (M, C', H', W').
        values: (N, T, C, H, W).
        exists: bool (N, T).

    Returns:
        (N, T, C', H', W'), zero where a date does not exist.
    """
    dates = DatePacking(exists)
    return dates.unpack(block(dates.pack(values)))
