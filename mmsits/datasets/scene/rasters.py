"""`RasterSeries`: the dated rasters of one sensor, read window by window and brought to one grid.

Files are opened when they are read, and few are kept open (:data:`OPEN_FILES`) in each thread of each process, so a
series goes through pickle to the workers of a data loader, and memory does not grow with the scene.
"""

from __future__ import annotations

import os
import resource
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmsits.datasets.errors import DataError, iso_day
from mmsits.structures import ImageSeries

from .catalogue import Layer
from .grid import Grid, Window, bounds_in
from .radiometry import Radiometry, RadiometryRule, apply, common_type

if TYPE_CHECKING:
    from .clouds import CloudMasks

OPEN_FILES = min(256, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 4)
"""How many files a thread keeps open: those of a season, bands in files of their own, are asked for again and again."""

BLOCK_CACHE_MIB = 128
"""Memory for blocks of files that were read (GDAL_CACHEMAX); GDAL's own choice grows with the machine's memory."""

SAME_DAY = ('refuse', 'merge')

WARP_TOLERANCE = 1e-3
"""Largest error in pixels of a position when a raster is brought to another grid. GDAL's own, an eighth, would make
values depend on the window in which they are read."""


class Header(NamedTuple):
    """What a raster file declares.

    Attributes:
        grid: where its pixels lie.
        bands: number of bands.
        dtype: type of the stored numbers.
        descriptions: name of each band; None where it has none.
        nodata: number of pixels that were not observed; None where none is declared.
        scales: factor of each band that the file declares, 1 where it does not.
        offsets: likewise summands.
        tags: metadata of the file.
        masked: it has a mask, or an alpha band, that says where it observed.
    """

    grid: Grid
    bands: int
    dtype: np.dtype
    descriptions: tuple[str | None, ...]
    nodata: float | None
    scales: tuple[float, ...]
    offsets: tuple[float, ...]
    tags: Mapping[str, str]
    masked: bool

    @property
    def described(self) -> bool:
        """Whether all bands have names, each another."""
        return None not in self.descriptions and len(set(self.descriptions)) == self.bands


@contextmanager
def gdal_settings() -> Iterator[None]:
    """Bounded memory for what is read inside."""
    import rasterio

    with rasterio.Env(GDAL_CACHEMAX=BLOCK_CACHE_MIB):
        yield


def read_header(path: Path, crs: str | None = None) -> Header:
    """What a raster file declares, checked as far as that goes without reading pixels.

    Args:
        path: the file.
        crs: CRS of a file that declares none, such as 'EPSG:32631'.

    Returns:
        The header.

    Raises:
        DataError: if the file cannot be opened, ends early, or does not say where it lies.
    """
    import rasterio
    from rasterio.crs import CRS
    from rasterio.enums import MaskFlags
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    with gdal_settings(), warnings.catch_warnings():
        # What is not georeferenced is refused with more words than rasterio's.
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        try:
            with rasterio.open(path) as file:
                _refuse_truncated(file, path)
                declared = file.crs or (CRS.from_user_input(crs) if crs else None)
                _refuse_nowhere(file, declared, path)
                _refuse_complex(file, path)
                return Header(
                    grid=Grid(declared, file.transform, file.height, file.width),
                    bands=file.count,
                    dtype=np.result_type(*file.dtypes),
                    descriptions=tuple(file.descriptions),
                    nodata=file.nodata,
                    scales=tuple(file.scales),
                    offsets=tuple(file.offsets),
                    tags=file.tags(),
                    masked=MaskFlags.per_dataset in file.mask_flag_enums[0],
                )
        except (RasterioError, OSError) as error:
            raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception, **where: Any) -> DataError:
    if not path.exists():
        return DataError('the file does not exist', path=path, hint='Correct the path, or get the file.', **where)
    size = path.stat().st_size
    return DataError(
        f'the raster cannot be read ({error.__cause__ or error}); it has {size} bytes',
        path=path,
        hint='The download or the writing was perhaps cut off: get the file again, or take it away.',
        **where,
    )


def _refuse_truncated(file: Any, path: Path) -> None:
    """Refuse a GeoTIFF whose last block lies beyond the end of the file: GDAL would notice when it is read."""
    if file.driver != 'GTiff' or not path.is_file():
        return
    block_height, block_width = file.block_shapes[0]
    last = f'{(file.width - 1) // block_width}_{(file.height - 1) // block_height}'
    start, size = (file.get_tag_item(f'BLOCK_{name}_{last}', 'TIFF', bidx=file.count) for name in ('OFFSET', 'SIZE'))
    if start is None or size is None:
        return
    expected, found = int(start) + int(size), path.stat().st_size
    if found < expected:
        raise DataError(
            f'the file is truncated: {expected} bytes are expected at least, {found} found',
            path=path,
            hint='Get the file again, or take it away.',
        )


def _refuse_nowhere(file: Any, crs: Any, path: Path) -> None:
    if crs is None:
        points = ' It has ground control points: warp it first (gdalwarp).' if file.gcps[0] else ''
        raise DataError(
            'the raster does not say in which coordinate reference system it lies',
            path=path,
            hint=f"Give it: gdal_edit.py -a_srs EPSG:… FILE, or crs='EPSG:…' with the sensor.{points}",
        )
    if file.transform.is_identity:
        raise DataError(
            'the raster does not say where its pixels lie (no geotransform)',
            path=path,
            hint='Write it with its transform: gdal_translate -a_ullr …, or warp it (gdalwarp).',
        )


def _refuse_complex(file: Any, path: Path) -> None:
    if any(dtype.startswith('complex') for dtype in file.dtypes):
        raise DataError(
            f'the raster holds complex numbers ({file.dtypes[0]})',
            path=path,
            hint='Radar images are read as intensities or dB: detect and calibrate them first.',
        )


class _Handles(threading.local):
    """The files that this thread has open, the one used longest ago first."""

    def __init__(self) -> None:
        self.open: OrderedDict[Any, tuple[Any, ...]] = OrderedDict()
        self.process = os.getpid()

    def get(self, key: Any, opened: Any) -> Any:
        """The dataset of a key; `opened` gives it and what has to be closed after it."""
        if self.process != os.getpid():
            # A forked process shares its parent's positions in the files: it must open its own, and close none.
            _FORGOTTEN.append(self.open)
            self.open, self.process = OrderedDict(), os.getpid()
        if key not in self.open:
            self.open[key] = opened()
            while len(self.open) > OPEN_FILES:
                close_all(self.open.popitem(last=False)[1])
        self.open.move_to_end(key)
        return self.open[key][0]


def close_all(datasets: Sequence[Any]) -> None:
    """Close datasets in the given order."""
    for dataset in datasets:
        dataset.close()


_FORGOTTEN: list[Any] = []
_HANDLES = _Handles()


def close_files() -> None:
    """Close the files that this thread has open."""
    while _HANDLES.open:
        close_all(_HANDLES.open.popitem()[1])


def _version(path: Path) -> tuple[str, int, int]:
    """What tells a file from one that was written in its place."""
    status = path.stat()
    return str(path), status.st_mtime_ns, status.st_size


class Source(NamedTuple):
    """Bands that one file contributes to a date.

    Attributes:
        path: the file.
        header: what it declares.
        indexes: their numbers in the file, from 1.
        bands: their names.
        radiometry: from stored numbers to values.
    """

    path: Path
    header: Header
    indexes: tuple[int, ...]
    bands: tuple[str, ...]
    radiometry: Radiometry


def read_source(
    source: Source, indexes: Sequence[int], window: Window, grid: Grid, resampling: str
) -> tuple[np.ndarray, np.ndarray]:
    """Stored numbers of some bands of a file in a window of a grid.

    Args:
        source: the file.
        indexes: numbers of the bands in the file, from 1.
        window: of the grid; may reach beyond it, and beyond the file.
        grid: the grid. Where the file's pixels are those of the grid, they are read as they are; else resampled.
        resampling: name of a method of `rasterio.enums.Resampling`.

    Returns:
        Numbers (C,h,w) as stored, and where they were observed, (C,h,w) bool: not beyond the file, not nodata, not NaN.

    Raises:
        DataError: if the file cannot be read.
    """
    from rasterio.errors import RasterioError

    with gdal_settings():
        try:
            values, inside = _read_on(source, indexes, window, grid, resampling)
        except (RasterioError, OSError) as error:
            raise _unreadable(source.path, error, band=', '.join(source.bands)) from error
    valid = np.broadcast_to(inside, values.shape)
    nodata = source.radiometry.nodata
    if nodata is not None and not np.isnan(nodata):
        valid = valid & (values != np.asarray(nodata).astype(values.dtype))
    if values.dtype.kind == 'f':
        valid = valid & np.isfinite(values)
    return values, valid


def _read_on(
    source: Source, indexes: Sequence[int], window: Window, grid: Grid, resampling: str
) -> tuple[np.ndarray, np.ndarray]:
    """Read a window of a grid in the cheapest way that gives what GDAL's resampling would."""
    own = source.header.grid
    if (offset := grid.offset_of(own)) is not None:
        return _read_plain(source, indexes, window.moved(-offset[0], -offset[1]))
    ratio = grid.ratio_to(own) if resampling == 'nearest' else None
    if ratio is None:
        return _read_warped(source, indexes, window, grid, resampling)
    offset = grid.offset_of(own.refined(ratio))
    assert offset is not None
    fine = window.moved(-offset[0], -offset[1])
    coarse = fine.coarsened(ratio)
    values, inside = _read_plain(source, indexes, coarse)
    rows, columns = fine.moved(-coarse.row * ratio, -coarse.column * ratio).slices
    repeated = values.repeat(ratio, axis=1).repeat(ratio, axis=2)
    return repeated[:, rows, columns].copy(), inside.repeat(ratio, axis=0).repeat(ratio, axis=1)[rows, columns]


def _read_plain(source: Source, indexes: Sequence[int], window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Read a window of the file's own pixels; beyond the file 0 and not inside."""
    import rasterio
    from rasterio.windows import Window as RasterioWindow

    shared = window.intersection(source.header.grid.window)
    values = np.zeros((len(indexes), *window.shape), source.header.dtype)
    inside = np.zeros(window.shape, bool)
    if 0 in shared.shape:
        return values, inside
    file = _HANDLES.get(_version(source.path), lambda: (rasterio.open(source.path),))
    rectangle = RasterioWindow(shared.column, shared.row, shared.width, shared.height)
    rows, columns = shared.within(window).slices
    values[:, rows, columns] = file.read(list(indexes), window=rectangle, out_dtype=source.header.dtype)
    inside[rows, columns] = file.dataset_mask(window=rectangle) != 0 if _has_mask(source) else True
    return values, inside


def _has_mask(source: Source) -> bool:
    """Whether a file says by a mask where it observed; a declared number goes before it, as in GDAL."""
    return source.header.masked and source.radiometry.nodata is None and not source.radiometry.nodata_denied


def _read_warped(
    source: Source, indexes: Sequence[int], window: Window, grid: Grid, resampling: str
) -> tuple[np.ndarray, np.ndarray]:
    """Read a window of the file's image on the grid; where the file does not reach, 0 and not inside."""
    from rasterio.windows import Window as RasterioWindow

    shared = window.intersection(grid.window)
    values = np.zeros((len(indexes), *window.shape), source.header.dtype)
    inside = np.zeros((len(indexes), *window.shape), bool)
    if 0 in shared.shape:
        return values, inside
    nodata = source.radiometry.nodata
    key = (_version(source.path), grid, resampling, nodata)
    warped = _HANDLES.get(key, lambda: _open_warped(source, grid, resampling))
    rectangle = RasterioWindow(shared.column, shared.row, shared.width, shared.height)
    rows, columns = shared.within(window).slices
    # With nodata each band has its own; without, a band more says where the file reaches.
    wanted = list(indexes) if nodata is not None else [*indexes, warped.count]
    read = warped.read(wanted, window=rectangle, out_dtype=source.header.dtype)
    values[:, rows, columns] = read[: len(indexes)]
    inside[:, rows, columns] = True if nodata is not None else read[-1] != 0
    return values, inside


def _open_warped(source: Source, grid: Grid, resampling: str) -> tuple[Any, Any]:
    """A file as it looks on another grid, with the file to close after it."""
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT

    nodata = source.radiometry.nodata
    file = rasterio.open(source.path)
    column_scale, row_scale = _pixel_ratio(source.header.grid, grid)
    covered = dict(add_alpha=True) if nodata is None else dict(src_nodata=nodata, nodata=nodata)
    warped = WarpedVRT(
        file,
        src_crs=source.header.grid.crs,
        crs=grid.crs,
        transform=grid.transform,
        height=grid.height,
        width=grid.width,
        resampling=Resampling[resampling],
        tolerance=WARP_TOLERANCE,
        # Each band for itself: GDAL would call a pixel observed in one band so in all, and change its nodata.
        UNIFIED_SRC_NODATA='NO',
        # GDAL would choose the width of the kernel anew for each window that is read.
        XSCALE=str(min(column_scale, 1.0)),
        YSCALE=str(min(row_scale, 1.0)),
        **covered,
    )
    return warped, file


def _pixel_ratio(source: Grid, grid: Grid) -> tuple[float, float]:
    """Pixels of the grid per pixel of the source, along rows and columns, in the middle of the source."""
    if source.crs == grid.crs:
        own, other = source.pixel_size, grid.pixel_size
        return own[0] / other[0], own[1] / other[1]
    from rasterio.warp import transform as reproject

    row, column = source.height / 2, source.width / 2
    points = [source.transform @ point for point in ((column, row), (column + 1, row), (column, row + 1))]
    xs, ys = reproject(source.crs, grid.crs, *(list(part) for part in zip(*points, strict=True)))
    side = [float(np.hypot(xs[i] - xs[0], ys[i] - ys[0])) for i in (1, 2)]
    other = grid.pixel_size
    return side[0] / other[0], side[1] / other[1]


class Acquisition(NamedTuple):
    """What a sensor saw on one day.

    Attributes:
        day: days since 1970-01-01.
        tiles: images of the day, each the files that hold its bands. Where one did not observe, the next counts.
    """

    day: int
    tiles: tuple[tuple[Source, ...], ...]


class RasterSeries:
    """The dated rasters of one sensor.

    Args:
        name: name of the sensor, for errors.
        layers: its files; see :func:`~mmsits.datasets.scene.catalogue.list_layers`.
        bands: names of the wanted bands, in the wanted order. None for all.
        band_names: names of all bands in the order of the files, where the files do not describe them or otherwise than
            wanted. Where files have no descriptions and as many bands as `bands` names, these are the names.
        unit: unit of the values after scale and offset, such as 'reflectance x 10000', 'dB' or 'linear'.
        radiometry: scale, offset and nodata.
        resampling: how values are brought to another grid, a method of `rasterio.enums.Resampling`; 'none': rasters of
            another grid are refused.
        same_day: several images of one day: 'refuse', or 'merge' (tiles; in the order of their names, where the first
            observed nothing the second counts).
        crs: CRS of files that declare none.
        clouds: where clouds hide the ground; None where nothing is known of them.

    Attributes:
        bands: names of the C bands.
        unit: unit of the values.
        days: (T,) int32, ascending, days since 1970-01-01.
        dtype: type of the values: integers where scale and offset keep them exact, else float32.
        grid: the grid of the files; where these differ, that of the first with the smallest pixels, made larger to hold
            all.
        acquisitions: the T dates with their files.

    Raises:
        DataError: if a file cannot be opened or does not say where it lies; a band is missing on a date; a date occurs
            twice.
        ValueError: if an option is unknown.
    """

    def __init__(
        self,
        name: str,
        layers: Sequence[Layer],
        bands: Sequence[str] | None = None,
        band_names: Sequence[str] | None = None,
        unit: str = '1',
        radiometry: RadiometryRule | None = None,
        resampling: str = 'bilinear',
        same_day: str = 'refuse',
        crs: str | None = None,
        clouds: CloudMasks | None = None,
    ) -> None:
        if same_day not in SAME_DAY:
            raise ValueError(f'same_day must be one of {SAME_DAY}, got {same_day!r}')
        _check_resampling(resampling)
        self.name, self.unit, self.resampling, self.clouds = name, unit, resampling, clouds
        rule = radiometry or RadiometryRule()
        layers = _wanted(layers, bands)
        headers = {layer.path: read_header(layer.path, crs) for layer in layers}
        self.bands = tuple(bands) if bands is not None else _all_bands(layers, headers, band_names)
        sources = [_source(layer, headers[layer.path], self.bands, band_names, rule) for layer in layers]
        self.acquisitions = _acquisitions(layers, sources, self.bands, same_day)
        used = [source for source in sources if source is not None]
        self.days = np.array([acquisition.day for acquisition in self.acquisitions], np.int32)
        self.dtype = common_type([s.header.dtype for s in used], [s.radiometry for s in used])
        self.grid = _common_grid([source.header.grid for source in used])
        if resampling == 'none':
            _refuse_other_grids(used, self.grid)

    @property
    def sources(self) -> list[Source]:
        """All files with the bands that they contribute, in the order of their dates."""
        return [source for acquisition in self.acquisitions for tile in acquisition.tiles for source in tile]

    @property
    def folder(self) -> Path:
        """Folder of the first file, for messages."""
        return self.sources[0].path.parent

    def __len__(self) -> int:
        return len(self.acquisitions)

    def __repr__(self) -> str:
        first, last = iso_day(self.days[0]), iso_day(self.days[-1])
        return f'RasterSeries({self.name}: {len(self)} dates {first} … {last}, {self.bands}, {self.unit}, {self.dtype})'

    def read(
        self,
        window: Window,
        grid: Grid | None = None,
        bands: Sequence[str] | None = None,
        dates: Sequence[int] | np.ndarray | None = None,
    ) -> ImageSeries:
        """Read a window.

        Args:
            window: of the grid; may reach beyond it and beyond the files, where nothing was observed.
            grid: the grid that the values are brought to; None for that of the files.
            bands: names in the order wanted; None for all.
            dates: positions in :attr:`days`; None for all.

        Returns:
            values (T,C,h,w) of :attr:`dtype`, 0 where not valid; days (T,) int32; valid (T,h,w) bool: a pixel on a date
            is valid if each of the bands was observed there and no cloud hides it.

        Raises:
            DataError: if a file cannot be read; names file and date.
        """
        grid = self.grid if grid is None else grid
        names = self.bands if bands is None else tuple(bands)
        positions = np.arange(len(self)) if dates is None else np.asarray(dates, np.int64)
        values = np.zeros((len(positions), len(names), *window.shape), self.dtype)
        valid = np.zeros((len(positions), *window.shape), bool)
        for i, position in enumerate(positions):
            self._read_date(self.acquisitions[position], names, window, grid, values[i], valid[i])
        if self.clouds is not None:
            valid &= self.clouds.clear(self.days[positions], window, grid)
            values *= valid[:, None]
        return ImageSeries(values, self.days[positions], valid)

    def first_observation(
        self, window: Window, grid: Grid | None = None, bands: Sequence[str] | None = None, start: int = 0
    ) -> int | None:
        """The first date found on which a pixel of a window was observed.

        Args:
            window: of the grid.
            grid: as in :meth:`read`.
            bands: likewise.
            start: position of the date that is looked at first; from there on, and then from the beginning.

        Returns:
            Its position in :attr:`days`; None where nothing was ever observed.
        """
        for position in (*range(start, len(self)), *range(start)):
            if self.read(window, grid, bands, [position]).valid.any():
                return position
        return None

    def _read_date(
        self,
        acquisition: Acquisition,
        names: tuple[str, ...],
        window: Window,
        grid: Grid,
        values: np.ndarray,
        valid: np.ndarray,
    ) -> None:
        """Fill values (C,h,w) and valid (h,w) of one date from its tiles."""
        for tile in acquisition.tiles:
            image, observed = self._read_tile(tile, acquisition.day, names, window, grid)
            if not valid.any():
                np.multiply(image, observed, out=values)
            else:
                observed &= ~valid
                values[:, observed] = image[:, observed]
            valid |= observed
            if valid.all():
                return

    def _read_tile(
        self, tile: Sequence[Source], day: int, names: tuple[str, ...], window: Window, grid: Grid
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values (C,h,w) of one image of a date, and where all bands were observed, (h,w)."""
        image = np.zeros((len(names), *window.shape), self.dtype)
        observed = np.ones(window.shape, bool)
        for source in tile:
            chosen = [band for band in source.bands if band in names]
            if not chosen:
                continue
            indexes = [source.indexes[source.bands.index(band)] for band in chosen]
            try:
                stored, found = read_source(source, indexes, window, grid, self.resampling)
            except DataError as error:
                raise _with_day(error, day) from error
            everywhere = found.all(axis=0)
            observed &= everywhere
            if not everywhere.all():
                # Neither nodata nor NaN is a number to be reckoned with.
                stored[~found] = 0
            image[[names.index(band) for band in chosen]] = apply(
                stored, source.radiometry, self.dtype, source.path, day
            )
        return image, observed


def _with_day(error: DataError, day: int) -> DataError:
    return DataError(error.problem, path=error.path, day=day, band=error.band, hint=error.hint)


def _check_resampling(name: str) -> None:
    from rasterio.enums import Resampling

    known = ['none', *(method.name for method in Resampling if method.name != 'gauss')]
    if name not in known:
        raise ValueError(f'resampling must be one of {known}, got {name!r}')


def _names_of(layer: Layer, header: Header, wanted: Sequence[str], named: Sequence[str] | None) -> tuple[str, ...]:
    """Names of a file's bands, in its order."""
    if layer.number is not None:
        return (layer.band if layer.band is not None else wanted[0],)
    if layer.band is not None:
        return (layer.band,)
    if named is not None:
        if len(named) != header.bands:
            raise DataError(
                f'band_names gives {len(named)} names {tuple(named)}, the file has {header.bands} bands',
                path=layer.path,
                day=layer.day,
                hint='Name all bands in the order of the file; choose among them with `bands`.',
            )
        return tuple(named)
    if header.described:
        return tuple(str(name) for name in header.descriptions)
    if len(wanted) == header.bands:
        return tuple(wanted)
    raise DataError(
        f'the file has {header.bands} bands without names, `bands` gives {len(wanted)}',
        path=layer.path,
        day=layer.day,
        hint='Name all bands in the order of the file with band_names; choose among them with `bands`.',
    )


def _all_bands(layers: Sequence[Layer], headers: Mapping[Path, Header], named: Sequence[str] | None) -> tuple[str, ...]:
    """The bands of the first date, where none are chosen."""
    found: list[str] = []
    for layer in layers:
        if layer.day == layers[0].day:
            header = headers[layer.path]
            unnamed = [f'band {index}' for index in range(1, header.bands + 1)]
            found += [name for name in _names_of(layer, header, unnamed, named) if name not in found]
    return tuple(found)


def _source(
    layer: Layer, header: Header, wanted: tuple[str, ...], named: Sequence[str] | None, rule: RadiometryRule
) -> Source | None:
    """What a file contributes of the wanted bands; None where nothing."""
    names = _names_of(layer, header, wanted, named)
    positions = [index for index, name in enumerate(names) if name in wanted]
    if not positions and layer.band is None:
        raise DataError(
            f'none of the bands {wanted} is in the file, which has {names}',
            path=layer.path,
            day=layer.day,
            hint="Choose among these with `bands`, or name the file's bands with band_names.",
        )
    if not positions:
        return None
    indexes = tuple(layer.number if layer.number is not None else position + 1 for position in positions)
    return Source(layer.path, header, indexes, tuple(names[p] for p in positions), rule.of(layer, header))


def _wanted(layers: Sequence[Layer], bands: Sequence[str] | None) -> list[Layer]:
    """The files that may hold one of the bands: others are not even opened."""
    wanted = [layer for layer in layers if bands is None or layer.band is None or layer.band in bands]
    if wanted:
        return wanted
    held = sorted({layer.band for layer in layers if layer.band is not None})
    raise DataError(
        f'no file holds a band of {tuple(bands or ())}; by their names the files hold {held}',
        path=layers[0].path.parent,
        hint='Choose among these with `bands`.',
    )


def _acquisitions(
    layers: Sequence[Layer], sources: Sequence[Source | None], bands: tuple[str, ...], same_day: str
) -> list[Acquisition]:
    by_day: dict[int, list[Source]] = {}
    for layer, source in zip(layers, sources, strict=True):
        if source is not None:
            by_day.setdefault(layer.day, []).append(source)
    return [Acquisition(day, _tiles(day, by_day[day], bands, same_day)) for day in sorted(by_day)]


def _tiles(day: int, sources: list[Source], bands: tuple[str, ...], same_day: str) -> tuple[tuple[Source, ...], ...]:
    """The images of a day: files fill an image until a band comes again."""
    tiles: list[list[Source]] = []
    for source in sources:
        open_tile = next((tile for tile in tiles if not _bands_of(tile) & set(source.bands)), None)
        if open_tile is None:
            tiles.append([source])
        else:
            open_tile.append(source)
    if len(tiles) > 1 and same_day == 'refuse':
        raise DataError(
            f'the date occurs twice; {len(tiles)} images of the day, the second in {tiles[1][0].path}',
            path=tiles[0][0].path,
            day=day,
            hint="Tiles or parts of one pass are put together with same_day='merge'; else take one of the files away.",
        )
    for tile in tiles:
        missing = [band for band in bands if band not in _bands_of(tile)]
        if missing:
            raise DataError(
                f'the band is missing on this date; there are {sorted(_bands_of(tile))}',
                path=tile[0].path,
                day=day,
                band=', '.join(missing),
                hint='Get the missing file, take the date away, or choose other `bands`.',
            )
    return tuple(tuple(tile) for tile in tiles)


def _bands_of(tile: Sequence[Source]) -> set[str]:
    return {band for source in tile for band in source.bands}


def _common_grid(grids: Sequence[Grid]) -> Grid:
    """The grid that holds all of a sensor's files: that of the first with the smallest pixels, made larger."""
    distinct = list(dict.fromkeys(grids))
    finest = min(distinct, key=lambda grid: grid.pixel_size[0] * grid.pixel_size[1] * _metres(grid) ** 2)
    if len(distinct) == 1:
        return finest
    corners = []
    for grid in distinct:
        left, bottom, right, top = bounds_in(grid, finest.crs)
        corners += [~finest.transform @ point for point in ((left, top), (right, bottom), (left, bottom), (right, top))]
    columns, rows = zip(*corners, strict=True)
    first_row, last_row = _outwards(min(rows), max(rows))
    first_column, last_column = _outwards(min(columns), max(columns))
    return finest.part(Window(first_row, first_column, last_row - first_row, last_column - first_column))


def _metres(grid: Grid) -> float:
    """Roughly the metres of one unit of the CRS, to compare degrees with metres."""
    return 111_000.0 if grid.crs.is_geographic else float(grid.crs.linear_units_factor[1])


def _outwards(first: float, last: float) -> tuple[int, int]:
    return int(np.floor(first + 1e-3)), int(np.ceil(last - 1e-3))


def _refuse_other_grids(sources: Sequence[Source], grid: Grid) -> None:
    for source in sources:
        if grid.offset_of(source.header.grid) is None:
            refuse_other_grid(source, grid)


def refuse_other_grid(source: Source, grid: Grid) -> None:
    """Refuse a file whose pixels are not those of a grid.

    Raises:
        DataError: always; says what differs.
    """
    own = source.header.grid
    if own.crs != grid.crs:
        problem = f'its coordinate reference system is {own.crs.to_string()}, that of the grid {grid.crs.to_string()}'
    else:
        problem = f'its pixels ({own.transform.to_gdal()}) are not those of the grid ({grid.transform.to_gdal()})'
    raise DataError(
        f"{problem}, and resampling='none'",
        path=source.path,
        hint="Choose resampling='bilinear' (or 'nearest') to have it aligned, or warp it with gdalwarp.",
    )
