"""Polygons and points out of a vector file, checked, in the CRS and the pixel coordinates of a scene's grid."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine.logging import print_log

from ..errors import DataError
from .grid import Grid

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from rasterio.crs import CRS

_COORDINATES = (('longitude', 'latitude'), ('lon', 'lat'))
"""Columns of points in a CSV file."""
_LISTED = 5
"""How many features an error names."""


def read_vector(
    path: str | Path, grid: Grid, *, layer: str | None = None, id_column: str | None = None, repair: bool = False
) -> GeoDataFrame:
    """Read the features of a vector file that lie in a scene.

    Args:
        path: GeoPackage, shapefile, GeoParquet (.parquet), whatever else GDAL reads, or a CSV file of points with the
            columns `longitude` and `latitude` in degrees (or `lon` and `lat`).
        grid: the scene's grid. Features whose extent lies outside its own are left out.
        layer: name of the layer, where the file has several.
        id_column: column with a name for each feature; None for the column `id` where there is one without gaps, else
            the number of the feature in the file.
        repair: make invalid geometries valid (shapely's `make_valid`) and leave out features without any.

    Returns:
        The features in the order of the file, in the grid's CRS, in two dimensions; index 0 … N-1, and a column
        `feature_id` of texts. All are valid polygons and multipolygons, or all are points and multipoints.

    Raises:
        DataError: if the file is missing, not readable or empty, has no CRS, lies outside the scene, has missing or
            invalid geometries (names them), or holds lines or points and polygons together.
    """
    path = Path(path)
    frame = _read_frame(path, grid, layer)
    frame = frame.assign(feature_id=_feature_ids(frame, id_column, path)).reset_index(drop=True)
    frame = _refuse_or_repair(frame, path, repair)
    frame = frame.set_geometry(frame.geometry.force_2d()).to_crs(grid.crs.to_wkt())
    left, bottom, right, top = grid.bounds
    frame = frame.cx[left:right, bottom:top].reset_index(drop=True)
    if not len(frame):
        raise _outside(path, grid)
    _refuse_other_types(frame, path)
    return frame


def _read_frame(path: Path, grid: Grid, layer: str | None) -> GeoDataFrame:
    """The features near the scene, in the CRS of the file; the index is their number in the file."""
    import geopandas

    if not path.exists():
        raise DataError('the vector file is missing', path=path, hint='Correct the path.')
    try:
        if path.suffix in ('.parquet', '.csv'):
            frame = geopandas.read_parquet(path) if path.suffix == '.parquet' else _read_points(path)
            crs, count = frame.crs, len(frame)
        else:
            crs, count = _describe(path, layer)
            frame = None
    except DataError:
        raise
    # pyogrio, arrow and geopandas have errors of their own for damaged files and other formats.
    except Exception as error:
        raise DataError(
            f'not a readable vector file ({type(error).__name__}: {error})',
            path=path,
            hint='Write it again as GeoPackage or GeoParquet.',
        ) from error
    if count == 0:
        raise DataError('the file has no feature', path=path, hint='Write the features into it.')
    if crs is None:
        raise DataError(
            'the file names no coordinate reference system',
            path=path,
            hint='Assign the one that its coordinates are in (ogr2ogr -a_srs EPSG:…, or QGIS: Assign Projection).',
        )
    if frame is not None:
        return frame
    frame = geopandas.read_file(path, layer=layer, bbox=_extent_in(grid, crs), fid_as_index=True)
    if not len(frame):
        raise _outside(path, grid)
    return frame


def _read_points(path: Path) -> GeoDataFrame:
    """Points of a CSV file, in WGS 84."""
    import geopandas
    import pandas

    table = pandas.read_csv(path)
    names = [pair for pair in _COORDINATES if set(pair) <= set(table.columns)]
    if not names:
        raise DataError(
            f'no columns longitude and latitude, there are {list(table.columns)}', path=path, hint='Rename them.'
        )
    longitude, latitude = (pandas.to_numeric(table[name], errors='coerce').to_numpy() for name in names[0])
    wrong = ~((np.abs(longitude) <= 180) & (np.abs(latitude) <= 90))
    if wrong.any():
        line = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f'longitude {table[names[0][0]][line]} and latitude {table[names[0][1]][line]} in line {line + 2} are no '
            f'degrees; so in {wrong.sum()} lines',
            path=path,
            hint='Correct them, or give projected points as a GeoPackage.',
        )
    return geopandas.GeoDataFrame(table, geometry=geopandas.points_from_xy(longitude, latitude), crs='EPSG:4326')


def _describe(path: Path, layer: str | None) -> tuple[str | None, int]:
    """CRS (as text) and number of features of a layer."""
    import pyogrio

    layers = [str(name) for name in pyogrio.list_layers(path)[:, 0]]
    if layer is None and len(layers) > 1:
        raise DataError(f'the file has several layers, {layers}', path=path, hint='Choose one: layer=….')
    if layer is not None and layer not in layers:
        raise DataError(f'no layer {layer!r}, there are {layers}', path=path, hint='Choose one of these.')
    info = pyogrio.read_info(path, layer=layer, force_feature_count=True)
    if info['geometry_type'] is None:
        raise DataError('the layer has no geometry', path=path, hint='Give a layer of polygons or points.')
    return info['crs'], int(info['features'])


def _extent_in(grid: Grid, crs: Any) -> tuple[float, float, float, float]:
    """Extent of the grid in another CRS, with a margin for sides that are curved there."""
    from rasterio.crs import CRS

    from .grid import bounds_in

    left, bottom, right, top = bounds_in(grid, CRS.from_user_input(crs))
    margin_x, margin_y = 0.02 * (right - left), 0.02 * (top - bottom)
    return left - margin_x, bottom - margin_y, right + margin_x, top + margin_y


def _outside(path: Path, grid: Grid) -> DataError:
    left, bottom, right, top = grid.bounds
    return DataError(
        f'no feature lies in the scene, which reaches from ({left:.6g}, {bottom:.6g}) to ({right:.6g}, {top:.6g}) in '
        f'{grid.crs.to_string()[:60]}',
        path=path,
        hint='Check that file and scene are of one place, and that the CRS the file names is the one of its numbers.',
    )


def _feature_ids(frame: GeoDataFrame, id_column: str | None, path: Path) -> list[str]:
    if id_column is not None and id_column not in frame.columns:
        raise missing_column('id', id_column, frame, path)
    name = id_column or ('id' if 'id' in frame.columns else None)
    numbers = [str(number) for number in frame.index]
    if name is None:
        return numbers
    texts = texts_of(frame[name].tolist())
    missing = texts.count(None)
    if not missing:
        return [str(text) for text in texts]
    if id_column is None:
        # Programs to draw polygons make a column `id` that many leave empty.
        return numbers
    raise DataError(
        f'{missing} of {len(texts)} features have no entry in the id column {name!r}',
        path=path,
        hint='Give them a name, or choose another id_column.',
    )


def missing_column(purpose: str, name: str, frame: GeoDataFrame, path: Path) -> DataError:
    """The error for a column that a file does not have; lists those it has."""
    held = [column for column in frame.columns if column not in ('geometry', 'feature_id')]
    return DataError(f'no {purpose} column {name!r}, there are {held}', path=path, hint='Choose one of these.')


def _refuse_or_repair(frame: GeoDataFrame, path: Path, repair: bool) -> GeoDataFrame:
    import shapely

    geometries = frame.geometry.to_numpy()
    absent = shapely.is_missing(geometries) | shapely.is_empty(geometries)
    bad = np.flatnonzero(absent | ~shapely.is_valid(geometries))
    if not len(bad):
        return frame
    reasons = np.where(absent[bad], 'no geometry', shapely.is_valid_reason(geometries[bad]))
    ids = frame['feature_id'].to_numpy()[bad]
    listed = '; '.join(f'{name}: {reason}' for name, reason in zip(ids[:_LISTED], reasons[:_LISTED], strict=True))
    message = (
        f'{len(bad)} of {len(frame)} features have no valid geometry ({listed}{" …" if len(bad) > _LISTED else ""})'
    )
    if not repair:
        raise DataError(
            message, path=path, hint='Repair them in the file, or let it be done here: repair=True in labels.'
        )
    # What a repair leaves of a polygon may be lines and points too, which have no area.
    frame = frame.assign(geometry=frame.geometry.make_valid())
    broken = frame.geometry.geom_type == 'GeometryCollection'
    frame.loc[broken, 'geometry'] = [areas_of(geometry) for geometry in frame.geometry[broken]]
    kept = ~(frame.geometry.is_empty | frame.geometry.isna())
    print_log(f'{path.name}: {message}: repaired, {(~kept).sum()} left out', 'current', logging.WARNING)
    return frame[kept].reset_index(drop=True)


def areas_of(collection: Any) -> Any:
    """The polygons of a geometry collection as one geometry; empty where it has none."""
    import shapely

    parts = [part for part in shapely.get_parts(collection) if part.geom_type in ('Polygon', 'MultiPolygon')]
    return shapely.union_all(parts)


def _refuse_other_types(frame: GeoDataFrame, path: Path) -> None:
    kinds = frame.geometry.geom_type
    areas, points = kinds.isin(['Polygon', 'MultiPolygon']), kinds.isin(['Point', 'MultiPoint'])
    if areas.all() or points.all():
        return
    found = ', '.join(f'{count} {kind}' for kind, count in kinds.value_counts().items())
    raise DataError(
        f'polygons or points are expected, found {found}', path=path, hint='Give a file (or a layer) of one kind.'
    )


def metric_crs(frame: GeoDataFrame) -> CRS:
    """A CRS in metres that is true to scale where features lie.

    Args:
        frame: features with a CRS.

    Returns:
        Their own CRS where it is projected and in metres, otherwise, and instead of Web Mercator whose metres are none,
        the UTM zone of their middle.
    """
    from rasterio.crs import CRS

    own = CRS.from_user_input(frame.crs)
    if own.is_projected and own.linear_units_factor[1] == 1 and own.to_epsg() != 3857:
        return own
    return CRS.from_user_input(frame.estimate_utm_crs())


def to_pixels(geometries: np.ndarray, grid: Grid) -> np.ndarray:
    """Geometries in pixel coordinates of a grid.

    Args:
        geometries: shapely geometries in the grid's CRS, (N,).
        grid: the grid.

    Returns:
        (N,) geometries whose x counts columns and whose y counts rows, from the upper left corner of the grid: the
        first pixel is the square from (0, 0) to (1, 1).
    """
    import shapely

    inverse = ~grid.transform

    def move(points: np.ndarray) -> np.ndarray:
        x, y = points[:, 0], points[:, 1]
        return np.stack([inverse.a * x + inverse.b * y + inverse.c, inverse.d * x + inverse.e * y + inverse.f], axis=1)

    return shapely.transform(geometries, move)


def texts_of(values: Sequence[Any] | np.ndarray) -> list[str | None]:
    """Entries of a column as texts: 3.0 as '3', None where there is none (NaN, empty text)."""
    import pandas

    from ..timematch_classes import code_text

    missing = [bool(pandas.isna(value)) or str(value).strip() == '' for value in values]
    return [None if gone else code_text(value) for value, gone in zip(values, missing, strict=True)]
