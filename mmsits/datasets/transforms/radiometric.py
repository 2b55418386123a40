"""Transforms of the values: brightness, noise, lost bands. Pixels that are not valid stay untouched.

They work in the unit of the file (``sensors_info[sensor]['unit']``) and keep its type: integers are rounded and stay
integers, so that a batch travels to the device at half the size.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmsits.datasets.transforms.common import SensorNames, chosen_sensors, generator_of
from mmsits.structures import ImageSeries


def _store(changed: np.ndarray, series: ImageSeries) -> np.ndarray:
    """The changed values where valid, the old ones elsewhere, in the type of the old ones."""
    dtype = series.values.dtype
    if dtype.kind in 'iu':
        limits = np.iinfo(dtype)
        np.rint(changed, out=changed)
        np.clip(changed, limits.min, limits.max, out=changed)
    changed = changed.astype(dtype, copy=False)
    if series.valid.all():
        return changed
    return np.where(series.valid[:, None], changed, series.values)


@TRANSFORMS.register_module()
class ScaleReflectance(BaseTransform):
    """Multiply reflectances by random factors: haze, sun angle and calibration differ from date to date.

    Required keys: inputs, sensors_info, rng. Changed keys: inputs.

    Args:
        amount: factors are drawn uniformly from 1 ± amount, 0 ≤ amount < 1.
        per: what gets a factor of its own: 'sample', 'date', 'band', or 'date_and_band'.
        sensors: names of the sensors; None for all whose unit is a reflectance.

    Raises:
        ValueError: if an argument is out of range, or a named sensor does not hold reflectances (decibels cannot be
            multiplied; use :class:`JitterValues`).
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
            unit = results['sensors_info'][sensor]['unit']
            if not unit.startswith('reflectance'):
                if self.sensors is None:
                    continue
                raise ValueError(f'ScaleReflectance: {sensor} is in {unit!r}, not a reflectance; use JitterValues')
            series = results['inputs'][sensor]
            shape = [size if axis in self.AXES[self.per] else 1 for axis, size in enumerate(series.values.shape)]
            factors = rng.uniform(1 - self.amount, 1 + self.amount, shape).astype(np.float32)
            scaled = series.values.astype(np.float32) * factors
            results['inputs'][sensor] = series._replace(values=_store(scaled, series))
        return results

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
        ValueError: if a standard deviation is negative.
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
            series = results['inputs'][sensor]
            noise = rng.standard_normal(series.values.shape, np.float32)
            noise *= self.std[sensor]
            noise += series.values
            results['inputs'][sensor] = series._replace(values=_store(noise, series))
        return results

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
                results['inputs'][sensor] = series._replace(values=self._level(series, dropped))
        return results

    @staticmethod
    def _level(series: ImageSeries, dropped: np.ndarray) -> np.ndarray:
        values = series.values.astype(np.float32)
        where = np.broadcast_to(series.valid[:, None], values[:, dropped].shape)
        values[:, dropped] = values[:, dropped].mean(axis=(0, 2, 3), keepdims=True, where=where)
        return _store(values, series)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(probability={self.probability}, sensors={self.sensors})'
