"""All parcels of a domain in one memory-mapped file, instead of one small zarr array for each.

A batch of 128 parcels is then one indexed read. Layout of the folder:

- ``values.npy``: uint16 (P, T, C), the pixels of all parcels one after the other, each with its whole series together,
  so that reading a pixel touches neighbouring bytes;
- ``index.npz``: ``offsets`` (N+1,) int64, first pixel of each parcel; ``codes``, ``ids`` text (N,); ``blocks``,
  ``geometry``; ``days`` (T,), ``cloud_percent`` (T,);
- ``store.json``: version, shapes and fingerprint of the metadata it was made from; written last.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .errors import DataError
from .parcel_store import DomainTable, ParcelStore, gather_pixels, read_domain_metadata, refuse_empty_parcels
from .zarr_parcels import ZarrParcels

FOLDER = 'packed'
"""Name of the store's folder within that of the domain."""
VERSION = 1
JOURNAL = 'journal.json'
FLUSH_EVERY = 64 * 2**20
"""Bytes between two notes of how far packing has come."""

_REPACK = 'Remove the folder and pack the domain again (tools/dataset_converters/timematch.py).'


def is_packed(folder: str | Path) -> bool:
    """Whether a domain's folder holds a complete packed store."""
    return (Path(folder) / FOLDER / 'store.json').is_file()


class PackedParcels(ParcelStore):
    """A packed domain.

    Args:
        folder: folder of the domain; the store is its `packed`.
        bands: number of bands that it must have.

    Raises:
        DataError: if the store is damaged or of another version.
    """

    def __init__(self, folder: str | Path, bands: int = 10) -> None:
        self.path = Path(folder) / FOLDER
        description = _read_description(self.path)
        self.table, offsets = _read_index(self.path)
        self.offsets = offsets
        self.sizes = self.table.sizes
        self.bands = bands
        self.dtype = np.dtype(np.uint16)
        expected = (int(offsets[-1]), len(self.table.days), bands)
        if tuple(description['shape']) != expected:
            raise DataError(
                f'pixels, dates and bands {expected} are expected, the store has {tuple(description["shape"])}',
                path=self.path,
                hint=_REPACK,
            )
        self._values: np.ndarray | None = None

    def __getstate__(self) -> dict:
        # A memory map would go to a worker process as all its bytes.
        return {**self.__dict__, '_values': None}

    @property
    def values(self) -> np.ndarray:
        """All pixels, (P,T,C) uint16, memory-mapped."""
        if self._values is None:
            self._values = _open_values(self.path / 'values.npy', (int(self.offsets[-1]), *self._series_shape))
        return self._values

    @property
    def _series_shape(self) -> tuple[int, int]:
        return len(self.table.days), self.bands

    def days(self, parcels: np.ndarray) -> np.ndarray:
        """The domain's dates for each parcel; see :class:`ParcelStore`."""
        return np.broadcast_to(self.table.days, (len(parcels), len(self.table.days)))

    def exists(self, parcels: np.ndarray) -> np.ndarray:
        """True throughout: all parcels of a domain have all its dates."""
        return np.ones((len(parcels), len(self.table.days)), bool)

    def gather(self, parcels: np.ndarray, dates: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """One indexed read; see :class:`ParcelStore`."""
        return gather_pixels(self.values, self.offsets, parcels, dates, pixels)


def _read_description(path: Path) -> dict:
    try:
        description = json.loads((path / 'store.json').read_text(encoding='utf-8'))
        version = description['version']
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f'store.json cannot be read ({error!r})', path=path, hint=_REPACK) from error
    if version != VERSION:
        raise DataError(f'the store has version {version}, {VERSION} is expected', path=path, hint=_REPACK)
    return description


def _read_index(path: Path) -> tuple[DomainTable, np.ndarray]:
    name = path / 'index.npz'
    try:
        with np.load(name, allow_pickle=False) as index:
            arrays = {key: index[key] for key in index.files}
        offsets = arrays['offsets']
        table = DomainTable(
            path=name,
            days=arrays['days'].astype(np.int32),
            cloud_percent=arrays['cloud_percent'],
            codes=arrays['codes'].tolist(),
            sizes=np.diff(offsets),
            ids=arrays['ids'].tolist(),
            blocks=arrays['blocks'],
            geometry=arrays['geometry'],
        )
    # numpy, zip and zlib have errors of their own for damaged files.
    except Exception as error:
        raise DataError(
            f'index.npz cannot be read ({type(error).__name__}: {error})', path=name, hint=_REPACK
        ) from error
    refuse_empty_parcels(table)
    return table, offsets


def _open_values(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    try:
        values = np.load(path, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f'the values cannot be opened ({error})', path=path, hint=_REPACK) from error
    if values.shape != shape or values.dtype != np.uint16:
        raise DataError(
            f'uint16 {shape} is expected, the file has {values.dtype} {values.shape}', path=path, hint=_REPACK
        )
    return values


Progress = Callable[[int, int], None]
"""Called with the number of parcels done and in all."""


def pack_parcels(
    source: ZarrParcels, folder: str | Path, progress: Progress | None = None, overwrite: bool = False
) -> Path:
    """Pack a domain; go on where an earlier call was stopped.

    The store appears under its name when it is complete, and not before. An unfinished one lies beside it
    (`packed.part`) and is taken up again, if it was made from the same metadata.

    Args:
        source: the domain.
        folder: folder of the domain in which `packed` is written; may be another than the source's.
        progress: called after each parcel.
        overwrite: make a complete store anew.

    Returns:
        Path of the store.

    Raises:
        DataError: if a parcel cannot be read; what was packed before it is kept.
    """
    final = Path(folder) / FOLDER
    if is_packed(folder) and not overwrite:
        _refuse_other(final, source.table)
        return final
    part = final.with_name(FOLDER + '.part')
    offsets = np.concatenate([[0], np.cumsum(source.sizes)]).astype(np.int64)
    shape = (int(offsets[-1]), len(source.table.days), source.bands)
    done = _resume(part, fingerprint(source.table), shape)
    _copy(source, part, offsets, shape, done, progress or (lambda done, total: None))
    _write_index(part, source.table, offsets)
    description = dict(version=VERSION, shape=shape, parcels=len(source.table), metadata=fingerprint(source.table))
    (part / 'store.json').write_text(json.dumps(description, indent=2) + '\n', encoding='utf-8')
    (part / JOURNAL).unlink()
    if final.exists():
        shutil.rmtree(final)
    part.rename(final)
    return final


def fingerprint(table: DomainTable) -> str:
    """A digest of a domain's dates, codes and sizes, which tells whether two descriptions are of one preparation."""
    digest = hashlib.sha256()
    for array in (table.days, table.sizes, table.geometry):
        digest.update(np.ascontiguousarray(array).tobytes())
    digest.update('\n'.join(map(str, table.codes)).encode())
    return digest.hexdigest()


def refuse_stale(packed: PackedParcels) -> None:
    """Refuse a store whose domain was described anew after packing. Domains whose metadata are gone are not checked.

    Raises:
        DataError: if the metadata beside the store are not those that it was made from.
    """
    metadata = packed.path.parent / 'meta' / 'metadata.pkl'
    if metadata.is_file():
        _refuse_other(packed.path, read_domain_metadata(metadata))


def _refuse_other(final: Path, table: DomainTable) -> None:
    if _read_description(final).get('metadata') != fingerprint(table):
        raise DataError(
            'the store was made from other metadata than those that are there now',
            path=final,
            hint='Pack the domain again: tools/dataset_converters/timematch.py --overwrite.',
        )


def _resume(part: Path, metadata: str, shape: tuple[int, int, int]) -> int:
    """Number of parcels that an earlier call has packed; 0 with a new file if there is nothing to go on from."""
    journal = part / JOURNAL
    try:
        note = json.loads(journal.read_text(encoding='utf-8'))
        _open_values(part / 'values.npy', shape)
        if note['metadata'] == metadata:
            return int(note['done'])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    np.lib.format.open_memmap(part / 'values.npy', 'w+', np.uint16, shape).flush()
    _note(part, metadata, 0)
    return 0


def _note(part: Path, metadata: str, done: int) -> None:
    temporary = part / (JOURNAL + '.tmp')
    temporary.write_text(json.dumps(dict(metadata=metadata, done=done)), encoding='utf-8')
    os.replace(temporary, part / JOURNAL)


def _copy(
    source: ZarrParcels, part: Path, offsets: np.ndarray, shape: tuple[int, int, int], done: int, progress: Progress
) -> None:
    values = np.lib.format.open_memmap(part / 'values.npy', 'r+')
    metadata, total, unnoted = fingerprint(source.table), len(source.table), 0
    try:
        for parcel in range(done, total):
            values[offsets[parcel] : offsets[parcel + 1]] = source.read(parcel).transpose(2, 0, 1)
            done = parcel + 1
            unnoted += int(source.sizes[parcel]) * shape[1] * shape[2] * 2
            if unnoted >= FLUSH_EVERY:
                values.flush()
                _note(part, metadata, done)
                unnoted = 0
            progress(done, total)
    finally:
        # Also when a parcel could not be read: the others need not be read again.
        values.flush()
        _note(part, metadata, done)


def _write_index(part: Path, table: DomainTable, offsets: np.ndarray) -> None:
    np.savez(
        part / 'index.npz',
        allow_pickle=False,
        offsets=offsets,
        days=table.days,
        cloud_percent=table.cloud_percent,
        codes=np.array([str(code) for code in table.codes]),
        ids=np.array(table.ids),
        blocks=table.blocks,
        geometry=table.geometry,
    )
