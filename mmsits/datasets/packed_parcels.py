"""All parcels of a domain in one memory-mapped file, instead of one small zarr array for each.

A batch of 128 parcels is then one indexed read. Layout of the folder:

- ``values.npy``: (P, T, C), uint16 in the published data, the pixels of all parcels one after the other, each with its
  whole series together, so that reading a pixel touches neighbouring bytes;
- ``valid.npy``: bool (P, T), which of them were observed; absent where all were, as in the published data;
- ``index.npz``: ``offsets`` (N+1,) int64, first pixel of each parcel; ``codes``, ``ids`` text (N,); ``blocks``,
  ``geometry``; ``days`` (T,), ``cloud_percent`` (T,); with a mask ``exists`` (N, T), whether any pixel of a parcel was
  observed;
- ``store.json``: version, shapes, type, and fingerprint of the metadata it was made from; names of the bands and their
  unit where they are not those of TimeMatch; written last.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .base import Sensor
from .errors import DataError
from .parcel_store import DomainTable, ParcelStore, gather_pixels, read_domain_metadata, refuse_empty_parcels

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

    Attributes:
        table: what is known of the domain without reading a pixel.
        offsets: first pixel of each parcel and the number of all, (N+1,).

    Raises:
        DataError: if the store is damaged or of another version.
    """

    def __init__(self, folder: str | Path, bands: int = 10) -> None:
        self.path = Path(folder) / FOLDER
        description = _read_description(self.path)
        self.table, offsets, self._exists = _read_index(self.path)
        self.offsets = offsets
        self.sizes = self.table.sizes
        self.bands = bands
        self.dtype = np.dtype(description.get('dtype', 'uint16'))
        expected = (int(offsets[-1]), len(self.table.days), bands)
        if tuple(description['shape']) != expected:
            raise DataError(
                f'pixels, dates and bands {expected} are expected, the store has {tuple(description["shape"])}',
                path=self.path,
                hint=_REPACK,
            )
        self._values: np.ndarray | None = None
        self._mask: np.ndarray | None = None

    def __getstate__(self) -> dict:
        # A memory map would go to a worker process as all its bytes.
        return {**self.__dict__, '_values': None, '_mask': None}

    @property
    def values(self) -> np.ndarray:
        """All pixels, (P,T,C), memory-mapped."""
        if self._values is None:
            shape = (int(self.offsets[-1]), len(self.table.days), self.bands)
            self._values = _open_array(self.path / 'values.npy', shape, self.dtype)
        return self._values

    @property
    def mask(self) -> np.ndarray | None:
        """Which pixels were observed, (P,T) bool, memory-mapped; None where all were."""
        if self._exists is not None and self._mask is None:
            shape = (int(self.offsets[-1]), len(self.table.days))
            self._mask = _open_array(self.path / 'valid.npy', shape, np.dtype(bool))
        return self._mask

    def days(self, parcels: np.ndarray) -> np.ndarray:
        """The domain's dates for each parcel; see :class:`ParcelStore`."""
        return np.broadcast_to(self.table.days, (len(parcels), len(self.table.days)))

    def exists(self, parcels: np.ndarray) -> np.ndarray:
        """All of the domain's dates, but those that no pixel of a parcel was observed on; see :class:`ParcelStore`."""
        if self._exists is None:
            return np.ones((len(parcels), len(self.table.days)), bool)
        return self._exists[parcels]

    def valid(self, parcels: np.ndarray, dates: np.ndarray, pixels: np.ndarray) -> np.ndarray | None:
        """See :class:`ParcelStore`."""
        mask = self.mask
        if mask is None:
            return None
        return gather_pixels(mask[..., None], self.offsets, parcels, dates, pixels)[..., 0]

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


def _read_index(path: Path) -> tuple[DomainTable, np.ndarray, np.ndarray | None]:
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
    return table, offsets, arrays.get('exists')


def packed_sensor(folder: str | Path) -> Sensor | None:
    """Bands and unit of a domain's packed store where they are not those of TimeMatch; None where they are.

    Args:
        folder: folder of the domain.

    Raises:
        DataError: if the store is damaged or of another version.
    """
    description = _read_description(Path(folder) / FOLDER)
    if 'bands' not in description:
        return None
    return Sensor(tuple(description['bands']), description['unit'])


def _open_array(path: Path, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    try:
        values = np.load(path, mmap_mode='r', allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f'the values cannot be opened ({error})', path=path, hint=_REPACK) from error
    if values.shape != shape or values.dtype != dtype:
        raise DataError(
            f'{dtype} {shape} is expected, the file has {values.dtype} {values.shape}', path=path, hint=_REPACK
        )
    return values


Progress = Callable[[int, int], None]
"""Called with the number of parcels done and in all."""


class DomainParcels(ParcelStore):
    """What can be packed: a store whose parcels a table describes.

    Attributes:
        table: what is known of the parcels without reading a pixel.
    """

    table: DomainTable


def pack_parcels(
    source: DomainParcels,
    folder: str | Path,
    progress: Progress | None = None,
    overwrite: bool = False,
    sensor: Sensor | None = None,
    origin: str = '',
) -> Path:
    """Pack a domain; go on where an earlier call was stopped.

    The store appears under its name when it is complete, and not before. An unfinished one lies beside it
    (`packed.part`) and is taken up again, if it was made from the same metadata.

    Args:
        source: the domain.
        folder: folder of the domain in which `packed` is written; may be another than the source's.
        progress: called after each parcel.
        overwrite: make a complete store anew.
        sensor: bands and unit where they are not those of TimeMatch.
        origin: a digest of what the values were made from, where the table does not tell it.

    Returns:
        Path of the store.

    Raises:
        DataError: if a parcel cannot be read; what was packed before it is kept.
    """
    final = Path(folder) / FOLDER
    if is_packed(folder) and not overwrite:
        _refuse_other(final, fingerprint(source.table) + origin)
        return final
    part = final.with_name(FOLDER + '.part')
    offsets = np.concatenate([[0], np.cumsum(source.sizes)]).astype(np.int64)
    shape = (int(offsets[-1]), len(source.table.days), source.bands)
    mark = fingerprint(source.table) + origin
    done = _resume(part, mark, shape, source)
    _copy(source, part, offsets, mark, done, progress or (lambda done, total: None))
    _write_index(part, source.table, offsets)
    description = dict(version=VERSION, shape=shape, dtype=source.dtype.name, parcels=len(source.table), metadata=mark)
    if sensor is not None:
        description |= dict(bands=sensor.bands, unit=sensor.unit)
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
        _refuse_other(packed.path, fingerprint(read_domain_metadata(metadata)))


def _refuse_other(final: Path, mark: str) -> None:
    if _read_description(final).get('metadata') != mark:
        raise DataError(
            'the store was made from other metadata or data than those that are there now',
            path=final,
            hint='Pack the domain again, with --overwrite.',
        )


def _resume(part: Path, metadata: str, shape: tuple[int, int, int], source: DomainParcels) -> int:
    """Number of parcels that an earlier call has packed; 0 with a new file if there is nothing to go on from."""
    journal = part / JOURNAL
    try:
        note = json.loads(journal.read_text(encoding='utf-8'))
        _open_array(part / 'values.npy', shape, source.dtype)
        if note['metadata'] == metadata:
            return int(note['done'])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    np.lib.format.open_memmap(part / 'values.npy', 'w+', source.dtype, shape).flush()
    if _valid_of(source, 0) is not None:
        np.lib.format.open_memmap(part / 'valid.npy', 'w+', np.bool_, shape[:2]).flush()
    _note(part, metadata, 0)
    return 0


def _note(part: Path, metadata: str, done: int) -> None:
    temporary = part / (JOURNAL + '.tmp')
    temporary.write_text(json.dumps(dict(metadata=metadata, done=done)), encoding='utf-8')
    os.replace(temporary, part / JOURNAL)


def _copy(source: DomainParcels, part: Path, offsets: np.ndarray, metadata: str, done: int, progress: Progress) -> None:
    values = np.load(part / 'values.npy', mmap_mode='r+')
    mask = np.load(part / 'valid.npy', mmap_mode='r+') if (part / 'valid.npy').exists() else None
    total, unnoted = len(source.table), 0
    try:
        for parcel in range(done, total):
            inside = slice(offsets[parcel], offsets[parcel + 1])
            values[inside] = source.gather(*_whole(source, parcel))[0].swapaxes(0, 1)
            if mask is not None:
                mask[inside] = _valid_of(source, parcel)
            done = parcel + 1
            unnoted += values[inside].nbytes
            if unnoted >= FLUSH_EVERY:
                _flush(values, mask)
                _note(part, metadata, done)
                unnoted = 0
            progress(done, total)
    finally:
        # Also when a parcel could not be read: the others need not be read again.
        _flush(values, mask)
        _note(part, metadata, done)


def _flush(*arrays: np.ndarray | None) -> None:
    for array in arrays:
        if array is not None:
            array.flush()  # type: ignore[attr-defined]


def _whole(source: DomainParcels, parcel: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A parcel with all its dates and pixels, as `ParcelStore.gather` takes it."""
    dates, pixels = np.arange(len(source.table.days)), np.arange(int(source.sizes[parcel]))
    return np.array([parcel]), dates[None], pixels[None]


def _valid_of(source: DomainParcels, parcel: int) -> np.ndarray | None:
    """Which pixels of a parcel were observed, (S,T); None where all of the domain were."""
    valid = source.valid(*_whole(source, parcel))
    return None if valid is None else valid[0].T


def _write_index(part: Path, table: DomainTable, offsets: np.ndarray) -> None:
    held = {}
    if (part / 'valid.npy').exists():
        mask = np.load(part / 'valid.npy', mmap_mode='r')
        held['exists'] = np.logical_or.reduceat(mask, offsets[:-1], axis=0)
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
        **held,
    )
