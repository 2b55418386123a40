"""Masked pre-training that hides more, or less, as it goes on."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmseg.registry import HOOKS

from mmsits.engine.errors import ConfigError


@HOOKS.register_module()
class MaskRatioHook(Hook):
    """Change the ratio of a `MaskedSeriesModel`'s mask from step to step, along a straight line.

    The ratio is a function of the iteration, so a resumed run goes on where it was. It is in the log as `mask_ratio`.
    Validation keeps the ratio of the config.

    Args:
        begin: ratio at the first iteration, between 0 and 1.
        end: ratio at iteration `until`, and behind it.
        until: an iteration; None for the last of the run.

    Raises:
        ConfigError: when training begins, if the model has no mask; or for ratios that cannot be.
    """

    def __init__(self, begin: float, end: float, until: int | None = None) -> None:
        if not (0 < begin < 1 and 0 < end < 1) or (until is not None and until < 1):
            raise ConfigError(
                f'MaskRatioHook: ratios lie between 0 and 1, both excluded, and until is 1 or more; got begin={begin}, '
                f'end={end}, until={until}'
            )
        self.begin, self.end, self.until = begin, end, until

    def before_train(self, runner: Any) -> None:
        """Check the model."""
        if not hasattr(getattr(_unwrapped(runner), 'mask', None), 'ratio'):
            raise ConfigError(
                f'MaskRatioHook changes the mask of a MaskedSeriesModel, the model is a '
                f'{type(_unwrapped(runner)).__name__}'
            )

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Set the ratio of this step."""
        ratio = self.ratio_at(runner.iter, runner.max_iters)
        _unwrapped(runner).mask.ratio = ratio
        runner.message_hub.update_scalar('train/mask_ratio', ratio)

    def ratio_at(self, iteration: int, max_iters: int) -> float:
        """The ratio of an iteration, counted from 0, of a run of `max_iters`."""
        last = max(1, (max_iters - 1) if self.until is None else self.until)
        return self.begin + (self.end - self.begin) * min(1.0, iteration / last)


def _unwrapped(runner: Any) -> Any:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
