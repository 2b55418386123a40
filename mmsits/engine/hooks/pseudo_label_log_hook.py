"""What a run learns from the target without labels, in the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import HOOKS
from torch import Tensor

from mmsits.engine.errors import ConfigError
from mmsits.engine.hooks.stateful_hook import StatefulHook
from mmsits.models.adaptation import SelfTraining, adaptor_of


@HOOKS.register_module()
class PseudoLabelLogHook(StatefulHook):
    """Every so many iterations: share of pseudo labels kept, and how often each class was predicted and kept.

    Warns where none was confident enough; training goes on with the source alone.

    Args:
        interval: iterations between two entries.

    Attributes:
        history: one dict per entry: `iter`, `kept_share`, `predicted` and `kept` (a count per class).

    Raises:
        ConfigError: if the interval is not positive, or the method makes no pseudo labels.
    """

    def __init__(self, interval: int = 500) -> None:
        if interval < 1:
            raise ConfigError(f'PseudoLabelLogHook: interval={interval}, expected iterations, 1 or more')
        self.interval = interval
        self.history: list[dict[str, Any]] = []
        self._seen: dict[str, Tensor] | None = None

    def before_train(self, runner: Any) -> None:
        """Note the counts to start from."""
        method = _self_training(runner)
        if self._seen is None:
            self._seen = _counts(method)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Log at the end of an interval, and of the training."""
        last = runner.iter + 1
        if not last % self.interval or last == runner.max_iters:
            self._close_interval(runner)

    def _close_interval(self, runner: Any) -> None:
        counts = _counts(_self_training(runner))
        before = self._seen or {name: torch.zeros_like(count) for name, count in counts.items()}
        predicted, kept = ((counts[name] - before[name]).tolist() for name in ('predicted', 'kept'))
        self._seen = counts
        share = sum(kept) / max(sum(predicted), 1)
        self.history.append(dict(iter=runner.iter + 1, kept_share=share, predicted=predicted, kept=kept))
        self._log(runner, share, predicted, kept)

    def _log(self, runner: Any, share: float, predicted: Sequence[int], kept: Sequence[int]) -> None:
        last = runner.iter + 1
        first = last - (last - 1) % self.interval
        if not sum(kept):
            runner.logger.log(
                logging.WARNING,
                f'No pseudo label of iterations {first} to {last} was confident enough: only the source is learned. '
                'Lower the threshold, check the temporal shift, or train longer on the source.',
            )
        names = _class_names(runner, len(kept))
        table = ', '.join(f'{name} {k}/{p}' for name, k, p in zip(names, kept, predicted, strict=True) if p)
        runner.logger.info(f'Pseudo labels of iterations {first} to {last}: {share:.1%} kept; {table}')
        if getattr(runner, 'visualizer', None) is not None:
            runner.visualizer.add_scalar('pseudo_labels/kept_share', share, step=last)

    def state_dict(self) -> dict[str, Any]:
        """Entries so far and the counts at the last one."""
        return dict(history=self.history, seen=self._seen)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.history, self._seen = list(state['history']), state['seen']


def _self_training(runner: Any) -> SelfTraining:
    method = adaptor_of(runner.model).method
    if not isinstance(method, SelfTraining):
        raise ConfigError(
            f'PseudoLabelLogHook: {type(method).__name__} makes no pseudo labels; remove the hook from custom_hooks'
        )
    return method


def _counts(method: SelfTraining) -> dict[str, Tensor]:
    return dict(predicted=method.predicted_counts.cpu().clone(), kept=method.kept_counts.cpu().clone())


def _class_names(runner: Any, number: int) -> list[str]:
    dataset = getattr(getattr(runner, 'train_dataloader', None), 'dataset', None)
    classes = (getattr(dataset, 'metainfo', None) or {}).get('classes') or ()
    return list(classes) if len(classes) == number else [f'class {i}' for i in range(number)]
