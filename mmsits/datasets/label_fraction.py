"""A part of a dataset's samples, as if the others had no labels."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import numpy as np
from mmengine.logging import print_log
from rich.progress import track

if TYPE_CHECKING:
    from .base import SeriesDataset

IGNORED = 255


def chosen_samples(count: int, fraction: float, seed: int) -> np.ndarray:
    """Positions of a random share of samples, in order; that of a smaller share is part of that of a larger one.

    Args:
        count: N.
        fraction: 0 < fraction ≤ 1; at least one sample is chosen.
        seed: of the choice.

    Returns:
        (ceil(fraction · N),) int64, ascending.
    """
    # A product such as 0.05 · 1000 may lie a hair above the whole number that is meant.
    kept = max(1, math.ceil(fraction * count - 1e-9))
    return np.sort(np.random.default_rng(seed).permutation(count)[:kept])


def keep_fraction(dataset: SeriesDataset, fraction: float, seed: int) -> None:
    """Keep a share of a dataset's samples and warn of the classes that only others have.

    Args:
        dataset: fully initialised; labels that were not kept are read until each missing class is found.
        fraction: see :func:`chosen_samples`.
        seed: see :func:`chosen_samples`.
    """
    total = len(dataset)
    kept = chosen_samples(total, fraction, seed)
    classes = tuple(dataset.metainfo.get('classes', ()))
    lost = _lost_classes(dataset, kept, len(classes)) if len(kept) < total else []
    dataset.get_subset_(kept.tolist())
    share = f'{dataset.data_root}: {len(kept)} of {total} samples are kept (label_fraction={fraction}, seed {seed})'
    print_log(f'{share}.', 'current', logging.INFO)
    if lost:
        names = ', '.join(str(classes[label]) for label in lost)
        print_log(
            f'{share}; {len(lost)} classes disappear, none of their pixels is left: {names}. They cannot be learned. '
            'Take a larger share or another label_seed.',
            'current',
            logging.WARNING,
        )


def _lost_classes(dataset: SeriesDataset, kept: np.ndarray, num_classes: int) -> list[int]:
    """Classes that occur in the dataset and not in the kept samples."""
    from .class_counts import sample_labels

    missing = np.ones(num_classes, bool)
    for index in track(kept.tolist(), description='classes of the kept labels', transient=True):
        missing[_classes_of(sample_labels(dataset, index), num_classes)] = False
    lost = np.zeros(num_classes, bool)
    others = np.setdiff1d(np.arange(len(dataset)), kept).tolist()
    for index in track(others, description='classes of the other labels', transient=True):
        if not (missing & ~lost).any():
            break
        lost[_classes_of(sample_labels(dataset, index), num_classes)] = True
    return np.flatnonzero(missing & lost).tolist()


def _classes_of(labels: np.ndarray, num_classes: int) -> np.ndarray:
    found = np.unique(labels)
    return found[found < min(num_classes, IGNORED)].astype(np.int64)
