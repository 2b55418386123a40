"""Training loops beside those of mmengine."""

from __future__ import annotations

from typing import Any

from mmengine.runner import IterBasedTrainLoop
from mmseg.registry import LOOPS

from mmsits.engine.errors import ConfigError


@LOOPS.register_module()
class EpochCountedTrainLoop(IterBasedTrainLoop):
    """Training by iterations, as many as a number of epochs has: for datasets whose size is known when they are opened.

    An epoch has `len(train_dataloader)` iterations. Checkpoints, validation and resuming go by iterations, as
    everywhere in this library, so a run can be stopped at any of them. Schedules follow the size of the dataset with
    mmengine's `by_epoch=True, convert_to_iter_based=True`.

    Args:
        runner: of mmengine.
        dataloader: of the training data, or its config.
        max_epochs: length of the training.
        max_iters: end after so many iterations if that is earlier, as for a trial; schedules that count epochs stay
            those of the whole.
        **kwargs: as in mmengine's `IterBasedTrainLoop`: val_interval (in iterations), …

    Raises:
        ConfigError: if `max_epochs` is not a positive number, or the training data make no batch.
    """

    def __init__(
        self, runner: Any, dataloader: Any, max_epochs: int, max_iters: int | None = None, **kwargs: Any
    ) -> None:
        if max_epochs < 1 or int(max_epochs) != max_epochs:
            raise ConfigError(f'train_cfg.max_epochs={max_epochs}: a whole number above 0 is needed')
        super().__init__(runner, dataloader, max_iters=max_iters or 0, **kwargs)
        epoch = len(self.dataloader)
        if epoch < 1:
            raise ConfigError(
                f'the training data have {len(self.dataloader.dataset)} samples, fewer than one batch: give a smaller '
                'train_dataloader.batch_size'
            )
        whole = int(max_epochs) * epoch
        self._max_epochs, self._max_iters = int(max_epochs), min(max_iters or whole, whole)
        runner.logger.info(
            f'{max_epochs} epochs of {epoch} iterations are {whole}; this run ends at {self._max_iters}.'
        )
