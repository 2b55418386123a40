"""Time-weighted dynamic time warping to prototypes of the classes.

Maus et al., A Time-Weighted Dynamic Time Warping Method for Land-Use and Land-Cover Mapping, JSTARS 9 (8), 2016. Series
may run ahead or behind, but matching observations costs the more the further their days lie apart: by the logistic
function 1 / (1 + exp(-α (|Δt| - β))). Whole seasons are compared; the published method also searches a pattern within
longer series.
"""

from __future__ import annotations

import numpy as np

STEEPNESS, MIDPOINT = 0.1, 50.0
"""Published α (per day) and β (days) for crops."""


def time_weighted_distances(
    values: np.ndarray,
    days: np.ndarray,
    exists: np.ndarray,
    prototypes: np.ndarray,
    prototype_days: np.ndarray,
    steepness: float = STEEPNESS,
    midpoint: float = MIDPOINT,
) -> np.ndarray:
    """Cost of the cheapest way to match each series with each prototype.

    The cost of matching two observations is the Euclidean distance of their bands plus the time weight; that of a way
    is the sum. Bring bands to one scale first, of about 1.

    Args:
        values: (N,T,C).
        days: (N,T), ascending.
        exists: (N,T) bool; other dates are passed over.
        prototypes: (P,S,C).
        prototype_days: (S,) of all prototypes, counted from the same day.
        steepness: α, per day.
        midpoint: β, days.

    Returns:
        (N,P); NaN for a series without a date.
    """
    count, length = exists.shape
    number, steps = prototypes.shape[:2]
    row = np.full((count, number, steps + 1), np.inf)
    row[..., 0] = 0
    begun = np.zeros(count, bool)
    for date in range(length):
        apart = np.abs(days[:, date, None] - prototype_days)
        weight = 1 / (1 + np.exp(-steepness * (apart - midpoint)))
        difference = values[:, date, None, None] - prototypes
        cost = np.sqrt((difference**2).sum(axis=3)) + weight[:, None]
        ahead = np.full_like(row, np.inf)
        for step in range(steps):
            before = np.minimum(np.minimum(row[..., step], row[..., step + 1]), ahead[..., step])
            ahead[..., step + 1] = cost[..., step] + before
        here = exists[:, date]
        row[here] = ahead[here]
        begun |= here
    found = row[..., -1]
    found[~begun] = np.nan
    return found


def class_prototypes(
    values: np.ndarray,
    days: np.ndarray,
    exists: np.ndarray,
    labels: np.ndarray,
    num_classes: int,
    grid: np.ndarray,
) -> np.ndarray:
    """Mean series of each class, every labelled series brought to common days first.

    Args:
        values: (N,T,C).
        days: (N,T), ascending.
        exists: (N,T) bool.
        labels: (N,) class, -1 where unknown.
        num_classes: K.
        grid: (S,) days of the prototypes.

    Returns:
        (K,S,C); NaN for a class without a labelled series.
    """
    out = np.full((num_classes, len(grid), values.shape[2]), np.nan)
    labelled = np.flatnonzero((labels >= 0) & exists.any(axis=1))
    values, labels = on_common_days(values[labelled], days[labelled], exists[labelled], grid), labels[labelled]
    for label in range(num_classes):
        if (labels == label).any():
            out[label] = values[labels == label].mean(axis=0)
    return out


def on_common_days(values: np.ndarray, days: np.ndarray, exists: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Series interpolated linearly to the same days; before the first and after the last date its value is held.

    Args:
        values: (N,T,C).
        days: (N,T), ascending.
        exists: (N,T) bool.
        grid: (S,) days.

    Returns:
        (N,S,C); NaN for a series without a date.
    """
    found = np.full((len(values), len(grid), values.shape[2]), np.nan)
    for position in np.flatnonzero(exists.any(axis=1)):
        held = exists[position]
        for band in range(values.shape[2]):
            found[position, :, band] = np.interp(grid, days[position, held], values[position, held, band])
    return found


def propose_from_distances(distances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The class of the nearest prototype, and how much nearer it is than the second.

    Args:
        distances: (N,K); NaN for a class without a prototype, or a series without a date.

    Returns:
        Class (N,), -1 without any distance, and confidence (N,): 1 less the ratio of the smallest to the second
        distance, 0 … 1 (1 where there is one class only, 0 without any).
    """
    filled = np.where(np.isnan(distances), np.inf, distances)
    ordered = np.sort(filled, axis=1)
    known = np.isfinite(ordered[:, 0])
    first = np.where(known, ordered[:, 0], 0)
    second = ordered[:, 1] if ordered.shape[1] > 1 else np.full(len(ordered), np.inf)
    ratio = np.divide(first, second, out=np.ones(len(first)), where=second > 0)
    return np.where(known, filled.argmin(axis=1), -1), np.where(known, 1 - ratio, 0.0)
