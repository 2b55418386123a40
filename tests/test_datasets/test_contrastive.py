"""Two views of the same samples: other random numbers, no labels, and noise in common only where asked for."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS

from mmsits.datasets import ContrastiveViews, DrawIndex

NOISE = dict(type='DisturbDates', amount=dict(s2=1.0), share=1.0)
ROLL = dict(type='RollDates', probability=0.5)
PACK = dict(type='PackSeriesInputs')


@pytest.fixture
def table(tmp_path: Path) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    x = rng.random((30, 6, 3)).astype(np.float32)
    np.savez(
        tmp_path / 'a.npz',
        x=x,
        y=np.arange(30) % 2,
        classes=['a', 'b'],
        doy=np.arange(6) * 9 + 1,
        year=np.full(30, 2019),
    )
    return dict(type='SeriesTableDataset', table=str(tmp_path / 'a.npz'), pipeline=[PACK])


def indices(seed: int = 5, first: int = 0) -> list[DrawIndex]:
    return [DrawIndex(i, first + i, seed) for i in range(30)]


def values(batch: Any, view: str) -> torch.Tensor:
    return batch[view]['inputs']['s2'].values


def test_views_are_of_the_same_samples_by_other_random_numbers(table: dict) -> None:
    dataset = ContrastiveViews(table, [NOISE, PACK])
    batch = dataset.__getitems__(indices())
    names = [[meta['sample_id'] for meta in batch[view]['metas']] for view in ('query', 'key')]
    assert names[0] == names[1]
    assert not torch.equal(values(batch, 'query'), values(batch, 'key'))
    assert 'targets' not in batch['query']
    again = dataset.__getitems__(indices())
    assert torch.equal(values(batch, 'query'), values(again, 'query'))
    assert not torch.equal(values(batch, 'query'), values(dataset.__getitems__(indices(first=30)), 'query'))
    one = dataset[indices()[3]]
    assert torch.equal(one['key']['inputs']['s2'].values, values(batch, 'key')[3])
    assert len(dataset) == 30
    assert dataset.metainfo['bands']['s2'] == ('value_0', 'value_1', 'value_2')
    assert dataset.get_data_info(3)['sample_id'] == '3'


def test_without_a_pipeline_that_of_the_dataset_serves(table: dict) -> None:
    batch = ContrastiveViews(table).__getitems__(indices())
    assert torch.equal(values(batch, 'query'), values(batch, 'key'))


def test_shared_noise_reaches_the_key_unless_the_query_was_rolled(table: dict) -> None:
    clean = ContrastiveViews(table).__getitems__(indices())
    own = ContrastiveViews(table, [ROLL, NOISE, PACK]).__getitems__(indices())
    shared = ContrastiveViews(table, [ROLL, NOISE, PACK], shared_noise=True).__getitems__(indices())
    assert torch.equal(values(own, 'query'), values(shared, 'query'))
    differs = (values(own, 'key') - values(shared, 'key')).abs().flatten(1).amax(1) > 1e-3
    assert 5 < differs.sum() < 25
    # Where it was not rolled, the key carries the noise of both: what it has beside its own is the query's.
    no_roll = [dict(ROLL, probability=0.0), NOISE, PACK]
    own = ContrastiveViews(table, no_roll).__getitems__(indices())
    shared = ContrastiveViews(table, no_roll, shared_noise=True).__getitems__(indices())
    of_query, of_key = (values(own, view) - values(clean, view) for view in ('query', 'key'))
    torch.testing.assert_close(values(shared, 'key') - values(clean, 'key'), of_query + of_key, rtol=0, atol=1e-5)


def test_shared_noise_needs_noise_and_whole_batches(table: dict) -> None:
    with pytest.raises(ValueError, match='DisturbDates'):
        ContrastiveViews(table, [PACK], shared_noise=True)
    dataset = ContrastiveViews(table, [NOISE, dict(type='SeriesRandomFlip'), PACK], shared_noise=True)
    with pytest.raises(ValueError, match='SeriesRandomFlip cannot'):
        dataset.__getitems__(indices())


def test_a_batch_of_views_is_what_moco_takes(table: dict) -> None:
    dataset = ContrastiveViews(table, [NOISE, dict(type='SampleDates', num_dates=4), PACK])
    statistics = dict(s2=dict(mean=[0.5] * 3, std=[0.3] * 3))
    encoder = dict(type='PostNormTransformer', embed_channels=(6,), d_model=8, n_head=2)
    moco = MODELS.build(
        dict(
            type='SeriesMoCo',
            backbone=dict(type='PixelwiseBackbone', in_channels=3, encoder=encoder),
            dim=4,
            queue_size=60,
            data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s2=3), statistics=statistics),
        )
    ).train()
    batch = moco.data_preprocessor(dict(dataset.__getitems__(indices())), True)
    losses = moco(**batch, mode='loss')
    assert losses['loss_contrast'].isfinite()
    assert moco.queue_pointer.item() == 30
