"""Simulated tables of series: classes whose season peaks at different times, in an npz as people hand it on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ('early', 'middle', 'late')
BANDS = ('red', 'nir')


def write_series_table(path: Path, series: int = 90, seed: int = 0, year: int = 2019, **changes: Any) -> Path:
    """Write series of different lengths, one behind the other.

    Args:
        path: .npz.
        series: how many.
        seed: of what is drawn.
        year: of the dates.
        **changes: arrays to replace, or None to leave out.

    Returns:
        The path.
    """
    rng = np.random.default_rng(seed)
    lengths = rng.integers(15, 25, series)
    label = rng.integers(0, len(CLASSES), series)
    doy = np.concatenate([np.sort(rng.choice(np.arange(1, 360), length, replace=False)) for length in lengths])
    peak = np.repeat(np.array([120, 180, 240])[label], lengths)
    green = np.exp(-(((doy - peak) / 40.0) ** 2)) + rng.normal(0, 0.1, len(doy))
    arrays = dict(
        x=np.stack([2000 - 1500 * green, 1500 + 3000 * green], axis=1).clip(1).astype(np.uint16),
        bands=np.array(BANDS),
        doy=doy,
        year=np.full(series, year),
        offset=np.concatenate([[0], np.cumsum(lengths)]),
        id=np.array([f'field {number}' for number in range(series)]),
        y=label,
        classes=np.array(CLASSES),
        split=np.where(np.arange(series) % 3 == 0, 'test', 'train'),
    )
    arrays.update(changes)
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path
