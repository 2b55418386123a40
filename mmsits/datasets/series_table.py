"""`SeriesTableDataset`: series of single fields or pixels out of one table, with whatever columns it has."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mmengine.logging import print_log
from mmseg.registry import DATASETS

from .base import Sensor, resolve_season_start
from .errors import DataError
from .parcel_dataset import ParcelSeriesDataset
from .parcel_store import ArrayParcels
from .timematch_classes import palette_of

COLUMNS = dict(
    id='id', date='date', day_of_year='doy', year='year', label='label', classes='classes', values='x', series_label='y'
)
"""Names of columns (CSV, Parquet) and arrays (npz) where no others are given.

Columns: id, date or day_of_year with year, label. Arrays: values, date or day_of_year with year, series_label, classes.
"""


class SeriesTable:
    """The series of a table, all brought to the same number of dates.

    Attributes:
        path: the file.
        ids: N names.
        bands: C names.
        values: (N,T,C) float32, 0 where missing.
        days: days since 1970-01-01, (N,T) int32; a series' last day repeated beyond its end.
        exists: dates on which all bands have a value, (N,T) bool.
        labels: N texts, '' for a series without; None without labels.
        classes: class names in the order of the file; None where the file has no list.
        columns: further properties of the series by name, (N,) each.
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
    ) -> None:
        self.path, self.ids, self.bands, self.labels = path, ids, tuple(bands), labels
        self.classes, self.columns = classes, columns
        self.exists = np.isfinite(values).all(axis=2)
        self.values = np.where(self.exists[..., None], values, 0).astype(np.float32)
        self.days = days.astype(np.int32)


def read_series_table(path: str | Path, bands: Sequence[str] | None = None, **columns: str | None) -> SeriesTable:
    """Read a table of series.

    CSV and Parquet: one row for each series and date, with columns for the series' id, for the date (`date` as
    YYYY-MM-DD or YYYYMMDD, or `day_of_year` from 1 with `year`), for each band, and where known for the label and
    further properties; a column that changes within a series is none. Numpy's npz (no pickle): `values` (N,T,C) or
    (N,T), `date` or `day_of_year` (T,) or (N,T), `year` (N,) with the latter, `series_label` (N,) numbers or texts,
    `classes` (K,) their names; all other arrays of length N are properties.

    Args:
        path: .csv, .parquet or .npz.
        bands: names of the bands: columns of a table; of npz the names of its C bands. None takes all other columns
            of numbers that change in time, or value_0 … in npz.
        **columns: names of columns or arrays where they differ from `COLUMNS`; None for one that is not there.

    Returns:
        The table; series keep the order in which they first occur.

    Raises:
        DataError: if the file or a column is missing, dates cannot be read, or shapes do not go together.
    """
    path = Path(path)
    unknown = set(columns) - set(COLUMNS)
    if unknown:
        raise ValueError(f'no columns {sorted(unknown)} are known; there are {sorted(COLUMNS)}')
    names = {**COLUMNS, **columns}
    if not path.is_file():
        raise DataError('the table is missing', path=path, hint='Correct the path.')
    try:
        if path.suffix == '.npz':
            return _read_arrays(path, bands, names)
        return _read_rows(path, _read_columns(path), bands, names)
    except DataError:
        raise
    # numpy, zip and arrow have errors of their own for damaged files.
    except Exception as error:
        raise DataError(
            f'not a readable table ({type(error).__name__}: {error})', path=path, hint='Write the file again.'
        ) from error


def _read_arrays(path: Path, bands: Sequence[str] | None, names: Mapping[str, str | None]) -> SeriesTable:
    with np.load(path, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files}
    values = _column(arrays, names['values'], path)
    values = values[..., None] if values.ndim == 2 else values
    if values.ndim != 3:
        raise DataError(f'{names["values"]} must be (N,T) or (N,T,C), found {values.shape}', path=path, hint=_SHAPES)
    count, dates, channels = values.shape
    bands = tuple(bands) if bands is not None else tuple(f'value_{number}' for number in range(channels))
    if len(bands) != channels:
        raise DataError(f'{len(bands)} bands are named, the file has {channels}', path=path, hint='Name all of them.')
    classes = _texts(arrays, names['classes'])
    labels = _array_labels(arrays, names['series_label'], classes, count, path)
    days = _array_days(arrays, names, (count, dates), path)
    ids = _texts(arrays, names['id']) or [str(number) for number in range(count)]
    held = {names['values'], names['classes'], names['series_label'], names['date'], names['day_of_year']}
    others = {key: array for key, array in arrays.items() if key not in held and array.shape == (count,)}
    return SeriesTable(path, ids, bands, values, days, labels, classes, others)


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
    arrays: Mapping[str, np.ndarray], names: Mapping[str, str | None], shape: tuple[int, int], path: Path
) -> np.ndarray:
    if (dates := arrays.get(names['date'] or '')) is not None:
        days = np.array([_day(date, path) for date in dates.ravel().tolist()]).reshape(dates.shape)
    else:
        days = _column(arrays, names['day_of_year'], path).astype(np.int64)
        years = _column(arrays, names['year'], path)
        starts = np.array([_new_year(year, path) for year in years.ravel().tolist()]).reshape(years.shape)
        days = (starts[:, None] if starts.ndim == 1 else starts) + days - 1
    try:
        return np.broadcast_to(days, shape)
    except ValueError as error:
        raise DataError(f'the dates are {days.shape}, the series {shape}', path=path, hint=_SHAPES) from error


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


def _read_columns(path: Path) -> dict[str, np.ndarray]:
    """Columns of a CSV or Parquet file as numpy arrays; missing numbers are NaN."""
    if path.suffix == '.parquet':
        from pyarrow import parquet

        table = parquet.read_table(path)
    elif path.suffix == '.csv':
        from pyarrow import csv

        table = csv.read_csv(path)
    else:
        raise DataError(f'{path.suffix!r} is no table that can be read', path=path, hint='Give .csv, .parquet or .npz.')
    return {name: table.column(name).to_numpy() for name in table.column_names}


def _read_rows(
    path: Path, columns: dict[str, np.ndarray], bands: Sequence[str] | None, names: Mapping[str, str | None]
) -> SeriesTable:
    """Bring rows (series, date) to series."""
    keys = np.array([str(key) for key in _column(columns, names['id'], path).tolist()])
    if len(keys) == 0:
        raise DataError('the table has no row', path=path, hint='Write the file again.')
    days = _row_days(columns, names, path)
    _, first, series = np.unique(keys, return_index=True, return_inverse=True)
    # Numbered by their first row rather than by name.
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    series, first = rank[series], np.sort(first)
    changes = {name: _changes(column, first, series) for name, column in columns.items()}
    labels = _row_labels(columns, names['label'], changes, keys, first, path)
    held = {names[name] for name in ('id', 'date', 'day_of_year', 'year', 'label')}
    if bands is None:
        bands = [
            name
            for name, column in columns.items()
            if name not in held and column.dtype.kind in 'iuf' and changes[name].any()
        ]
    if not bands:
        raise DataError('no column of numbers changes in time', path=path, hint='Name the bands.')
    order = np.lexsort((days, series))
    _refuse_repeated(keys[order], series[order], days[order], path)
    chosen = np.stack([np.asarray(_column(columns, band, path), np.float64)[order] for band in bands], axis=1)
    values, table_days = _fill(series[order], days[order], chosen)
    others = {name: column[first] for name, column in columns.items() if name not in bands and not changes[name].any()}
    return SeriesTable(path, keys[first].tolist(), bands, values, table_days, labels, None, others)


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


def _row_days(columns: Mapping[str, np.ndarray], names: Mapping[str, str | None], path: Path) -> np.ndarray:
    if (dates := columns.get(names['date'] or '')) is not None:
        if dates.dtype.kind == 'M':
            return dates.astype('datetime64[D]').astype(np.int64)
        return np.array([_day(date, path) for date in dates.tolist()], np.int64)
    doy, year = (_column(columns, names[name], path) for name in ('day_of_year', 'year'))
    starts = {value: _new_year(value, path) for value in set(year.tolist())}
    return np.array([starts[value] for value in year.tolist()], np.int64) + doy.astype(np.int64) - 1


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

    A sample is a series of one pixel: values (T,C,1,1) float32. Dates on which a band is missing are not valid. Which
    series belong to the dataset is said by conditions on columns: `where=dict(region='Fergana', split=('train',))`.

    Args:
        data_root: folder of the table.
        table: file name in it.
        sensor: name of the sensor that the model takes.
        unit: unit of the values.
        bands: names of the bands; see :func:`read_series_table`.
        columns: names of columns where they differ from `COLUMNS`.
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
        where: Mapping[str, Any] | None = None,
        classes: Sequence[str] | None = None,
        unlisted: str = 'drop',
        **kwargs: Any,
    ) -> None:
        if unlisted not in ('drop', 'ignore'):
            raise ValueError(f"unlisted must be 'drop' or 'ignore', got {unlisted!r}")
        self.table = read_series_table(Path(data_root) / table, bands, **(columns or {}))
        self.where, self.chosen_classes, self.unlisted = dict(where or {}), classes, unlisted
        # What a table holds is known when it is read: sensor and bands are those of this dataset, not of its class.
        self.SENSOR = sensor
        self.SENSORS = {sensor: Sensor(self.table.bands, unit)}  # type: ignore[misc]
        super().__init__(data_root, sensors=(sensor,), **kwargs)

    def open_store(self) -> None:
        """Bring the table's series into a store, and find the classes."""
        offsets = np.arange(len(self.table.ids) + 1)
        self.store = ArrayParcels(self.table.values, offsets, self.table.days, self.table.exists, self.table.path)
        classes = self.chosen_classes or self.table.classes or sorted({*(self.table.labels or ())} - {''})
        if self.chosen_classes is not None:
            known = {*(self.table.classes or ()), *(self.table.labels or ())}
            unknown = [name for name in self.chosen_classes if known and name not in known]
            if unknown:
                raise ValueError(f'{self.table.path}: no class {unknown}; there are {sorted(known)}')
        self._metainfo['classes'] = tuple(classes)
        self._metainfo.setdefault('palette', [list(colour) for colour in palette_of(classes)])

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
        """Mean and standard deviation of the chosen series' observed values, per band."""
        chosen = self._condition()
        values = self.table.values[chosen][self.table.exists[chosen]].astype(np.float64)
        if len(values) < 2:
            return {}
        order = self._band_positions(self.SENSOR)
        std = values.std(axis=0, ddof=1)
        return {
            self.SENSOR: dict(mean=values.mean(axis=0)[order].tolist(), std=np.where(std > 0, std, 1.0)[order].tolist())
        }
