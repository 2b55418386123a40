"""Counted draws: complete passes, exact skipping, shares of processes."""

from itertools import islice

import numpy as np
import pytest

from mmsits.datasets import (
    ClassBalancedSampler,
    ClassWeightedSampler,
    SeriesEvalSampler,
    SeriesSampler,
    SizeBatchSampler,
    samplers,
)
from mmsits.datasets.samplers import batches_of_similar_size


def take(sampler, count):
    return [(int(index), index.draw) for index in islice(sampler, count)]


def as_process(monkeypatch, rank, world_size):
    monkeypatch.setattr(samplers, 'get_dist_info', lambda: (rank, world_size))


def test_each_pass_visits_every_sample_once_in_a_new_order():
    indices = [index for index, _ in take(SeriesSampler(range(7), seed=0), 14)]
    assert sorted(indices[:7]) == sorted(indices[7:]) == list(range(7))
    assert indices[:7] != indices[7:]


def test_draws_are_counted_and_follow_the_seed():
    assert [draw for _, draw in take(SeriesSampler(range(5), seed=1), 12)] == list(range(12))
    assert take(SeriesSampler(range(50), seed=1), 50) == take(SeriesSampler(range(50), seed=1), 50)
    assert take(SeriesSampler(range(50), seed=1), 50) != take(SeriesSampler(range(50), seed=2), 50)


@pytest.mark.parametrize('skipped', [0, 1, 6, 7, 23])
@pytest.mark.parametrize('world_size', [1, 3])
def test_skipping_goes_on_as_if_never_stopped(monkeypatch, skipped, world_size):
    as_process(monkeypatch, world_size - 1, world_size)
    whole = take(SeriesSampler(range(7), seed=4), skipped + 9)
    resumed = SeriesSampler(range(7), seed=4)
    resumed.skip(skipped)
    assert take(resumed, 9) == whole[skipped:]


def test_processes_share_the_draws_of_one(monkeypatch):
    alone = take(SeriesSampler(range(6), seed=0), 20)
    shares = []
    for rank in (0, 1):
        as_process(monkeypatch, rank, 2)
        shares.append(take(SeriesSampler(range(6), seed=0), 10))
        assert len(SeriesSampler(range(7), seed=0)) == 4, 'half of a pass'
    assert [pair for both in zip(*shares, strict=True) for pair in both] == alone


def test_an_empty_dataset_is_refused():
    with pytest.raises(ValueError, match='empty'):
        SeriesSampler([], seed=0)


@pytest.mark.parametrize('length', [0, 1, 5, 6])
def test_evaluation_takes_every_sample_exactly_once(monkeypatch, length):
    taken = []
    for rank in range(3):
        as_process(monkeypatch, rank, 3)
        sampler = SeriesEvalSampler(range(length))
        assert len(list(sampler)) == len(sampler)
        taken += list(sampler)
    assert sorted(taken) == list(range(length))


class Labelled:
    """Twenty samples of three classes, one of them rare, and two ignored ones."""

    labels = np.array([0] * 10 + [1] * 2 + [2] * 8 + [255] * 2)
    sample_sizes = np.arange(22) * 7 % 50 + 1

    def __len__(self):
        return len(self.labels)


def test_balanced_batches_hold_as_many_of_every_class():
    sampler = ClassBalancedSampler(Labelled(), items_per_class=3, seed=0)
    assert (sampler.batch_size, len(sampler)) == (9, 18)
    drawn = take(sampler, 90)
    assert [draw for _, draw in drawn] == list(range(90))
    for first in range(0, 90, 9):
        counts = np.bincount(Labelled.labels[[index for index, _ in drawn[first : first + 9]]])
        assert counts.tolist() == [3, 3, 3]
    # Of the ten of class 0 nine come in each pass of three batches, each once.
    zeros = [index for index, _ in drawn[:27] if Labelled.labels[index] == 0]
    assert len(set(zeros)) == 9


@pytest.mark.parametrize('skipped', [0, 9, 36])
@pytest.mark.parametrize('world_size', [1, 2])
def test_balanced_batches_go_on_as_if_never_stopped(monkeypatch, skipped, world_size):
    as_process(monkeypatch, world_size - 1, world_size)
    whole = take(ClassBalancedSampler(Labelled(), 3, seed=4), skipped + 18)
    resumed = ClassBalancedSampler(Labelled(), 3, seed=4)
    resumed.skip(skipped)
    assert take(resumed, 18) == whole[skipped:]


def test_balanced_batches_need_labels():
    with pytest.raises(ValueError, match='has none'):
        ClassBalancedSampler(range(5), 2, seed=0)


@pytest.mark.parametrize(('scheme', 'shares'), [('inverse', [1, 1, 1]), ('inverse_sqrt', [10**0.5, 2**0.5, 8**0.5])])
def test_weighted_passes_hold_every_sample_as_often_as_its_weight_says(scheme, shares):
    sampler = ClassWeightedSampler(Labelled(), scheme, seed=0)
    classes = np.bincount(Labelled.labels[:20], weights=sampler.expected[:20])
    np.testing.assert_allclose(classes, 22 * np.array(shares) / sum(shares))
    for first in range(3):
        drawn = [index for index, _ in take(sampler, 66)[22 * first : 22 * first + 22]]
        counts = np.bincount(drawn, minlength=22)
        assert (abs(counts - sampler.expected) < 1).all()
        assert counts[20:].sum() == 0


@pytest.mark.parametrize('world_size', [1, 2])
def test_weighted_draws_go_on_as_if_never_stopped(monkeypatch, world_size):
    as_process(monkeypatch, world_size - 1, world_size)
    whole = take(ClassWeightedSampler(Labelled(), seed=4), 50)
    resumed = ClassWeightedSampler(Labelled(), seed=4)
    resumed.skip(17)
    assert take(resumed, 33) == whole[17:]
    with pytest.raises(ValueError, match='has none'):
        ClassWeightedSampler(range(5), seed=0)


def test_batches_of_similar_size_hold_every_sample_once_and_bound_the_pixels():
    dataset = Labelled()
    sampler = SizeBatchSampler(SeriesEvalSampler(dataset), batch_size=6, max_pixels=100)
    batches = list(sampler)
    assert sorted(index for batch in batches for index in batch) == list(range(22))
    assert len(sampler) == len(batches)
    for batch in batches:
        assert len(batch) <= 6
        assert len(batch) * dataset.sample_sizes[batch].max() <= 100


def test_batches_of_one_size_are_cut_as_published():
    sizes = [3, 3, 5, 3, 5, 3]
    assert batches_of_similar_size(sizes, batch_size=3, same_size=True) == [[0, 1, 3], [5], [2, 4]]


def test_batches_of_similar_size_need_sizes():
    with pytest.raises(ValueError, match='sample_sizes'):
        SizeBatchSampler(SeriesEvalSampler(range(3)), batch_size=2)
