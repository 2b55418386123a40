"""Bring the valid dates of series to the front, or to a fixed number: for networks that look at their order."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def valid_dates_first(valid: Tensor) -> tuple[Tensor, Tensor]:
    """Where each series' valid dates are.

    Args:
        valid: bool (N, T).

    Returns:
        Int64 (N, T): positions of the valid dates in their order, then of the others; and int64 (N,): how many are
        valid.
    """
    order = valid.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    return order, valid.sum(1)


def take_dates(x: Tensor, positions: Tensor) -> Tensor:
    """(N, T, C) and positions (N, L) -> (N, L, C)."""
    return x.gather(1, positions.unsqueeze(-1).expand(-1, -1, x.shape[-1]))


class ToFixedLength(nn.Module):
    """Bring the valid dates of every series to one number, for networks of fixed length.

    The n valid dates of a series, in their order, are stretched or squeezed to `length` steps: step i stands at date i
    (n - 1) / (length - 1) and is interpolated linearly between its two neighbours, values and days alike. So n =
    `length` changes nothing, invalid dates have no influence, and what the network is told about days stays true. One
    single valid date is repeated.

    Args:
        length: number of steps.

    Raises:
        ValueError: if `length` is below 1.
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        if length < 1:
            raise ValueError(f'length: at least one date, got {length}')
        self.length = length

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Resample series.

        Args:
            x: (N, T, C); what stands where not valid has no influence.
            days: (N, T), or (B, T) with B dividing N.
            valid: bool (N, T).

        Returns:
            (N, length, C), and days (N, length) as floats; `x` and `days` themselves where T = `length` and all dates
            are valid. Zero for a series without any valid date.
        """
        if x.shape[1] == self.length and bool(valid.all()):
            return x, days
        if len(days) != len(x):
            days = days.repeat_interleave(len(x) // len(days), 0)
        order, count = valid_dates_first(valid)
        below, above, share = self._places(count)  # N, length
        below, above = order.gather(1, below), order.gather(1, above)
        x = x.masked_fill(~valid.unsqueeze(-1), 0.0)
        # A series without any valid date takes date 0, which is not valid: zero.
        days = days.to(torch.float32).masked_fill(~valid, 0.0)
        steps = torch.lerp(take_dates(x, below), take_dates(x, above), share.to(x.dtype).unsqueeze(-1))
        return steps, torch.lerp(days.gather(1, below), days.gather(1, above), share)

    def _places(self, count: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """For each series and step: the valid dates before and after it (by their number), and how far it is between
        them. In integers, so that a series of the right length is copied exactly."""
        gaps = max(self.length - 1, 1)
        last = (count - 1).clamp(min=0).unsqueeze(1)  # N, 1
        place = torch.arange(self.length, device=count.device) * last  # N, length, in units of 1 / gaps
        below = place // gaps
        share = (place % gaps).to(torch.float32) / gaps
        return below, torch.minimum(below + 1, last), share


class ToLengthWithZeros(nn.Module):
    """Fill series up to one number of dates with zeros, and put zeros where a date is not valid: what published
    networks of fixed length do. Results then depend on where the invalid dates stand.

    Args:
        length: number of dates.

    Raises:
        ValueError: if `length` is below 1.
    """

    def __init__(self, length: int) -> None:
        super().__init__()
        if length < 1:
            raise ValueError(f'length: at least one date, got {length}')
        self.length = length

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """Arguments and results as for `ToFixedLength`; days are 0 where not valid.

        Raises:
            ValueError: if there are more dates than `length`.
        """
        missing = self.length - x.shape[1]
        if missing < 0:
            raise ValueError(
                f'the network takes {self.length} dates, the series has {x.shape[1]}: let SampleDates choose '
                f'{self.length} of them'
            )
        if len(days) != len(x):
            days = days.repeat_interleave(len(x) // len(days), 0)
        x = x.masked_fill(~valid.unsqueeze(-1), 0.0)
        days = days.masked_fill(~valid, 0)
        return F.pad(x, (0, 0, 0, missing)), F.pad(days, (0, missing))
