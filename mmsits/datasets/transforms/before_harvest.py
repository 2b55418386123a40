"""What was known some days before the harvest: later observations are hidden."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from ..base import day_number
from ..crop_calendar import plain_name
from ..errors import DataError
from .common import SensorNames, chosen_sensors


@TRANSFORMS.register_module()
class HideDaysBeforeHarvest(BaseTransform):
    """Take observations as not made that nobody had yet so many days before the harvest.

    An image of day d is known on day d + `lag`; it is kept if that is not after harvest − `days`. Dates stay in the
    series, not valid, so that networks of a fixed number of dates work as well.

    Required keys: inputs; harvest_date ('YYYY-MM-DD') unless it is given here. Changed keys: inputs.

    Args:
        days: before the harvest.
        harvests: harvest date 'YYYY-MM-DD' by province, of samples with the key `province`, whose names are compared
            without case and signs; the entry '' is of samples that name no province. None takes the sample's own
            `harvest_date`.
        lag: days from an image's date until it is there. Composites of a month dated by its middle are there 16 days
            later.
        sensors: names of the sensors; None for all.

    Raises:
        ValueError: if a date is none.
    """

    def __init__(
        self, days: int, harvests: Mapping[str, str] | None = None, lag: int = 0, sensors: SensorNames = None
    ) -> None:
        self.days, self.lag, self.sensors = days, lag, sensors
        self.harvests = None if harvests is None else {plain_name(name): _day(text) for name, text in harvests.items()}

    def transform(self, results: dict) -> dict:
        """Hide what came later.

        Raises:
            DataError: if the harvest of the sample is not known.
        """
        last = self._harvest(results) - self.days - self.lag
        for sensor in chosen_sensors(results, self.sensors):
            series = results['inputs'][sensor]
            known = np.asarray(series.days, np.int64) <= last
            results['inputs'][sensor] = series._replace(valid=np.asarray(series.valid) & known[:, None, None])
        return results

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
