"""The error that names bad data: which file, date and band, what was expected and found, and what to do."""

from __future__ import annotations

from os import PathLike, fspath

import numpy as np


def iso_day(day: int) -> str:
    """The calendar date of a day number.

    Args:
        day: days since 1970-01-01.

    Returns:
        The date as ``YYYY-MM-DD``.
    """
    return str(np.datetime64(int(day), 'D'))


class DataError(ValueError):
    """Data that cannot be used as they are.

    The message has one order everywhere: what is wrong (expected and found), where (sample, file, date, band), what to
    do.

    Args:
        problem: what is wrong, as half a sentence with what was expected and what was found.
        path: the file that is to blame.
        sample_id: the sample the file belongs to.
        day: days since 1970-01-01 of the date that is to blame.
        date_index: position of that date in the file.
        band: name of the band that is to blame.
        hint: what to do about it, as a sentence.
    """

    def __init__(
        self,
        problem: str,
        *,
        path: str | PathLike | None = None,
        sample_id: str | None = None,
        day: int | None = None,
        date_index: int | None = None,
        band: str | None = None,
        hint: str = '',
    ) -> None:
        self.problem = problem
        self.path = None if path is None else fspath(path)
        self.sample_id = sample_id
        self.day = None if day is None else int(day)
        self.date_index = None if date_index is None else int(date_index)
        self.band = band
        self.hint = hint
        super().__init__(self._message())

    @property
    def date(self) -> str | None:
        """The date that is to blame as ``YYYY-MM-DD``; None where the whole file is."""
        return None if self.day is None else iso_day(self.day)

    def _message(self) -> str:
        where = []
        if self.sample_id is not None:
            where.append(f'sample {self.sample_id}')
        if self.path is not None:
            where.append(f'file {self.path}')
        if self.day is not None:
            position = '' if self.date_index is None else f' (index {self.date_index})'
            where.append(f'date {self.date}{position}')
        elif self.date_index is not None:
            where.append(f'date index {self.date_index}')
        if self.band is not None:
            where.append(f'band {self.band}')
        message = f'{self.problem} [{", ".join(where)}]' if where else self.problem
        return f'{message}. {self.hint}' if self.hint else message

    def __reduce__(self) -> tuple:
        fields = (self.path, self.sample_id, self.day, self.date_index, self.band, self.hint)
        return _rebuild, (self.problem, *fields)


def _rebuild(
    problem: str,
    path: str | None,
    sample_id: str | None,
    day: int | None,
    date_index: int | None,
    band: str | None,
    hint: str,
) -> DataError:
    """Unpickle a :class:`DataError`, with its fields, in another process."""
    return DataError(problem, path=path, sample_id=sample_id, day=day, date_index=date_index, band=band, hint=hint)
