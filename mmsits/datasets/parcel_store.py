"""Where parcels' pixels are read from: what every form of storage gives, and the table that describes a domain."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .base import day_number
from .errors import DataError
from .plain_pickle import load_plain_pickle

_METADATA_HINT = 'Correct the metadata, or get the domain again.'


class ParcelStore:
    """Series of N parcels, each a set of pixels on T dates in C bands.

    Attributes:
        path: folder or file, for errors.
        sizes: number of pixels of each parcel, (N,) int64.
        bands: number of bands C.
        dtype: type of the values.
    """

    path: Path
    sizes: np.ndarray
    bands: int
    dtype: np.dtype

    def days(self, parcels: np.ndarray) -> np.ndarray:
        """Dates of parcels, days since 1970-01-01: (B,T) int32."""
        raise NotImplementedError

    def exists(self, parcels: np.ndarray) -> np.ndarray:
        """Which of these dates were observed: (B,T) bool."""
        raise NotImplementedError

    def gather(self, parcels: np.ndarray, dates: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """Read chosen pixels on chosen dates.

        Args:
            parcels: (B,) numbers of parcels.
            dates: (B,L) positions on the time axis.
            pixels: (B,n) positions within the parcel.

        Returns:
            (B,L,n,C).

        Raises:
            DataError: if a parcel cannot be read; names it.
        """
        raise NotImplementedError

    def valid(self, parcels: np.ndarray, dates: np.ndarray, pixels: np.ndarray) -> np.ndarray | None:
        """Which of chosen pixels were observed on chosen dates, arguments as for `gather`.

        Returns:
            (B,L,n) bool; None where a date that exists was observed by all pixels.
        """
        return None

    def path_of(self, parcel: int) -> str:
        """File or folder that holds a parcel."""
        return str(self.path)

    def paths_of(self, parcels: np.ndarray) -> list[str]:
        """Those of several parcels."""
        # One file of all of them, unless a store says otherwise.
        if type(self).path_of is ParcelStore.path_of:
            return [str(self.path)] * len(parcels)
        return [self.path_of(int(parcel)) for parcel in parcels]


def gather_pixels(
    values: np.ndarray, offsets: np.ndarray, parcels: np.ndarray, dates: np.ndarray, pixels: np.ndarray
) -> np.ndarray:
    """Take chosen pixels on chosen dates from an array that holds the parcels' pixels one after the other.

    Args:
        values: (P,T,C), contiguous.
        offsets: first pixel of each parcel, (N+1,).
        parcels: (B,).
        dates: (B,L).
        pixels: (B,n).

    Returns:
        (B,L,n,C).
    """
    rows = offsets[parcels][:, None] + pixels
    # Pixel and date as one number: taking from two axes is slower than from their product.
    index = rows[:, None, :] * values.shape[1] + dates[:, :, None]
    return np.take(values.reshape(-1, values.shape[2]), index, axis=0)


class ArrayParcels(ParcelStore):
    """Parcels in memory.

    Args:
        values: (P,T,C), the pixels of all parcels one after the other.
        offsets: first pixel of each parcel and the number of all, (N+1,).
        days: days since 1970-01-01 of each parcel, (N,T).
        exists: which of them were observed, (N,T); None for all.
        path: file they come from, for errors.
    """

    def __init__(
        self,
        values: np.ndarray,
        offsets: np.ndarray,
        days: np.ndarray,
        exists: np.ndarray | None = None,
        path: str | Path = '',
    ) -> None:
        self.values = np.ascontiguousarray(values)
        self.offsets = offsets
        self.sizes = np.diff(offsets)
        self.bands = values.shape[2]
        self.dtype = values.dtype
        self.path = Path(path)
        self._days = np.asarray(days, np.int32)
        self._exists = np.ones(self._days.shape, bool) if exists is None else exists

    def days(self, parcels: np.ndarray) -> np.ndarray:
        """See :class:`ParcelStore`."""
        return self._days[parcels]

    def exists(self, parcels: np.ndarray) -> np.ndarray:
        """See :class:`ParcelStore`."""
        return self._exists[parcels]

    def gather(self, parcels: np.ndarray, dates: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """See :class:`ParcelStore`."""
        return gather_pixels(self.values, self.offsets, parcels, dates, pixels)


class HeldParcels(ParcelStore):
    """The pixels of one batch, in memory: what a transform made of them.

    Args:
        values: (B,L,n,C).
        days: days since 1970-01-01, (B,L).
        observed: (B,L,n) bool.
        sizes: number of pixels of each parcel, (B,).
        paths: where each parcel was read from, for errors.
    """

    def __init__(
        self, values: np.ndarray, days: np.ndarray, observed: np.ndarray, sizes: np.ndarray, paths: Sequence[str]
    ) -> None:
        self.values = np.ascontiguousarray(values)
        self.sizes, self.bands, self.dtype = sizes, values.shape[3], values.dtype
        self._days, self._observed, self._paths = np.asarray(days, np.int32), observed, list(paths)

    def days(self, parcels: np.ndarray) -> np.ndarray:
        """See :class:`ParcelStore`."""
        return self._days[parcels]

    def exists(self, parcels: np.ndarray) -> np.ndarray:
        """See :class:`ParcelStore`."""
        return self._observed[parcels].any(axis=2)

    def gather(self, parcels: np.ndarray, dates: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """See :class:`ParcelStore`."""
        return np.take(self.values.reshape(-1, self.bands), self._flat(parcels, dates, pixels), axis=0)

    def valid(self, parcels: np.ndarray, dates: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """See :class:`ParcelStore`."""
        return np.take(self._observed, self._flat(parcels, dates, pixels))

    def _flat(self, parcels: np.ndarray, dates: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        # Parcel, date and pixel as one number, as in `gather_pixels`.
        _, length, size, _ = self.values.shape
        return (parcels[:, None, None] * length + dates[:, :, None]) * size + pixels[:, None, :]

    def path_of(self, parcel: int) -> str:
        """See :class:`ParcelStore`."""
        return self._paths[parcel]

    def paths_of(self, parcels: np.ndarray) -> list[str]:
        """See :class:`ParcelStore`."""
        return [self._paths[parcel] for parcel in parcels.tolist()]


@dataclass
class DomainTable:
    """What is known of a domain (a tile and a year) and its N parcels without reading a pixel.

    Attributes:
        path: file it was read from.
        days: T dates, days since 1970-01-01, (T,) int32.
        cloud_percent: of each acquisition as text tells it, (T,) float64, NaN where unknown.
        codes: crop code of each parcel, N texts or integers.
        sizes: pixels of each parcel, (N,) int64.
        ids: name of each parcel in the field register, N texts.
        blocks: spatial block of each parcel, (N,) int64, -1 where unknown.
        geometry: perimeter m, area m², perimeter by area, share of its bounding box, (N,4) float64.
    """

    path: Path
    days: np.ndarray
    cloud_percent: np.ndarray
    codes: list[Any]
    sizes: np.ndarray
    ids: list[str]
    blocks: np.ndarray
    geometry: np.ndarray

    def __len__(self) -> int:
        return len(self.codes)


def read_domain_metadata(path: str | Path) -> DomainTable:
    """Read a `metadata.pkl` of TimeMatch; only plain data are unpickled.

    Args:
        path: the file.

    Returns:
        The table.

    Raises:
        DataError: if the file is missing or damaged, dates do not ascend, or a parcel lacks a label, a number of
            pixels or its geometry; names the parcel.
    """
    path = Path(path)
    metadata = load_plain_pickle(path)
    if not isinstance(metadata, dict) or not {'dates', 'parcels'} <= metadata.keys():
        held = sorted(metadata) if isinstance(metadata, dict) else type(metadata).__name__
        raise DataError(f"a dict with 'dates' and 'parcels' is expected, found {held}", path=path, hint=_METADATA_HINT)
    days = read_dates(list(metadata['dates'] or ()), path)
    clouds = metadata.get('cloudy_pct') or [np.nan] * len(days)
    if len(clouds) != len(days):
        raise DataError(f'{len(days)} dates, but {len(clouds)} cloud percentages', path=path, hint=_METADATA_HINT)
    parcels = list(metadata['parcels'])
    if not parcels:
        raise DataError('the domain has no parcel', path=path, hint=_METADATA_HINT)
    rows = [_read_parcel(parcel, number, path) for number, parcel in enumerate(parcels)]
    table = DomainTable(
        path=path,
        days=days,
        cloud_percent=np.array(clouds, np.float64),
        codes=[row[0] for row in rows],
        sizes=np.array([row[1] for row in rows], np.int64),
        ids=[row[2] for row in rows],
        blocks=np.array([row[3] for row in rows], np.int64),
        geometry=np.array([row[4] for row in rows], np.float64).reshape(-1, 4),
    )
    refuse_empty_parcels(table)
    return table


def refuse_empty_parcels(table: DomainTable) -> None:
    """Refuse a domain with parcels that have no pixel.

    Raises:
        DataError: names the first of them and says how many there are.
    """
    empty = np.flatnonzero(table.sizes < 1)
    if len(empty):
        raise DataError(
            f'parcels must have at least one pixel, {len(empty)} of {len(table)} have none '
            f'(numbers {", ".join(map(str, empty[:8]))}{" …" if len(empty) > 8 else ""})',
            path=table.path,
            sample_id=str(empty[0]),
            hint='Leave these parcels out when preparing the domain.',
        )


def read_dates(dates: Sequence[Any] | np.ndarray, path: str | Path) -> np.ndarray:
    """Day numbers of dates written as yyyymmdd.

    Args:
        dates: T integers or texts in ascending order.
        path: named in errors.

    Returns:
        Days since 1970-01-01, (T,) int32.

    Raises:
        DataError: if there is none, one is no date, or they do not ascend.
    """
    if not len(dates):
        raise DataError('the domain has no date', path=path, hint=_METADATA_HINT)
    days = []
    for index, date in enumerate(dates):
        try:
            days.append(day_number(datetime.datetime.strptime(str(date), '%Y%m%d').date()))
        except ValueError as error:
            raise DataError(
                f'dates must be yyyymmdd, found {date!r}', path=path, date_index=index, hint=_METADATA_HINT
            ) from error
    late = np.flatnonzero(np.diff(days) <= 0)
    if len(late):
        index = int(late[0]) + 1
        raise DataError(
            'dates must ascend, this one is not later than the one before',
            path=path,
            day=days[index],
            date_index=index,
            hint=_METADATA_HINT,
        )
    return np.array(days, np.int32)


def _read_parcel(parcel: Any, number: int, path: Path) -> tuple[Any, int, str, int, list[float]]:
    """Code, pixels, id, block and geometry of a parcel."""
    try:
        geometry = [float(value) for value in parcel.get('geometric_features') or [np.nan] * 4]
        block = parcel.get('block')
        row = (
            parcel['label'],
            int(parcel['n_pixels']),
            str(parcel.get('id', number)),
            -1 if block is None else int(block),
            geometry,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f'a parcel needs label, n_pixels and four geometric_features ({type(error).__name__}: {error}), '
            f'found {str(parcel)[:120]}',
            path=path,
            sample_id=str(number),
            hint=_METADATA_HINT,
        ) from error
    if len(geometry) != 4:
        raise DataError(
            f'four geometric features expected, found {len(geometry)}',
            path=path,
            sample_id=str(number),
            hint=_METADATA_HINT,
        )
    return row
