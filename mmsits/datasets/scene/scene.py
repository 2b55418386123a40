"""`Scene`: several sensors over one area, read window by window on one grid."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmsits.datasets.errors import DataError
from mmsits.structures import ImageSeries

from .catalogue import DATE_PATTERN, list_layers
from .checks import check_scene
from .clouds import CloudMasks
from .grid import Grid, Window
from .radiometry import RadiometryRule
from .rasters import RasterSeries, Source, read_header, refuse_other_grid


class Scene:
    """Sensors over one area, brought to one grid.

    Goes through pickle, so that the workers of a data loader can have one each.

    Args:
        sensors: series of each sensor.
        grid: the grid on which all are read.

    Attributes:
        sensors: series of each sensor.
        grid: the grid.

    Raises:
        DataError: if a raster does not overlap the grid, or is refused because it would have to be aligned.
    """

    def __init__(self, sensors: Mapping[str, RasterSeries], grid: Grid) -> None:
        self.sensors = dict(sensors)
        self.grid = grid
        for series in self.sensors.values():
            _check_position(series, grid)

    @property
    def sensors_info(self) -> dict[str, dict[str, Any]]:
        """For each sensor `bands` and `file_bands` (the same here) and `unit`, as a `SeriesDataset` hands them on."""
        return {
            name: dict(bands=series.bands, file_bands=series.bands, unit=series.unit)
            for name, series in self.sensors.items()
        }

    @property
    def days(self) -> dict[str, np.ndarray]:
        """Dates of each sensor, (T,) int32, ascending, days since 1970-01-01."""
        return {name: series.days for name, series in self.sensors.items()}

    def read(
        self, window: Window, bands: Mapping[str, Sequence[str]] | None = None, sensors: Sequence[str] | None = None
    ) -> dict[str, ImageSeries]:
        """Read a window of all sensors.

        Args:
            window: of :attr:`grid`; may reach beyond it: there nothing was observed.
            bands: bands of a sensor in the order wanted; those left out give all.
            sensors: which sensors; None for all.

        Returns:
            For each sensor values (T,C,h,w) of its type, 0 where not valid; days (T,) int32; valid (T,h,w) bool.

        Raises:
            DataError: if a file cannot be read; names file and date.
        """
        chosen = self.sensors if sensors is None else {name: self.sensors[name] for name in sensors}
        wanted = bands or {}
        return {name: series.read(window, self.grid, wanted.get(name)) for name, series in chosen.items()}

    def __repr__(self) -> str:
        height, width = self.grid.shape
        held = ', '.join(map(repr, self.sensors.values()))
        return f'Scene({height}×{width} pixels, {self.grid.crs.to_string()[:60]}: {held})'


def open_scene(config: Mapping[str, Any], data_root: str | Path = '', check: bool = True) -> Scene:
    """Open a scene as a config describes it.

    Args:
        config: `sensors` (name to the options of :func:`open_series`) and, optionally, `grid`: the name of the sensor
            whose grid is the scene's (default: the first), `dict(file=…)` for that of a raster (relative to data_root),
            or `dict(crs='EPSG:…', bounds=(left, bottom, right, top), pixel_size=…)`. Other keys are not looked at, so
            that a dataset's whole config will do.
        data_root: folder that the paths in the config are relative to.
        check: look at a sample of the pixels too; see :func:`~mmsits.datasets.scene.checks.check_scene`.

    Returns:
        The scene.

    Raises:
        DataError: if something is wrong with the files or values; see :class:`RasterSeries`, :class:`Scene` and
            :func:`~mmsits.datasets.scene.checks.check_scene`.
        ValueError: if an option is unknown.
    """
    root = Path(data_root)
    options = config.get('sensors')
    if not options:
        raise ValueError("a scene needs at least one sensor: sensors=dict(s2=dict(folder='s2', …))")
    sensors = {name: open_series(name, root, **_known(name, sensor)) for name, sensor in options.items()}
    scene = Scene(sensors, _scene_grid(config.get('grid'), sensors, root))
    if check:
        check_scene(scene)
    return scene


def _known(name: str, options: Mapping[str, Any], function: Callable | None = None) -> dict[str, Any]:
    """The options of a sensor, or of its clouds, after a check of their names."""
    parameters = list(inspect.signature(function or open_series).parameters)[2:]
    unknown = [key for key in options if key not in parameters]
    if unknown:
        raise ValueError(f'{name}: no option {unknown}; there are {parameters}')
    return dict(options)


def open_series(
    name: str,
    root: Path,
    folder: str = '.',
    file: str | None = None,
    table: str | None = None,
    pattern: str = DATE_PATTERN,
    date: str | None = None,
    date_format: str | None = None,
    period: Sequence[str] | None = None,
    bands: Sequence[str] | None = None,
    band_names: Sequence[str] | None = None,
    unit: str = '1',
    scale: Any = None,
    offset: Any = None,
    nodata: Any = None,
    clouds: Mapping[str, Any] | None = None,
    resampling: str = 'bilinear',
    same_day: str = 'refuse',
    crs: str | None = None,
) -> RasterSeries:
    """Open the rasters of one sensor.

    Args:
        name: its name.
        root: folder that `folder` is relative to.
        folder: folder of the files; those in folders below it are found too.
        file: see :func:`~mmsits.datasets.scene.catalogue.list_layers`, as for the next five.
        table: likewise.
        pattern: likewise.
        date: likewise.
        date_format: likewise.
        period: likewise.
        bands: see :class:`RasterSeries`, as for the next two.
        band_names: likewise.
        unit: likewise.
        scale: see :class:`~mmsits.datasets.scene.radiometry.RadiometryRule`, as for the next two.
        offset: likewise.
        nodata: likewise.
        clouds: options of :func:`open_clouds`; None where nothing is known of clouds.
        resampling: see :class:`RasterSeries`, as for the next two.
        same_day: likewise.
        crs: likewise.

    Returns:
        The series.

    Raises:
        DataError: see :class:`RasterSeries`.
        ValueError: if an option is unknown.
    """
    place = root / folder
    layers = list_layers(place, file, table, pattern, date, date_format, period)
    masks = None
    if clouds is not None:
        options = dict(folder=folder, period=period, same_day=same_day, crs=crs)
        masks = open_clouds(name, root, **{**options, **_known(f'{name}: clouds', clouds, open_clouds)})
    series = RasterSeries(
        name,
        layers,
        bands,
        band_names,
        unit,
        RadiometryRule(scale, offset, nodata),
        resampling,
        same_day,
        crs,
        masks,
    )
    if masks is not None:
        masks.check_days(series.days, name)
    return series


def open_clouds(
    name: str,
    root: Path,
    type: str = 'mask',
    folder: str = '.',
    table: str | None = None,
    pattern: str = DATE_PATTERN,
    date_format: str | None = None,
    period: Sequence[str] | None = None,
    band: str | None = None,
    classes: Sequence[int] | None = None,
    threshold: float | None = None,
    dilation: int = 0,
    missing: str = 'refuse',
    nodata: Any = None,
    resampling: str = 'nearest',
    same_day: str = 'refuse',
    crs: str | None = None,
) -> CloudMasks:
    """Open the cloud rasters of a sensor.

    Args:
        name: name of the sensor.
        root: folder that `folder` is relative to.
        type: 'scl' (Sentinel-2 scene classification), 'probability' or 'mask'.
        folder: folder of the files; with a sensor that of the sensor where none is given.
        table: as for a sensor, see :func:`open_series`.
        pattern: likewise.
        date_format: likewise.
        period: likewise; that of the sensor where none is given.
        band: name of the band that holds it, in files with several; None where files have one band.
        classes: see :class:`~mmsits.datasets.scene.clouds.CloudMasks`, as for the next three.
        threshold: likewise.
        dilation: likewise.
        missing: likewise.
        nodata: number of pixels of which nothing is known. None: what the file declares, but for a mask not 0, which
            means clear.
        resampling: how they are brought to the scene's grid.
        same_day: as for a sensor, and that of the sensor where none is given.
        crs: likewise.

    Returns:
        The masks.

    Raises:
        DataError: if something is wrong with the files.
        ValueError: if an option is unknown.
    """
    layers = list_layers(root / folder, None, table, pattern, None, date_format, period)
    names = None if band is not None else ['clouds']
    bands = ['clouds'] if band is None else [band]
    if band is None:
        layers = [layer._replace(band=None) for layer in layers]
        _refuse_several_bands(layers, crs)
    if nodata is None and type == 'mask':
        declared = read_header(layers[0].path, crs).nodata
        nodata = 'none' if declared == 0 else None
    rasters = RasterSeries(
        f'{name}: clouds',
        layers,
        bands,
        names,
        radiometry=RadiometryRule(nodata=nodata),
        resampling=resampling,
        same_day=same_day,
        crs=crs,
    )
    return CloudMasks(rasters, type, classes, threshold, dilation, missing)


def _refuse_several_bands(layers: Sequence[Any], crs: str | None) -> None:
    header = read_header(layers[0].path, crs)
    if header.bands > 1:
        raise DataError(
            f'a cloud raster with one band is expected, this file has {header.bands}: {header.descriptions}',
            path=layers[0].path,
            day=layers[0].day,
            hint="Name the band, clouds=dict(band='SCL'), or give another folder or pattern for the clouds.",
        )


def _scene_grid(wanted: Any, sensors: Mapping[str, RasterSeries], root: Path) -> Grid:
    if wanted is None:
        return next(iter(sensors.values())).grid
    if isinstance(wanted, Grid):
        return wanted
    if isinstance(wanted, str):
        if wanted not in sensors:
            raise ValueError(f'grid={wanted!r} is not a sensor of the scene; these are {list(sensors)}')
        return sensors[wanted].grid
    if 'file' in wanted:
        return read_header(root / wanted['file']).grid
    missing = {'crs', 'bounds', 'pixel_size'} - set(wanted)
    if missing:
        raise ValueError(f'grid: {sorted(missing)} missing; give a sensor, dict(file=…) or crs, bounds and pixel_size')
    return grid_of_bounds(wanted['crs'], wanted['bounds'], wanted['pixel_size'])


def grid_of_bounds(crs: str, bounds: Sequence[float], pixel_size: float) -> Grid:
    """The grid that covers a rectangle, from its upper left corner on.

    Args:
        crs: coordinate reference system, such as 'EPSG:32631'.
        bounds: left, bottom, right, top in its units.
        pixel_size: length of a pixel's side in its units.

    Returns:
        The grid.

    Raises:
        ValueError: if the rectangle is empty.
    """
    from rasterio.crs import CRS
    from rasterio.transform import from_origin

    left, bottom, right, top = bounds
    height, width = round((top - bottom) / pixel_size), round((right - left) / pixel_size)
    if height < 1 or width < 1:
        raise ValueError(f'bounds (left, bottom, right, top) {tuple(bounds)} hold no pixel of {pixel_size}')
    return Grid(CRS.from_user_input(crs), from_origin(left, top, pixel_size, pixel_size), height, width)


def _check_position(series: RasterSeries, grid: Grid) -> None:
    clouds = (
        [] if series.clouds is None else [(series.clouds.rasters, source) for source in series.clouds.rasters.sources]
    )
    for owner, source in [*((series, source) for source in series.sources), *clouds]:
        _check_source(owner, source, grid)


def _check_source(series: RasterSeries, source: Source, grid: Grid) -> None:
    if grid.offset_of(source.header.grid) is None and series.resampling == 'none':
        refuse_other_grid(source, grid)
    own = source.header.grid
    if grid.overlaps(own):
        return
    raise DataError(
        f'the raster does not overlap the scene: it covers {_rounded(own.bounds)} in {own.crs.to_string()[:60]}, the '
        f'scene {_rounded(grid.bounds)} in {grid.crs.to_string()[:60]} (left, bottom, right, top)',
        path=source.path,
        hint='Take it away, or choose another `grid`.',
    )


def _rounded(bounds: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(value, 3) for value in bounds)
