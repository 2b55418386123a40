"""Units of radar backscatter: which they are, and whether values can be in the unit that is said."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from .errors import DataError

Unit = Literal['decibel', 'linear']

STRETCHED = 'dB stretched to 0..255'
"""Unit of MTS12: decibels brought to 0..255 by limits that its makers do not name."""

_DECIBEL = frozenset({'db', 'decibel', 'decibels'})
_QUANTITIES = frozenset(
    {'sigma', 'sigma0', 'gamma', 'gamma0', 'beta', 'beta0', 'naught', 'nought', 'backscatter', 'of', 'in'}
)


def unit_kind(unit: str) -> Unit | None:
    """Whether a unit is of decibels or of powers; None for any other, stretched decibels included.

    Args:
        unit: as a dataset says it: 'dB', 'linear', 'gamma0 linear', 'sigma0 power', 'sigma0 [dB]', …
    """
    words = [word for word in re.split(r'[^a-z0-9.]+', unit.lower()) if word]
    if not _DECIBEL.isdisjoint(words):
        # 'dB x 100' and 'dB stretched to 0..255' are no decibels.
        return 'decibel' if words[-1] in _DECIBEL or _DECIBEL.union(_QUANTITIES).issuperset(words) else None
    if any(word in unit.lower() for word in ('linear', 'power', 'sigma', 'gamma', 'beta')):
        return 'linear'
    return None


def check_backscatter(values: np.ndarray, unit: str, where: Mapping[str, Any] | None = None) -> None:
    """Refuse values that cannot be in their unit: powers that are said to be decibels, and the other way round.

    Land scatters back less than comes in: nearly all decibels are negative, powers never are, but for a few pixels from
    which more noise was subtracted than they had. So the median tells them apart. Zeros and what is not finite, which
    stand where nothing was observed, are not looked at.

    Args:
        values: any shape; a part of an image is enough.
        unit: as the dataset says it; units of other things pass.
        where: `path`, `sample_id` … of a :class:`DataError`.

    Raises:
        DataError: if values and unit contradict each other; says what the values look like.
    """
    kind = unit_kind(unit)
    if kind is None and unit != STRETCHED:
        return
    seen = np.asarray(values)
    seen = seen[np.isfinite(seen) & (seen != 0)]
    if not seen.size:
        return
    low, middle, high = float(seen.min()), float(np.median(seen)), float(seen.max())
    found = f'values from {low:.3g} to {high:.3g}, half of them above {middle:.3g}'
    where = dict(where or {})
    if kind == 'decibel' and middle > 0:
        raise DataError(
            f'{unit} are expected, found {found}: these look like {_other(high)}',
            hint="Convert them (10 · log10), or say what they are: unit='linear' and ConvertBackscatter(to='dB').",
            **where,
        )
    if kind == 'linear' and middle < 0:
        raise DataError(
            f'linear values ({unit}) are expected, found {found}: these look like dB',
            hint="Say so (unit='dB'); ConvertBackscatter(to='linear') makes linear values of them.",
            **where,
        )
    if unit == STRETCHED and (low < 0 or high > 255 or (seen.dtype.kind == 'f' and high <= 2)):
        guess = 'dB that were not stretched' if low < 0 else 'linear values' if high <= 2 else 'another unit'
        raise DataError(
            f'{unit} are expected, found {found}: these look like {guess}',
            hint="Say the unit of the files: units=dict(s1='dB') or 'linear' (linear values: ConvertBackscatter(to="
            "'dB') behind it), and let the normalisation be measured anew.",
            **where,
        )


def _other(high: float) -> str:
    return 'stored digital numbers' if high > 100 else 'linear values'
