"""Parameters of golden files that store a rule instead of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def filled_parameters(meta: dict[str, Any]) -> dict[str, Tensor]:
    """The published parameters of a golden file without `param/…`.

    Parameter number k is drawn from `RandomState(base + k)`, a stream that numpy keeps frozen, and scaled by its shape
    and name.

    Args:
        meta: of the file; `keys` ([name, shape] in the order of the state dict), `base`, `checksum`, and `after_fill`
            (name -> constant) if there is one.

    Returns:
        Parameters by their published names.

    Raises:
        ValueError: if the checksum says that these are other numbers than the file was made with.
    """
    filled = {
        name: _fill(name, shape, meta['base'] + k)
        for k, (name, shape) in enumerate(meta['keys'])
        if not name.endswith('num_batches_tracked') and 'relative_position_index' not in name
    }
    _check_sum(filled, meta['checksum'])
    for name, constant in meta.get('after_fill', {}).items():
        filled[name] = np.full_like(filled[name], constant)
    return {name: torch.from_numpy(values) for name, values in filled.items()}


def _fill(name: str, shape: list[int], seed: int) -> np.ndarray:
    z = np.random.RandomState(seed).standard_normal(tuple(shape) or (1,)).reshape(tuple(shape))
    if len(shape) >= 2:
        filled = z / np.sqrt(np.prod(shape[1:]))
    elif name.endswith('running_var'):
        filled = 1 + 0.2 * np.abs(z)
    elif name.endswith('weight'):
        filled = 1 + 0.1 * z
    else:
        filled = 0.1 * z
    return np.asarray(filled, dtype=np.float32)


def _check_sum(filled: dict[str, np.ndarray], checksum: dict[str, float]) -> None:
    total = sum(values.sum(dtype=np.float64) for values in filled.values())
    absolute = sum(np.abs(values).sum(dtype=np.float64) for values in filled.values())
    expected = checksum['abs_sum']
    if abs(total - checksum['sum']) > 1e-6 * expected or abs(absolute - expected) > 1e-9 * expected:
        raise ValueError(
            f'the filled parameters sum up to {total} ({absolute} in absolute values), not to {checksum["sum"]} '
            f'({expected}): this numpy draws other numbers'
        )
