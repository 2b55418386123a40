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

from .grid import Grid, Window, block_windows
from .rasters import RasterSeries, Source, read_source

if TYPE_CHECKING:
    from .scene import Scene

EDGE = 32
"""How many pixels along both edges from each corner of a file an undeclared border is looked for."""
MOST_FILES = 96
"""How many files of a sensor are looked at for it, spread over the season."""
SAMPLE_DATES, SAMPLE_SIDE = 5, 48
"""Dates and side in pixels of the windows whose values are held against the declared unit."""
LEAST_VALUES = 50
"""From fewer values nothing is concluded about the unit."""
BLOCK = 512
"""Side of the blocks in which a scene is searched for a pixel that was ever seen."""

_warned: set[str] = set()


def check_scene(scene: Scene) -> None:
    """Look at a sample of the pixels of every sensor.

    Warned of: a border of one number where no nodata is declared; a scale or offset that a file declares and the config
    does not mention; values of dB without a negative one.

    Args:
        scene: the scene.

    Raises:
        DataError: if the values cannot have the declared unit; if no pixel was ever seen: all cloud, or all nodata.
    """
    for series in scene.sensors.values():
        warn_of_undeclared_scale(series)
        warn_of_borders(series)
        refuse_hidden(series, scene.grid)
        check_unit(series, scene.grid)


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
    """A corner of a file from which the border holds one number.

    Attributes:
        path: the file.
        day: days since 1970-01-01.
        value: the number.
    """

    path: str
    day: int
    value: float


def warn_of_borders(series: RasterSeries) -> None:
    """Warn where no nodata is declared and the edges at a corner hold nothing but one number: nodata, probably."""
    found = list(find_borders(series))
    if not found:
        return
    first = found[0]
    _warn(
        f'{first.path} ({iso_day(first.day)}): no nodata is declared, and the border at a corner holds nothing but '
        f'{first.value:g}; so it is in {len(found)} corners of files of sensor {series.name}. If {first.value:g} means '
        f"'not observed', say nodata={first.value:g} with the sensor; if not, nodata='none'."
    )


def find_borders(series: RasterSeries) -> Iterator[Border]:
    """Corners of files without declared nodata that hold one number in all bands.

    Args:
        series: the sensor; of many files some, evenly spread.

    Yields:
        One per corner.
    """
    dated = [
        (acquisition.day, source)
        for acquisition in series.acquisitions
        for tile in acquisition.tiles
        for source in tile
        if source.radiometry.nodata is None and not (source.radiometry.nodata_denied or source.header.masked)
    ]
    chosen = np.unique(np.linspace(0, len(dated) - 1, min(len(dated), MOST_FILES)).astype(int)) if dated else ()
    for position in chosen:
        day, source = dated[position]
        for value in _corner_values(source):
            yield Border(str(source.path), day, value)


def _corner_values(source: Source) -> Iterator[float]:
    """The number of each corner of a file from which both edges hold nothing else."""
    grid = source.header.grid
    height, width = (min(EDGE, length // 2) for length in grid.shape)
    if min(height, width) < 2:
        return
    for bottom in (False, True):
        for right in (False, True):
            row, column = bottom * (grid.height - 1), right * (grid.width - 1)
            along = Window(row, right * (grid.width - width), 1, width)
            down = Window(bottom * (grid.height - height), column, height, 1)
            edges = [read_source(source, source.indexes, edge, grid, 'nearest')[0] for edge in (along, down)]
            value = edges[0].flat[0]
            if all((edge == value).all() for edge in edges):
                yield float(value)


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
    if 'linear' in unit and middle < 0:
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
