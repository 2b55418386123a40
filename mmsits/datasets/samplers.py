"""Samplers whose draws are counted, so that a resumed run reads exactly what an uninterrupted one would have read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Sized
from itertools import islice

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

from .class_weights import class_weights


class DrawIndex(int):
    """A sample's index that carries which draw of the whole training it is.

    A dataset seeds the sample's random generator from (`seed`, `draw`): the augmentation of a draw is then the same
    whatever the number of workers and processes and however often the run was interrupted.

    Attributes:
        draw: Running number of the draw over all processes, from 0.
        seed: Seed of the run.
        spatial_seed: Seed of what happens in the image plane, shared by the views of one sample; None if it has a
            single view, whose seed serves.
    """

    draw: int
    seed: int
    spatial_seed: int | None

    def __new__(cls, index: int, draw: int, seed: int, spatial_seed: int | None = None) -> DrawIndex:
        """An index with its draw; `int` is immutable, so the attributes are set here."""
        self = super().__new__(cls, index)
        self.draw = draw
        self.seed = seed
        self.spatial_seed = spatial_seed
        return self

    def __sub__(self, other: int) -> DrawIndex:
        """The same draw at another index: so mmengine's `ConcatDataset` finds the position in one of its datasets."""
        return DrawIndex(int(self) - int(other), self.draw, self.seed, self.spatial_seed)

    def __mod__(self, other: int) -> DrawIndex:
        """The same draw at another index: so mmengine's `RepeatDataset` finds the sample."""
        return DrawIndex(int(self) % int(other), self.draw, self.seed, self.spatial_seed)

    def __reduce__(self) -> tuple:
        # An int subclass loses its attributes on the way to a worker unless it says how it is made.
        return DrawIndex, (int(self), self.draw, self.seed, self.spatial_seed)


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
        """Draws that one pass takes of this process, rounded up; the sampler itself never ends."""
        return -(-self.size // self.world_size)


@DATA_SAMPLERS.register_module()
class AnnotatedSampler(SeriesSampler):
    """Endless sampler for training on patches of which many hold no pixel of a crop: all that hold one, and a random
    part of the others, new for every pass.

    Args:
        dataset: A dataset with `annotated`, whether each sample holds a pixel of a crop (`MonthlyCompositeDataset`).
        empty_share: Share of the empty patches in each pass, 0 to 1; published is 0.
        shuffle: Random order, or the dataset's own.
        seed: Seed of the run. None takes one that all processes agree on.

    Raises:
        ValueError: If the dataset does not know, the share is out of range, or nothing is left to train on.
    """

    def __init__(self, dataset: Sized, empty_share: float = 0.0, shuffle: bool = True, seed: int | None = None) -> None:
        super().__init__(dataset, shuffle, seed)
        annotated = getattr(dataset, 'annotated', None)
        if annotated is None:
            raise ValueError(f'AnnotatedSampler needs a dataset with `annotated`, {type(dataset).__name__} has none.')
        if not 0 <= empty_share <= 1:
            raise ValueError(f'empty_share must lie from 0 to 1, got {empty_share}')
        self.annotated, self.empty = np.flatnonzero(annotated), np.flatnonzero(~np.asarray(annotated))
        self.taken = int(len(self.empty) * empty_share)
        self.size = len(self.annotated) + self.taken
        if self.size == 0:
            raise ValueError(f'None of the {len(annotated)} patches holds a pixel of a crop: check masks and split.')

    def _order(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, epoch])
        chosen = np.concatenate([self.annotated, rng.choice(self.empty, self.taken, replace=False)])
        return rng.permutation(chosen) if self.shuffle else np.sort(chosen)


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
        self.dataset = dataset
        self.indices = range(rank, len(dataset), world_size)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        """Number of samples of this process."""
        return len(self.indices)


def balanced_batches(
    labels: np.ndarray, items_per_class: int, shuffle: Callable[[np.ndarray], None]
) -> Iterator[np.ndarray]:
    """Endless batches with the same number of samples of every class (Nyborg et al. 2022, for JUMBOT).

    A class's samples are gone through in random order; when fewer than `items_per_class` are left, they are shuffled
    anew and the rest is passed over. A class with fewer than that in all is shuffled and repeated.

    Args:
        labels: label of each sample, (N,); samples with label 255 are left out.
        items_per_class: samples of each class in a batch.
        shuffle: shuffles an array in place.

    Yields:
        Positions of the samples of a batch, (items_per_class · K,), K being the number of classes that occur.
    """
    orders = [np.flatnonzero(labels == label) for label in np.unique(labels) if label != 255]
    pointers = [0] * len(orders)
    while True:
        parts = []
        for number, order in enumerate(orders):
            if len(order) - pointers[number] < items_per_class:
                pointers[number] = 0
            if pointers[number] == 0:
                shuffle(order)
            if len(order) < items_per_class:
                parts.append(np.resize(order, items_per_class))
                continue
            parts.append(order[pointers[number] : pointers[number] + items_per_class])
            pointers[number] += items_per_class
        batch = np.concatenate(parts)
        shuffle(batch)
        yield batch


@DATA_SAMPLERS.register_module()
class ClassBalancedSampler(Sampler):
    """Endless sampler for training whose batches have the same number of samples of every class.

    Let the loader's `batch_size` be `items_per_class` times the number of classes that occur (`batch_size` of the
    sampler). Process r of R takes the batches r, r + R, r + 2R …

    Args:
        dataset: A dataset with `labels`, the label of each sample (`ParcelSeriesDataset`).
        items_per_class: Samples of each class in a batch.
        seed: Seed of the run. None takes one that all processes agree on.

    Raises:
        ValueError: If the dataset has no labels, or `skip` is called with a negative number.
    """

    numbers_draws = True

    def __init__(self, dataset: Sized, items_per_class: int, seed: int | None = None) -> None:
        labels = _labels_of(dataset, type(self).__name__)
        if items_per_class < 1:
            raise ValueError(f'items_per_class must be at least 1, got {items_per_class}')
        self.rank, self.world_size = get_dist_info()
        self.labels = labels
        self.items_per_class = items_per_class
        self.batch_size = items_per_class * len(np.setdiff1d(self.labels, [255]))
        self.seed = sync_random_seed() if seed is None else int(seed)
        self._first = 0

    def __iter__(self) -> Iterator[DrawIndex]:
        batches = balanced_batches(self.labels, self.items_per_class, np.random.default_rng(self.seed).shuffle)
        # To skip is to draw without reading: some microseconds a batch.
        first_batch, within = divmod(self._first, self.batch_size)
        numbered = islice(enumerate(batches), self.rank + first_batch * self.world_size, None, self.world_size)
        for number, batch in numbered:
            for position in range(within, len(batch)):
                yield DrawIndex(int(batch[position]), number * self.batch_size + position, self.seed)
            within = 0

    def skip(self, num_samples: int) -> None:
        """Start after the first `num_samples` draws of this process (mmengine's loop calls it when resuming)."""
        if num_samples < 0:
            raise ValueError(f'Cannot skip {num_samples} samples: a number ≥ 0 is needed.')
        self._first = num_samples

    def __len__(self) -> int:
        """Samples that one pass takes of this process: whole batches, in all as many as the dataset has samples for."""
        return -(-(len(self.labels) // self.batch_size) // self.world_size) * self.batch_size


@DATA_SAMPLERS.register_module()
class ClassWeightedSampler(SeriesSampler):
    """Endless sampler for training that draws samples of rare classes more often, as strongly as wanted.

    In a pass of N draws, N being the size of the dataset, each sample occurs as often as its weight says, rounded up or
    down at random: with less scatter than independent draws, and large classes lose some of their samples in each pass,
    others every time. Samples with label 255 are never drawn.

    Weigh either samples or losses (`ClassWeightHook`, `LogitAdjustedLoss`), not both.

    Args:
        dataset: A dataset with `labels`, the label of each sample (`ParcelSeriesDataset`).
        scheme: See `class_weights`: 'effective_number', 'inverse' (all classes equally often) or 'inverse_sqrt'.
        beta: See `class_weights`.
        seed: Seed of the run. None takes one that all processes agree on.

    Raises:
        ValueError: If the dataset has no labels, or an option is out of range.
    """

    def __init__(
        self, dataset: Sized, scheme: str = 'effective_number', beta: float = 0.999, seed: int | None = None
    ) -> None:
        super().__init__(dataset, seed=seed)
        labels = _labels_of(dataset, type(self).__name__)
        known = labels != 255
        weights = class_weights(np.bincount(labels[known]), scheme, beta)
        shares = np.where(known, weights[np.where(known, labels, 0)], 0)
        self.expected = shares * (self.size / shares.sum())

    def _order(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng([self.seed, epoch])
        # Systematic sampling of a shuffled list: which samples are rounded up changes with every pass.
        shuffled = rng.permutation(self.size)
        ends = np.cumsum(self.expected[shuffled])
        drawn = np.searchsorted(ends, (rng.random() + np.arange(self.size)) * (ends[-1] / self.size), side='right')
        return rng.permutation(shuffled[np.minimum(drawn, self.size - 1)])


@DATA_SAMPLERS.register_module()
class MixtureSampler(SeriesSampler):
    """Endless sampler for training on several datasets at once, each with a share of its own.

    For the parts of a `ConcatDataset` (or `MergedDataset`). A pass has as many draws as all datasets have samples; in
    each the shares are kept to the sample. Within a dataset, all samples are drawn once before one is drawn again, so a
    small dataset with a large share is gone through several times.

    Args:
        dataset: Dataset that joins others (`cumulative_sizes`).
        shares: Share of each dataset in the draws, in their order; only ratios count. None weighs datasets by the root
            of their sizes: between their sizes and all alike.
        batch_size: Take whole batches of this size from one dataset, such as where sizes or sensors differ; that of the
            loader. None mixes datasets within a batch.
        seed: Seed of the run. None takes one that all processes agree on.

    Raises:
        ValueError: If the dataset joins none, shares are not one positive number for each, or one is so small that its
            dataset would never be drawn.
    """

    def __init__(
        self,
        dataset: Sized,
        shares: Sequence[float] | None = None,
        batch_size: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(dataset, seed=seed)
        ends = np.asarray(getattr(dataset, 'cumulative_sizes', ()), np.int64)
        if not len(ends):
            raise ValueError(f'MixtureSampler needs a ConcatDataset, {type(dataset).__name__} joins no datasets.')
        self.sizes = np.diff(ends, prepend=0)
        weights = np.sqrt(self.sizes) if shares is None else np.asarray(shares, np.float64)
        if weights.shape != self.sizes.shape or not (np.isfinite(weights).all() and (weights > 0).all()):
            raise ValueError(f'shares must be one positive number for each of the {len(ends)} datasets, got {shares}.')
        if batch_size is not None and batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got {batch_size}')
        self._starts = ends - self.sizes
        # Draws that stand side by side come from one dataset: those of a batch in every process.
        self._run = 1 if batch_size is None else batch_size * self.world_size
        # A pass is whole runs, so that a run never lies in two passes.
        self.size = max(1, self.size // self._run) * self._run
        self.draws = _whole_parts(weights, self.size // self._run) * self._run
        never = np.flatnonzero(self.draws == 0)
        if len(never):
            raise ValueError(
                f'with shares {weights.tolist()}, datasets {never.tolist()} (counted from 0) would never be drawn: a '
                f'pass has {self.size // self._run} {"draws" if self._run == 1 else "batches"} for {len(ends)} '
                'datasets. Raise their shares, or take a smaller batch_size.'
            )

    def _order(self, epoch: int) -> np.ndarray:
        owners = np.repeat(np.arange(len(self.sizes)), self.draws // self._run)
        owners = np.repeat(np.random.default_rng([self.seed, epoch]).permutation(owners), self._run)
        order = np.empty(self.size, np.int64)
        for number, count in enumerate(self.draws):
            drawn = np.arange(epoch * count, (epoch + 1) * count)
            order[owners == number] = self._starts[number] + self._within(number, drawn)
        return order

    def _within(self, number: int, drawn: np.ndarray) -> np.ndarray:
        """Positions in a dataset of its draws, counted from the beginning of the training."""
        size = int(self.sizes[number])
        passes, places = np.divmod(drawn, size)
        found = np.empty(len(drawn), np.int64)
        for one in np.unique(passes):
            order = np.random.default_rng([self.seed, number, int(one), 1]).permutation(size)
            found[passes == one] = order[places[passes == one]]
        return found


def _whole_parts(weights: np.ndarray, total: int) -> np.ndarray:
    """Whole numbers that add up to the total and are nearest to its parts by weight (largest remainders), (K,)."""
    exact = weights / weights.sum() * total
    parts = np.floor(exact).astype(np.int64)
    largest = np.argsort(parts - exact, kind='stable')
    parts[largest[: total - parts.sum()]] += 1
    return parts


def _labels_of(dataset: Sized, sampler: str) -> np.ndarray:
    labels = np.asarray(getattr(dataset, 'labels', None))
    # Of a dataset of label maps this is something else.
    if labels.ndim != 1 or not (labels != 255).any():
        raise ValueError(
            f'{sampler} needs a dataset with labels, {type(dataset).__name__} of {len(dataset)} samples '
            'has none (with_labels=True?).'
        )
    return labels


def batches_of_similar_size(
    sizes: Sequence[int], batch_size: int, max_pixels: int | None = None, same_size: bool = False
) -> list[list[int]]:
    """Cut samples into batches so that padding to the largest of a batch costs little.

    Args:
        sizes: Number of pixels of each sample.
        batch_size: Most samples in a batch.
        max_pixels: Most pixels in a batch, padding included; a single larger sample is a batch of its own.
        same_size: Only samples of equal size share a batch, groups in the order in which a size first occurs (as
            published); otherwise samples are taken in the order of their size.

    Returns:
        Positions of the samples of each batch; every sample is in exactly one.
    """
    if same_size:
        groups: dict[int, list[int]] = {}
        for position, size in enumerate(sizes):
            groups.setdefault(int(size), []).append(position)
        ordered = list(groups.values())
    else:
        ordered = [sorted(range(len(sizes)), key=lambda position: sizes[position])]
    batches = []
    for group in ordered:
        batch: list[int] = []
        for position in group:
            # Sizes ascend within a group, so the newest is what the others are padded to.
            full = max_pixels is not None and (len(batch) + 1) * sizes[position] > max_pixels
            if batch and (len(batch) == batch_size or full):
                batches.append(batch)
                batch = []
            batch.append(position)
        batches.append(batch)
    return [batch for batch in batches if batch]


@DATA_SAMPLERS.register_module()
class SizeBatchSampler(Sampler):
    """Batches of samples of similar size for evaluation, where all pixels of a parcel are used.

    Args:
        sampler: The sampler of the loader; its order is not kept.
        batch_size: Most samples in a batch.
        sizes: Size of each sample of the dataset. None asks the sampler's dataset (`sample_sizes`).
        max_pixels: See `batches_of_similar_size`.
        same_size: See `batches_of_similar_size`.

    Raises:
        ValueError: If the sizes are not known.
    """

    def __init__(
        self,
        sampler: Sampler,
        batch_size: int,
        sizes: Sequence[int] | None = None,
        max_pixels: int | None = 2**17,
        same_size: bool = False,
    ) -> None:
        known = getattr(getattr(sampler, 'dataset', None), 'sample_sizes', None) if sizes is None else sizes
        if known is None:
            raise ValueError(
                'SizeBatchSampler needs a dataset with sample_sizes, and SeriesEvalSampler as its sampler.'
            )
        indices = [int(index) for index in sampler]
        cut = batches_of_similar_size([int(known[index]) for index in indices], batch_size, max_pixels, same_size)
        self.batches = [[indices[position] for position in batch] for batch in cut]

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)

    def __len__(self) -> int:
        """Number of batches of this process."""
        return len(self.batches)
