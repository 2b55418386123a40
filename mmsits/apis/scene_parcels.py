"""Parcels of a scene: what a map says of each, streamed, and the file that it is written to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine.logging import print_log

from mmsits.apis.map_writer import take_name, without_leftovers
from mmsits.apis.scene_tiles import Strip
from mmsits.datasets.errors import DataError
from mmsits.datasets.scene.grid import Grid, Window
from mmsits.datasets.scene.vectors import to_pixels

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_DATE = '2000-01-01T00:00:00.000Z'
"""Date of the last change that is written into every GeoPackage, so that the same parcels give the same bytes."""


class ParcelFile:
    """All features of a polygon file, and where they lie in a scene.

    Args:
        path: GeoPackage, shapefile, GeoParquet (.parquet), or whatever else GDAL reads.
        grid: of the scene.
        layer: name of the layer, where the file has several.

    Attributes:
        frame: the features as they are in the file.
        geometries: (N,) in the CRS of the grid; empty where a feature has none. Invalid ones are repaired.
        shapes: the same in pixel coordinates of the grid.
        inside: numbers of the features that touch the scene, ascending.

    Raises:
        DataError: if the file cannot be read, has no CRS, no polygon, or none in the scene.
    """

    def __init__(self, path: str | Path, grid: Grid, layer: str | None = None) -> None:
        import shapely

        self.path, self.grid, self.layer = Path(path), grid, layer
        self.frame = _read(self.path, layer)
        moved = self.frame.geometry.force_2d().to_crs(grid.crs.to_wkt()).to_numpy()
        self.geometries = _repaired(moved, self.path)
        self.shapes = to_pixels(self.geometries, grid)
        self._tree = shapely.STRtree(self.shapes)
        self.inside = self.within(grid.window)
        if not len(self.inside):
            raise DataError(
                f'none of the {len(self.frame)} parcels lies in the scene',
                path=self.path,
                hint='Check that file and scene are of one place, and that the CRS the file names is that of its '
                'numbers.',
            )

    def __len__(self) -> int:
        return len(self.frame)

    def within(self, window: Window) -> np.ndarray:
        """Numbers of the parcels that touch a window, ascending."""
        import shapely

        box = shapely.box(window.column, window.row, window.column + window.width, window.row + window.height)
        return np.sort(self._tree.query(box, predicate='intersects'))


def _read(path: Path, layer: str | None) -> GeoDataFrame:
    import geopandas

    if not path.exists():
        raise DataError('the file of parcels is missing', path=path, hint='Correct the path.')
    try:
        frame = geopandas.read_parquet(path) if path.suffix == '.parquet' else _read_layer(path, layer)
    except DataError:
        raise
    # pyogrio, arrow and geopandas have errors of their own for damaged files and other formats.
    except Exception as error:
        raise DataError(
            f'not a readable file of parcels ({type(error).__name__}: {error})',
            path=path,
            hint='Write it again as GeoPackage or GeoParquet.',
        ) from error
    if not hasattr(frame, 'geometry') or not len(frame):
        raise DataError('the file has no feature with a geometry', path=path, hint='Give a file of polygons.')
    if frame.crs is None:
        raise DataError(
            'the file names no coordinate reference system',
            path=path,
            hint='Assign the one that its coordinates are in (ogr2ogr -a_srs EPSG:…, or QGIS: Assign Projection).',
        )
    kinds = frame.geometry.geom_type.dropna()
    if not kinds.isin(['Polygon', 'MultiPolygon']).all():
        found = ', '.join(f'{count} {kind}' for kind, count in kinds.value_counts().items())
        raise DataError(f'parcels are polygons; found {found}', path=path, hint='Give a file of polygons.')
    return frame.reset_index(drop=True)


def _read_layer(path: Path, layer: str | None) -> GeoDataFrame:
    import geopandas
    import pyogrio

    layers = [str(name) for name in pyogrio.list_layers(path)[:, 0]]
    if layer is None and len(layers) > 1:
        raise DataError(f'the file has several layers, {layers}', path=path, hint='Choose one (--parcels-layer).')
    return geopandas.read_file(path, layer=layer)


def _repaired(geometries: np.ndarray, path: Path) -> np.ndarray:
    """Valid polygons; empty ones instead of what is missing."""
    import shapely

    geometries = np.where(shapely.is_missing(geometries), shapely.Polygon(), geometries)
    invalid = np.flatnonzero(~shapely.is_valid(geometries))
    if not len(invalid):
        return geometries
    print_log(
        f'{path.name}: {len(invalid)} of {len(geometries)} polygons are invalid (the first: number {invalid[0]}, '
        f'{shapely.is_valid_reason(geometries[invalid[0]])}); they are repaired to find their pixels, and written as '
        'they are',
        'current',
        30,
    )
    geometries[invalid] = [_area_of(geometry) for geometry in shapely.make_valid(geometries[invalid])]
    return geometries


def _area_of(geometry: Any) -> Any:
    """What is left of a repaired polygon, without the lines and points."""
    import shapely

    parts = [part for part in shapely.get_parts(geometry) if part.geom_type in ('Polygon', 'MultiPolygon')]
    return shapely.union_all(parts)


class ParcelSums:
    """Weighted sums of probabilities over parcels.

    A parcel that lies in several tiles is summed up in each; the sums are added at the end. Pixels count by the share
    of them that lies in the parcel, and only if they were observed.

    Args:
        parcels: of the scene.
        classes: K.
    """

    def __init__(self, parcels: ParcelFile, classes: int) -> None:
        self._parcels = parcels
        self._found: dict[int, np.ndarray] = {}
        self._classes = classes

    def add(self, strip: Strip) -> None:
        """Take in some rows and columns of the map."""
        touched, shares = self._shares(strip)
        if not len(touched):
            return
        values = np.concatenate([strip.observed[None], strip.probabilities]).reshape(self._classes + 1, -1)
        sums = shares @ values.T.astype(np.float64)
        for parcel, row in zip(touched.tolist(), sums, strict=True):
            self._found[parcel] = self._found[parcel] + row if parcel in self._found else row

    def _shares(self, strip: Strip) -> tuple[np.ndarray, Any]:
        """Parcels that touch a strip (n,), and which share of each pixel lies in them, sparse (n,h·w)."""
        import geopandas
        from exactextract import exact_extract
        from exactextract.raster import NumPyRasterSource
        from scipy.sparse import csr_array

        window, observed = strip.window, strip.observed
        touched = self._parcels.within(window)
        if not len(touched) or not observed.any():
            return touched[:0], None
        import shapely

        # In pixels, with y upwards: this holds for turned and geographic grids too.
        shapes = shapely.transform(self._parcels.shapes[touched], lambda points: points * [1.0, -1.0])
        crs = self._parcels.grid.crs.to_wkt()
        raster = NumPyRasterSource(
            observed.view(np.uint8),
            xmin=window.column,
            ymin=-(window.row + window.height),
            xmax=window.column + window.width,
            ymax=-window.row,
            srs_wkt=crs,
        )
        found = exact_extract(
            raster, geopandas.GeoDataFrame(geometry=shapes, crs=crs), ['cell_id', 'coverage'], output='pandas'
        )
        cells, coverage = found['cell_id'].tolist(), found['coverage'].tolist()
        ends = np.concatenate([[0], np.cumsum([len(part) for part in cells])])
        return touched, csr_array(
            (np.concatenate(coverage), np.concatenate(cells).astype(np.int64), ends),
            shape=(len(touched), observed.size),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """What a tile keeps: `parcel` (n,) int64 ascending, `parcel_sums` (n,K+1) float64: pixels, then classes."""
        parcels = np.array(sorted(self._found), np.int64)
        sums = np.array([self._found[parcel] for parcel in parcels.tolist()], np.float64)
        return dict(parcel=parcels, parcel_sums=sums.reshape(len(parcels), self._classes + 1))


def parcel_columns(sums: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """What is written of parcels.

    Args:
        sums: (N,K+1) pixels, then the probability of each class summed over them.
        classes: K names.

    Returns:
        Columns: class (index; null without an observed pixel), class_name, probability (of that class), entropy
        (nats), pixels, and p_<class> for each class.
    """
    import pandas

    pixels = sums[:, 0]
    # A sliver of a pixel, of which rounding could be all.
    known = pixels > 1e-9
    p = sums[:, 1:] / np.where(known, pixels, 1.0)[:, None]
    p = np.where(known[:, None], p, np.nan)
    filled = np.where(known[:, None], p, 1.0)
    best = filled.argmax(1)
    entropy = -(filled * np.log(np.maximum(filled, 1e-30))).sum(1)
    columns: dict[str, Any] = {
        'class': pandas.array(np.where(known, best, 0), dtype='Int64'),
        'class_name': np.where(known, np.array(classes, object)[best], None),
        'probability': np.where(known, filled.max(1), np.nan),
        'entropy': np.where(known, entropy, np.nan),
        'pixels': np.where(known, np.round(pixels, 3), 0.0),
    }
    columns['class'][~known] = pandas.NA
    return columns | {f'p_{name}': p[:, number] for number, name in enumerate(classes)}


def free_names(wanted: Sequence[str], taken: Sequence[str]) -> dict[str, str]:
    """Names of columns that a file does not have yet; a name that is taken gets 'predicted_' before it.

    Args:
        wanted: names.
        taken: names of the file's columns; upper and lower case are the same to a GeoPackage.
    """
    used = {name.lower() for name in (*taken, 'fid', 'geom')}
    names = {}
    for name in wanted:
        free = name
        while free.lower() in used:
            free = f'predicted_{free}'
        used.add(free.lower())
        names[name] = free
    return names


def _with_distinct_names(frame: GeoDataFrame) -> GeoDataFrame:
    """The features; of columns whose names differ in case alone, the later ones get another."""
    used: set[str] = set()
    renamed = {}
    for name in frame.columns:
        free = str(name)
        while free.lower() in used:
            free = f'{free}_2'
        used.add(free.lower())
        renamed[name] = free
    return frame.rename(columns=renamed)


def _own_columns(frame: GeoDataFrame) -> dict[str, str]:
    """Names of the columns that a GeoPackage has of its own, beside a file's that may be called alike."""
    taken = {str(name).lower() for name in frame.columns if name != frame.geometry.name}
    names = {}
    for option, name in (('FID', 'fid'), ('GEOMETRY_NAME', 'geom')):
        while name in taken:
            name = f'{name}_'
        names[option] = name
    return names


def write_parcels(path: str | Path, parcels: ParcelFile, columns: Mapping[str, Any]) -> dict[str, str]:
    """Write a GeoPackage of all parcels with all their columns, and those of the map.

    Args:
        path: of the GeoPackage; appears when it is complete. The same content gives the same bytes.
        parcels: of the scene.
        columns: from `parcel_columns`.

    Returns:
        Name under which each column was written.
    """
    import pyogrio

    path = Path(path)
    frame = _with_distinct_names(parcels.frame)
    names = free_names(list(columns), list(frame.columns))
    frame = frame.assign(**{names[name]: values for name, values in columns.items()})
    temporary = path.with_name(f'.{path.stem}.partial.gpkg')
    before = pyogrio.get_gdal_config_option('OGR_CURRENT_DATE')
    pyogrio.set_gdal_config_options({'OGR_CURRENT_DATE': _DATE})
    try:
        # A journal that a killed run left would be played back into the new file.
        with without_leftovers(temporary):
            pyogrio.write_dataframe(frame, temporary, layer=path.stem, driver='GPKG', **_own_columns(frame))
            take_name(temporary, path)
    finally:
        pyogrio.set_gdal_config_options({'OGR_CURRENT_DATE': before})
    return names
