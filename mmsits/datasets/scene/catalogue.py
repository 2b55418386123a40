"""Which rasters a sensor has: the files of a folder, their dates and bands by name, or as a table lists them."""

from __future__ import annotations

import csv
import datetime
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from mmengine.logging import print_log

from mmsits.datasets.base import day_number
from mmsits.datasets.errors import DataError

DATE_PATTERN = r'(?<!\d)(?P<date>\d{4}[-_]?\d{2}[-_]?\d{2})(?!\d)'
"""Eight digits that stand alone, as yyyymmdd, yyyy-mm-dd or yyyy_mm_dd; the first such in the name is the date."""

SUFFIXES = ('.tif', '.tiff', '.jp2', '.vrt')

_SEPARATOR = '[-_/.]'
_CALENDAR = (
    # With separators, months and days may have one digit only.
    re.compile(rf'(\d{{4}}){_SEPARATOR}(\d{{1,2}}){_SEPARATOR}(\d{{1,2}})(?!\d)'),
    re.compile(rf'(\d{{4}}){_SEPARATOR}?(\d{{2}}){_SEPARATOR}?(\d{{2}})(?!\d)'),
)
_ORDINAL = re.compile(rf'(\d{{4}}){_SEPARATOR}?(\d{{3}})')


class Layer(NamedTuple):
    """A raster file, or one band of it, with what its name or the table says about it.

    Attributes:
        path: the file.
        day: days since 1970-01-01.
        band: name of the band, where the file holds one band of one date; None where it holds several.
        number: which band of the file that is, from 1; None where the file is taken whole.
        columns: what else is known of it: further named groups of the pattern, or columns of the table.
    """

    path: Path
    day: int
    band: str | None
    number: int | None
    columns: Mapping[str, str]


def list_layers(
    folder: Path,
    file: str | None = None,
    table: str | None = None,
    pattern: str = DATE_PATTERN,
    date: str | None = None,
    date_format: str | None = None,
    period: Sequence[str] | None = None,
    crs: str | None = None,
) -> list[Layer]:
    """The rasters of one sensor, in the order of their dates.

    Args:
        folder: where they are.
        file: one file that holds the whole series; the pattern is looked for in the descriptions of its bands. With
            `date`, a file of that one date.
        table: a CSV file in the folder, or in the one above, with the columns file (relative to the folder) and date,
            and, as needed, band and whatever the radiometry asks for. Files that it does not list are not read.
        pattern: regular expression that is searched for in the path of each file (relative to the folder, with '/'),
            with a group `date` and, where a file holds one band only, a group `band`. Files without a match are not
            read, which tells several kinds of files in one folder apart.
        date: date 'YYYY-MM-DD' of all files: rasters without time, such as an elevation model.
        date_format: format of the dates as in `datetime.strptime`; None for yyyymmdd, yyyy-mm-dd, yyyy_mm_dd,
            yyyy/mm/dd and yyyyddd (year and day of the year).
        period: first and last date 'YYYY-MM-DD'; others are left out. None for all.
        crs: CRS of `file` where it declares none.

    Returns:
        At least one layer, sorted by date, then path.

    Raises:
        DataError: if the folder, the file or the table is missing or damaged, nothing matches, or a date is none.
        ValueError: if the pattern is not a regular expression or has no group `date`.
    """
    if not folder.is_dir():
        raise DataError('the folder does not exist', path=folder, hint=_near(folder))
    parse = _compiled(pattern) if date is None else None
    if table is not None:
        layers = _from_table(folder, table, date, date_format)
    elif file is not None and date is None:
        layers = _from_descriptions(folder / file, parse, pattern, date_format, crs)
    else:
        layers = _from_names(folder, file, parse, pattern, date, date_format)
    return sorted(_within(layers, period, folder), key=lambda layer: (layer.day, str(layer.path), layer.number or 0))


def _compiled(pattern: str) -> re.Pattern:
    try:
        parse = re.compile(pattern)
    except re.error as error:
        raise ValueError(f'pattern {pattern!r} is not a regular expression: {error}') from error
    if 'date' not in parse.groupindex:
        raise ValueError(f'pattern {pattern!r} has no group (?P<date>…)')
    return parse


def _near(folder: Path) -> str:
    """Say what is there instead of a missing folder."""
    parent = next(parent for parent in folder.parents if parent.is_dir())
    held = sorted(entry.name for entry in parent.iterdir())[:8]
    return f'{parent} holds {held or "nothing"}; correct data_root or folder.'


def parse_day(text: str, date_format: str | None, path: Path) -> int:
    """Day of a date as it stands in a file name or table.

    Args:
        text: the date.
        date_format: see :func:`list_layers`.
        path: named in the error.

    Returns:
        Days since 1970-01-01.

    Raises:
        DataError: if the text is no date.
    """
    text = text.strip()
    try:
        if date_format is not None:
            return day_number(datetime.datetime.strptime(text, date_format).date())
        return day_number(_calendar_date(text))
    except ValueError as error:
        known = date_format or 'yyyymmdd, yyyy-mm-dd or yyyyddd'
        raise DataError(
            f'{text!r} is not a date ({known} is expected)', path=path, hint='Correct it, or give date_format.'
        ) from error


def _calendar_date(text: str) -> datetime.date:
    """The date that a text begins with, or the day of a year that it is."""
    for form in _CALENDAR:
        if match := form.match(text):
            year, month, day = (int(part) for part in match.groups())
            return datetime.date(year, month, day)
    if match := _ORDINAL.fullmatch(text):
        return datetime.datetime.strptime(''.join(match.groups()), '%Y%j').date()
    raise ValueError(text)


def _from_names(
    folder: Path, file: str | None, parse: re.Pattern | None, pattern: str, date: str | None, date_format: str | None
) -> list[Layer]:
    found = [folder / file] if file is not None else _rasters(folder)
    if parse is None:
        day = parse_day(str(date), date_format, folder)
        return [Layer(path, day, None, None, {}) for path in found]
    matches = {path: parse.search(path.relative_to(folder).as_posix()) for path in found}
    left_out = [path.name for path, match in matches.items() if match is None]
    if len(left_out) == len(found):
        raise DataError(
            f'none of the {len(found)} rasters matches the pattern {pattern!r}; the first are {left_out[:3]}',
            path=folder,
            hint="Give a pattern that finds the date: pattern=r'(?P<date>\\d{8})'.",
        )
    if left_out:
        _log(f'{folder}: {len(left_out)} of {len(found)} rasters do not match {pattern!r} and are not read', left_out)
    layers = []
    for path, match in matches.items():
        if match is not None:
            groups = {name: text for name, text in match.groupdict().items() if text is not None}
            day = parse_day(groups.pop('date'), date_format, path)
            layers.append(Layer(path, day, groups.pop('band', None), None, groups))
    return layers


def _rasters(folder: Path) -> list[Path]:
    found = [path for path in sorted(folder.rglob('*')) if path.suffix.lower() in SUFFIXES and path.is_file()]
    if not found:
        held = sorted(entry.name for entry in folder.iterdir())[:8]
        raise DataError(
            f'no raster ({", ".join(SUFFIXES)}) in the folder, which holds {held or "nothing"}',
            path=folder,
            hint='Correct data_root or folder.',
        )
    return found


def _from_descriptions(
    path: Path, parse: re.Pattern | None, pattern: str, date_format: str | None, crs: str | None
) -> list[Layer]:
    from .rasters import read_header

    assert parse is not None
    layers = []
    for index, description in enumerate(read_header(path, crs).descriptions, 1):
        match = parse.search(description or '')
        if match is None:
            raise DataError(
                f'band {index} is described as {description!r}, in which {pattern!r} finds no date',
                path=path,
                hint='Describe each band by its date, give a fitting pattern, or a folder with a file per date.',
            )
        groups = {name: text for name, text in match.groupdict().items() if text is not None}
        day = parse_day(groups.pop('date'), date_format, path)
        layers.append(Layer(path, day, groups.pop('band', None), index, groups))
    return layers


def _from_table(folder: Path, table: str, date: str | None, date_format: str | None) -> list[Layer]:
    path = next((place / table for place in (folder, folder.parent) if (place / table).is_file()), folder / table)
    try:
        with path.open(newline='', encoding='utf-8-sig') as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f'the table cannot be read ({error})', path=path, hint='Correct `table`.') from error
    needed = ('file',) if date is not None else ('file', 'date')
    absent = [name for name in needed if not rows or name not in rows[0]]
    if absent:
        held = list(rows[0]) if rows else 'no rows'
        raise DataError(f'the table has no column {absent}; it has {held}', path=path, hint='Add what is missing.')
    layers = []
    for number, row in enumerate(rows, 2):
        raster = folder / str(row['file'])
        if not raster.is_file():
            raise DataError(f'line {number} lists {raster}, which does not exist', path=path, hint='Correct the table.')
        day = parse_day(date if date is not None else str(row['date']), date_format, path)
        columns = {name: text for name, text in row.items() if name not in ('file', 'date', 'band') and text}
        layers.append(Layer(raster, day, row.get('band') or None, None, columns))
    return layers


def _within(layers: list[Layer], period: Sequence[str] | None, folder: Path) -> list[Layer]:
    if period is None:
        return layers
    first, last = (day_number(datetime.date.fromisoformat(date)) for date in period)
    kept = [layer for layer in layers if first <= layer.day <= last]
    if not kept:
        raise DataError(
            f'no date in the period {period[0]} to {period[1]}; {len(layers)} rasters are outside',
            path=folder,
            hint='Correct `period`.',
        )
    return kept


def _log(text: str, names: Sequence[str]) -> None:
    print_log(f'{text}: {", ".join(names[:3])}{" …" if len(names) > 3 else ""}', 'current', logging.INFO)
