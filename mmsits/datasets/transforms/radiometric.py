"""Transforms of the values: brightness, noise, lost bands. Pixels that are not valid stay untouched.

They work in the unit of the file (``sensors_info[sensor]['unit']``) and keep its type: integers are rounded and stay
integers, so that a batch travels to the device at half the size.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmsits.datasets.counter_random import choose_pairs, normal_numbers
from mmsits.datasets.transforms.common import SensorNames, chosen_sensors, generator_of
from mmsits.datasets.transforms.whole_series import cast_like
from mmsits.structures import ImageSeries

if TYPE_CHECKING:
    from mmsits.datasets.parcel_batch import ParcelBatch


def _refuse_derived(sensors_info: Mapping[str, Any], sensor: str, transform: str) -> None:
    """Refuse bands that are not in the unit of the file, such as indices."""
    derived = sensors_info.get(sensor, {}).get('derived')
    if derived:
        raise ValueError(
            f'{transform}: {sensor} has bands without its unit ({", ".join(derived)}). Put {transform} before the '
            'transform that adds them, so that they follow from the changed values'
        )


def _change_dates(series: ImageSeries, change: Callable[[np.ndarray, int], np.ndarray]) -> ImageSeries:
    """Run ``change(values (C,H,W) float32, date)`` on each date; keep invalid pixels and the type of the values.

    Date by date, because one date fits the processor's cache and a whole series does not.
    """
    dtype = series.values.dtype
    values = np.empty(series.values.shape, dtype)
    for date, original in enumerate(series.values):
        changed = change(original.astype(np.float32), date)
        if dtype.kind in 'iu':
            np.clip(np.rint(changed, out=changed), np.iinfo(dtype).min, np.iinfo(dtype).max, out=changed)
        values[date] = changed
        if not series.valid[date].all():
            np.copyto(values[date], original, where=~series.valid[date])
    return series._replace(values=values)


def _hold_changed(batch: ParcelBatch, sensor: str, series: ImageSeries, changed: np.ndarray) -> None:
    """Go on with changed values (B,L,C,n,1) float32 in a batch, of the old type; invalid pixels stay as they were."""
    values = cast_like(changed, series.values.dtype)
    np.copyto(values, series.values, where=~series.valid[:, :, None])
    batch.hold(sensor, series._replace(values=values))


@TRANSFORMS.register_module()
class ScaleReflectance(BaseTransform):
    """Multiply reflectances by random factors: haze, sun angle and calibration differ from date to date.

    Required keys: inputs, sensors_info, rng. Changed keys: inputs.

    Args:
        amount: factors are drawn uniformly from 1 ± amount, 0 ≤ amount < 1.
        per: what gets a factor of its own: 'sample', 'date', 'band', or 'date_and_band'.
        sensors: names of the sensors; None for all whose unit is a reflectance.

    Raises:
        ValueError: if an argument is out of range, a named sensor does not hold reflectances (decibels cannot be
            multiplied; use :class:`JitterValues`), or some of its bands are indices.
    """

    AXES = dict(sample=(), date=(0,), band=(1,), date_and_band=(0, 1))

    def __init__(self, amount: float = 0.1, per: str = 'date', sensors: SensorNames = None) -> None:
        if not 0 <= amount < 1:
            raise ValueError(f'amount must lie in [0, 1), got {amount}')
        if per not in self.AXES:
            raise ValueError(f'per must be one of {list(self.AXES)}, got {per!r}')
        self.amount = amount
        self.per = per
        self.sensors = sensors

    def transform(self, results: dict) -> dict:
        """Scale the values."""
        rng = generator_of(results)
        for sensor in chosen_sensors(results, self.sensors):
            if self._concerns(sensor, results['sensors_info']):
                results['inputs'][sensor] = self._scale(results['inputs'][sensor], rng)
        return results

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Scale the values of all parcels of a batch."""
        for sensor in batch.chosen(self.sensors):
            if not self._concerns(sensor, batch.infos['sensors_info']):
                continue
            series = batch.series(sensor)
            shape = self._shape(*series.values.shape[1:3])
            drawn = batch.random(int(np.prod(shape))).reshape(len(batch), *shape, 1, 1)
            factors = (1 + self.amount * (2 * drawn - 1)).astype(np.float32)
            _hold_changed(batch, sensor, series, series.values * factors)
        return batch

    def _concerns(self, sensor: str, sensors_info: Mapping[str, Any]) -> bool:
        unit = sensors_info[sensor]['unit']
        if not unit.startswith('reflectance'):
            if self.sensors is None:
                return False
            raise ValueError(f'ScaleReflectance: {sensor} is in {unit!r}, not a reflectance; use JitterValues')
        _refuse_derived(sensors_info, sensor, 'ScaleReflectance')
        return True

    def _shape(self, dates: int, bands: int) -> tuple[int, int]:
        """How many factors there are for dates and bands."""
        axes = self.AXES[self.per]
        return dates if 0 in axes else 1, bands if 1 in axes else 1

    def _scale(self, series: ImageSeries, rng: np.random.Generator) -> ImageSeries:
        dates, bands = series.values.shape[:2]
        shape = self._shape(dates, bands)
        factors = rng.uniform(1 - self.amount, 1 + self.amount, (*shape, 1, 1)).astype(np.float32)
        factors = np.broadcast_to(factors, (dates, bands, 1, 1))
        return _change_dates(series, lambda values, date: np.multiply(values, factors[date], out=values))

    def __repr__(self) -> str:
        return f'{type(self).__name__}(amount={self.amount}, per={self.per!r}, sensors={self.sensors})'


@TRANSFORMS.register_module()
class JitterValues(BaseTransform):
    """Add independent normal noise to every valid value.

    Required keys: inputs, rng. Changed keys: inputs.

    Args:
        std: standard deviation per sensor in the unit of its file: ``dict(s2=100)`` is 0.01 of reflectance × 10000,
            ``dict(s1a=0.5)`` half a decibel. Sensors that it leaves out stay as they are.

    Raises:
        ValueError: if a standard deviation is negative, or some bands of the sensor are indices.
    """

    def __init__(self, std: Mapping[str, float]) -> None:
        negative = {sensor: value for sensor, value in std.items() if value < 0}
        if negative:
            raise ValueError(f'standard deviations must not be negative, got {negative}')
        self.std = dict(std)

    def transform(self, results: dict) -> dict:
        """Add the noise."""
        rng = generator_of(results)
        for sensor in chosen_sensors(results, list(self.std)):
            _refuse_derived(results.get('sensors_info', {}), sensor, 'JitterValues')
            series = results['inputs'][sensor]
            results['inputs'][sensor] = self._add_noise(series, np.float32(self.std[sensor]), rng)
        return results

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Add the noise to all parcels of a batch."""
        for sensor in batch.chosen(list(self.std)):
            _refuse_derived(batch.infos['sensors_info'], sensor, 'JitterValues')
            series = batch.series(sensor)
            count, dates, bands, pixels, _ = series.values.shape
            # The numbers of a pixel do not depend on how many its batch holds.
            noise = np.empty((count, pixels, dates, bands), np.float32)
            for row, generator in zip(noise, batch.generators(), strict=True):
                generator.standard_normal(out=row, dtype=np.float32)
            noise *= np.float32(self.std[sensor])
            _hold_changed(batch, sensor, series, np.moveaxis(noise, 1, 3)[..., None] + series.values)
        return batch

    @staticmethod
    def _add_noise(series: ImageSeries, std: np.float32, rng: np.random.Generator) -> ImageSeries:
        def add(values: np.ndarray, date: int) -> np.ndarray:
            values += std * rng.standard_normal(values.shape, np.float32)
            return values

        return _change_dates(series, add)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(std={self.std})'


@TRANSFORMS.register_module()
class DropChannels(BaseTransform):
    """Take the information out of random bands: all their valid values become the band's mean over the sample.

    One band at least stays in each sensor.

    Required keys: inputs, rng. Changed keys: inputs.

    Args:
        probability: probability of each band, 0 ≤ probability < 1.
        sensors: names of the sensors; None for all.

    Raises:
        ValueError: if the probability is out of range.
    """

    def __init__(self, probability: float = 0.1, sensors: SensorNames = None) -> None:
        if not 0 <= probability < 1:
            raise ValueError(f'probability must lie in [0, 1), got {probability}')
        self.probability = probability
        self.sensors = sensors

    def transform(self, results: dict) -> dict:
        """Level the drawn bands."""
        rng = generator_of(results)
        for sensor in chosen_sensors(results, self.sensors):
            series = results['inputs'][sensor]
            dropped = rng.random(series.values.shape[1]) < self.probability
            if dropped.all():
                dropped[rng.integers(len(dropped))] = False
            if dropped.any() and series.valid.any():
                results['inputs'][sensor] = self._level(series, np.flatnonzero(dropped))
        return results

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Level the drawn bands of all parcels of a batch."""
        for sensor in batch.chosen(self.sensors):
            series = batch.series(sensor)
            bands = series.values.shape[2]
            drawn = batch.random(bands)
            dropped = drawn < self.probability
            rows = np.flatnonzero(dropped.all(axis=1))
            dropped[rows, drawn[rows].argmax(axis=1)] = False
            changed = np.moveaxis(np.moveaxis(series.values, 2, 4).copy(), 4, 2)
            for row, band in np.argwhere(dropped & series.valid.any(axis=(1, 2, 3))[:, None]):
                mean = changed[row, :, band].mean(where=series.valid[row], dtype=np.float64)
                changed[row, :, band] = np.rint(mean) if changed.dtype.kind in 'iu' else mean
            _hold_changed(batch, sensor, series, changed)
        return batch

    @staticmethod
    def _level(series: ImageSeries, dropped: np.ndarray) -> ImageSeries:
        values = np.array(series.values)
        where = np.broadcast_to(series.valid, values[:, 0].shape)
        for band in dropped:
            mean = values[:, band].mean(where=where, dtype=np.float64)
            values[:, band][where] = np.rint(mean) if values.dtype.kind in 'iu' else mean
        return series._replace(values=values)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(probability={self.probability}, sensors={self.sensors})'


DISTRIBUTIONS = ('normal', 'uniform')


@TRANSFORMS.register_module()
class DisturbDates(BaseTransform):
    """Darken or brighten some dates, each band by an amount of its own, as shadows and clouds do (SITS-MoCo's noise).

    All pixels of a date get the same. Pixels that are not valid stay untouched.

    Required keys: inputs, sensors_info, rng. Changed keys: inputs.

    Args:
        amount: per sensor, in the unit of its file, one number or one for each band: the standard deviation of the
            normal distribution whose absolute value is added or taken off, or the upper end of the uniform one. (The
            published 0.5 is of normalised values: half of a band's standard deviation here.) Sensors that it leaves out
            stay as they are.
        share: probability of each date; one half of them is darkened.
        distribution: 'normal' or 'uniform'.

    Raises:
        ValueError: if an argument is out of range, there are not as many amounts as bands, or some bands of the sensor
            are indices.
    """

    def __init__(
        self, amount: Mapping[str, float | Sequence[float]], share: float = 0.15, distribution: str = 'normal'
    ) -> None:
        if not 0 <= share <= 1 or distribution not in DISTRIBUTIONS:
            raise ValueError(
                f'share must lie in [0, 1] and distribution be one of {DISTRIBUTIONS}, got {share} and {distribution!r}'
            )
        self.amount = {sensor: np.atleast_1d(np.asarray(value, np.float64)) for sensor, value in amount.items()}
        if any((value < 0).any() for value in self.amount.values()):
            raise ValueError(f'amounts must not be negative, got {dict(amount)}')
        self.share, self.distribution = share, distribution

    def transform(self, results: dict) -> dict:
        """Disturb one sample."""
        rng = generator_of(results)
        for sensor in chosen_sensors(results, list(self.amount)):
            _refuse_derived(results, sensor, 'DisturbDates')
            series = results['inputs'][sensor]
            signs = self._signs(sensor, series.values.shape[1], rng.random((1, len(series.values))))
            noise = self._sizes(sensor, rng.random((np.count_nonzero(signs), series.values.shape[1])))
            one = ImageSeries(*(np.asarray(part)[None] for part in series))
            results['inputs'][sensor] = series._replace(values=_add_where_valid(one, signs, noise)[0])
        return results

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Disturb every parcel of a batch."""
        for sensor in batch.chosen(list(self.amount)):
            _refuse_derived(batch.infos, sensor, 'DisturbDates')
            series = batch.series(sensor)
            dates, bands = series.values.shape[1:3]
            signs = self._signs(sensor, bands, batch.random(dates))
            rows, places = np.nonzero(signs)
            noise = self._sizes(sensor, batch.random_at(rows, places, bands))
            batch.hold(sensor, series._replace(values=_add_where_valid(series, signs, noise)))
        return batch

    def _signs(self, sensor: str, bands: int, fractions: np.ndarray) -> np.ndarray:
        """Which dates are darkened, -1, and which brightened, 1, the others 0, int8, from uniform numbers.

        Raises:
            ValueError: if there are not as many amounts as bands.
        """
        if len(self.amount[sensor]) not in (1, bands):
            raise ValueError(f'DisturbDates: {len(self.amount[sensor])} amounts for the {bands} bands of {sensor}')
        return np.where(fractions < self.share / 2, -1, fractions < self.share).astype(np.int8)

    def _sizes(self, sensor: str, fractions: np.ndarray) -> np.ndarray:
        """By how much each disturbed date changes, (M,C) from uniform numbers (M,C)."""
        sizes = np.abs(normal_numbers(fractions)) if self.distribution == 'normal' else fractions
        return sizes * self.amount[sensor]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(share={self.share}, distribution={self.distribution!r}, {list(self.amount)})'


def _add_where_valid(series: ImageSeries, signs: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Values (N,T,C,H,W) changed on valid pixels, in their own type.

    Args:
        series: of N samples.
        signs: (N,T), 0 where nothing changes.
        sizes: (M,C), what the M others are changed by.
    """
    values = np.asarray(series.values)
    touched = np.nonzero(signs)
    if not len(touched[0]):
        return values
    changed = values.copy()
    rows = values[touched]  # M,C,H,W
    noise = signs[touched][:, None] * sizes
    disturbed = cast_like(rows + noise[..., None, None], values.dtype)
    valid = np.asarray(series.valid)[touched][:, None]
    changed[touched] = np.where(valid, disturbed, rows)
    return changed


class RearrangeBands(BaseTransform):
    """Base of transforms by which two bands of a sensor, chosen at random, change their values on all dates.

    Required keys: inputs, rng. Changed keys: inputs.

    Args:
        probability: probability with which a sample is touched at all.
        sensors: names of the sensors; None for all of two or more bands, each by itself.

    Raises:
        ValueError: if the probability is out of range.
    """

    def __init__(self, probability: float = 0.5, sensors: SensorNames = None) -> None:
        if not 0 <= probability <= 1:
            raise ValueError(f'probability must lie in [0, 1], got {probability}')
        self.probability = probability
        self.sensors = sensors

    def sources(self, pairs: np.ndarray) -> np.ndarray:
        """From which bands (N,2) the values of a pair (N,2) of bands are taken."""
        raise NotImplementedError

    def transform(self, results: dict) -> dict:
        """Change one sample."""
        rng = generator_of(results)
        for sensor in chosen_sensors(results, self.sensors):
            series = results['inputs'][sensor]
            one = np.asarray(series.values)[None]
            if one.shape[2] > 1:
                results['inputs'][sensor] = series._replace(values=self._change(one, rng.random((1, 3)))[0])
        return results

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Change every parcel of a batch."""
        for sensor in batch.chosen(self.sensors):
            series: Any = batch.series(sensor)
            if series.values.shape[2] > 1:
                batch.hold(sensor, series._replace(values=self._change(series.values, batch.random(3))))
        return batch

    def _change(self, values: np.ndarray, fractions: np.ndarray) -> np.ndarray:
        """Values (N,T,C,H,W) and uniform numbers (N,3) -> values."""
        bands = values.shape[2]
        index = np.broadcast_to(np.arange(bands), (len(values), bands)).copy()
        pairs = choose_pairs(bands, fractions[:, 1:])
        np.put_along_axis(index, pairs, self.sources(pairs), axis=1)
        index = np.where(fractions[:, :1] < self.probability, index, np.arange(bands))
        return np.take_along_axis(values, index[:, None, :, None, None], axis=2)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(probability={self.probability}, sensors={self.sensors})'


@TRANSFORMS.register_module()
class SwapBands(RearrangeBands):
    """Exchange the values of two bands.

    Args:
        probability: see `RearrangeBands`.
        sensors: see `RearrangeBands`.
    """

    def sources(self, pairs: np.ndarray) -> np.ndarray:
        """See `RearrangeBands`."""
        return pairs[:, ::-1]


@TRANSFORMS.register_module()
class ReplaceBand(RearrangeBands):
    """Put the values of one band in the place of another's.

    Args:
        probability: see `RearrangeBands`.
        sensors: see `RearrangeBands`.
    """

    def sources(self, pairs: np.ndarray) -> np.ndarray:
        """See `RearrangeBands`."""
        return pairs[:, [1, 1]]
