"""PASTIS and PASTIS-R: Sentinel-2 and Sentinel-1 series of French farmland with semantic and panoptic labels.

Garnot & Landrieu, Panoptic Segmentation of Satellite Image Time Series with Convolutional Temporal Attention Networks,
ICCV 2021 (Sentinel-2); Garnot, Landrieu & Chehata, Multi-Modal Temporal Attention Models for Crop Mapping from
Satellite Time Series, ISPRS Journal 2022 (Sentinel-1 added). How to get it, and what the published loader does
otherwise: docs/pastis.md.
"""

from __future__ import annotations

import datetime
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmseg.registry import DATASETS

from .base import Sensor, SeriesDataset, day_number, resolve_season_start
from .errors import DataError
from .published_lists import read_sample_list

VOID = 19
"""Code of parcels that lie mostly outside their patch: neither trained nor scored."""

IGNORED = 255
"""Label of pixels that are neither trained nor scored."""

UNKNOWN = -1
"""Entry of a label table for codes that no file may hold."""

FOLDS = (1, 2, 3, 4, 5)

CLASSES = (
    'background',
    'meadow',
    'soft winter wheat',
    'corn',
    'winter barley',
    'winter rapeseed',
    'spring barley',
    'sunflower',
    'grapevine',
    'beet',
    'winter triticale',
    'winter durum wheat',
    'fruits, vegetables, flowers',
    'potatoes',
    'leguminous fodder',
    'soybeans',
    'orchard',
    'mixed cereal',
    'sorghum',
    'void',
)

# Grass green, cereals in golds and browns, summer crops in reds and violets, woody crops dark.
PALETTE = (
    (32, 32, 36),
    (122, 196, 92),
    (232, 190, 66),
    (226, 92, 48),
    (201, 148, 84),
    (247, 236, 70),
    (176, 122, 62),
    (255, 160, 24),
    (112, 44, 110),
    (214, 58, 116),
    (240, 214, 140),
    (150, 104, 30),
    (238, 130, 170),
    (140, 86, 70),
    (38, 150, 120),
    (70, 170, 190),
    (20, 90, 60),
    (206, 186, 110),
    (166, 60, 40),
    (150, 150, 158),
)


def split_folds(fold: int, split: str) -> tuple[int, ...]:
    """Folds of one part in the five-fold protocol: three to train, the next to validate, the one after to test.

    Fold 1 of the protocol is [1, 2, 3] / 4 / 5, fold 2 is [2, 3, 4] / 5 / 1, and so on, cyclically.

    Args:
        fold: number of the protocol's run, 1 to 5.
        split: 'train', 'val' or 'test'.

    Returns:
        Numbers of the folds, 1 to 5, in the published order.

    Raises:
        ValueError: if fold or split does not exist.
    """
    offsets = {'train': (0, 1, 2), 'val': (3,), 'test': (4,)}
    if fold not in FOLDS:
        raise ValueError(f'fold must be one of {FOLDS}, got {fold!r}')
    if split not in offsets:
        raise ValueError(f"split must be 'train', 'val' or 'test', got {split!r}")
    return tuple((fold - 1 + offset) % 5 + 1 for offset in offsets[split])


def label_table(label_map: Mapping[int | str, int] | None = None) -> np.ndarray:
    """Label of every code that a file may hold.

    Args:
        label_map: new label per code or class name; what it leaves out is ignored (255). None: the codes stay as they
            are and void is ignored.

    Returns:
        (256,) int16, :data:`UNKNOWN` where the code does not exist.

    Raises:
        ValueError: if a class is unknown or a new label lies outside 0..255.
    """
    table = np.full(256, UNKNOWN, np.int16)
    if label_map is None:
        table[: len(CLASSES)] = np.arange(len(CLASSES))
        table[VOID] = IGNORED
        return table
    table[: len(CLASSES)] = IGNORED
    for name, label in label_map.items():
        code = _class_code(name)
        if not 0 <= label <= IGNORED:
            raise ValueError(f'label_map: label {label} of class {name!r} lies outside 0..255')
        table[code] = label
    return table


def _class_code(name: int | str) -> int:
    if name in CLASSES:
        return CLASSES.index(str(name))
    try:
        code = int(name)
    except ValueError:
        code = -1
    if not 0 <= code < len(CLASSES):
        raise ValueError(f'label_map: no class {name!r} in PASTIS; codes are 0..{VOID}, classes {list(CLASSES)}')
    return code


def merged_classes(table: np.ndarray) -> dict[str, tuple]:
    """Names and colours of the classes that a label table makes.

    Args:
        table: as :func:`label_table` returns it.

    Returns:
        classes (names of the merged classes joined by ' + ') and palette (colour of the first of them).

    Raises:
        ValueError: if the table ignores every class.
    """
    labels = table[: len(CLASSES)]
    if (labels == IGNORED).all():
        raise ValueError('label_map: every class is ignored; give at least one a label below 255')
    count = int(max(label for label in labels if label != IGNORED)) + 1
    names, colours = [], []
    for label in range(count):
        members = np.flatnonzero(labels == label)
        names.append(' + '.join(CLASSES[code] for code in members) or f'class {label}')
        colours.append(PALETTE[members[0]] if len(members) else PALETTE[0])
    return dict(classes=tuple(names), palette=tuple(colours))


@DATASETS.register_module()
class PASTISDataset(SeriesDataset):
    """PASTIS: 2433 patches of 128×128 pixels at 10 m in four regions of France, September 2018 to November 2019.

    Sensors: ``s2`` (10 bands, reflectance × 10000, int16), ``s1a`` and ``s1d`` (Sentinel-1 ascending and descending:
    VV, VH and their difference in dB; PASTIS-R only). Any patch size is read. 20 classes: 0 background, 1..18 crops,
    19 void; void becomes 255, background is a class (``ignored_classes=('background',)`` ignores it).

    Files are memory-mapped: what transforms cut away is not read.

    Args:
        data_root: folder with metadata.geojson.
        sensors: any of 's2', 's1a', 's1d'.
        fold: number of the run in the five-fold protocol, 1 to 5; goes with ``split``.
        split: 'train', 'val' or 'test': see :func:`split_folds`.
        folds: folds named explicitly, instead of ``fold`` and ``split``; the samples come fold by fold in the given
            order, each sorted by patch number. With none of the three, all patches sorted by number.
        label_map: new label per code or class name (the published ``class_mapping``); what it leaves out is ignored.
        patches: of these folds only such patches: their numbers, a file with one a line, or a published list such as
            'stcln_pastis_train' (see :func:`published_list`); order and repetitions are kept.
        absent_patches: 'raise' refuses a list that names patches which are not there, 'warn' leaves them out.
        cells: cells (row, column) of a grid over each patch; each is a sample of its own. None: whole patches.
        grid: rows and columns of that grid, 4 for cells of 32×32 pixels.
        allow_missing: read a sensor whose file is missing as a series without a valid date, instead of refusing it.
        season_start: the reference date. '09-01' (default): the first of September before the median date of the
            sample's first sensor; 'YYYY-MM-DD' for one fixed date (published: '2018-09-01').
        metainfo: as in mmengine; ``classes`` and ``palette`` here name the classes of a ``label_map``.
        **kwargs: as in :class:`SeriesDataset`: bands, pipeline, ignored_classes, statistics_in_sample, …

    Raises:
        DataError: if the folder, its metadata, a date or a fold is missing or wrong.
        ValueError: if arguments contradict each other or name what does not exist.
    """

    METAINFO = dict(classes=CLASSES, palette=PALETTE)
    CODE_LIST = 'pastis'
    S2_BANDS = ('B02', 'B03', 'B04', 'B05', 'B06', 'B07', 'B08', 'B8A', 'B11', 'B12')
    S1_BANDS = ('VV', 'VH', 'VV-VH')
    SENSORS = {
        's2': Sensor(bands=S2_BANDS, unit='reflectance x 10000'),
        's1a': Sensor(bands=S1_BANDS, unit='dB'),
        's1d': Sensor(bands=S1_BANDS, unit='dB'),
    }

    def __init__(
        self,
        data_root: str,
        sensors: Sequence[str] = ('s2',),
        fold: int | None = None,
        split: str | None = None,
        folds: Sequence[int] | None = None,
        label_map: Mapping[int | str, int] | None = None,
        patches: str | Path | Sequence[str | int] | None = None,
        absent_patches: str = 'raise',
        cells: Sequence[Sequence[int]] | None = None,
        grid: int = 4,
        allow_missing: bool = False,
        season_start: str = '09-01',
        metainfo: dict | None = None,
        **kwargs: Any,
    ) -> None:
        self.folds = _chosen_folds(fold, split, folds)
        if absent_patches not in ('raise', 'warn'):
            raise ValueError(f"absent_patches must be 'raise' or 'warn', got {absent_patches!r}")
        self.patches, self.absent_patches = patches, absent_patches
        self.cells = _grid_cells(cells, grid)
        self.allow_missing = allow_missing
        self.label_table = label_table(label_map)
        if label_map is not None:
            metainfo = {**merged_classes(self.label_table), **(metainfo or {})}
        super().__init__(data_root=data_root, sensors=sensors, season_start=season_start, metainfo=metainfo, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Read metadata.geojson.

        Returns:
            One dict per patch: sample_id, season_start, series, label_path, instance_paths, fold, tile.

        Raises:
            DataError: if the folder or its metadata cannot be used, or the folds hold no patch.
        """
        features = self._read_features()
        folds = FOLDS if self.folds is None else self.folds
        by_fold: dict[int, list[dict]] = {fold: [] for fold in folds}
        for properties in sorted(features, key=lambda p: int(p['ID_PATCH'])):
            if int(properties['Fold']) in by_fold:
                by_fold[int(properties['Fold'])].append(properties)
        empty = [fold for fold, patches in by_fold.items() if not patches]
        if self.folds is not None and empty:
            held = sorted({int(properties['Fold']) for properties in features})
            raise DataError(
                f'no patch in fold {", ".join(map(str, empty))}; {len(features)} patches of folds {held} are there',
                path=self._metadata_path,
                hint='Choose other folds, or complete the dataset.',
            )
        chosen = [properties for fold in folds for properties in by_fold[fold]]
        if self.folds is None:
            chosen.sort(key=lambda p: int(p['ID_PATCH']))
        if self.patches is not None:
            chosen = self._listed(chosen)
        entries = [self._entry(properties) for properties in chosen]
        self._refuse_absent_sensors(entries)
        return entries if self.cells is None else [entry for one in entries for entry in self._of_cells(one)]

    def _listed(self, held: list[dict]) -> list[dict]:
        """Patches of the list, in its order; one that occurs twice counts twice."""
        assert self.patches is not None
        try:
            names = read_sample_list(self.patches)
        except FileNotFoundError as error:
            raise DataError(str(error), path=str(self.patches), hint='Correct `patches`.') from error
        by_name = {str(int(properties['ID_PATCH'])): properties for properties in held}
        absent = [name for name in dict.fromkeys(names) if name not in by_name]
        if absent:
            more = f' and {len(absent) - 20} more' if len(absent) > 20 else ''
            folds = FOLDS if self.folds is None else self.folds
            problem = (
                f'{len(absent)} of {len(set(names))} listed patches are not in folds {", ".join(map(str, folds))}: '
                f'{", ".join(absent[:20])}{more}'
            )
            if self.absent_patches == 'raise' or len(absent) == len(set(names)):
                raise DataError(
                    problem,
                    path=self._metadata_path,
                    hint="Complete the dataset, choose other folds, or leave them out: absent_patches='warn'.",
                )
            print_log(f'{self._metadata_path}: {problem}; they are left out.', 'current', logging.WARNING)
        return [by_name[name] for name in names if name in by_name]

    def _of_cells(self, entry: dict) -> list[dict]:
        assert self.cells is not None
        return [
            dict(entry, sample_id=f'{entry["sample_id"]}_{row}_{column}', cell=(row, column, rows, columns))
            for row, column, rows, columns in self.cells
        ]

    def load_statistics(self) -> dict[str, dict[str, list[float]]]:
        """Mean and standard deviation per band: averages over this dataset's folds of NORM_<sensor>_patch.json.

        Returns:
            Sensor to dict(mean=[C], std=[C]), in the order of the loaded bands and the unit of the files. A sensor
            without a NORM file is absent: tools/analysis_tools/dataset_stats.py computes one.

        Raises:
            DataError: if a NORM file is damaged or lacks one of the dataset's folds.
        """
        statistics = {}
        for sensor, info in self.sensors_info.items():
            path = self._root / f'NORM_{sensor.upper()}_patch.json'
            if path.is_file():
                order = [info['file_bands'].index(band) for band in info['bands']]
                statistics[sensor] = self._averaged_statistics(path, order)
        return statistics

    def get_data_info(self, idx: int) -> dict:
        """The entry of one sample, with the table from codes to labels."""
        info = super().get_data_info(idx)
        info['label_table'] = self.label_table
        return info

    @property
    def _root(self) -> Path:
        return Path(self.data_root)

    @property
    def _metadata_path(self) -> Path:
        return self._root / 'metadata.geojson'

    def _read_features(self) -> list[dict]:
        """Properties of all patches in metadata.geojson."""
        if not self._root.exists():
            raise DataError('the PASTIS folder does not exist', path=self._root, hint=_WHERE)
        if not self._root.is_dir():
            raise DataError('PASTIS must be a folder, this is a file', path=self._root, hint=f'Unpack it. {_WHERE}')
        if not self._metadata_path.is_file():
            held = sorted(entry.name for entry in self._root.iterdir())[:8]
            raise DataError(
                f'no metadata.geojson in the PASTIS folder, which holds {held or "nothing"}',
                path=self._metadata_path,
                hint=_WHERE,
            )
        try:
            features = json.loads(self._metadata_path.read_text())['features']
            found = [dict(feature['properties']) for feature in features]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f'not a GeoJSON feature collection ({error})', path=self._metadata_path, hint='Unpack the file again.'
            ) from error
        for properties in found:
            self._check_numbers(properties)
        return found

    def _check_numbers(self, properties: dict) -> None:
        for name in ('ID_PATCH', 'Fold'):
            try:
                int(properties[name])
            except (KeyError, TypeError, ValueError) as error:
                raise DataError(
                    f'each patch needs a number as {name}, found {properties.get(name)!r}',
                    path=self._metadata_path,
                    sample_id=str(properties.get('ID_PATCH')),
                    hint='Correct the metadata.',
                ) from error

    def _entry(self, properties: dict) -> dict:
        patch = int(properties['ID_PATCH'])
        series = {sensor: self._series_entry(sensor, patch, properties) for sensor in self.sensors}
        dated = [entry['days'] for entry in series.values() if entry['days'] is not None]
        if not dated:
            raise DataError(
                f'no dates for any of the sensors {list(self.sensors)}; the patch has {sorted(properties)}',
                path=self._metadata_path,
                sample_id=str(patch),
                hint='Choose sensors that this copy of the dataset holds.',
            )
        season_start = resolve_season_start(self.season_start, dated[0])
        names = ('HEATMAP', 'INSTANCES', 'ZONES')
        instances = self._root / 'INSTANCE_ANNOTATIONS'
        return dict(
            sample_id=str(patch),
            season_start=season_start,
            series=series,
            label_path=str(self._root / 'ANNOTATIONS' / f'TARGET_{patch}.npy'),
            instance_paths={name.lower(): str(instances / f'{name}_{patch}.npy') for name in names},
            fold=int(properties['Fold']),
            tile=properties.get('TILE'),
        )

    def _series_entry(self, sensor: str, patch: int, properties: dict) -> dict:
        name = sensor.upper()
        path = self._root / f'DATA_{name}' / f'{name}_{patch}.npy'
        dates = properties.get(f'dates-{name}')
        if dates is None and path.is_file():
            # To call the sensor missing would throw observations away without a word.
            raise DataError(
                f'dates-{name} are missing for images that are there, in {path}',
                path=self._metadata_path,
                sample_id=str(patch),
                hint='Add the dates, or take the file away if the patch shall go without this sensor.',
            )
        if dates is None:
            return dict(path=None, days=None)
        days = self._days(dates, f'dates-{name}', patch)
        absent = self.allow_missing and not path.is_file()
        return dict(path=None if absent else str(path), days=days)

    def _days(self, dates: dict | str, key: str, patch: int) -> np.ndarray:
        """Dates in the order of the file, (T,) int32; ``dates`` maps positions to yyyymmdd, or is that as JSON text."""
        try:
            table = json.loads(dates) if isinstance(dates, str) else dates
            ordered = [table[str(position)] for position in range(len(table))]
            days = [day_number(datetime.datetime.strptime(str(number), '%Y%m%d').date()) for number in ordered]
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(
                f'{key} must map positions 0, 1, … to dates yyyymmdd, found {str(dates)[:80]!r} ({error!r})',
                path=self._metadata_path,
                sample_id=str(patch),
                hint='Correct the metadata.',
            ) from error
        if not days:
            raise DataError(f'{key} is empty', path=self._metadata_path, sample_id=str(patch), hint='Add its dates.')
        return np.array(days, np.int32)

    def _refuse_absent_sensors(self, entries: list[dict]) -> None:
        """A sensor that no patch has is a mistake in the config, not a gap in the data."""
        for sensor in self.sensors:
            if all(entry['series'][sensor]['path'] is None for entry in entries):
                raise DataError(
                    f'none of the {len(entries)} patches has the sensor {sensor} '
                    f'(dates-{sensor.upper()} in the metadata, files in DATA_{sensor.upper()})',
                    path=self._metadata_path,
                    hint='Sentinel-1 comes with PASTIS-R only; leave the sensor out, or get that version.',
                )

    def _averaged_statistics(self, path: Path, order: list[int]) -> dict[str, list[float]]:
        try:
            held = json.loads(path.read_text())
            keys = sorted(held) if self.folds is None else [f'Fold_{fold}' for fold in self.folds]
            absent = [key for key in keys if key not in held]
            if absent:
                raise DataError(
                    f'no statistics of {", ".join(absent)}; the file has {sorted(held)}',
                    path=path,
                    hint='tools/analysis_tools/dataset_stats.py writes this file from the data.',
                )
            means = {name: np.mean([held[key][name] for key in keys], axis=0)[order] for name in ('mean', 'std')}
        except (KeyError, IndexError, TypeError, json.JSONDecodeError) as error:
            raise DataError(
                f'statistics must be {{"Fold_1": {{"mean": […], "std": […]}}, …}} with a number per band ({error!r})',
                path=path,
                hint='tools/analysis_tools/dataset_stats.py writes this file from the data.',
            ) from error
        return {name: values.tolist() for name, values in means.items()}


_WHERE = 'Give the folder that holds metadata.geojson and DATA_S2 as data_root (docs/pastis.md says where to get it).'


def _grid_cells(cells: Sequence[Sequence[int]] | None, grid: int) -> list[tuple[int, int, int, int]] | None:
    if cells is None:
        return None
    wrong = [cell for cell in cells if len(cell) != 2 or not all(0 <= place < grid for place in cell)]
    if wrong or not cells:
        raise ValueError(f'cells must be pairs of row and column from 0 to {grid - 1}, got {wrong or cells}')
    return [(int(row), int(column), grid, grid) for row, column in cells]


def _chosen_folds(fold: int | None, split: str | None, folds: Sequence[int] | None) -> tuple[int, ...] | None:
    if folds is not None:
        if split is not None:
            raise ValueError(f'give either folds={list(folds)} or fold and split={split!r}, not both')
        wrong = [number for number in folds if number not in FOLDS]
        if wrong or not folds or len(set(folds)) < len(folds):
            raise ValueError(f'folds must be different numbers out of {FOLDS}, got {list(folds)}')
        return tuple(int(number) for number in folds)
    if split is None and fold is None:
        return None
    if split is None or fold is None:
        raise ValueError(f'fold and split go together, got fold={fold!r}, split={split!r}')
    return split_folds(int(fold), split)
