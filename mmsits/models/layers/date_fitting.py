"""Bring series of images to the number of dates that a network was made for."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn

from .valid_dates import ToFixedLength, valid_dates_first

FitMode = Literal['resample', 'reflect', 'zeros']


class FitDates(nn.Module):
    """Bring the dates that exist in each series, in their order, to one number.

    The others have no influence, whatever a batch adds of them.

    Args:
        length: number of steps.
        mode: 'resample': stretched or squeezed by linear interpolation (`ToFixedLength`). 'reflect': mirrored at both
            ends, without repeating the first and last date, floor((length - n) / 2) steps in front and the rest
            behind; n = 12 dates become 16 as 2 1 0 1 … 10 11 10 9. Series of more than `length` dates are resampled.
            'zeros': as many steps of zeros instead; of longer series the middle is kept.

    Raises:
        ValueError: if `length` is below 1 or the mode unknown.
    """

    def __init__(self, length: int, mode: FitMode = 'resample') -> None:
        super().__init__()
        if mode not in get_args(FitMode):
            raise ValueError(f'fit of dates: expected one of {", ".join(get_args(FitMode))}; got {mode!r}')
        self.resample = ToFixedLength(length)
        self.length, self.mode = length, mode

    def forward(self, values: Tensor, exists: Tensor) -> Tensor:
        """Fit series.

        Args:
            values: (N, T, ...); what stands at dates that do not exist has no influence.
            exists: bool (N, T).

        Returns:
            (N, length, ...); `values` themselves where T = `length` and all dates exist. Zero for a series without any.
        """
        if values.shape[1] == self.length and bool(exists.all()):
            return values
        if self.mode == 'resample':
            return self._resampled(values, exists)
        order, count = valid_dates_first(exists)
        step = torch.arange(self.length, device=exists.device)
        # Rounded down for longer series too: of an odd surplus, the one date more is cut in front.
        front = torch.div(self.length - count, 2, rounding_mode='floor')
        place = step - front.unsqueeze(1)  # N, length: the number of the existing date
        count = count.unsqueeze(1)
        if self.mode == 'zeros':
            return _take(values, order, place, (place >= 0) & (place < count))
        fitted = _take(values, order, _mirrored(place, count), count > 0)
        longer = count > self.length
        if not longer.any():
            return fitted
        return torch.where(_as_wide(longer, values), self._resampled(values, exists), fitted)

    def _resampled(self, values: Tensor, exists: Tensor) -> Tensor:
        # The network knows no days, so they are left at 0.
        steps, _ = self.resample(values.flatten(2), torch.zeros_like(exists, dtype=torch.float32), exists)
        return steps.unflatten(2, values.shape[2:])

    def extra_repr(self) -> str:
        """Length and mode, for `repr`."""
        return f'{self.length}, {self.mode}'


def _mirrored(place: Tensor, count: Tensor) -> Tensor:
    """Positions on a line that is folded at 0 and count - 1."""
    period = (2 * (count - 1)).clamp(min=1)
    place = place % period
    return torch.where(place < count, place, period - place)


def _take(values: Tensor, order: Tensor, place: Tensor, kept: Tensor) -> Tensor:
    """Existing dates by their number; zero where not kept."""
    positions = order.gather(1, place.clamp(0, order.shape[1] - 1))
    taken = values[torch.arange(len(values), device=values.device).unsqueeze(1), positions]
    return taken if kept.all() else taken.masked_fill(~_as_wide(kept, values), 0.0)


def _as_wide(mask: Tensor, values: Tensor) -> Tensor:
    """(N, L) with as many dimensions as the values have."""
    return mask.view(*mask.shape, *(1,) * (values.ndim - 2))
