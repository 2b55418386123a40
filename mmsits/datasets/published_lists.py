"""Lists of samples that published experiments trained and validated on, with their order and repetitions.

`published_lists.csv` beside this file holds them: STCLN's patches of PASTIS and tiles of MTLCC (Qin et al., JAG 2025).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

TILES_PER_PERCENT = 3
"""Tiles of each class that STCLN takes for one percent of the labels of MTLCC."""

STCLN_CELLS = {1: ((0, 0),), 2: ((0, 0), (1, 1)), 5: ((0, 0), (1, 1), (2, 2), (3, 3), (1, 0))}
"""Cells (row, column) of 4×4 of each listed patch of PASTIS that STCLN takes for 1, 2 and 5 % of the labels."""


@lru_cache
def _rows() -> dict[str, list[tuple[str, int]]]:
    lists: dict[str, list[tuple[str, int]]] = {}
    with (Path(__file__).parent / 'published_lists.csv').open(encoding='utf-8', newline='') as file:
        for row in csv.DictReader(file):
            lists.setdefault(row['list'], []).append((row['class'], int(row['id'])))
    return lists


def published_list(name: str) -> list[int]:
    """A published list of patches or tiles.

    Args:
        name: 'stcln_pastis_train', 'stcln_pastis_val' (76 patches each), or 'stcln_mtlcc_train_2%',
            'stcln_mtlcc_val_2%': three tiles of each of 13 classes for each percent, 1 to 5; without a percentage all
            15 of each class. Tiles were chosen for a large share of the class, one may stand for several.

    Returns:
        Numbers in the published order, class by class for MTLCC; some occur more than once.

    Raises:
        ValueError: if there is no such list.
    """
    match = re.fullmatch(r'(\w+?)(?:_([1-5])%)?', name)
    base, percent = match.groups() if match else (name, None)
    rows = _rows().get(base)
    if rows is None or (percent and not rows[0][0]):
        raise ValueError(
            f'no published list {name!r}; there are {", ".join(_rows())}, those of MTLCC also with _1% … _5%'
        )
    if percent is None:
        return [number for _, number in rows]
    by_class: dict[str, list[int]] = {}
    for label, number in rows:
        by_class.setdefault(label, []).append(number)
    return [number for numbers in by_class.values() for number in numbers[: TILES_PER_PERCENT * int(percent)]]


def list_classes(name: str) -> list[int]:
    """Class indices of a list that goes by classes, ascending.

    Raises:
        ValueError: if the list does not.
    """
    found = dict.fromkeys(int(label) for label, _ in _rows().get(name, ()) if label)
    if not found:
        raise ValueError(f'no published list {name!r} that goes by classes')
    return list(found)


def read_sample_list(source: str | Path | Sequence[str | int]) -> list[str]:
    """Names of samples from a published list, a file with one name a line, or a sequence.

    Args:
        source: name of a published list, path of a file, or the names.

    Returns:
        The names as text, in their order.

    Raises:
        FileNotFoundError: if it is neither a list nor a file.
    """
    if not isinstance(source, str | Path):
        return [str(name) for name in source]
    if Path(source).is_file():
        return Path(source).read_text(encoding='utf-8').split()
    try:
        return [str(number) for number in published_list(str(source))]
    except ValueError as error:
        raise FileNotFoundError(f'no file of this name, and {error}') from error
