"""Learnt encodings of dates, as TSViT has them (Tarasiou et al., CVPR 2023, arXiv 2301.04944)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def day_of_year(days: Tensor, first_day: int = 1) -> Tensor:
    """Days of the year, from 1 to 366.

    Args:
        days: days since the model's reference date.
        first_day: day of the year of that date; days before and after the year go round, with 365 days. Where it is 1,
            366 is the last day of a leap year; where the season begins later, it is New Year.

    Returns:
        Int64, of the same shape. `first_day=0` takes days that are days of the year already, 0 too.
    """
    number = days.to(torch.int64) + first_day
    outside = (number < min(first_day, 1)) | (number > (366 if first_day <= 1 else 365))
    return torch.where(outside, (number - 1).remainder(365) + 1, number)


def cut_day_of_year(day: Tensor) -> Tensor:
    """What is left of a day of the year that is divided by 365.0001, multiplied again and cut, in single precision: of
    nineteen days, 13 to 239 and 366, the day before. The published networks were trained with it."""
    return ((day.to(torch.float32) / 365.0001) * 365.0001).to(torch.int64)


class DayOfYearEmbedding(nn.Module):
    """A learnt vector for every day of the year, and one that all have in common.

    Args:
        dim: D.
        num_days: rows of the table; the last one also stands for later days.
        first_day: see `day_of_year`.
        cut_days: as published, see `cut_day_of_year`.
    """

    def __init__(self, dim: int, num_days: int = 366, first_day: int = 1, cut_days: bool = False) -> None:
        super().__init__()
        self.num_days, self.first_day, self.cut_days = num_days, first_day, cut_days
        self.table = nn.Linear(num_days, dim)  # of a day's one-hot vector

    def forward(self, days: Tensor, exists: Tensor) -> Tensor:
        """Days (N, T) and bool (N, T), which exist; those that do not are day 0 -> (N, T, D)."""
        day = day_of_year(days, self.first_day)
        if self.cut_days:
            day = cut_day_of_year(day)
        index = day.masked_fill(~exists, 0).clamp(max=self.num_days - 1)
        return F.embedding(index, self.table.weight.T) + self.table.bias


class PlaceEmbedding(nn.Module):
    """A learnt vector for every place in a series, whatever its day.

    Args:
        dim: D.
        num_dates: places.
    """

    def __init__(self, dim: int, num_dates: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(1, num_dates, dim))

    def forward(self, days: Tensor, exists: Tensor) -> Tensor:
        """Days (N, T), not looked at, and bool (N, T), which count -> (N, T, D).

        Raises:
            ValueError: if there are more dates than places.
        """
        place = (exists.cumsum(1) - 1).clamp(min=0)
        if place.numel() and int(place.max()) >= self.table.shape[1]:
            raise ValueError(
                f'the network has {self.table.shape[1]} places for dates, a series has {int(place.max()) + 1}: let '
                'SampleDates choose some, or encode days instead'
            )
        return self.table[0][place]


class TrainingDaysEmbedding(nn.Module):
    """A learnt vector for every day of the year on which training data were taken; between them, other days are
    interpolated in evaluation mode.

    In training mode a day that is none of them takes the vector of the next one.

    Args:
        dim: D.
        training_days: days of the year, 0 to 365, in their order; day 0 is padding, and nothing is interpolated to it.
        first_day: see `day_of_year`.
        cut_days: as published, see `cut_day_of_year`.

    Raises:
        ValueError: if the days do not rise, or none is above 0.
    """

    training_days: Tensor

    def __init__(self, dim: int, training_days: Sequence[int], first_day: int = 1, cut_days: bool = False) -> None:
        super().__init__()
        days = [int(day) for day in training_days]
        if not days or days != sorted(set(days)) or days[-1] < 1:
            raise ValueError(f'training_days: rising days of the year with one above 0, got {days}')
        self.first_day, self.cut_days = first_day, cut_days
        self.register_buffer('training_days', torch.tensor(days), persistent=False)
        self.table = nn.Parameter(torch.randn(len(days), dim))

    def forward(self, days: Tensor, exists: Tensor) -> Tensor:
        """Days (N, T) and bool (N, T), which exist; those that do not are day 0 -> (N, T, D)."""
        day = day_of_year(days, self.first_day)
        if self.cut_days:
            day = cut_day_of_year(day)
        day = day.masked_fill(~exists, 0)
        if self.training:
            return self.table[self._next(day).clamp(max=len(self.training_days) - 1)]
        return self.evaluation_table()[(day - 1).clamp(min=0, max=364)]

    def evaluation_table(self) -> Tensor:
        """Vectors (365, D) of the days 1 to 365: interpolated, and beyond the ends the nearest."""
        real = self.training_days > 0
        days, table = self.training_days[real], self.table[real]
        asked = torch.arange(1, 366, device=days.device)
        above = torch.bucketize(asked, days).clamp(max=len(days) - 1)
        below = torch.where(days[above] > asked, (above - 1).clamp(min=0), above)
        gap = (days[above] - days[below]).clamp(min=1)
        share = ((asked - days[below]) / gap).clamp(0, 1).unsqueeze(1)
        return torch.lerp(table[below], table[above], share.to(table.dtype))

    def _next(self, day: Tensor) -> Tensor:
        return torch.bucketize(day, self.training_days)
