"""Patches put together to one picture of their region."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import DATASETS
from mmseg.structures import SegDataSample

from mmsits.datasets.simulator import RegionConfig, simulate_region
from mmsits.datasets.simulator.layouts import write_pastis
from mmsits.visualization.region import assemble_patches, draw_region

PIPELINE = [dict(type='LoadSeries'), dict(type='LoadSeriesLabels'), dict(type='PackSeriesInputs')]


@pytest.fixture(scope='module')
def region_and_folder(tmp_path_factory):
    region = simulate_region(RegionConfig(height=48, width=64, s2_dates=4, seed=1))
    folder = tmp_path_factory.mktemp('region')
    return region, write_pastis([region], folder / 'pastis', patch_size=16)


def prediction_of(labels):
    logits = torch.nn.functional.one_hot(labels[0].long(), 20).permute(2, 0, 1).float()
    return SegDataSample(pred_sem_seg=PixelData(data=labels.long()), seg_logits=PixelData(data=logits))


def test_patches_return_to_their_places(region_and_folder):
    region, folder = region_and_folder
    dataset = DATASETS.build(dict(type='PASTISDataset', data_root=str(folder), pipeline=PIPELINE))
    together = assemble_patches(dataset, [prediction_of(dataset[i]['targets']) for i in range(len(dataset))])
    np.testing.assert_array_equal(together.reference, region.label)
    np.testing.assert_array_equal(together.prediction, region.label)
    assert together.observed.all()
    np.testing.assert_array_equal(
        together.values, region.values('s2')[dataset[0]['inputs']['s2'].days == together.day][0]
    )


def test_a_region_with_a_hole_is_drawn(region_and_folder, tmp_path):
    _, folder = region_and_folder
    dataset = DATASETS.build(dict(type='PASTISDataset', data_root=str(folder), folds=[1, 4], pipeline=PIPELINE))
    together = assemble_patches(dataset, [prediction_of(dataset[i]['targets']) for i in range(len(dataset))])
    assert (together.reference[~together.observed] == 255).all()
    draw_region(together, dataset.metainfo, tmp_path / 'pictures' / 'region.png')
    assert (tmp_path / 'pictures' / 'region.png').read_bytes().startswith(b'\x89PNG')
