"""Active learning: which of many unlabelled samples are worth a visit.

Uncertainty (entropy, margin) asks for what a network is least sure of, a core-set (Sener & Savarese, Active Learning
for Convolutional Neural Networks: A Core-Set Approach, ICLR 2018) for what is least like anything labelled. Either may
put all its choices into one corner, so a distance between them can be asked for.
"""

from __future__ import annotations

import numpy as np


def entropy_scores(probabilities: np.ndarray) -> np.ndarray:
    """Entropy of the classes as a share of the largest possible, 0 … 1.

    Args:
        probabilities: (N,K), rows summing to 1.

    Returns:
        (N,); NaN where a row is.
    """
    p = np.clip(probabilities, 1e-12, 1)
    return -(p * np.log(p)).sum(axis=1) / np.log(probabilities.shape[1])


def margin_scores(probabilities: np.ndarray) -> np.ndarray:
    """How near the second class is to the first: 1 less the difference of their probabilities, 0 … 1.

    Args:
        probabilities: (N,K), K ≥ 2.

    Returns:
        (N,); NaN where a row is.
    """
    ordered = np.sort(probabilities, axis=1)
    return 1 - (ordered[:, -1] - ordered[:, -2])


def choose(
    scores: np.ndarray,
    places: np.ndarray,
    count: int,
    spacing: float = 0.0,
    taken: np.ndarray | None = None,
) -> np.ndarray:
    """The samples with the largest scores that keep a distance from each other and from what is labelled.

    Args:
        scores: (N,); NaN is never chosen. Of equal scores the first is taken.
        places: (N,2), in metres.
        count: how many at most.
        spacing: least distance in metres; 0 for none.
        taken: (M,2) places of labelled samples.

    Returns:
        Positions, best first; fewer than `count` where no more fit.
    """
    free = ~np.isnan(scores)
    if spacing > 0 and taken is not None:
        for place in taken:
            free &= _distances(places, place) >= spacing
    chosen: list[int] = []
    for position in np.argsort(-np.where(free, scores, -np.inf), kind='stable'):
        if len(chosen) == count or not np.isfinite(scores[position]):
            break
        if not free[position]:
            continue
        chosen.append(int(position))
        if spacing > 0:
            free &= _distances(places, places[position]) >= spacing
    return np.array(chosen, np.int64)


def core_set_order(
    features: np.ndarray,
    count: int,
    labelled: np.ndarray | None = None,
    places: np.ndarray | None = None,
    spacing: float = 0.0,
    taken: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Samples that are far from everything chosen before, one after the other (greedy k-centre).

    Args:
        features: (N,D) finite; rows with NaN are never chosen.
        count: how many at most.
        labelled: (M,D) features of labelled samples, rows with NaN do not count; None or empty starts with the sample
            nearest to the mean.
        places: (N,2) in metres, needed for a spacing.
        spacing: see `choose`.
        taken: see `choose`.

    Returns:
        Positions in the order of choice, and the distance of each from what was chosen before (infinite for the first
        of all).

    Raises:
        ValueError: if a spacing is asked for without places.
    """
    if spacing > 0 and places is None:
        raise ValueError('a spacing needs places')
    known = np.isfinite(features).all(axis=1)
    free = known.copy()
    if spacing > 0 and taken is not None and places is not None:
        for place in taken:
            free &= _distances(places, place) >= spacing
    nearest = np.full(len(features), np.inf)
    for row in labelled if labelled is not None else ():
        if np.isfinite(row).all():
            nearest = np.minimum(nearest, _distances(features, row))
    chosen: list[int] = []
    radii: list[float] = []
    while len(chosen) < count and free.any():
        if np.isinf(nearest[free]).any():
            # Nothing to be far from yet: begin in the middle.
            offsets = _distances(features, features[known].mean(axis=0))
            position = int(np.argmin(np.where(free, offsets, np.inf)))
        else:
            position = int(np.argmax(np.where(free, nearest, -np.inf)))
        chosen.append(position)
        radii.append(float(nearest[position]))
        nearest = np.minimum(nearest, _distances(features, features[position]))
        free[position] = False
        if spacing > 0 and places is not None:
            free &= _distances(places, places[position]) >= spacing
    return np.array(chosen, np.int64), np.array(radii)


def _distances(rows: np.ndarray, point: np.ndarray) -> np.ndarray:
    return np.sqrt(((rows - point) ** 2).sum(axis=1))
