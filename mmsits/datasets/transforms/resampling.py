"""Series on other dates than those observed: interpolation to a regular grid of days, composites of periods.

Every sample then has the same days of its season, which is what networks of fixed length, random forests and maps from
many scenes want. What was observed when is lost; networks that read `days` and `valid` do without.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from mmseg.registry import TRANSFORMS

from mmsits.datasets.transforms.common import SensorNames
from mmsits.datasets.transforms.indices import spectral_index
from mmsits.datasets.transforms.whole_series import SeriesContext, SeriesTransform, cast_like
from mmsits.structures import ImageSeries

METHODS = ('median', 'mean', 'max_ndvi')


def interpolate_series(series: ImageSeries, wanted: np.ndarray) -> ImageSeries:
    """Linear interpolation in time from valid observations; before the first and after the last the nearest is held.

    Args:
        series: values (N,T,C,H,W), days (N,T), ascending where a date exists, valid (N,T,H,W) or (N,T,1,1).
        wanted: days to interpolate to, (N,G).

    Returns:
        values (N,G,C,H,W) float32, 0 where a pixel was never observed; days (N,G); valid (N,G,H,W) or (N,G,1,1),
        whether the pixel was ever observed.
    """
    series = series._replace(valid=_without_repetition(series.valid))
    before, after = _neighbours(series, wanted)
    seen = np.broadcast_to(series.valid.any(axis=1)[:, None], before.shape)
    days = series.days.astype(np.int64)[:, :, None, None]
    first, last = (np.take_along_axis(days, dates, axis=1) for dates in (before, after))
    span = (last - first).astype(np.float32)
    share = np.where(span > 0, (wanted[:, :, None, None] - first) / np.maximum(span, 1), 0).astype(np.float32)
    start = _take_dates(series.values, before)
    end = _take_dates(series.values, after)
    # In place: these are the largest arrays here.
    np.subtract(end, start, out=end)
    np.multiply(end, share[:, :, None], out=end)
    np.add(end, start, out=end)
    np.copyto(end, 0, where=~seen[:, :, None])
    return ImageSeries(end, wanted.astype(np.int32), seen)


def _without_repetition(valid: np.ndarray) -> np.ndarray:
    """Validity of whole dates, (N,T,1,1), where all pixels have the same: choosing dates is then much faster."""
    first = valid[:, :, :1, :1]
    return first if (valid == first).all() else valid


def _neighbours(series: ImageSeries, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the valid dates before (or on) and after each day wanted, of each pixel: (N,G,H,W) or (N,G,1,1).

    Both are the same before the first and after the last valid date, and 0 for a pixel without any.
    """
    valid = np.asarray(series.valid)
    count = valid.shape[1]
    # int32 halves the memory of what is the largest index here.
    index = np.arange(count, dtype=np.int32)[:, None, None]
    past = np.maximum.accumulate(np.where(valid, index, -1), axis=1)
    future = np.minimum.accumulate(np.where(valid, index, count)[:, ::-1], axis=1)[:, ::-1]
    edge = np.full_like(past[:, :1], -1)
    past, future = np.concatenate([edge, past], axis=1), np.concatenate([future, edge * 0 + count], axis=1)
    # Dates up to each day; a date that does not exist may carry any day, and takes that of the one before.
    exists = valid.any(axis=(2, 3))
    ascending = np.maximum.accumulate(np.where(exists, series.days, np.iinfo(np.int32).min), axis=1)
    position = (ascending[:, None, :] <= wanted[:, :, None]).sum(axis=2)[:, :, None, None]
    before, after = (np.take_along_axis(dates, position, axis=1) for dates in (past, future))
    before, after = np.where(before < 0, after, before), np.where(after == count, before, after)
    unseen = (before < 0) | (before == count)
    return np.where(unseen, 0, before), np.where(unseen, 0, after)


def _take_dates(values: np.ndarray, dates: np.ndarray) -> np.ndarray:
    """Values (N,T,C,H,W) at positions (N,G,H,W), or (N,G,1,1) for whole dates, as float32.

    As `np.take_along_axis`, several times faster: in flat memory, in the order that the values lie in.
    """
    count, length, bands, height, width = values.shape
    rows = np.arange(count)[:, None]
    if dates.shape[2:] == (1, 1):
        return values[rows, dates[:, :, 0, 0]].astype(np.float32)
    wanted, pixels = dates.shape[1], height * width
    series_and_date = rows[:, :, None] * length + dates.reshape(count, wanted, pixels)
    pixel = np.arange(pixels)
    by_pixel = np.moveaxis(values, 2, 4)
    if by_pixel.flags.c_contiguous:
        # A parcel's bands lie next to each other.
        taken = np.take(by_pixel.reshape(-1, bands), series_and_date * pixels + pixel, axis=0)
        return np.moveaxis(taken.astype(np.float32), 3, 2).reshape(count, wanted, bands, height, width)
    flat = np.ascontiguousarray(values).reshape(-1)
    taken = np.empty((count, wanted, bands, pixels), np.float32)
    first_band = series_and_date * (bands * pixels) + pixel
    for band in range(bands):
        taken[:, :, band] = np.take(flat[band * pixels :], first_band)
    return taken.reshape(count, wanted, bands, height, width)


def interpolate_to_grid(values: np.ndarray, days: np.ndarray, valid: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Interpolate pixels that share their dates; see :func:`interpolate_series`.

    Args:
        values: (T, C, P), observations of P pixels.
        days: (T,), dates in ascending order.
        valid: (T, P) or (T, 1) bool.
        grid: (G,), days to interpolate to.

    Returns:
        (G, C, P) float32; NaN where a pixel has no valid date.
    """
    series = ImageSeries(values[None, ..., None], days[None], valid[None, ..., None])
    filled = interpolate_series(series, np.asarray(grid)[None])
    return np.where(filled.valid[0, ..., 0][:, None], filled.values[0, ..., 0], np.float32('nan'))


@TRANSFORMS.register_module()
class InterpolateDates(SeriesTransform):
    """Bring each pixel to a regular grid of days by linear interpolation between its valid observations.

    Before its first and after its last observation the nearest one is held. A pixel that was ever observed is valid on
    all days, or with ``max_gap`` on those near enough to an observation. Integers are rounded and stay integers.

    Required keys: inputs, season_start, sensors_info. Changed keys: inputs.

    Args:
        step: days between two dates of the grid, at least 1.
        start: first day of the grid, days since the season start.
        end: last day of the grid at most, days since the season start.
        max_gap: a day further than so many days from the nearest valid observation is not valid; None for no limit.
        sensors: names of the sensors; None for all that change in time.

    Raises:
        ValueError: if step or grid cannot be.
    """

    def __init__(
        self, step: int = 10, start: int = 0, end: int = 364, max_gap: int | None = None, sensors: SensorNames = None
    ) -> None:
        if step < 1 or end < start or (max_gap is not None and max_gap < 0):
            raise ValueError(f'a grid from day {start} to {end} every {step} days (max_gap={max_gap}) cannot be')
        self.step, self.start, self.end = int(step), int(start), int(end)
        self.max_gap = max_gap
        self.sensors = sensors

    def change(self, series: ImageSeries, about: SeriesContext) -> ImageSeries:
        """Interpolate; see the class."""
        grid = np.arange(self.start, self.end + 1, self.step)
        wanted = about.starts[:, None] + grid
        filled = interpolate_series(series, wanted)
        values = cast_like(filled.values, series.values.dtype)
        if self.max_gap is None:
            return filled._replace(values=values)
        return filled._replace(values=values, valid=filled.valid & self._near(series, wanted))

    def _near(self, series: ImageSeries, wanted: np.ndarray) -> np.ndarray:
        days = series.days.astype(np.int64)[:, :, None, None]
        gaps = [
            np.abs(np.take_along_axis(days, dates, axis=1) - wanted[:, :, None, None])
            for dates in _neighbours(series, wanted)
        ]
        return np.minimum(*gaps) <= self.max_gap

    def __repr__(self) -> str:
        options = f'step={self.step}, start={self.start}, end={self.end}, max_gap={self.max_gap}'
        return f'{type(self).__name__}({options}, sensors={self.sensors})'


@TRANSFORMS.register_module()
class CompositeDates(SeriesTransform):
    """Join each pixel's valid observations of a period to one: composites of months, or of every n days.

    A period in which a pixel was not observed stays, and is not valid there; fill it by `HandleMissingValues` if a
    network cannot do without. The date of a composite is the middle of its period, whatever was observed when. Integers
    are rounded and stay integers.

    Required keys: inputs, season_start, sensors_info. Changed keys: inputs.

    Args:
        period: number of days, or 'month' for the twelve calendar months from that in which the season starts.
        method: 'median' or 'mean' of each band; 'max_ndvi' takes all bands of the observation with the highest NDVI
            (Holben, 1986), which clouds and haze rarely have.
        start: first day of the first period, days since the season start; not for 'month'.
        end: first day that is in no period any more, days since the season start; not for 'month'.
        sensors: names of the sensors; None for all that change in time.

    Raises:
        ValueError: if period or method cannot be, or 'max_ndvi' is asked of a sensor without red or near infrared.
    """

    def __init__(
        self,
        period: int | str = 'month',
        method: str = 'median',
        start: int = 0,
        end: int = 365,
        sensors: SensorNames = None,
    ) -> None:
        if method not in METHODS:
            raise ValueError(f'method must be one of {METHODS}, got {method!r}')
        if period == 'month' and (start, end) != (0, 365):
            raise ValueError("period='month' takes the twelve months of the season; start and end are for days")
        if period != 'month' and (not isinstance(period, int) or period < 1 or end <= start):
            raise ValueError(f"period must be 'month' or a number of days, got {period!r} from day {start} to {end}")
        self.period, self.method = period, method
        self.start, self.end = int(start), int(end)
        self.sensors = sensors

    def change(self, series: ImageSeries, about: SeriesContext) -> ImageSeries:
        """Join; see the class."""
        days = series.days.astype(np.int64)
        edges = self._edges(about.starts)
        # Period of each date: how many begin up to it.
        periods = (days[:, :, None] >= edges[:, None, :]).sum(axis=2) - 1
        periods[periods == edges.shape[1] - 1] = -1
        parts = [self._join(series, periods == number, about.info) for number in range(edges.shape[1] - 1)]
        values, valid = (np.stack(arrays, axis=1) for arrays in zip(*parts, strict=True))
        middles = (edges[:, :-1] + edges[:, 1:] - 1) // 2
        return ImageSeries(cast_like(values, series.values.dtype), middles.astype(np.int32), valid)

    def _edges(self, starts: np.ndarray) -> np.ndarray:
        """First day of each period, and the first day after the last one, (N,G+1)."""
        if self.period == 'month':
            first = starts.astype('datetime64[D]').astype('datetime64[M]')
            return (first[:, None] + np.arange(13)).astype('datetime64[D]').astype(np.int64)
        edges = np.arange(self.start, self.end, int(self.period))
        return starts[:, None].astype(np.int64) + np.append(edges, self.end)

    def _join(self, series: ImageSeries, inside: np.ndarray, info: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Composite (N,C,H,W) float32 of the dates inside (N,T), and where there is one, (N,H,W) or (N,1,1)."""
        valid = series.valid & inside[:, :, None, None]
        most = max(1, int(valid.any(axis=(2, 3)).sum(axis=1).max()))
        # Dates in which something was observed come first, in the order of time.
        keys = np.where(valid.any(axis=(2, 3)), series.days, np.iinfo(np.int32).max)
        dates = np.argsort(keys, axis=1, kind='stable')[:, :most]
        rows = np.arange(len(dates))[:, None]
        chosen, observed = series.values[rows, dates].astype(np.float32), valid[rows, dates]
        joined = _JOINED[self.method](chosen, observed, info)
        any_observed = observed.any(axis=1)
        return np.where(any_observed[:, None], joined, np.float32(0)), any_observed

    def __repr__(self) -> str:
        options = f'period={self.period!r}, method={self.method!r}, start={self.start}, end={self.end}'
        return f'{type(self).__name__}({options}, sensors={self.sensors})'


def _mean(values: np.ndarray, valid: np.ndarray, _: Any) -> np.ndarray:
    """Mean of valid observations: values (N,K,C,H,W), valid (N,K,H,W) or (N,K,1,1) -> (N,C,H,W)."""
    total = np.where(valid[:, :, None], values, 0).sum(axis=1, dtype=np.float64)
    return (total / np.maximum(valid.sum(axis=1), 1)[:, None]).astype(np.float32)


def _median(values: np.ndarray, valid: np.ndarray, _: Any) -> np.ndarray:
    """Median of valid observations; of an even number the mean of the middle two. Arguments as :func:`_mean`."""
    if values.shape[1] == 1:
        return values[:, 0]
    # Faster than numpy's nanmedian, which goes pixel by pixel.
    ordered = np.sort(np.where(valid[:, :, None], values, np.float32('inf')), axis=1)
    count = np.maximum(valid.sum(axis=1), 1)[:, None, None]
    low, high = (np.take_along_axis(ordered, middle, axis=1)[:, 0] for middle in ((count - 1) // 2, count // 2))
    with np.errstate(invalid='ignore'):
        return low + (high - low) / 2


def _max_ndvi(values: np.ndarray, valid: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
    """Observation with the highest NDVI, the earliest of several. Arguments as :func:`_mean`."""
    if 'NDVI' in info['bands']:
        ndvi = values[:, :, list(info['bands']).index('NDVI')]
    else:
        ndvi = spectral_index('NDVI', values, info)
    best = np.where(valid, ndvi, -np.inf).argmax(axis=1)
    return np.take_along_axis(values, best[:, None, None], axis=1)[:, 0]


_JOINED = dict(median=_median, mean=_mean, max_ndvi=_max_ndvi)
