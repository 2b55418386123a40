"""Values brought to 0 … 1 patch by patch, as CropMapping's published networks have them (Rangzan and Ramezanpour)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmsits.datasets.errors import DataError

from .common import chosen_sensors

UNIT = 'share of a range'


@TRANSFORMS.register_module()
class StretchToUnit(BaseTransform):
    """Clip values, and bring each date of some sensors to 0 … 1 by its own smallest and largest value.

    Only to use published weights: a stretch by the patch's own extremes takes away how bright it is, and one bright
    roof changes all other pixels. Let the data preprocessor leave such values alone (mean 0, standard deviation 1).

    Required keys: inputs. Changed keys: inputs.

    Args:
        limits: sensor -> lowest and highest value that is kept; published are -25 and 10 dB for Sentinel-1, 0 and 1 for
            Sentinel-2.
        stretched: sensors whose dates are stretched by the extremes of all their bands together.
        margin: in the end values of 0 or less become this, those of 1 or more 1 less this.

    Raises:
        ValueError: if limits are not in order, or a stretched sensor has none.
        DataError: if a date to be stretched has one value only.
    """

    def __init__(
        self,
        limits: Mapping[str, tuple[float, float]] | None = None,
        stretched: Sequence[str] = ('s1',),
        margin: float = 1e-4,
    ) -> None:
        self.limits = dict(s1=(-25.0, 10.0), s2=(0.0, 1.0)) if limits is None else dict(limits)
        self.stretched, self.margin = tuple(stretched), margin
        wrong = {sensor: pair for sensor, pair in self.limits.items() if not pair[0] < pair[1]}
        if wrong or not set(self.stretched) <= set(self.limits):
            raise ValueError(f'limits: low and high for each stretched sensor are expected, got {self.limits}')

    def transform(self, results: dict) -> dict:
        """Clip and stretch."""
        present = [sensor for sensor in self.limits if sensor in results['inputs']]
        for sensor in chosen_sensors(results, present):
            series = results['inputs'][sensor]
            values = np.clip(series.values.astype(np.float32), *self.limits[sensor])
            if sensor in self.stretched:
                for date in np.flatnonzero(series.valid.any(axis=(1, 2))):
                    values[date] = self._stretch(values[date], series.valid[date], results, sensor, int(date))
            values = np.where(values >= 1, np.float32(1 - self.margin), values)
            values = np.where(values <= 0, np.float32(self.margin), values)
            results['inputs'][sensor] = series._replace(values=values)
        return results

    def changed_sensors_info(self, sensors_info: Mapping[str, Any]) -> dict[str, Any]:
        """The unit of what is brought to 0 … 1."""
        return {
            sensor: {**info, 'unit': UNIT} if sensor in self.limits else info for sensor, info in sensors_info.items()
        }

    def _stretch(self, values: np.ndarray, valid: np.ndarray, results: dict, sensor: str, date: int) -> np.ndarray:
        """One date (C,H,W) by the extremes of its valid pixels."""
        seen = values if valid.all() else values[:, np.broadcast_to(valid, values.shape[1:])]
        low, high = seen.min(), seen.max()
        if low == high:
            raise DataError(
                f'all values of {sensor} are {low:g}: they cannot be stretched to 0 … 1',
                path=results.get('paths', {}).get(sensor),
                sample_id=results.get('sample_id'),
                day=results['inputs'][sensor].days[date],
                date_index=date,
                hint='Leave the patch out, or normalise by mean and standard deviation instead.',
            )
        return (values - low) / (high - low)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(limits={self.limits}, stretched={self.stretched}, margin={self.margin})'
