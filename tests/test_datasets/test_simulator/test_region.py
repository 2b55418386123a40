"""Properties of simulated regions: determinism, geometry, truth and labels."""

import dataclasses

import numpy as np
import pytest

from mmsits.datasets.simulator import CROPS, VOID, RegionConfig, simulate_region
from mmsits.datasets.simulator.random_fields import Concern, smooth_field, stream
from mmsits.datasets.simulator.weather import make_weather, sun_position

SMALL = RegionConfig(height=64, width=96, s2_dates=4, seed=3)
WIDE = RegionConfig(height=160, width=192, s2_dates=4, seed=5)


@pytest.fixture(scope='module')
def wide():
    return simulate_region(WIDE)


@pytest.fixture(scope='module')
def small():
    return simulate_region(SMALL)


def test_the_same_seed_gives_the_same_region(small):
    again = simulate_region(SMALL)
    assert np.array_equal(small.parcel_ids, again.parcel_ids)
    assert np.array_equal(small.true_class, again.true_class)
    assert np.array_equal(small.values('s2'), again.values('s2'))


def test_another_seed_gives_another_region(small):
    other = simulate_region(dataclasses.replace(SMALL, seed=4))
    assert not np.array_equal(small.parcel_ids, other.parcel_ids)
    assert not np.array_equal(small.acquisition('s2', 0), other.acquisition('s2', 0))


def test_an_acquisition_does_not_depend_on_those_before(small):
    last = simulate_region(SMALL).acquisition('s2', 3)
    assert np.array_equal(last, small.values('s2')[3])


def test_sentinel_1_does_not_change_sentinel_2(small):
    both = simulate_region(dataclasses.replace(SMALL, sensors=('s1d', 's2', 's1a')))
    assert np.array_equal(small.dates['s2'], both.dates['s2'])
    assert np.array_equal(small.values('s2'), both.values('s2'))


def test_label_options_do_not_change_images(small):
    noisy = simulate_region(dataclasses.replace(SMALL, label_noise=0.3, annotated_share=0.5))
    assert np.array_equal(small.true_class, noisy.true_class)
    assert np.array_equal(small.acquisition('s2', 1), noisy.acquisition('s2', 1))


@pytest.mark.parametrize('shift', [30, -12])
def test_the_shift_moves_ndvi_by_exactly_that_many_days(small, shift):
    shifted = simulate_region(dataclasses.replace(SMALL, temporal_shift_days=shift))
    assert np.array_equal(small.true_class, shifted.true_class)
    assert np.array_equal(small.dates['s2'], shifted.dates['s2'])
    start = np.datetime64('2019-03-01')
    days = start + np.arange(0, 120, 1)
    curve = small.ndvi(days).reshape(len(days), -1)[:, ::53].astype(np.float64)
    lags = range(-40, 41)
    late = shifted.ndvi(start + np.arange(45, 75)).reshape(30, -1)[:, ::53].astype(np.float64)
    # Cross-correlation of the curves over 30 days, pixel by pixel.
    similarity = [np.corrcoef(curve[45 - lag : 75 - lag].ravel(), late.ravel())[0, 1] for lag in lags]
    assert lags[int(np.argmax(similarity))] == shift
    assert np.allclose(curve[45 - shift : 75 - shift], late, atol=1e-5)


def test_the_known_shift_is_recorded(small):
    shifted = simulate_region(dataclasses.replace(SMALL, temporal_shift_days=30))
    before, after = small.known_shift_days, shifted.known_shift_days
    assert set(after) == set(SMALL.classes)
    assert all(after[number] - before[number] == pytest.approx(30) for number in after)
    assert np.mean(list(after.values())) == pytest.approx(30)


def test_ndvi_tells_a_plausible_story(wide):
    winter, spring, summer = wide.ndvi(['2019-02-20', '2019-05-20', '2019-08-10'])
    pure = wide.purity > 0.99
    median = {
        n: [float(np.median(s[pure & (wide.true_class == n)])) for s in (winter, spring, summer)] for n in (1, 2, 3)
    }
    assert median[2][1] > 0.75
    assert median[2][2] < 0.45
    assert median[3][1] < 0.4
    assert median[3][2] > 0.75
    assert min(median[1]) > 0.45
    assert float(np.min(winter)) > -0.7
    assert float(np.max(spring)) < 0.97


def test_proportions_are_roughly_as_asked():
    config = dataclasses.replace(WIDE, classes=(2, 3, 5), proportions=(5.0, 3.0, 2.0))
    region = simulate_region(config)
    area = np.bincount(region.true_class[region.true_class > 0], minlength=6)
    assert area[[2, 3, 5]] / area.sum() == pytest.approx([0.5, 0.3, 0.2], abs=0.05)
    assert set(np.unique(region.true_class)) == {0, 2, 3, 5}


def test_fields_have_a_realistic_size(wide):
    area = wide.landscape.area[wide.units.class_of_unit > 0] / 100
    assert 1.5 < np.median(area) < 3.5
    assert area.max() < 12
    assert 0.04 < (wide.true_class == 0).mean() < 0.22


def test_pixels_are_mixed_at_borders_only(wide):
    land = wide.landscape
    assert np.bincount(land.pixel, weights=land.weight) == pytest.approx(1.0, abs=1e-5)
    unit = np.pad(land.dominant, 1, mode='edge')
    neighbours = [
        unit[1 + i : unit.shape[0] - 1 + i, 1 + j : unit.shape[1] - 1 + j] for i in (-1, 0, 1) for j in (-1, 0, 1)
    ]
    interior = np.all([n == land.dominant for n in neighbours], axis=0)
    # Inside, only a path much narrower than a pixel can mix; it never takes more than its share.
    mixed = wide.purity < 0.99
    assert mixed[~interior].mean() > 0.35
    assert mixed[interior].mean() < 0.08
    assert 0.1 < mixed.mean() < 0.4


def test_mixed_pixels_lie_between_their_fields():
    config = dataclasses.replace(SMALL, heterogeneity=0.0)
    region = simulate_region(config)
    image = region.surface.reflectance(140, 0.3)
    land = region.landscape
    low, high = np.full(land.area.shape, np.inf), np.full(land.area.shape, -np.inf)
    pure = region.purity > 0.999
    np.minimum.at(low, land.dominant[pure], image[6][pure])
    np.maximum.at(high, land.dominant[pure], image[6][pure])
    rows = np.flatnonzero(np.bincount(land.pixel) == 2)
    checked = 0
    for pixel in rows[::17]:
        units = land.unit[land.pixel == pixel]
        if np.isfinite(low[units]).all():
            value = image[6].ravel()[pixel]
            assert low[units].min() - 1e-3 <= value <= high[units].max() + 1e-3
            checked += 1
    assert checked > 5


def test_label_noise_changes_the_share_of_parcels(wide):
    region = simulate_region(dataclasses.replace(WIDE, label_noise=0.25))
    wrong = region.parcel_label[1:] != region.parcel_class[1:]
    assert wrong.sum() == round(0.25 * len(wrong))
    assert set(np.unique(region.label)) <= {0, *WIDE.classes}
    assert np.array_equal(region.label == 0, wide.true_class == 0)


def test_partial_annotation_gives_void():
    region = simulate_region(dataclasses.replace(WIDE, annotated_share=0.3))
    void = region.parcel_label[1:] == VOID
    assert (~void).sum() == round(0.3 * len(void))
    assert np.array_equal(region.label == VOID, np.isin(region.parcel_ids, 1 + np.flatnonzero(void)))
    none = simulate_region(dataclasses.replace(SMALL, annotated_share=0.0))
    assert set(np.unique(none.label)) <= {0, VOID}


def test_every_crop_grows():
    region = simulate_region(dataclasses.replace(WIDE, classes=tuple(CROPS), s2_dates=1))
    peak = region.ndvi(np.arange('2019-04-01', '2019-09-01', 20, dtype='datetime64[D]')).max(axis=0)
    for number in CROPS:
        if number != 8:
            assert np.median(peak[(region.true_class == number) & (region.purity > 0.99)]) > 0.7


def test_a_configuration_survives_json():
    config = RegionConfig(classes=(1, 2), proportions=(1.0, 2.0), sensors=('s1a',))
    assert RegionConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match='no colour'):
        RegionConfig.from_dict({'colour': 1})


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        ({'height': 0}, 'height must be between'),
        ({'seed': -1}, 'seed'),
        ({'classes': (1, 99)}, r'\[99\] cannot be simulated; there are: 1 Meadow'),
        ({'classes': (1, 1)}, 'twice'),
        ({'classes': (1, 2), 'proportions': (1.0,)}, '1 values for 2 classes'),
        ({'classes': (1, 2), 'proportions': (1.0, -1.0)}, '0 or more'),
        ({'season_start': 'spring'}, 'dates like 2018-09-01'),
        ({'season_end': '2017-01-01'}, '1 to 800'),
        ({'sensors': ('s3',)}, 'sensors must be'),
        ({'cloud_cover': 1.5}, 'cloud_cover'),
        ({'s2_dates': 0}, 's2_dates'),
        ({'speckle_looks': 0.0}, 'speckle_looks'),
        ({'classes': (1,), 'label_noise': 0.1}, 'two classes'),
        ({'pixel_noise': float('nan')}, 'pixel_noise'),
    ],
)
def test_nonsense_is_refused(values, message):
    with pytest.raises(ValueError, match=message):
        RegionConfig(**values)


@pytest.mark.parametrize('length', [0.0, 2.0, 9.0])
def test_smooth_fields_have_unit_variance(length):
    field = smooth_field((600, 600), length, stream(0, Concern.SOIL))
    assert field.shape == (600, 600)
    assert field.mean() == pytest.approx(0, abs=0.15)
    assert field.std() == pytest.approx(1, abs=0.12)


def test_mean_cloud_cover_is_as_asked_and_days_resemble_each_other():
    weather = make_weather(np.datetime64('2000-01-01'), np.datetime64('2019-12-31'), 1, 0.4)
    cover = weather.cloud_cover
    assert cover.mean() == pytest.approx(0.4, abs=0.02)
    assert np.corrcoef(cover[1:], cover[:-1])[0, 1] > 0.5
    assert 0 < weather.moisture.min() < weather.moisture.max() <= 1


def test_the_sun_stands_where_it_should():
    zenith, azimuth = sun_position(np.datetime64('2019-06-21'), 47.0, hour=12.0)
    assert zenith == pytest.approx(47.0 - 23.45, abs=0.1)
    assert azimuth == pytest.approx(180, abs=0.1)
    assert 120 < sun_position(np.datetime64('2019-06-21'), 47.0)[1] < 175
