"""Fields of known crops out of vector files, repaired, in degrees."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from mmengine.logging import print_log

from ..crop_calendar import plain_name
from ..errors import DataError
from ..scene.vectors import areas_of

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

_FORMATS = ('.gpkg', '.shp', '.geojson', '.json', '.fgb', '.parquet')
_LISTED = 5
"""How many features a message names."""


def find_files(source: str | Path) -> dict[str, Path]:
    """The files of a source: crop -> file for a folder with a file per crop; '' -> file for a file of several crops.

    Raises:
        DataError: if nothing is there.
    """
    source = Path(source)
    if source.is_file():
        return {'': source}
    files = sorted(path for path in source.rglob('*') if path.suffix.lower() in _FORMATS)
    if not files:
        raise DataError(
            f'no vector file ({", ".join(_FORMATS)}) is there',
            path=source,
            hint='Give a file with a column for the crop, or a folder with a file for each crop.',
        )
    twice = [path for path in files if [other.stem for other in files].count(path.stem) > 1]
    if twice:
        raise DataError(
            f'several files are named {twice[0].stem}: {", ".join(map(str, twice))}',
            path=source,
            hint='Files of a folder are named by their crop; keep one for each.',
        )
    return {path.stem: path for path in files}


def read_fields(
    source: str | Path,
    crop_column: str = 'crop',
    layer: str | None = None,
    assumed_crs: str | None = None,
    aliases: Mapping[str, str] | None = None,
) -> GeoDataFrame:
    """Read the fields of all crops.

    Geometries that cross themselves are repaired (`make_valid`, of which the areas are kept); features without an area
    or without a crop are left out; all of it is said in the log. Files may differ in their CRS.

    Args:
        source: a vector file with a column for the crop, or a folder with a file for each crop.
        crop_column: name of that column; not needed for a folder.
        layer: of a file with several.
        assumed_crs: CRS of files that name none, such as 'EPSG:4326'.
        aliases: crop as written in the data -> the name to use. Names are compared in lower case without signs.

    Returns:
        Valid polygons and multipolygons in EPSG:4326 in the order of the files, with the columns `crop` (lower case)
        and `field`, a name that is unique.

    Raises:
        DataError: if a file is not readable, empty, names no CRS, has coordinates that cannot be of the CRS it names,
            holds points or lines, or has no column for the crop.
    """
    import geopandas
    import pandas

    names = {plain_name(old): new for old, new in (aliases or {}).items()}
    frames = [
        _read_file(path, crop, crop_column, layer, assumed_crs, names) for crop, path in find_files(source).items()
    ]
    found = sorted({frame.attrs['crs'] for frame in frames})
    if len(found) > 1:
        print_log(f'{source}: the files are in {", ".join(found)}; all are brought to EPSG:4326', 'current')
    fields = geopandas.GeoDataFrame(pandas.concat([_plain(frame) for frame in frames], ignore_index=True))
    return fields.set_crs('EPSG:4326', allow_override=True)


def _plain(frame: GeoDataFrame) -> GeoDataFrame:
    frame = frame[['crop', 'field', 'geometry']]
    frame.attrs = {}
    return frame


def _read_file(
    path: Path, crop: str, column: str, layer: str | None, assumed_crs: str | None, aliases: Mapping[str, str]
) -> GeoDataFrame:
    """The fields of one file; its CRS is in `attrs`."""
    frame = _open(path, layer)
    if not len(frame):
        raise DataError('the file has no feature', path=path, hint='Take it away, or write the fields into it.')
    if frame.crs is None:
        frame = frame.set_crs(_assumed(path, assumed_crs))
    crs = frame.crs.to_string()
    _refuse_wrong_degrees(frame, path)
    if not crop and column not in frame.columns:
        held = [name for name in frame.columns if name != 'geometry']
        raise DataError(f'no crop column {column!r}, there are {held}', path=path, hint='Choose one of these.')
    texts = [crop] * len(frame) if crop else ['' if _is_absent(value) else str(value) for value in frame[column]]
    crops = [aliases.get(plain_name(text), plain_name(text)) for text in texts]
    frame = frame.assign(crop=crops, field=[f'{path.stem}-{number}' for number in range(len(frame))])
    frame = _repair(_with_crop(frame, path, column), path).to_crs('EPSG:4326')
    frame.attrs['crs'] = crs
    return frame


def _is_absent(value: Any) -> bool:
    """None, NaN, or pandas' mark."""
    import pandas

    return bool(pandas.isna(value))


def _with_crop(frame: GeoDataFrame, path: Path, column: str) -> GeoDataFrame:
    """Fields of which it is known what grows there; of the others nothing can be learned."""
    named = frame['crop'] != ''
    if not named.any():
        raise DataError(
            'no feature names its crop', path=path, hint=f'Fill the column {column!r}, or name the file by its crop.'
        )
    if not named.all():
        print_log(
            f'{path.name}: {(~named).sum()} of {len(frame)} features name no crop ({column}) and were left out',
            'current',
            logging.WARNING,
        )
    return frame[named]


def _open(path: Path, layer: str | None) -> GeoDataFrame:
    import geopandas

    try:
        if path.suffix == '.parquet':
            return geopandas.read_parquet(path)
        frame = geopandas.read_file(path, layer=layer)
    # pyogrio, arrow and geopandas have errors of their own for damaged files and other formats.
    except Exception as error:
        raise DataError(
            f'not a readable vector file ({type(error).__name__}: {error})',
            path=path,
            hint='Write it again as GeoPackage.',
        ) from error
    if not isinstance(frame, geopandas.GeoDataFrame):
        raise DataError('the layer has no geometry', path=path, hint='Give a layer of polygons.')
    return frame


def _assumed(path: Path, crs: str | None) -> str:
    if crs is None:
        missing = f' ({path.stem}.prj is missing)' if path.suffix.lower() == '.shp' else ''
        raise DataError(
            f'the file names no coordinate reference system{missing}',
            path=path,
            hint='Put the .prj file beside it, or say which one it is: --assume-crs EPSG:4326, say, for degrees.',
        )
    print_log(f'{path}: names no CRS, {crs} is taken', 'current', logging.WARNING)
    return crs


def _refuse_wrong_degrees(frame: GeoDataFrame, path: Path) -> None:
    """Coordinates of meters in a file that says degrees would end up anywhere on Earth."""
    bounds = frame.geometry.bounds.to_numpy()
    if not frame.crs.is_geographic or not np.isfinite(bounds).any():
        return
    wrong = (np.abs(bounds[:, [0, 2]]) > 360).any(1) | (np.abs(bounds[:, [1, 3]]) > 90).any(1)
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        raise DataError(
            f'{wrong.sum()} features have coordinates that are no degrees, though the file says '
            f'{frame.crs.to_string()[:60]}: feature {index} begins at {tuple(bounds[index, :2].tolist())}',
            path=path,
            hint='Features of several coordinate systems were joined, or the wrong one was assigned: put this right.',
        )


def _repair(frame: GeoDataFrame, path: Path) -> GeoDataFrame:
    """Only valid areas, two-dimensional; the log says what was repaired and what was left out."""
    import shapely

    shapes = frame.geometry.force_2d()
    kinds = set(shapes.geom_type.dropna()) - {'Polygon', 'MultiPolygon', 'GeometryCollection'}
    if kinds:
        raise DataError(
            f'polygons are expected, found {", ".join(sorted(kinds))}', path=path, hint='Give a file of fields.'
        )
    values = shapes.to_numpy()
    absent = shapely.is_missing(values) | shapely.is_empty(values)
    broken = ~absent & ~shapely.is_valid(values)
    fixed = np.array([areas_of_one(shape) if bad else shape for shape, bad in zip(values, broken, strict=True)])
    lost = absent | shapely.is_missing(fixed) | (shapely.area(fixed) == 0)
    if broken.any() or lost.any():
        listed = '; '.join(
            f'{name}: {shapely.is_valid_reason(shape)}'
            for name, shape in zip(frame['field'][broken][:_LISTED], values[broken][:_LISTED], strict=True)
        )
        print_log(
            f'{path.name}: {broken.sum()} of {len(frame)} geometries are invalid and were repaired '
            f'({listed or "none"}{" …" if broken.sum() > _LISTED else ""}); {lost.sum()} without an area were left out',
            'current',
            logging.WARNING,
        )
    if lost.all():
        raise DataError('no feature has an area', path=path, hint='Give a file of fields.')
    return frame.set_geometry(shapes.set_axis(frame.index)).assign(geometry=fixed)[~lost].set_crs(frame.crs)


def areas_of_one(shape: Any) -> Any:
    """The areas of an invalid geometry after its repair, as one valid polygon or multipolygon; may be empty."""
    import shapely

    valid = shapely.make_valid(shape)
    return areas_of(valid) if valid.geom_type == 'GeometryCollection' else valid
