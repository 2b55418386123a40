"""What to make of observations that are missing: clouds, gaps of a sensor, numbers that were never written."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmseg.registry import TRANSFORMS

from mmsits.datasets.transforms.common import SensorNames
from mmsits.datasets.transforms.resampling import interpolate_series
from mmsits.datasets.transforms.spatial import reference_size, resolution_ratios
from mmsits.datasets.transforms.whole_series import SeriesContext, SeriesTransform, cast_like, with_bands
from mmsits.structures import ImageSeries

RECIPES = ('mask', 'interpolate', 'constant')
MASK_BAND = 'observed'


@TRANSFORMS.register_module()
class HandleMissingValues(SeriesTransform):
    """The recipe for missing observations, in one place.

    - 'mask': leave them out. They stay not valid, and networks of this library do not see them.
    - 'interpolate': fill them, pixel by pixel and on the same dates, linearly between the valid observations before and
      after; at the ends the nearest is held. For networks that take whole images and know no gaps within a date.
    - 'constant': fill them with a number.

    What was filled counts as valid. Never filled are pixels that were not observed on any date, and dates that only
    bring samples of a batch to one length.

    Required keys: inputs, sensors_info. Changed keys: inputs, sensors_info (with ``mask_band``).

    Args:
        recipe: see above.
        value: for 'constant': the number, in the unit of the file.
        mask_band: add a band 'observed', 1 where there was an observation and 0 where one was filled in, so that a
            network can tell them apart. It is one band more for the model: see `AddSpectralIndices`.
        sensors: names of the sensors; None for all that change in time. To be given with ``mask_band``.

    Raises:
        ValueError: if the options contradict each other.
    """

    def __init__(
        self, recipe: str = 'mask', value: float = 0, mask_band: bool = False, sensors: SensorNames = None
    ) -> None:
        if recipe not in RECIPES:
            raise ValueError(f'recipe must be one of {RECIPES}, got {recipe!r}')
        if mask_band and recipe == 'mask':
            raise ValueError("mask_band tells what was filled in, and recipe='mask' fills nothing: choose one of them")
        if mask_band and sensors is None:
            raise ValueError("mask_band adds a band to the model: name its sensors, sensors=('s2',)")
        if value != 0 and recipe != 'constant':
            raise ValueError(f"value={value} is for recipe='constant', not for {recipe!r}")
        self.recipe, self.value, self.mask_band = recipe, value, mask_band
        self.sensors = sensors

    def transform(self, results: dict) -> dict:
        """Fill the gaps of one sample."""
        return results if self.recipe == 'mask' else super().transform(results)

    def transform_batch(self, batch: Any) -> Any:
        """Fill the gaps of all parcels of a batch."""
        return batch if self.recipe == 'mask' else super().transform_batch(batch)

    def change(self, series: ImageSeries, about: SeriesContext) -> ImageSeries:
        """Fill; see the class."""
        seen = series.valid.any(axis=1)[:, None]
        valid = series.valid | (seen & _real_dates(series)[:, :, None, None])
        values = np.where(series.valid[:, :, None], series.values, self._filling(series))
        if self.mask_band:
            observed = np.broadcast_to(series.valid[:, :, None], (*values.shape[:2], 1, *values.shape[3:]))
            values = np.concatenate([values, observed.astype(values.dtype)], axis=2)
        return series._replace(values=values, valid=valid)

    def _filling(self, series: ImageSeries) -> np.ndarray:
        dtype = series.values.dtype
        if self.recipe == 'constant':
            return cast_like(np.array(self.value, np.float64), dtype)
        return cast_like(interpolate_series(series, series.days).values, dtype)

    def changed_info(self, sensor: str, info: dict[str, Any]) -> dict[str, Any]:
        """The band 'observed', if there is to be one."""
        return with_bands(info, [MASK_BAND]) if self.mask_band else info

    def __repr__(self) -> str:
        options = f'recipe={self.recipe!r}, value={self.value}, mask_band={self.mask_band}'
        return f'{type(self).__name__}({options}, sensors={self.sensors})'


@TRANSFORMS.register_module()
class MaskNoData(SeriesTransform):
    """Take pixels for not observed where all bands of a date have the number that stands for nothing.

    For files that say it by a number only, such as the 0 beyond the edge of a radar image. What is not valid has no
    part in the normalisation, and networks do not see it. Labels of pixels that no sensor saw on any date are ignored
    from then on, so that a crop beyond the edge teaches nothing rather than end the training.

    Required keys: inputs, sensors_info. Changed keys: inputs, targets.

    Args:
        value: the number, in the unit of the file.
        sensors: names of the sensors; None for all that change in time.
    """

    def __init__(self, value: float = 0, sensors: SensorNames = None) -> None:
        self.value = value
        self.sensors = sensors

    def transform(self, results: dict) -> dict:
        """Mask one sample, and its labels where nothing is left."""
        results = super().transform(results)
        # The one label of a parcel is that of all its pixels.
        if 'targets' in results and results['targets'].shape[-2:] != (1, 1):
            results['targets'] = np.where(_ever_seen(results), results['targets'], results['targets'].dtype.type(255))
        return results

    def change(self, series: ImageSeries, about: SeriesContext) -> ImageSeries:
        """Mask; see the class."""
        empty = (series.values == self.value).all(axis=2)
        return series._replace(valid=series.valid & ~empty) if empty.any() else series

    def __repr__(self) -> str:
        return f'{type(self).__name__}(value={self.value}, sensors={self.sensors})'


def _ever_seen(results: dict) -> np.ndarray:
    """Pixels of the sample's finest grid that any sensor saw on any date, (H,W) bool."""
    seen = np.zeros(reference_size(results), bool)
    for sensor, ratio in resolution_ratios(results).items():
        series = results['inputs'][sensor]
        of_sensor = np.broadcast_to(series.valid.any(axis=0), series.values.shape[-2:])
        seen |= of_sensor.repeat(ratio, axis=0).repeat(ratio, axis=1)
    return seen


def _real_dates(series: ImageSeries) -> np.ndarray:
    """Dates of an acquisition, (N,T), though all of it may be clouded: the others only fill a shorter series up.

    Those repeat a day or go back in time.
    """
    days = series.days.astype(np.int64)
    before = np.maximum.accumulate(days, axis=1)
    later = np.concatenate([np.ones_like(days[:, :1], bool), days[:, 1:] > before[:, :-1]], axis=1)
    return later | series.valid.any(axis=(2, 3))
