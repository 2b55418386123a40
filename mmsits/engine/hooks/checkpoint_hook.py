"""Saving checkpoints so that a run can be killed at any moment and go on exactly."""

from __future__ import annotations

import inspect
import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import IterBasedTrainLoop
from mmseg.registry import HOOKS

from mmsits.engine.errors import ConfigError, DiskWriteError
from mmsits.engine.files import remove_leftovers, write_atomically


def _is_of_use(record: logging.LogRecord) -> bool:
    return 'will be deprecated in future' not in record.getMessage()


@contextmanager
def _without_deprecations(logger: logging.Logger) -> Iterator[None]:
    """mmengine warns of a class of its own that it uses itself; a user can do nothing about it."""
    logger.addFilter(_is_of_use)
    try:
        yield
    finally:
        logger.removeFilter(_is_of_use)


@HOOKS.register_module()
class SeriesCheckpointHook(CheckpointHook):
    """mmengine's `CheckpointHook`, counted in iterations and safe against kills and full disks.

    An old checkpoint, the best one included, is deleted only once the new one stands; `last_checkpoint` and the best
    checkpoint are kept relative to the work directory, which may thus be moved; the scores in the checkpoint are plain
    floats. Resuming is exact only where no gradient is being accumulated, so `interval` must be a multiple of the
    optimizer wrapper's `accumulative_counts`. A numbered checkpoint is written before the validation of its iteration;
    a run resumed from there validates first, so that no score, best checkpoint or step of a scheduler is left out.

    Args:
        interval: Iterations between two checkpoints.
        max_keep_ckpts: How many numbered checkpoints to keep; -1 keeps all.
        save_best: Metric, or list of metrics, whose best checkpoint is kept as well ('mIoU', 'macro_F1' …).
        **kwargs: As in mmengine's `CheckpointHook`, without `by_epoch`.

    Raises:
        ConfigError: If the interval is not a multiple of `accumulative_counts`.
        TypeError: If an argument is unknown (mmengine would fail when the first checkpoint is saved).
        DiskWriteError: If a checkpoint cannot be written; says how to go on.
    """

    best_ckpt_path: str | None
    best_ckpt_path_dict: dict[str, str | None]
    _default_greater_keys = [*CheckpointHook._default_greater_keys, 'OA', 'F1', 'kappa', 'recall']

    def __init__(self, interval: int = 1000, max_keep_ckpts: int = 2, by_epoch: bool = False, **kwargs: Any) -> None:
        if by_epoch:
            raise ConfigError(
                'checkpoint hook: by_epoch=True, but training is counted in iterations: set the interval in iterations'
            )
        for name in kwargs.keys() - inspect.signature(CheckpointHook).parameters.keys():
            raise TypeError(f'{type(self).__name__}.__init__() got an unexpected keyword argument {name!r}')
        super().__init__(interval=interval, max_keep_ckpts=max_keep_ckpts, by_epoch=False, **kwargs)

    def before_train(self, runner: Any) -> None:
        """Check the interval, clean up after a killed run, take up what was kept before."""
        self._check_interval(runner)
        with _without_deprecations(runner.logger):
            super().before_train(runner)
        if is_main_process():
            for path in remove_leftovers(self.out_dir):
                runner.logger.info(f'Removed {path}, left half-written by a run that was killed.')
        self._locate_best()
        if runner._resume and self._owes_validation(runner):
            runner.logger.info(f'Validating iteration {runner.iter}: the checkpoint was written before that.')
            runner.val_loop.run()

    def after_val_epoch(self, runner: Any, metrics: dict | None = None) -> None:
        """Note that this iteration was validated; keep the checkpoint if it is the best."""
        runner.message_hub.update_info('last_validation', runner.iter)
        super().after_val_epoch(runner, metrics)

    def _owes_validation(self, runner: Any) -> bool:
        loop = runner.train_loop
        if runner.val_loop is None or not isinstance(loop, IterBasedTrainLoop) or loop.iter < max(loop.val_begin, 1):
            return False
        due = loop.iter % loop.val_interval == 0 or loop.iter == loop.max_iters
        return due and runner.message_hub.get_info('last_validation') != loop.iter

    def _locate_best(self) -> None:
        # What the message hub knows are names in out_dir; mmengine works with paths.
        if not self.save_best:
            return
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = self._in_out_dir(self.best_ckpt_path)
        else:
            self.best_ckpt_path_dict = {key: self._in_out_dir(path) for key, path in self.best_ckpt_path_dict.items()}

    def _in_out_dir(self, name: str | None) -> str | None:
        return None if name is None else os.path.join(self.out_dir, os.path.basename(name))

    def _check_interval(self, runner: Any) -> None:
        wrapper = runner.optim_wrapper
        wrappers = list(wrapper.values()) if isinstance(wrapper, OptimWrapperDict) else [wrapper]
        for each in wrappers:
            counts = getattr(each, '_accumulative_counts', 1)
            if self.interval > 0 and self.interval % counts:
                raise ConfigError(
                    f'the checkpoint interval of {self.interval} iterations is no multiple of '
                    f'accumulative_counts={counts}: a checkpoint within an accumulation would lose gradients. '
                    f'Set default_hooks.checkpoint.interval to {math.ceil(self.interval / counts) * counts}.'
                )

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict) -> None:
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        runner.message_hub.update_info('last_ckpt', name)
        outdated = self._enlist(runner, step)
        self._write(
            runner,
            name,
            meta=meta,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            **self.args,
        )
        if not is_main_process():
            return
        relative = os.path.relpath(self.last_ckpt, runner.work_dir)
        write_atomically(Path(runner.work_dir) / 'last_checkpoint', relative.encode())
        for old in outdated:
            self._remove(self.file_backend.join_path(self.out_dir, self.filename_tmpl.format(old)))

    def _enlist(self, runner: Any, step: int) -> list[int]:
        """Add `step` to the checkpoints that are kept and return the steps that make room for it."""
        if self.max_keep_ckpts <= 0 or (self.keep_ckpt_ids and self.keep_ckpt_ids[-1] == step):
            return []
        steps = [old for old in self.keep_ckpt_ids if old != step] + [step]
        self.keep_ckpt_ids.append(step)
        # The checkpoint lists the outdated ones too: after a kill before they are deleted, the resumed run does it.
        runner.message_hub.update_info('keep_ckpt_ids', steps)
        return steps[: -self.max_keep_ckpts]

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Leave functions out of the schedulers' states.

        mmengine's `OneCycleLR` puts its own method, and with it the whole optimizer, into its state; a checkpoint with
        code in it is not opened again. A scheduler that is built anew has its functions.
        """
        states = checkpoint.get('param_schedulers') or []
        for group in states.values() if isinstance(states, dict) else [states]:
            group[:] = [{key: value for key, value in state.items() if not callable(value)} for state in group]

    def _write(self, runner: Any, name: str, **kwargs: Any) -> None:
        try:
            with _without_deprecations(runner.logger):
                runner.save_checkpoint(
                    self.out_dir,
                    name,
                    self.file_client_args,
                    by_epoch=False,
                    backend_args=self.backend_args,
                    **kwargs,
                )
        except DiskWriteError as error:
            raise DiskWriteError(
                error.errno,
                f'{error.strerror}. Training stopped at iteration {kwargs["meta"]["iter"]}: make room, then repeat the '
                'command with --resume to go on from the last complete checkpoint',
                error.filename,
            ) from error

    def _remove(self, path: str) -> None:
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):
            self.file_backend.rmtree(path)

    def _save_best_checkpoint(self, runner: Any, metrics: dict) -> None:
        if not self.save_best:
            return
        if 'auto' in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        meta = dict(epoch=runner.epoch, iter=runner.iter)
        updated = [
            self._save_if_best(runner, key, rule, metrics, dict(meta))
            for key, rule in zip(self.key_indicators, self.rules, strict=True)
        ]
        # The numbered checkpoint of this very iteration was written before validation: it must know the new best.
        if any(updated) and self.last_ckpt == self.file_backend.join_path(
            self.out_dir, self.filename_tmpl.format(runner.iter)
        ):
            self._save_checkpoint_with_step(runner, runner.iter, meta)

    def _save_if_best(self, runner: Any, key: str, rule: str, metrics: dict, meta: dict) -> bool:
        if key not in metrics:
            raise ConfigError(f'save_best={key!r}, but validation gives {sorted(metrics)}: name one of these')
        suffix = '' if len(self.key_indicators) == 1 else f'_{key}'
        hub = runner.message_hub
        score = float(metrics[key])
        best = hub.get_info(f'best_score{suffix}', self.init_value_map[rule])
        if math.isnan(score) or not self.is_better_than[key](score, best):
            return False
        name = f'best_{key}_{self.filename_tmpl.format(runner.iter)}'.replace('/', '_')
        hub.update_info(f'best_score{suffix}', score)
        hub.update_info(f'best_ckpt{suffix}', name)
        self._write(runner, name, meta=meta, save_optimizer=False, save_param_scheduler=False)
        old = self.best_ckpt_path if not suffix else self.best_ckpt_path_dict.get(key)
        new = self.file_backend.join_path(self.out_dir, name)
        if old and old != new and is_main_process():
            self._remove(old)
        if suffix:
            self.best_ckpt_path_dict[key] = new
        else:
            self.best_ckpt_path = new
        runner.logger.info(f'Best {key} so far, {score:.4f}, at iteration {runner.iter}: saved as {name}.')
        return True
