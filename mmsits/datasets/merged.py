"""Several datasets as one: `MergedDataset`, their classes matched by the crop nomenclature, and `UnlabelledUnion`."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import ConcatDataset
from mmengine.logging import print_log
from mmseg.registry import DATASETS

from mmsits.structures import ImageSeries

from .base import SeriesDataset, report_match
from .collate import CollatedBatch
from .nomenclature import IGNORED, ClassMatch, match_classes


class JoinedDatasets(ConcatDataset):
    """Several open datasets as one: what those that join them have in common.

    Attributes:
        metainfo: that of the first, with the statistics of all.
    """

    @property
    def statistics(self) -> dict[str, dict[str, list[float]]]:
        """Mean and standard deviation per band over all datasets that have them, weighted by their samples."""
        sensors = {sensor for part in self.datasets for sensor in part.metainfo['statistics']}
        return {sensor: self._pooled(sensor) for sensor in sorted(sensors)}

    @property
    def statistics_in_sample(self) -> bool:
        """Whether samples bring the statistics of their dataset."""
        return all(part.statistics_in_sample for part in self.datasets)

    def _pooled(self, sensor: str) -> dict[str, list[float]]:
        held = [(len(part), part.metainfo['statistics'].get(sensor)) for part in self.datasets]
        weights = np.array([size for size, values in held if values], np.float64)
        weights = weights[:, None] / weights.sum()
        means, deviations = (np.array([values[key] for _, values in held if values]) for key in ('mean', 'std'))
        mean = (weights * means).sum(0)
        # Variance within the datasets and between their means.
        variance = (weights * (deviations**2 + (means - mean) ** 2)).sum(0)
        return dict(mean=mean.tolist(), std=np.sqrt(variance).tolist())

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """A batch; the data loader calls it.

        Args:
            indices: plain indices or `DrawIndex`.

        Returns:
            The batch of a dataset that collates by itself, joined with those of others where they are of one shape;
            else a list of samples.
        """
        places = [self._get_ori_dataset_idx(index) for index in indices]
        parts, order = [], []
        for number, dataset in enumerate(self.datasets):
            chosen = [position for position, (owner, _) in enumerate(places) if owner == number]
            if chosen:
                order += chosen
                parts.append(_fetch(dataset, [places[position][1] for position in chosen]))
        back = np.argsort(order).tolist()
        if _can_be_joined(parts):
            return _join(parts, back)
        samples = [sample for part in parts for sample in (_rows(part) if isinstance(part, CollatedBatch) else part)]
        return [samples[position] for position in back]


@DATASETS.register_module()
class UnlabelledUnion(JoinedDatasets):
    """Joins datasets without their labels, for pre-training; their classes may be any.

    The datasets give the same sensors with the same bands in the same units. Each keeps its own pipeline and its own
    start of the season; `ContrastiveViews(pipeline=…)` gives all of them one pipeline. Classes, and what else the
    datasets do not have in common, are not in the metainfo.

    Args:
        datasets: datasets (`SeriesDataset`), or their configs.

    Raises:
        ValueError: if there is no dataset, or sensors, bands or units differ.
    """

    def __init__(self, datasets: Sequence[SeriesDataset | Mapping[str, Any]]) -> None:
        parts = open_alike(datasets, type(self).__name__)
        first = parts[0].metainfo
        differing = [key for key in first if any(part.metainfo.get(key) != first[key] for part in parts)]
        differing += ['classes', 'palette']
        unknown = {key for part in parts for key in part.metainfo} - set(first)
        super().__init__([without_labels(part) for part in parts], ignore_keys=[*differing, *unknown])
        shared = {key: value for key, value in self.metainfo.items() if key not in differing}
        self._metainfo = dict(shared, statistics=self.statistics)

    def __getitem__(self, idx: int) -> Any:
        """A sample, without its labels."""
        return _drop_targets(super().__getitem__(idx))

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """A batch; see `JoinedDatasets`."""
        batch = super().__getitems__(indices)
        return [_drop_targets(sample) for sample in batch] if isinstance(batch, list) else _drop_targets(batch)


@DATASETS.register_module()
class MergedDataset(JoinedDatasets):
    """Joins datasets whose classes have other names: these are translated into shared ones, see `match_classes`.

    What was merged, dropped and found in one dataset only is in the log. Classes that are dropped are neither trained
    nor scored (255). The datasets give the same sensors with the same bands in the same units; patches, parcels and
    pixels can be joined, and each dataset keeps its own pipeline and its own start of the season.

    To validate on another dataset than was trained on, give both the same classes: `classes` here, and
    `nomenclature=dict(classes=…)` there; tools/analysis_tools/match_classes.py prints them.

    Args:
        datasets: Datasets (`SeriesDataset`), or their configs. One whose kind has no list of codes names it by its
            option `code_list`.
        level: Level of HCAT, 1 … 6.
        classes: Merged classes, instead of a level.
        keep: Classes that are matched by their names.
        lazy_init: Not possible here: what the classes are is known when the datasets are open.

    Attributes:
        match: What became of the classes of each dataset.
        labels: Label of each sample; None where a dataset does not know them beforehand.
        sample_sizes: Pixels of each sample; None likewise.

    Raises:
        ValueError: If there is no dataset, or sensors, bands or units differ.
    """

    def __init__(
        self,
        datasets: Sequence[SeriesDataset | Mapping[str, Any]],
        level: int = 5,
        classes: Sequence[str | int] | Mapping[str, Any] | None = None,
        keep: Sequence[str] = (),
        lazy_init: bool = False,
    ) -> None:
        if lazy_init:
            raise ValueError('MergedDataset opens its datasets to learn their classes: leave lazy_init out')
        parts = open_alike(datasets, type(self).__name__)
        names = _names(parts)
        codes = [part.class_codes() for part in parts]
        self.match: ClassMatch = match_classes(*codes, names=names, level=level, classes=classes, keep=keep)
        report_match(self.match, codes, ' and '.join(names))
        for number, part in enumerate(parts):
            part.translate_labels(self.match, number)
        _report_unlabelled(parts, names)
        differing = {key for part in parts for key in part.metainfo} - {'classes', 'palette', 'bands', 'units'}
        super().__init__(parts, ignore_keys=sorted(differing))
        self._metainfo['statistics'] = self.statistics

    @property
    def labels(self) -> np.ndarray | None:
        """Label of each sample, (N,) uint8, 255 ignored; None where a dataset gives label maps or no labels."""
        return self._joined('labels')

    @property
    def sample_sizes(self) -> np.ndarray | None:
        """Number of pixels of each sample, (N,) int64; None where a dataset does not know it beforehand."""
        return self._joined('sample_sizes')

    def class_codes(self) -> Mapping[str, Any]:
        """Codes of HCAT of the classes, in the order of the labels."""
        return self.match.class_codes()

    def _joined(self, name: str) -> np.ndarray | None:
        parts = [getattr(part, name, None) for part in self.datasets]
        # Scenes call the maps that they cut their labels from `labels` too.
        known = [part for part in parts if isinstance(part, np.ndarray)]
        return np.concatenate(known) if len(known) == len(parts) else None


def open_alike(datasets: Sequence[Any], owner: str) -> list[Any]:
    """Datasets, built where they are configs, their indices read.

    Raises:
        ValueError: if there is none, or they differ in sensors, bands or units.
    """
    if not datasets:
        raise ValueError(f'{owner} needs at least one dataset')
    parts = [DATASETS.build(part) if isinstance(part, Mapping) else part for part in datasets]
    for part in parts:
        part.full_init()
    _refuse_other_bands(parts)
    return parts


def without_labels(dataset: Any) -> Any:
    """The same dataset without labels, where it can be told so; those of others are taken out of their samples."""
    view = copy.copy(dataset)
    if isinstance(dataset, JoinedDatasets):
        view.datasets = [without_labels(part) for part in dataset.datasets]
        return view
    if getattr(dataset, 'labels', None) is None:
        return dataset
    view.labels, view.with_labels = None, False
    return view


def _drop_targets(data: Any) -> Any:
    data.pop('targets', None)
    return data


def _names(parts: Sequence[Any]) -> list[str]:
    """A name for each dataset: its folder or table, numbered where several have the same."""
    names: list[str] = []
    for part in parts:
        table = getattr(getattr(part, 'table', None), 'path', None)
        name = getattr(table, 'stem', '') if type(part).__name__ == 'SeriesTableDataset' else ''
        name = name or str(part.data_root or '').rstrip('/').rpartition('/')[2] or type(part).__name__
        names.append(f'{name} ({len(names) + 1})' if name in names else name)
    return names


def _refuse_other_bands(parts: Sequence[Any]) -> None:
    for what in ('bands', 'units'):
        first = parts[0].metainfo[what]
        for number, part in enumerate(parts[1:], 2):
            if dict(part.metainfo[what]) != dict(first):
                raise ValueError(
                    f'datasets to merge must give the same {what}: those of the first are {dict(first)}, those of '
                    f'number {number} ({type(part).__name__}) {dict(part.metainfo[what])}. Choose sensors and bands '
                    'that all have, and name the unit alike where it is the same.'
                )


def _report_unlabelled(parts: Sequence[Any], names: Sequence[str]) -> None:
    for part, name in zip(parts, names, strict=True):
        labels = getattr(part, 'labels', None)
        if isinstance(labels, np.ndarray) and (labels == IGNORED).any():
            lost = int((labels == IGNORED).sum())
            print_log(f'{name}: {lost} of {len(labels)} samples have none of these classes', 'current', logging.INFO)


def _fetch(dataset: Any, indices: Sequence[int]) -> Any:
    fetch = getattr(dataset, '__getitems__', None)
    return fetch(indices) if fetch else [dataset[index] for index in indices]


def _can_be_joined(parts: Sequence[Any]) -> bool:
    """Whether batches differ in nothing but their samples."""
    if not all(isinstance(part, CollatedBatch) and _is_stacked(part) for part in parts):
        return False
    kinds = {
        tuple(
            (name, *((tuple(field.shape[1:]), field.dtype) for field in series))
            for name, series in part['inputs'].items()
        )
        for part in parts
    }
    return len(kinds) == 1 and len({'targets' in part for part in parts}) == 1


def _is_stacked(batch: Mapping[str, Any]) -> bool:
    fields = [field for series in batch['inputs'].values() for field in series]
    return all(isinstance(field, torch.Tensor) for field in [*fields, batch.get('targets', fields[0])])


def _join(parts: Sequence[CollatedBatch], order: Sequence[int]) -> CollatedBatch:
    if len(parts) == 1:
        return parts[0]
    joined = CollatedBatch(inputs={})
    for name in parts[0]['inputs']:
        fields = zip(*(part['inputs'][name] for part in parts), strict=True)
        joined['inputs'][name] = ImageSeries(*(torch.cat(field)[order] for field in fields))
    if 'targets' in parts[0]:
        joined['targets'] = torch.cat([part['targets'] for part in parts])[order]
    metas = [meta for part in parts for meta in part['metas']]
    joined['metas'] = [metas[position] for position in order]
    return joined


def _rows(batch: CollatedBatch) -> list[dict[str, Any]]:
    """Samples of a batch, whether its tensors are stacked or listed."""
    samples = []
    for row, meta in enumerate(batch['metas']):
        inputs = {name: ImageSeries(*(field[row] for field in series)) for name, series in batch['inputs'].items()}
        sample: dict[str, Any] = dict(inputs=inputs, metas=meta)
        if 'targets' in batch:
            sample['targets'] = batch['targets'][row]
        samples.append(sample)
    return samples
