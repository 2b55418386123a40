"""`ParcelSeriesDataset`: what datasets of parcels and single pixels share, first of all the batched reading."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dataset import pseudo_collate
from mmengine.logging import print_log

from .base import SeriesDataset
from .collate import CollatedBatch
from .label_fraction import lost_classes, stratified_share
from .nomenclature import ClassMatch
from .parcel_batch import ParcelBatch, single_sample, transformed
from .parcel_store import ParcelStore
from .samplers import DrawIndex


class ParcelSeriesDataset(SeriesDataset):
    """Base of datasets whose samples are pixel sets S×1 (a pixel's series has S = 1) with one label.

    A whole batch is read, sampled, augmented and collated at once (`__getitems__`), as long as the pipeline's
    transforms can (those with `transform_batch`: all but `SelectDate` and what is for patches); from the first that
    cannot on, its samples go through the rest one by one. A sample asked for alone goes the same
    way as a batch of one, so both give the same numbers. The data loader needs
    `collate_fn=dict(type='identity_collate')`.

    Nothing has to load in the pipeline: it starts with the choice of pixels.

    A subclass writes `open_stores` (called first), `load_data_list` (entries with `sample_id`, `season_start`,
    `parcel`, the number in the stores, and `label`, None or 0 … 255) and, where it has sensors without time,
    `static_values`.

    Args:
        with_labels: hand labels on. False for the unlabelled domain of an adaptation: no label is in any sample.
        **kwargs: as in :class:`SeriesDataset`.

    Attributes:
        stores: where the pixels of each sensor that changes in time are; parcels have one number and the same pixels in
            all of them.
        labels: label of each sample, (N,) uint8, 255 ignored; None without labels.
        sample_sizes: number of pixels of each sample, (N,) int64.
    """

    SENSOR = 's2'
    """A sensor that must be among `sensors`; in a dataset with one store that of the store."""

    def __init__(self, *args: Any, with_labels: bool = True, **kwargs: Any) -> None:
        if kwargs.get('label_fraction') is not None and not with_labels:
            raise ValueError('label_fraction chooses among labels, which with_labels=False leaves out')
        self.with_labels = with_labels
        self.stores: dict[str, ParcelStore] = {}
        self.labels: np.ndarray | None = None
        self.sample_sizes = np.zeros(0, np.int64)
        super().__init__(*args, **kwargs)
        if self.SENSOR not in self.sensors:
            raise ValueError(f'{type(self).__name__}: sensors must contain {self.SENSOR!r}, got {list(self.sensors)}')

    def full_init(self) -> None:
        """Open the stores, read the index and the labels (mmengine calls it once)."""
        if self._fully_initialized:
            return
        self.stores = self.open_stores()
        super().full_init()
        self._gather_entries()

    def open_stores(self) -> dict[str, ParcelStore]:
        """Stores of the sensors that change in time; also sets `classes` and `palette` in the metainfo where these come
        from the data."""
        raise NotImplementedError

    @property
    def store(self) -> ParcelStore:
        """The store of the first sensor that has one."""
        return next(iter(self.stores.values()))

    def static_values(self, sensor: str, parcels: np.ndarray) -> np.ndarray:
        """Values of a sensor without time for parcels of the store, (B,C) in the order of its file."""
        raise NotImplementedError

    def get_subset_(self, indices: Sequence[int] | int) -> None:
        """Keep the samples at some positions; see mmengine."""
        super().get_subset_(indices)
        self._gather_entries()

    def get_subset(self, indices: Sequence[int] | int) -> ParcelSeriesDataset:
        """A dataset of the samples at some positions; see mmengine."""
        subset = super().get_subset(indices)
        subset._gather_entries()
        return subset

    def _keep_labels(self, fraction: float) -> None:
        """Keep a share of the labelled samples, each class in proportion."""
        self._gather_entries()
        if self.labels is None:
            raise ValueError('label_fraction chooses among labels, which the dataset does not have')
        chosen = stratified_share(self.labels, fraction, self.label_seed)
        lost = lost_classes(self.labels, chosen, self._metainfo.get('classes', ()))
        name = f'{type(self).__name__} ({self.data_root})'
        print_log(f'{name}: {len(chosen)} of {len(self)} samples keep their label', 'current', logging.INFO)
        if lost:
            print_log(
                f'{name}: with label_fraction={fraction} no sample is left of {len(lost)} classes, which cannot '
                f'be learnt: {", ".join(lost)}',
                'current',
                logging.WARNING,
            )
        self.get_subset_(chosen.tolist())

    def _gather_entries(self) -> None:
        """Bring what a batch needs of the entries into arrays."""
        entries = [self.get_data_info(index) for index in range(len(self))]
        self._parcels = np.array([entry['parcel'] for entry in entries], np.int64)
        self._season_starts = np.array([entry['season_start'] for entry in entries], np.int64)
        self._sample_ids = [entry['sample_id'] for entry in entries]
        self.sample_sizes = self.store.sizes[self._parcels]
        if not self.with_labels:
            self.labels = None
            return
        classes = self._metainfo.get('classes', ())
        if self._new_labels is None and len(classes) > 255:
            raise ValueError(
                f'{len(classes)} classes; labels go up to 254: choose classes, or join them by '
                'nomenclature=dict(level=…).'
            )
        labels = np.array([-1 if entry['label'] is None else entry['label'] for entry in entries], np.int64)
        labels[np.isin(labels, self.ignored_labels)] = -1
        if self._new_labels is not None:
            labels = np.where(labels < 0, 255, self._new_labels[labels])
        self.labels = np.where(labels < 0, 255, labels).astype(np.uint8)

    def translate_labels(self, match: ClassMatch, number: int) -> None:
        """See :class:`SeriesDataset`."""
        super().translate_labels(match, number)
        self._gather_entries()

    def day_range(self) -> tuple[int, int]:
        """First and last observed day of the season over all samples, days since each sample's season start."""
        observed = [
            (store.days(self._parcels) - self._season_starts[:, None])[store.exists(self._parcels)]
            for store in self.stores.values()
        ]
        days = np.concatenate(observed)
        return int(days.min(initial=2**31 - 1)), int(days.max(initial=-(2**31)))

    def prepare_data(self, idx: int) -> Any:
        """Read and transform one sample: a batch of one.

        Args:
            idx: A plain index or a `DrawIndex`.
        """
        result = self._run([idx])
        return single_sample(result) if isinstance(result, CollatedBatch) else result[0]

    def __getitems__(self, indices: Sequence[int]) -> CollatedBatch:
        """Read, sample, augment and collate a whole batch; the data loader calls it.

        Args:
            indices: plain indices or `DrawIndex`.

        Returns:
            What the data preprocessor takes.
        """
        if not self._fully_initialized:
            self.full_init()
        result = self._run(indices)
        return result if isinstance(result, CollatedBatch) else CollatedBatch(pseudo_collate(result))

    def _run(self, indices: Sequence[int]) -> Any:
        return transformed(self._open_batch(indices), self.pipeline.transforms)

    def _open_batch(self, indices: Sequence[int]) -> ParcelBatch:
        positions = np.array([int(index) for index in indices], np.int64)
        parcels = self._parcels[positions]
        draws = [
            (index.seed, index.draw) if isinstance(index, DrawIndex) else (self.seed, int(index)) for index in indices
        ]
        infos: dict[str, Any] = dict(sensors_info=self.sensors_info, ignored_labels=self.ignored_labels)
        if self.statistics_in_sample:
            infos['statistics'] = self._statistics
        static = {}
        for sensor in self.sensors:
            if sensor not in self.stores:
                static[sensor] = self.static_values(sensor, parcels)[:, self._band_positions(sensor)]
        return ParcelBatch(
            stores=self.stores,
            bands={sensor: self._band_positions(sensor) for sensor in self.stores},
            parcels=parcels,
            draws=draws,
            targets=None if self.labels is None else self.labels[positions],
            season_starts=self._season_starts[positions],
            static=static,
            sample_ids=[self._sample_ids[position] for position in positions],
            infos=infos,
        )

    def _band_positions(self, sensor: str) -> list[int]:
        info = self.sensors_info[sensor]
        return [info['file_bands'].index(band) for band in info['bands']]
