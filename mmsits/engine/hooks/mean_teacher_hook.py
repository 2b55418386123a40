"""Updating the teacher of a domain adaptor."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapperDict
from mmseg.registry import HOOKS
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from mmsits.engine.errors import ConfigError
from mmsits.models.adaptation import adaptor_of, update_teacher


@HOOKS.register_module()
class MeanTeacherHook(Hook):
    """Teacher = student when training begins; after each optimizer step decay * teacher + (1 - decay) * student.

    All entries of the state are averaged, running statistics of batch norms included. The teacher is part of the model
    and so of the checkpoint; the hook itself keeps nothing.

    In distributed training every process has running statistics of its own; these are averaged first, so that all
    processes have one teacher, and the one in the checkpoint.

    Args:
        decay: share of the old teacher that is kept. 0 makes the teacher the student.

    Raises:
        ConfigError: if the decay is outside 0 to 1, or the model has no teacher.
    """

    # Before TemporalShiftHook asks the teacher.
    priority = 'ABOVE_NORMAL'

    def __init__(self, decay: float = 0.9999) -> None:
        if not 0 <= decay <= 1:
            raise ConfigError(f'MeanTeacherHook: decay={decay}, expected a share between 0 and 1')
        self.decay = decay

    def before_train(self, runner: Any) -> None:
        """Start from the student's weights, unless a run is taken up again."""
        adaptor = adaptor_of(runner.model)
        if adaptor.teacher is None:
            raise ConfigError(
                f'MeanTeacherHook: {type(adaptor.method).__name__} has no teacher; remove the hook from custom_hooks'
            )
        if runner.iter == 0:
            adaptor.reset_teacher()

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Move the teacher towards the student, if this iteration ended with an optimizer step."""
        if (runner.iter + 1) % _accumulated(runner.optim_wrapper):
            return
        adaptor = adaptor_of(runner.model)
        assert adaptor.teacher is not None
        if get_world_size() > 1:
            average_running_statistics(adaptor.segmentor)
        update_teacher(adaptor.teacher, adaptor.segmentor, self.decay)


@torch.no_grad()
def average_running_statistics(model: nn.Module) -> None:
    """Give all processes the mean of their running means and variances of norms."""
    buffers = [
        buffer
        for module in model.modules()
        if isinstance(module, _NormBase)
        for buffer in (module.running_mean, module.running_var)
        if buffer is not None
    ]
    if not buffers:
        return
    joined = torch.cat([buffer.flatten() for buffer in buffers])
    all_reduce(joined, op='mean')
    for buffer, mean in zip(buffers, joined.split([buffer.numel() for buffer in buffers]), strict=True):
        buffer.copy_(mean.view_as(buffer))


def _accumulated(wrapper: Any) -> int:
    """Iterations per optimizer step."""
    if isinstance(wrapper, OptimWrapperDict):
        return max(_accumulated(each) for each in wrapper.values())
    return int(getattr(wrapper, '_accumulative_counts', 1))
