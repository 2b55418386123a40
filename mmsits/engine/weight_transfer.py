"""Weights of one network for a part of another: from pre-training to fine-tuning."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from mmsits.engine.errors import CheckpointError

_SHOWN = 5
PREFIXES = {'backbone.': 'backbone.', 'data_preprocessor.': 'data_preprocessor.'}
"""What is handed on: the backbone, and the normalisation that it was trained with."""


@dataclass(frozen=True)
class Transfer:
    """What became of each weight.

    Attributes:
        weights: a complete state dict of the model.
        loaded: names in the model that got a weight.
        new: names that kept their own.
        reshaped: names that kept their own as the weight has another shape: name to (shape there, shape in the model).
        unused: names of the checkpoint that nothing was made of.
    """

    weights: dict[str, Tensor]
    loaded: tuple[str, ...]
    new: tuple[str, ...]
    reshaped: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    unused: tuple[str, ...]

    def table(self) -> str:
        """A line for each part of the model and what became of it, then the names of another shape."""
        counts = Counter((_part(name), fate) for fate, names in self._fates() for name in names)
        parts = list(dict.fromkeys(part for part, _ in counts))
        width = max((len(part) for part in parts), default=0)
        lines = [f'{"part":<{width}}  loaded  new  of another shape  not in the model']
        for part in parts:
            numbers = [counts[part, fate] for fate in ('loaded', 'new', 'reshaped', 'unused')]
            lines.append(f'{part:<{width}}  {numbers[0]:>6}  {numbers[1]:>3}  {numbers[2]:>16}  {numbers[3]:>16}')
        for name, (there, here) in self.reshaped.items():
            lines.append(f'of another shape: {name} {there}, in the model {here}')
        return '\n'.join(lines)

    def _fates(self) -> list[tuple[str, Sequence[str]]]:
        return [
            ('loaded', self.loaded),
            ('new', self.new),
            ('reshaped', tuple(self.reshaped)),
            ('unused', self.unused),
        ]


def _part(name: str) -> str:
    """The module two levels deep that a weight belongs to."""
    return '.'.join(name.split('.')[:-1][:2]) or name


def transfer_weights(
    weights: Mapping[str, Tensor], model: Mapping[str, Tensor], prefixes: Mapping[str, str] | None = None
) -> Transfer:
    """Put weights into a model's state wherever name and shape fit.

    Args:
        weights: state dict of the pre-trained network.
        model: state dict of the model to be trained.
        prefixes: beginnings of names in `weights` to what stands in their place in `model`; default `PREFIXES`. All
            others are left aside.

    Returns:
        The new state, and what became of each weight.

    Raises:
        CheckpointError: lists names of both, if nothing fits but perhaps the normalisation.
    """
    prefixes = PREFIXES if prefixes is None else prefixes
    renamed = {
        target: name for name in weights if (target := _renamed(name.removeprefix('module.'), prefixes)) is not None
    }
    state = dict(model)
    loaded: list[str] = []
    new: list[str] = []
    reshaped: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {}
    for name, own in model.items():
        held = weights[renamed[name]] if name in renamed else None
        if held is None:
            new.append(name)
        elif held.shape != own.shape and held.numel() * own.numel() != 1:
            reshaped[name] = (tuple(held.shape), tuple(own.shape))
        else:
            # Counters of batch norm are stored as () or (1,), whichever version of torch wrote them.
            state[name] = held.reshape(own.shape)
            loaded.append(name)
    if all(name.startswith('data_preprocessor.') for name in loaded):
        raise CheckpointError(_nothing_fits(weights, model, prefixes, reshaped))
    taken = {renamed[name] for name in (*loaded, *reshaped)}
    return Transfer(state, tuple(loaded), tuple(new), reshaped, tuple(name for name in weights if name not in taken))


def _renamed(name: str, prefixes: Mapping[str, str]) -> str | None:
    for before, after in prefixes.items():
        if name.startswith(before):
            return after + name.removeprefix(before)
    return None


def _nothing_fits(
    weights: Mapping[str, Tensor],
    model: Mapping[str, Tensor],
    prefixes: Mapping[str, str],
    reshaped: Mapping[str, tuple[tuple[int, ...], tuple[int, ...]]],
) -> str:
    def shown(names: Sequence[str]) -> str:
        rest = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
        return f'{", ".join(names[:_SHOWN])}{rest}' if names else 'none'

    there = [name for name in weights if _renamed(name.removeprefix('module.'), prefixes) is not None]
    here = [name for name in model if name.startswith(tuple(prefixes.values()))]
    shapes = [f'{name} {a}, in the model {b}' for name, (a, b) in reshaped.items()]
    return (
        f'None of the pre-trained weights fits the model. In the checkpoint under {", ".join(prefixes)}: '
        f'{shown(there)}. In the model: {shown(here)}.{f" Of another shape: {shown(shapes)}." if shapes else ""} '
        'Was another backbone pre-trained? Let encoder and widths agree, or say by prefixes which part of the '
        'checkpoint belongs where.'
    )
