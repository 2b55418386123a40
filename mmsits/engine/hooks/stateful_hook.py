"""Base of hooks that remember something over a restart."""

from __future__ import annotations

import logging
from typing import Any

from mmengine.hooks import Hook


class StatefulHook(Hook):
    """Hook whose state is kept in the checkpoint, under `checkpoint['mmsits'][state_name]`.

    A subclass returns its state from `state_dict` and takes it back in `load_state_dict`. The state holds tensors and
    plain Python values only (numpy numbers as `float(x)`, paths as `str`), since checkpoints are read as data.
    It is restored when a run is resumed, not when weights are loaded from another run.

    `state_dict` is called in the first process alone: whatever must be gathered from others has to be gathered earlier,
    in `after_train_iter`.

    Attributes:
        state_name: Name of the entry, the class name unless set; two hooks of one class need two names.
    """

    state_name: str = ''

    def state_dict(self) -> dict[str, Any]:
        """State of the hook, tensors and plain Python values."""
        raise NotImplementedError

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        raise NotImplementedError

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Put the state into the checkpoint.

        Raises:
            ValueError: If another hook uses the same name.
        """
        states = checkpoint.setdefault('mmsits', {})
        if self._name in states:
            raise ValueError(f'two hooks keep their state as {self._name!r}: give one another state_name')
        states[self._name] = self.state_dict()

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        """Take the state back when a run is resumed."""
        if not runner._resume:
            return
        state = checkpoint.get('mmsits', {}).get(self._name)
        if state is None:
            runner.logger.log(
                logging.WARNING,
                f'The checkpoint holds no state of {self._name}: it starts afresh, so the run will differ from an '
                'uninterrupted one.',
            )
            return
        self.load_state_dict(state)

    @property
    def _name(self) -> str:
        return self.state_name or type(self).__name__
