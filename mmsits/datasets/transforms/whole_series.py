"""Base of transforms that compute with all dates of a series, for single samples and for whole batches of parcels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from mmcv.transforms import BaseTransform

from mmsits.datasets.transforms.common import SensorNames, chosen_sensors
from mmsits.datasets.transforms.formatting import check_finite
from mmsits.structures import ImageSeries

if TYPE_CHECKING:
    from mmsits.datasets.parcel_batch import ParcelBatch

SensorsInfo = Mapping[str, dict[str, Any]]


class SeriesContext(NamedTuple):
    """What is known of the N series that a transform gets.

    Attributes:
        sensor: name of the sensor.
        starts: season starts, days since 1970-01-01, (N,).
        info: `bands` and `unit` of the sensor, as they are before the transform.
    """

    sensor: str
    starts: np.ndarray
    info: Mapping[str, Any]


class SeriesTransform(BaseTransform):
    """Base of transforms that need the values of all dates, such as interpolation.

    A subclass writes `change`, which takes N series at once: a sample is a batch of one, so both ways give the same
    numbers. One that changes bands writes `changed_info` too.

    Pixels are read here: put crops, and the choice of pixels and dates, before it.

    Attributes:
        sensors: names of the sensors to act on; None for all that change in time.
    """

    sensors: SensorNames = None
    # Every sample has the same information of the sensors; what becomes of it is found once.
    _known: tuple[SensorsInfo, dict[str, dict[str, Any]]] | None = None

    def change(self, series: ImageSeries, about: SeriesContext) -> ImageSeries:
        """Change N series of one sensor.

        Args:
            series: values (N,T,C,H,W), days (N,T), valid (N,T,H,W) or (N,T,1,1). To be left as they are.
            about: what is known of them.

        Returns:
            The series, with the same pixels.
        """
        raise NotImplementedError

    def changed_info(self, sensor: str, info: dict[str, Any]) -> dict[str, Any]:
        """Bands and unit of a sensor behind the transform."""
        return info

    def changed_sensors_info(self, sensors_info: SensorsInfo) -> dict[str, dict[str, Any]]:
        """Bands and units of all sensors behind the transform; a dataset tells the model by this what it gives."""
        if self._known is None or self._known[0] is not sensors_info:
            named = _names(self.sensors)
            changed = {
                sensor: self.changed_info(sensor, info) if self.sensors is None or sensor in named else info
                for sensor, info in sensors_info.items()
            }
            self._known = (sensors_info, changed)
        return self._known[1]

    def transform(self, results: dict) -> dict:
        """Change the series of one sample."""
        starts = np.array([results.get('season_start', 0)])
        static = results.get('static_sensors', ())
        for sensor in chosen_sensors(results, self.sensors):
            if self.sensors is None and sensor in static:
                continue
            series = results['inputs'][sensor]
            if series.values.dtype.kind == 'f':
                check_finite(series.values, results, sensor)
            one = ImageSeries(*(np.asarray(part)[None] for part in series))
            changed = self.change(one, SeriesContext(sensor, starts, results['sensors_info'][sensor]))
            results['inputs'][sensor] = ImageSeries(*(part[0] for part in changed))
            if not np.array_equal(changed.days[0], series.days):
                # Positions among the file's dates mean nothing any more.
                results.get('date_index', {}).pop(sensor, None)
        results['sensors_info'] = self.changed_sensors_info(results['sensors_info'])
        return results

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Change the series of all parcels of a batch."""
        info = batch.infos['sensors_info']
        for sensor in batch.chosen(self.sensors):
            about = SeriesContext(sensor, batch.season_starts, info[sensor])
            batch.hold(sensor, self.change(batch.series(sensor), about))
        batch.infos['sensors_info'] = self.changed_sensors_info(info)
        return batch


def _names(sensors: SensorNames) -> tuple[str, ...]:
    return (sensors,) if isinstance(sensors, str) else tuple(sensors or ())


def with_bands(info: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """A sensor's information with further bands, which are not in the sensor's unit (`derived`).

    Raises:
        ValueError: if a band has that name already.
    """
    twice = sorted({name for name in names if name in info['bands'] or list(names).count(name) > 1})
    if twice:
        raise ValueError(f'a band {", ".join(twice)} would be there twice; the sensor has {tuple(info["bands"])}')
    return {**info, 'bands': (*info['bands'], *names), 'derived': (*info.get('derived', ()), *names)}


def cast_like(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Values as another type; integers are rounded, and limited to what the type holds."""
    if dtype.kind not in 'iu':
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
