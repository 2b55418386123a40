"""Transforms of pixel sets: the S×1 pixels of a parcel have no order and no neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmsits.datasets.counter_random import choose_without_replacement
from mmsits.datasets.transforms.common import SensorNames, chosen_sensors, generator_of
from mmsits.structures import ImageSeries

if TYPE_CHECKING:
    from mmsits.datasets.parcel_batch import ParcelBatch


@TRANSFORMS.register_module()
class SamplePixels(BaseTransform):
    """Bring every parcel to the same number of pixels.

    Of a parcel with more, ``num_pixels`` different ones are drawn; one with fewer is filled up with copies of its first
    pixel that are not valid (Nyborg et al. 2022; there the copies take part in batch norms, which is an option of the
    backbone). The same pixels are taken on all dates. In validation the draw is a function of the sample, so every run
    scores the same pixels.

    Required keys: inputs, rng. Changed keys: inputs, img_shape.

    Args:
        num_pixels: number of pixels, at least 1.
        random: draw; otherwise pixels at even distances of position.
        sensors: names of the sensors; None for all S×1 series that change in time.

    Raises:
        ValueError: if ``num_pixels`` is below 1, or a series is not S×1.
    """

    def __init__(self, num_pixels: int = 64, random: bool = True, sensors: SensorNames = None) -> None:
        if num_pixels < 1:
            raise ValueError(f'num_pixels must be at least 1, got {num_pixels}')
        self.num_pixels = num_pixels
        self.random = random
        self.sensors = sensors

    def transform(self, results: dict) -> dict:
        """Choose the pixels of one sample."""
        static = results.get('static_sensors', ())
        names = [name for name in chosen_sensors(results, self.sensors) if self.sensors or name not in static]
        for name in names:
            results['inputs'][name] = self._sample(results['inputs'][name], results)
        results['img_shape'] = (self.num_pixels, 1)
        return results

    def _sample(self, series: ImageSeries, results: dict) -> ImageSeries:
        dates, bands, size, width = series.values.shape
        if width != 1:
            raise ValueError(f'SamplePixels takes pixel sets S×1, got {size}×{width} pixels')
        valid = np.broadcast_to(series.valid, (dates, size, 1))
        if size >= self.num_pixels:
            fractions = generator_of(results).random((1, self.num_pixels)) if self.random else None
            index = self._choose(np.array([size]), fractions)[0]
            return series._replace(values=series.values[:, :, index], valid=valid[:, index])
        missing = self.num_pixels - size
        copies = np.broadcast_to(series.values[:, :, :1], (dates, bands, missing, 1))
        return series._replace(
            values=np.concatenate([series.values, copies], axis=2),
            valid=np.concatenate([valid, np.zeros((dates, missing, 1), bool)], axis=1),
        )

    def transform_batch(self, batch: ParcelBatch) -> ParcelBatch:
        """Choose the pixels of all parcels of a batch."""
        many = np.flatnonzero(batch.sizes > self.num_pixels)
        order = np.arange(self.num_pixels)
        observed = order < batch.sizes[:, None]
        pixels = np.where(observed, order, 0)
        # Numbers are drawn for all rows, so that a draw's do not depend on its neighbours.
        fractions = batch.random(self.num_pixels)[many] if self.random else None
        if len(many):
            pixels[many] = self._choose(batch.sizes[many], fractions)
        batch.keep_pixels(pixels, observed)
        return batch

    def _choose(self, sizes: np.ndarray, fractions: np.ndarray | None) -> np.ndarray:
        """(B,num_pixels) positions, drawn by random fractions of that shape; None for even distances."""
        if fractions is not None:
            return choose_without_replacement(sizes, fractions)
        return (np.arange(self.num_pixels) * sizes[:, None]) // self.num_pixels

    def __repr__(self) -> str:
        return f'{type(self).__name__}(num_pixels={self.num_pixels}, random={self.random}, sensors={self.sensors})'
