"""One language for the classes of all datasets: codes of HCAT, and what becomes of classes when datasets meet.

HCAT, the hierarchical crop and agriculture taxonomy of EuroCrops, version 3 (Schneider, Schelte, Schmitz & Körner,
EuroCrops: The Largest Harmonized Open Crop Dataset Across the European Union, Scientific Data 10 (2023) 612;
github.com/maja601/EuroCrops, hcat_core/HCAT3.csv, CC BY 4.0). `hcat3.csv` beside this file holds its 394 codes and
names unchanged. A code has ten digits; '33' stands for crop types, and each further pair for a step down:

    level 3  3301000000  arable_crops
    level 4  3301010000  cereal
    level 5  3301010100  common_soft_wheat
    level 6  3301010101  winter_common_soft_wheat

`class_codes.csv` holds the code of every class of the datasets that the library knows (`code_list_names`). The codes
were assigned here, after EuroCrops' tables of national codes where these have the crop; a note says where a class holds
more than its code says. Two rules: a class that is nearly all one crop has the code of this crop, and a sequence of
crops within a season that of its first. A class without code is land cover outside of HCAT, or no class at all.
"""

from __future__ import annotations

import colorsys
import csv
import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from .errors import DataError
from .timematch_classes import code_text

UNKNOWN = 3399000000
"""HCAT's 'not_known_and_other': crops of any kind, which must not be matched with anything."""

IGNORED = 255
TOP_LEVEL, BOTTOM_LEVEL = 1, 6
_FOLDER = Path(__file__).parent

COLUMNS = dict(
    code=('code', 'original_code'),
    name=('name', 'original_name', 'translated_name'),
    hcat=('hcat', 'HCAT3_code', 'EC_hcat_c'),
    hcat_name=('HCAT3_name', 'EC_hcat_n'),
    note=('note',),
)
"""Names of the columns of a code list; the second and further ones are those of EuroCrops' own tables."""


class CropCode(NamedTuple):
    """Where a class stands in HCAT.

    Attributes:
        hcat: code; None where HCAT has none, or where nobody said.
        note: what the class holds beside, or why it has no code.
        listed: False if no list says what the class is.
    """

    hcat: int | None
    note: str = ''
    listed: bool = True


ClassCodes = Mapping[str, CropCode]
"""Class name to its code, in the order of the labels."""


@lru_cache
def hcat_names() -> Mapping[int, str]:
    """All codes of HCAT with their names, in ascending order."""
    with (_FOLDER / 'hcat3.csv').open(encoding='utf-8', newline='') as file:
        return {int(row['hcat']): row['name'] for row in csv.DictReader(file)}


@lru_cache
def _hcat_codes() -> Mapping[str, int]:
    return {name: code for code, name in hcat_names().items()}


def hcat_code(item: str | int) -> int:
    """The code that a code or a name stands for.

    Args:
        item: 3301010100, '3301010100' or 'common_soft_wheat'.

    Raises:
        ValueError: If HCAT has neither; names the nearest.
    """
    text = code_text(item)
    if text.isdigit() and int(text) in hcat_names():
        return int(text)
    if text in _hcat_codes():
        return _hcat_codes()[text]
    nearest = difflib.get_close_matches(text, [*_hcat_codes(), *map(str, hcat_names())], n=3)
    hint = f'; near it are {", ".join(nearest)}' if nearest else ''
    raise ValueError(f'{item!r} is neither a code nor a name of HCAT 3{hint}')


def level_of(code: int) -> int:
    """Level of a code, 1 (everything) to 6 (a crop and its season)."""
    digits = str(hcat_code(code))
    if digits[1] == '0':
        return TOP_LEVEL
    return 1 + sum(digits[place : place + 2] != '00' for place in range(0, 10, 2))


def ancestors(code: int) -> tuple[int, ...]:
    """The codes above a code, from the top down, without itself."""
    digits = str(hcat_code(code))
    above = [3 * 10**9, *(int(digits[: 2 * pairs].ljust(10, '0')) for pairs in range(1, level_of(code) - 1))]
    return tuple(above[: level_of(code) - 1])


def at_level(code: int, level: int) -> int:
    """The code at a level: that of the ancestor there, or the code itself if it does not reach down to it.

    'unspecified_season_…' is no further kind of a crop beside its winter and spring form, but the crop itself.

    Raises:
        ValueError: If the level is not 1 … 6, or HCAT does not have the code.
    """
    if not TOP_LEVEL <= level <= BOTTOM_LEVEL:
        raise ValueError(f'HCAT has the levels {TOP_LEVEL} … {BOTTOM_LEVEL}, got {level}')
    path = (*ancestors(code), hcat_code(code))
    if hcat_names()[path[-1]].startswith('unspecified_season_'):
        path = path[:-1]
    return path[min(level, len(path)) - 1]


def is_within(code: int, group: int) -> bool:
    """Whether a code is a group or lies below it."""
    return group == code or group in ancestors(code)


def common_ancestor(codes: Iterable[int]) -> int:
    """The lowest code that all of some codes lie within.

    Raises:
        ValueError: If there is no code.
    """
    paths = [(*ancestors(code), code) for code in codes]
    if not paths:
        raise ValueError('no code is given')
    shared = [steps[0] for steps in zip(*paths, strict=False) if len(set(steps)) == 1]
    return shared[-1]


class CodeList:
    """Codes of classes, found by the class's name or by its code in a register.

    Capitals, blanks, hyphens and underscores make no difference: 'Winter Wheat' is 'winter_wheat'.

    Args:
        entries: name, or code in the register, to code of HCAT.
        source: of the list, for messages; '' for a list without entries.
        names: of the classes, in the order of the list; None for all that the entries have.
    """

    def __init__(
        self, entries: Iterable[tuple[str, CropCode]] = (), source: str = '', names: Sequence[str] | None = None
    ) -> None:
        entries = list(entries)
        self.source = source
        self.names = tuple(dict.fromkeys(name for name, _ in entries)) if names is None else tuple(names)
        self._entries: dict[str, CropCode] = {}
        for name, code in entries:
            held = self._entries.setdefault(_key(name), code)
            if held.hcat != code.hcat:
                raise DataError(
                    f'{name!r} stands twice in the list, for {held.hcat} and for {code.hcat}',
                    path=source,
                    hint='Leave one of them.',
                )

    def __contains__(self, name: str) -> bool:
        return _key(name) in self._entries

    def __getitem__(self, name: str) -> CropCode:
        """Code of a class.

        A class that joins several, 'a + b', has the lowest code above all of them. A name that the list does not have
        may be a name or a code of HCAT; any other has no code.
        """
        if name in self:
            return self._entries[_key(name)]
        if ' + ' in name:
            parts = [self[part].hcat for part in name.split(' + ')]
            known = [part for part in parts if part is not None]
            return CropCode(common_ancestor(known) if len(known) == len(parts) else None, 'several classes joined')
        try:
            return CropCode(hcat_code(name.strip()))
        except ValueError:
            where = f'the code list {self.source}' if self.source else 'HCAT, and no code list is named'
            return CropCode(None, f'not in {where}', listed=False)

    def codes(self, classes: Sequence[str]) -> dict[str, CropCode]:
        """Codes of classes, in their order."""
        return {name: self[name] for name in classes}


def _key(name: str) -> str:
    return re.sub(r'[\W_]+', ' ', code_text(name).casefold()).strip()


@lru_cache
def _class_codes() -> Mapping[str, Sequence[Mapping[str, str]]]:
    lists: dict[str, list[Mapping[str, str]]] = {}
    with (_FOLDER / 'class_codes.csv').open(encoding='utf-8', newline='') as file:
        for row in csv.DictReader(file):
            lists.setdefault(row['list'], []).append(row)
    return lists


def code_list_names() -> tuple[str, ...]:
    """Names of the built-in lists: one for each dataset, or for datasets that share their classes."""
    return tuple(_class_codes())


def read_code_list(source: str | Path | Mapping[str, Any] | CodeList | None) -> CodeList:
    """Open a list of class codes.

    Args:
        source: Name of a built-in list (`code_list_names`); a CSV file with the columns `code`, `name`, `hcat` and
            perhaps `note`, of which `code` or `name` may be missing (EuroCrops' tables of national codes can be read as
            they are); a mapping of class names to codes or names of HCAT, None for classes without; or None for a list
            without entries, with which only names and codes of HCAT itself are known.

    Returns:
        The list.

    Raises:
        DataError: If the file is missing, lacks columns, or names a code that HCAT does not have.
        ValueError: If a mapping names one.
    """
    if isinstance(source, CodeList):
        return source
    if source is None:
        return CodeList()
    if isinstance(source, Mapping):
        codes = {name: CropCode(None if hcat is None else hcat_code(hcat)) for name, hcat in source.items()}
        return CodeList(codes.items(), 'given')
    if str(source) in _class_codes():
        rows = _class_codes()[str(source)]
        spelt = [(row[column], _crop_code(row)) for column in ('name', 'code') for row in rows if row[column]]
        return CodeList(spelt, str(source), [row['name'] for row in rows])
    return _read_csv(Path(source))


def _crop_code(row: Mapping[str, str]) -> CropCode:
    return CropCode(int(row['hcat']) if row['hcat'] else None, row['note'])


def _read_csv(path: Path) -> CodeList:
    if not path.is_file():
        raise DataError(
            f'no code list of this name; built in are {", ".join(code_list_names())}',
            path=path,
            hint='Give one of these names, or the path of a CSV file.',
        )
    with path.open(encoding='utf-8-sig', newline='') as file:
        try:
            rows = list(csv.DictReader(file))
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(
                f'not a readable CSV file ({error})', path=path, hint='Write it again, in UTF-8.'
            ) from error
    held = list(rows[0]) if rows else []
    present = {key: [name for name in names if name in held] for key, names in COLUMNS.items()}
    if not (present['code'] or present['name']) or not (present['hcat'] or present['hcat_name']):
        raise DataError(
            f'a code list needs the columns code or name, and hcat; found {held}', path=path, hint='Rename them.'
        )
    entries = []
    for number, row in enumerate(rows, 2):
        code = _row_code(row, present, path, number)
        titles = dict.fromkeys((row[column] or '').strip() for key in ('code', 'name') for column in present[key])
        entries += [(title, code) for title in titles if title]
    return _without_contradictions(entries, path)


def _row_code(row: Mapping[str, str], present: Mapping[str, Sequence[str]], path: Path, number: int) -> CropCode:
    note = ''.join((row[column] or '').strip() for column in present['note'])
    given = [(row[column] or '').strip() for key in ('hcat', 'hcat_name') for column in present[key]]
    given = [text for text in given if text]
    for text in given:
        try:
            return CropCode(hcat_code(text), note)
        except ValueError as error:
            # EuroCrops' tables hold a few codes of older versions: their name then says what is meant.
            refused = error
    if not given:
        return CropCode(None, note or 'the list gives no code')
    raise DataError(f'line {number}: {refused}', path=path, hint='Correct the code.')


def _without_contradictions(entries: Sequence[tuple[str, CropCode]], path: Path) -> CodeList:
    """Registers give several codes one name; where these differ in HCAT, the name has what they have in common."""
    meanings: dict[str, list[CropCode]] = {}
    for title, code in entries:
        meanings.setdefault(_key(title), []).append(code)
    merged = {}
    for title, _ in entries:
        codes = meanings[_key(title)]
        known = {code.hcat for code in codes if code.hcat is not None}
        merged[title] = codes[0] if len(known) < 2 else CropCode(common_ancestor(known), 'several codes of one name')
    return CodeList(merged.items(), str(path))


class Fate(NamedTuple):
    """What becomes of a class.

    Attributes:
        label: label of the class that it is merged into; 255 if it is neither trained nor scored.
        reason: why it has none, '' if it has one.
        unknown: whether the reason is that nobody knows what the class holds.
    """

    label: int
    reason: str = ''
    unknown: bool = False


@dataclass(frozen=True)
class ClassMatch:
    """Classes that several lists of classes share, and what becomes of each of theirs.

    Attributes:
        classes: names of the merged classes; those of HCAT, unless others were given.
        codes: their codes of HCAT; None for a class that was kept by its name, or that joins several codes.
        names: of the lists.
        fates: of each list: class to what becomes of it.
    """

    classes: tuple[str, ...]
    codes: tuple[int | None, ...]
    names: tuple[str, ...]
    fates: tuple[Mapping[str, Fate], ...]

    @property
    def palette(self) -> list[list[int]]:
        """A colour for each merged class; see `colour_of`."""
        return [list(colour_of(code, name)) for code, name in zip(self.codes, self.classes, strict=True)]

    @property
    def shared(self) -> tuple[int, ...]:
        """Labels of the merged classes that every list has."""
        present = [{fate.label for fate in fates.values()} for fates in self.fates]
        return tuple(label for label in range(len(self.classes)) if all(label in labels for labels in present))

    def members(self, number: int, label: int) -> tuple[str, ...]:
        """Classes of a list that were merged into one; 255 for those that were dropped."""
        return tuple(name for name, fate in self.fates[number].items() if fate.label == label)

    def translation(self, number: int = 0) -> np.ndarray:
        """New label of each class of a list, (K,) uint8."""
        return np.array([fate.label for fate in self.fates[number].values()], np.uint8)

    def class_codes(self) -> dict[str, CropCode]:
        """The merged classes with their codes."""
        return {name: CropCode(code) for name, code in zip(self.classes, self.codes, strict=True)}

    def report(self) -> str:
        """What was merged, dropped, unknown and found in one list only, for people."""
        head = ['label', 'class', 'HCAT', *self.names]
        rows = [
            [str(label), name, str(code or '-'), *(', '.join(self.members(n, label)) or '-' for n in self._numbers)]
            for label, (name, code) in enumerate(zip(self.classes, self.codes, strict=True))
        ]
        widths = [min(40, max(len(row[column]) for row in [head, *rows])) for column in range(len(head))]
        lines = ['  '.join(text.ljust(width) for text, width in zip(row, widths, strict=True)) for row in [head, *rows]]
        lines = [line.rstrip() for line in lines]
        for number in self._numbers:
            lines += self._losses(number)
            lines += self._alone(number)
        return '\n'.join(lines)

    @property
    def _numbers(self) -> range:
        return range(len(self.names))

    def _losses(self, number: int) -> list[str]:
        lines = []
        for word, unknown in (('dropped', False), ('unknown', True)):
            lost = [
                f'{name} ({fate.reason})'
                for name, fate in self.fates[number].items()
                if fate.label == IGNORED and fate.unknown == unknown
            ]
            if lost:
                lines.append(f'{word} in {self.names[number]}: {"; ".join(lost)}')
        return lines

    def _alone(self, number: int) -> list[str]:
        if len(self.names) < 2:
            return []
        own = [name for label, name in enumerate(self.classes) if self._lists_with(label) == [number]]
        return [f'only in {self.names[number]}: {", ".join(own)}'] if own else []

    def _lists_with(self, label: int) -> list[int]:
        return [number for number in self._numbers if self.members(number, label)]


def match_classes(
    *lists: ClassCodes,
    names: Sequence[str] = (),
    level: int = 5,
    classes: Sequence[str | int] | Mapping[str, Any] | None = None,
    keep: Sequence[str] = (),
) -> ClassMatch:
    """Find the classes that lists of classes share.

    Without `classes`, those at a level of HCAT: classes further down are merged, classes further up stay as they are,
    unless another class lies below them ('cereal' beside 'barley'): then nobody can say whether they are the same, and
    they are dropped. The merged classes are ordered by code.

    Args:
        *lists: class name to code, one for each dataset, in the order of its labels: `CodeList.codes`.
        names: of the lists, for the report; 'source', 'target' for two of them where none are given.
        level: of HCAT, 1 … 6; 5 is that of crops, 6 tells winter and spring forms apart, 4 has groups of crops.
        classes: The merged classes, instead of a level: codes or names of HCAT, of which a class gets the lowest one
            that it lies within; or a mapping of new names to such, or to lists of such, where names of classes can
            stand too: `dict(wheat=['common_soft_wheat', 'durum_hard_wheat'], forest=['tree_wood_forest', 'Cerrado'])`.
        keep: Names of classes that stay classes of their own, whether they have a code or not; they are matched by
            their names, and come last.

    Returns:
        The match.

    Raises:
        ValueError: If there is no list, an argument makes no sense, or nothing is left.
    """
    if not lists:
        raise ValueError('match_classes needs at least one list of classes')
    if not names:
        names = ('source', 'target') if len(lists) == 2 else [f'list {number}' for number in range(1, 1 + len(lists))]
    names = tuple(names)
    if len(names) != len(lists):
        raise ValueError(f'{len(lists)} lists of classes, but {len(names)} names for them')
    if isinstance(classes, str) or isinstance(keep, str):
        raise ValueError(f'classes and keep are lists of names: [{classes if isinstance(classes, str) else keep!r}]')
    kept = {_key(name): name for name in keep}
    groups = _groups_at_level(lists, level, kept) if classes is None else _given_groups(classes, lists)
    present = {_key(name) for codes in lists for name in codes}
    # By level, a name that no list has would be a class that nothing can ever be; a given list is meant as it is.
    groups += [_Group(name, (), (key,)) for key, name in kept.items() if classes is not None or key in present]
    if not groups:
        raise ValueError(f'no class is left: none of {[list(codes) for codes in lists]} has a code at level {level}')
    _refuse_double(groups)
    fates = tuple({name: _fate(name, code, groups) for name, code in codes.items()} for codes in lists)
    return ClassMatch(
        classes=tuple(group.name for group in groups),
        codes=tuple(group.codes[0] if len(group.codes) == 1 and not group.titles else None for group in groups),
        names=names,
        fates=fates,
    )


class _Group(NamedTuple):
    """A merged class: what lies within `codes`, and classes called `titles`."""

    name: str
    codes: tuple[int, ...]
    titles: tuple[str, ...]


def _groups_at_level(lists: Sequence[ClassCodes], level: int, kept: Mapping[str, str]) -> list[_Group]:
    found = {
        at_level(code.hcat, level)
        for codes in lists
        for name, code in codes.items()
        if code.hcat not in (None, UNKNOWN) and _key(name) not in kept
    }
    coarse = {above for code in found for above in ancestors(code)}
    return [_Group(hcat_names()[code], (code,), ()) for code in sorted(found - coarse)]


def _given_groups(classes: Sequence[str | int] | Mapping[str, Any], lists: Sequence[ClassCodes]) -> list[_Group]:
    if not isinstance(classes, Mapping):
        codes = [hcat_code(item) for item in classes]
        return [_Group(hcat_names()[code], (code,), ()) for code in codes]
    known = {_key(name) for codes in lists for name in codes}
    groups = []
    for name, items in classes.items():
        inner: list[int] = []
        titles: list[str] = []
        for item in [items] if isinstance(items, str | int) else items:
            try:
                inner.append(hcat_code(item))
            except ValueError as error:
                if _key(str(item)) not in known:
                    raise ValueError(f'classes[{name!r}]: no class is called {item!r}, and {error}') from error
                titles.append(_key(str(item)))
        groups.append(_Group(name, tuple(inner), tuple(titles)))
    return groups


def _refuse_double(groups: Sequence[_Group]) -> None:
    for what in ('codes', 'titles'):
        held: dict[Any, str] = {}
        for group in groups:
            for item in getattr(group, what):
                if held.setdefault(item, group.name) != group.name:
                    raise ValueError(f'{item!r} stands in two classes, {held[item]!r} and {group.name!r}')
    names = [group.name for group in groups]
    double = {name for name in names if names.count(name) > 1}
    if double:
        raise ValueError(f'classes of the same name: {sorted(double)}')
    if len(groups) > IGNORED:
        raise ValueError(f'{len(groups)} classes; labels go up to {IGNORED - 1}, so {IGNORED} is the most')


def _fate(name: str, code: CropCode, groups: Sequence[_Group]) -> Fate:
    for label, group in enumerate(groups):
        if _key(name) in group.titles:
            return Fate(label)
    if code.hcat is None:
        return Fate(IGNORED, code.note or 'no code', unknown=not code.listed)
    within = [
        (level_of(above), label)
        for label, group in enumerate(groups)
        for above in group.codes
        if is_within(code.hcat, above)
    ]
    if within:
        return Fate(max(within)[1])
    if code.hcat == UNKNOWN:
        return Fate(IGNORED, code.note or hcat_names()[UNKNOWN], unknown=True)
    # 'unspecified_season_…' is as coarse as the crop itself.
    crop = at_level(code.hcat, BOTTOM_LEVEL)
    below = [hcat_names()[inner] for group in groups for inner in group.codes if crop in (*ancestors(inner), inner)]
    if below:
        shown = ', '.join(below[:3]) + (', …' if len(below) > 3 else '')
        return Fate(IGNORED, f'{hcat_names()[code.hcat]} is coarser than {shown}')
    return Fate(IGNORED, f'{hcat_names()[code.hcat]} is not among the classes')


_HUES: dict[str, tuple[float, float, float]] = {
    'characteristics': (0, 0.0, 0.6),
    'arable_crops': (320, 0.55, 0.9),
    'cereal': (42, 0.7, 0.95),
    'grain_maize_corn_popcorn': (14, 0.8, 0.95),
    'rice': (190, 0.6, 0.95),
    'millet_sorghum': (355, 0.75, 0.75),
    'legumes_dried_pulses_protein_crops': (172, 0.7, 0.8),
    'potatoes': (18, 0.5, 0.6),
    'industrial_nonfood_crops': (270, 0.45, 0.85),
    'rapeseed_rape': (58, 0.75, 1.0),
    'sunflower': (32, 0.95, 1.0),
    'cotton': (210, 0.1, 0.95),
    'fresh_vegetables': (335, 0.45, 0.95),
    'flowers_ornamental_plants': (295, 0.5, 0.9),
    'plants_harvested_green': (150, 0.6, 0.75),
    'green_silo_maize': (8, 0.65, 0.85),
    'fallow_land_not_crop': (40, 0.25, 0.75),
    'soy_soybeans': (184, 0.65, 0.75),
    'root_vegetables': (340, 0.75, 0.85),
    'pasture_meadow_grassland_grass': (96, 0.55, 0.8),
    'permanent_crops_perennial': (280, 0.65, 0.6),
    'orchards_fruits': (255, 0.6, 0.7),
    'mushrooms_energy_genetically_modified_crops': (225, 0.6, 0.8),
    'greenhouse_foil_film': (205, 0.35, 0.9),
    'tree_wood_forest': (140, 0.75, 0.42),
    'peat_turf': (25, 0.6, 0.35),
    'unmaintained': (75, 0.3, 0.6),
    'not_known_and_other': (240, 0.08, 0.38),
}
"""Hue in degrees, saturation and value of groups; what lies within them has shades of the nearest."""


def colour_of(code: int | None, name: str = '') -> tuple[int, int, int]:
    """Colour of a class: a shade of its group's, the same in every dataset and map.

    Args:
        code: of HCAT; None for a class without, which gets a grey.
        name: of that class.

    Returns:
        Red, green and blue, 0 … 255.
    """
    if code is None:
        grey = 60 + crc32(_key(name).encode()) % 150
        return grey, grey, min(255, grey + 8)
    group = next(above for above in (code, *reversed(ancestors(code))) if hcat_names()[above] in _HUES)
    hue, saturation, value = _HUES[hcat_names()[group]]
    # Neighbours in the list get shades far from each other: the place among the group's codes, its digits mirrored.
    place = _codes_within(group).index(code)
    if place:
        hue += 24 * (_mirrored(place, 2) - 0.5)
        saturation *= 1 - 0.55 * _mirrored(place, 3)
        value *= 1 - 0.5 * _mirrored(place, 5)
    red, green, blue = colorsys.hsv_to_rgb(hue / 360 % 1, saturation, value)
    return round(255 * red), round(255 * green), round(255 * blue)


@lru_cache
def _codes_within(group: int) -> Sequence[int]:
    return [code for code in hcat_names() if is_within(code, group)]


def _mirrored(number: int, base: int) -> float:
    """Radical inverse, 0 ≤ x < 1: evenly spread for any run of numbers (van der Corput)."""
    result, share = 0.0, 1.0
    while number:
        number, digit = divmod(number, base)
        share /= base
        result += digit * share
    return result
