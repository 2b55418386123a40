"""Random numbers as a function of counters, for a whole batch at once.

A numpy Generator per sample costs more to seed than a parcel to read. Here the numbers of draw n are hashes of (seed,
n, stream, position), by the SplitMix64 generator (Steele, Lea & Flood, Fast Splittable Pseudorandom Number Generators,
OOPSLA 2014), so that those of many draws come out of one vectorised call, and each draw's are the same whichever draws
stand beside it.
"""

from __future__ import annotations

import numpy as np

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)


def _mix(words: np.ndarray) -> np.ndarray:
    """One step of SplitMix64 from each state, uint64."""
    words = words + _GAMMA
    words = (words ^ (words >> np.uint64(30))) * _FIRST
    words = (words ^ (words >> np.uint64(27))) * _SECOND
    return words ^ (words >> np.uint64(31))


def random_words(seeds: np.ndarray, draws: np.ndarray, stream: int, count: int) -> np.ndarray:
    """Random bits.

    Args:
        seeds: (B,) uint64.
        draws: (B,) uint64, numbers of the draws.
        stream: number of this use of randomness within the draw, from 0.
        count: how many words.

    Returns:
        (B, count) uint64, independent between seeds, draws, streams and positions.
    """
    keys = _mix(_mix(_mix(np.asarray(seeds, np.uint64)) ^ np.asarray(draws, np.uint64)) ^ np.uint64(stream))
    return _mix(keys[:, None] + _GAMMA * np.arange(count, dtype=np.uint64))


def random_fractions(seeds: np.ndarray, draws: np.ndarray, stream: int, count: int) -> np.ndarray:
    """Uniform numbers 0 ≤ u < 1, (B, count) float64; arguments as :func:`random_words`."""
    return (random_words(seeds, draws, stream, count) >> np.uint64(11)) * 2.0**-53


def random_fractions_at(
    seeds: np.ndarray, draws: np.ndarray, stream: int, places: np.ndarray, count: int
) -> np.ndarray:
    """Those of :func:`random_fractions` that belong to some places only, each place having `count` numbers.

    Args:
        seeds: (M,) uint64.
        draws: (M,) uint64.
        stream: see :func:`random_words`.
        places: (M,) 0 and up; place p has the numbers p · count to (p + 1) · count − 1.
        count: numbers of a place.

    Returns:
        (M, count) float64.
    """
    keys = _mix(_mix(_mix(np.asarray(seeds, np.uint64)) ^ np.asarray(draws, np.uint64)) ^ np.uint64(stream))
    positions = np.asarray(places, np.uint64)[:, None] * np.uint64(count) + np.arange(count, dtype=np.uint64)
    return (_mix(keys[:, None] + _GAMMA * positions) >> np.uint64(11)) * 2.0**-53


def normal_numbers(fractions: np.ndarray) -> np.ndarray:
    """Standard normal numbers from uniform ones 0 ≤ u < 1, one each, of the same shape."""
    from scipy.special import ndtri

    # The inverse of the distribution is infinite at 0, which is one of 2^53 numbers.
    return ndtri(np.maximum(fractions, 2.0**-54))


def choose_pairs(count: int | np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """For each row two different numbers of 0 … count − 1, all ordered pairs being equally likely.

    Args:
        count: at least 2; or (B,), one for each row.
        fractions: (B, 2) uniform numbers 0 ≤ u < 1.

    Returns:
        (B, 2) int64.
    """
    first = (fractions[:, 0] * count).astype(np.int64)
    second = (fractions[:, 1] * (np.asarray(count) - 1)).astype(np.int64)
    return np.stack([first, second + (second >= first)], axis=1)


def choose_without_replacement(sizes: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """For each row b draw n different numbers of 0 … sizes[b] − 1, all subsets being equally likely.

    Floyd's algorithm (Bentley & Floyd, A Sample of Brilliance, CACM 30 (9), 1987), its n steps taken for all rows
    together.

    Args:
        sizes: (B,) int64, each at least n.
        fractions: (B, n) uniform numbers 0 ≤ u < 1.

    Returns:
        (B, n) int64, ascending.
    """
    count = fractions.shape[1]
    chosen = np.empty(fractions.shape[::-1], np.int64)  # n, B: a step works on contiguous rows
    for step in range(count):
        last = sizes - count + step
        drawn = (fractions[:, step] * (last + 1)).astype(np.int64)
        taken = (chosen[:step] == drawn).any(axis=0)
        chosen[step] = np.where(taken, last, drawn)
    return np.sort(chosen.T, axis=1)
