"""`Grid` and `Window`: where the pixels of a scene lie, and rectangles of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from affine import Affine
    from rasterio.crs import CRS

SNAP = 1e-3
"""Grids whose pixels lie apart by less than this part of a pixel are one: that much is lost in writing numbers down."""


class Window(NamedTuple):
    """A rectangle of pixels of a grid.

    Attributes:
        row: first row, counted from the top.
        column: first column, counted from the left.
        height: number of rows.
        width: number of columns.
    """

    row: int
    column: int
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, as slices of an array (…, H, W) of the whole grid."""
        return slice(self.row, self.row + self.height), slice(self.column, self.column + self.width)

    def intersection(self, other: Window) -> Window:
        """The pixels that two windows share; height or width 0 where there are none."""
        row, column = max(self.row, other.row), max(self.column, other.column)
        height = min(self.row + self.height, other.row + other.height) - row
        width = min(self.column + self.width, other.column + other.width) - column
        return Window(row, column, max(height, 0), max(width, 0))

    def grown(self, margin: int) -> Window:
        """The window with a margin of pixels on every side; may reach beyond the grid."""
        return Window(self.row - margin, self.column - margin, self.height + 2 * margin, self.width + 2 * margin)

    def moved(self, rows: int, columns: int) -> Window:
        """The window so many rows further down and columns further right."""
        return self._replace(row=self.row + rows, column=self.column + columns)

    def coarsened(self, ratio: int) -> Window:
        """The pixels of a grid that is coarser by a whole number, with the same corner, that hold this window."""
        row, column = self.row // ratio, self.column // ratio
        end_row, end_column = -(-(self.row + self.height) // ratio), -(-(self.column + self.width) // ratio)
        return Window(row, column, end_row - row, end_column - column)

    def within(self, outer: Window) -> Window:
        """This window, counted from the first pixel of another."""
        return self.moved(-outer.row, -outer.column)


class Grid(NamedTuple):
    """The lattice of pixels that a raster has, or that rasters are brought to.

    Attributes:
        crs: coordinate reference system (a `rasterio.crs.CRS`).
        transform: from (column, row) of a pixel's upper left corner to map coordinates (an `affine.Affine`).
        height: number of rows H.
        width: number of columns W.
    """

    crs: CRS
    transform: Affine
    height: int
    width: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.height, self.width

    @property
    def window(self) -> Window:
        """All of the grid."""
        return Window(0, 0, self.height, self.width)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top in map coordinates."""
        corners = [self.transform @ (column, row) for column in (0, self.width) for row in (0, self.height)]
        xs, ys = zip(*corners, strict=True)
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def pixel_size(self) -> tuple[float, float]:
        """Length of a pixel's sides along a row and along a column, in units of the CRS."""
        return math.hypot(self.transform.a, self.transform.d), math.hypot(self.transform.b, self.transform.e)

    def part(self, window: Window) -> Grid:
        """The grid of a window of this one; the window may reach beyond it."""
        from affine import Affine

        moved = self.transform @ Affine.translation(window.column, window.row)
        return Grid(self.crs, moved, window.height, window.width)

    def offset_of(self, other: Grid) -> tuple[int, int] | None:
        """Where another grid's first pixel lies, if both are parts of one lattice.

        Args:
            other: a grid.

        Returns:
            Row and column in this grid of the other's upper left pixel; None where the CRS, the pixel size or the
            position of the pixels differ, so that one has to be resampled to the other.
        """
        if self.crs != other.crs:
            return None
        column, row = ~self.transform @ (other.transform.c, other.transform.f)
        column_end, row_end = ~self.transform @ (other.transform @ (other.width, other.height))
        expected = (round(column), round(row), round(column) + other.width, round(row) + other.height)
        found = (column, row, column_end, row_end)
        if any(abs(a - b) > SNAP for a, b in zip(expected, found, strict=True)):
            return None
        return expected[1], expected[0]

    def refined(self, ratio: int) -> Grid:
        """The grid whose pixels divide the present ones into ratio × ratio."""
        from affine import Affine

        finer = self.transform @ Affine.scale(1 / ratio)
        return Grid(self.crs, finer, self.height * ratio, self.width * ratio)

    def ratio_to(self, other: Grid) -> int | None:
        """How many pixels of this grid a pixel of a coarser one spans along each axis, if that is a whole number.

        Args:
            other: a grid.

        Returns:
            2 or more; None where pixels of one grid do not divide those of the other.
        """
        ratio = round(other.pixel_size[0] / self.pixel_size[0])
        return ratio if ratio > 1 and self.offset_of(other.refined(ratio)) is not None else None

    def overlaps(self, other: Grid) -> bool:
        """Whether the extents of two grids, of whatever CRS, have an area in common."""
        left, bottom, right, top = self.bounds
        other_left, other_bottom, other_right, other_top = bounds_in(other, self.crs)
        return left < other_right and other_left < right and bottom < other_top and other_bottom < top


def bounds_in(grid: Grid, crs: CRS) -> tuple[float, float, float, float]:
    """Left, bottom, right and top of a grid's extent in another CRS.

    Args:
        grid: the grid.
        crs: wanted CRS.

    Returns:
        The smallest rectangle around the extent, whose sides are followed at 21 points each.
    """
    if grid.crs == crs:
        return grid.bounds
    from rasterio.warp import transform_bounds

    return transform_bounds(grid.crs, crs, *grid.bounds, densify_pts=21)


def block_windows(height: int, width: int, size: int) -> Iterator[Window]:
    """Blocks that divide a grid, row by row: each pixel lies in exactly one; those at the far edges may be smaller.

    Args:
        height: rows of the grid.
        width: columns of the grid.
        size: rows and columns of a block.
    """
    for row in range(0, height, size):
        for column in range(0, width, size):
            yield Window(row, column, min(size, height - row), min(size, width - column))
