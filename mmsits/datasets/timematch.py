"""TimeMatch: Sentinel-2 pixel sets of parcels in four European tiles, for adaptation from one region to another.

Nyborg, Pelletier, Lefèvre & Assent, TimeMatch: Unsupervised cross-region adaptation by temporal shift estimation, ISPRS
Journal of Photogrammetry and Remote Sensing 188 (2022) 301–313; data: Zenodo 10.5281/zenodo.5636422.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mmengine.logging import print_log
from mmseg.registry import DATASETS

from .base import Sensor, resolve_season_start
from .errors import DataError
from .packed_parcels import PackedParcels, is_packed, packed_sensor, refuse_stale
from .parcel_dataset import ParcelSeriesDataset
from .parcel_store import DomainTable, ParcelStore, read_domain_metadata
from .timematch_classes import (
    CLASS_TABLES,
    UNKNOWN,
    ClassTable,
    class_names,
    code_text,
    label_codes,
    palette_of,
    read_class_table,
    select_classes,
)
from .zarr_parcels import ZarrParcels

DOMAINS: dict[str, str] = {
    'DK1': 'denmark/32VNH/2017',
    'FR1': 'france/30TXT/2017',
    'FR2': 'france/31TCJ/2017',
    'AT1': 'austria/33UVP/2017',
}
"""The published domains by their short names; each is a folder country/tile/year."""

SCENARIOS: tuple[tuple[str, str], ...] = (
    ('DK1', 'FR1'),
    ('DK1', 'FR2'),
    ('DK1', 'AT1'),
    ('FR1', 'DK1'),
    ('FR1', 'FR2'),
)
"""The five published adaptation tasks, source and target."""

BANDS = ('B02', 'B03', 'B04', 'B08', 'B05', 'B06', 'B07', 'B8A', 'B11', 'B12')
"""Bands in the order of the files: those of 10 m first."""

ROLES = ('source', 'target')
SPLITS = ('train', 'val', 'test')
STORAGES = ('auto', 'packed', 'zarr')


def draw_splits(
    sizes: Sequence[tuple[str, int]],
    num_folds: int = 3,
    val_ratio: float = 0.1,
    test_ratio: float = 0.2,
    seed: int = 1,
) -> list[dict[str, dict[str, np.ndarray]]]:
    """Split the parcels of domains at random, exactly as the authors' code does for a seed.

    For each fold in turn, and within it for each domain in turn, the numbers 0 … N−1 are shuffled by one generator of
    Python's `random`; the first are for training, the next for validation, the last for the test. A domain that stands
    twice in the list is shuffled twice, and the second order replaces the first.

    Args:
        sizes: name and number of parcels of each domain, in order.
        num_folds: number of folds.
        val_ratio: share for validation, rounded down.
        test_ratio: share for the test, rounded down.
        seed: of the generator.

    Returns:
        For each fold: domain to 'train', 'val', 'test' to ascending parcel numbers (int64).

    Raises:
        ValueError: if the shares leave nothing to train on.
    """
    if min(val_ratio, test_ratio) < 0 or val_ratio + test_ratio >= 1:
        raise ValueError(
            f'val_ratio and test_ratio must be shares that add up to less than 1: {val_ratio}, {test_ratio}'
        )
    generator = random.Random(seed)
    folds = []
    for _ in range(num_folds):
        splits = {}
        for name, size in sizes:
            order = list(range(size))
            generator.shuffle(order)
            for_test, for_val = int(test_ratio * size), int(val_ratio * size)
            cuts = (0, size - for_test - for_val, size - for_test, size)
            splits[name] = {
                split: np.sort(np.array(order[first:last], np.int64))
                for split, first, last in zip(SPLITS, cuts[:-1], cuts[1:], strict=True)
            }
        folds.append(splits)
    return folds


def domain_folder(data_root: str | Path, domain: str) -> Path:
    """Folder of a domain.

    Args:
        data_root: folder that holds the countries.
        domain: short name ('DK1') or 'country/tile/year'.

    Raises:
        DataError: if the name is neither, or the folder does not exist.
    """
    path = DOMAINS.get(domain, domain)
    if len(path.strip('/').split('/')) != 3:
        raise DataError(
            f"domain {domain!r} is neither 'country/tile/year' nor one of {', '.join(DOMAINS)}",
            hint='Correct its name.',
        )
    folder = Path(data_root) / path
    if not folder.is_dir():
        held = sorted(str(found.relative_to(data_root)) for found in Path(data_root).glob('*/*/*') if found.is_dir())
        raise DataError(
            f'the domain {domain} is not in data_root, which holds {held[:8] or "no domain"}',
            path=folder,
            hint='Give the folder that holds country/tile/year as data_root.',
        )
    return folder


@DATASETS.register_module()
class TimeMatchDataset(ParcelSeriesDataset):
    """Parcels of one domain, in the setting of a source and a target domain.

    A sample is a parcel: sensor `s2` holds its pixels, values (T,10,S,1) uint16, top of atmosphere reflectance in
    digital numbers; with `sensors=('s2', 'geometry')` sensor `geometry` holds perimeter, area, their quotient and the
    share of the bounding box, (1,4,1,1). The label is (1,1).

    Read are the published zarr arrays (`<domain>/data/<number>.zarr`, `<domain>/meta/metadata.pkl`) or the packed store
    that tools/dataset_converters/timematch.py makes of them (`<domain>/packed`), many times faster.

    Classes are those of the source country with at least `min_parcels` parcels in the source domain, 'unknown' among
    them; parcels of other classes, in source and target, count as 'unknown'. If 'unknown' itself is not among the
    classes, such parcels are neither trained nor scored (255).

    Args:
        data_root: folder that holds country/tile/year.
        source: source domain, which determines the classes: short name (see `DOMAINS`) or 'country/tile/year'.
        target: target domain, if there is one; the random split depends on both, so give the target when training on
            the source too.
        role: which of the two this dataset is: 'source' or 'target'.
        fold: fold of the split, 0 … num_folds − 1.
        split: 'train', 'val' or 'test'; None for all parcels.
        num_folds: number of folds.
        val_ratio: share of the parcels for validation.
        test_ratio: share for the test.
        split_seed: seed of the split.
        min_parcels: least number of source parcels of a class.
        classes: the classes, instead of choosing them by `min_parcels`.
        class_tables: country to class table, for countries that are not built in or to replace those that are: class to
            codes, or path of a YAML file of that form.
        combine_seasons: spring and winter forms of a cereal are one class.
        storage: 'packed', 'zarr', or 'auto' for the packed store where there is one.
        with_labels: see :class:`ParcelSeriesDataset`; False for the target of an adaptation.
        shuffle_source_twice: draw the split of the source as the published source training does, from the list (source,
            source), where the second shuffle replaces the first: it then differs from the source's split in the
            adaptation, and parcels trained on in one are tested on in the other.
        label_seasons_apart: with `combine_seasons`, combine the names of the classes but not the labels, as published:
            all cereals then are 'unknown'.
        **kwargs: see :class:`SeriesDataset`.

    Raises:
        DataError: if a domain is missing or damaged, or no class has enough parcels.
        ValueError: if an argument makes no sense.
    """

    SENSORS: ClassVar[dict[str, Sensor]] = {
        's2': Sensor(BANDS, 'digital numbers, reflectance x 10000'),
        'geometry': Sensor(('perimeter', 'area', 'perimeter/area', 'cover'), 'm, m², 1/m, share'),
    }
    CODE_LIST = 'timematch'

    def __init__(
        self,
        data_root: str = '',
        source: str = 'DK1',
        target: str | None = None,
        role: str = 'source',
        fold: int = 0,
        split: str | None = None,
        num_folds: int = 3,
        val_ratio: float = 0.1,
        test_ratio: float = 0.2,
        split_seed: int = 1,
        min_parcels: int = 200,
        classes: Sequence[str] | None = None,
        class_tables: Mapping[str, Any] | None = None,
        combine_seasons: bool = False,
        storage: str = 'auto',
        shuffle_source_twice: bool = False,
        label_seasons_apart: bool = False,
        **kwargs: Any,
    ) -> None:
        if role not in ROLES or (role == 'target' and target is None):
            raise ValueError(f"role must be 'source', or 'target' where a target is given; got {role!r}, {target!r}")
        if split is not None and split not in SPLITS:
            raise ValueError(f'split must be one of {SPLITS} or None for all parcels, got {split!r}')
        if not 0 <= fold < num_folds:
            raise ValueError(f'fold must be 0 … {num_folds - 1} (num_folds={num_folds}), got {fold}')
        if storage not in STORAGES:
            raise ValueError(f'storage must be one of {STORAGES}, got {storage!r}')
        if label_seasons_apart and not combine_seasons:
            raise ValueError('label_seasons_apart=True has a meaning with combine_seasons=True only')
        self.source, self.target, self.role = source, target, role
        self.fold, self.split, self.num_folds = int(fold), split, num_folds
        self.val_ratio, self.test_ratio, self.split_seed = val_ratio, test_ratio, split_seed
        self.min_parcels, self.chosen_classes = min_parcels, None if classes is None else list(classes)
        self.class_tables = dict(class_tables or {})
        self.combine_seasons, self.label_seasons_apart = combine_seasons, label_seasons_apart
        self.storage, self.shuffle_source_twice = storage, shuffle_source_twice
        if (held := self._packed_sensor(data_root)) is not None:
            # A store of own data has its own bands: they are those of this dataset, not of its class.
            self.SENSORS = {**self.SENSORS, 's2': held}  # type: ignore[misc]
        self.table: DomainTable  # what is known of the domain's parcels without reading a pixel
        super().__init__(data_root, **kwargs)

    @property
    def domain(self) -> str:
        """Name of the domain that this dataset reads."""
        return self.target if self.role == 'target' and self.target is not None else self.source

    def open_stores(self) -> dict[str, ParcelStore]:
        """Open the domain's parcels, and choose the classes by the source's."""
        folder = domain_folder(self.data_root, self.domain)
        store = self._open_parcels(folder)
        self.table = store.table
        source_table = self.table if self._is_source else self._read_table(domain_folder(self.data_root, self.source))
        self._sizes = {self.source: len(source_table)}
        if self.target is not None and self.target != self.source:
            other = self.table if self.role == 'target' else self._read_table(self._target_folder())
            self._sizes[self.target] = len(other)
        classes = self._checked_classes() if self.chosen_classes else self._choose_classes(source_table)
        self._metainfo['classes'] = tuple(classes)
        self._metainfo.setdefault('palette', [list(colour) for colour in palette_of(classes)])
        return {self.SENSOR: store}

    @property
    def _is_source(self) -> bool:
        return self.domain == self.source

    def _target_folder(self) -> Path:
        assert self.target is not None
        return domain_folder(self.data_root, self.target)

    def _use_packed(self, folder: Path) -> bool:
        return self.storage == 'packed' or (self.storage == 'auto' and is_packed(folder))

    @property
    def _bands(self) -> int:
        return len(self.SENSORS['s2'].bands)

    def _packed_sensor(self, data_root: str) -> Sensor | None:
        """Bands and unit of the domain's packed store where they are others than the published."""
        folder = Path(data_root) / DOMAINS.get(self.domain, self.domain)
        return packed_sensor(folder) if self.storage != 'zarr' and is_packed(folder) else None

    def _open_parcels(self, folder: Path) -> ZarrParcels | PackedParcels:
        if self._use_packed(folder):
            packed = PackedParcels(folder, self._bands)
            refuse_stale(packed)
            return packed
        return ZarrParcels(folder, self._read_table(folder), self._bands)

    def _read_table(self, folder: Path) -> DomainTable:
        if self._use_packed(folder):
            return PackedParcels(folder, self._bands).table
        return read_domain_metadata(folder / 'meta' / 'metadata.pkl')

    def _class_table(self, domain: str) -> ClassTable:
        country = DOMAINS.get(domain, domain).split('/')[0]
        table = self.class_tables.get(country, CLASS_TABLES.get(country))
        if table is None:
            known = sorted({*self.class_tables, *CLASS_TABLES})
            raise DataError(
                f'no class table for the country {country!r} of domain {domain}; there are {known}',
                hint='Give one by class_tables={country: {class: [codes]}}.',
            )
        return read_class_table(table) if isinstance(table, str | Path) else table

    def _checked_classes(self) -> list[str]:
        chosen = list(self.chosen_classes or ())
        # Without labels the classes are those of a checkpoint, and the domain's country may have no table.
        if self.with_labels:
            known = [*class_names(self._class_table(self.source), self.combine_seasons), UNKNOWN]
            if missing := [name for name in chosen if name not in known]:
                raise ValueError(f'classes: the class table of {self.source} has no {missing}; it has {known}')
        return chosen

    def _choose_classes(self, table: DomainTable) -> list[str]:
        country = self._class_table(self.source)
        # As published: all parcels of the source count, before any split.
        names = label_codes(table.codes, country, self.combine_seasons)
        chosen = select_classes(names, class_names(country, self.combine_seasons), self.min_parcels)
        if not chosen:
            held = ', '.join(f'{name} {count}' for name, count in Counter(names).most_common(6))
            raise DataError(
                f'no class has {self.min_parcels} parcels in the source domain {self.source}, which has {held}',
                path=table.path,
                hint='Lower min_parcels, or give the classes.',
            )
        return chosen

    def load_data_list(self) -> list[dict]:
        """Entries of the split's parcels, in ascending order of their number.

        Raises:
            DataError: if the split has no parcel.
        """
        table = self.table
        # Without labels the crop codes may be anything, of a country without class table too.
        labels = self._labels() if self.with_labels else [255] * len(table)
        season_start = resolve_season_start(self.season_start, table.days)
        parcels = self._split_parcels()
        if not len(parcels):
            raise DataError(
                f'the {self.split} part of {len(table)} parcels is empty (val_ratio {self.val_ratio}, test_ratio '
                f'{self.test_ratio})',
                path=table.path,
                hint='Choose larger shares, or take a larger domain.',
            )
        return [
            dict(
                sample_id=f'{DOMAINS.get(self.domain, self.domain)}/{parcel}',
                season_start=season_start,
                parcel=int(parcel),
                label=labels[parcel] if self.with_labels else None,
                block=int(table.blocks[parcel]),
            )
            for parcel in parcels
        ]

    def _split_parcels(self) -> np.ndarray:
        if self.split is None:
            return np.arange(len(self.table))
        names = [self.source]
        if self.shuffle_source_twice:
            names = [self.source, self.source]
        elif self.target is not None:
            names = [self.source, self.target]
        if self.domain not in names:
            names = [self.source, self.domain]
        sizes = [(name, self._sizes[name]) for name in names]
        folds = draw_splits(sizes, self.num_folds, self.val_ratio, self.test_ratio, self.split_seed)
        return folds[self.fold][self.domain][self.split]

    def _labels(self) -> list[int]:
        """Label of every parcel of the domain, 255 where neither its class nor 'unknown' is among the classes."""
        classes = list(self._metainfo['classes'])
        combine = self.combine_seasons and not self.label_seasons_apart
        names = label_codes(self.table.codes, self._class_table(self.domain), combine)
        other = classes.index(UNKNOWN) if UNKNOWN in classes else 255
        self._report_others(Counter(name for name in names if name not in classes), other)
        # A parcel without a code is not one of another crop: nothing is known of it.
        nameless = [code_text(code) in ('', 'nan', 'None') for code in self.table.codes]
        return [
            255 if missing else classes.index(name) if name in classes else other
            for name, missing in zip(names, nameless, strict=True)
        ]

    def _report_others(self, others: Counter, label: int) -> None:
        """Say which crops of this domain the classes do not tell apart."""
        if not others or not self.with_labels:
            return
        listed = ', '.join(f'{name} ({count})' for name, count in others.most_common())
        cause = 'were not chosen' if self.chosen_classes else f'the source {self.source} does not have often enough'
        meaning = f'count as {UNKNOWN!r}' if label != 255 else 'are neither trained nor scored'
        print_log(
            f'{self.domain}: parcels of classes that {cause} {meaning}: {listed}',
            'current',
            logging.INFO,
        )

    def static_values(self, sensor: str, parcels: np.ndarray) -> np.ndarray:
        """Geometry of parcels, (B,4); see :class:`ParcelSeriesDataset`."""
        return self.table.geometry[parcels]
