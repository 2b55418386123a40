"""The months before the harvest that CropMapping's composites are made of (Rangzan and Ramezanpour)."""

from __future__ import annotations

import calendar
import datetime

WINDOWS = 6
"""Composites of a series."""
GAP = 1
"""Months between the end of the last window and the harvest."""


def months_before(date: datetime.date, months: int) -> datetime.date:
    """The day so many calendar months earlier, cut to the end of a shorter month: 31 March less one is 28 February."""
    year, month = divmod(12 * date.year + date.month - 1 - months, 12)
    return datetime.date(year, month + 1, min(date.day, calendar.monthrange(year, month + 1)[1]))


def monthly_windows(harvest: datetime.date) -> tuple[tuple[datetime.date, datetime.date], ...]:
    """The six windows of a harvest, oldest first.

    Window i of 6, 5, …, 1 goes from i + 1 to i months before the harvest, its end excluded; each end is counted from
    the harvest itself. So nothing of the last month is seen: what is mapped was known a month before the harvest.

    Args:
        harvest: first day of the harvest.

    Returns:
        (first day, day behind the last) of each window.
    """
    return tuple((months_before(harvest, i + GAP), months_before(harvest, i)) for i in range(WINDOWS, 0, -1))


def window_days(harvest: datetime.date) -> tuple[datetime.date, ...]:
    """The middle day of each window, oldest first: the date that a composite is given."""
    return tuple(start + (end - start) // 2 for start, end in monthly_windows(harvest))
