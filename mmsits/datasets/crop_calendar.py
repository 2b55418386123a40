"""Planting and harvest dates of crops by province, out of a table.

A calendar is a CSV file (with the column `crop`) or a workbook (one sheet per crop or season) with the columns
Province, Planting Start Date, Planting End Date, Harvest Start Date and Harvest End Date. Dates are 'MM-DD' of the
Solar Hijri (Jalali) or the Gregorian calendar, or full dates 'YYYY-MM-DD', whose years tell which calendar they are of;
'-' where there is none.
"""

from __future__ import annotations

import csv
import datetime
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

from .errors import DataError

CalendarSystem = Literal['jalali', 'gregorian']
_COLUMNS = ('Planting Start Date', 'Planting End Date', 'Harvest Start Date', 'Harvest End Date')
_LONG_YEARS = (1, 5, 9, 13, 17, 22, 26, 30)
"""Remainders of the leap years in the cycle of 33 years."""
_FIRST_YEAR, _LAST_YEAR = 1178, 1633
"""Years for which the cycle gives the astronomical leap years."""
_ANCHOR = (1400, datetime.date(2021, 3, 21))
"""A year and the Gregorian date of its first day."""


class Season(NamedTuple):
    """When a crop is sown and harvested in one province, Gregorian."""

    planting_start: datetime.date
    planting_end: datetime.date
    harvest_start: datetime.date
    harvest_end: datetime.date


def jalali_to_gregorian(year: int, month: int, day: int) -> datetime.date:
    """Convert a date of the Solar Hijri calendar.

    Months 1 to 6 have 31 days, 7 to 11 have 30, the last has 29, in leap years 30; leap years follow a cycle of 33
    years, which agrees with the astronomical calendar from 1178 to 1633 (1799 to 2254).

    Raises:
        ValueError: if there is no such date, or the year lies outside that span.
    """
    if not _FIRST_YEAR <= year <= _LAST_YEAR:
        raise ValueError(f'Jalali years {_FIRST_YEAR} to {_LAST_YEAR} can be converted, not {year}')
    longest = 31 if month <= 6 else 30 if month <= 11 or _is_leap(year) else 29
    if not (1 <= month <= 12 and 1 <= day <= longest):
        raise ValueError(f'{year:04d}-{month:02d}-{day:02d} is no date of the Jalali calendar')
    anchor, first = _ANCHOR
    step = 1 if year >= anchor else -1
    leaps = sum(_is_leap(between) for between in range(min(year, anchor), max(year, anchor)))
    days = 365 * (year - anchor) + step * leaps
    within = 31 * min(month - 1, 6) + 30 * max(month - 7, 0) + day - 1
    return first + datetime.timedelta(days=days + within)


def _is_leap(year: int) -> bool:
    return year % 33 in _LONG_YEARS


def plain_name(name: str) -> str:
    """A name of a crop or province as it is compared: lower case, letters and digits of any script only."""
    return re.sub(r'[\W_]+', '', unicodedata.normalize('NFKC', name).lower())


class CropCalendar:
    """A calendar of crops.

    Args:
        entries: season name -> province -> the four dates as texts, None where there is none.
        path: the file they come from.
        system: calendar of dates without a year.
        start_year: year of the first date of a season, in that calendar; dates behind a turn of the year are of the
            next. Not needed for full dates.

    Raises:
        ValueError: if the system is unknown.
    """

    def __init__(
        self,
        entries: Mapping[str, Mapping[str, Sequence[str | None]]],
        path: str | Path = '',
        system: CalendarSystem = 'jalali',
        start_year: int | None = None,
    ) -> None:
        if system not in get_args(CalendarSystem):
            raise ValueError(f'calendar system {system!r}: expected one of {get_args(CalendarSystem)}')
        self.entries = {season: dict(rows) for season, rows in entries.items()}
        self.path, self.system, self.start_year = Path(path), system, start_year

    @property
    def seasons(self) -> list[str]:
        """Names of all seasons, in the order of the file."""
        return list(self.entries)

    def seasons_of(self, crop: str) -> list[str]:
        """Seasons of a crop: those named like it, alone or with an addition behind an underscore."""
        wanted = plain_name(crop)
        return [name for name in self.entries if wanted in (plain_name(name), plain_name(name.partition('_')[0]))]

    def season(self, name: str, province: str | None) -> Season | None:
        """The dates of a season in a province.

        Args:
            name: of the season.
            province: None where it is not known.

        Returns:
            None if the province is not listed or one of its dates is missing.

        Raises:
            DataError: if there is no such season, or a date does not exist.
        """
        if name not in self.entries:
            raise DataError(
                f'no season {name!r} in the calendar, there are {self.seasons}',
                path=self.path,
                hint='Choose among these.',
            )
        rows = {plain_name(place): dates for place, dates in self.entries[name].items()}
        texts = rows.get(plain_name(province)) if province else None
        if texts is None or any(text is None for text in texts):
            return None
        try:
            return Season(*self._dates([str(text) for text in texts]))
        except ValueError as error:
            raise DataError(
                f'{name} in {province}: {error}', path=self.path, hint='Correct the date, or write - for none.'
            ) from error

    def _dates(self, texts: list[str]) -> list[datetime.date]:
        if all(len(text.split('-')) == 3 for text in texts):
            return [_full_date(text) for text in texts]
        if self.start_year is None:
            raise ValueError(f'{texts[0]!r} has no year: give the year that the season starts in (start_year)')
        months, days = zip(*(_month_and_day(text) for text in texts), strict=True)
        turn = next((index for index in range(1, 4) if months[index] < months[index - 1]), 4)
        convert = jalali_to_gregorian if self.system == 'jalali' else datetime.date
        return [convert(self.start_year + (i >= turn), months[i], days[i]) for i in range(4)]


def _full_date(text: str) -> datetime.date:
    """A date of either calendar: no image is older than the last Jalali year that can be converted."""
    try:
        year, month, day = map(int, text.split('-'))
    except ValueError as error:
        raise ValueError(f'{text!r} is no date (YYYY-MM-DD)') from error
    return jalali_to_gregorian(year, month, day) if year <= _LAST_YEAR else datetime.date(year, month, day)


def _month_and_day(text: str) -> tuple[int, int]:
    try:
        month, day = map(int, text.split('-'))
    except ValueError as error:
        raise ValueError(f'{text!r} is no date (MM-DD)') from error
    return month, day


def read_calendar(path: str | Path, system: CalendarSystem = 'jalali', start_year: int | None = None) -> CropCalendar:
    """Read a calendar.

    Args:
        path: `.csv` (column `crop`; blank lines and repeated headings are skipped) or `.xlsx` (a sheet per season;
            needs openpyxl).
        system: see `CropCalendar`.
        start_year: see `CropCalendar`.

    Raises:
        DataError: if the file is missing, is neither, or lacks a column; also where openpyxl is not installed.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError('the crop calendar is missing', path=path, hint='Correct the path.')
    sheets = _read_workbook(path) if path.suffix == '.xlsx' else _read_csv(path)
    entries: dict[str, dict[str, list[str | None]]] = {}
    for season, rows in sheets:
        for row in rows:
            # The first line of a province counts.
            entries.setdefault(season(row), {}).setdefault(row['Province'], [_entry(row[name]) for name in _COLUMNS])
    if not entries:
        raise DataError('the crop calendar has no line', path=path, hint='Write the dates into it.')
    return CropCalendar(entries, path, system, start_year)


def _entry(value: Any) -> str | None:
    if isinstance(value, datetime.datetime | datetime.date):
        return f'{value:%Y-%m-%d}'
    text = '' if value is None else str(value).strip()
    return None if text in ('', '-', 'nan') else text


def _read_csv(path: Path) -> list[tuple[Any, list[dict[str, Any]]]]:
    with open(path, newline='', encoding='utf-8-sig') as file:
        lines = [line for line in csv.reader(file) if any(cell.strip() for cell in line)]
    if not lines:
        raise DataError('the crop calendar is empty', path=path, hint='Write the dates into it.')
    heading = [cell.strip() for cell in lines[0]]
    _refuse_missing(['crop', 'Province', *_COLUMNS], heading, path)
    rows = [dict(zip(heading, line, strict=False)) for line in lines[1:] if line[: len(heading)] != lines[0]]
    short = next((row for row in rows if len(row) < len(heading)), None)
    if short is not None:
        raise DataError(f'a line is too short: {list(short.values())}', path=path, hint='Complete it.')
    return [(lambda row: row['crop'].strip(), rows)]


def _read_workbook(path: Path) -> list[tuple[Any, list[dict[str, Any]]]]:
    sheets = []
    workbook = open_workbook(path)
    for name in workbook.sheetnames:
        lines = [line for line in workbook[name].iter_rows(values_only=True) if any(cell is not None for cell in line)]
        if not lines:
            continue
        heading = [str(cell).strip() for cell in lines[0]]
        _refuse_missing(['Province', *_COLUMNS], heading, path)
        rows = [dict(zip(heading, line, strict=False)) for line in lines[1:]]
        sheets.append((lambda row, name=name: name, rows))
    workbook.close()
    return sheets


def open_workbook(path: str | Path) -> Any:
    """Open a workbook for reading.

    Raises:
        DataError: if it is not readable, or openpyxl is not installed.
    """
    openpyxl = import_openpyxl(path)
    try:
        return openpyxl.load_workbook(path, read_only=True, data_only=True)
    # openpyxl, zipfile and the XML parser have errors of their own for damaged files.
    except Exception as error:
        raise DataError(
            f'not a readable workbook ({type(error).__name__}: {error})', path=path, hint='Save it as .xlsx or .csv.'
        ) from error


def import_openpyxl(path: str | Path) -> Any:
    """The module openpyxl.

    Raises:
        DataError: if it is not installed; names the file that wants it.
    """
    try:
        import openpyxl
    except ImportError as error:
        raise DataError(
            'openpyxl is needed for workbooks and is not installed',
            path=path,
            hint="Install it (pip install 'mmsits[download]'), or use the CSV or GeoPackage form.",
        ) from error
    return openpyxl


def _refuse_missing(wanted: list[str], heading: list[str], path: Path) -> None:
    missing = [name for name in wanted if name not in heading]
    if missing:
        raise DataError(f'no column {missing} in the crop calendar, there are {heading}', path=path, hint='Add them.')
