"""Crop codes of the TimeMatch countries, and the classes made of them.

Denmark: afgkode of the Danish field register; France: code of the Registre parcellaire graphique; Austria: snar_code of
AMA. Groups as in Nyborg, Pelletier, Lefèvre & Assent, TimeMatch, ISPRS Journal of Photogrammetry and Remote Sensing 188
(2022).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

UNKNOWN = 'unknown'
"""Class of every code that no table has, and of crops that a run does not tell apart."""

ClassTable = Mapping[str, Any]
"""Class name to its codes: a sequence, or a mapping whose keys are the codes."""

DENMARK: dict[str, str] = {
    'meadow': '251 252 276 255 250 254 257 278 248 256 488 286 287 274 260 263 267 264 268 247 266 261 270 253 285 262 '
    '306 170 101 102 103 117 116 104',
    'corn': '216 5 423',
    'spring_barley': '1 210 701',
    'winter_barley': '10 220 706',
    'spring_wheat': '2 6 211 702',
    'winter_wheat': '11 13 221 707',
    'spring_rapeseed': '21',
    'winter_rapeseed': '22',
    'spring_oat': '3 212 703',
    'winter_oat': '57',
    'spring_triticale': '56',
    'winter_triticale': '16 223 711',
    'spring_rye': '55 704',
    'winter_rye': '15 14 222 709',
    'horsebeans': '31',
    'spring_peas': '424 30 215',
}
FRANCE: dict[str, str] = {
    'meadow': 'PPH PRL PTR RGA GFP LU5 LU6 LU7 LUD LUZ MEL TR5 TR6 TR7 TRD TRE MH5 MH6 MH7 MLG',
    'corn': 'MIS MIE MID',
    'spring_barley': 'ORP',
    'winter_barley': 'ORH',
    'spring_wheat': 'BTP BDP',
    'winter_wheat': 'BTH BDH',
    'spring_rapeseed': 'CZP',
    'winter_rapeseed': 'CZH',
    'spring_oat': 'AVP',
    'winter_oat': 'AVH',
    'spring_triticale': 'TTP',
    'winter_triticale': 'TTH',
    'horsebeans': 'FVL FF6 FF7 FFO',
    'spring_peas': 'PPR PP7 PPO PFP',
    'winter_peas': 'PHI PH6 PH7 PFH',
    'spring_rye': 'SGP',
    'winter_rye': 'SGH',
    'sunflowers': 'TRN',
}
AUSTRIA: dict[str, str] = {
    'meadow': '717 716 634 715 636 990 637 633 635',
    'corn': '105 109 106 173 107',
    'spring_barley': '111',
    'winter_barley': '110',
    'spring_wheat': '137',
    'winter_wheat': '138',
    'spring_rapeseed': '302',
    'winter_rapeseed': '301',
    'spring_oat': '155',
    'spring_triticale': '157',
    'winter_triticale': '116',
    'horsebeans': '202',
    'spring_peas': '115 201',
    'spring_rye': '141',
    'winter_rye': '142',
    'sunflowers': '307',
}
CLASS_TABLES: dict[str, dict[str, list[str]]] = {
    country: {name: codes.split() for name, codes in table.items()}
    for country, table in {'denmark': DENMARK, 'france': FRANCE, 'austria': AUSTRIA}.items()
}
"""Country to class name to crop codes (as text)."""

PALETTE: dict[str, tuple[int, int, int]] = {
    'meadow': (122, 196, 92),
    'corn': (226, 92, 48),
    'spring_barley': (176, 122, 62),
    'winter_barley': (201, 148, 84),
    'barley': (190, 136, 72),
    'spring_wheat': (208, 160, 40),
    'winter_wheat': (232, 190, 66),
    'wheat': (222, 176, 52),
    'spring_rapeseed': (214, 206, 40),
    'winter_rapeseed': (247, 236, 70),
    'rapeseed': (236, 222, 56),
    'spring_oat': (206, 186, 110),
    'winter_oat': (186, 166, 90),
    'oat': (198, 178, 100),
    'spring_triticale': (216, 190, 116),
    'winter_triticale': (240, 214, 140),
    'triticale': (230, 204, 128),
    'spring_rye': (150, 104, 30),
    'winter_rye': (128, 86, 22),
    'rye': (140, 96, 26),
    'horsebeans': (38, 150, 120),
    'spring_peas': (70, 170, 190),
    'winter_peas': (46, 130, 160),
    'peas': (60, 152, 176),
    'sunflowers': (255, 160, 24),
    UNKNOWN: (90, 90, 98),
}
"""Colours of the classes; see :func:`palette_of` for others."""

MORE_COLOURS = ((214, 58, 116), (112, 44, 110), (140, 86, 70), (20, 90, 60), (238, 130, 170), (166, 60, 40))


def without_season(name: str) -> str:
    """The crop of a class: 'winter_wheat' and 'spring_wheat' are 'wheat'."""
    return name.removeprefix('spring_').removeprefix('winter_')


def code_text(code: Any) -> str:
    """A crop code as the tables spell it: integers (also 3.0 and '007') without sign and zeros, text as it is."""
    if isinstance(code, float) and code.is_integer():
        code = int(code)
    text = str(code).strip()
    return str(int(text)) if text.isdigit() else text


def class_of_code(table: ClassTable) -> dict[str, str]:
    """Turn a class table round.

    Args:
        table: class name to codes; a mapping of 'spring' and 'winter' (or any other word) to codes makes the classes
            `spring_<name>` and `winter_<name>`, as in the authors' files.

    Returns:
        Code (text) to class name.

    Raises:
        ValueError: if a code stands in two classes.
    """
    found: dict[str, str] = {}
    for name, codes in table.items():
        if isinstance(codes, Mapping) and any(isinstance(value, Mapping | list | tuple) for value in codes.values()):
            groups = {f'{season}_{name}': inner for season, inner in codes.items()}
        else:
            groups = {name: codes}
        for group, members in groups.items():
            for code in members:
                text = code_text(code)
                if found.setdefault(text, group) != group:
                    raise ValueError(f'class table: code {text} stands in {found[text]!r} and in {group!r}')
    return found


def read_class_table(path: str | Path) -> dict[str, Any]:
    """Read a class table from YAML: class to codes, or class to season to codes.

    Raises:
        ValueError: if the file holds anything else.
    """
    import yaml

    table = yaml.safe_load(Path(path).read_text(encoding='utf-8'))
    if not isinstance(table, dict) or not all(isinstance(codes, dict | list) for codes in table.values()):
        raise ValueError(f'{path}: a class table maps class names to lists (or tables) of codes')
    return table


def label_codes(codes: Sequence[Any], table: ClassTable, combine_seasons: bool = False) -> list[str]:
    """Class name of each crop code.

    Args:
        codes: crop codes of parcels.
        table: of their country.
        combine_seasons: spring and winter forms of a cereal are one class.

    Returns:
        Names; :data:`UNKNOWN` for a code that is not in the table.
    """
    classes = class_of_code(table)
    names = [classes.get(code_text(code), UNKNOWN) for code in codes]
    return [without_season(name) for name in names] if combine_seasons else names


def class_names(table: ClassTable, combine_seasons: bool = False) -> list[str]:
    """All classes of a country and :data:`UNKNOWN`, in alphabetical order."""
    names = {*class_of_code(table).values(), UNKNOWN}
    return sorted({without_season(name) for name in names} if combine_seasons else names)


def select_classes(names: Sequence[str], candidates: Sequence[str], min_parcels: int) -> list[str]:
    """The classes of a run: those with enough parcels in the source domain.

    Args:
        names: class of each source parcel.
        candidates: classes that may be chosen.
        min_parcels: least number of parcels.

    Returns:
        Chosen classes in the order of `candidates`.
    """
    counts = Counter(names)
    return [name for name in candidates if counts[name] >= min_parcels]


def palette_of(classes: Sequence[str]) -> list[tuple[int, int, int]]:
    """A colour for each class, no two alike.

    Names of crops in :data:`PALETTE` have theirs, however they are written ('Winter barley', 'winter_barley'). Then
    come :data:`MORE_COLOURS`, and as many others as needed, each as different as possible from those before.

    Args:
        classes: K names.

    Returns:
        K colours, 0 … 255.
    """
    chosen: dict[int, tuple[int, int, int]] = {}
    for number, name in enumerate(classes):
        colour = PALETTE.get(name.lower().replace(' ', '_'))
        if colour is not None and colour not in chosen.values():
            chosen[number] = colour
    spare = list(MORE_COLOURS)
    for number in range(len(classes)):
        if number not in chosen:
            chosen[number] = spare.pop(0) if spare else _most_different(list(chosen.values()))
    return [chosen[number] for number in range(len(classes))]


def _most_different(colours: Sequence[tuple[int, int, int]]) -> tuple[int, int, int]:
    """The colour, neither nearly white nor nearly black, that is furthest from all of some."""
    steps = np.arange(8, 256, 24)
    lattice = np.stack(np.meshgrid(steps, steps, steps, indexing='ij'), -1).reshape(-1, 3)
    lattice = lattice[(lattice.max(1) > 90) & (lattice.sum(1) < 640)]
    distance = np.linalg.norm(lattice[:, None] - np.array(colours), axis=2).min(1)
    red, green, blue = lattice[distance.argmax()].tolist()
    return red, green, blue
