"""Resizing of whole samples, as augmentation of the scale."""

from __future__ import annotations

import numpy as np
from mmseg.registry import TRANSFORMS

from mmsits.datasets.transforms.common import spatial_generator_of
from mmsits.datasets.transforms.spatial import SpatialTransform, reference_size, resolution_ratios
from mmsits.structures import ImageSeries

_OBSERVED = 0.999
"""Share of an interpolated pixel that must have been observed: all of it, but for rounding."""


@TRANSFORMS.register_module()
class SeriesRandomResize(SpatialTransform):
    """Enlarge or shrink a sample by a random factor, the same for all dates; height and width keep their ratio.

    The sample becomes as large as fits into `scale` times the factor: its longer side into the longer side of that, its
    shorter side into the shorter. Values are interpolated bilinearly (OpenCV) in the type of the file, labels take the
    nearest. A pixel that was made of one that is not valid is not valid.

    It reads the whole sample: a crop comes behind it, so that zoomed samples show other parts of it.

    Required keys: inputs, rng. Changed keys: inputs, targets, img_shape. Added keys: resized_by (factors of height and
    width).

    Args:
        scale: height and width (in any order) of the sample at a factor of 1, in pixels of the reference grid.
        ratio_range: smallest and largest factor.

    Raises:
        ValueError: if the factors are not positive and in order, or the sample has sensors of several resolutions or
            ``instances``.
    """

    def __init__(self, scale: int | tuple[int, int], ratio_range: tuple[float, float] = (0.5, 2.0)) -> None:
        self.scale = (scale, scale) if isinstance(scale, int) else (int(scale[0]), int(scale[1]))
        low, high = ratio_range
        if not 0 < low <= high:
            raise ValueError(f'ratio_range must be two positive numbers, the smaller first, got {ratio_range}')
        self.ratio_range = (float(low), float(high))

    def transform(self, results: dict) -> dict:
        """Resize every sensor and the targets."""
        size = reference_size(results)
        if 'instances' in results or set(resolution_ratios(results).values()) - {1}:
            raise ValueError('SeriesRandomResize takes sensors of one resolution, and no instances')
        new = fitted_size(size, self.draw_scale(spatial_generator_of(results)))
        if new != size:
            for sensor in resolution_ratios(results):
                results['inputs'][sensor] = resize_series(results['inputs'][sensor], new)
            if 'targets' in results:
                results['targets'] = _resize(results['targets'][None, None], new, nearest=True)[0, 0]
        results['resized_by'] = (new[0] / size[0], new[1] / size[1])
        results['img_shape'] = new
        return results

    def draw_scale(self, rng: np.random.Generator) -> tuple[int, int]:
        """The frame into which the sample is to fit: `scale` times a random factor, rounded down."""
        low, high = self.ratio_range
        factor = rng.random() * (high - low) + low
        return int(self.scale[0] * factor), int(self.scale[1] * factor)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale}, ratio_range={self.ratio_range})'


def fitted_size(size: tuple[int, int], frame: tuple[int, int]) -> tuple[int, int]:
    """Height and width of an image enlarged or shrunk until it just fits into a frame that may be turned."""
    factor = min(max(frame) / max(size), min(frame) / min(size))
    return max(int(size[0] * factor + 0.5), 1), max(int(size[1] * factor + 0.5), 1)


def resize_series(series: ImageSeries, size: tuple[int, int]) -> ImageSeries:
    """Interpolate a series (T,C,H,W) bilinearly to another height and width, in the type of its values.

    Returns:
        values (T,C,h,w), and valid (T,1,1), or (T,h,w) where it was given for each pixel: True where all that a pixel
        was made of is.
    """
    values = _resize(np.asarray(series.values), size)
    if series.valid.shape[-2:] == (1, 1):
        return series._replace(values=values)
    seen = _resize(np.asarray(series.valid, np.float32)[:, None], size)[:, 0]
    return ImageSeries(values, series.days, seen > _OBSERVED)


def _resize(values: np.ndarray, size: tuple[int, int], nearest: bool = False) -> np.ndarray:
    """(T,C,H,W) of any type that is a number -> (T,C,h,w) of the same type."""
    import cv2

    dtype = values.dtype
    # OpenCV knows neither half precision nor long integers.
    held = values.astype(_OPENCV_TYPES.get(dtype.name, dtype), copy=False)
    how = cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR
    resized = np.empty((*values.shape[:2], *size), held.dtype)
    for target, image in zip(resized, held, strict=True):
        # All bands of a date at once, as published: OpenCV rounds otherwise where it gets them one by one.
        found = cv2.resize(np.ascontiguousarray(np.moveaxis(image, 0, -1)), size[::-1], interpolation=how)
        target[:] = np.moveaxis(found.reshape(*size, -1), -1, 0)
    if dtype.kind in 'iu' and held.dtype.kind == 'f':
        resized = np.rint(resized)
    return resized.astype(dtype, copy=False)


_OPENCV_TYPES = dict(float16='float32', int8='int16', int32='float64', uint32='float64', int64='float64', bool='uint8')
