"""Interpolate series to fixed days of the season, on the device: for networks that look at every day by itself."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .valid_dates import take_dates, valid_dates_first


class ToRegularDays(nn.Module):
    """Interpolate the valid dates of every series linearly to days at equal distances.

    Before a series' first valid date, and after its last one, the value there is held. Invalid dates have no influence.

    Args:
        start, stop: first and last of the days, counted from the model's reference date.
        length: number of days.

    Raises:
        ValueError: if there is no day, or the last is before the first.
    """

    grid: Tensor

    def __init__(self, start: float, stop: float, length: int) -> None:
        super().__init__()
        if length < 1 or stop < start:
            raise ValueError(f'one day at least from {start} to {stop} is needed, got {length}')
        # Made from the arguments, hence not in the checkpoint.
        self.register_buffer('grid', torch.linspace(start, stop, length), persistent=False)
        self.length = length

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """Interpolate.

        Args:
            x: (N, T, C); what stands where not valid has no influence.
            days: (N, T), or (B, T) with B dividing N; valid ones ascend.
            valid: bool (N, T).

        Returns:
            (N, length, C); zero for a series without any valid date.
        """
        if len(days) != len(x):
            days = days.repeat_interleave(len(x) // len(days), 0)
        order, count = valid_dates_first(valid)
        count = count.unsqueeze(1)
        last = (count - 1).clamp(min=0)
        behind = torch.arange(days.shape[1], device=days.device) >= count
        dates = days.gather(1, order).float().masked_fill(behind, torch.inf)  # N, T, ascending
        after = torch.searchsorted(dates, self.grid.expand(len(x), -1).contiguous(), right=True)  # N, length
        below, above = (after - 1).clamp(min=0), torch.minimum(after, last)
        span = dates.gather(1, above) - dates.gather(1, below)
        # Before the first date, after the last one, and on one: nothing to go.
        share = torch.where(span > 0, (self.grid - dates.gather(1, below)) / span, 0.0).unsqueeze(-1).to(x.dtype)
        x = take_dates(x.masked_fill(~valid.unsqueeze(-1), 0.0), order)
        return torch.lerp(take_dates(x, below), take_dates(x, above), share)
