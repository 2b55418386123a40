"""`SeriesTableDataset`: series of single fields or pixels out of one table, with whatever columns it has."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np
from mmengine.logging import print_log
from mmseg.registry import DATASETS

from mmsits.structures import ImageSeries

from .base import Sensor, resolve_season_start
from .errors import DataError
from .parcel_dataset import ParcelSeriesDataset
from .parcel_store import ArrayParcels, ParcelStore
from .timematch_classes import palette_of
from .transforms.resampling import interpolate_series

COLUMNS = dict(
    id='id',
    date='date',
    day_of_year='doy',
    year='year',
    label='label',
    classes='classes',
    values='x',
    series_label='y',
    bands='bands',
    offset='offset',
)
"""Names of columns (CSV, Parquet) and arrays (npz) where no others are given.

Columns: id, date or day_of_year with year, label. Arrays: values, date or day_of_year with year, series_label, classes,
bands (names), offset (where each series of a ragged table begins).
"""

Missing = Literal['mask', 'interpolate']
"""What becomes of a date on which a band has no value: it is not valid, or the band is interpolated."""


SERIES_AT_ONCE = 4096
"""How many series are interpolated together, which bounds the memory."""


class SeriesTable:
    """The series of a table, all brought to the same number of dates.

    Attributes:
        path: the file.
        ids: N names.
        bands: C names.
        values: (N,T,C) float32, 0 where a date does not exist, NaN where the series has no value of a band at all.
        days: days since 1970-01-01, (N,T) int32; a series' last day repeated beyond its end.
        exists: (N,T) bool. Dates on which all bands have a value; if missing ones are interpolated, all dates of the
            file on which any band has one, then.
        labels: N texts, '' for a series without; None without labels.
        classes: class names in the order of the file; None where the file has no list.
        columns: further properties of the series by name, (N,) each.

    Args:
        values: NaN where missing.
        lengths: number of dates of each series, (N,); None if all have T.
        missing: see `Missing`.
    """

    def __init__(
        self,
        path: Path,
        ids: list[str],
        bands: Sequence[str],
        values: np.ndarray,
        days: np.ndarray,
        labels: list[str] | None,
        classes: list[str] | None,
        columns: dict[str, np.ndarray],
        lengths: np.ndarray | None = None,
        missing: Missing = 'mask',
    ) -> None:
        self.path, self.ids, self.bands, self.labels = path, ids, tuple(bands), labels
        self.classes, self.columns = classes, columns
        if missing == 'interpolate':
            inside = np.arange(days.shape[1]) < (days.shape[1] if lengths is None else lengths[:, None])
            values = interpolate_missing(values, days)
            self.exists = np.isfinite(values).any(axis=2) & inside
        else:
            self.exists = np.isfinite(values).all(axis=2)
        self.values = np.where(self.exists[..., None], values, 0).astype(np.float32)
        self.days = days.astype(np.int32)


def interpolate_missing(values: np.ndarray, days: np.ndarray) -> np.ndarray:
    """Fill the missing values of each series and band linearly in time; before the first and after the last value, that
    value is held.

    Args:
        values: (N,T,C) floats, NaN where missing.
        days: (N,T), ascending.

    Returns:
        (N,T,C); still NaN where a series has no value of a band at all.
    """
    filled = values.copy()
    known = np.isfinite(values)
    with_gaps = np.flatnonzero((known.any(axis=1) & ~known.all(axis=1)).any(axis=1))
    for start in range(0, len(with_gaps), SERIES_AT_ONCE):
        part = with_gaps[start : start + SERIES_AT_ONCE]
        # Bands have gaps of their own: each takes the place of a pixel.
        series = ImageSeries(values[part][:, :, None, :, None], days[part], known[part][..., None])
        between, _, seen = interpolate_series(series, days[part])
        gaps = seen[..., 0] & ~known[part]
        filled[part] = np.where(gaps, between[:, :, 0, :, 0], values[part])
    return filled


class _Reading(NamedTuple):
    """How a table is to be read; see `read_series_table`."""

    names: Mapping[str, str | None]
    bands: tuple[str, ...] | None
    year: int | None
    regular_dates: Mapping[str, Any] | None
    missing_value: float | None
    missing: Missing


def read_series_table(
    path: str | Path,
    bands: Sequence[str] | None = None,
    *,
    year: int | None = None,
    regular_dates: Mapping[str, Any] | None = None,
    missing_value: float | None = None,
    missing: Missing = 'mask',
    **columns: str | None,
) -> SeriesTable:
    """Read a table of series.

    CSV and Parquet: one row for each series and date, with columns for the series' id, for the date (`date` as
    YYYY-MM-DD or YYYYMMDD, or `day_of_year` from 1 with `year`), for each band, and where known for the label and
    further properties; a column that changes within a series is none. Numpy's npz (no pickle): `values` (N,T,C) or
    (N,T), `date` or `day_of_year` (T,) or (N,T), `year` (N,) with the latter, `series_label` (N,) numbers or texts,
    `classes` (K,) their names, `bands` (C,) names; all other arrays of length N are properties. Series of different
    lengths stand one behind the other: `values` (P,C) or (P,), dates (P,), and `offset` (N+1,), series i being rows
    offset[i] to offset[i+1].

    Args:
        path: .csv, .parquet or .npz.
        bands: names of the bands: columns of a table; of npz which of the bands that it names, or, where it names none,
            the names of all C. None takes all other columns of numbers that change in time, or all bands of npz,
            which are called value_0 … where it names none.
        year: of all series, where the table has days of the year but no year.
        regular_dates: `dict(start='2006-01-01', step=8)`, for npz without dates: the first date, and days from each to
            the next.
        missing_value: number that stands for a missing value, beside NaN.
        missing: see `Missing`.
        **columns: names of columns or arrays where they differ from `COLUMNS`; None for one that is not there.

    Returns:
        The table; series keep the order in which they first occur.

    Raises:
        DataError: if the file, a column or a band is missing, dates cannot be read, or shapes do not go together.
        ValueError: if an option is none.
    """
    path = Path(path)
    if missing not in get_args(Missing):
        raise ValueError(f'missing must be one of {get_args(Missing)}, got {missing!r}')
    unknown = set(columns) - set(COLUMNS)
    if unknown:
        raise ValueError(f'no columns {sorted(unknown)} are known; there are {sorted(COLUMNS)}')
    reading = _Reading(
        {**COLUMNS, **columns},
        None if bands is None else tuple(bands),
        year,
        regular_dates,
        missing_value,
        missing,
    )
    if not path.is_file():
        raise DataError('the table is missing', path=path, hint='Correct the path.')
    try:
        if path.suffix == '.npz':
            return _read_arrays(path, reading)
        return _read_rows(path, _read_columns(path, [reading.names['id'], reading.names['date']]), reading)
    except DataError:
        raise
    # numpy, zip and arrow have errors of their own for damaged files.
    except Exception as error:
        raise DataError(
            f'not a readable table ({type(error).__name__}: {error})', path=path, hint='Write the file again.'
        ) from error


def _read_arrays(path: Path, reading: _Reading) -> SeriesTable:
    names = reading.names
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    values = _with_gaps(_column(arrays, names['values'], path), reading.missing_value)
    offset = arrays.get(names['offset'] or '')
    ragged = offset is not None
    values = values[..., None] if values.ndim == (1 if ragged else 2) else values
    if values.ndim != (2 if ragged else 3):
        expected = '(P,) or (P,C) where there are offsets' if ragged else '(N,T) or (N,T,C)'
        raise DataError(f'{names["values"]} must be {expected}, found {values.shape}', path=path, hint=_SHAPES)
    values, bands = _choose_bands(values, _texts(arrays, names['bands']), reading.bands, path)
    lengths = None
    if offset is not None:
        lengths = _ragged_lengths(offset, len(values), path)
        days = _array_days(arrays, reading, (len(values),), path, lengths)
        series = np.repeat(np.arange(len(lengths)), lengths)
        order = np.lexsort((days, series))
        _refuse_repeated(series, series[order], days[order], path)
        values, days = _fill(series, days[order], values[order])
    else:
        values, days = _in_order(values, _array_days(arrays, reading, values.shape[:2], path), path)
    count = len(values)
    classes = _texts(arrays, names['classes'])
    labels = _array_labels(arrays, names['series_label'], classes, count, path)
    ids = _texts(arrays, names['id']) or [str(number) for number in range(count)]
    if len(ids) != count:
        raise DataError(f'{len(ids)} ids for {count} series', path=path, hint=_SHAPES)
    held = {names[name] for name in ('values', 'classes', 'series_label', 'date', 'day_of_year', 'bands', 'offset')}
    others = {key: array for key, array in arrays.items() if key not in held and array.shape == (count,)}
    return SeriesTable(path, ids, bands, values, days, labels, classes, others, lengths, reading.missing)


def _in_order(values: np.ndarray, days: np.ndarray, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Values (N,T,C) and days (N,T) of each series in the order of time; a day may come again only without a value."""
    if (np.diff(days, axis=1) < 0).any():
        order = np.argsort(days, axis=1, kind='stable')
        values, days = np.take_along_axis(values, order[..., None], 1), np.take_along_axis(days, order, 1)
    known = np.isfinite(values).any(axis=2)
    series = np.nonzero(known)[0]
    _refuse_repeated(series, series, days[known], path)
    return values, days


def _with_gaps(values: np.ndarray, missing_value: float | None) -> np.ndarray:
    """Values as floats, NaN for the number that stands for a missing one."""
    floats = values.astype(np.float64 if values.dtype == np.float64 else np.float32)
    return floats if missing_value is None else np.where(values == missing_value, np.nan, floats)


def _choose_bands(
    values: np.ndarray, held: list[str] | None, wanted: tuple[str, ...] | None, path: Path
) -> tuple[np.ndarray, tuple[str, ...]]:
    """The wanted bands of (..., C) in their order, and their names."""
    channels = values.shape[-1]
    if held is None:
        names = wanted if wanted is not None else tuple(f'value_{number}' for number in range(channels))
        if len(names) != channels:
            raise DataError(f'{len(names)} bands are named, the file has {channels}', path=path, hint='Name all bands.')
        return values, names
    if len(held) != channels:
        raise DataError(f'{len(held)} names for {channels} bands', path=path, hint=_SHAPES)
    if wanted is None or wanted == tuple(held):
        return values, tuple(held)
    absent = [band for band in wanted if band not in held]
    if absent:
        raise DataError(f'there is no band {absent}; there are {held}', path=path, hint='Correct bands, or the table.')
    return values[..., [held.index(band) for band in wanted]], wanted


def _ragged_lengths(offset: np.ndarray, rows: int, path: Path) -> np.ndarray:
    """Number of dates of each series, from where they begin (N+1,)."""
    lengths = np.diff(offset.astype(np.int64)) if offset.ndim == 1 else np.zeros(0, np.int64)
    if not len(lengths) or offset[0] != 0 or offset[-1] != rows or (lengths < 1).any():
        raise DataError(
            f'offset must rise from 0 to {rows}, the number of rows, with one date at least in each series',
            path=path,
            hint=_SHAPES,
        )
    return lengths


def _texts(arrays: Mapping[str, np.ndarray], name: str | None) -> list[str] | None:
    """An array as texts; None if it is not there."""
    return None if name is None or name not in arrays else [str(value) for value in arrays[name].tolist()]


def _array_labels(
    arrays: Mapping[str, np.ndarray], name: str | None, classes: list[str] | None, count: int, path: Path
) -> list[str] | None:
    if name is None or name not in arrays:
        return None
    labels = arrays[name]
    if labels.shape != (count,):
        raise DataError(f'{name} must hold {count} labels, found {labels.shape}', path=path, hint=_SHAPES)
    if labels.dtype.kind not in 'iu' or classes is None:
        return _label_texts(labels)
    outside = np.flatnonzero((labels < 0) | (labels >= len(classes)))
    if len(outside):
        raise DataError(
            f'label {labels[outside[0]]} is none of the {len(classes)} classes; {len(outside)} such labels',
            path=path,
            sample_id=str(outside[0]),
            hint='Correct the labels or the list of classes.',
        )
    return [classes[label] for label in labels]


def _array_days(
    arrays: Mapping[str, np.ndarray],
    reading: _Reading,
    shape: tuple[int, ...],
    path: Path,
    lengths: np.ndarray | None = None,
) -> np.ndarray:
    """Days of series (N,T), or of the rows (P,) of ragged ones, which have `lengths`."""
    names = reading.names
    if (dates := arrays.get(names['date'] or '')) is not None:
        texts, position = np.unique(dates, return_inverse=True)
        days = np.array([_day(date, path) for date in texts.tolist()])[position].reshape(dates.shape)
    elif names['day_of_year'] in arrays:
        days = arrays[names['day_of_year'] or ''].astype(np.int64)
        starts = _new_years(arrays, reading, path)
        if lengths is not None and starts.shape == lengths.shape:
            starts = np.repeat(starts, lengths)
        elif lengths is None and starts.ndim == 1:
            starts = starts[:, None]
        days = starts + days - 1
    else:
        days = _regular_days(reading, shape, path, lengths)
    try:
        return np.broadcast_to(days, shape)
    except ValueError as error:
        raise DataError(f'the dates are {days.shape}, the series {shape}', path=path, hint=_SHAPES) from error


def _new_years(arrays: Mapping[str, np.ndarray], reading: _Reading, path: Path) -> np.ndarray:
    """Day number of 1 January of the years that the table names, or of the one year that is given."""
    if reading.names['year'] not in arrays and reading.year is not None:
        return np.array(_new_year(reading.year, path))
    years = _column(arrays, reading.names['year'], path)
    return np.array([_new_year(year, path) for year in years.ravel().tolist()]).reshape(years.shape)


def _regular_days(reading: _Reading, shape: tuple[int, ...], path: Path, lengths: np.ndarray | None) -> np.ndarray:
    """Days at the regular distance that is given, (T,), or (P,) for the rows of ragged series."""
    if reading.regular_dates is None:
        names = reading.names
        raise DataError(
            f'there is no array {names["date"]!r} and no {names["day_of_year"]!r}',
            path=path,
            hint="Say how they are called (columns=dict(date=…)), or regular_dates=dict(start='2006-01-01', step=8) "
            'if the dates are not known.',
        )
    number = np.arange(shape[-1]) if lengths is None else np.concatenate([np.arange(length) for length in lengths])
    return _day(reading.regular_dates['start'], path) + int(reading.regular_dates['step']) * number


_SHAPES = 'See read_series_table for what the file must hold.'


def _column(columns: Mapping[str, Any], name: str | None, path: Path) -> Any:
    if name is None or name not in columns:
        raise DataError(
            f'there is no column {name!r}; there are {sorted(columns)}',
            path=path,
            hint='Say how columns are called: columns=dict(date=…, label=…).',
        )
    return columns[name]


def _day(date: Any, path: Path) -> int:
    text = str(date).strip()[:10]
    text = f'{text[:4]}-{text[4:6]}-{text[6:]}' if len(text) == 8 and text.isdigit() else text
    try:
        day = np.datetime64(text, 'D')
        if len(text) != 10 or np.isnat(day):
            raise ValueError(text)
    except ValueError as error:
        raise DataError(f'{date!r} is no date; YYYY-MM-DD is expected', path=path, hint='Correct the table.') from error
    return int(day.astype(np.int64))


def _new_year(year: Any, path: Path) -> int:
    return _day(f'{int(year):04d}-01-01', path)


def _read_columns(path: Path, as_written: Sequence[str | None]) -> dict[str, np.ndarray]:
    """Columns of a CSV or Parquet file as numpy arrays; missing numbers are NaN.

    Args:
        path: the file.
        as_written: columns of a CSV file that stay texts: '007' is not 7, and a date with a time zone is the day that
            stands there rather than that of Greenwich.
    """
    if path.suffix == '.parquet':
        from pyarrow import parquet

        table = parquet.read_table(path)
    elif path.suffix == '.csv':
        from pyarrow import csv, string

        kinds = {name: string() for name in as_written if name is not None}
        table = csv.read_csv(path, convert_options=csv.ConvertOptions(column_types=kinds))
    else:
        raise DataError(f'{path.suffix!r} is no table that can be read', path=path, hint='Give .csv, .parquet or .npz.')
    return {name: _local(table.column(name)).to_numpy() for name in table.column_names}


def _local(column: Any) -> Any:
    """A column; times with a zone as the clock of that zone shows them."""
    from pyarrow import compute, types

    zoned = types.is_timestamp(column.type) and column.type.tz is not None
    return compute.local_timestamp(column) if zoned else column


def _read_rows(path: Path, columns: dict[str, np.ndarray], reading: _Reading) -> SeriesTable:
    """Bring rows (series, date) to series."""
    names, bands = reading.names, reading.bands
    ids = _column(columns, names['id'], path).tolist()
    nameless = [row for row, key in enumerate(ids) if key is None or key != key or key == '']
    if nameless:
        raise DataError(
            f'{len(nameless)} rows have no entry in {names["id"]!r}, the first is row {nameless[0]} (from 0)',
            path=path,
            hint='Say which series they belong to, or leave them out.',
        )
    keys = np.array([str(key) for key in ids])
    if len(keys) == 0:
        raise DataError('the table has no row', path=path, hint='Write the file again.')
    days = _row_days(columns, reading, path)
    _, first, series = np.unique(keys, return_index=True, return_inverse=True)
    # Numbered by their first row rather than by name.
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    series, first = rank[series], np.sort(first)
    changes = {name: _changes(column, first, series) for name, column in columns.items()}
    labels = _row_labels(columns, names['label'], changes, keys, first, path)
    held = {names[name] for name in ('id', 'date', 'day_of_year', 'year', 'label')}
    if bands is None:
        bands = tuple(
            name
            for name, column in columns.items()
            if name not in held and column.dtype.kind in 'iuf' and changes[name].any()
        )
    if not bands:
        raise DataError('no column of numbers changes in time', path=path, hint='Name the bands.')
    order = np.lexsort((days, series))
    _refuse_repeated(keys[order], series[order], days[order], path)
    chosen = np.stack([np.asarray(_column(columns, band, path), np.float64)[order] for band in bands], axis=1)
    chosen = _with_gaps(chosen, reading.missing_value)
    values, table_days = _fill(series[order], days[order], chosen)
    others = {name: column[first] for name, column in columns.items() if name not in bands and not changes[name].any()}
    lengths = np.bincount(series)
    return SeriesTable(
        path, keys[first].tolist(), bands, values, table_days, labels, None, others, lengths, reading.missing
    )


def _changes(column: np.ndarray, first: np.ndarray, series: np.ndarray) -> np.ndarray:
    """Rows, as a mask, in which a column differs from the first row of the same series."""
    before = column[first][series]
    differs = column != before
    return differs & (column == column) if column.dtype.kind == 'f' else differs


def _row_labels(
    columns: Mapping[str, np.ndarray],
    name: str | None,
    changes: Mapping[str, np.ndarray],
    keys: np.ndarray,
    first: np.ndarray,
    path: Path,
) -> list[str] | None:
    if name is None or name not in columns:
        return None
    if changes[name].any():
        row = int(np.flatnonzero(changes[name])[0])
        raise DataError(
            f'the label {columns[name][row]!r} is not that of the rows before; {changes[name].sum()} such rows',
            path=path,
            sample_id=str(keys[row]),
            hint='A series has one label: divide it, or correct the table.',
        )
    return _label_texts(columns[name][first])


def _label_texts(labels: np.ndarray) -> list[str]:
    """Labels as texts, '' where there is none; whole numbers without a decimal point, also where a gap made the column
    one of floats."""
    whole = labels.dtype.kind == 'f' and all(value.is_integer() for value in labels[np.isfinite(labels)].tolist())
    return [
        '' if label is None or label != label else str(int(label)) if whole else str(label).strip()
        for label in labels.tolist()
    ]


def _fill(series: np.ndarray, days: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows sorted by series and day -> values (N,T,C), NaN beyond a series' end, and days (N,T), its last repeated."""
    counts = np.bincount(series)
    starts = np.cumsum(counts) - counts
    position = np.arange(len(series)) - np.repeat(starts, counts)
    values = np.full((len(counts), counts.max(), rows.shape[1]), np.nan)
    values[series, position] = rows
    table_days = np.repeat(days[starts + counts - 1][:, None], counts.max(), axis=1)
    table_days[series, position] = days
    return values, table_days


def _row_days(columns: Mapping[str, np.ndarray], reading: _Reading, path: Path) -> np.ndarray:
    names = reading.names
    if (dates := columns.get(names['date'] or '')) is not None:
        if dates.dtype.kind == 'M':
            _refuse_missing(np.isnat(dates), names['date'], path)
            return dates.astype('datetime64[D]').astype(np.int64)
        days: dict[Any, int] = {date: _day(date, path) for date in set(dates.tolist())}
        return np.array([days[date] for date in dates.tolist()], np.int64)
    doy = _column(columns, names['day_of_year'], path)
    if doy.dtype.kind == 'f':
        _refuse_missing(~np.isfinite(doy), names['day_of_year'], path)
    if names['year'] not in columns and reading.year is not None:
        return _new_year(reading.year, path) + doy.astype(np.int64) - 1
    year = _column(columns, names['year'], path)
    starts = {value: _new_year(value, path) for value in set(year.tolist())}
    return np.array([starts[value] for value in year.tolist()], np.int64) + doy.astype(np.int64) - 1


def _refuse_missing(missing: np.ndarray, name: str | None, path: Path) -> None:
    if missing.any():
        raise DataError(
            f'{missing.sum()} rows have no entry in {name!r}, the first is row {int(missing.argmax())} (from 0)',
            path=path,
            hint='Give each row its date, or leave it out.',
        )


def _refuse_repeated(keys: np.ndarray, series: np.ndarray, days: np.ndarray, path: Path) -> None:
    repeated = np.flatnonzero((np.diff(series) == 0) & (np.diff(days) == 0))
    if len(repeated):
        raise DataError(
            f'the date occurs twice in a series; {len(repeated)} such pairs in the table',
            path=path,
            sample_id=str(keys[repeated[0]]),
            day=int(days[repeated[0]]),
            hint='Merge the rows of a day.',
        )


@DATASETS.register_module()
class SeriesTableDataset(ParcelSeriesDataset):
    """Series of single fields or pixels out of one table (npz, Parquet or CSV; see :func:`read_series_table`).

    A sample is a series of one pixel: values (T,C,1,1) float32. Dates on which a band is missing are not valid, or
    (`missing='interpolate'`) the band is interpolated; a band that a series lacks altogether is NaN then, which
    `SeriesDataPreprocessor(nan_is_mean=True)` takes for the band's mean. Which series belong to the dataset is said by
    conditions on columns: `where=dict(region='Fergana', split=('train',))`.

    Args:
        data_root: folder of the table.
        table: file name in it.
        sensor: name of the sensor that the model takes.
        unit: unit of the values.
        bands: names of the bands; see :func:`read_series_table`.
        columns: names of columns where they differ from `COLUMNS`.
        year, regular_dates, missing_value, missing: see :func:`read_series_table`.
        static: further sensors made of columns with one number for each series: `dict(terrain=('elevation',
            'slope'))`.
        where: column to the value, or values, that a series must have.
        classes: classes that are told apart, in their order; None for those of the file (a table without a list: all
            labels that occur in it, in alphabetical order), so that all parts of a table have the same.
        unlisted: what becomes of series of other classes: 'drop' or 'ignore' (label 255).
        season_start: as in :class:`SeriesDataset`.
        with_labels: see :class:`ParcelSeriesDataset`.
        **kwargs: see :class:`SeriesDataset`.

    Raises:
        DataError: if the table is damaged, or no series is left.
        ValueError: if a column or class does not exist.
    """

    SENSORS: ClassVar[dict[str, Sensor]] = {}

    def __init__(
        self,
        data_root: str = '',
        table: str = '',
        sensor: str = 's2',
        unit: str = '1',
        bands: Sequence[str] | None = None,
        columns: Mapping[str, str | None] | None = None,
        year: int | None = None,
        regular_dates: Mapping[str, Any] | None = None,
        missing_value: float | None = None,
        missing: Missing = 'mask',
        static: Mapping[str, Sequence[str]] | None = None,
        where: Mapping[str, Any] | None = None,
        classes: Sequence[str] | None = None,
        unlisted: str = 'drop',
        **kwargs: Any,
    ) -> None:
        if unlisted not in ('drop', 'ignore'):
            raise ValueError(f"unlisted must be 'drop' or 'ignore', got {unlisted!r}")
        self.table = read_series_table(
            Path(data_root) / table,
            bands,
            year=year,
            regular_dates=regular_dates,
            missing_value=missing_value,
            missing=missing,
            **(columns or {}),
        )
        self.where, self.chosen_classes, self.unlisted = dict(where or {}), classes, unlisted
        # What a table holds is known when it is read: sensor and bands are those of this dataset, not of its class.
        self.SENSOR = sensor
        columns_of = {name: tuple(held) for name, held in (static or {}).items()}
        self.SENSORS = {sensor: Sensor(self.table.bands, unit)}  # type: ignore[misc]
        self.SENSORS.update({name: Sensor(held, '1') for name, held in columns_of.items()})
        self._static = {name: self._numbers(held) for name, held in columns_of.items()}
        super().__init__(data_root, sensors=(sensor, *columns_of), **kwargs)

    def open_stores(self) -> dict[str, ParcelStore]:
        """Bring the table's series into a store, and find the classes."""
        offsets = np.arange(len(self.table.ids) + 1)
        store = ArrayParcels(self.table.values, offsets, self.table.days, self.table.exists, self.table.path)
        classes = self.chosen_classes or self.table.classes or sorted({*(self.table.labels or ())} - {''})
        if self.chosen_classes is not None:
            known = {*(self.table.classes or ()), *(self.table.labels or ())}
            unknown = [name for name in self.chosen_classes if known and name not in known]
            if unknown:
                raise ValueError(f'{self.table.path}: no class {unknown}; there are {sorted(known)}')
        self._metainfo['classes'] = tuple(classes)
        self._metainfo.setdefault('palette', [list(colour) for colour in palette_of(classes)])
        return {self.SENSOR: store}

    def _numbers(self, names: Sequence[str]) -> np.ndarray:
        """Columns of numbers side by side, (N,C) float32."""
        columns = [_column(self.table.columns, name, self.table.path) for name in names]
        texts = [name for name, column in zip(names, columns, strict=True) if column.dtype.kind not in 'fiub']
        if texts:
            raise DataError(f'columns {texts} hold no numbers', path=self.table.path, hint='Choose others for static.')
        return np.stack(columns, axis=1).astype(np.float32)

    def static_values(self, sensor: str, parcels: np.ndarray) -> np.ndarray:
        """See :class:`ParcelSeriesDataset`."""
        return self._static[sensor][parcels]

    def load_data_list(self) -> list[dict]:
        """Entries of the chosen series, in the order of the table."""
        table, classes = self.table, list(self._metainfo['classes'])
        chosen = np.flatnonzero(self._condition())
        labels = [None if table.labels is None else table.labels[series] for series in chosen]
        entries, dropped = [], Counter()  # type: ignore[var-annotated]
        for series, label in zip(chosen, labels, strict=True):
            # A series without a label has label 255 rather than a class of its own.
            if label and label not in classes:
                dropped[label] += 1
                if self.unlisted == 'drop':
                    continue
            entries.append(
                dict(
                    sample_id=table.ids[series],
                    season_start=resolve_season_start(self.season_start, table.days[series]),
                    parcel=int(series),
                    label=classes.index(label) if self.with_labels and label in classes else None,
                )
            )
        self._report(dropped)
        if not entries:
            raise DataError(
                f'no series is left of {len(table.ids)} (where={self.where}, classes={classes})',
                path=table.path,
                hint='Loosen the conditions.',
            )
        return entries

    def _report(self, others: Counter) -> None:
        if not others:
            return
        fate = 'left out' if self.unlisted == 'drop' else 'neither trained nor scored'
        listed = ', '.join(f'{name} ({count})' for name, count in others.most_common())
        print_log(f'{self.table.path.name}: series of other classes are {fate}: {listed}', 'current', logging.INFO)

    def _condition(self) -> np.ndarray:
        """Which series fulfil `where`, (N,) bool."""
        fulfilled = np.ones(len(self.table.ids), bool)
        for name, wanted in self.where.items():
            if name not in self.table.columns:
                raise ValueError(f'{self.table.path}: no column {name!r}; there are {sorted(self.table.columns)}')
            values = [wanted] if isinstance(wanted, str) or not isinstance(wanted, Sequence) else list(wanted)
            held = self.table.columns[name]
            fulfilled &= np.isin(held.astype(str), [str(value) for value in values])
        return fulfilled

    def load_statistics(self) -> dict[str, dict[str, list[float]]]:
        """Mean and standard deviation of the observed values of the dataset's own series, per band."""
        # Not of all that fulfil the conditions: `indices` may leave some out, to be held against the model.
        chosen = np.array([self.get_data_info(index)['parcel'] for index in range(len(self))], np.int64)
        tables = {self.SENSOR: self.table.values[chosen][self.table.exists[chosen]]}
        tables |= {sensor: values[chosen] for sensor, values in self._static.items()}
        statistics = {}
        for sensor, values in tables.items():
            # A band without any value, or of one constant, has no spread to divide by.
            if (np.isfinite(values).sum(axis=0) < 2).any():
                continue
            order, values = self._band_positions(sensor), values.astype(np.float64)
            mean, std = np.nanmean(values, axis=0), np.nanstd(values, axis=0, ddof=1)
            statistics[sensor] = dict(mean=mean[order].tolist(), std=np.where(std > 0, std, 1.0)[order].tolist())
        return statistics
