"""Reading the further networks that a prediction is averaged over (`test_cfg.test_time.checkpoints`)."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from mmsits.engine.checkpoint import load_strictly
from mmsits.engine.config import find_weights
from mmsits.engine.contracts import compare_metainfo, compare_weights
from mmsits.engine.errors import CheckpointError

_NORMALISATION = 'data_preprocessor.'


def load_ensemble(
    model: nn.Module,
    datasets: Mapping[str, Mapping[str, Any]] | None = None,
    predict_with: str | None = None,
) -> int:
    """Read the checkpoints that a model's `test_cfg.test_time` names, once; nothing to do where it names none.

    Each must hold all weights of the network, and must have been trained on the same bands, units, classes and season
    start. Its own normalisation is kept: folds differ in it.

    Args:
        model: a `TemporalEncoderDecoder` or `DomainAdaptor` whose own weights have been loaded.
        datasets: what to call a dataset in use, to its metainfo. None: that of the model's own checkpoint
            (`model.dataset_meta`, which `init_model` sets).
        predict_with: of checkpoints of adaptors, 'student' or 'teacher'. None: as the model does.

    Returns:
        How many networks were read.

    Raises:
        CheckpointError: if a file cannot be read, is of another network, or of other data; names it.
        ConfigError: if there is no such file.
    """
    network = getattr(model, 'predictor', model)
    role = str(predict_with or getattr(model, 'predict_with', 'student'))
    averaging = getattr(network, 'averaging', None)
    if averaging is None or len(averaging.members) == len(averaging.checkpoints):
        return 0
    if datasets is None:
        datasets = {"first checkpoint's": getattr(model, 'dataset_meta', None) or {}}
    averaging.members.clear()
    template = _without_averaging(network)
    for path in averaging.checkpoints:
        content = load_strictly(find_weights(str(path)), map_location='cpu')
        held = {re.sub(r'^module\.', '', key): value for key, value in content.get('state_dict', content).items()}
        weights = segmentor_weights(held, role)
        meta = content.get('meta', {}).get('dataset_meta') or {}
        _check(str(path), template, weights, meta, datasets)
        member = copy.deepcopy(template)
        member.load_state_dict({**member.state_dict(), **_without_normalisation(weights)})
        averaging.add_member(member, _scales(model.data_preprocessor, weights))
    print_log(f'Predictions are averaged with those of {", ".join(map(str, averaging.checkpoints))}', 'current')
    return len(averaging.members)


def _without_averaging(network: Any) -> nn.Module:
    """A copy that predicts one version: what the members are made of."""
    averaging, network.averaging = network.averaging, None
    try:
        return copy.deepcopy(network)
    finally:
        network.averaging = averaging


def segmentor_weights(state: dict[str, Tensor], predict_with: str = 'student') -> dict[str, Tensor]:
    """Weights of a segmentor out of its own or an adaptor's state dict.

    Args:
        state: the state dict.
        predict_with: of an adaptor, 'student' or 'teacher'.
    """
    if not any(name.startswith('segmentor.') for name in state):
        return dict(state)
    prefixes = ['segmentor.'] + (['teacher.'] if predict_with == 'teacher' else [])
    # The teacher has no data preprocessor: it is the student's.
    return {
        name.removeprefix(prefix): value
        for prefix in prefixes
        for name, value in state.items()
        if name.startswith(prefix)
    }


def _check(
    path: str,
    network: nn.Module,
    weights: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    datasets: Mapping[str, Mapping[str, Any]],
) -> None:
    problems = [compare_weights(_without_normalisation(network.state_dict()), _without_normalisation(weights))]
    problems += [compare_metainfo(meta, known, name) for name, known in datasets.items()]
    message = ' '.join(problem for problem in problems if problem)
    if message:
        raise CheckpointError(f'{path}, named in test_cfg.test_time.checkpoints, cannot be averaged with: {message}')


def _without_normalisation(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: value for key, value in weights.items() if not key.startswith(_NORMALISATION)}


def _scales(preprocessor: Any, weights: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
    """Factor and offset per band that turn values normalised by `preprocessor` into the member's, by sensor.

    Sensors without a difference, or whose normalisation the member does not know, are left out.
    """
    scales = {}
    for sensor in getattr(preprocessor, 'sensors', ()):
        names = [f'{_NORMALISATION}{name}_{sensor}' for name in ('mean', 'std')]
        own = [weights[name] for name in names if name in weights]
        if len(own) < len(names) or not all(torch.isfinite(part).all() for part in own):
            continue
        first = [preprocessor.get_buffer(f'{name}_{sensor}').detach().cpu() for name in ('mean', 'std')]
        if not all(torch.equal(one, other) for one, other in zip(first, own, strict=True)):
            scales[sensor] = _affine(first, own)
    return scales


def _affine(first: Sequence[Tensor], own: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    (mean, std), (own_mean, own_std) = ([part.double() for part in pair] for pair in (first, own))
    return (std / own_std).float(), ((mean - own_mean) / own_std).float()
