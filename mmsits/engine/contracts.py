"""What distinguishes two sets of weights, or the data that a model was trained on from those in use."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_COMPARED = ('bands', 'units', 'classes', 'season_start')
_SHOWN = 5


def compare_weights(model: Mapping[str, Any], weights: Mapping[str, Any]) -> str:
    """What distinguishes the weights of a checkpoint from those of a model.

    Args:
        model: State dict of the model.
        weights: State dict of the checkpoint.

    Returns:
        A sentence, empty if they match.
    """
    held = {re.sub(r'^module\.', '', key): value for key, value in weights.items()}
    missing = [key for key in model if key not in held and not _may_be_missing(key)]
    unexpected = [key for key in held if key not in model]
    reshaped = [
        f'{key} {tuple(held[key].shape)} instead of {tuple(value.shape)}'
        for key, value in model.items()
        if key in held and hasattr(value, 'shape') and held[key].shape != value.shape
    ]
    parts = [
        _listed('missing in the checkpoint', missing),
        _listed('not in the model', unexpected),
        _listed('of another shape', reshaped),
    ]
    if not any(parts):
        return ''
    return (
        f'The checkpoint is of another network than the config ({len(model)} weights in the model): '
        f'{"; ".join(part for part in parts if part)}. Use the config that the checkpoint was trained with (its work '
        'directory holds a copy); to start from the weights that do fit, set '
        "default_hooks.checkpoint_contract.on_mismatch='warn'."
    )


def _may_be_missing(key: str) -> bool:
    # A counter that older versions of torch did not keep and nothing depends on; and the normalisation, which
    # published weights lack: it then comes from config or data, and the data preprocessor refuses to run without.
    return key.endswith('num_batches_tracked') or key.startswith('data_preprocessor.')


def _listed(label: str, names: Sequence[str]) -> str:
    if not names:
        return ''
    rest = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
    return f'{len(names)} {label} ({", ".join(names[:_SHOWN])}{rest})'


def compare_metainfo(known: Mapping[str, Any], used: Mapping[str, Any], split: str = 'dataset') -> str:
    """What distinguishes the data a checkpoint was trained on from those in use.

    Args:
        known: Metainfo of the training dataset, from the checkpoint.
        used: Metainfo of the dataset in use.
        split: What to call the latter.

    Returns:
        A sentence, empty if bands, units, classes and season start agree as far as both are known.
    """
    differences = []
    for name in _COMPARED:
        before, now = _plain(known.get(name)), _plain(used.get(name))
        if before is None or now is None or before == now:
            continue
        if isinstance(before, dict) and isinstance(now, dict):
            differences += [
                f'{name} of {sensor}: {before.get(sensor)} in the checkpoint, {now.get(sensor)} in the {split} data'
                for sensor in sorted({*before, *now})
                if before.get(sensor) != now.get(sensor)
            ]
        else:
            differences.append(f'{name}: {before} in the checkpoint, {now} in the {split} data')
    if not differences:
        return ''
    return (
        f'The {split} data are not like those the checkpoint was trained on: {"; ".join(differences)}. '
        'Ask the dataset for what the checkpoint knows (bands=…, season_start=…), or train anew.'
    )


def _plain(value: Any) -> Any:
    """Tuples as lists, so that what went through a file compares equal."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
