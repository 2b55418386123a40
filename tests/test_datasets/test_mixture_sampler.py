"""Several datasets at once: shares are exact, datasets are gone through evenly, and a resumed run draws the same."""

from itertools import islice

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset

from mmsits.datasets import MixtureSampler


class _Numbers:
    """A dataset of as many numbers."""

    metainfo: dict = {}

    def __init__(self, size: int) -> None:
        self.size = size

    def full_init(self) -> None: ...

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> int:
        return int(index)


class _Joined(ConcatDataset):
    def __init__(self, *sizes: int) -> None:
        self.datasets = [_Numbers(size) for size in sizes]
        self.cumulative_sizes = np.cumsum(sizes).tolist()
        self._fully_initialized = True


def _draws(sampler: MixtureSampler, count: int) -> list[int]:
    return [int(index) for index in islice(sampler, count)]


def test_shares_hold_in_every_pass() -> None:
    sampler = MixtureSampler(_Joined(10, 90), shares=(1, 3), seed=0)
    drawn = np.array(_draws(sampler, 400)).reshape(4, 100)
    assert ((drawn < 10).sum(1) == 25).all()
    first = drawn[drawn < 10]
    # Ten passes over the small dataset: nobody is drawn twice before all are drawn once.
    assert all(set(part) == set(range(10)) for part in first.reshape(10, 10))
    second = drawn[drawn >= 10][:90]
    assert set(second) == set(range(10, 100))


def test_roots_of_the_sizes_are_the_default() -> None:
    sampler = MixtureSampler(_Joined(100, 400), seed=0)
    np.testing.assert_array_equal(sampler.draws, [167, 333])


def test_a_resumed_run_draws_the_same() -> None:
    whole = list(islice(MixtureSampler(_Joined(7, 20, 5), seed=3), 200))
    resumed = MixtureSampler(_Joined(7, 20, 5), seed=3)
    resumed.skip(77)
    again = list(islice(resumed, 123))
    assert [int(index) for index in again] == [int(index) for index in whole[77:]]
    assert [index.draw for index in again] == [index.draw for index in whole[77:]]
    assert _draws(MixtureSampler(_Joined(7, 20, 5), seed=4), 200) != [int(index) for index in whole]


@pytest.mark.parametrize('processes', [1, 2])
def test_batches_of_one_dataset(monkeypatch: pytest.MonkeyPatch, processes: int) -> None:
    owners = []
    for rank in range(processes):
        monkeypatch.setattr('mmsits.datasets.samplers.get_dist_info', lambda rank=rank: (rank, processes))
        sampler = MixtureSampler(_Joined(9, 23), shares=(1, 1), batch_size=4, seed=0)
        owners.append(np.array(_draws(sampler, 80)).reshape(20, 4) < 9)
    for own in owners:
        assert (own.all(1) | ~own.any(1)).all()
        assert 0 < own.sum() < own.size
    assert all((own == owners[0]).all() for own in owners)


def test_what_cannot_be_mixed_is_refused() -> None:
    with pytest.raises(ValueError, match='joins no datasets'):
        MixtureSampler(_Numbers(3), seed=0)
    for shares in ((1,), (1, 0), (1, float('nan'))):
        with pytest.raises(ValueError, match='one positive number'):
            MixtureSampler(_Joined(3, 4), shares=shares, seed=0)


def test_a_dataset_that_would_never_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match=r'datasets \[1\] .* never be drawn: a pass has 6 batches'):
        MixtureSampler(_Joined(180, 20), shares=(100, 1), batch_size=32, seed=0)
    assert MixtureSampler(_Joined(180, 20), shares=(5, 1), batch_size=32, seed=0).draws.tolist() == [160, 32]
