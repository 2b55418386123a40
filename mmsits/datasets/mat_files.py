"""Arrays in MATLAB files: version 5 to 7.2 (read by scipy, whole) and 7.3 (HDF5, read by h5py, only what is cut out).

Which of the two a file is, its first bytes say; nothing needs to be configured, and a folder may hold both. MATLAB, and
what writes files for it, stores the axes of an array in HDF5 the other way round; `MATLAB_class`, which MATLAB itself
needs, tells such an array from one that h5py wrote as it stands.
"""

from __future__ import annotations

import operator
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from .errors import DataError

_HDF5 = b'\x89HDF\r\n\x1a\n'
_BLOCK = 512
"""HDF5 begins at byte 0 or behind a block for others, in which MATLAB puts its own header."""
_AGAIN = 'Download or write the file again.'
_READ_ERRORS = (OSError, ValueError, TypeError, KeyError, IndexError, EOFError, NotImplementedError, MemoryError)


def is_hdf5(path: str | Path) -> bool:
    """Whether a file is of MATLAB 7.3, or other HDF5.

    Raises:
        OSError: if it cannot be read.
    """
    with open(path, 'rb') as file:
        if file.read(len(_HDF5)) == _HDF5:
            return True
        file.seek(_BLOCK)
        return file.read(len(_HDF5)) == _HDF5


def open_mat(path: str | Path, variable: str, sample_id: str | None = None) -> np.ndarray | HDF5Array:
    """A variable of a MATLAB file of either version, its axes in the order that MATLAB shows.

    Args:
        path: the file.
        variable: name of the variable.
        sample_id: named in errors.

    Returns:
        An array (version 5 to 7.2), or one that is read when it is used (7.3).

    Raises:
        DataError: if the file is missing, damaged or no MATLAB file, or has no numbers under this name; it says which
            names there are.
    """
    try:
        hdf5 = is_hdf5(path)
    except FileNotFoundError as error:
        raise DataError(
            'the file is missing',
            path=path,
            sample_id=sample_id,
            hint='Complete the download, or leave the sample out.',
        ) from error
    except OSError as error:
        raise DataError(
            f'the file cannot be read ({error})', path=path, sample_id=sample_id, hint='Check the disk.'
        ) from error
    if hdf5:
        return HDF5Array(path, variable, sample_id)
    return _read_version_5(path, variable, sample_id)


def _read_version_5(path: str | Path, variable: str, sample_id: str | None) -> np.ndarray:
    from scipy.io import loadmat, whosmat
    from scipy.io.matlab import MatReadError

    try:
        found = loadmat(path, variable_names=[variable])
        names = [] if variable in found else [name for name, _, _ in whosmat(path)]
    except (*_READ_ERRORS, MatReadError, zlib.error, struct.error) as error:
        raise DataError(
            f'not a readable MATLAB file of version 5 to 7.2, nor one of 7.3 ({error or type(error).__name__})',
            path=path,
            sample_id=sample_id,
            hint=f'It is damaged, truncated or something else. {_AGAIN}',
        ) from error
    if variable not in found:
        _refuse_variable(variable, names, path, sample_id)
    array = found[variable]
    if not isinstance(array, np.ndarray) or array.dtype.kind not in 'iufb':
        kind = getattr(array, 'dtype', type(array).__name__)
        raise DataError(f'{variable!r} holds {kind}, not numbers', path=path, sample_id=sample_id, hint=_AGAIN)
    return array


def _refuse_variable(variable: str, names: list[str], path: str | Path, sample_id: str | None) -> NoReturn:
    raise DataError(
        f'no variable {variable!r} in the file, which has {sorted(names) or "none"}',
        path=path,
        sample_id=sample_id,
        hint='Say its name (variables of the dataset), or write the file with it.',
    )


class HDF5Array:
    """An array in an HDF5 file that is read when it is used, and then only the part that was cut out.

    It is cut by slices and transposed like a numpy array (steps of 1 or -1 stay unread) and becomes one by
    `numpy.asarray`; any other index reads. The file is opened for each reading, so that nothing open has to travel
    between processes.

    Args:
        path: the file.
        variable: name of the array in it.
        sample_id: named in errors.

    Raises:
        DataError: if the file is damaged or has no numbers under this name.
    """

    # numpy's functions ask for it before they read.
    ndim: int
    shape: tuple[int, ...]
    dtype: np.dtype

    def __init__(self, path: str | Path, variable: str, sample_id: str | None = None) -> None:
        self.path, self.variable, self.sample_id = str(path), variable, sample_id
        import h5py

        with self._open() as file:
            held = file.get(variable)
            if held is None:
                _refuse_variable(variable, [name for name in file if not name.startswith('#')], path, sample_id)
            if not isinstance(held, h5py.Dataset) or held.dtype.kind not in 'iufb':
                kind = getattr(held, 'dtype', type(held).__name__)
                raise DataError(f'{variable!r} holds {kind}, not numbers', path=path, sample_id=sample_id, hint=_AGAIN)
            self._reversed = 'MATLAB_class' in held.attrs
            whole = held.shape[::-1] if self._reversed else held.shape
            self.dtype = held.dtype
        self._set(tuple(range(size) for size in whole), tuple(range(len(whole))))

    def _set(self, part: tuple[range, ...], axes: tuple[int, ...]) -> None:
        """Positions that are left of each axis, and which axis of the file each is."""
        self._part, self._axes = part, axes
        self.shape = tuple(len(positions) for positions in part)
        self.ndim = len(part)

    def _with(self, part: tuple[range, ...], axes: tuple[int, ...]) -> HDF5Array:
        other = object.__new__(HDF5Array)
        other.__dict__.update(self.__dict__)
        other._set(part, axes)
        return other

    def _open(self) -> Any:
        import h5py

        try:
            return h5py.File(self.path, 'r')
        except OSError as error:
            raise DataError(
                f'the HDF5 file cannot be opened, perhaps it is truncated ({error})',
                path=self.path,
                sample_id=self.sample_id,
                hint=_AGAIN,
            ) from error

    def __len__(self) -> int:
        return self.shape[0]

    def __iter__(self) -> Iterator[np.ndarray]:
        return iter(np.asarray(self))

    def __getitem__(self, key: Any) -> HDF5Array | np.ndarray:
        """A part: unread if it is cut by slices of step 1 or -1, else as numpy gives it."""
        keys = _full_key(key, self.ndim)
        if keys is None:
            return np.asarray(self)[key]
        parts = tuple(part[cut] for part, cut in zip(self._part, keys, strict=True))
        if any(abs(part.step) != 1 for part in parts if len(part) > 1):
            return np.asarray(self)[key]
        return self._with(parts, self._axes)

    def transpose(self, *axes: int) -> HDF5Array:
        """Axes in another order; reads nothing."""
        if sorted(axes) != list(range(self.ndim)):
            raise ValueError(f'the axes 0 to {self.ndim - 1} in another order are expected, got {axes}')
        return self._with(tuple(self._part[axis] for axis in axes), tuple(self._axes[axis] for axis in axes))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError('an array in a file cannot be had without reading it')
        found = self._read()
        return found if dtype is None else found.astype(dtype, copy=False)

    def _read(self) -> np.ndarray:
        # HDF5 reads forward and its own order of axes; what runs otherwise is turned afterwards.
        cuts = [slice(0, 0)] * self.ndim
        for axis, part in zip(self._axes, self._part, strict=True):
            cuts[axis] = slice(min(part), max(part) + 1) if len(part) else slice(0, 0)
        turned = tuple(slice(None, None, -1 if len(part) > 1 and part.step < 0 else 1) for part in self._part)
        with self._open() as file:
            try:
                stored = file[self.variable]
                found = stored[tuple(cuts[::-1])].T if self._reversed else stored[tuple(cuts)]
            except _READ_ERRORS as error:
                raise DataError(
                    f'{self.variable!r} cannot be read ({error})', path=self.path, sample_id=self.sample_id, hint=_AGAIN
                ) from error
        return found.transpose(self._axes)[turned]


def _full_key(key: Any, ndim: int) -> tuple[slice, ...] | None:
    """One slice for each axis, or None where the key has anything else."""
    keys = key if isinstance(key, tuple) else (key,)
    if any(not isinstance(cut, slice) and cut is not Ellipsis for cut in keys) or len(keys) > ndim + 1:
        return None
    if Ellipsis in keys:
        place = keys.index(Ellipsis)
        rest = ndim - len(keys) + 1
        keys = (*keys[:place], *(slice(None),) * rest, *keys[place + 1 :])
    keys = (*keys, *(slice(None),) * (ndim - len(keys)))
    return tuple(slice(*(None if n is None else operator.index(n) for n in (k.start, k.stop, k.step))) for k in keys)


def write_mat(path: str | Path, variable: str, array: np.ndarray, version: str = 'v5') -> None:
    """Write one variable to a new file.

    Args:
        path: the file; its folder is made if absent.
        variable: name of the variable.
        array: numbers.
        version: 'v5' (any MATLAB, scipy; compressed), or 'v73': HDF5 as MATLAB 7.3 writes it, with the axes the other
            way round and in compressed blocks.

    Raises:
        ValueError: if the version is unknown.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if version == 'v5':
        from scipy.io import savemat

        savemat(path, {variable: array}, do_compression=True)
        return
    if version != 'v73':
        raise ValueError(f"version must be 'v5' or 'v73', got {version!r}")
    import h5py

    with h5py.File(path, 'w', userblock_size=_BLOCK) as file:
        held = file.create_dataset(variable, data=array.T, chunks=True, compression='gzip')
        held.attrs['MATLAB_class'] = np.bytes_(_MATLAB_CLASSES.get(array.dtype.name, array.dtype.name))
    header = b'MATLAB 7.3 MAT-file, written by mmsits'.ljust(124) + b'\x00\x02IM'
    with open(path, 'r+b') as written:
        written.write(header)


_MATLAB_CLASSES = dict(float64='double', float32='single', bool='logical')
