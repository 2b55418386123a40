"""Masks of regions from their fields, and masks brought to the size of an image as published."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..scene.grid import Grid
from .regions import Region

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

CROP, OTHER, UNLABELLED = 1, 0, 255
"""Values of a mask: the region's crop; a field of another crop; not known."""


def rasterise(shapes: Iterable[Any], grid: Grid) -> np.ndarray:
    """Which pixels have their centre in one of some polygons, (H, W) bool.

    Args:
        shapes: shapely polygons in the grid's CRS; may be none, empty, or reach beyond the grid.
        grid: the pixels.
    """
    from rasterio.features import geometry_mask

    shapes = [shape for shape in shapes if not shape.is_empty]
    if not shapes:
        return np.zeros(grid.shape, bool)
    return geometry_mask(shapes, grid.shape, grid.transform, all_touched=False, invert=True)


class FieldMasks:
    """Draws the masks of regions.

    Args:
        fields: as `read_fields` gives them.
        inner_buffer: what is taken off a field along its edge, metres (units of the region's CRS): pixels that the
            edge runs through show its neighbour as well, and surveyed edges are a few metres off.
        unlabelled: value of pixels that no field, or only a field's edge, is known of.
        all_fields: draw every known field in the box: those of the crop that belong to other regions too, and those of
            other crops as `OTHER`. Without, only the region's own, as published.
    """

    def __init__(
        self, fields: GeoDataFrame, inner_buffer: float = 10.0, unlabelled: int = UNLABELLED, all_fields: bool = True
    ) -> None:
        self.fields = fields
        self.inner_buffer = inner_buffer
        self.unlabelled = unlabelled
        self.all_fields = all_fields
        self._by_crs: dict[str, GeoDataFrame] = {}

    def draw(self, region: Region, grid: Grid) -> np.ndarray:
        """The mask of a region, (H, W) uint8: 1 the crop, 0 another crop, else `unlabelled`.

        Pixels in fields of the crop and of another one are not known.
        """
        from shapely.geometry import box

        fields = self._in(region.crs)
        near = fields.sindex.query(box(*grid.bounds), predicate='intersects') if self.all_fields else region.members
        own = fields['crop'].to_numpy()[near] == region.crop
        shapes = fields.geometry.to_numpy()[near]
        crop = rasterise(self._shrunk(shapes[own]), grid)
        other = rasterise(self._shrunk(shapes[~own]), grid)
        mask = np.full(grid.shape, self.unlabelled, np.uint8)
        mask[other & ~rasterise(shapes[own], grid)] = OTHER
        mask[crop & ~rasterise(shapes[~own], grid)] = CROP
        return mask

    def _in(self, crs: str) -> GeoDataFrame:
        if crs not in self._by_crs:
            self._by_crs[crs] = self.fields.to_crs(crs)
        return self._by_crs[crs]

    def _shrunk(self, shapes: np.ndarray) -> np.ndarray:
        import shapely

        return shapely.buffer(shapes, -self.inner_buffer) if self.inner_buffer else shapes


def resize_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A mask in the size of an image, as published: shares 0 … 1 of marked ground in each pixel.

    Bilinear, with a Gaussian of sigma (factor - 1) / 2 in front where the image is smaller, mirrored at the borders, as
    `skimage.transform.resize` does. Published training counts every share above 0.01 as the crop.

    Args:
        mask: (H, W) uint8, 0 … 255.
        shape: height and width wanted.

    Returns:
        (h, w) float64.
    """
    from scipy import ndimage

    image = mask.astype(np.float64) / 255
    if image.shape == tuple(shape):
        return image
    factors = np.divide(image.shape, shape)
    smoothed = ndimage.gaussian_filter(image, np.maximum((factors - 1) / 2, 0), mode='mirror')
    resized = ndimage.zoom(smoothed, 1 / factors, order=1, mode='mirror', grid_mode=True)
    return np.clip(resized, image.min(), image.max())
