"""A part of a dataset's samples, as if the others had no labels: patches at random, what has one label by class."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from mmengine.logging import print_log
from rich.progress import track

from .errors import DataError

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


def stratified_share(labels: np.ndarray, share: float, seed: int = 0, ignored: int = 255) -> np.ndarray:
    """Choose a share of the labelled samples, each class in proportion.

    Samples of each class are put in random order, then seats are given to classes by the method of Sainte-Laguë: class
    counts are the proportional ones, rounded so that they sum to the rounded share of all. With the same seed a larger
    share contains every smaller one.

    Args:
        labels: (N,) class of each sample.
        share: 0 < share ≤ 1, of the samples that have a label.
        seed: of the order within classes.
        ignored: label of samples without a class, which are never chosen.

    Returns:
        Positions of the chosen samples, ascending; at least one.

    Raises:
        ValueError: if the share is out of range.
        DataError: if no sample has a label.
    """
    if not 0 < share <= 1:
        raise ValueError(f'label_fraction must lie above 0 and not above 1, got {share}')
    labelled = np.flatnonzero(labels != ignored)
    if not len(labelled):
        raise DataError(
            'no sample has a label to take a share of', hint='Leave label_fraction out, or check the labels.'
        )
    order = np.random.default_rng(seed).permutation(labelled)
    classes = labels[order]
    seat = np.empty(len(order))
    for number in np.unique(classes):
        members = np.flatnonzero(classes == number)
        seat[members] = (np.arange(len(members)) + 0.5) / len(members)
    # Of equal quotients the larger class comes first, then chance.
    size = np.bincount(classes)[classes]
    chosen = np.lexsort((np.arange(len(order)), -size, seat))[: max(1, round(share * len(order)))]
    return np.sort(order[chosen])


def lost_classes(labels: np.ndarray, chosen: np.ndarray, classes: Sequence[str], ignored: int = 255) -> list[str]:
    """Names of classes that occur in all labels (N,), but not at the chosen positions."""
    lost = set(labels.tolist()) - set(labels[chosen].tolist()) - {ignored}
    return [classes[number] if number < len(classes) else str(number) for number in sorted(lost)]
