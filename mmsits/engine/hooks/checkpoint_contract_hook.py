"""Does a checkpoint belong to this model and these data?"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop
from mmseg.registry import HOOKS

from mmsits.engine.contracts import compare_metainfo, compare_weights
from mmsits.engine.ensemble import load_ensemble
from mmsits.engine.errors import CheckpointError, ConfigError


@HOOKS.register_module()
class CheckpointContractHook(Hook):
    """Compare a checkpoint with the model and the dataset in use before its weights are taken over.

    mmengine loads what matches and warns about the rest, so a checkpoint of another network leaves a model with random
    weights that predicts nonsense; nor does it notice that bands were given in another order.

    The further checkpoints that `test_cfg.test_time` of a model names are compared, and read, before validation and
    test.

    Args:
        on_mismatch: 'error', or 'warn' where a partial match is meant, as in fine-tuning with other classes. A
            checkpoint that is resumed from must always match.

    Raises:
        CheckpointError: Names missing, unexpected and differently shaped weights (the first few, and how many), or
            what differs in bands, units, classes or season start, and what to do; or says that a checkpoint to resume
            from holds no optimizer state.
    """

    # After hooks that translate weights (HIGH), before mmengine's EMAHook (NORMAL), which would fail less legibly.
    priority = 'ABOVE_NORMAL'

    def __init__(self, on_mismatch: str = 'error') -> None:
        if on_mismatch not in ('error', 'warn'):
            raise ConfigError(f"on_mismatch={on_mismatch!r}: expected 'error' or 'warn'")
        self.on_mismatch = on_mismatch

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Compare; see the class."""
        # mmengine would go on with a fresh optimizer, without a word.
        if runner._resume and 'optimizer' not in checkpoint:
            raise CheckpointError(
                'The checkpoint to resume from holds weights but no optimizer state, so the run would not go on as it '
                'was (best_*.pth are like that). Resume from an iter_*.pth, or start a new run with load_from=….'
            )
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        problems = [compare_weights(model.state_dict(), checkpoint.get('state_dict', checkpoint))]
        known = checkpoint.get('meta', {}).get('dataset_meta') or {}
        for split, metainfo in _datasets_in_use(runner).items():
            problems.append(compare_metainfo(known, metainfo, split))
        message = ' '.join(problem for problem in problems if problem)
        if not message:
            return
        if self.on_mismatch == 'warn' and not runner._resume:
            runner.logger.log(logging.WARNING, message)
            return
        raise CheckpointError(message)

    def before_val(self, runner: Any) -> None:
        """Read the further networks that predictions are averaged with."""
        self._load_ensemble(runner)

    def before_test(self, runner: Any) -> None:
        """Read the further networks that predictions are averaged with."""
        self._load_ensemble(runner)

    @staticmethod
    def _load_ensemble(runner: Any) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        load_ensemble(model, _datasets_in_use(runner))


def _datasets_in_use(runner: Any) -> dict[str, Mapping]:
    loops = {'training': runner._train_loop, 'validation': runner._val_loop, 'test': runner._test_loop}
    return {
        name: getattr(loop.dataloader.dataset, 'metainfo', None) or {}
        for name, loop in loops.items()
        if isinstance(loop, BaseLoop)
    }
