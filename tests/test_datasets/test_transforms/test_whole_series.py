"""Transforms of whole series in datasets: whole batches, the bands that a model is told of, and its normalisation."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmsits.datasets import DomainViews, PASTISDataset, TimeMatchDataset
from mmsits.datasets.transforms import (
    AddSpectralIndices,
    CompositeDates,
    DropCloudyDates,
    HandleMissingValues,
    InterpolateDates,
    LoadSeries,
    LoadSeriesLabels,
    PackSeriesInputs,
    SampleDates,
    SamplePixels,
    SeriesCenterCrop,
)
from mmsits.engine.hooks.dataset_contract_hook import measure_statistics
from mmsits.models import SeriesDataPreprocessor
from tests.helpers.pastis_miniature import write_pastis_miniature
from tests.helpers.timematch_miniature import write_timematch_miniature

DOMAIN = 'denmark/32VNH/2017'


@pytest.fixture(scope='module')
def parcels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_timematch_miniature(tmp_path_factory.mktemp('timematch'), DOMAIN)


def _parcels(root: Path, steps: list, **options) -> TimeMatchDataset:
    dataset = TimeMatchDataset(str(root), DOMAIN, min_parcels=1, pipeline=[*steps, PackSeriesInputs()], **options)
    dataset.full_init()
    return dataset


STEPS = [
    SamplePixels(8),
    DropCloudyDates(0.5),
    HandleMissingValues('interpolate', mask_band=True, sensors='s2'),
    AddSpectralIndices({'s2': ('NDVI',)}),
    InterpolateDates(step=20, start=20, end=340),
    SampleDates(6),
]


def test_whole_batches_of_parcels_equal_their_samples(parcels: Path) -> None:
    dataset = _parcels(parcels, STEPS)
    batch = dataset.__getitems__([4, 1, 7])
    assert tuple(batch['inputs']['s2'].values.shape) == (3, 6, 12, 8, 1)
    for row, index in enumerate((4, 1, 7)):
        for part, same in zip(dataset[index]['inputs']['s2'], batch['inputs']['s2'], strict=True):
            assert torch.equal(part, same[row])


def test_pixels_and_dates_are_chosen_after_a_transform_of_values_too(parcels: Path) -> None:
    steps = [SamplePixels(12), CompositeDates(60), SamplePixels(5, random=False), SampleDates(3, random=False)]
    batch = _parcels(parcels, steps).__getitems__([0, 2])
    assert tuple(batch['inputs']['s2'].values.shape) == (2, 3, 10, 5, 1)
    assert batch['inputs']['s2'].valid.any()


def test_model_and_checkpoint_are_told_of_further_bands(parcels: Path) -> None:
    plain, extended = _parcels(parcels, STEPS[:1]), _parcels(parcels, STEPS)
    assert extended.metainfo['bands']['s2'] == (*plain.metainfo['bands']['s2'], 'observed', 'NDVI')
    assert 's2' not in extended.metainfo['statistics']


def test_views_tell_of_the_bands_of_their_own_pipelines(parcels: Path) -> None:
    pipeline = [*STEPS, PackSeriesInputs()]
    views = DomainViews({'source': dict(dataset=_parcels(parcels, []), views={'source': pipeline})})
    assert views.metainfo['bands']['s2'][-1] == 'NDVI'
    assert views.domains['source'].dataset.metainfo['bands']['s2'][-1] != 'NDVI'


def test_statistics_of_further_bands_are_measured(parcels: Path) -> None:
    dataset = _parcels(parcels, STEPS)
    preprocessor = SeriesDataPreprocessor(sensors=dict(s2=12))
    assert measure_statistics(preprocessor, dataset) == ['s2']
    values = torch.cat([dataset[index]['inputs']['s2'].values for index in range(len(dataset))])
    valid = torch.cat([dataset[index]['inputs']['s2'].valid for index in range(len(dataset))])
    expected = values.transpose(0, 1)[:, valid].double()
    np.testing.assert_allclose(preprocessor.mean_s2, expected.mean(1), rtol=1e-4)
    std = expected.std(1)
    np.testing.assert_allclose(preprocessor.std_s2, torch.where(std > 0, std, 1.0), rtol=1e-3)
    assert measure_statistics(preprocessor, dataset) == []


def test_dense_samples_take_the_same_transforms(tmp_path: Path) -> None:
    root = write_pastis_miniature(tmp_path)
    loading = [LoadSeries(), LoadSeriesLabels(), SeriesCenterCrop(16)]
    steps = [
        AddSpectralIndices({'s2': ('NDVI', 'EVI')}),
        CompositeDates('month', 'max_ndvi'),
        HandleMissingValues('interpolate'),
    ]
    dataset = PASTISDataset(str(root), pipeline=[*loading, *steps, PackSeriesInputs()], season_start='09-01')
    series = dataset[0]['inputs']['s2']
    assert tuple(series.values.shape) == (12, 12, 16, 16)
    assert series.valid.all()
    assert dataset.metainfo['bands']['s2'][-2:] == ('NDVI', 'EVI')
    with pytest.raises(ValueError, match='statistics_in_sample'):
        PASTISDataset(str(root), pipeline=[*loading, *steps], statistics_in_sample=True)
