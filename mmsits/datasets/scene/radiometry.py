"""From stored numbers to one unit over the whole season: scale, offset and nodata of each file.

A valid value is `stored · scale + offset`. Sentinel-2 products of processing baseline 04.00 and later (operational
since 25 January 2022; reprocessed older scenes, the 'Collection 1', are 05.00 and have it too) are stored with 1000
added, so that dark surfaces need not be cut off at 0: ESA, Sentinel-2 Products Specification Document, `BOA_ADD_OFFSET`
(Level 2A) and `RADIO_ADD_OFFSET` (Level 1C). Some providers have already subtracted it; then the offset is 0, whatever
the baseline.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mmsits.datasets.base import day_number
from mmsits.datasets.errors import DataError

if TYPE_CHECKING:
    from .catalogue import Layer
    from .rasters import Header

BASELINE_OFFSET = -1000
"""What is to be added to the stored numbers of Sentinel-2 products from :data:`BASELINE` on."""
BASELINE = 4.0
BASELINE_DAY = day_number(datetime.date(2022, 1, 25))
"""The first day on which products of :data:`BASELINE` were made as a rule."""

BASELINE_RULES = ('baseline', 'baseline_metadata', 'baseline_column', 'baseline_date')

_OFFSET_TAGS = ('BOA_ADD_OFFSET', 'RADIO_ADD_OFFSET')
_BASELINE_COLUMNS = ('baseline', 'processing_baseline')
_BASELINE_TAGS = ('PROCESSING_BASELINE', 'S2:PROCESSING_BASELINE', 'BASELINE')
_CHOICES = (
    "say how it is known: offset='baseline_column' (a column `baseline` in the table, or a group "
    "(?P<baseline>…) in the pattern), 'baseline_date' (all products since 2022-01-25), or offset=0 if the provider "
    'has subtracted it already'
)


class Radiometry(NamedTuple):
    """How the numbers of one file become values: `stored · scale + offset` where not `nodata`.

    Attributes:
        scale: factor.
        offset: summand, in the unit of the values.
        nodata: stored number of pixels that were not observed; None where every number is an observation. NaN never is.
        nodata_denied: it was said that there is no nodata.
        declared_ignored: nobody said what is to become of the scale and offset that the file declares.
    """

    scale: float
    offset: float
    nodata: float | None
    nodata_denied: bool = False
    declared_ignored: bool = False

    @property
    def exact(self) -> bool:
        """Whether integers stay integers."""
        return self.scale == 1 and float(self.offset).is_integer()


class RadiometryRule(NamedTuple):
    """Where scale, offset and nodata of the files come from; each may be different for each file.

    Attributes:
        scale: a number, 'file' (what the file declares), or the column of the table or group of the pattern that holds
            it, as `dict(column='gain')`. None: 1, with a warning where a file declares another.
        offset: likewise, in the unit of the values; or a rule for Sentinel-2: 'baseline_metadata' (the files' tags
            BOA_ADD_OFFSET, RADIO_ADD_OFFSET or PROCESSING_BASELINE), 'baseline_column' (column or group `baseline` or
            `processing_baseline`, such as '04.00' or 'N0400'), 'baseline_date' (−1000 from 25 January 2022 on), or
            'baseline': the tags, else the column, and an error where neither says it. None: 0, with a warning where a
            file declares another.
        nodata: likewise; None: what the file declares; 'none': there is none, and no warning about it is wanted.
    """

    scale: Any = None
    offset: Any = None
    nodata: Any = None

    def of(self, layer: Layer, header: Header) -> Radiometry:
        """The radiometry of one file.

        Args:
            layer: the file.
            header: what it declares.

        Raises:
            DataError: if a column or tag is missing or holds no number.
            ValueError: if a rule is unknown.
        """
        scale = self._number('scale', layer, header.scales, 1.0)
        if self.offset in BASELINE_RULES:
            # The offset is one of stored numbers.
            offset = baseline_offset(self.offset, layer, header) * scale
        else:
            offset = self._number('offset', layer, header.offsets, 0.0)
        ignored = self.scale is None and self.offset is None
        return Radiometry(scale, offset, self._nodata(layer, header), self.nodata == 'none', ignored)

    def _number(self, name: str, layer: Layer, declared: tuple[float, ...], default: float) -> float:
        rule = getattr(self, name)
        if rule is None:
            return default
        if rule == 'file':
            return _declared_number(name, layer, declared)
        if isinstance(rule, Mapping):
            return _column_number(layer, rule['column'])
        if isinstance(rule, str):
            known = ['file', *(BASELINE_RULES if name == 'offset' else ())]
            raise ValueError(f'{name}={rule!r} is unknown; give a number, dict(column=…) or one of {known}')
        return float(rule)

    def _nodata(self, layer: Layer, header: Header) -> float | None:
        if self.nodata == 'none':
            return None
        if self.nodata is None or self.nodata == 'file':
            # Such as -9999 declared for uint16: no pixel can have it.
            return header.nodata if header.nodata is not None and _representable(header.nodata, header.dtype) else None
        nodata = self._number('nodata', layer, (), 0.0)
        if not _representable(nodata, header.dtype):
            raise DataError(
                f'nodata={nodata:g} cannot be in the file, whose numbers are {header.dtype}',
                path=layer.path,
                day=layer.day,
                hint="Correct it, or say nodata='none'.",
            )
        return nodata


def _representable(nodata: float, dtype: np.dtype) -> bool:
    if dtype.kind == 'f':
        return True
    limits = np.iinfo(dtype)
    return float(nodata).is_integer() and limits.min <= nodata <= limits.max


def _declared_number(name: str, layer: Layer, declared: tuple[float, ...]) -> float:
    if len(set(declared)) == 1:
        return declared[0]
    raise DataError(
        f'the file declares another {name} for each band: {declared}',
        path=layer.path,
        day=layer.day,
        hint=f'Give one file per band, or another {name}.',
    )


def _column_number(layer: Layer, column: str) -> float:
    text = layer.columns.get(column)
    try:
        return float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        found = 'nothing' if text is None else repr(text)
        raise DataError(
            f'a number is expected in column {column!r}, found {found}; known of the file: {sorted(layer.columns)}',
            path=layer.path,
            day=layer.day,
            hint='Complete the table, or the groups of the pattern.',
        ) from error


def baseline_offset(rule: str, layer: Layer, header: Header) -> float:
    """What has to be added to a Sentinel-2 file's stored numbers.

    Args:
        rule: one of :data:`BASELINE_RULES`.
        layer: the file.
        header: what it declares.

    Returns:
        0 or −1000, or what the file's own tag says.

    Raises:
        DataError: if the rule finds nothing about the file.
    """
    if rule == 'baseline_date':
        return float(BASELINE_OFFSET) if layer.day >= BASELINE_DAY else 0.0
    found = None
    if rule in ('baseline', 'baseline_metadata'):
        found = _offset_of_tags(header.tags, layer)
    if found is None and rule in ('baseline', 'baseline_column'):
        known = [layer.columns[name] for name in _BASELINE_COLUMNS if name in layer.columns]
        found = _offset_since(known[0], layer) if known else None
    if found is None:
        raise DataError(
            f'offset={rule!r}: nothing tells the processing baseline of this Sentinel-2 file (its tags are '
            f'{sorted(header.tags)[:8]}, its columns {sorted(layer.columns)})',
            path=layer.path,
            day=layer.day,
            hint=f'{_CHOICES[0].upper()}{_CHOICES[1:]}.',
        )
    return found


def _offset_of_tags(tags: Mapping[str, str], layer: Layer) -> float | None:
    named = {key.upper(): text for key, text in tags.items()}
    offsets = {text for key, text in named.items() if key.startswith(_OFFSET_TAGS)}
    if len(offsets) > 1:
        raise DataError(
            f'its tags declare several offsets {sorted(offsets)}',
            path=layer.path,
            day=layer.day,
            hint='Give the offset in a column of a table: offset=dict(column=…).',
        )
    for text in offsets:
        return _tag_number(text, layer)
    for key in _BASELINE_TAGS:
        if key in named:
            return _offset_since(named[key], layer)
    return None


def _offset_since(text: str, layer: Layer) -> float:
    number = _tag_number(text.strip().removeprefix('N'), layer)
    if number >= 100:  # As in the product's name: N0400 is 04.00.
        number /= 100
    return float(BASELINE_OFFSET) if number >= BASELINE else 0.0


def _tag_number(text: str, layer: Layer) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DataError(
            f'a processing baseline such as 04.00 or an offset is expected, found {text!r}',
            path=layer.path,
            day=layer.day,
            hint=f'Correct it, or {_CHOICES}.',
        ) from error


def common_type(stored: Sequence[np.dtype], radiometries: Sequence[Radiometry]) -> np.dtype:
    """The type that holds the values of all files.

    Args:
        stored: type of each file's numbers.
        radiometries: of each file.

    Returns:
        float32 unless integers stay integers in every file; then the type of the files, made larger (int16, int32)
        where an offset takes unsigned numbers below zero. int16 with an offset stays int16: what does not fit is
        refused when it is read (:func:`apply`).
    """
    if any(dtype.kind not in 'iu' for dtype in stored) or not all(radiometry.exact for radiometry in radiometries):
        return np.dtype(np.float32)
    if all(radiometry.offset == 0 for radiometry in radiometries):
        return np.result_type(*stored)
    return np.result_type(*stored, np.int16)


def apply(values: np.ndarray, radiometry: Radiometry, dtype: np.dtype, path: Path, day: int) -> np.ndarray:
    """Values of stored numbers.

    Args:
        values: stored numbers of any shape, 0 where not valid.
        radiometry: of their file.
        dtype: wanted type.
        path: named in the error.
        day: named in the error.

    Returns:
        Of that shape and type.

    Raises:
        DataError: if a value does not fit the integers.
    """
    if dtype.kind == 'f':
        return values.astype(dtype) * dtype.type(radiometry.scale) + dtype.type(radiometry.offset)
    if radiometry.offset == 0:
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    if low + radiometry.offset < limits.min or high + radiometry.offset > limits.max:
        raise DataError(
            f'stored numbers {low} to {high} with offset {radiometry.offset:g} do not fit {dtype}',
            path=path,
            day=day,
            hint='Declare nodata if such a number stands for it, or correct the file.',
        )
    return values.astype(dtype) + dtype.type(radiometry.offset)
