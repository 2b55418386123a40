"""The table of regions, as GeoPackage and as workbook, written and read."""

from __future__ import annotations

import ast
import datetime
import hashlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..crop_calendar import import_openpyxl, open_workbook
from ..errors import DataError
from .regions import Bounds, Region, boxes_of

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

REGIONS_LAYER, FIELDS_LAYER = 'regions', 'fields'
_COLUMNS = dict(
    uuid='uid', crop='crop', season='season', cluster='cluster', province='province', split='split', crs='crs'
)
_DATES = dict(
    planting_start='planting_start',
    planting_end='planting_end',
    harvest_date='harvest_start',
    harvest_end='harvest_end',
)
"""Columns of the table, and the attributes that they hold."""
_PUBLISHED_CRS = 'EPSG:3857'
"""CRS of the published table of Iran, and of everything that is exported with it."""


class RegionBox(NamedTuple):
    """What has to be known of a region to get its images.

    Attributes:
        uid: its name.
        crop: of the fields in it.
        harvest: first day of the harvest; None where it is not known.
        crs: of the box, as text.
        bounds: of the box.
    """

    uid: str
    crop: str
    harvest: datetime.date | None
    crs: str
    bounds: Bounds


def regions_frame(regions: Sequence[Region]) -> GeoDataFrame:
    """The regions as a table: what is known of each, its box in its own CRS as numbers, and the box in EPSG:4326."""
    frame = boxes_of(regions)
    dates = [region.dates for region in regions]
    for name, attribute in _COLUMNS.items():
        frame[name] = [getattr(region, attribute) for region in regions]
    for name, attribute in _DATES.items():
        frame[name] = [None if season is None else getattr(season, attribute).isoformat() for season in dates]
    frame['fields'] = [len(region.members) for region in regions]
    bounds = np.array([region.bounds for region in regions])
    for index, name in enumerate(('left', 'bottom', 'right', 'top')):
        frame[name] = bounds[:, index]
    return frame


def write_geopackage(path: Path, regions: Sequence[Region], fields: GeoDataFrame) -> None:
    """Write the layers `regions` and `fields`; each field has the `uuid` and the split of its (first) region."""
    owner: dict[int, Region] = {}
    for region in regions:
        for member in region.members:
            owner.setdefault(int(member), region)
    held = [owner.get(index) for index in range(len(fields))]
    columns = dict(
        uuid=[None if region is None else region.uid for region in held],
        split=[None if region is None else region.split for region in held],
    )
    regions_frame(regions).to_file(path, layer=REGIONS_LAYER, driver='GPKG')
    fields.assign(**columns).to_file(path, layer=FIELDS_LAYER, driver='GPKG')


def encode_workbook(regions: Sequence[Region], country: str) -> bytes:
    """A workbook with the published columns roi, harvest_date, main_type, country, uuid, and more behind them.

    Raises:
        DataError: if openpyxl is not installed.
    """
    book = import_openpyxl('regions.xlsx').Workbook(write_only=True)
    sheet = book.create_sheet('regions')
    sheet.append(
        ['roi', 'harvest_date', 'main_type', 'country', 'uuid', 'crs', 'season', 'province', 'split', 'fields']
    )
    for region in regions:
        left, bottom, right, top = region.bounds
        ring = [[[left, top], [left, bottom], [right, bottom], [right, top]]]
        harvest = None if region.dates is None else region.dates.harvest_start.isoformat()
        sheet.append(
            [str(ring), harvest, region.crop, country, region.uid]
            + [region.crs, region.season, region.province, region.split, len(region.members)]
        )
    content = BytesIO()
    book.save(content)
    return content.getvalue()


def read_regions(path: str | Path) -> list[RegionBox]:
    """Read a table of regions.

    Args:
        path: GeoPackage as `write_geopackage` writes it, or workbook with the published columns. A workbook without
            the column `crs` has boxes in EPSG:3857, or in degrees, which become boxes in EPSG:3857; rows without
            `uuid` get a name of their own.

    Raises:
        DataError: if the file is missing or damaged, has no region, lacks a column, or a box or date is none.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError('the table of regions is missing', path=path, hint='Correct the path.')
    found = _read_workbook(path) if path.suffix == '.xlsx' else _read_geopackage(path)
    if not found:
        raise DataError('the table has no region', path=path, hint='Make it again (polygons.py).')
    return found


def _read_geopackage(path: Path) -> list[RegionBox]:
    import geopandas

    try:
        frame = geopandas.read_file(path, layer=REGIONS_LAYER)
    # pyogrio has errors of its own for damaged files and missing layers.
    except Exception as error:
        raise DataError(
            f'no readable table of regions ({type(error).__name__}: {error})',
            path=path,
            hint='Make it with polygons.py.',
        ) from error
    wanted = ['uuid', 'crop', 'harvest_date', 'crs', 'left', 'bottom', 'right', 'top']
    _refuse_missing(wanted, list(frame.columns), path)
    return [
        RegionBox(
            row.uuid, row.crop, _date(row.harvest_date, path), row.crs, (row.left, row.bottom, row.right, row.top)
        )
        for row in frame.itertuples()
    ]


def _read_workbook(path: Path) -> list[RegionBox]:
    book = open_workbook(path)
    lines = [line for line in book.worksheets[0].iter_rows(values_only=True) if any(cell is not None for cell in line)]
    book.close()
    heading = [str(cell).strip() for cell in lines[0]] if lines else []
    _refuse_missing(['roi', 'harvest_date', 'main_type'], heading, path)
    boxes = []
    for number, line in enumerate(lines[1:], 2):
        row = dict(zip(heading, line, strict=False))
        crs, bounds = _box_of(str(row['roi']), row.get('crs'), number, path)
        uid = row.get('uuid') or hashlib.md5(str(row['roi']).encode(), usedforsecurity=False).hexdigest()
        boxes.append(RegionBox(str(uid), str(row['main_type']), _date(row['harvest_date'], path), crs, bounds))
    return boxes


def _box_of(text: str, crs: Any, number: int, path: Path) -> tuple[str, Bounds]:
    try:
        points = np.array(ast.literal_eval(text), float).reshape(-1, 2)
    except (ValueError, SyntaxError) as error:
        raise DataError(
            f'line {number}: roi {text[:60]!r} is no list of corners', path=path, hint='Write [[[x, y], …]].'
        ) from error
    bounds = (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
    if crs:
        return str(crs), bounds
    if np.abs(points).max() > 360:
        return _PUBLISHED_CRS, bounds
    from rasterio.warp import transform_bounds

    return _PUBLISHED_CRS, transform_bounds('EPSG:4326', _PUBLISHED_CRS, *bounds)


def _date(value: Any, path: Path) -> datetime.date | None:
    if isinstance(value, datetime.datetime):
        return value.date()
    if value is None or value != value or str(value).strip() in ('', '-', 'None'):
        return None
    try:
        return datetime.date.fromisoformat(str(value)[:10])
    except ValueError as error:
        raise DataError(f'{value!r} is no harvest date', path=path, hint='Write YYYY-MM-DD.') from error


def _refuse_missing(wanted: Sequence[str], columns: Sequence[str], path: Path) -> None:
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise DataError(
            f'no column {missing} in the table of regions, there are {list(columns)}', path=path, hint='Add them.'
        )
