"""Turning the image plane by any angle."""

from __future__ import annotations

import numpy as np
from mmseg.registry import TRANSFORMS

from mmsits.structures import ImageSeries

from .common import spatial_generator_of
from .spatial import MAP_KEYS, SpatialTransform, resolution_ratios


@TRANSFORMS.register_module()
class SeriesRandomRotate(SpatialTransform):
    """Turn the sample anticlockwise around its middle by a random angle, the nearest pixel everywhere.

    What comes in from outside is mirrored at the border. Values are not interpolated, so labels, masks and decibels
    stay what they are; narrow fields get jagged. `SeriesRandomRotate90` turns without any loss.

    Required keys: inputs, rng. Changed keys: inputs, targets. Added keys: rotated (degrees).

    Args:
        max_degrees: angles are drawn uniformly from 0 to this; published is 90.

    Raises:
        ValueError: if there is no angle to draw from, or the sample has ``instances``.
    """

    def __init__(self, max_degrees: float = 90.0) -> None:
        if not max_degrees > 0:
            raise ValueError(f'max_degrees must be above 0, got {max_degrees}')
        self.max_degrees = max_degrees

    def transform(self, results: dict) -> dict:
        """Turn every sensor and map."""
        if 'instances' in results:
            raise ValueError('SeriesRandomRotate: boxes of instances cannot be turned; use SeriesRandomRotate90')
        angle = float(spatial_generator_of(results).uniform(0, self.max_degrees))
        for sensor in resolution_ratios(results):
            values, days, valid = results['inputs'][sensor]
            per_pixel = valid.shape[-2:] == values.shape[-2:]
            turned = rotate(valid, angle) if per_pixel else valid
            results['inputs'][sensor] = ImageSeries(rotate(values, angle), days, turned)
        for key in MAP_KEYS:
            if key in results:
                results[key] = rotate(results[key], angle)
        results['rotated'] = angle
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(max_degrees={self.max_degrees})'


def rotate(array: np.ndarray, degrees: float) -> np.ndarray:
    """Turn an array (..., H, W) anticlockwise around its middle, by the nearest pixel, mirrored beyond its border."""
    height, width = array.shape[-2:]
    y, x = np.meshgrid(np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2, indexing='ij')
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    columns = np.rint(x * cosine - y * sine + (width - 1) / 2).astype(np.int64)
    rows = np.rint(x * sine + y * cosine + (height - 1) / 2).astype(np.int64)
    return array[..., _mirrored(rows, height), _mirrored(columns, width)]


def _mirrored(positions: np.ndarray, length: int) -> np.ndarray:
    """Positions on a line that is folded at 0 and length - 1."""
    period = max(2 * (length - 1), 1)
    positions = positions % period
    return np.where(positions < length, positions, period - positions)
