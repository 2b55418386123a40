"""Read a pickle that holds data only: containers, numbers, text and dates. Anything else is refused.

A pickle may name any function of any module and have it called; a data set from the internet must not be able to.
"""

from __future__ import annotations

import collections
import datetime
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from .errors import DataError


class _NumberType:
    """Stands for `numpy.dtype` of a number while unpickling; the real one would take any state it is given."""

    def __init__(self, name: str, *_: Any) -> None:
        self.dtype = np.dtype(str(name))
        if self.dtype.kind not in 'biuf':
            raise pickle.UnpicklingError(f'numpy type {name!r} is no number')

    def __setstate__(self, state: tuple) -> None:
        self.dtype = np.dtype(('>' if state[1] == '>' else '<') + self.dtype.str[1:])


def _number(kind: _NumberType, content: bytes) -> int | float | bool:
    """The Python number of a pickled numpy scalar."""
    if not isinstance(kind, _NumberType):
        raise pickle.UnpicklingError('a numpy number without its type')
    return np.frombuffer(content, kind.dtype, count=1)[0].item()


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ('datetime', 'date'): datetime.date,
    ('datetime', 'datetime'): datetime.datetime,
    ('datetime', 'timedelta'): datetime.timedelta,
    ('collections', 'OrderedDict'): collections.OrderedDict,
    ('builtins', 'set'): set,
    ('builtins', 'frozenset'): frozenset,
    # Protocol 2 of Python 3 writes sets and bytes of old versions by these names.
    ('__builtin__', 'set'): set,
    ('__builtin__', 'frozenset'): frozenset,
    ('numpy', 'dtype'): _NumberType,
    ('numpy.core.multiarray', 'scalar'): _number,
    ('numpy._core.multiarray', 'scalar'): _number,
}


class _PlainUnpickler(pickle.Unpickler):
    """Knows the names of :data:`_ALLOWED` and no others."""

    def find_class(self, module: str, name: str) -> Any:
        """The class or function of that name, if it belongs to plain data."""
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f'the file asks for {module}.{name}, which is no plain data')
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> Any:
        """Refused: nothing outside the file is loaded."""
        raise pickle.UnpicklingError('the file refers to something outside it')


def load_plain(file: BinaryIO) -> Any:
    """Unpickle plain data from an open file.

    Args:
        file: opened for reading bytes.

    Returns:
        dict, list, tuple, set, OrderedDict, str, bytes, int, float, bool, None, date, datetime or timedelta, nested;
        numpy numbers become Python numbers.

    Raises:
        pickle.UnpicklingError: if the file asks for anything else; nothing of it was run.
    """
    return _PlainUnpickler(file).load()


def load_plain_pickle(path: str | Path) -> Any:
    """Read a pickle of plain data (see :func:`load_plain`).

    Raises:
        DataError: if the file is missing, damaged, or holds more than plain data.
    """
    try:
        with open(path, 'rb') as file:
            return load_plain(file)
    except FileNotFoundError as error:
        raise DataError('the file is missing', path=path, hint='Complete the download.') from error
    except pickle.UnpicklingError as error:
        raise DataError(
            f'refused to unpickle: {error}',
            path=path,
            hint='Only containers, numbers, text and dates are read; get the file from its authors.',
        ) from error
    # A damaged pickle raises whatever the bytes lead to.
    except Exception as error:
        raise DataError(
            f'not a readable pickle ({type(error).__name__}: {error})', path=path, hint='Download the file again.'
        ) from error
