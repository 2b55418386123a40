"""Fewer labels: a part of the labelled samples that keeps the proportions of classes, the same for the same seed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .errors import DataError


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
        raise ValueError(f'label_share must lie above 0 and not above 1, got {share}')
    labelled = np.flatnonzero(labels != ignored)
    if not len(labelled):
        raise DataError('no sample has a label to take a share of', hint='Leave label_share out, or check the labels.')
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
