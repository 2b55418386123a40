"""Transforms of the image plane: the same geometry for all sensors, their masks and the targets.

Sensors of another resolution follow if their size divides the reference size (that of the targets, else of the largest
sensor): a 20 m series of 64×64 pixels beside a 10 m label map of 128×128. A sensor of 1×1 pixel (weather) has no
geometry.
Everything here but padding is a view: nothing is read from a memory-mapped file.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmsits.datasets.errors import DataError
from mmsits.datasets.transforms.common import spatial_generator_of
from mmsits.structures import ImageSeries

MAP_KEYS = ('targets', 'instances')
"""Maps (..., H, W) that move with the images."""

IGNORED = 255


def reference_size(results: dict) -> tuple[int, int]:
    """Height and width of the sample's finest grid: that of the targets, else of the largest sensor."""
    if 'targets' in results:
        height, width = results['targets'].shape[-2:]
        return int(height), int(width)
    height, width = max((series.values.shape[-2:] for series in results['inputs'].values()), key=lambda s: s[0] * s[1])
    return int(height), int(width)


def resolution_ratios(results: dict) -> dict[str, int]:
    """How many pixels of the reference grid one pixel of each sensor covers, along one axis.

    Returns:
        Sensor name to ratio; sensors without geometry (1×1 beside a larger grid) are left out.

    Raises:
        DataError: if a sensor's size does not divide the reference size by the same whole number along both axes.
    """
    height, width = reference_size(results)
    ratios = {}
    for sensor, series in results['inputs'].items():
        h, w = series.values.shape[-2:]
        if (h, w) == (1, 1) and (height, width) != (1, 1):
            continue
        ratio = height // h
        if ratio < 1 or (h * ratio, w * ratio) != (height, width):
            raise DataError(
                f'{sensor}: {h}×{w} pixels do not divide the sample size {height}×{width} by a whole number',
                path=results.get('paths', {}).get(sensor),
                sample_id=results.get('sample_id'),
                hint='Resample the sensor to the grid of the targets.',
            )
        ratios[sensor] = ratio
    return ratios


def _apply(results: dict, change: Callable[[np.ndarray, int], np.ndarray]) -> None:
    """Run ``change(array (..., H, W), ratio)`` over all sensors, masks and maps of a sample."""
    for sensor, ratio in resolution_ratios(results).items():
        values, days, valid = results['inputs'][sensor]
        per_pixel = valid.shape[-2:] == values.shape[-2:]
        changed = change(valid, ratio) if per_pixel else valid
        results['inputs'][sensor] = ImageSeries(change(values, ratio), days, changed)
    for key in MAP_KEYS:
        if key in results:
            results[key] = change(results[key], 1)
    results['img_shape'] = reference_size(results)


class SpatialTransform(BaseTransform):
    """Base of what moves, cuts or turns the image plane.

    Views of one sample must go through the same of these with the same options, in the same order (`DomainViews` checks
    it); then they stay aligned, since random numbers come from `spatial_generator_of` alone. ``repr`` must tell the
    options.
    """


class _Crop(SpatialTransform):
    """What random and centre crop share: the size, alignment to coarser sensors, cutting."""

    def __init__(self, crop_size: int | tuple[int, int]) -> None:
        size = (crop_size, crop_size) if isinstance(crop_size, int) else tuple(crop_size)
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f'crop_size must be one or two positive integers, got {crop_size}')
        self.crop_size = (int(size[0]), int(size[1]))

    def _origin(self, results: dict, steps: tuple[int, int], step: int) -> tuple[int, int]:
        """Row and column of the window, counted in steps of the coarsest grid; each from 0 to ``steps``.

        Args:
            results: the sample.
            steps: largest row and column.
            step: pixels of the reference grid in a step.
        """
        raise NotImplementedError

    def transform(self, results: dict) -> dict:
        """Cut the window out of every sensor and map."""
        height, width = reference_size(results)
        crop_height, crop_width = min(self.crop_size[0], height), min(self.crop_size[1], width)
        step = math.lcm(1, *resolution_ratios(results).values())
        if crop_height % step or crop_width % step:
            raise ValueError(
                f'a crop of {crop_height}×{crop_width} pixels cuts through pixels of a coarser sensor; '
                f'crop_size must be a multiple of {step} for this sample ({results.get("sample_id")})'
            )
        row, col = self._origin(results, ((height - crop_height) // step, (width - crop_width) // step), step)
        top, left = row * step, col * step

        def cut(array: np.ndarray, ratio: int) -> np.ndarray:
            rows = slice(top // ratio, (top + crop_height) // ratio)
            cols = slice(left // ratio, (left + crop_width) // ratio)
            return array[..., rows, cols]

        _apply(results, cut)
        offset_top, offset_left = results.get('window', (0, 0))[:2]
        results['window'] = (offset_top + top, offset_left + left, crop_height, crop_width)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(crop_size={self.crop_size})'


@TRANSFORMS.register_module()
class SeriesRandomCrop(_Crop):
    """Cut a window at a random place; a smaller image is kept whole.

    Required keys: inputs, rng. Changed keys: inputs, targets, instances. Added keys: window (top, left, height, width
    in pixels of the loaded sample), img_shape.

    Args:
        crop_size: side, or height and width, in pixels of the reference grid.
        max_class_share: draw again, up to ten times, where one class has this share of the labelled pixels, or only one
            class is there (mmseg's ``cat_max_ratio``). 1: the first place is taken. Samples without labels take it too.

    Raises:
        ValueError: if the crop would cut through pixels of a coarser sensor, or the share is not in (0, 1].
    """

    TRIES = 10

    def __init__(self, crop_size: int | tuple[int, int], max_class_share: float = 1.0) -> None:
        super().__init__(crop_size)
        if not 0 < max_class_share <= 1:
            raise ValueError(f'max_class_share must lie in (0, 1], got {max_class_share}')
        self.max_class_share = max_class_share

    def _origin(self, results: dict, steps: tuple[int, int], step: int) -> tuple[int, int]:
        place = self._draw(results, steps)
        if self.max_class_share == 1 or 'targets' not in results:
            return place
        for _ in range(self.TRIES):
            if self._is_varied(results['targets'], place[0] * step, place[1] * step):
                break
            place = self._draw(results, steps)
        return place

    @staticmethod
    def _draw(results: dict, steps: tuple[int, int]) -> tuple[int, int]:
        rng = spatial_generator_of(results)
        return int(rng.integers(steps[0] + 1)), int(rng.integers(steps[1] + 1))

    def _is_varied(self, targets: np.ndarray, top: int, left: int) -> bool:
        window = targets[..., top : top + self.crop_size[0], left : left + self.crop_size[1]]
        counts = np.bincount(window.ravel(), minlength=IGNORED + 1)[:IGNORED]
        return bool((counts > 0).sum() > 1 and counts.max() < self.max_class_share * counts.sum())

    def __repr__(self) -> str:
        return f'{type(self).__name__}(crop_size={self.crop_size}, max_class_share={self.max_class_share})'


@TRANSFORMS.register_module()
class SeriesCenterCrop(_Crop):
    """Cut the window in the middle; a smaller image is kept whole.

    Required keys: inputs. Changed keys: inputs, targets, instances. Added keys: window (top, left, height, width in
    pixels of the loaded sample), img_shape.

    Args:
        crop_size: side, or height and width, in pixels of the reference grid.

    Raises:
        ValueError: if the crop would cut through pixels of a coarser sensor.
    """

    def _origin(self, results: dict, steps: tuple[int, int], step: int) -> tuple[int, int]:
        return steps[0] // 2, steps[1] // 2


@TRANSFORMS.register_module()
class SeriesRandomFlip(SpatialTransform):
    """Mirror the sample, each direction by itself with the same probability.

    Required keys: inputs, rng. Changed keys: inputs, targets, instances. Added keys: flip (the directions mirrored).

    Args:
        probability: probability of each direction.
        directions: any of ``'horizontal'`` (columns reversed) and ``'vertical'`` (rows reversed).

    Raises:
        ValueError: if a direction is not known.
    """

    AXES = dict(horizontal=-1, vertical=-2)

    def __init__(self, probability: float = 0.5, directions: tuple[str, ...] = ('horizontal', 'vertical')) -> None:
        unknown = [name for name in directions if name not in self.AXES]
        if unknown:
            raise ValueError(f'unknown directions {unknown}; known are {list(self.AXES)}')
        self.probability = probability
        self.directions = tuple(directions)

    def transform(self, results: dict) -> dict:
        """Mirror every sensor and map."""
        rng = spatial_generator_of(results)
        drawn = tuple(name for name in self.directions if rng.random() < self.probability)
        axes = tuple(self.AXES[name] for name in drawn)
        if axes:
            _apply(results, lambda array, _: np.flip(array, axes))
        results['flip'] = drawn
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(probability={self.probability}, directions={self.directions})'


@TRANSFORMS.register_module()
class SeriesRandomRotate90(SpatialTransform):
    """Turn the sample by 0, 90, 180 or 270 degrees anticlockwise, each with the same probability.

    Only by 0 or 180 where height and width differ, so that the samples of a batch keep one shape. Height and width of
    the objects in ``instances`` (channels 3 and 4) change places with the axes.

    Required keys: inputs, rng. Changed keys: inputs, targets, instances. Added keys: rotate90 (quarter turns).
    """

    def transform(self, results: dict) -> dict:
        """Turn every sensor and map."""
        height, width = reference_size(results)
        step = 1 if height == width else 2
        turns = int(spatial_generator_of(results).integers(4 // step)) * step
        if turns:
            _apply(results, lambda array, _: np.rot90(array, turns, axes=(-2, -1)))
        if turns % 2 and 'instances' in results:
            results['instances'] = results['instances'][[0, 1, 2, 4, 3, 5, 6]]
        results['rotate90'] = turns
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class PadSeries(SpatialTransform):
    """Pad a smaller image at the bottom and right, with pixels that are not valid and labels that are ignored.

    Batches are padded anyhow, to their largest image; this makes sizes equal in all of them.

    Required keys: inputs. Changed keys: inputs, targets. Added keys: img_shape.

    Args:
        size: height and width at least, in pixels of the reference grid.

    Raises:
        ValueError: if the size is no multiple of a coarser sensor's pixels, or the sample has ``instances``.
    """

    def __init__(self, size: int | tuple[int, int]) -> None:
        self.size = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))

    def transform(self, results: dict) -> dict:
        """Pad every sensor and the targets."""
        if 'instances' in results:
            raise ValueError('PadSeries: instances cannot be padded; put them behind it')
        height, width = reference_size(results)
        rows, columns = max(self.size[0] - height, 0), max(self.size[1] - width, 0)
        if not rows and not columns:
            return results
        ratios = resolution_ratios(results)
        if any(rows % ratio or columns % ratio for ratio in ratios.values()):
            raise ValueError(f'PadSeries: {self.size} cuts through pixels of a coarser sensor ({ratios})')
        for sensor, ratio in ratios.items():
            values, days, valid = results['inputs'][sensor]
            by = ((0, 0), (0, rows // ratio), (0, columns // ratio))
            seen = np.pad(np.broadcast_to(valid, (len(days), *values.shape[-2:])), by)
            results['inputs'][sensor] = ImageSeries(np.pad(np.asarray(values), ((0, 0), *by)), days, seen)
        if 'targets' in results:
            margins = ((0, rows), (0, columns))
            results['targets'] = np.pad(results['targets'], margins, constant_values=IGNORED)
        results['img_shape'] = (height + rows, width + columns)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size})'
