"""Series of several sensors as one, on the dates of all of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmsits.structures import ImageSeries, dates_exist

_LATEST = 2**31 - 1


def join_series(series: Sequence[ImageSeries]) -> ImageSeries:
    """All bands on the dates of all sensors, in the order of days.

    At another sensor's date a pixel is interpolated linearly in time between its neighbouring valid dates, and holds
    the first or last of them outside; a pixel that a sensor never saw is 0 in its bands. A pixel is valid on a date if
    any sensor saw it that day.

    Args:
        series: of one grid (H, W), values (N, T_i, C_i, H, W); what stands where not valid has no influence.

    Returns:
        values (N, sum T_i, sum C_i, H, W), days ascending, dates that do not exist behind; valid (N, sum T_i, H, W).

    Raises:
        ValueError: if heights or widths differ.
    """
    sizes = {tuple(each.values.shape[-2:]) for each in series}
    if len(sizes) > 1:
        raise ValueError(f'early fusion needs all sensors on one grid, got {sorted(sizes)}: resample when loading')
    days = torch.cat([each.days for each in series], 1)
    exists = torch.cat([dates_exist(each.valid) for each in series], 1)
    order = days.masked_fill(~exists, _LATEST).argsort(dim=1, stable=True)
    days, exists = days.gather(1, order), exists.gather(1, order)
    height, width = series[0].values.shape[-2:]
    valid = torch.cat([each.valid.expand(*each.valid.shape[:2], height, width) for each in series], 1)
    rows = torch.arange(len(days), device=days.device).unsqueeze(1)
    values = torch.cat([interpolate_to(each, days) for each in series], 2)
    values = values.masked_fill(~exists[:, :, None, None, None], 0.0)
    return ImageSeries(values, days.masked_fill(~exists, 0), valid[rows, order])


def interpolate_to(series: ImageSeries, days: Tensor) -> Tensor:
    """Values of a series at given days, pixel by pixel between valid dates.

    Args:
        series: values (N, T, C, H, W).
        days: (N, L).

    Returns:
        (N, L, C, H, W); zero where a pixel has no valid date.
    """
    values, own_days, valid = _existing_first(series)
    dates = valid.shape[1]
    own = torch.arange(dates, device=days.device)[:, None, None]
    last = torch.where(valid, own, -1).cummax(1).values  # N, T, h, w: the newest valid date so far
    following = torch.where(valid, own, dates).flip(1).cummin(1).values.flip(1)
    days = days.contiguous()
    before = _at(last, torch.searchsorted(own_days, days, right=True) - 1, -1)  # N, L, h, w
    after = _at(following, torch.searchsorted(own_days, days), dates)
    known_before, known_after = before >= 0, after < dates
    before = torch.where(known_before, before, after.clamp(max=dates - 1))
    after = torch.where(known_after, after, before)
    start, stop = _days_at(own_days, before), _days_at(own_days, after)
    share = (days[:, :, None, None] - start) / (stop - start).clamp(min=1)
    share = share.masked_fill(stop == start, 0.0).to(values.dtype)
    taken = torch.lerp(_take(values, before), _take(values, after), share.unsqueeze(2))
    return taken.masked_fill(~(known_before | known_after).unsqueeze(2), 0.0)


def _existing_first(series: ImageSeries) -> ImageSeries:
    """Dates that exist in their order, then the others; those lie after all days. Zero where not valid."""
    values, days, valid = series
    exists = dates_exist(valid)
    days, order = days.masked_fill(~exists, _LATEST).sort(dim=1, stable=True)
    rows = torch.arange(len(days), device=days.device).unsqueeze(1)
    return ImageSeries(values.masked_fill(~valid.unsqueeze(2), 0.0)[rows, order], days, valid[rows, order])


def _at(positions: Tensor, dates: Tensor, outside: int) -> Tensor:
    """(N, T, h, w) at dates (N, L) -> (N, L, h, w); `outside` where the date is none."""
    inside = (dates >= 0) & (dates < positions.shape[1])
    rows = torch.arange(len(dates), device=dates.device).unsqueeze(1)
    taken = positions[rows, dates.clamp(0, positions.shape[1] - 1)]
    return taken.masked_fill(~inside[..., None, None], outside)


def _days_at(own_days: Tensor, positions: Tensor) -> Tensor:
    """Days (N, T) at positions (N, L, h, w), as floats."""
    return own_days.gather(1, positions.flatten(1)).view(positions.shape).to(torch.float32)


def _take(values: Tensor, positions: Tensor) -> Tensor:
    """(N, T, C, H, W) at positions (N, L, h, w) -> (N, L, C, H, W)."""
    shape = (*positions.shape[:2], *values.shape[2:])
    return values.gather(1, positions.unsqueeze(2).expand(shape))
