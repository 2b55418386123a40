"""Fuzzy c-means, and labels for the samples that belong to a cluster of one class beyond doubt.

Bezdek, Ehrlich & Full, FCM: The fuzzy c-means clustering algorithm, Computers & Geosciences 10 (1984).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class FuzzyClusters(NamedTuple):
    """Clusters to which samples belong in part.

    Attributes:
        centres: (K,D).
        membership: (N,K), rows summing to 1.
        steps: how many steps were taken.
    """

    centres: np.ndarray
    membership: np.ndarray
    steps: int


def fuzzy_c_means(
    features: np.ndarray,
    clusters: int,
    fuzziness: float = 1.5,
    tolerance: float = 1e-5,
    max_steps: int = 300,
    seed: int = 0,
) -> FuzzyClusters:
    """Cluster samples.

    Centres start at spread samples (k-means++). Many dimensions draw all centres to the middle: reduce them first, or
    lower the fuzziness.

    Args:
        features: (N,D), finite.
        clusters: K ≤ N.
        fuzziness: m > 1; 1 is k-means in the limit.
        tolerance: largest change of a membership with which it is over.
        max_steps: or after so many steps.
        seed: of the start.

    Raises:
        ValueError: if there are fewer samples than clusters, a value is not finite, or m is not above 1.
    """
    from sklearn.cluster import kmeans_plusplus

    if fuzziness <= 1:
        raise ValueError(f'fuzziness must be above 1, got {fuzziness}')
    if not 1 <= clusters <= len(features):
        raise ValueError(f'{clusters} clusters of {len(features)} samples')
    if not np.isfinite(features).all():
        raise ValueError('features must be finite: fill what is missing')
    features = np.asarray(features, np.float64)
    centres = kmeans_plusplus(features, clusters, random_state=seed)[0]
    membership = _memberships(features, centres, fuzziness)
    steps = 0
    while steps < max_steps:
        steps += 1
        weights = membership**fuzziness
        # A cluster that nobody belongs to stays where it is.
        sums = weights.sum(axis=0)[:, None]
        centres = np.where(sums > 0, weights.T @ features / np.maximum(sums, 1e-300), centres)
        renewed = _memberships(features, centres, fuzziness)
        change = np.abs(renewed - membership).max()
        membership = renewed
        if change < tolerance:
            break
    return FuzzyClusters(centres, membership, steps)


def _memberships(features: np.ndarray, centres: np.ndarray, fuzziness: float) -> np.ndarray:
    squared = ((features[:, None] - centres) ** 2).sum(axis=2)
    # In logarithms, so that neither a sample on a centre nor a small m overflows.
    exponent = -np.log(np.maximum(squared, 1e-300)) / (fuzziness - 1)
    exponent -= exponent.max(axis=1, keepdims=True)
    weights = np.exp(exponent)
    return weights / weights.sum(axis=1, keepdims=True)


def propose_from_clusters(
    membership: np.ndarray, labels: np.ndarray, num_classes: int, fuzziness: float = 1.5
) -> np.ndarray:
    """Probabilities of the classes of all samples, from the labels of some.

    The share of a class in a cluster is that of its labelled members, weighted by membership to the power m; a sample
    has the shares of its clusters, weighted by its memberships. A cluster without a labelled member tells nothing.

    Args:
        membership: (N,K).
        labels: (N,) class of each sample, -1 where unknown.
        num_classes: C.
        fuzziness: m of the clusters.

    Returns:
        (N,C); rows sum to 1 at most, less where clusters without a labelled member are part of it.

    Raises:
        ValueError: if no sample is labelled.
    """
    known = labels >= 0
    if not known.any():
        raise ValueError('no sample is labelled: clusters cannot be named')
    weights = membership[known] ** fuzziness
    counts = weights.T @ np.eye(num_classes)[labels[known]]
    totals = counts.sum(axis=1, keepdims=True)
    # Less than half a sample says nothing of a cluster.
    shares = np.where(totals >= 0.5, counts / np.maximum(totals, 1e-12), 0)
    return membership @ shares
