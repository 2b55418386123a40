import random
from types import SimpleNamespace

import numpy as np
import torch

from mmsits.engine import StepSeedHook


def _draw(seed: int, iteration: int, rank: int) -> tuple[float, float, float]:
    runner = SimpleNamespace(seed=seed, iter=iteration, rank=rank)
    StepSeedHook().before_train_iter(runner, iteration)
    return torch.rand(()).item(), float(np.random.rand()), random.random()


def test_numbers_depend_on_seed_iteration_and_rank_alone() -> None:
    first = _draw(3, 100, 0)
    torch.rand(1000)
    np.random.rand(7)
    assert _draw(3, 100, 0) == first
    others = [_draw(4, 100, 0), _draw(3, 101, 0), _draw(3, 100, 1)]
    for generator in range(3):
        assert len({first[generator], *(other[generator] for other in others)}) == 4
