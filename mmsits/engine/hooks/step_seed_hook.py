"""Random numbers of a training step as a function of its number."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmseg.registry import HOOKS


@HOOKS.register_module()
class StepSeedHook(Hook):
    """Seed torch, numpy and random from (seed of the run, iteration, rank) before every training step.

    What a step draws on the device (dropout, mixing weights) then depends on its number only, not on how the run got
    there: a resumed run repeats exactly what an uninterrupted one does, and no generator state need be saved.
    """

    # After everything else that happens before a step, so that no other hook consumes from the step's numbers.
    priority = 'LOWEST'

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Seed the step `runner.iter`."""
        words = np.random.SeedSequence([int(runner.seed or 0), int(runner.iter), int(runner.rank)]).generate_state(3)
        torch.manual_seed(int(words[0]))
        np.random.seed(int(words[1]))
        random.seed(int(words[2]))
