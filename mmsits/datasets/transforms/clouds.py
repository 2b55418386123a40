"""Dates that are too cloudy to be of use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmsits.datasets.transforms.common import SensorNames, chosen_sensors, keep_dates

if TYPE_CHECKING:
    from mmsits.datasets.parcel_batch import ParcelBatch


@TRANSFORMS.register_module()
class DropCloudyDates(BaseTransform):
    """Drop the dates on which too few pixels are valid; of a series that is cloudy throughout the clearest one stays.

    The share is that of the pixels that were observed at all: what lies beyond the edge of the scene does not count as
    cloud. Nothing is read: masks alone decide.

    Required keys: inputs. Changed keys: inputs.

    Args:
        min_valid: smallest share of valid pixels, 0 < min_valid ≤ 1.
        sensors: names of the sensors; None for all.

    Raises:
        ValueError: if the share is out of range.
    """

    def __init__(self, min_valid: float = 0.5, sensors: SensorNames = None) -> None:
        if not 0 < min_valid <= 1:
            raise ValueError(f'min_valid must lie in (0, 1], got {min_valid}')
        self.min_valid = min_valid
        self.sensors = sensors

    def transform(self, results: dict) -> dict:
        """Drop dates of one sample."""
        for sensor in chosen_sensors(results, self.sensors):
            valid = results['inputs'][sensor].valid
            kept = self._kept(valid.reshape(1, len(valid), -1))[0]
            if valid.any() and not kept.all():
                keep_dates(results, sensor, np.flatnonzero(kept))
        return results

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Take the cloudy dates of every parcel as not observed."""
        for name, sensor in batch.chosen(self.sensors).items():
            sensor.exists = sensor.exists & self._kept(batch.valid(name))
        return batch

    def _kept(self, valid: np.ndarray) -> np.ndarray:
        """Which dates to keep, (B,T), by the validity of each date's pixels, (B,T,P)."""
        counts = valid.sum(axis=2)
        belonging = valid.any(axis=1).sum(axis=1)
        share = counts / np.maximum(belonging, 1)[:, None]
        clear = share >= self.min_valid
        cloudy = ~clear.any(axis=1)
        clear[cloudy, share[cloudy].argmax(axis=1)] = True
        return clear

    def __repr__(self) -> str:
        return f'{type(self).__name__}(min_valid={self.min_valid}, sensors={self.sensors})'
