"""Datasets joined without labels: other classes and seasons do not matter, other bands do."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmsits.datasets import ContrastiveViews, DrawIndex, SeriesTableDataset, UnlabelledUnion
from mmsits.datasets.transforms import PackSeriesInputs
from tests.helpers.series_tables import write_series_table

SENSOR = 's2'
VIEW = [
    dict(type='RollDates'),
    dict(type='ThinDates'),
    dict(type='SampleDates', num_dates=8, repeat=True),
    dict(type='PackSeriesInputs'),
]


def open_table(folder: Path, name: str, seed: int, season_start: str = '01-01', **changes) -> SeriesTableDataset:
    write_series_table(folder / f'{name}.npz', 12, seed, **changes)
    dataset = SeriesTableDataset(
        str(folder), table=f'{name}.npz', season_start=season_start, pipeline=[PackSeriesInputs()]
    )
    dataset.full_init()
    return dataset


@pytest.fixture
def parts(tmp_path):
    other = open_table(tmp_path, 'two', 1, '09-01', classes=np.array(['maize', 'wood', 'water']))
    return [open_table(tmp_path, 'one', 0), other]


def test_the_union_holds_all_series_and_no_label(parts):
    union = UnlabelledUnion(parts)
    assert len(union) == 24
    batch = union.__getitems__([13, 2])
    assert all('targets' not in sample for sample in [union[0], *(batch if isinstance(batch, list) else [batch])])
    assert torch.equal(union[13]['inputs'][SENSOR].values, parts[1][1]['inputs'][SENSOR].values)
    # The datasets themselves keep their labels.
    assert 'targets' in parts[0][0]


def test_the_metainfo_says_what_the_datasets_have_in_common(parts):
    union = UnlabelledUnion(parts)
    assert union.metainfo['bands'] == parts[0].metainfo['bands']
    assert not {'classes', 'palette', 'season_start'} & set(union.metainfo)
    means = [part.metainfo['statistics'][SENSOR]['mean'] for part in parts]
    np.testing.assert_allclose(union.metainfo['statistics'][SENSOR]['mean'], np.mean(means, 0), rtol=1e-9)


def test_views_of_the_union_are_batches_of_all_datasets(parts):
    views = ContrastiveViews(UnlabelledUnion(parts), VIEW)
    batch = views.__getitems__([DrawIndex(index, 0, index) for index in (0, 20, 5)])
    assert set(batch) == {'query', 'key'}
    for view in batch.values():
        assert tuple(view['inputs'][SENSOR].values.shape) == (3, 8, 2, 1, 1)
        assert 'targets' not in view
        assert [meta['sample_id'] for meta in view['metas']] == ['field 0', 'field 8', 'field 5']


def test_other_bands_are_refused(parts, tmp_path):
    parts.append(open_table(tmp_path, 'three', 2, bands=np.array(['nir', 'red'])))
    with pytest.raises(ValueError, match='the same bands'):
        UnlabelledUnion(parts)
    with pytest.raises(ValueError, match='at least one dataset'):
        UnlabelledUnion([])
