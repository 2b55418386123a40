"""Packing: tensors that own their memory, of types that torch computes with."""

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from mmsits.datasets.transforms import PackSeriesInputs
from mmsits.structures import ImageSeries
from tests.helpers.samples import coordinate_sample


@pytest.mark.parametrize(
    ('stored', 'packed'),
    [
        (np.int16, torch.int16),
        (np.uint8, torch.uint8),
        (np.uint16, torch.int32),
        (np.float32, torch.float32),
        (np.float16, torch.float32),
        (np.float64, torch.float32),
        (np.dtype('>i2'), torch.int16),
    ],
)
def test_types(stored, packed):
    results = coordinate_sample()
    values = results['inputs']['s2'].values.astype(stored)
    results['inputs'] = {'s2': results['inputs']['s2']._replace(values=values)}
    tensor = PackSeriesInputs()(results)['inputs']['s2'].values
    assert tensor.dtype == packed
    np.testing.assert_array_equal(tensor.numpy(), values.astype(np.int64))


def test_flipped_read_only_views_become_contiguous_copies():
    results = coordinate_sample()
    original = results['inputs']['s2'].values
    original.setflags(write=False)
    view = original[:, ::-1, 2:6, ::-1]
    results['inputs'] = {'s2': results['inputs']['s2']._replace(values=view)}
    tensor = PackSeriesInputs()(results)['inputs']['s2'].values
    assert tensor.is_contiguous()
    assert tensor.untyped_storage().nbytes() == view.size * 2
    np.testing.assert_array_equal(tensor.numpy(), view)
    tensor.zero_()
    assert original.any()


def test_shapes_and_metas_survive_collation():
    packed = PackSeriesInputs()(coordinate_sample())
    assert packed['targets'].shape == (1, 12, 12)
    assert packed['targets'].dtype == torch.uint8
    assert packed['inputs']['s2'].valid.shape == (7, 1, 1)
    assert packed['inputs']['s1'].valid.shape == (5, 12, 12)
    unlabelled = coordinate_sample()
    del unlabelled['targets']
    assert 'targets' not in PackSeriesInputs()(unlabelled)
    batch = pseudo_collate([packed, PackSeriesInputs()(coordinate_sample())])
    assert isinstance(batch['inputs']['s2'], ImageSeries)
    assert [meta['sample_id'] for meta in batch['metas']] == ['field', 'field']


def test_what_is_not_finite_may_stay_where_nothing_is_valid():
    results = coordinate_sample()
    s1 = results['inputs']['s1']
    values = s1.values.astype(np.float32)
    values.transpose(1, 0, 2, 3)[:, ~s1.valid] = np.nan
    results['inputs'] = {'s1': s1._replace(values=values)}
    assert PackSeriesInputs()(results)['inputs']['s1'].values.shape == (5, 3, 12, 12)
