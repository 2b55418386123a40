"""Pixel baselines: interpolation from valid dates, tables, counts."""

import numpy as np
import pytest
import torch

from mmsits.datasets import SeriesTableDataset
from mmsits.datasets.inspection import build_dataset
from mmsits.datasets.transforms import interpolate_to_grid
from mmsits.evaluation.pixel_baselines import (
    PixelTable,
    classifier_confusion,
    fitted_dataset,
    linear_model,
    majority_confusion,
    pixel_table,
    random_forest,
    season_grid,
    share_dates,
)
from mmsits.structures import ImageSeries, SampleMeta
from tools.analysis_tools.baseline import baseline_confusions


def test_interpolation_agrees_with_numpy_for_every_pixel():
    rng = np.random.default_rng(0)
    days = np.sort(rng.choice(200, 12, replace=False))
    values, valid = rng.integers(0, 9000, (12, 3, 40)), rng.random((12, 40)) < 0.5
    valid[:, 7] = False
    grid = np.arange(-20, 230, 13)
    filled = interpolate_to_grid(values, days, valid, grid)
    for pixel in range(40):
        for band in range(3):
            seen = valid[:, pixel]
            expected = (
                np.interp(grid, days[seen], values[seen, band, pixel]) if seen.any() else np.full(len(grid), np.nan)
            )
            np.testing.assert_allclose(filled[:, band, pixel], expected, rtol=1e-5)


class FourSamples:
    """Samples of 3×2 pixels whose reflectance is ten times their class, with a clouded date of nonsense values."""

    def __len__(self):
        return 4

    def __getitem__(self, i):
        targets = torch.tensor([[[0, 1], [2, 255], [1, i % 3]]], dtype=torch.uint8)
        values = (10 * targets[0]).to(torch.int16).expand(5, 2, 3, 2).clone()
        valid = torch.ones(5, 1, 1, dtype=torch.bool)
        values[2], valid[2] = 9999, False
        series = ImageSeries(values, torch.arange(5, dtype=torch.int32) * 20 + 1000 * i, valid)
        return dict(inputs={'s2': series}, targets=targets, metas=SampleMeta(season_start=1000 * i))


def test_table_holds_labelled_pixels_in_season_days_without_clouds():
    dataset = FourSamples()
    grid = season_grid(dataset, step=10)
    np.testing.assert_array_equal(grid, np.arange(0, 81, 10))
    table = pixel_table(dataset, grid)
    assert table.features.shape == (4 * 5, len(grid) * 2)
    np.testing.assert_array_equal(table.features, np.repeat(10.0 * table.labels[:, None], len(grid) * 2, axis=1))
    assert len(pixel_table(dataset, grid, max_pixels=8).labels) == 8


def test_a_parcel_is_the_mean_of_its_valid_pixels():
    values = torch.tensor([[[1.0, 5.0, 99.0]], [[2.0, 4.0, 6.0]]]).view(2, 1, 3, 1)
    valid = torch.tensor([[True, True, False], [True, True, True]])[..., None]
    geometry = ImageSeries(torch.full((1, 2, 1, 1), 7.0), torch.tensor([3]), torch.ones(1, 1, 1).bool())
    parcel = ImageSeries(values, torch.tensor([0, 10]), valid)
    targets = torch.tensor([[[4]]], dtype=torch.uint8)
    sample = dict(inputs={'s2': parcel, 'geometry': geometry}, targets=targets, metas=SampleMeta(season_start=0))
    table = pixel_table([sample], np.array([0, 5, 10]))
    np.testing.assert_allclose(table.features, [[3, 3.5, 4, 7, 7]])
    assert table.labels.tolist() == [4]


def test_dates_are_shared_only_if_all_samples_have_them():
    def sample(days, start, number=0):
        values = torch.arange(3.0).view(3, 1, 1, 1) + number
        series = ImageSeries(values, start + torch.tensor(days), torch.tensor([True, number == 0, True]).view(3, 1, 1))
        targets = torch.tensor([[[number]]], dtype=torch.uint8)
        return dict(inputs={'s2': series}, targets=targets, metas=SampleMeta(season_start=start))

    same = [sample([0, 10, 20], 0), sample([0, 10, 21], 365, 1), sample([0, 10, 20], 730)]
    assert share_dates(same)
    assert not share_dates([*same, sample([0, 10, 40], 0)])
    assert share_dates(same, same[1:])
    assert not share_dates(same, [sample([0, 10, 40], 0)])
    assert not share_dates([dict(same[0], inputs={'s2': same[0]['inputs']['s2'], 's1': same[0]['inputs']['s2']})])
    # On their own dates values stay as they are, and what is missing is interpolated.
    np.testing.assert_allclose(pixel_table(same, None).features, [[0, 1, 2], [1, 1 + 20 / 21, 3], [0, 1, 2]], rtol=1e-6)


def test_the_linear_model_takes_missing_features():
    table = PixelTable(np.array([[0, np.nan, np.nan], [1, 5, np.nan], [2, 7, np.nan]]), np.array([0, 0, 1]))
    np.testing.assert_array_equal(classifier_confusion(linear_model(), table, table, 2), [[2, 0], [0, 1]])


def test_confusions_of_majority_and_forest():
    table = pixel_table(FourSamples(), np.arange(0, 80, 20))
    forest = classifier_confusion(random_forest(trees=10), table, table, 3)
    np.testing.assert_array_equal(forest, np.diag(np.bincount(table.labels)))
    majority = majority_confusion(PixelTable(table.features, np.array([2, 2, 1])), table, 3)
    np.testing.assert_array_equal(majority[:, 2], np.bincount(table.labels))
    assert majority[:, :2].sum() == 0


def test_a_test_set_on_other_dates_is_brought_to_the_same_days(tmp_path):
    def table(name, dates, seed):
        rng = np.random.default_rng(seed)
        labels = np.arange(60) % 2
        # One class is green in April, the other in August.
        peaks = np.where(labels == 0, 100, 230)[:, None]
        values = np.exp(-(((dates - peaks) / 40) ** 2)) + rng.normal(0, 0.05, (60, len(dates)))
        days = np.datetime64('2019-01-01') + dates
        np.savez(tmp_path / name, x=values.astype(np.float32), date=days.astype(str), y=labels, classes=['a', 'b'])
        return SeriesTableDataset(str(tmp_path), name, pipeline=[dict(type='PackSeriesInputs')])

    train = table('train.npz', np.arange(0, 360, 20), 0)
    for name, dates in (('shifted.npz', np.arange(90, 450, 20)), ('fewer.npz', np.arange(5, 360, 45))):
        found = baseline_confusions(train, table(name, dates, 1), trees=20, seeds=[0], step=None)
        assert found['random forest'][0].trace() >= 58, name
        assert found['linear model'][0].trace() >= 58, name


def test_labels_hidden_in_training_are_hidden_from_the_classifiers(pastis_folder):
    common = dict(type='PASTISDataset', data_root=str(pastis_folder), sensors=('s2',), folds=[1])
    reading = [dict(type='LoadSeries'), dict(type='LoadSeriesLabels')]
    test = dict(common, pipeline=[*reading, dict(type='PackSeriesInputs')])
    hiding = dict(type='KeepLabelledPixels', fraction=0.1)
    train = dict(common, pipeline=[*reading, hiding, dict(type='SeriesRandomFlip'), dict(type='PackSeriesInputs')])
    config = fitted_dataset(train, test)
    assert [step['type'] for step in config['pipeline']] == [
        'LoadSeries',
        'LoadSeriesLabels',
        'KeepLabelledPixels',
        'PackSeriesInputs',
    ]
    grid = np.arange(0, 300, 60)
    few, all_of_them = (pixel_table(build_dataset(part), grid) for part in (config, test))
    assert len(few.labels) == pytest.approx(0.1 * len(all_of_them.labels), abs=1)
