"""Series of a scene's labelled pixels, read once block by block into memory-mapped files.

To read a parcel from a scene means to open every raster of the season; from the cache it is one indexed read. Layout of
a cache, a folder named by the fingerprint of what it was made from:

- `<sensor>/values.npy`: (P,T,C), the pixels of all parcels one after the other, each with its whole series together;
- `<sensor>/valid.npy`: (P,T) bool; absent where everything was observed;
- `<sensor>/exists.npy`: (N,T) bool, whether any pixel of a parcel was observed on a date;
- `cache.json`: version, fingerprint and shapes; written last.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from ..errors import DataError
from ..parcel_store import ParcelStore, gather_pixels
from .grid import Window
from .labels import LabelPixels, Progress
from .rasters import RasterSeries
from .scene import Scene

VERSION = 1
JOURNAL = 'journal.json'
READ_BYTES = 128 * 2**20
"""Memory for the pixels of one block while a scene is read."""
SIDES = (64, 1024)
"""Smallest and largest side of such a block, pixels."""

_REMOVE = 'Remove the folder; it is made again.'


class CachedParcels(ParcelStore):
    """Series of one sensor in a cache.

    Args:
        path: folder of the sensor.
        days: days since 1970-01-01, (T,).
        offsets: first pixel of each parcel and the number of all, (N+1,). With `offsets=np.arange(P + 1)` each pixel is
            a parcel.
        bands: number of bands.

    Raises:
        DataError: if a file is missing or damaged.
    """

    def __init__(self, path: Path, days: np.ndarray, offsets: np.ndarray, bands: int) -> None:
        self.path, self.offsets, self.bands = path, offsets, bands
        self.sizes = np.diff(offsets)
        self._days = np.asarray(days, np.int32)
        self._arrays: dict[str, np.ndarray | None] = {}
        self.dtype = self.values.dtype
        expected = (int(offsets[-1]), len(days), bands)
        if self.values.shape != expected:
            raise DataError(f'{expected} values expected, found {self.values.shape}', path=path, hint=_REMOVE)

    def __getstate__(self) -> dict:
        # A memory map would go to a worker process as all its bytes.
        return {**self.__dict__, '_arrays': {}}

    @property
    def values(self) -> np.ndarray:
        """All pixels, (P,T,C), memory-mapped."""
        values = self._open('values')
        if values is None:
            raise DataError('the values are missing', path=self.path, hint=_REMOVE)
        return values

    def _open(self, name: str) -> np.ndarray | None:
        """An array, memory-mapped; None where there is no such file."""
        if name not in self._arrays:
            path = self.path / f'{name}.npy'
            try:
                self._arrays[name] = np.load(path, mmap_mode='r', allow_pickle=False) if path.exists() else None
            except (OSError, ValueError, EOFError) as error:
                raise DataError(f'the file cannot be opened ({error})', path=path, hint=_REMOVE) from error
        return self._arrays[name]

    def days(self, parcels: np.ndarray) -> np.ndarray:
        """The sensor's dates for each parcel; see :class:`ParcelStore`."""
        return np.broadcast_to(self._days, (len(parcels), len(self._days)))

    def exists(self, parcels: np.ndarray) -> np.ndarray:
        """See :class:`ParcelStore`."""
        valid = self._open('valid')
        if valid is None:
            return np.ones((len(parcels), len(self._days)), bool)
        of_parcels = self._open('exists')
        # Where each pixel is a parcel, its own validity says it.
        held = valid if of_parcels is None or len(of_parcels) != len(self.sizes) else of_parcels
        return np.asarray(held[parcels])

    def gather(self, parcels: np.ndarray, dates: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """One indexed read; see :class:`ParcelStore`."""
        return gather_pixels(self.values, self.offsets, parcels, dates, pixels)

    def valid(self, parcels: np.ndarray, dates: np.ndarray, pixels: np.ndarray) -> np.ndarray | None:
        """See :class:`ParcelStore`."""
        valid = self._open('valid')
        if valid is None:
            return None
        return gather_pixels(valid[..., None], self.offsets, parcels, dates, pixels)[..., 0]

    def observed(self, rows: np.ndarray) -> np.ndarray:
        """All observed values of pixels at some positions of the cache, (C,n)."""
        values, valid = self.values[rows], self._open('valid')
        return values.reshape(-1, values.shape[2]).T if valid is None else values[valid[rows]].T


def fingerprint(scene: Scene, bands: Mapping[str, Sequence[str]], pixels: LabelPixels) -> str:
    """A digest of all that decides what a cache holds: the rasters (names, sizes, times), how they are read, and the
    pixels.

    Args:
        scene: the scene.
        bands: bands of each sensor.
        pixels: the labelled pixels.
    """
    digest = hashlib.sha256(f'{VERSION} {describe_scene(scene, bands)}'.encode())
    for array in (pixels.offsets, pixels.rows, pixels.columns):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def describe_scene(scene: Scene, bands: Mapping[str, Sequence[str]]) -> str:
    """All that decides what is read from a scene, as text: its grid, the rasters (names, sizes, times) and how they are
    read; arguments as for :func:`fingerprint`."""
    parts = [str(scene.grid)]
    for name, series in scene.sensors.items():
        parts.append(f'{name} {tuple(bands[name])} {_describe(series)}')
        if series.clouds is not None:
            options = {key: value for key, value in vars(series.clouds).items() if key != 'rasters'}
            parts.append(f'{sorted(options.items())} {_describe(series.clouds.rasters)}')
    return '\n'.join(parts)


def _describe(series: RasterSeries) -> str:
    files = [(source, source.path.stat().st_size, source.path.stat().st_mtime_ns) for source in series.sources]
    return f'{series.days.tolist()} {series.dtype} {series.resampling} {series.acquisitions} {files}'


def default_cache() -> Path:
    """Folder of the caches where none is given: `mmsits-<user>` in the system's folder for temporary files."""
    return Path(tempfile.gettempdir()) / f'mmsits-{os.getuid()}'


def open_cache(
    scene: Scene,
    bands: Mapping[str, Sequence[str]],
    pixels: LabelPixels,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """The cache of a scene's labelled pixels, made if it is not there.

    It appears under its name when it is complete. One whose making was stopped is gone on with; while another process
    makes it, this one waits.

    Args:
        scene: the scene.
        bands: bands of each sensor, in the order wanted.
        pixels: the labelled pixels.
        folder: folder of all caches; None for :func:`default_cache`.
        progress: called after each block of the scene that was read.

    Returns:
        The folder of the cache.

    Raises:
        DataError: if a raster cannot be read, or there is no room on the disk; what was read before is kept.
    """
    root = default_cache() if folder is None else Path(folder)
    mark = fingerprint(scene, bands, pixels)
    final = root / mark[:20]
    if _is_complete(final, mark):
        return final
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root / f'{final.name}.lock'):
        if not _is_complete(final, mark):
            _make(scene, bands, pixels, final, mark, progress or (lambda done, total: None))
    return final


def _is_complete(folder: Path, mark: str) -> bool:
    try:
        return json.loads((folder / 'cache.json').read_text(encoding='utf-8'))['fingerprint'] == mark
    except (OSError, ValueError, KeyError, TypeError):
        return False


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock; other processes of the machine wait for it, and a killed one gives it up."""
    with open(path, 'w', encoding='utf-8') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _make(
    scene: Scene,
    bands: Mapping[str, Sequence[str]],
    pixels: LabelPixels,
    final: Path,
    mark: str,
    progress: Progress,
) -> None:
    part = final.with_name(final.name + '.part')
    shapes = {name: (len(pixels.rows), len(series), len(bands[name])) for name, series in scene.sensors.items()}
    done = _resume(part, mark, scene, shapes)
    groups = _blocks(pixels, _side(scene, bands))
    print_log(
        f'Reading {len(pixels.rows)} labelled pixels of {", ".join(scene.sensors)} into {final}'
        + (f' ({done} of {len(groups)} blocks are there)' if done else ''),
        'current',
        logging.INFO,
    )
    progress(done, len(groups))
    if done < len(groups):
        arrays = {
            name: [np.load(part / name / f'{kind}.npy', mmap_mode='r+') for kind in ('values', 'valid')]
            for name in shapes
        }
        for number, members in enumerate(groups[done:], start=done):
            _read_block(scene, bands, pixels, members, arrays)
            _note(part, mark, number + 1, arrays)
            progress(number + 1, len(groups))
        del arrays
    for name in shapes:
        _finish(part / name, pixels.offsets)
    description = dict(version=VERSION, fingerprint=mark, shapes={name: list(shape) for name, shape in shapes.items()})
    (part / 'cache.json').write_text(json.dumps(description, indent=2) + '\n', encoding='utf-8')
    (part / JOURNAL).unlink(missing_ok=True)
    shutil.rmtree(final, ignore_errors=True)
    part.rename(final)


def _side(scene: Scene, bands: Mapping[str, Sequence[str]]) -> int:
    """Side of the blocks whose series fit into the memory for them."""
    per_pixel = sum(
        len(series) * (len(bands[name]) * series.dtype.itemsize + 1) for name, series in scene.sensors.items()
    )
    return int(np.clip(int(np.sqrt(READ_BYTES / per_pixel)), *SIDES))


def _blocks(pixels: LabelPixels, side: int) -> list[np.ndarray]:
    """Positions of the pixels of each block that has any, row by row."""
    blocks = (pixels.rows // side).astype(np.int64) * (int(pixels.columns.max(initial=0)) // side + 1)
    blocks += pixels.columns // side
    order = np.argsort(blocks, kind='stable')
    return np.split(order, np.flatnonzero(np.diff(blocks[order])) + 1)


def _read_block(
    scene: Scene,
    bands: Mapping[str, Sequence[str]],
    pixels: LabelPixels,
    members: np.ndarray,
    arrays: Mapping[str, Sequence[np.ndarray]],
) -> None:
    rows, columns = pixels.rows[members], pixels.columns[members]
    first_row, first_column = int(rows.min()), int(columns.min())
    window = Window(first_row, first_column, int(rows.max()) - first_row + 1, int(columns.max()) - first_column + 1)
    for name, series in scene.read(window, bands).items():
        values, valid = arrays[name]
        inside = (slice(None), rows - first_row, columns - first_column)
        values[members] = series.values.transpose(0, 2, 3, 1)[inside].swapaxes(0, 1)
        valid[members] = np.broadcast_to(series.valid, (len(series.days), *window.shape))[inside].T


def _resume(part: Path, mark: str, scene: Scene, shapes: Mapping[str, tuple[int, int, int]]) -> int:
    """Number of blocks that an earlier call has read; 0 with new files if there is nothing to go on from."""
    try:
        note = json.loads((part / JOURNAL).read_text(encoding='utf-8'))
        if note['fingerprint'] == mark:
            return int(note['done'])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    _refuse_full_disk(part, {name: (shape, scene.sensors[name].dtype) for name, shape in shapes.items()})
    for name, shape in shapes.items():
        (part / name).mkdir()
        np.lib.format.open_memmap(part / name / 'values.npy', 'w+', scene.sensors[name].dtype, shape).flush()
        np.lib.format.open_memmap(part / name / 'valid.npy', 'w+', np.bool_, shape[:2]).flush()
    return 0


def _refuse_full_disk(folder: Path, arrays: Mapping[str, tuple[tuple[int, int, int], np.dtype]]) -> None:
    needed = sum(shape[0] * shape[1] * (shape[2] * dtype.itemsize + 1) for shape, dtype in arrays.values())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise DataError(
            f'the labelled pixels need {needed / 1e9:.1f} GB, {free / 1e9:.1f} GB are free',
            path=folder,
            hint='Choose another folder with cache=…, or fewer pixels with pixels_per_parcel or pixels_per_class.',
        )


def _note(part: Path, mark: str, done: int, arrays: Mapping[str, Sequence[np.ndarray]]) -> None:
    for pair in arrays.values():
        for array in pair:
            array.flush()  # type: ignore[attr-defined]
    temporary = part / (JOURNAL + '.tmp')
    temporary.write_text(json.dumps(dict(fingerprint=mark, done=done)), encoding='utf-8')
    os.replace(temporary, part / JOURNAL)


def _finish(folder: Path, offsets: np.ndarray) -> None:
    """Sum up which dates each parcel has, or remove the mask where everything was observed."""
    path = folder / 'valid.npy'
    if not path.exists():
        # A run that was stopped while it finished had removed it already.
        return
    valid = np.load(path, mmap_mode='r')
    if valid.all():
        path.unlink()
        return
    np.save(folder / 'exists.npy', np.logical_or.reduceat(valid, offsets[:-1], axis=0))
