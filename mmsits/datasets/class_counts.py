"""How often each class occurs in training data."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.progress import track

from .errors import DataError
from .transforms import LoadSeriesLabels

IGNORED = 255


def count_classes(dataset: Any, num_classes: int, max_samples: int | None = 1000, seed: int = 0) -> np.ndarray:
    """Count how often each class occurs: samples where each has one label, labelled pixels where it has a map.

    Args:
        dataset: a dataset of the library, or several joined or repeated by mmengine.
        num_classes: K.
        max_samples: of label maps, read at most so many, chosen at random; None for all.
        seed: of that choice.

    Returns:
        (K,) int64; counts of a part of the maps are scaled up to all of them.

    Raises:
        DataError: if there is no label.
    """
    counts = _counts(getattr(dataset, 'main', dataset), num_classes, max_samples, seed)
    if not counts.any():
        raise DataError(
            f'{type(dataset).__name__} has no labelled sample to count classes in', hint='Check labels and splits.'
        )
    return counts


def _counts(dataset: Any, num_classes: int, max_samples: int | None, seed: int) -> np.ndarray:
    labels = getattr(dataset, 'labels', None)
    if isinstance(labels, np.ndarray):
        return _histogram(labels, num_classes)
    parts = getattr(dataset, 'datasets', None)
    if parts is not None:
        return np.sum([_counts(part, num_classes, max_samples, seed) for part in parts], axis=0)
    if hasattr(dataset, 'dataset'):
        return _counts(dataset.dataset, num_classes, max_samples, seed)
    size = len(dataset)
    indices = np.arange(size)
    if max_samples is not None and size > max_samples:
        indices = np.sort(np.random.default_rng(seed).choice(size, max_samples, replace=False))
    counts = np.zeros(num_classes, np.int64)
    for index in track(indices, description='counting classes', transient=True):
        counts += _histogram(sample_labels(dataset, int(index)), num_classes)
    return np.rint(counts * (size / len(indices))).astype(np.int64)


def sample_labels(dataset: Any, index: int) -> np.ndarray:
    """Labels of one sample, without its images where these can be told apart.

    Args:
        dataset: a dataset of the library.
        index: of the sample.

    Returns:
        Of any shape, uint8, 255 ignored; empty without labels.
    """
    labels = getattr(dataset, 'labels', None)
    if isinstance(labels, np.ndarray):
        return labels[index : index + 1]
    if hasattr(dataset, 'label_map'):
        return dataset.label_map(index)
    for step in getattr(getattr(dataset, 'pipeline', None), 'transforms', ()):
        if isinstance(step, LoadSeriesLabels):
            info = dataset.label_info(index) if hasattr(dataset, 'label_info') else dataset.get_data_info(index)
            return step(info).get('targets', np.zeros(0, np.uint8))
    sample = dataset[index]
    return np.asarray(sample['targets']) if 'targets' in sample else np.zeros(0, np.uint8)


def _histogram(labels: np.ndarray, num_classes: int) -> np.ndarray:
    known = labels[labels != IGNORED].astype(np.int64)
    return np.bincount(known[known < num_classes], minlength=num_classes)
