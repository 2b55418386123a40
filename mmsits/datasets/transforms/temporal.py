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

    A sensor with fewer dates keeps all of them. Dates without a valid pixel are never chosen before existing ones.

    Required keys: inputs, rng (if random). Changed keys: inputs.

    Args:
        num_dates: number of dates to keep, at least 1.
        random: draw without replacement; otherwise dates at even distances of position, first and last included.
        sensors: names of the sensors; None for all.

    Raises:
        ValueError: if ``num_dates`` is below 1.
    """

    def __init__(self, num_dates: int, random: bool = True, sensors: SensorNames = None) -> None:
        if num_dates < 1:
            raise ValueError(f'num_dates must be at least 1, got {num_dates}')
        self.num_dates = num_dates
        self.random = random
        self.sensors = sensors

    def transform(self, results: dict) -> dict:
        """Keep the chosen dates of each sensor."""
        for sensor in chosen_sensors(results, self.sensors):
            existing = np.flatnonzero(existing_dates(results['inputs'][sensor]))
            if len(existing) == 0 or len(results['inputs'][sensor].days) <= self.num_dates:
                continue
            keep_dates(results, sensor, existing[self._positions(len(existing), results)])
        return results

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Keep the chosen dates of every parcel of a batch."""
        for sensor in batch.chosen(self.sensors).values():
            length = sensor.days.shape[1]
            if length <= self.num_dates:
                continue
            # Dates in ascending order of the key are chosen: those that do not exist come last.
            keys = batch.random(length) if self.random else _evenly_spread(sensor.exists, self.num_dates)
            keys = np.where(sensor.exists, keys, 2.0)
            sensor.keep_dates(np.sort(np.argsort(keys, axis=1, kind='stable')[:, : self.num_dates], axis=1))
        return batch

    def _positions(self, count: int, results: dict) -> np.ndarray:
        if count <= self.num_dates:
            return np.arange(count)
        if self.random:
            return np.sort(generator_of(results).choice(count, self.num_dates, replace=False))
        return _even_positions(count, self.num_dates)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_dates={self.num_dates}, random={self.random}, sensors={self.sensors})'


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
class CropDays(BaseTransform):
    """Keep the dates of a window of the season: ``start`` ≤ day − season start < ``end``.

    ``CropDays(end=120)`` shows a model what is known 120 days into the season (early-season classification). A sensor
    without a date in the window becomes the empty series: one date, no valid pixel.

    Required keys: inputs, season_start. Changed keys: inputs.

    Args:
        start: first day of the window, days after the season start; None for no limit.
        end: first day after the window; None for no limit.
        sensors: names of the sensors; None for all.

    Raises:
        ValueError: if the window is empty.
    """

    def __init__(self, start: int | None = None, end: int | None = None, sensors: SensorNames = None) -> None:
        if start is not None and end is not None and start >= end:
            raise ValueError(f'the window of days is empty: start {start}, end {end}')
        self.start = start
        self.end = end
        self.sensors = sensors

    def transform(self, results: dict) -> dict:
        """Keep the dates inside the window."""
        for sensor in chosen_sensors(results, self.sensors):
            days = results['inputs'][sensor].days.astype(np.int64) - results['season_start']
            inside = np.ones(len(days), bool)
            if self.start is not None:
                inside &= days >= self.start
            if self.end is not None:
                inside &= days < self.end
            if not inside.any():
                remove_all_dates(results, sensor)
            elif not inside.all():
                keep_dates(results, sensor, np.flatnonzero(inside))
        return results

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Take the dates outside the window as not observed."""
        for sensor in batch.chosen(self.sensors).values():
            days = sensor.days - batch.season_starts[:, None]
            if self.start is not None:
                sensor.exists &= days >= self.start
            if self.end is not None:
                sensor.exists &= days < self.end
        return batch

    def __repr__(self) -> str:
        return f'{type(self).__name__}(start={self.start}, end={self.end}, sensors={self.sensors})'


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
