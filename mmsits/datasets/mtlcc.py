"""MTLCC: Sentinel-2 series of farmland north of Munich, seventeen crops, 2016 and 2017.

Rußwurm & Körner, Multi-Temporal Land Cover Classification with Sequential Recurrent Encoders, IJGI 7 (4), 2018. The
public download holds gzip TFRecords, the PyTorch port GeoTIFFs; both are read. How to get it: docs/mtlcc.md.
"""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmseg.registry import DATASETS
from rich.progress import track

from mmsits.structures import ImageSeries

from .base import Sensor, SeriesDataset, day_number, resolve_season_start
from .errors import DataError, iso_day
from .published_lists import read_sample_list
from .tfrecord import parse_example, read_records
from .transforms.loading import IGNORED, select_bands, translate_labels

SPLIT_FILES = {'train': 'train_fold{fold}', 'val': 'test_fold{fold}', 'test': 'eval'}
"""Names of the lists of tiles: by the authors' 'test' networks are chosen, their 'eval' is what is reported."""

CODES = (0, 1, 2, 3, 5, 8, 9, 12, 13, 15, 16, 17, 19, 22, 23, 24, 25, 26)
"""Codes of the classes in the label maps, in the published order."""

CLASSES = (
    'unknown',
    'sugar beet',
    'summer oat',
    'meadow',
    'rape',
    'hop',
    'winter spelt',
    'winter triticale',
    'beans',
    'peas',
    'potatoes',
    'soybeans',
    'asparagus',
    'winter wheat',
    'winter barley',
    'winter rye',
    'summer barley',
    'maize',
)

# The colours of PASTIS where the crops are the same.
PALETTE = (
    (32, 32, 36),
    (214, 58, 116),
    (206, 186, 110),
    (122, 196, 92),
    (247, 236, 70),
    (20, 90, 60),
    (150, 104, 30),
    (240, 214, 140),
    (38, 150, 120),
    (120, 210, 190),
    (140, 86, 70),
    (70, 170, 190),
    (150, 110, 200),
    (232, 190, 66),
    (201, 148, 84),
    (120, 90, 70),
    (176, 122, 62),
    (226, 92, 48),
)

RESOLUTIONS = {
    10: ('B04', 'B03', 'B02', 'B08'),
    20: ('B05', 'B06', 'B07', 'B8A', 'B11', 'B12'),
    60: ('B01', 'B09', 'B10'),
}
"""Bands by the size of their pixels in metres. TSViT's loader names them in this order; the files name none."""

RECORD_END = '.tfrecord.gz'
_WHERE = 'Give the folder that holds classes.txt, tileids and data or data16 as data_root (docs/mtlcc.md).'


def fine_grid(coarse: np.ndarray, ratio: int, upsampling: str) -> np.ndarray:
    """Bring coarse images to the grid of 10 m.

    Args:
        coarse: (T,C,h,w).
        ratio: fine pixels for a coarse one along one axis.
        upsampling: 'nearest' repeats pixels (STCLN); 'bilinear' interpolates between their middles (TSViT).

    Returns:
        (T,C,h·ratio,w·ratio), of the same type, or float32 behind interpolation.
    """
    if upsampling == 'nearest' or ratio == 1:
        return coarse.repeat(ratio, axis=2).repeat(ratio, axis=3)
    import torch

    values = torch.from_numpy(coarse.astype(np.float32))
    return torch.nn.functional.interpolate(values, scale_factor=ratio, mode='bilinear', align_corners=False).numpy()


@DATASETS.register_module()
class MTLCCDataset(SeriesDataset):
    """Tiles of 24×24 or 48×48 pixels at 10 m with the 13 bands of Sentinel-2, reflectance × 10000.

    Two forms, told apart by what lies in the folder; ``<yy>`` is the year, 16 or 17::

        <data_root>/classes.txt                                          lines 'code|name'
        <data_root>/tileids/{train_fold0,test_fold0,eval}.tileids        one tile a line
        <data_root>/data<yy> or data/<tile>.tfrecord.gz                  the public download
        <data_root>/data<yy> or data/<tile>/y.tif, <yyyymmdd>_{10,20,60}m.tif    of 4, 6 and 3 bands

    Bands of 20 and 60 m are brought to 10 m. Classes have the order of classes.txt; the first, unknown, is what is
    neither trained nor scored (255), as are codes that the file does not list.

    A tile comes with all its dates in order of time: put `SampleDates` into the pipeline for series of one length. Its
    draw depends on the seed and the sample alone; with ``random=False`` it takes dates at even distances. Published is
    a random draw at every access, also in testing.

    Args:
        data_root: folder of one tile size, see above.
        split: 'train', 'val' or 'test' (lists train_fold<fold>, test_fold<fold>, eval); None for every tile there is.
        fold: which list.
        year: 2016 or 2017: the folder, and the year that all dates must lie in.
        tiles: tiles by name instead of a split: a sequence, a file with one a line, or a published list such as
            'stcln_mtlcc_train_2%' (see :func:`published_list`); order and repetitions are kept.
        absent_tiles: 'raise' refuses a list that names tiles which are not there, 'warn' leaves them out.
        min_dates: leave out tiles with fewer different dates. Published is the number that is drawn. Of TFRecords every
            file is read for it when the dataset is opened.
        upsampling: 'nearest' or 'bilinear', see :func:`fine_grid`.
        unknown_class: give unknown its place as class 0, which no pixel has then (18 outputs, STCLN). False: 17 classes
            from 0 (TSViT).
        with_labels: hand labels on.
        season_start: the reference date. '01-01' (default) is that of `year`, so networks of one year can be tested on
            the other.
        **kwargs: as in :class:`SeriesDataset`: bands, pipeline, label_fraction, …

    Raises:
        DataError: if a folder, list, tile or file is missing or wrong.
        ValueError: if arguments contradict each other or name what does not exist.
    """

    METAINFO = dict(classes=CLASSES, palette=PALETTE)
    CODE_LIST = 'mtlcc'
    SENSORS = {
        's2': Sensor(bands=tuple(b for bands in RESOLUTIONS.values() for b in bands), unit='reflectance x 10000')
    }

    def __init__(
        self,
        data_root: str = '',
        split: str | None = 'train',
        fold: int = 0,
        year: int = 2016,
        tiles: str | Path | Sequence[str | int] | None = None,
        absent_tiles: str = 'raise',
        min_dates: int = 1,
        upsampling: str = 'nearest',
        unknown_class: bool = True,
        with_labels: bool = True,
        season_start: str = '01-01',
        **kwargs: Any,
    ) -> None:
        if split not in (None, *SPLIT_FILES):
            raise ValueError(f'split must be one of {list(SPLIT_FILES)} or None, got {split!r}')
        if absent_tiles not in ('raise', 'warn'):
            raise ValueError(f"absent_tiles must be 'raise' or 'warn', got {absent_tiles!r}")
        if upsampling not in ('nearest', 'bilinear'):
            raise ValueError(f"upsampling must be 'nearest' or 'bilinear', got {upsampling!r}")
        self.split, self.fold, self.year, self.tiles = split, fold, year, tiles
        self.absent_tiles, self.min_dates = absent_tiles, min_dates
        self.upsampling, self.unknown_class, self.with_labels = upsampling, unknown_class, with_labels
        super().__init__(data_root, season_start=season_start, **kwargs)

    def full_init(self) -> None:
        """Read the class table first (mmengine calls it once)."""
        if self._fully_initialized:
            return
        codes, names, colours = read_classes(Path(self.data_root) / 'classes.txt')
        first = 0 if self.unknown_class else 1
        self._metainfo.update(classes=names[first:], palette=colours[first:])
        self.label_table = np.full(256, IGNORED, np.int16)
        self.label_table[list(codes[1:])] = np.arange(len(codes) - 1) + 1 - first
        super().full_init()

    def load_data_list(self) -> list[dict]:
        """Entries of the tiles: sample_id, season_start, path (a folder or a TFRecord file).

        Raises:
            DataError: if the folder cannot be used, or no tile is left.
        """
        folder = self._data_folder()
        names = self._names(folder)
        places = {name: _place(folder, name) for name in dict.fromkeys(names)}
        absent = [name for name, place in places.items() if place is None]
        if absent:
            self._report_absent(absent, len(places), folder)
        start = None
        entries = []
        for name in names:
            if (place := places[name]) is not None:
                if start is None:
                    start = self._season_start(place, name)
                entries.append(dict(sample_id=name, season_start=start, path=str(place)))
        entries = self._long_enough(entries)
        if not entries:
            raise DataError('no tile is left', path=folder, hint='Check the list of tiles and min_dates.')
        return entries

    def load_sample(self, info: dict[str, Any]) -> dict[str, Any]:
        """Read a tile.

        Args:
            info: its entry.

        Returns:
            The same with inputs (values (T,13,S,S) or the chosen bands), targets ((S,S) uint8, unless without labels),
            paths, date_index and img_shape.

        Raises:
            DataError: if a file is damaged or not what is expected.
        """
        where = dict(path=info['path'], sample_id=info['sample_id'])
        stacks, days, codes = _read_tile(Path(info['path']), info['sample_id'])
        _check_stacks(stacks, codes, where)
        self._check_year(days, where)
        about = self.sensors_info['s2']
        fine = [fine_grid(stack, size // 10, self.upsampling) for size, stack in stacks.items()]
        values = select_bands(np.concatenate(fine, axis=1), about['file_bands'], about['bands'])
        info['inputs'] = {'s2': ImageSeries(values, days, np.ones((len(days), 1, 1), bool))}
        info['date_index'] = {'s2': np.arange(len(days))}
        info['paths'] = {'s2': info['path']}
        info['img_shape'] = codes.shape
        if self.with_labels:
            info['targets'] = self._labels(codes, info)
            info['paths']['targets'] = info['path']
        return info

    def label_map(self, index: int) -> np.ndarray:
        """Labels of a sample without its images, (S,S) uint8, 255 ignored."""
        info = self.label_info(index)
        return self._labels(_read_codes(Path(info['path']), info['sample_id']), info)

    def get_data_info(self, idx: int) -> dict:
        """The entry of one sample, with the table from codes to labels."""
        info = super().get_data_info(idx)
        info['label_table'] = self.label_table
        return info

    def _labels(self, codes: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        targets = translate_labels(codes, info['label_table'], info['path'], info['sample_id'])
        targets[np.isin(targets, info['ignored_labels'])] = IGNORED
        return targets

    def _data_folder(self) -> Path:
        root = Path(self.data_root)
        for folder in (root / f'data{self.year % 100:02d}', root / 'data'):
            if folder.is_dir():
                return folder
        raise DataError(f'no folder data{self.year % 100:02d} or data is there', path=root, hint=_WHERE)

    def _names(self, folder: Path) -> list[str]:
        if self.tiles is not None:
            try:
                names = read_sample_list(self.tiles)
            except FileNotFoundError as error:
                raise DataError(str(error), path=str(self.tiles), hint='Correct `tiles`.') from error
            return names
        if self.split is None:
            held = {path.name.removesuffix(RECORD_END) for path in folder.iterdir() if _is_tile(path)}
            return sorted(held, key=lambda name: (len(name), name))
        path = Path(self.data_root) / 'tileids' / (SPLIT_FILES[self.split].format(fold=self.fold) + '.tileids')
        if not path.is_file():
            held = {file.name for file in path.parent.glob('*.tileids')}
            raise DataError(f'no list of tiles of this name; there are {sorted(held)}', path=path, hint=_WHERE)
        return path.read_text(encoding='utf-8').split()

    def _report_absent(self, absent: list[str], total: int, folder: Path) -> None:
        more = f' and {len(absent) - 20} more' if len(absent) > 20 else ''
        problem = f'{len(absent)} of {total} listed tiles are not there: {", ".join(absent[:20])}{more}'
        if self.absent_tiles == 'raise':
            raise DataError(
                problem,
                path=folder,
                hint="Complete the download, correct the list, or leave them out: absent_tiles='warn'.",
            )
        print_log(f'{folder}: {problem}; they are left out.', 'current', logging.WARNING)

    def _season_start(self, place: Path, name: str) -> int:
        if self.season_start == '01-01':
            # All dates lie in the year: no need to read them.
            return day_number(datetime.date(self.year, 1, 1))
        if len(self.season_start) == 10:
            return resolve_season_start(self.season_start, np.zeros(1, np.int32))
        return resolve_season_start(self.season_start, read_days(place, name))

    def _long_enough(self, entries: list[dict]) -> list[dict]:
        """Entries of tiles with enough dates."""
        if self.min_dates <= 1:
            return entries
        counts: dict[str, int] = {}
        for entry in track(entries, description='counting dates', transient=True):
            if entry['path'] not in counts:
                counts[entry['path']] = len(np.unique(read_days(Path(entry['path']), entry['sample_id'])))
        kept = [entry for entry in entries if counts[entry['path']] >= self.min_dates]
        if len(kept) < len(entries):
            print_log(
                f'{self.data_root}: {len(entries) - len(kept)} of {len(entries)} tiles have fewer than '
                f'{self.min_dates} dates and are left out.',
                'current',
                logging.INFO,
            )
        return kept

    def _check_year(self, days: np.ndarray, where: Mapping[str, Any]) -> None:
        first, last = day_number(datetime.date(self.year, 1, 1)), day_number(datetime.date(self.year, 12, 31))
        outside = np.flatnonzero((days < first) | (days > last))
        if len(outside):
            raise DataError(
                f'{len(outside)} of {len(days)} dates lie outside of {self.year}',
                day=days[outside[0]],
                date_index=int(outside[0]),
                hint=f'Give the year of these data (year={iso_day(days[outside[0]])[:4]}).',
                **where,
            )


def read_classes(path: Path) -> tuple[tuple[int, ...], tuple[str, ...], tuple[tuple[int, int, int], ...]]:
    """The class table of a copy of MTLCC.

    Args:
        path: classes.txt, lines 'code|name'; their order is that of the classes, unknown first.

    Returns:
        Codes, names and colours. Of published codes, the names are those of :data:`CLASSES`.

    Raises:
        DataError: if the file is missing or not such a table.
    """
    try:
        rows = [line.split('|') for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
        codes = tuple(int(code) for code, _ in rows)
        names = [name.strip() for _, name in rows]
    except FileNotFoundError as error:
        raise DataError('the class table is missing', path=path, hint=_WHERE) from error
    except ValueError as error:
        raise DataError(f"lines 'code|name' are expected ({error})", path=path, hint='Get the file again.') from error
    if len(codes) < 2 or len(set(codes)) < len(codes) or not all(0 <= code <= 255 for code in codes):
        raise DataError(f'two or more different codes from 0 to 255 are expected, found {codes}', path=path)
    known = {code: place for place, code in enumerate(CODES)}
    places = [known.get(code) for code in codes]
    classes = tuple(name if place is None else CLASSES[place] for name, place in zip(names, places, strict=True))
    colours = tuple((128, 128, 128) if place is None else PALETTE[place] for place in places)
    return codes, classes, colours


def read_days(path: Path, sample_id: str) -> np.ndarray:
    """Dates of a tile in order, days since 1970-01-01, (T,) int32.

    Args:
        path: its folder or TFRecord file.
        sample_id: named in errors.

    Raises:
        DataError: if there is none.
    """
    if path.is_dir():
        return np.array([day_number(date) for date in _dates_of_files(path, sample_id).values()], np.int32)
    return _record_days(_example(path, sample_id), path, sample_id)[0]


def _is_tile(path: Path) -> bool:
    return path.name.endswith(RECORD_END) or (path / 'y.tif').is_file()


def _place(folder: Path, name: str) -> Path | None:
    for path in (folder / f'{name}{RECORD_END}', folder / name):
        if path.exists():
            return path
    return None


def _read_tile(path: Path, sample_id: str) -> tuple[dict[int, np.ndarray], np.ndarray, np.ndarray]:
    """Images by resolution in m, each (T,C,h,w), days (T,), codes (S,S)."""
    return _read_folder(path, sample_id) if path.is_dir() else _read_record(path, sample_id)


def _read_codes(path: Path, sample_id: str) -> np.ndarray:
    if path.is_dir():
        return _read_raster(path / 'y.tif', 1, sample_id)[0]
    return _record_array(_example(path, sample_id), 'labels', 3, path, sample_id)[0]


def _dates_of_files(folder: Path, sample_id: str) -> dict[str, datetime.date]:
    """Dates, in order, by the beginning of their file names."""
    begins = sorted(
        {name for name in (path.name.partition('_')[0] for path in folder.glob('*_*m.tif')) if len(name) == 8}
    )
    try:
        dates = {name: datetime.datetime.strptime(name, '%Y%m%d').date() for name in begins}
    except ValueError as error:
        raise DataError(
            f'file names must begin with a date yyyymmdd ({error})',
            path=folder,
            sample_id=sample_id,
            hint='Rename the file or take it away.',
        ) from error
    if not dates:
        raise DataError(
            'no images <yyyymmdd>_10m.tif are there',
            path=folder,
            sample_id=sample_id,
            hint='Complete the tile or leave it out of the list.',
        )
    return dates


def _read_folder(folder: Path, sample_id: str) -> tuple[dict[int, np.ndarray], np.ndarray, np.ndarray]:
    dates = _dates_of_files(folder, sample_id)
    stacks = {}
    for size, bands in RESOLUTIONS.items():
        images = [_read_raster(folder / f'{begin}_{size}m.tif', len(bands), sample_id) for begin in dates]
        shapes = [image.shape for image in images]
        if len(set(shapes)) > 1:
            raise DataError(
                f'images of {size} m have several sizes: {sorted(set(shapes))}',
                path=folder,
                sample_id=sample_id,
                hint='Write the tile again.',
            )
        stacks[size] = np.stack(images)
    days = np.array([day_number(date) for date in dates.values()], np.int32)
    return stacks, days, _read_raster(folder / 'y.tif', 1, sample_id)[0]


def _read_raster(path: Path, bands: int, sample_id: str) -> np.ndarray:
    """A GeoTIFF, (C,h,w)."""
    import warnings

    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', NotGeoreferencedWarning)
            with rasterio.open(path) as file:
                values = file.read()
    except RasterioIOError as error:
        problem = 'the file cannot be read' if path.exists() else 'the file is missing'
        raise DataError(
            f'{problem} ({error})',
            path=path,
            sample_id=sample_id,
            hint='Complete the tile or leave it out of the list.',
        ) from error
    if len(values) != bands:
        raise DataError(f'{bands} bands are expected, found {len(values)}', path=path, sample_id=sample_id)
    return values


def _example(path: Path, sample_id: str) -> dict[str, Any]:
    records = list(read_records(path))
    if len(records) != 1:
        raise DataError(f'one record is expected, found {len(records)}', path=path, sample_id=sample_id)
    return parse_example(records[0], path)


def _read_record(path: Path, sample_id: str) -> tuple[dict[int, np.ndarray], np.ndarray, np.ndarray]:
    example = _example(path, sample_id)
    days, order = _record_days(example, path, sample_id)
    stacks = {}
    for size in RESOLUTIONS:
        values = _record_array(example, f'x{size}', 4, path, sample_id)
        if len(values) <= order.max():
            raise DataError(
                f'{len(values)} images of {size} m, {order.max() + 1} dates', path=path, sample_id=sample_id
            )
        stacks[size] = _narrow(values[order].transpose(0, 3, 1, 2))
    return stacks, days, _record_array(example, 'labels', 3, path, sample_id)[0]


def _record_days(example: Mapping[str, Any], path: Path, sample_id: str) -> tuple[np.ndarray, np.ndarray]:
    """Days since 1970-01-01 in order, (T,) int32, and the positions of their images; padding has no day of the year."""
    day_of_year = _record_array(example, 'dates', 1, path, sample_id, 'doy')
    year = _record_array(example, 'dates', 1, path, sample_id, 'year')
    real = np.flatnonzero(day_of_year > 0)
    if not len(real):
        raise DataError(
            'no date is in the file', path=path, sample_id=sample_id, hint='Leave the tile out of the list.'
        )
    starts = np.array([day_number(datetime.date(int(number), 1, 1)) for number in year[real]], np.int64)
    days = starts + day_of_year[real] - 1
    order = np.argsort(days, kind='stable')
    return days[order].astype(np.int32), real[order]


def _record_array(
    example: Mapping[str, Any], name: str, dimensions: int, path: Path, sample_id: str, part: str = 'data'
) -> np.ndarray:
    """An array of a TFRecord, int64."""
    try:
        values = np.frombuffer(example[f'{name}/{part}'][0], '<i8')
        shape = [int(size) for size in example[f'{name}/shape']]
        if len(shape) != dimensions:
            raise ValueError(f'{dimensions} dimensions are expected, found {shape}')
        return values.reshape(shape)
    except (KeyError, IndexError, ValueError, TypeError) as error:
        raise DataError(
            f'{name}/{part} and {name}/shape must hold an array of {dimensions} dimensions ({error}); '
            f'the record has {sorted(example)}',
            path=path,
            sample_id=sample_id,
            hint='Download the file again.',
        ) from error


def _narrow(values: np.ndarray) -> np.ndarray:
    """The numbers in the smallest type of a sensor that holds them: the download stores them with eight bytes each."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    return np.ascontiguousarray(values, np.uint16 if low >= 0 and high <= 65535 else np.int32)


def _check_stacks(stacks: Mapping[int, np.ndarray], codes: np.ndarray, where: Mapping[str, Any]) -> None:
    for size, bands in RESOLUTIONS.items():
        height, width = (side * 10 // size for side in codes.shape)
        expected = (len(bands), height, width)
        exact = (height * size // 10, width * size // 10) == codes.shape
        if stacks[size].shape[1:] != expected or not exact:
            raise DataError(
                f'labels of {codes.shape[0]}×{codes.shape[1]} pixels go with images of {size} m of {expected} (bands, '
                f'height, width), found {stacks[size].shape[1:]}',
                hint='Write the tile again.',
                **where,
            )
