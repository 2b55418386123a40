"""The six composites of a region, written whole or not at all, tried again where the network fails."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from mmengine import fileio
from mmengine.logging import print_log

from ..composite_windows import monthly_windows
from ..errors import DataError
from ..polygons.patches import encode_raster, open_raster, read_raster, tile_name
from ..polygons.regions import box_grid
from ..polygons.tables import RegionBox
from ..scene.grid import Grid, Window
from .catalogue import Catalogue
from .composites import OpticalComposites, RadarComposites, SourceError, read_band

Composites = RadarComposites | OpticalComposites
LABELS = 'crop_map'
_NO_SCENE = 'none'
"""Tag of images of a window without any scene."""


@dataclass(frozen=True)
class DownloadOptions:
    """How regions are downloaded.

    Args:
        folder: the images are written to `<folder>/<crop>/<sensor>/<1..6>/<uid>.tif`.
        by_crop: False leaves out the folder of the crop.
        pixel: side of a pixel of regions that have no mask yet, metres of their CRS.
        attempts: how often a file is tried.
        first_wait: seconds before the second attempt; doubles each time, up to a minute.
        labels: raster of label codes (EUCROPMAP) that is written as the mask of each region; None leaves masks alone.
    """

    folder: Path
    by_crop: bool = True
    pixel: float = 10.0
    attempts: int = 5
    first_wait: float = 2.0
    labels: str | None = None

    def root(self, region: RegionBox) -> Path:
        """Folder of the region's crop."""
        return self.folder / region.crop if self.by_crop else self.folder


@dataclass
class DownloadReport:
    """What became of a region.

    Attributes:
        written: files that were made.
        kept: files that were there, complete.
        repaired: files that were there and could not be read, made again.
        scenes: sensor -> scenes used, over all windows; only of files that were made.
        empty: windows without any scene, as 'sensor/number', of files that were there too.
    """

    written: int = 0
    kept: int = 0
    repaired: list[Path] = field(default_factory=list)
    scenes: dict[str, int] = field(default_factory=dict)
    empty: list[str] = field(default_factory=list)


def download_region(
    region: RegionBox,
    catalogue: Catalogue,
    composites: Sequence[Composites],
    options: DownloadOptions,
    wait: Callable[[float], Any] = time.sleep,
) -> DownloadReport:
    """Get all composites of a region; what is complete already is left.

    A window without any scene becomes an image of NaN alone, so that it is not searched for again.

    Args:
        region: box and harvest.
        catalogue: where scenes are.
        composites: what is made of them, one for each sensor.
        options: how.
        wait: called with the seconds to wait before the next attempt.

    Raises:
        DataError: if the harvest is not known, or a file could not be made in all attempts.
    """
    if region.harvest is None:
        raise DataError(
            f'region {region.uid} ({region.crop}) has no harvest date, so nobody knows which months to get',
            hint='Add it to the table of regions (harvest_date), or leave the region out.',
        )
    report = DownloadReport()
    root = options.root(region)
    mask = root / LABELS / f'{region.uid}.tif'
    if options.labels is not None and not is_complete(mask, None, 1):
        address = options.labels
        content = _tried(lambda: _labels(address, _box(region, options)), options, wait)
        _write(mask, content, _box(region, options), 1)
    grid = _grid_of(mask) if mask.exists() else _box(region, options)
    place = _place(grid)
    for kind in composites:
        for number, window in enumerate(monthly_windows(region.harvest), 1):
            path = root / kind.sensor / str(number) / f'{region.uid}.tif'
            if path.exists():
                if is_complete(path, grid, len(kind.bands)):
                    report.kept += 1
                    if _without_scene(path):
                        report.empty.append(f'{kind.sensor}/{number}')
                    continue
                report.repaired.append(path)
                print_log(f'{path}: damaged or of another size, made again', 'current', logging.WARNING)

            def make(kind: Composites = kind, window: Any = window) -> tuple[bytes, int]:
                scenes = kind.choose(catalogue.search(kind.collection, place, *window), place)
                values = kind.compose(scenes, grid) if scenes else _nothing(kind, grid)
                days = {
                    'window': f'{window[0]}/{window[1]}',
                    'scenes': ' '.join(scene.name for scene in scenes) or _NO_SCENE,
                }
                return encode_raster(values.astype(np.float32), grid, np.nan, kind.bands, **days), len(scenes)

            content, count = _tried(make, options, wait)
            _write(path, content, grid, len(kind.bands))
            report.written += 1
            report.scenes[kind.sensor] = report.scenes.get(kind.sensor, 0) + count
            if not count:
                report.empty.append(f'{kind.sensor}/{number}')
    return report


def is_complete(path: Path, grid: Grid | None, bands: int) -> bool:
    """Whether a file can be read to its end and is of the grid (any, if None) and number of bands that it should be."""
    if not path.exists():
        return False
    try:
        if grid is not None:
            found = _grid_of(path)
            if found.shape != grid.shape or grid.offset_of(found) != (0, 0):
                return False
        return len(read_raster(path)) == bands
    except DataError:
        return False


def tiles_of(region: RegionBox, pixel: float, largest: int) -> list[RegionBox]:
    """A region as tiles of at most so many pixels a side: itself if it is small enough.

    Args:
        region: the region.
        pixel: side of a pixel, in units of its CRS.
        largest: pixels.
    """
    grid = box_grid(region.bounds, region.crs, pixel)
    if max(grid.shape) <= largest:
        return [region]
    tiles = []
    for top in range(0, grid.height, largest):
        for left in range(0, grid.width, largest):
            part = grid.part(Window(top, left, min(largest, grid.height - top), min(largest, grid.width - left)))
            name = tile_name(region.uid, top // largest, left // largest)
            tiles.append(region._replace(uid=name, bounds=part.bounds))
    return tiles


def _write(path: Path, content: bytes, grid: Grid, bands: int) -> None:
    fileio.put(content, path)
    if not is_complete(path, grid, bands):
        path.unlink(missing_ok=True)
        raise DataError(
            'what was written cannot be read again', path=path, hint='Check the disk, then run the tool again.'
        )


def _tried(make: Callable[[], Any], options: DownloadOptions, wait: Callable[[float], Any]) -> Any:
    """The result of a function that may fail for a while."""
    for attempt in range(1, options.attempts + 1):
        try:
            return make()
        except Exception as error:
            # A mistake of the user's stays one; networks, servers and half-written files have many kinds of errors.
            permanent = isinstance(error, DataError) and not isinstance(error, SourceError)
            if permanent:
                raise
            if attempt == options.attempts:
                raise DataError(
                    f'given up after {attempt} attempts: {type(error).__name__}: {error}',
                    hint='Run the tool again: what is complete is kept.',
                ) from error
            seconds = min(options.first_wait * 2 ** (attempt - 1), 60.0)
            print_log(f'{error} Attempt {attempt} failed, the next in {seconds:g} s.', 'current', logging.WARNING)
            wait(seconds)
    raise AssertionError('at least one attempt is made')


def _labels(address: str, grid: Grid) -> bytes:
    codes = read_band(address, grid, nearest=True, nodata=0)
    return encode_raster(np.nan_to_num(codes).astype(np.uint16)[None], grid, 0, ['classification'])


def _box(region: RegionBox, options: DownloadOptions) -> Grid:
    return box_grid(region.bounds, region.crs, options.pixel)


def _grid_of(path: Path) -> Grid:
    with open_raster(path) as file:
        return Grid(file.crs, file.transform, file.height, file.width)


def _place(grid: Grid) -> Any:
    """The grid's box in degrees."""
    from rasterio.warp import transform_bounds
    from shapely.geometry import box

    return box(*transform_bounds(grid.crs, 'EPSG:4326', *grid.bounds))


def _without_scene(path: Path) -> bool:
    with open_raster(path) as file:
        return file.tags().get('scenes') == _NO_SCENE


def _nothing(kind: Composites, grid: Grid) -> np.ndarray:
    return np.full((len(kind.bands), *grid.shape), np.nan, np.float32)
