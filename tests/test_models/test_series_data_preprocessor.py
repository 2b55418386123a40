"""Batching: casting, normalising, counting days, padding in time and space."""

import pytest
import torch
from mmengine.dataset import pseudo_collate

from mmsits.models import SeriesDataPreprocessor
from mmsits.structures import ImageSeries, SampleMeta

START = 17775  # 2018-09-01


def make_sample(dates=3, size=(4, 4), per_pixel=False, dtype=torch.int16, bands=2, seed=0, name='field'):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(0, 5000, (dates, bands, *size), generator=generator).to(dtype)
    valid = torch.ones(dates, *(size if per_pixel else (1, 1)), dtype=torch.bool)
    days = START + 10 * torch.arange(dates, dtype=torch.int32) - 5
    return dict(
        inputs={'s2': ImageSeries(values, days, valid)},
        targets=torch.ones(1, *size, dtype=torch.uint8),
        metas=SampleMeta(sample_id=name, season_start=START, img_shape=size),
    )


@pytest.fixture
def preprocessor():
    statistics = dict(s2=dict(mean=[1000.0, 2000.0], std=[500.0, 250.0]))
    return SeriesDataPreprocessor(sensors=dict(s2=2), statistics=statistics)


def test_integers_are_normalised_and_days_count_from_the_season_start(preprocessor):
    sample = make_sample()
    batch = preprocessor(pseudo_collate([sample]))
    series = batch['inputs']['s2']
    raw = sample['inputs']['s2'].values.float()
    expected = torch.stack([(raw[:, 0] - 1000) / 500, (raw[:, 1] - 2000) / 250], dim=1)
    torch.testing.assert_close(series.values[0], expected)
    assert series.days.tolist() == [[-5, 5, 15]]
    assert batch['targets'].dtype == torch.int64
    assert batch['targets'].shape == (1, 1, 4, 4)


def test_a_fixed_reference_date_overrides_the_season_start():
    statistics = dict(s2=dict(mean=[0.0, 0.0], std=[1.0, 1.0]))
    model = SeriesDataPreprocessor(sensors=dict(s2=2), statistics=statistics, reference_date='1970-01-01')
    assert model(pseudo_collate([make_sample()]))['inputs']['s2'].days[0, 0] == START - 5


@pytest.mark.parametrize('per_pixel', [False, True])
def test_a_shorter_series_is_padded_with_invalid_dates(preprocessor, per_pixel):
    long, short = make_sample(dates=5, per_pixel=per_pixel), make_sample(dates=2, per_pixel=per_pixel, seed=1)
    together = preprocessor(pseudo_collate([long, short]))['inputs']['s2']
    alone = preprocessor(pseudo_collate([short]))['inputs']['s2']
    torch.testing.assert_close(together.values[1, :2], alone.values[0])
    assert together.valid[1].flatten(1).any(1).tolist() == [True, True, False, False, False]
    assert together.values[1, 2:].abs().max() == 0
    assert together.days[1].tolist() == [-5, 5, 0, 0, 0]


def test_a_smaller_patch_is_padded_with_unobserved_pixels_and_ignored_labels(preprocessor):
    batch = preprocessor(pseudo_collate([make_sample(size=(4, 6)), make_sample(size=(3, 2), seed=1)]))
    series = batch['inputs']['s2']
    assert series.values.shape == (2, 3, 2, 4, 6)
    assert series.valid[0].all()
    assert series.valid[1, :, :3, :2].all()
    assert not series.valid[1, :, 3:].any()
    assert not series.valid[1, :, :, 2:].any()
    assert (batch['targets'][1, 0, :3, :2] == 1).all()
    assert (batch['targets'][1] == 255).sum() == 24 - 6


def test_a_parcel_of_one_pixel_beside_larger_ones_stays_one_pixel(preprocessor):
    series = preprocessor(pseudo_collate([make_sample(size=(3, 1)), make_sample(size=(1, 1), seed=1)]))['inputs']['s2']
    assert series.valid[0].all()
    assert series.valid[1, :, :1].all()
    assert not series.valid[1, :, 1:].any()
    assert series.values[1, :, :, 1:].abs().max() == 0


def test_a_missing_sensor_does_not_enlarge_the_grid_of_a_coarser_one(preprocessor):
    missing = make_sample(dates=1, size=(8, 8), seed=1)
    missing['inputs']['s2'].valid[:] = False
    for order in ([make_sample(), missing], [missing, make_sample()]):
        series = preprocessor(pseudo_collate([{**s, 'targets': torch.ones(1, 8, 8)} for s in order]))['inputs']['s2']
        assert series.values.shape == (2, 3, 2, 4, 4)
        assert sorted(series.valid.flatten(1).float().mean(1).tolist()) == [0, 1]


def test_whatever_is_not_valid_becomes_zero_even_if_it_is_nan(preprocessor):
    sample = make_sample(dtype=torch.float32, per_pixel=True)
    sample['inputs']['s2'].values[1, :, 2, 3] = torch.nan
    sample['inputs']['s2'].valid[1, 2, 3] = False
    values = preprocessor(pseudo_collate([sample]))['inputs']['s2'].values
    assert torch.isfinite(values).all()
    assert values[0, 1, :, 2, 3].tolist() == [0, 0]


def test_samples_with_validity_per_date_and_per_pixel_share_a_batch(preprocessor):
    clouded = make_sample(per_pixel=True)
    clouded['inputs']['s2'].valid[0, 0, 0] = False
    valid = preprocessor(pseudo_collate([clouded, make_sample(seed=1)]))['inputs']['s2'].valid
    assert valid.shape == (2, 3, 4, 4)
    assert not valid[0, 0, 0, 0]
    assert valid[1].all()


def test_statistics_of_the_sample_come_before_the_models(preprocessor):
    own = make_sample()
    own['metas'] = SampleMeta(season_start=START, statistics=dict(s2=dict(mean=[0.0, 0.0], std=[1.0, 2.0])))
    raw = own['inputs']['s2'].values.float()
    values = preprocessor(pseudo_collate([own]))['inputs']['s2'].values[0]
    torch.testing.assert_close(values, torch.stack([raw[:, 0], raw[:, 1] / 2], dim=1))


def test_samples_with_and_without_own_statistics_are_refused_by_name(preprocessor):
    own, other = make_sample(), make_sample(seed=1)
    statistics = dict(s2=dict(mean=[0.0, 0.0], std=[1.0, 2.0]))
    own['metas'] = SampleMeta(sample_id='own', season_start=START, statistics=statistics)
    other['metas'] = SampleMeta(sample_id='other', season_start=START)
    for batch in ([own, other], [other, own]):
        with pytest.raises(ValueError, match="sample 'own' brings its own statistics, sample 'other' does not"):
            preprocessor(pseudo_collate(batch))


def test_the_checkpoint_carries_the_statistics(preprocessor):
    other = SeriesDataPreprocessor(sensors=dict(s2=2))
    assert not other.has_statistics('s2')
    other.load_state_dict(preprocessor.state_dict())
    assert other.has_statistics('s2')
    data = pseudo_collate([make_sample()])
    torch.testing.assert_close(other(data)['inputs']['s2'].values, preprocessor(data)['inputs']['s2'].values)


def test_missing_statistics_say_where_they_come_from():
    with pytest.raises(ValueError, match=r"sensor 's2'.*dataset_stats"):
        SeriesDataPreprocessor(sensors=dict(s2=2))(pseudo_collate([make_sample()]))


def test_unusable_statistics_are_refused(preprocessor):
    with pytest.raises(ValueError, match='takes 2 bands, the statistics have 3 means'):
        preprocessor.set_statistics('s2', [1.0, 2.0, 3.0], [1.0, 1.0])
    with pytest.raises(ValueError, match='> 0'):
        preprocessor.set_statistics('s2', [1.0, 2.0], [1.0, 0.0])
    with pytest.raises(ValueError, match=r"'s1'.*s2"):
        preprocessor.set_statistics('s1', [1.0], [1.0])


def test_another_number_of_bands_is_refused_with_the_sample(preprocessor):
    with pytest.raises(ValueError, match=r"takes 2 bands, the batch has 4.*'field'"):
        preprocessor(pseudo_collate([make_sample(bands=4)]))


def test_training_on_a_series_that_was_never_observed_is_refused(preprocessor):
    blind = make_sample(name='under cloud')
    blind['inputs']['s2'].valid[:] = False
    data = pseudo_collate([make_sample(), blind])
    with pytest.raises(ValueError, match="'under cloud' has no valid observation"):
        preprocessor(data, training=True)
    assert not preprocessor(data)['inputs']['s2'].valid[1].any()
    # Where there is no label either, as in a crop beyond the edge of the images, nothing is lost.
    data['targets'][1][:] = 255
    assert (preprocessor(data, training=True)['targets'][1] == 255).all()
