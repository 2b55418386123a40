"""Transforms of the time axis: choose, drop and shift dates.

All of them act before a memory-mapped file is read: put spatial crops first, then these, and only the window and
dates that are needed leave the disk.
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmsits.datasets.counter_random import choose_pairs, normal_numbers
from mmsits.datasets.errors import DataError, iso_day
from mmsits.datasets.transforms.common import (
    SensorNames,
    chosen_sensors,
    existing_dates,
    generator_of,
    keep_dates,
    remove_all_dates,
)

if TYPE_CHECKING:
    from mmsits.datasets.parcel_batch import ParcelBatch


@TRANSFORMS.register_module()
class SampleDates(BaseTransform):
    """Choose at most ``num_dates`` of the existing dates of each sensor; their order in time stays.

    A sensor with fewer dates keeps all of them, or repeats some. Dates without a valid pixel are never chosen before
    existing ones.

    Required keys: inputs, rng (if random). Changed keys: inputs.

    Args:
        num_dates: number of dates to keep, at least 1.
        random: draw without replacement; otherwise dates at even distances of position, first and last included.
        repeat: where there are fewer than ``num_dates``, draw with replacement, so that all series have as many.
        sensors: names of the sensors; None for all.

    Raises:
        ValueError: if ``num_dates`` is below 1, or dates are to be repeated that are not drawn at random.
    """

    def __init__(self, num_dates: int, random: bool = True, repeat: bool = False, sensors: SensorNames = None) -> None:
        if num_dates < 1:
            raise ValueError(f'num_dates must be at least 1, got {num_dates}')
        if repeat and not random:
            raise ValueError('repeat=True draws with replacement, which random=False excludes')
        self.num_dates = num_dates
        self.random, self.repeat = random, repeat
        self.sensors = sensors

    def transform(self, results: dict) -> dict:
        """Keep the chosen dates of each sensor."""
        for sensor in chosen_sensors(results, self.sensors):
            existing = np.flatnonzero(existing_dates(results['inputs'][sensor]))
            short = len(results['inputs'][sensor].days) <= self.num_dates
            if len(existing) == 0 or (short and not self.repeat):
                continue
            keep_dates(results, sensor, existing[self._positions(len(existing), results)])
        return results

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Keep the chosen dates of every parcel of a batch."""
        for sensor in batch.chosen(self.sensors).values():
            length = sensor.days.shape[1]
            if self.repeat:
                sensor.keep_dates(
                    _drawn_dates(sensor.exists, batch.random(max(length, self.num_dates)), self.num_dates)
                )
                continue
            if length <= self.num_dates:
                continue
            # Dates in ascending order of the key are chosen: those that do not exist come last.
            keys = batch.random(length) if self.random else _evenly_spread(sensor.exists, self.num_dates)
            keys = np.where(sensor.exists, keys, 2.0)
            sensor.keep_dates(np.sort(np.argsort(keys, axis=1, kind='stable')[:, : self.num_dates], axis=1))
        return batch

    def _positions(self, count: int, results: dict) -> np.ndarray:
        if count < self.num_dates and self.repeat:
            return np.sort(generator_of(results).integers(count, size=self.num_dates))
        if count <= self.num_dates:
            return np.arange(count)
        if self.random:
            return np.sort(generator_of(results).choice(count, self.num_dates, replace=False))
        return _even_positions(count, self.num_dates)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_dates={self.num_dates}, random={self.random}, repeat={self.repeat}, '
            f'sensors={self.sensors})'
        )


def _drawn_dates(exists: np.ndarray, fractions: np.ndarray, chosen: int) -> np.ndarray:
    """Draw existing dates, without replacement where there are enough, else with.

    Args:
        exists: (B,T) bool.
        fractions: (B, max(T, chosen)) uniform numbers.
        chosen: how many.

    Returns:
        (B,chosen) positions, ascending; those of a row without any date are any.
    """
    count = exists.sum(axis=1, keepdims=True)
    existing = np.argsort(~exists, axis=1, kind='stable')  # positions of the existing dates, in order
    again = np.sort((fractions[:, :chosen] * count).astype(np.int64), axis=1)
    drawn = np.take_along_axis(existing, again, axis=1)
    if exists.shape[1] >= chosen:
        keys = np.where(exists, fractions[:, : exists.shape[1]], 2.0)
        once = np.sort(np.argsort(keys, axis=1, kind='stable')[:, :chosen], axis=1)
        drawn = np.where(count < chosen, drawn, once)
    return drawn


def _even_positions(count: int, chosen: int) -> np.ndarray:
    """Positions at even distances out of `count`, first and last included, (chosen,)."""
    if chosen == 1:
        return np.array([count // 2])
    return np.round(np.linspace(0, count - 1, chosen)).astype(int)


def _evenly_spread(exists: np.ndarray, chosen: int) -> np.ndarray:
    """Keys (B,T), 0 at dates at even distances among those that exist, 1 elsewhere."""
    keys = np.ones(exists.shape)
    for row, mask in enumerate(exists):
        existing = np.flatnonzero(mask)
        keep = np.arange(len(existing)) if len(existing) <= chosen else _even_positions(len(existing), chosen)
        keys[row, existing[keep]] = 0
    return keys


@TRANSFORMS.register_module()
class DropDates(BaseTransform):
    """Drop a random share of the dates, each sensor by itself; at least one existing date stays.

    Required keys: inputs, rng. Changed keys: inputs.

    Args:
        share: share of the dates to drop, 0 ≤ share < 1; a pair draws the share uniformly between the two.
        probability: probability with which a sample is touched at all.
        sensors: names of the sensors; None for all.

    Raises:
        ValueError: if a share lies outside [0, 1).
    """

    def __init__(
        self,
        share: float | tuple[float, float] = (0.0, 0.5),
        probability: float = 1.0,
        sensors: SensorNames = None,
    ) -> None:
        low, high = (share, share) if isinstance(share, int | float) else share
        if not 0 <= low <= high < 1:
            raise ValueError(f'share must lie in [0, 1), smaller value first, got {share}')
        self.low, self.high = float(low), float(high)
        self.probability = probability
        self.sensors = sensors

    def transform(self, results: dict) -> dict:
        """Drop dates at random."""
        rng = generator_of(results)
        if rng.random() >= self.probability:
            return results
        for sensor in chosen_sensors(results, self.sensors):
            existing = np.flatnonzero(existing_dates(results['inputs'][sensor]))
            if len(existing) == 0:
                continue
            dropped = round(rng.uniform(self.low, self.high) * len(existing))
            kept = rng.choice(existing, max(1, len(existing) - dropped), replace=False)
            keep_dates(results, sensor, np.sort(kept))
        return results

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Take random dates of every parcel as not observed."""
        touched = batch.random(1)[:, 0] < self.probability
        for sensor in batch.chosen(self.sensors).values():
            shares = self.low + (self.high - self.low) * batch.random(1)[:, 0]
            existing = sensor.exists.sum(axis=1)
            dropped = np.minimum(np.rint(shares * existing), existing - 1) * touched
            keys = np.where(sensor.exists, batch.random(sensor.days.shape[1]), 2.0)
            rank = keys.argsort(axis=1, kind='stable').argsort(axis=1, kind='stable')
            sensor.exists = sensor.exists & (rank >= dropped[:, None])
        return batch

    def __repr__(self) -> str:
        return f'{type(self).__name__}(share=({self.low}, {self.high}), probability={self.probability})'


@TRANSFORMS.register_module()
class ThinDates(BaseTransform):
    """Drop every date with the same probability, independently of the others; at least one existing date stays.

    Required keys: inputs, rng. Changed keys: inputs.

    Args:
        probability: probability of each date, 0 ≤ probability < 1.
        sensors: names of the sensors; None for all.

    Raises:
        ValueError: if the probability is out of range.
    """

    def __init__(self, probability: float = 0.15, sensors: SensorNames = None) -> None:
        if not 0 <= probability < 1:
            raise ValueError(f'probability must lie in [0, 1), got {probability}')
        self.probability = probability
        self.sensors = sensors

    def transform(self, results: dict) -> dict:
        """Drop dates at random."""
        rng = generator_of(results)
        for sensor in chosen_sensors(results, self.sensors):
            exists = existing_dates(results['inputs'][sensor])
            if exists.any():
                kept = self._kept(exists[None], rng.random((1, len(exists))))[0]
                keep_dates(results, sensor, np.flatnonzero(kept))
        return results

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Take the dropped dates of every parcel as not observed."""
        for sensor in batch.chosen(self.sensors).values():
            sensor.exists = self._kept(sensor.exists, batch.random(sensor.days.shape[1]))
        return batch

    def _kept(self, exists: np.ndarray, fractions: np.ndarray) -> np.ndarray:
        """Which dates (B,T) stay: those with large numbers, that with the largest in any case."""
        largest = np.where(exists, fractions, -1.0).argmax(axis=1)
        kept = fractions >= self.probability
        kept[np.arange(len(kept)), largest] = True
        return exists & kept

    def __repr__(self) -> str:
        return f'{type(self).__name__}(probability={self.probability}, sensors={self.sensors})'


class RearrangeDates(BaseTransform):
    """Base of transforms by which observations change places in time while the days stay as they are: what was seen on
    one day is said to have been seen on another.

    Required keys: inputs, rng. Changed keys: inputs.

    Args:
        probability: probability with which a sample is touched at all.
        sensors: names of the sensors; None for all, each by itself.

    Raises:
        ValueError: if the probability is out of range.
    """

    DRAWS = 0
    """How many random numbers `places` takes."""

    def __init__(self, probability: float = 0.5, sensors: SensorNames = None) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f'probability must lie in [0, 1], got {probability}')
        self.probability = probability
        self.sensors = sensors

    def places(self, counts: np.ndarray, length: int, fractions: np.ndarray) -> np.ndarray:
        """From which observation each one is taken, both counted among the existing ones.

        Args:
            counts: (B,) existing dates of each series.
            length: T.
            fractions: (B,DRAWS) uniform numbers.

        Returns:
            (B,T), at least the first `counts` of each row with meaning.
        """
        raise NotImplementedError

    def transform(self, results: dict) -> dict:
        """Rearrange the observations of one sample."""
        rng = generator_of(results)
        for sensor in chosen_sensors(results, self.sensors):
            series = results['inputs'][sensor]
            index, touched = self._index(existing_dates(series)[None], rng.random((1, 1 + self.DRAWS)))
            if touched[0]:
                values, valid = series.values[index[0]], np.asarray(series.valid)[index[0]]
                results['inputs'][sensor] = series._replace(values=values, valid=valid)
                positions = results.get('date_index', {})
                if sensor in positions:
                    positions[sensor] = positions[sensor][index[0]]
        return results

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Rearrange the observations of every parcel, before they are read."""
        for sensor in batch.chosen(self.sensors).values():
            index, touched = self._index(sensor.exists, batch.random(1 + self.DRAWS))
            sensor.dates = np.take_along_axis(sensor.dates, index, axis=1)
            batch.notes[f'{type(self).__name__} touched'] = touched
        return batch

    def _index(self, exists: np.ndarray, fractions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """From which date (B,T) each one takes its observation, and which series (B,) were touched."""
        counts, length = exists.sum(axis=1), exists.shape[1]
        touched = (fractions[:, 0] < self.probability) & (counts > 1)
        order = np.argsort(~exists, axis=1, kind='stable')  # existing dates first, in order
        places = np.where(
            (np.arange(length) < counts[:, None]) & touched[:, None],
            self.places(np.maximum(counts, 1), length, fractions[:, 1:]),
            np.arange(length),
        )
        index = np.empty_like(order)
        np.put_along_axis(index, order, np.take_along_axis(order, places, axis=1), axis=1)
        return index, touched

    def __repr__(self) -> str:
        return f'{type(self).__name__}(probability={self.probability}, sensors={self.sensors})'


@TRANSFORMS.register_module()
class RollDates(RearrangeDates):
    """Move all observations by some dates, the last ones to the front; the days stay (SITS-MoCo's temporal shift).

    The shift is normal with a standard deviation of 0.3 `max_steps`, cut off at `max_steps`, rounded towards zero.

    Args:
        max_steps: most dates that a series is moved by.
        probability: see `RearrangeDates`.
        sensors: see `RearrangeDates`.

    Raises:
        ValueError: if an argument is out of range.
    """

    DRAWS = 1

    def __init__(self, max_steps: int = 6, probability: float = 0.5, sensors: SensorNames = None) -> None:
        super().__init__(probability, sensors)
        if max_steps < 0:
            raise ValueError(f'max_steps must not be negative, got {max_steps}')
        self.max_steps = max_steps

    def shifts(self, fractions: np.ndarray) -> np.ndarray:
        """Shifts, int64, from uniform numbers of the same shape."""
        return np.trunc(np.clip(0.3 * normal_numbers(fractions), -1, 1) * self.max_steps).astype(np.int64)

    def places(self, counts: np.ndarray, length: int, fractions: np.ndarray) -> np.ndarray:
        """See `RearrangeDates`."""
        return (np.arange(length) - self.shifts(fractions)) % counts[:, None]


@TRANSFORMS.register_module()
class SwapDates(RearrangeDates):
    """Exchange the observations of two dates; the days stay.

    Args:
        probability: see `RearrangeDates`.
        sensors: see `RearrangeDates`.
    """

    DRAWS = 2

    def places(self, counts: np.ndarray, length: int, fractions: np.ndarray) -> np.ndarray:
        """See `RearrangeDates`."""
        pairs = choose_pairs(np.maximum(counts, 2), fractions)
        places = np.broadcast_to(np.arange(length), (len(counts), length)).copy()
        np.put_along_axis(places, np.minimum(pairs, length - 1), np.minimum(pairs[:, ::-1], length - 1), axis=1)
        return places


def days_until(date: str, season_start: int) -> int:
    """Days from a season start to the first such day that does not lie before it.

    Args:
        date: 'MM-DD'.
        season_start: days since 1970-01-01.

    Returns:
        0 for the season start itself. Behind the end of February of a leap year it is one more than of others; where a
        season has no 29 February, that day is 1 March.
    """
    month, day = (int(part) for part in date.split('-'))
    start = datetime.date(1970, 1, 1) + datetime.timedelta(days=int(season_start))
    # By its name, not by the date: 29 February of a year without one is not the first day of a season from 1 March on.
    year = start.year + ((month, day) < (start.month, start.day))
    return (datetime.date(year, month, 1) + datetime.timedelta(days=day - 1) - start).days


@TRANSFORMS.register_module()
class CropDays(BaseTransform):
    """Keep the dates of a window of the season: ``start`` ≤ day − season start < ``end``.

    ``CropDays(end=120)`` shows a model what is known 120 days into the season (early-season classification),
    ``CropDays(until='06-30')`` what is known at the end of June, in leap years too. A sensor without a date in the
    window becomes the empty series: one date, no valid pixel.

    Required keys: inputs, season_start. Changed keys: inputs.

    Args:
        start: first day of the window, days after the season start; None for no limit.
        end: first day after the window; None for no limit.
        until: instead of ``end``, the last day of the window as 'MM-DD': the first such day of each sample's own
            season.
        sensors: names of the sensors; None for all.

    Raises:
        ValueError: if the window is empty, has two ends, or ``until`` is no such day.
    """

    def __init__(
        self,
        start: int | None = None,
        end: int | None = None,
        until: str | None = None,
        sensors: SensorNames = None,
    ) -> None:
        if start is not None and end is not None and start >= end:
            raise ValueError(f'the window of days is empty: start {start}, end {end}')
        if until is not None and end is not None:
            raise ValueError(f'the window of days has two ends, got end={end} and until={until!r}')
        if until is not None:
            _check_day(until)
        self.start = start
        self.end = end
        self.until = until
        self.sensors = sensors

    def transform(self, results: dict) -> dict:
        """Keep the dates inside the window."""
        start = results['season_start']
        end = self._end(start)
        for sensor in chosen_sensors(results, self.sensors):
            days = results['inputs'][sensor].days.astype(np.int64) - start
            inside = np.ones(len(days), bool)
            if self.start is not None:
                inside &= days >= self.start
            if end is not None:
                inside &= days < end
            if not inside.any():
                remove_all_dates(results, sensor)
            elif not inside.all():
                keep_dates(results, sensor, np.flatnonzero(inside))
        return results

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Take the dates outside the window as not observed."""
        starts, place = np.unique(batch.season_starts, return_inverse=True)
        ends = [self._end(start) for start in starts]
        for sensor in batch.chosen(self.sensors).values():
            days = sensor.days - batch.season_starts[:, None]
            if self.start is not None:
                sensor.exists &= days >= self.start
            if None not in ends:
                sensor.exists &= days < np.array(ends)[place][:, None]
        return batch

    def _end(self, season_start: int) -> int | None:
        """First day after the window of a sample."""
        return self.end if self.until is None else days_until(self.until, season_start) + 1

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(start={self.start}, end={self.end}, until={self.until!r}, sensors={self.sensors})'
        )


def _check_day(date: str) -> None:
    try:
        # A leap year has all days.
        datetime.date.fromisoformat(f'2016-{date}')
    except (TypeError, ValueError) as error:
        raise ValueError(f"{date!r} is not a day of the year: give 'MM-DD', got another form") from error


@TRANSFORMS.register_module()
class ShiftDays(BaseTransform):
    """Move all dates of a sample by the same number of days; the season start stays.

    Augments against differences of season between places and years (the temporal shift of TimeMatch, Nyborg et al.
    2022, §3.3). Distances between dates, and between sensors, are unchanged.

    Required keys: inputs, rng (for a range). Changed keys: inputs. Added keys: day_shift.

    Args:
        days: the shift in days, or the two ends (included) between which it is drawn.
    """

    def __init__(self, days: int | tuple[int, int]) -> None:
        low, high = (days, days) if isinstance(days, int) else days
        if low > high:
            raise ValueError(f'the smaller shift comes first, got {days}')
        self.low, self.high = int(low), int(high)

    def transform(self, results: dict) -> dict:
        """Add the shift to the days of all sensors."""
        shift = self.low
        if self.low != self.high:
            shift = int(generator_of(results).integers(self.low, self.high + 1))
        for sensor, series in results['inputs'].items():
            results['inputs'][sensor] = series._replace(days=series.days + np.int32(shift))
        results['day_shift'] = results.get('day_shift', 0) + shift
        return results

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Add a shift of its own to the days of every parcel."""
        count = self.high - self.low + 1
        shifts = self.low + (batch.random(1) * count).astype(np.int32)
        for sensor in batch.sensors.values():
            sensor.days = sensor.days + shifts.astype(np.int32)
        return batch

    def __repr__(self) -> str:
        return f'{type(self).__name__}(days=({self.low}, {self.high}))'


@TRANSFORMS.register_module()
class SelectDate(BaseTransform):
    """Keep one date (the published ``mono_date`` of PASTIS): by position, or the nearest to a calendar date.

    Required keys: inputs. Changed keys: inputs.

    Args:
        date: position of the date (negative counts from the end), or ``'YYYY-MM-DD'``: the nearest existing date is
            taken, the earlier one of two equally near.
        sensors: names of the sensors; None for all.

    Raises:
        DataError: if the series is too short for the position.
    """

    def __init__(self, date: int | str, sensors: SensorNames = None) -> None:
        self.date = date
        self.day: int | None = None
        if isinstance(date, str):
            self.day = (datetime.date.fromisoformat(date) - datetime.date(1970, 1, 1)).days
        self.sensors = sensors

    def transform(self, results: dict) -> dict:
        """Keep the one date of each sensor."""
        for sensor in chosen_sensors(results, self.sensors):
            keep_dates(results, sensor, np.array([self._position(results, sensor)]))
        return results

    def _position(self, results: dict, sensor: str) -> int:
        series = results['inputs'][sensor]
        if self.day is not None:
            distance = np.abs(series.days.astype(np.int64) - self.day)
            existing = existing_dates(series)
            if existing.any():
                distance = np.where(existing, distance, np.iinfo(np.int64).max)
            return int(distance.argmin())
        position = int(self.date)
        length = len(series.days)
        if not -length <= position < length:
            raise DataError(
                f'date number {position} was asked for, the {sensor} series has {length} dates '
                f'({iso_day(series.days[0])} to {iso_day(series.days[-1])})',
                path=results.get('paths', {}).get(sensor),
                sample_id=results.get('sample_id'),
                hint='Give a smaller position or a calendar date to SelectDate.',
            )
        return position % length

    def __repr__(self) -> str:
        return f'{type(self).__name__}(date={self.date!r}, sensors={self.sensors})'
