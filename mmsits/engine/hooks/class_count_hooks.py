"""Losses that take account of how often each class occurs in the training data."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.model import is_model_wrapper
from mmseg.registry import HOOKS
from torch import Tensor, nn

from mmsits.engine.errors import ConfigError
from mmsits.engine.hooks.stateful_hook import StatefulHook

BALANCING = ('ClassBalancedSampler', 'ClassWeightedSampler')


class ClassCountHook(StatefulHook):
    """Base of hooks that count the classes of the training data once, and hand the counts to losses.

    The counts are in the checkpoint: a resumed run uses the same without counting again.

    Args:
        max_samples: of label maps, read at most so many, chosen at random; None for all.
    """

    def __init__(self, max_samples: int | None = 1000) -> None:
        self.max_samples = max_samples
        self.counts: Tensor | None = None

    def apply(self, losses: list[Any], counts: Tensor) -> None:
        """Hand (K,) int64 counts to the losses of the heads.

        Raises:
            ConfigError: if they cannot take them.
        """
        raise NotImplementedError

    def before_train(self, runner: Any) -> None:
        """Count, unless a run is resumed, and hand the counts over."""
        from mmsits.datasets import count_classes

        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        dataloader = runner.train_dataloader
        if type(dataloader.sampler).__name__ in BALANCING:
            runner.logger.warning(
                f'{type(dataloader.sampler).__name__} draws rare classes more often already, and {type(self).__name__} '
                'lets them count more once again: use one of the two'
            )
        if self.counts is None:
            counts = count_classes(dataloader.dataset, int(model.decode_head.num_classes), self.max_samples)
            self.counts = torch.from_numpy(counts)
        self.apply(losses_of(model), self.counts)
        runner.logger.info(f'{type(self).__name__}: the classes occur {self.counts.tolist()} times in training')

    def state_dict(self) -> dict[str, Any]:
        """The counts."""
        return {'counts': self.counts}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the counts back."""
        self.counts = state['counts']


@HOOKS.register_module()
class ClassWeightHook(ClassCountHook):
    """Fill in `class_weight` of the losses of all heads from how often each class occurs in the training data.

    For any loss with that option, mmseg's and this library's.

    Args:
        scheme: 'effective_number' (Cui et al. 2019), 'inverse' or 'inverse_sqrt'; see
            `mmsits.datasets.class_weights`.
        beta: of the effective number.
        max_samples: see :class:`ClassCountHook`.

    Raises:
        ConfigError: before training, if a loss has no class weights, or the config gives it some.
    """

    def __init__(self, scheme: str = 'effective_number', beta: float = 0.999, max_samples: int | None = 1000) -> None:
        super().__init__(max_samples)
        self.scheme, self.beta = scheme, beta
        self._filled = False

    def apply(self, losses: list[Any], counts: Tensor) -> None:
        """Set the weights; see the class."""
        from mmsits.datasets import class_weights

        weights = class_weights(counts.numpy(), self.scheme, self.beta).tolist()
        for loss in losses:
            if not hasattr(loss, 'class_weight'):
                raise ConfigError(f'ClassWeightHook: {type(loss).__name__} has no class_weight to fill in')
            if loss.class_weight is not None and not self._filled:
                raise ConfigError(
                    f'ClassWeightHook: the config gives {type(loss).__name__} a class_weight already; leave one out'
                )
            loss.class_weight = weights
            if hasattr(loss, 'avg_non_ignore'):
                # With weights, mmseg's cross-entropy divides by those of labelled pixels anyhow, and with this option
                # it fails (an index of another shape).
                loss.avg_non_ignore = False
        self._filled = True


@HOOKS.register_module()
class ClassPriorHook(ClassCountHook):
    """Tell `LogitAdjustedLoss` how often each class occurs in the training data.

    Args:
        max_samples: see :class:`ClassCountHook`.

    Raises:
        ConfigError: before training, if no head has such a loss.
    """

    def apply(self, losses: list[Any], counts: Tensor) -> None:
        """Set the shares; see the class."""
        waiting = [loss for loss in losses if hasattr(loss, 'set_class_counts')]
        if not waiting:
            raise ConfigError(
                'ClassPriorHook: no head has a loss that takes it; '
                "loss_decode=dict(type='LogitAdjustedLoss', loss=dict(type='CrossEntropyLoss', …))"
            )
        for loss in waiting:
            loss.set_class_counts(counts)


def losses_of(model: nn.Module) -> list[nn.Module]:
    """The losses of all decode heads in a model, auxiliary ones included."""
    losses: list[nn.Module] = []
    for head in model.modules():
        held = getattr(head, 'loss_decode', None)
        if held is not None:
            losses += list(held) if isinstance(held, nn.ModuleList) else [held]
    return losses
