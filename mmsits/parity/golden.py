"""Golden files, the checks registered for them, and the comparison of numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor


class GoldenFile:
    """One golden file.

    Args:
        path: npz file with the keys `param/…`, `param_<variant>/…`, `in/…`, `out/…` and `meta`.

    Attributes:
        path: of the file.
        name: file name without its ending.
        meta: constructor arguments, tolerances and notes.
        arrays: everything else.

    Raises:
        ValueError: if the file is no golden file.
    """

    def __init__(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as data:
                self.arrays: dict[str, np.ndarray] = {key: data[key] for key in data.files if key != 'meta'}
                self.meta: dict[str, Any] = json.loads(str(data['meta']))
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
            raise ValueError(f'{path}: not a golden file (npz with arrays and a JSON text `meta`): {error}') from error
        self.path = path
        self.name = path.stem

    def __contains__(self, key: str) -> bool:
        return key in self.arrays

    def tensor(self, key: str) -> Tensor:
        """An array as a tensor."""
        return torch.from_numpy(self.arrays[key].copy())

    def parameters(self, variant: str = '') -> dict[str, Tensor]:
        """The state dict of the main model, or of a variant; scalars, stored as (1,), are scalars again."""
        prefix = f'param_{variant}/' if variant else 'param/'
        state = {key.removeprefix(prefix): self.tensor(key) for key in self.arrays if key.startswith(prefix)}
        return {key: v.reshape(()) if key.endswith('num_batches_tracked') else v for key, v in state.items()}

    def outputs(self) -> list[str]:
        """Names of all expected outputs, without 'out/'."""
        return [key.removeprefix('out/') for key in self.arrays if key.startswith('out/')]

    def tolerance(self, key: str, entry: str | None = None) -> tuple[float, float]:
        """Absolute and relative tolerance of 'out/…' or 'meta/…': that of the longest prefix that `meta` names.

        Args:
            key: of the output.
            entry: name of the entry to take instead, such as 'zero_gradient'.
        """
        # A file of texts and integers alone, which are compared exactly, names none.
        table = self.meta.get('tolerance', {'default': {'atol': 0, 'rtol': 0}})
        prefixes = [prefix for prefix in table if key.startswith(prefix)]
        chosen = table[entry] if entry else table[max(prefixes, key=len)] if prefixes else table['default']
        return float(chosen['atol']), float(chosen['rtol'])


@dataclass(frozen=True)
class Comparison:
    """One output compared: |actual - expected| <= atol + rtol |expected| everywhere, or equality for integers, booleans
    and text.

    Attributes:
        name: 'out/…' or 'meta/…'.
        absolute, relative: largest differences; infinite where shapes differ or only one side is NaN. The relative one
            leaves out what is expected to be 0.
        atol, rtol: tolerances, 0 where equality is asked for.
        passed: the verdict.
        note: what is wrong beyond numbers.
    """

    name: str
    absolute: float
    relative: float
    atol: float
    rtol: float
    passed: bool
    note: str = ''


@dataclass
class CheckReport:
    """What the check of one file found. `not_compared` lists the expected outputs that the check did not look at."""

    name: str
    comparisons: list[Comparison] = field(default_factory=list)
    not_compared: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether something was compared and everything that was agrees."""
        return bool(self.comparisons) and all(comparison.passed for comparison in self.comparisons)


class Comparer:
    """Collects a check's results: call it with each output."""

    def __init__(self, golden: GoldenFile) -> None:
        self.golden = golden
        self.comparisons: list[Comparison] = []
        self._seen: set[str] = set()

    def __call__(self, name: str, actual: Tensor | np.ndarray | float, entry: str | None = None) -> None:
        """Compare our value with `out/<name>`, at the tolerance of its own or of a named entry of `meta`."""
        self._seen.add(name)
        self._compare(f'out/{name}', actual, self.golden.arrays[f'out/{name}'], entry)

    def figure(self, name: str, actual: float, expected: float) -> None:
        """Compare our value with a figure that stands in `meta`."""
        self._compare(f'meta/{name}', actual, np.asarray(expected))

    def report(self) -> CheckReport:
        """Everything compared, and what was left over."""
        left = [name for name in self.golden.outputs() if name not in self._seen]
        return CheckReport(self.golden.name, self.comparisons, left)

    def given(self, *names: str) -> None:
        """Outputs that are inputs of the check: they count as looked at."""
        self._seen.update(names)

    def _compare(self, name: str, actual: Any, expected: np.ndarray, entry: str | None = None) -> None:
        value = actual.detach().cpu().numpy() if isinstance(actual, Tensor) else np.asarray(actual)
        if value.size == expected.size == 1:
            value = value.reshape(expected.shape)  # a scalar is stored as (1,)
        atol, rtol = self.golden.tolerance(name, entry)
        self.comparisons.append(compare_arrays(name, value, expected, atol, rtol))


def compare_arrays(name: str, actual: np.ndarray, expected: np.ndarray, atol: float, rtol: float) -> Comparison:
    """Compare two arrays; what is not floating point must be equal."""
    if actual.shape != expected.shape:
        note = f'shape {actual.shape}, expected {expected.shape}'
        return Comparison(name, np.inf, np.inf, atol, rtol, False, note)
    if expected.dtype.kind in 'USO':
        equal = bool((actual == expected).all())
        return Comparison(name, 0.0 if equal else np.inf, 0.0 if equal else np.inf, 0.0, 0.0, equal)
    if expected.dtype.kind != 'f':
        atol = rtol = 0.0
    ours, theirs = actual.astype(np.float64), expected.astype(np.float64)
    with np.errstate(invalid='ignore', divide='ignore'):
        same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        difference = np.where(same, 0.0, np.abs(ours - theirs))
        difference = np.where(np.isnan(difference), np.inf, difference)
        passed = bool((same | (difference <= atol + rtol * np.abs(theirs))).all())
        relative = np.where(same | (theirs == 0), 0.0, difference / np.abs(theirs))
    return Comparison(name, float(difference.max(initial=0.0)), float(relative.max(initial=0.0)), atol, rtol, passed)


Check = Callable[[GoldenFile, Comparer], None]
_CHECKS: dict[str, Check] = {}


def register_check(pattern: str) -> Callable[[Check], Check]:
    """Decorator: the check of all golden files whose name (without its ending) matches a shell pattern."""

    def register(check: Check) -> Check:
        if pattern in _CHECKS:
            raise KeyError(f'two checks for golden files {pattern!r}')
        _CHECKS[pattern] = check
        return check

    return register


def find_check(name: str) -> Check | None:
    """The check of a golden file by its name, the longest matching pattern first; None if there is none."""
    matching = [pattern for pattern in _CHECKS if fnmatch(name, pattern)]
    return _CHECKS[max(matching, key=len)] if matching else None


def check_file(path: Path) -> CheckReport | None:
    """Compare our implementation with one golden file.

    Returns:
        The report, or None if no check is registered for a file of this name.

    Raises:
        ValueError: if the file is no golden file.
    """
    check = find_check(path.stem)
    if check is None:
        return None
    golden = GoldenFile(path)
    compare = Comparer(golden)
    check(golden, compare)
    return compare.report()
