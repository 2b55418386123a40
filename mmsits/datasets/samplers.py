"""Samplers whose draws are counted, so that a resumed run reads exactly what an uninterrupted one would have read."""

from __future__ import annotations

from collections.abc import Iterator, Sized

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import Sampler


class DrawIndex(int):
    """A sample's index that carries which draw of the whole training it is.

    A dataset seeds the sample's random generator from (`seed`, `draw`): the augmentation of a draw is then the same
    whatever the number of workers and processes and however often the run was interrupted.

    Attributes:
        draw: Running number of the draw over all processes, from 0.
        seed: Seed of the run.
    """

    draw: int
    seed: int

    def __new__(cls, index: int, draw: int, seed: int) -> DrawIndex:
        """An index with its draw; `int` is immutable, so the attributes are set here."""
        self = super().__new__(cls, index)
        self.draw = draw
        self.seed = seed
        return self

    def __sub__(self, other: int) -> DrawIndex:
        """The same draw at another index: so mmengine's `ConcatDataset` finds the position in one of its datasets."""
        return DrawIndex(int(self) - int(other), self.draw, self.seed)

    def __mod__(self, other: int) -> DrawIndex:
        """The same draw at another index: so mmengine's `RepeatDataset` finds the sample."""
        return DrawIndex(int(self) % int(other), self.draw, self.seed)

    def __reduce__(self) -> tuple:
        # An int subclass loses its attributes on the way to a worker unless it says how it is made.
        return DrawIndex, (int(self), self.draw, self.seed)


@DATA_SAMPLERS.register_module()
class SeriesSampler(Sampler):
    """Endless sampler for training by iterations: one new random order per pass over the dataset.

    The n-th draw is a function of (seed, n) alone. Process r of R takes the draws r, r + R, r + 2R …, so two processes
    with batch size b see together what one process with batch size 2b sees.

    Args:
        dataset: The dataset; only its length is used.
        shuffle: Random order, new for every pass, or the dataset's own order.
        seed: Seed of the run. None takes one that all processes agree on.

    Raises:
        ValueError: If the dataset is empty, or `skip` is called with a negative number.

    Attributes:
        numbers_draws: True: its indices are `DrawIndex`. A sampler of your own that yields them says so too.
    """

    numbers_draws = True

    def __init__(self, dataset: Sized, shuffle: bool = True, seed: int | None = None) -> None:
        self.rank, self.world_size = get_dist_info()
        self.size = len(dataset)
        if self.size == 0:
            raise ValueError('The training dataset is empty: check data_root, folds and filters.')
        self.shuffle = shuffle
        self.seed = sync_random_seed() if seed is None else int(seed)
        self._first = 0

    def _order(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(self.size)
        return np.random.default_rng([self.seed, epoch]).permutation(self.size)

    def __iter__(self) -> Iterator[DrawIndex]:
        draw = self._first * self.world_size + self.rank
        epoch = draw // self.size
        order = self._order(epoch)
        while True:
            if draw // self.size != epoch:
                epoch = draw // self.size
                order = self._order(epoch)
            yield DrawIndex(int(order[draw % self.size]), draw, self.seed)
            draw += self.world_size

    def skip(self, num_samples: int) -> None:
        """Start after the first `num_samples` draws of this process (mmengine's loop calls it when resuming)."""
        if num_samples < 0:
            raise ValueError(f'Cannot skip {num_samples} samples: a number ≥ 0 is needed.')
        self._first = num_samples

    def __len__(self) -> int:
        """Length of the dataset (one pass); the sampler itself never ends."""
        return self.size


@DATA_SAMPLERS.register_module()
class SeriesEvalSampler(Sampler):
    """Every sample exactly once, in the dataset's order, shared out over the processes.

    Unlike mmengine's `DefaultSampler` it never repeats samples to make all processes' shares equal: a repeated sample
    would be counted twice in a confusion matrix.

    Args:
        dataset: The dataset; only its length is used.
        seed: Ignored; mmengine hands one to every sampler.
    """

    def __init__(self, dataset: Sized, seed: int | None = None) -> None:
        rank, world_size = get_dist_info()
        self.indices = range(rank, len(dataset), world_size)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        """Number of samples of this process."""
        return len(self.indices)
