"""Counted draws: complete passes, exact skipping, shares of processes."""

from itertools import islice

import pytest

from mmsits.datasets import SeriesEvalSampler, SeriesSampler, samplers


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
