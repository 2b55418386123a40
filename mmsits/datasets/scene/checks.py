"""A look at some pixels of a scene for what headers do not tell: undeclared nodata, another unit, nothing but cloud.

A look costs some hundred small reads, whatever the size of the scene.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from mmengine.logging import print_log

from mmsits.datasets.errors import DataError, iso_day

from .grid import Grid, Window, block_windows, bounds_in
from .rasters import RasterSeries, Source, read_source

if TYPE_CHECKING:
    from .scene import Scene

EDGE = 32
"""How many pixels along both edges from each corner of a file an undeclared border is looked for."""
SIDE_PIECES = 16
"""In how many pieces of that length, at most, a side of a file is looked at."""
MOST_FILES = 96
"""How many files of a sensor are looked at for it, spread over the season."""
SAMPLE_DATES, SAMPLE_SIDE = 5, 48
"""Dates and side in pixels of the windows whose values are held against the declared unit."""
LINEAR_UNITS = ('intensity', 'sigma0', 'gamma0', 'backscatter')
"""Parts of the names of units of radar that are linear unless they say dB."""
LEAST_VALUES = 50
"""From fewer values nothing is concluded about the unit."""
BLOCK = 512
"""Side of the blocks in which a scene is searched for a pixel that was ever seen."""
SCATTERED = 4
"""From how many times the pixels of the files on the grid that holds them all is called too large."""

_warned: set[str] = set()


def check_scene(scene: Scene) -> None:
    """Look at a sample of the pixels of every sensor.

    Warned of: files that fill little of the sensor's grid; a border of one number that is not declared as nodata; a
    scale or offset that a file declares and the config does not mention; values of dB without a negative one.

    Args:
        scene: the scene.

    Raises:
        DataError: if the values cannot have the declared unit; if no pixel was ever seen: all cloud, or all nodata.
    """
    for series in scene.sensors.values():
        warn_of_scattered_files(series)
        warn_of_undeclared_scale(series)
        warn_of_borders(series)
        refuse_hidden(series, scene.grid)
        check_unit(series, scene.grid)


def warn_of_scattered_files(series: RasterSeries) -> None:
    """Warn where the grid that holds all files is much larger than the largest of them; than all tiles together."""
    sizes = [_pixels_on(grid, series.grid) for grid in {source.header.grid for source in series.sources}]
    filled = sum(sizes) if series.same_day == 'merge' else max(sizes)
    height, width = series.grid.shape
    if height * width > SCATTERED * filled:
        what = 'all tiles together' if series.same_day == 'merge' else 'the largest file'
        _warn(
            f'{series.name}: the grid that holds all files has {height} × {width} pixels, '
            f'{height * width / filled:.0f} times as many as {what}. Look whether all files belong to one area; '
            'else choose the `grid` of the scene.'
        )


def _pixels_on(grid: Grid, other: Grid) -> float:
    """How many pixels of another grid the extent of a grid holds."""
    left, bottom, right, top = bounds_in(grid, other.crs)
    column_size, row_size = other.pixel_size
    return (right - left) * (top - bottom) / (column_size * row_size)


def warn_of_undeclared_scale(series: RasterSeries) -> None:
    """Warn where files declare a scale or offset, other than 1 and 0, that the config does not ask for."""
    for source in series.sources:
        header = source.header
        declared = {(scale, offset) for scale, offset in zip(header.scales, header.offsets, strict=True)}
        if source.radiometry.declared_ignored and declared != {(1.0, 0.0)}:
            scale, offset = sorted(declared)[0]
            _warn(
                f'{source.path}: the file declares scale {scale:g} and offset {offset:g}, which are not applied. '
                f"Say scale='file', offset='file' with the sensor {series.name} to apply them, else scale=1."
            )
            return


class Border(NamedTuple):
    """A corner of a file from which the border holds one number, or a whole side of the file that does.

    Attributes:
        path: the file.
        day: days since 1970-01-01.
        value: the number.
        nodata: the number that is declared as nodata, which is another; None where none is.
    """

    path: str
    day: int
    value: float
    nodata: float | None = None


def warn_of_borders(series: RasterSeries) -> None:
    """Warn where the edges at a corner, or a whole side, hold nothing but one number: undeclared nodata, probably."""
    found = list(find_borders(series))
    if not found:
        return
    first = found[0]
    declared, remedy = 'no nodata is declared', f"say nodata={first.value:g} with the sensor; if not, nodata='none'"
    if first.nodata is not None:
        declared = f'nodata is {first.nodata:g}'
        remedy = f'say nodata={first.value:g} with the sensor, or write {first.nodata:g} there too'
    _warn(
        f'{first.path} ({iso_day(first.day)}): {declared}, and the border at a corner or side holds nothing but '
        f'{first.value:g}; so it is in {len(found)} corners or sides of files of sensor {series.name}. If '
        f"{first.value:g} means 'not observed', {remedy}."
    )


def find_borders(series: RasterSeries) -> Iterator[Border]:
    """Corners and sides of files that hold one number in all bands, which is not the declared nodata.

    Args:
        series: the sensor; of many files some, evenly spread. Files that say by a mask where they observed are left
            out.

    Yields:
        One per corner, and per side without such a corner.
    """
    dated = [
        (acquisition.day, source)
        for acquisition in series.acquisitions
        for tile in acquisition.tiles
        for source in tile
        if not source.radiometry.nodata_denied and (source.radiometry.nodata is not None or not source.header.masked)
    ]
    chosen = np.unique(np.linspace(0, len(dated) - 1, min(len(dated), MOST_FILES)).astype(int)) if dated else ()
    for position in chosen:
        day, source = dated[position]
        for value in _border_values(source):
            yield Border(str(source.path), day, value, source.radiometry.nodata)


def _border_values(source: Source) -> Iterator[float]:
    """The number of each corner of a file from which both edges hold nothing else, and of each such side."""
    grid = source.header.grid
    height, width = (min(EDGE, length // 2) for length in grid.shape)
    if min(height, width) < 2:
        return
    ends: dict[str, list[float | None]] = dict(top=[], bottom=[], left=[], right=[])
    corners: dict[str, list[bool]] = {side: [] for side in ends}
    for bottom in (False, True):
        for right in (False, True):
            row, column = bottom * (grid.height - 1), right * (grid.width - 1)
            across = _one_number(source, Window(row, right * (grid.width - width), 1, width))
            along = _one_number(source, Window(bottom * (grid.height - height), column, height, 1))
            full = across is not None and across == along
            for side, value in ((('top', 'bottom')[bottom], across), (('left', 'right')[right], along)):
                ends[side].append(value)
                corners[side].append(full)
            if full:
                yield float(across)  # type: ignore[arg-type]
    for side, (first, last) in ends.items():
        # What lies between is read only where both ends are alike, which in an image to the edge they are not.
        alike = first is not None and first == last and not any(corners[side])
        if alike and all(_one_number(source, piece) == first for piece in _pieces(grid, side)):
            yield float(first)  # type: ignore[arg-type]


def _one_number(source: Source, window: Window) -> float | None:
    """The only number in a window of a file; None where there are several, nodata or NaN."""
    values, valid = read_source(source, source.indexes, window, source.header.grid, 'nearest')
    return float(values.flat[0]) if valid.all() and (values == values.flat[0]).all() else None


def _pieces(grid: Grid, side: str) -> Iterator[Window]:
    """Pieces of the outer row or column at a side, spread over its length."""
    lying = side in ('top', 'bottom')
    length, edge = (grid.width, grid.height - 1) if lying else (grid.height, grid.width - 1)
    piece, place = min(EDGE, length), edge if side in ('bottom', 'right') else 0
    for start in np.linspace(0, length - piece, min(SIDE_PIECES, -(-length // piece))).astype(int).tolist():
        yield Window(place, start, 1, piece) if lying else Window(start, place, piece, 1)


def _sample_windows(grid: Grid, side: int) -> list[Window]:
    """Windows spread over a grid, the middle first."""
    height, width = min(side, grid.height), min(side, grid.width)
    places = [(0.5, 0.5), (0.25, 0.25), (0.75, 0.75), (0.25, 0.75), (0.75, 0.25)]
    return [Window(int((grid.height - height) * y), int((grid.width - width) * x), height, width) for y, x in places]


def refuse_hidden(series: RasterSeries, grid: Grid) -> None:
    """Refuse a sensor that never saw a pixel of the scene.

    Args:
        series: the sensor.
        grid: the scene's grid.

    Raises:
        DataError: says whether clouds or nodata hide it.
    """
    if any(series.first_observation(window, grid) is not None for window in _sample_windows(grid, SAMPLE_SIDE)):
        return
    if any(series.first_observation(window, grid) is not None for window in block_windows(*grid.shape, BLOCK)):
        return
    place, clouds = series.folder, series.clouds
    if clouds is None:
        raise DataError(
            f'{series.name}: no pixel of the scene was observed on any of {len(series)} dates: all is nodata',
            path=place,
            hint='Look at the nodata that is declared: by the files, or by nodata=… with the sensor.',
        )
    raise DataError(
        f'{series.name}: no pixel of the scene is seen on any of {len(series)} dates: all is cloud or nodata by '
        f'the cloud rasters (type={clouds.kind!r}, {clouds.description})',
        path=clouds.rasters.folder,
        hint='Look at type, classes, threshold, dilation and nodata of the clouds, or get clearer dates.',
    )


def check_unit(series: RasterSeries, grid: Grid) -> None:
    """Hold a sample of values against the declared unit, where that is one of the usual.

    Args:
        series: the sensor.
        grid: the scene's grid.

    Raises:
        DataError: if the values cannot have the unit.
    """
    unit = series.unit.lower()
    values = sample_values(series, grid)
    if values.size < LEAST_VALUES:
        return
    low, middle, high = (float(number) for number in np.quantile(values, (0.01, 0.5, 0.99)))
    found = f'{series.name}: values {low:.4g} to {high:.4g} (1 % and 99 %), median {middle:.4g}'
    place = series.folder
    linear = 'linear' in unit or ('db' not in unit and any(name in unit for name in LINEAR_UNITS))
    if linear and middle < 0:
        raise DataError(
            f'{found}, cannot be {series.unit!r}: a linear intensity is not negative, so these are dB',
            path=place,
            hint="Say unit='dB' with the sensor.",
        )
    if '10000' in unit and high <= 2:
        raise DataError(
            f'{found}, are too small for {series.unit!r}',
            path=place,
            hint="Give the unit without 'x 10000', or scale=10000.",
        )
    if unit in ('reflectance', 'ndvi', '0 to 1') and abs(middle) > 50:
        raise DataError(
            f'{found}, are too large for {series.unit!r}',
            path=place,
            hint=f"Say unit='{series.unit} x 10000', or scale=0.0001.",
        )
    if unit == 'db' and low >= 0:
        _warn(f"{found}: none is negative, which is odd for dB. If they are linear, say unit='linear' with the sensor.")


def sample_values(series: RasterSeries, grid: Grid) -> np.ndarray:
    """Values of a few windows on a few dates.

    Args:
        series: the sensor.
        grid: the scene's grid.

    Returns:
        (n,) observed values of all bands.
    """
    dates = np.unique(np.linspace(0, len(series) - 1, SAMPLE_DATES).astype(int))
    parts = [series.read(window, grid, dates=dates) for window in _sample_windows(grid, SAMPLE_SIDE)]
    return np.concatenate([part.values.transpose(1, 0, 2, 3)[:, part.valid].ravel() for part in parts])


def _warn(message: str) -> None:
    """Log a warning, once: training, validation and test open the same scene."""
    if message not in _warned:
        _warned.add(message)
        print_log(message, 'current', logging.WARNING)
