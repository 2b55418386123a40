"""What was known some days before the harvest: later observations are hidden."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmsits.structures import ImageSeries

from ..base import day_number
from ..crop_calendar import plain_name
from ..errors import DataError, iso_day
from .common import SensorNames, chosen_sensors, existing_dates

_YEAR = 366


@TRANSFORMS.register_module()
class HideDaysBeforeHarvest(BaseTransform):
    """Take observations as not made that nobody had yet so many days before the harvest.

    An image is kept if the day on which it is there is not after harvest − `days`. Dates stay in the series, not valid,
    so that networks of a fixed number of dates work as well. Put it in front of all that makes an observation depend on
    later ones, such as filling gaps.

    Required keys: inputs; harvest_date ('YYYY-MM-DD') unless it is given here. Optional keys: known_days (sensor ->
    days since 1970-01-01 on which the dates of its file are there), date_index. Changed keys: inputs.

    Args:
        days: before the harvest.
        harvests: harvest date 'YYYY-MM-DD' by province, of samples with the key `province`, whose names are compared
            without case and signs; the entry '' is of samples that name no province. None takes the sample's own
            `harvest_date`.
        lag: days from an image's date until it is there. None: as the sample says (`known_days`; composites of a month
            are there when it is over), on the image's date where it does not.
        sensors: names of the sensors; None for all.

    Raises:
        ValueError: if a date is none.
    """

    def __init__(
        self, days: int, harvests: Mapping[str, str] | None = None, lag: int | None = None, sensors: SensorNames = None
    ) -> None:
        self.days, self.lag, self.sensors = days, lag, sensors
        self.harvests = None if harvests is None else {plain_name(name): _day(text) for name, text in harvests.items()}

    def transform(self, results: dict) -> dict:
        """Hide what came later.

        Raises:
            DataError: if the harvest of the sample is not known, its last image was taken more than a year before it,
                or dates were made anew, of which nobody knows when they were there.
        """
        harvest = self._harvest(results)
        self._refuse_other_years(results, harvest)
        for sensor in chosen_sensors(results, self.sensors):
            series = results['inputs'][sensor]
            known = self._known_from(results, sensor, series) <= harvest - self.days
            results['inputs'][sensor] = series._replace(valid=np.asarray(series.valid) & known[:, None, None])
        return results

    def _known_from(self, results: dict, sensor: str, series: ImageSeries) -> np.ndarray:
        """Day on which each date's image is there, (T,)."""
        days = np.asarray(series.days, np.int64)
        if self.lag is not None:
            return days + self.lag
        told = results.get('known_days', {}).get(sensor)
        # A sensor that the sample lacks has a date that no file has.
        if told is None or not np.asarray(series.valid).any():
            return days
        if sensor not in results.get('date_index', {}):
            raise DataError(
                f'the dates of {sensor} are not those of its images any more, so when they were there is not known',
                sample_id=results.get('sample_id'),
                hint='Put HideDaysBeforeHarvest in front of what interpolates or composes dates.',
            )
        return np.asarray(told, np.int64)[results['date_index'][sensor]]

    def _refuse_other_years(self, results: dict, harvest: int) -> None:
        chosen = (results['inputs'][sensor] for sensor in chosen_sensors(results, self.sensors))
        taken = np.concatenate([np.asarray(series.days)[existing_dates(series)] for series in chosen])
        if taken.size and harvest - int(taken.max()) > _YEAR:
            raise DataError(
                f'the last image, of {iso_day(int(taken.max()))}, was taken more than a year before the harvest of '
                f'{iso_day(harvest)}',
                sample_id=results.get('sample_id'),
                hint='Correct the year of the harvest, in the crop calendar the year that seasons start in.',
            )

    def _harvest(self, results: dict) -> int:
        if self.harvests is None:
            found = results.get('harvest_date')
            if found is not None:
                return _day(found)
        else:
            day = self.harvests.get(plain_name(str(results.get('province') or '')))
            if day is not None:
                return day
        raise DataError(
            f'the harvest of this sample is not known (province {results.get("province")!r})',
            sample_id=results.get('sample_id'),
            hint='Name it in the table of regions or in the crop calendar, or leave these samples out.',
        )

    def __repr__(self) -> str:
        return f'{type(self).__name__}(days={self.days}, lag={self.lag}, sensors={self.sensors})'


def _day(text: str) -> int:
    try:
        return day_number(datetime.date.fromisoformat(text))
    except ValueError as error:
        raise ValueError(f'a harvest date is YYYY-MM-DD, not {text!r}') from error
