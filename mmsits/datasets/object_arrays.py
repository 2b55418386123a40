"""Read numpy's object arrays (.npy with pickled content) of arrays, numbers and text, and nothing that could run."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .errors import DataError
from .plain_pickle import _ALLOWED, _NumberType, _PlainUnpickler


class _ElementType(_NumberType):
    """Stands for `numpy.dtype` of a number or of objects."""

    def __init__(self, name: str, *_: Any) -> None:
        if str(name).strip('|') in ('O', 'O8'):
            self.dtype = np.dtype(object)
        else:
            super().__init__(name)

    def __setstate__(self, state: tuple) -> None:
        if self.dtype != np.dtype(object):
            super().__setstate__(state)


class _Array:
    """Stands for `numpy.ndarray` while unpickling: the real one would take any state, and trust what it says."""

    array: np.ndarray

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, fortran, content = state
        if not isinstance(kind, _ElementType):
            raise pickle.UnpicklingError('a numpy array without its type')
        order: Any = 'F' if fortran else 'C'
        if isinstance(content, list):
            flat = np.empty(len(content), object)
            flat[:] = [item.array if isinstance(item, _Array) else item for item in content]
        else:
            flat = np.frombuffer(content, kind.dtype)
        self.array = flat.reshape(shape, order=order)


def _reconstruct(*_: Any) -> _Array:
    return _Array()


_ARRAYS: dict[tuple[str, str], Callable[..., Any]] = {
    **_ALLOWED,
    ('numpy', 'dtype'): _ElementType,
    ('numpy', 'ndarray'): _Array,
    ('numpy.core.multiarray', '_reconstruct'): _reconstruct,
    ('numpy._core.multiarray', '_reconstruct'): _reconstruct,
}


class _ArrayUnpickler(_PlainUnpickler):
    """Knows the names of :data:`_ARRAYS` and no others."""

    def find_class(self, module: str, name: str) -> Any:
        """The class or function of that name, if it belongs to arrays of plain data."""
        if (module, name) in _ARRAYS:
            return _ARRAYS[module, name]
        return super().find_class(module, name)


def load_object_array(path: str | Path) -> np.ndarray:
    """Read an object array whose elements are arrays, numbers or text.

    Args:
        path: .npy file.

    Returns:
        The array, of dtype object.

    Raises:
        DataError: if the file is missing, damaged, no object array, or holds more than plain data; nothing of it was
            run.
    """
    try:
        with open(path, 'rb') as file:
            return _read(file, path)
    except FileNotFoundError as error:
        raise DataError('the file is missing', path=path, hint='Complete the download.') from error
    except DataError:
        raise
    except pickle.UnpicklingError as error:
        raise DataError(
            f'refused to unpickle: {error}',
            path=path,
            hint='Only arrays, containers, numbers and text are read; get the file from its authors.',
        ) from error
    # A damaged file raises whatever the bytes lead to.
    except Exception as error:
        raise DataError(
            f'not a readable object array ({type(error).__name__}: {error})',
            path=path,
            hint='Download the file again; of a repository with large-file storage a plain clone has empty stand-ins.',
        ) from error


def _read(file: BinaryIO, path: str | Path) -> np.ndarray:
    version = np.lib.format.read_magic(file)
    read_header: Any = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(file)
    if dtype != np.dtype(object):
        raise DataError(
            f'an object array is expected, found {dtype} {shape}', path=path, hint='Read it with numpy.load.'
        )
    loaded = _ArrayUnpickler(file).load()
    if not isinstance(loaded, _Array) or loaded.array.dtype != np.dtype(object) or loaded.array.shape != shape:
        raise DataError(f'the content is no array of {shape} objects', path=path, hint='Download the file again.')
    return loaded.array
