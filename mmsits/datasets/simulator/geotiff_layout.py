"""Writing a simulated region as users have their data: dated GeoTIFFs by sensor, and fields in a GeoPackage."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .landscape import PIXEL_SIZE
from .layouts import DESCRIPTION, SIMULATOR_VERSION, Progress, build_folder, write_json
from .picture import CLASS_COLOURS
from .random_fields import Concern, stream
from .region import BACKGROUND, CLASS_NAMES, VOID, RegionConfig, SimulatedRegion, simulate_region
from .spectra import BANDS
from .weather import CLOUD_COVERED, SHADOW

CRS = 'EPSG:32633'
"""UTM zone 33 north."""
ORIGIN = (500_000.0, 5_300_000.0)
"""Easting and northing of the upper left corner of the scene, m."""
NO_LABEL = 255
"""Value of ``labels.tif`` where no label is known; its nodata value."""
NO_REFLECTANCE = 0
"""Nodata value of Sentinel-2, as in the products of ESA, whose lowest reflectance is 1."""
OFFSET_SINCE = np.datetime64('2022-01-25', 'D')
"""Since then Sentinel-2's digital numbers are 1000 higher (processing baseline 04.00)."""
OFFSET = 1000
BASELINES = ('03.01', '04.00')
"""Processing baselines before and since."""
CLOUD_FILES = ('mask', 'scl')
SCL_PIXEL_SIZE = 20
"""Side of a pixel of the scene classification, m."""
SCL_VEGETATION, SCL_SHADOW, SCL_CLOUD = 4, 3, 9
"""Codes of the scene classification of Sentinel-2 (Sen2Cor), by what the simulator knows."""

_BLOCK = 256
_SENSOR_2 = 's2'


@dataclass(frozen=True)
class GeotiffOptions:
    """How a region is written as GeoTIFFs.

    Attributes:
        bands: Bands of Sentinel-2, in the order of the files.
        repeat: The region is laid side by side so many times along each axis: a scene as large as a test needs at the
            cost of a small region. Its copies are alike but for the numbers of their fields.
        points: Most labelled points to draw, no two in one field.
        cloud_files: What tells clouds: ``'mask'``, a raster with 0 clear, 1 shadow, 2 cloud, ``'scl'``, a scene
            classification of 20 m as Sentinel-2 products have, both, or nothing.
        s1_pixel_size: Side of a Sentinel-1 pixel, m, a multiple of 10.
        s1_crs: Reference system of the Sentinel-1 files; None for that of the scene.
        partial_dates: Share of the Sentinel-2 dates on which the edge of the swath crosses the scene, 0 to 1: what lies
            beyond is nodata.

    Raises:
        ValueError: If a value makes no sense; the message says which.
    """

    bands: tuple[str, ...] = BANDS
    repeat: int = 1
    points: int = 400
    cloud_files: tuple[str, ...] = ('mask',)
    s1_pixel_size: int = 10
    s1_crs: str | None = None
    partial_dates: float = 0.0

    def __post_init__(self) -> None:
        for name, known in (('bands', BANDS), ('cloud_files', CLOUD_FILES)):
            values = tuple(getattr(self, name))
            object.__setattr__(self, name, values)
            if len(set(values)) < len(values) or not set(values) <= set(known):
                raise ValueError(f'{name} must be different ones of {known}, not {values}.')
        if not self.bands:
            raise ValueError('bands must name one band or more.')
        if self.repeat < 1 or self.points < 0:
            raise ValueError(f'repeat must be 1 or more and points 0 or more, not {self.repeat} and {self.points}.')
        if self.s1_pixel_size < PIXEL_SIZE or self.s1_pixel_size % PIXEL_SIZE:
            raise ValueError(f's1_pixel_size must be a multiple of 10 m, not {self.s1_pixel_size}.')
        if not 0 <= self.partial_dates <= 1:
            raise ValueError(f'partial_dates must be between 0 and 1, not {self.partial_dates}.')


def write_geotiff(
    region: RegionConfig | SimulatedRegion | Sequence[RegionConfig | SimulatedRegion],
    out_dir: str | os.PathLike[str],
    options: GeotiffOptions | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a region as a folder of GeoTIFFs and a GeoPackage of fields.

    Files, in UTM (``CRS``) with pixels of 10 m where nothing else is asked for:

    - ``s2/S2_<yyyymmdd>.tif``: int16, a band for each of ``options.bands``, named by its description; reflectance times
      10000, nodata 0, and 1000 more since ``OFFSET_SINCE``; the tag PROCESSING_BASELINE tells which;
    - ``s2_clouds/CLOUDS_<yyyymmdd>.tif``: uint8, 0 clear, 1 shadow, 2 cloud, nodata 255, and ``s2_scl/SCL_<…>.tif``:
      uint8, codes of the scene classification, nodata 0;
    - ``s1/S1_<yyyymmdd>.tif``: float32, bands VV and VH in dB, nodata NaN (``s1a`` and ``s1d`` where both passes are
      written);
    - ``<sensor>.csv``: file, date and, for Sentinel-2, processing baseline and offset of each image;
    - ``fields.gpkg``: outline, ``id`` and ``crop`` of the fields, the crop empty where it is not annotated;
    - ``labels.tif``: uint8, number of the crop, 0 background, 255 unknown, with colours and, in the band's tags
      class_0 …, the names;
    - ``points.gpkg``: ``id`` (of the field) and ``crop`` of points inside fields;
    - ``SIMULATION/true_class.tif``, ``SIMULATION/fields.tif``: true class and number of the field of each pixel;
    - ``SIMULATION/simulation.json``: configuration and known shifts; written last.

    The same call gives the same bytes. Memory does not grow with ``options.repeat``, apart from the list of fields.

    Args:
        region: What to write; a list must have one element.
        out_dir: Folder of the data set. If it holds one with the same configuration, nothing is done.
        options: How to write it; None for the defaults.
        overwrite: Whether another simulated data set in ``out_dir`` is replaced.
        progress: Called during the work.

    Returns:
        The folder.

    Raises:
        ValueError: If there are more regions than one, or its sides are no multiple of a coarser pixel.
        FileExistsError: If ``out_dir`` holds anything else.
        ImportError: If rasterio or geopandas is not installed.
    """
    items = [region] if isinstance(region, RegionConfig | SimulatedRegion) else list(region)
    if len(items) != 1:
        raise ValueError(f'the layout of GeoTIFFs takes one region, not {len(items)}.')
    item = items[0]
    config = item.config if isinstance(item, SimulatedRegion) else item
    options = options or GeotiffOptions()
    _check_sides(config, options)
    description = {
        'simulator_version': SIMULATOR_VERSION,
        'layout': 'geotiff',
        'options': asdict(options),
        'configs': [config.to_dict()],
    }

    def write(folder: Path) -> None:
        made = simulate_region(item) if isinstance(item, RegionConfig) else item
        _Writer(folder, made, options, progress or (lambda what, done, total: None)).write(description)

    return build_folder(out_dir, description, overwrite, write)


def _check_sides(config: RegionConfig, options: GeotiffOptions) -> None:
    pixel_sizes = {'scl': SCL_PIXEL_SIZE} if 'scl' in options.cloud_files else {}
    pixel_sizes |= {sensor: options.s1_pixel_size for sensor in config.sensors if sensor != _SENSOR_2}
    for name, size in pixel_sizes.items():
        if any(side * PIXEL_SIZE % size for side in (config.height, config.width)):
            raise ValueError(
                f'a region of {config.height} x {config.width} pixels of 10 m has no whole number of pixels of {size} m'
                f' along each side, which {name} needs.'
            )


class _Writer:
    """Writes one region; rasters of the region are repeated while they are written, strip by strip."""

    def __init__(self, folder: Path, region: SimulatedRegion, options: GeotiffOptions, progress: Progress) -> None:
        self.folder, self.region, self.options, self.progress = folder, region, options, progress

    def write(self, description: dict[str, Any]) -> None:
        with _fixed_date():
            self._write_fields()
            self._write_points()
        self._write_maps()
        for sensor in self.region.dates:
            if sensor == _SENSOR_2:
                self._write_s2()
            else:
                self._write_s1(sensor)
        write_json(self.folder / DESCRIPTION, {**description, **self._truth()}, indent=2)

    def _write_s2(self) -> None:
        region, options = self.region, self.options
        order = [BANDS.index(band) for band in options.bands]
        rows = []
        dates = region.dates[_SENSOR_2]
        partial = self._partial_dates()
        for index, date in enumerate(dates):
            self.progress(_SENSOR_2, index, len(dates))
            image, clouds = region.s2_acquisition(index)
            late = bool(date >= OFFSET_SINCE)
            numbers = np.maximum(image[order], NO_REFLECTANCE + 1) + np.int16(OFFSET * late)
            day = str(date).replace('-', '')
            path = self.folder / _SENSOR_2 / f'S2_{day}.tif'
            outside = self._outside_swath(index) if partial[index] else None
            tags = {'PROCESSING_BASELINE': BASELINES[late], 'ACQUISITION_DATE': str(date)}
            self._write_raster(path, numbers, NO_REFLECTANCE, options.bands, tags, outside=outside)
            rows.append([path.name, str(date), BASELINES[late], str(-OFFSET * late)])
            if 'mask' in options.cloud_files:
                path = self.folder / 's2_clouds' / f'CLOUDS_{day}.tif'
                self._write_raster(path, clouds[None], NO_LABEL, ('clouds',), outside=outside)
            if 'scl' in options.cloud_files:
                self._write_scl(day, clouds, outside)
        self.progress(_SENSOR_2, len(dates), len(dates))
        self._write_table(_SENSOR_2, ['file', 'date', 'processing_baseline', 'offset'], rows)

    def _write_scl(self, day: str, clouds: NDArray[np.uint8], outside: '_Outside | None') -> None:
        codes = np.full(clouds.shape, SCL_VEGETATION, dtype=np.uint8)
        codes[clouds == SHADOW], codes[clouds == CLOUD_COVERED] = SCL_SHADOW, SCL_CLOUD
        step = int(SCL_PIXEL_SIZE / PIXEL_SIZE)
        path = self.folder / 's2_scl' / f'SCL_{day}.tif'
        self._write_raster(path, codes[None, ::step, ::step], 0, ('SCL',), pixel_size=SCL_PIXEL_SIZE, outside=outside)

    def _write_s1(self, sensor: str) -> None:
        region, options = self.region, self.options
        both = {'s1a', 's1d'} <= set(region.dates)
        name = sensor if both else 's1'
        rows = []
        dates = region.dates[sensor]
        shrink = options.s1_pixel_size // int(PIXEL_SIZE)
        for index, date in enumerate(dates):
            self.progress(sensor, index, len(dates))
            decibel = region.acquisition(sensor, index)[:2].astype(np.float32)
            power = _block_means(10.0 ** (decibel / 10.0), shrink)
            decibel = (10.0 * np.log10(power)).astype(np.float32)
            path = self.folder / name / f'{name.upper()}_{str(date).replace("-", "")}.tif'
            tags = {'ACQUISITION_DATE': str(date)}
            size = float(options.s1_pixel_size)
            self._write_raster(path, decibel, np.nan, ('VV', 'VH'), tags, pixel_size=size)
            if options.s1_crs is not None:
                _warp_file(path, options.s1_crs, size)
            rows.append([path.name, str(date)])
        self.progress(sensor, len(dates), len(dates))
        self._write_table(name, ['file', 'date'], rows)

    def _partial_dates(self) -> NDArray[np.bool_]:
        count = len(self.region.dates[_SENSOR_2])
        partial = np.zeros(count, dtype=bool)
        random = stream(self.region.config.seed, Concern.SWATH)
        partial[random.permutation(count)[: round(self.options.partial_dates * count)]] = True
        return partial

    def _outside_swath(self, index: int) -> '_Outside':
        """What lies beyond the edge of the swath, which crosses the scene from top to bottom, a little slanted."""
        random = stream(self.region.config.seed, Concern.SWATH, index)
        width = self.region.config.width * self.options.repeat * PIXEL_SIZE
        edge, slope, east_is_seen = random.uniform(0.3, 0.7) * width, 0.2, random.random() < 0.5

        def outside(south: NDArray[np.float64], east: NDArray[np.float64]) -> NDArray[np.bool_]:
            beyond = east > edge - slope * south
            return ~beyond if east_is_seen else beyond

        return outside

    def _write_maps(self) -> None:
        region = self.region
        label = np.where(region.label == VOID, NO_LABEL, region.label)[None].astype(np.uint8)
        for name, values in (('labels.tif', label), ('SIMULATION/true_class.tif', region.true_class[None])):
            self._write_raster(self.folder / name, values, NO_LABEL, ('class',), classes=self._classes())
        path = self.folder / 'SIMULATION' / 'fields.tif'
        self._write_raster(path, region.parcel_ids[None], 0, ('field',), step=len(region.parcel_class) - 1)

    def _classes(self) -> list[int]:
        return [BACKGROUND, *sorted(self.region.config.classes)]

    def _write_raster(
        self,
        path: Path,
        values: NDArray[Any],
        nodata: float,
        bands: Sequence[str],
        tags: dict[str, str] | None = None,
        pixel_size: float = PIXEL_SIZE,
        outside: '_Outside | None' = None,
        classes: Sequence[int] = (),
        step: int = 0,
    ) -> None:
        """Write an array (C, H, W), repeated; numbers above 0 grow by ``step`` from copy to copy."""
        import rasterio
        from rasterio.transform import from_origin
        from rasterio.windows import Window

        repeat = self.options.repeat
        count, height, width = values.shape
        path.parent.mkdir(parents=True, exist_ok=True)
        profile = dict(
            driver='GTiff',
            count=count,
            height=height * repeat,
            width=width * repeat,
            dtype=values.dtype,
            crs=CRS,
            transform=from_origin(*ORIGIN, pixel_size, pixel_size),
            nodata=nodata,
            tiled=True,
            blockxsize=_BLOCK,
            blockysize=_BLOCK,
            interleave='pixel',
            compress='deflate',
            predictor=3 if values.dtype.kind == 'f' else 2,
            BIGTIFF='IF_SAFER',
        )
        copies = np.arange(repeat)
        east = (np.arange(width * repeat) + 0.5) * pixel_size
        with rasterio.open(path, 'w', **profile) as file:
            # Strips as high as the file's tiles: each tile is compressed and written once.
            for top in range(0, height * repeat, _BLOCK):
                rows = np.arange(top, min(top + _BLOCK, height * repeat))
                strip = np.tile(values[:, rows % height], (1, 1, repeat))
                if step:
                    copy = (rows // height * repeat)[:, None] + np.repeat(copies, width)
                    strip = np.where(strip > 0, strip + step * copy, 0).astype(values.dtype)
                if outside is not None:
                    strip[:, outside((rows[:, None] + 0.5) * pixel_size, east)] = nodata
                file.write(strip, window=Window(0, top, width * repeat, len(rows)))
            file.descriptions = tuple(bands)
            file.update_tags(**(tags or {}))
            if classes:
                file.write_colormap(1, {number: _colour(number) for number in classes})
                file.update_tags(1, **{f'class_{number}': CLASS_NAMES[number] for number in classes})

    def _write_fields(self) -> None:
        import geopandas
        from shapely.geometry import Polygon

        outlines = self.region.parcel_outlines()
        numbers, geometry, crops = [], [], []
        for copy, south, east in self._copies():
            for parcel, corners in outlines.items():
                numbers.append(copy * len(outlines) + parcel)
                geometry.append(Polygon(_to_map(corners + (south, east))))
                crops.append(self._crop(parcel))
        table = geopandas.GeoDataFrame({'id': numbers, 'crop': crops}, geometry=geometry, crs=CRS)
        table.to_file(self.folder / 'fields.gpkg', layer='fields', driver='GPKG', engine='pyogrio')

    def _write_points(self) -> None:
        """Draw points in pure pixels of annotated fields, no two in one field."""
        import geopandas

        region = self.region
        random = stream(region.config.seed, Concern.POINTS)
        pure = np.flatnonzero((region.purity > 0.99) & (region.parcel_ids > 0) & (region.label != VOID))
        pure = random.permutation(pure)
        parcels, first = np.unique(region.parcel_ids.ravel()[pure], return_index=True)
        places = np.stack(np.unravel_index(pure[first], region.label.shape), axis=1) + 0.5
        candidates = [
            (copy * (len(region.parcel_class) - 1) + int(parcel), self._crop(int(parcel)), place + (south, east))
            for copy, south, east in self._copies()
            for parcel, place in zip(parcels, places, strict=True)
        ]
        chosen = sorted(random.permutation(len(candidates))[: self.options.points].tolist())
        numbers, crops, corners = (
            zip(*(candidates[index] for index in chosen), strict=True) if chosen else ((), (), np.empty((0, 2)))
        )
        place = _to_map(np.array(corners, dtype=np.float64).reshape(-1, 2))
        table = geopandas.GeoDataFrame(
            {'id': np.array(numbers, dtype=np.int64), 'crop': np.array(crops, dtype=object)},
            geometry=geopandas.points_from_xy(place[:, 0], place[:, 1]),
            crs=CRS,
        )
        table.to_file(self.folder / 'points.gpkg', layer='points', driver='GPKG', engine='pyogrio')

    def _copies(self) -> Iterator[tuple[int, int, int]]:
        """Number and first row and column of each copy of the region."""
        repeat, config = self.options.repeat, self.region.config
        for copy in range(repeat**2):
            yield copy, copy // repeat * config.height, copy % repeat * config.width

    def _crop(self, parcel: int) -> str | None:
        number = int(self.region.parcel_label[parcel])
        return None if number == VOID else CLASS_NAMES[number]

    def _write_table(self, name: str, header: list[str], rows: list[list[str]]) -> None:
        lines = [','.join(row) for row in [header, *rows]]
        (self.folder / f'{name}.csv').write_text('\n'.join(lines) + '\n', encoding='utf-8')

    def _truth(self) -> dict[str, Any]:
        region = self.region
        wrong = (region.parcel_label != region.parcel_class) & (region.parcel_label != VOID)
        summary = {
            'temporal_shift_days': region.config.temporal_shift_days,
            'shift_days_by_class': {CLASS_NAMES[number]: shift for number, shift in region.known_shift_days.items()},
            'fields_of_a_copy': len(region.parcel_class) - 1,
            'fields_with_wrong_label': np.flatnonzero(wrong).tolist(),
            'dates': {sensor: [str(date) for date in dates] for sensor, dates in region.dates.items()},
        }
        if _SENSOR_2 in region.dates:
            dates = region.dates[_SENSOR_2]
            summary['partial_dates'] = [str(date) for date in dates[self._partial_dates()]]
            summary['dates_with_offset'] = [str(date) for date in dates[dates >= OFFSET_SINCE]]
        names = {str(number): CLASS_NAMES[number] for number in self._classes()}
        return {'crs': CRS, 'origin': ORIGIN, 'class_names': names, 'regions': [summary]}


_Outside = Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.bool_]]
"""From metres south (N, 1) and east (M,) of the scene's corner to whether nothing was seen there, shape (N, M)."""


def _to_map(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Row and column to easting and northing, m, shape (N, 2)."""
    return np.stack([ORIGIN[0] + PIXEL_SIZE * places[:, 1], ORIGIN[1] - PIXEL_SIZE * places[:, 0]], axis=1)


def _block_means(values: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    count, height, width = values.shape
    return values.reshape(count, height // size, size, width // size, size).mean(axis=(2, 4))


def _colour(number: int) -> tuple[int, int, int, int]:
    colour = CLASS_COLOURS[number]
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16), 255


def _warp_file(path: Path, crs: str, pixel_size: float) -> None:
    """Bring a raster to another reference system, tile by tile."""
    import rasterio
    from rasterio.enums import Resampling
    from rasterio.vrt import WarpedVRT
    from rasterio.warp import calculate_default_transform

    target = path.with_suffix('.warped.tif')
    with rasterio.open(path) as source:
        transform, width, height = calculate_default_transform(
            source.crs, crs, source.width, source.height, *source.bounds, resolution=pixel_size
        )
        grid = dict(crs=crs, transform=transform, width=width, height=height)
        profile = {**source.profile, **grid}
        with (
            WarpedVRT(source, resampling=Resampling.bilinear, **grid) as warped,
            rasterio.open(target, 'w', **profile) as file,
        ):
            for _, window in file.block_windows(1):
                file.write(warped.read(window=window), window=window)
            file.descriptions = source.descriptions
            file.update_tags(**{name: value for name, value in source.tags().items() if name != 'AREA_OR_POINT'})
    target.replace(path)


@contextlib.contextmanager
def _fixed_date() -> Iterator[None]:
    """Have GeoPackages carry a fixed date of change, so that the same fields give the same bytes."""
    import pyogrio

    pyogrio.set_gdal_config_options({'OGR_CURRENT_DATE': '2018-01-01T00:00:00.000Z'})
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options({'OGR_CURRENT_DATE': None})
