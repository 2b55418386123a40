"""Series of single pixels of any length, one behind the other in one array: batches without a loop over series."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .parcel_store import ParcelStore


class RaggedSeries(ParcelStore):
    """Series of N pixels, of different lengths.

    Args:
        values: (P,C), the dates of all series one behind the other.
        days: (P,) days since 1970-01-01.
        offsets: where each series begins, and the end of the last: (N+1,).
        path: file they come from, for errors.
    """

    def __init__(self, values: np.ndarray, days: np.ndarray, offsets: np.ndarray, path: str | Path = '') -> None:
        self.values = np.ascontiguousarray(values)
        self.path = Path(path)
        self.sizes = np.ones(len(offsets) - 1, np.int64)
        self.bands = values.shape[1]
        self.dtype = values.dtype
        self.lengths = np.diff(offsets)
        self._offsets = np.asarray(offsets, np.int64)
        self._days = np.asarray(days, np.int32)

    def days(self, parcels: np.ndarray) -> np.ndarray:
        """See :class:`ParcelStore`; behind the end of a series its last day."""
        return self._days[self._rows(parcels, np.arange(self._longest(parcels))[None])]

    def exists(self, parcels: np.ndarray) -> np.ndarray:
        """See :class:`ParcelStore`."""
        return np.arange(self._longest(parcels)) < self.lengths[parcels][:, None]

    def gather(self, parcels: np.ndarray, dates: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """See :class:`ParcelStore`; there is one pixel only."""
        taken = np.take(self.values, self._rows(parcels, dates), axis=0)[:, :, None]  # B,L,1,C
        return taken if pixels.shape[1] == 1 else np.repeat(taken, pixels.shape[1], axis=2)

    def _longest(self, parcels: np.ndarray) -> int:
        return int(self.lengths[parcels].max(initial=1))

    def _rows(self, parcels: np.ndarray, dates: np.ndarray) -> np.ndarray:
        return self._offsets[parcels][:, None] + np.minimum(dates, self.lengths[parcels][:, None] - 1)
