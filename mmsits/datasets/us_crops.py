"""`USCropsDataset`: Sentinel-2 series of single pixels in the United States with labels of the Cropland Data Layer, in
the layout of SITS-MoCo (Xu et al., ISPRS J. 2024, doi 10.1016/j.isprsjprs.2023.12.005)."""

from __future__ import annotations

import csv
import datetime
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from mmseg.registry import DATASETS

from .base import Sensor, day_number, resolve_season_start
from .errors import DataError
from .object_arrays import load_object_array
from .parcel_dataset import ParcelSeriesDataset
from .parcel_store import ParcelStore
from .ragged_series import RaggedSeries

BANDS = ('B02', 'B03', 'B04', 'B05', 'B06', 'B07', 'B08', 'B8A', 'B11', 'B12')
SPLITS = {'train': 'Train', 'valid': 'Valid', 'eval': 'Eval', 'unlabelled': 'Unsupervised'}
"""Splits, and how the names of their arrays begin; 'eval' is the test set."""
REGIONS = ('Adams', 'Coahoma', 'Garfield', 'Harvey', 'Haskell', 'Randolph')

CLASSES = (
    *('Grass/Pasture', 'Soybeans', 'Corn', 'Winter Wheat', 'Spring Wheat', 'Cotton', 'Woody Wetlands'),
    *('Evergreen Forest', 'Shrubland', 'Fallow/Idle Cropland', 'Canola', 'Sunflower', 'Deciduous Forest'),
    *(
        'Dbl Crop WinWht/Soybeans',
        'Alfalfa',
        'Rice',
        'Other Hay/Non Alfalfa',
        'Sorghum',
        'Peas',
        'Durum Wheat',
        'Other',
    ),
)
PALETTE = (
    *((233, 255, 190), (38, 115, 0), (255, 212, 0), (168, 112, 0), (217, 181, 108), (255, 38, 38), (128, 179, 179)),
    *((149, 206, 147), (199, 215, 158), (191, 191, 122), (209, 255, 0), (255, 255, 0), (110, 170, 108)),
    *((115, 115, 0), (255, 168, 227), (0, 169, 230), (165, 245, 141), (255, 158, 15), (85, 255, 0), (138, 100, 83)),
    (120, 120, 120),
)
"""Colours of the Cropland Data Layer; where it has one colour for two classes, the second is darker."""

MEAN = (1470.0, 1690.0, 1860.0, 2210.0, 2730.0, 2970.0, 3080.0, 3160.0, 2560.0, 1880.0)
"""Mean of each band as the authors normalise, reflectance × 10000."""
STD = (2270.0, 2190.0, 2220.0, 2200.0, 2000.0, 1930.0, 1920.0, 1820.0, 1230.0, 1060.0)
"""Standard deviation of each band likewise."""


class USCropsSeries(NamedTuple):
    """The series of one split and year.

    Attributes:
        values: (P,10), reflectance × 10000, the dates of all series one behind the other.
        day_of_year: (P,) int16, 1 to 366, ascending within a series.
        offset: where each series begins, and the end of the last: (N+1,).
        ids: N names.
        labels: (N,) int64; None for unlabelled ones.
        regions: N names of sites, '' where it is not known.
        path: the file or folder.
    """

    values: np.ndarray
    day_of_year: np.ndarray
    offset: np.ndarray
    ids: list[str]
    labels: np.ndarray | None
    regions: list[str]
    path: Path


def read_us_crops(root: str | Path, year: int, split: str, array: str | None = None) -> USCropsSeries:
    """Read a split: the packed file `<year>/packed/<split>.npz` where there is one, else the authors' array in
    `<year>/npy`, else one CSV file for each pixel.

    Args:
        root: folder of the years.
        year: of the acquisitions.
        split: key of `SPLITS`.
        array: name of the array in `<year>/npy`; None for the only one that belongs to the split.

    Raises:
        DataError: if files are missing, damaged or contradict each other, or series are empty, unordered or not finite.
        ValueError: if the split is unknown.
    """
    packed = Path(root) / str(year) / 'packed' / f'{split}.npz'
    if array is None and packed.is_file():
        return read_packed(packed)
    return read_published(root, year, split, array)


def read_published(root: str | Path, year: int, split: str, array: str | None = None) -> USCropsSeries:
    """Read a split as the authors wrote it, packed or not; see `read_us_crops`."""
    if split not in SPLITS:
        raise ValueError(f'split={split!r}: expected one of {sorted(SPLITS)}')
    folder = Path(root) / str(year)
    rows = [] if split == 'unlabelled' else _read_list(folder / f'{split}.csv')
    path = _find_array(folder, split, array)
    if path is not None:
        series, labels = _read_array(path, labelled=split != 'unlabelled')
    elif split == 'unlabelled':
        paths = sorted((folder / 'Unsupervised').glob('*.csv'))
        rows = [dict(id=file.stem) for file in paths]
        series, labels, path = [_read_pixel(file) for file in paths], None, folder / 'Unsupervised'
    else:
        series = [_read_pixel(folder / row['region'] / f'{row["id"]}.csv') for row in rows]
        labels, path = None, folder
    if rows and len(rows) != len(series):
        raise DataError(
            f'the list has {len(rows)} series, the array {len(series)}',
            path=path,
            hint=f'Use the array that belongs to {split}.csv, by array=…, or remove it: series are then read from CSV.',
        )
    if not series:
        raise DataError('there is no series', path=folder, hint='Complete the download, or choose another split.')
    ids = [row['id'] for row in rows] or [str(number) for number in range(len(series))]
    listed = np.array([_class_of(row, folder / f'{split}.csv') for row in rows]) if split != 'unlabelled' else None
    _refuse_other_labels(listed, labels, ids, path)
    return _join(series, ids, listed, [row.get('region', '') for row in rows] or [''] * len(series), path)


def pack_us_crops(series: USCropsSeries) -> bytes:
    """Content of a file (.npz) that holds a split without pickle: `values` (P,10), `day_of_year` (P,), `offset` (N+1,),
    `ids`, `regions` and, where there are, `labels`."""
    arrays: dict[str, np.ndarray] = dict(
        values=series.values,
        day_of_year=series.day_of_year,
        offset=series.offset,
        ids=np.array(series.ids),
        regions=np.array(series.regions),
    )
    if series.labels is not None:
        arrays['labels'] = series.labels
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def read_packed(path: str | Path) -> USCropsSeries:
    """Read what `pack_us_crops` wrote.

    Raises:
        DataError: if the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        values, days, offset = arrays['values'], arrays['day_of_year'], arrays['offset']
        if offset[-1] != len(values) or len(days) != len(values) or len(arrays['ids']) != len(offset) - 1:
            raise ValueError('arrays of lengths that do not go together')
        ids, regions = arrays['ids'].tolist(), arrays['regions'].tolist()
    except Exception as error:
        raise DataError(
            f'not a readable packed split ({type(error).__name__}: {error})', path=path, hint='Pack the split again.'
        ) from error
    return USCropsSeries(values, days, offset, ids, arrays.get('labels'), regions, Path(path))


def _read_list(path: Path) -> list[dict[str, str]]:
    """Rows of a sample list, without those of no date."""
    try:
        with open(path, encoding='utf-8-sig', newline='') as file:
            rows = list(csv.DictReader(file))
    except FileNotFoundError as error:
        raise DataError(
            'the list of samples is missing', path=path, hint='Correct data_root, year or split.'
        ) from error
    absent = {'id', 'classid', 'region', 'sequencelength'} - set(rows[0] if rows else ())
    if absent:
        raise DataError(f'the list has no column {sorted(absent)}', path=path, hint='Get the file from its authors.')
    return [row for row in rows if _length_of(row, path) > 0]


def _length_of(row: dict[str, str], path: Path) -> int:
    try:
        # Tables that went through other programs have 52.0 there.
        return int(float(row['sequencelength']))
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f'sequencelength {row["sequencelength"]!r} is no number',
            path=path,
            sample_id=row['id'],
            hint='Write the number of dates, or get the file from its authors.',
        ) from error


def _class_of(row: dict[str, str], path: Path) -> int:
    text = (row['classid'] or '').strip()
    label = int(text) if text.lstrip('-').isdigit() else -1
    if not 0 <= label < len(CLASSES):
        raise DataError(
            f'class {row["classid"]!r} is none of 0 to {len(CLASSES) - 1}',
            path=path,
            sample_id=row['id'],
            hint=f'Map it to one of the classes; {len(CLASSES) - 1} is {CLASSES[-1]!r}.',
        )
    return label


def _find_array(folder: Path, split: str, name: str | None) -> Path | None:
    if name is not None:
        return folder / 'npy' / name
    found = sorted((folder / 'npy').glob(f'{SPLITS[split]}_*.npy'))
    if len(found) > 1:
        raise DataError(
            f'there are {len(found)} arrays of the split {split!r}: {", ".join(path.name for path in found)}',
            path=folder / 'npy',
            hint='Choose one by array=….',
        )
    return found[0] if found else None


def _read_array(path: Path, labelled: bool) -> tuple[list[np.ndarray], np.ndarray | None]:
    array = load_object_array(path)
    if array.ndim != (2 if labelled else 1) or (labelled and len(array) != 2):
        expected = 'series and classes, (2, N)' if labelled else 'series, (N,)'
        raise DataError(f'{expected} are expected, found {array.shape}', path=path, hint='Choose the right array.')
    series = list(array[0] if labelled else array)
    for number, one in enumerate(series):
        if not isinstance(one, np.ndarray) or one.ndim != 2 or one.shape[1] < len(BANDS) + 1:
            raise DataError(
                f'series {number} is no table of dates by bands and day: {getattr(one, "shape", type(one).__name__)}',
                path=path,
                hint='Get the file from its authors.',
            )
    return series, np.array(array[1].tolist(), np.int64) if labelled else None


def _read_pixel(path: Path) -> np.ndarray:
    """One pixel's table (T,11 or 12): the first ten columns are the bands, the last one the day."""
    try:
        table = np.loadtxt(path, delimiter=',', skiprows=1, ndmin=2, encoding='utf-8-sig')
    except FileNotFoundError as error:
        raise DataError(
            'the list names a series that is not there', path=path, hint='Complete the download.'
        ) from error
    except ValueError as error:
        raise DataError(f'not a table of numbers: {error}', path=path, hint='Download the file again.') from error
    if table.shape[1] < len(BANDS) + 1:
        raise DataError(
            f'no table of dates by {len(BANDS)} bands and day: {table.shape}',
            path=path,
            hint='Download the file again.',
        )
    return table


def _refuse_other_labels(listed: np.ndarray | None, held: np.ndarray | None, ids: list[str], path: Path) -> None:
    if listed is None or held is None:
        return
    differ = np.flatnonzero(listed != held)
    if len(differ):
        first = int(differ[0])
        raise DataError(
            f'the list says class {listed[first]}, the array {held[first]}; {len(differ)} such series',
            path=path,
            sample_id=ids[first],
            hint='List and array are not of the same samples: choose the array by array=….',
        )


def _join(
    series: Sequence[np.ndarray], ids: list[str], labels: np.ndarray | None, regions: list[str], path: Path
) -> USCropsSeries:
    lengths = np.array([len(one) for one in series])
    if not lengths.all():
        empty = int(np.flatnonzero(lengths == 0)[0])
        raise DataError('the series has no date', path=path, sample_id=ids[empty], hint='Remove it from the list.')
    offset = np.concatenate([[0], np.cumsum(lengths)])
    values = np.concatenate([one[:, : len(BANDS)] for one in series])
    days = np.concatenate([one[:, -1] for one in series])
    owner = np.repeat(np.arange(len(series)), lengths)

    def refuse(bad: np.ndarray, problem: str, hint: str, band: str | None = None) -> None:
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise DataError(
                f'{problem}; {bad.sum()} such dates',
                path=path,
                sample_id=ids[owner[row]],
                date_index=row - int(offset[owner[row]]),
                band=band,
                hint=hint,
            )

    for band, name in enumerate(BANDS):
        refuse(~np.isfinite(values[:, band]), 'a reflectance is not finite', 'Remove the date.', name)
    refuse(~((days >= 1) & (days <= 366)), 'the day of the year is not within 1 to 366', 'Correct the day.')
    backwards = np.zeros(len(days), bool)
    backwards[1:] = (np.diff(days) < 0) & (np.diff(owner) == 0)
    refuse(backwards, 'the day is before that of the previous date', 'Sort the series by day.')
    whole = (values == np.rint(values)).all() and values.min() >= 0 and values.max() < 2**16
    values = values.astype(np.uint16 if whole else np.float32)
    return USCropsSeries(values, days.astype(np.int16), offset, ids, labels, regions, path)


@DATASETS.register_module()
class USCropsDataset(ParcelSeriesDataset):
    """Series of single Sentinel-2 pixels, with crop classes of the Cropland Data Layer.

    A sample is a series of one pixel: values (T,10,1,1), reflectance × 10000, clouds included. Lengths differ;
    `SampleDates(70)` and `SampleDates(70, repeat=True)` in the pipeline choose dates as the authors do (in evaluation
    too: `random=False` chooses the same ones every time), `InterpolateDates` gives regular ones.

    Args:
        data_root: folder of the years.
        year: of the acquisitions.
        split: 'train', 'valid', 'eval' (the test set) or 'unlabelled'.
        regions: sites to keep, of `REGIONS`; None for all.
        array: see `read_us_crops`.
        **kwargs: see :class:`ParcelSeriesDataset`.

    Raises:
        DataError: see `read_us_crops`; or if no series is left.
        ValueError: if the split or a region is unknown.
    """

    SENSORS: ClassVar[dict[str, Sensor]] = {'s2': Sensor(BANDS, 'reflectance x 10000')}
    METAINFO: ClassVar[dict] = dict(classes=CLASSES, palette=[list(colour) for colour in PALETTE])

    def __init__(
        self,
        data_root: str = '',
        year: int = 2019,
        split: str = 'train',
        regions: Sequence[str] | None = None,
        array: str | None = None,
        **kwargs: Any,
    ) -> None:
        unknown = [] if regions is None else [region for region in regions if region not in REGIONS]
        if unknown:
            raise ValueError(f'regions: no site {unknown}; there are {list(REGIONS)}')
        self.year, self.split, self.regions, self.array = int(year), split, regions, array
        if split == 'unlabelled':
            kwargs['with_labels'] = False
        super().__init__(data_root, **kwargs)

    def open_stores(self) -> dict[str, ParcelStore]:
        """Read the split."""
        self.series = read_us_crops(self.data_root, self.year, self.split, self.array)
        days = self.series.day_of_year.astype(np.int32) - 1 + day_number(datetime.date(self.year, 1, 1))
        return {'s2': RaggedSeries(self.series.values, days, self.series.offset, self.series.path)}

    def load_data_list(self) -> list[dict]:
        """Entries of the series of the chosen sites, in the order of the list."""
        series = self.series
        wanted = None if self.regions is None else set(self.regions)
        entries = []
        # The same for all, whenever in the year a series was observed.
        start = resolve_season_start(self.season_start, np.array([day_number(datetime.date(self.year, 7, 1))]))
        for number, (name, region) in enumerate(zip(series.ids, series.regions, strict=True)):
            if wanted is None or region in wanted:
                label = None if series.labels is None else int(series.labels[number])
                entries.append(dict(sample_id=name, season_start=start, parcel=number, label=label))
        if not entries:
            raise DataError(
                f'no series is left of {len(series.ids)} (regions={self.regions})',
                path=series.path,
                hint='Choose other regions; unlabelled series have none.',
            )
        return entries

    def load_statistics(self) -> dict[str, dict[str, list[float]]]:
        """Those that the authors normalise by."""
        order = self._band_positions('s2')
        return {'s2': dict(mean=[MEAN[band] for band in order], std=[STD[band] for band in order])}
