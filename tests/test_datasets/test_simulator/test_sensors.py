"""Properties of simulated acquisitions."""

import dataclasses

import numpy as np
import pytest

from mmsits.datasets.simulator import CLEAR, CLOUD_COVERED, SHADOW, RegionConfig, multilook_speckle, simulate_region
from mmsits.datasets.simulator.phenology import double_logistic
from mmsits.datasets.simulator.random_fields import Concern, stream
from mmsits.datasets.simulator.weather import draw_clouds

CONFIG = RegionConfig(height=64, width=80, seed=2, s2_dates=14, s1_dates=5, sensors=('s2', 's1a', 's1d'))


@pytest.fixture(scope='module')
def region():
    return simulate_region(CONFIG)


@pytest.fixture(scope='module')
def optical(region):
    pairs = [region.s2_acquisition(i) for i in range(len(region.dates['s2']))]
    return np.stack([image for image, _ in pairs]), np.stack([mask for _, mask in pairs])


def test_sentinel_2_is_integer_and_in_range(region, optical):
    values, mask = optical
    assert values.dtype == np.int16
    assert values.shape == region.shape('s2') == (14, 10, 64, 80)
    assert values.min() >= 0
    assert values.max() <= 16_000
    assert np.array_equal(mask, region.cloud_mask())
    assert set(np.unique(mask)) <= {CLEAR, SHADOW, CLOUD_COVERED}


def test_clouds_are_bright_and_shadows_dark(optical):
    values, mask = optical
    blue, infrared = values[:, 0], values[:, 6]
    assert blue[mask == CLOUD_COVERED].mean() > 2.5 * blue[mask == CLEAR].mean()
    assert infrared[mask == SHADOW].mean() < 0.8 * infrared[mask == CLEAR].mean()


def test_clear_pixels_follow_the_truth(region, optical):
    values, mask = optical
    red, infrared = values[:, 2].astype(float), values[:, 6].astype(float)
    seen = (infrared - red) / np.maximum(infrared + red, 1)
    truth = region.ndvi(region.dates['s2'])
    clear = mask == CLEAR
    assert np.corrcoef(seen[clear], truth[clear])[0, 1] > 0.9


def test_pixel_noise_is_an_option():
    base = dataclasses.replace(CONFIG, sensors=('s2',), cloud_cover=0.0, haze=0.0)
    still = simulate_region(dataclasses.replace(base, pixel_noise=0.0)).acquisition('s2', 5).astype(float)
    for noise in (0.05, 0.2):
        noisy = simulate_region(dataclasses.replace(base, pixel_noise=noise)).acquisition('s2', 5).astype(float)
        deviation = ((noisy - still) / (still + 1000))[6].std()
        assert deviation == pytest.approx(noise, rel=0.05)


def test_no_clouds_when_none_are_asked_for():
    region = simulate_region(dataclasses.replace(CONFIG, sensors=('s2',), cloud_cover=0.0))
    assert not region.cloud_mask().any()


def test_dates_are_irregular_passes_of_the_season():
    every = simulate_region(dataclasses.replace(CONFIG, s2_dates=None, s1_dates=None)).dates
    assert set(np.diff(every['s2']).astype(int) % 5) == {0}
    assert len(set(np.diff(every['s2']).astype(int))) > 1
    assert set(np.diff(every['s1a']).astype(int) % 6) == {0}
    assert 25 < len(every['s2']) < 73
    few = simulate_region(CONFIG).dates
    assert len(few['s2']) == 14
    assert set(few['s2']) <= set(every['s2'])
    assert few['s2'][0] >= np.datetime64('2018-09-01')
    assert few['s2'][-1] <= np.datetime64('2019-08-31')


def test_a_season_without_clear_days_is_refused():
    with pytest.raises(ValueError, match='No s2 acquisition is left'):
        simulate_region(RegionConfig(height=32, width=32, cloud_cover=1.0))


def test_cloud_cover_of_a_wide_sky():
    cover = [
        draw_clouds((500, 500), 0.3, np.datetime64('2019-05-05'), 47.0, stream(i, Concern.S2_CLOUDS)).opacity.mean()
        for i in range(6)
    ]
    assert np.mean(cover) == pytest.approx(0.3, abs=0.1)


def test_shadows_are_clouds_displaced_away_from_the_sun():
    clouds = draw_clouds((300, 300), 0.3, np.datetime64('2019-06-21'), 47.0, stream(1, Concern.S2_CLOUDS))
    # In June at 10:36 the sun is in the south-east: shadows lie up and left of their clouds.
    best = max(
        (np.corrcoef(clouds.opacity[i:, j:].ravel(), clouds.shadow[: 300 - i, : 300 - j].ravel())[0, 1], i, j)
        for i in range(0, 90, 6)
        for j in range(0, 90, 6)
    )
    assert best[0] > 0.85
    assert best[1] > 5
    assert best[2] > 5


@pytest.mark.parametrize('looks', [1.0, 4.4, 20.0])
def test_speckle_has_mean_one_and_variance_one_over_looks(looks):
    speckle = multilook_speckle((400, 500), looks, stream(0, Concern.S1A_SPECKLE))
    assert speckle.min() >= 0
    assert speckle.mean() == pytest.approx(1.0, abs=0.01)
    assert speckle.var() == pytest.approx(1 / looks, rel=0.03)


def test_sentinel_1_is_decibel(region):
    values = region.values('s1a')
    assert values.dtype == np.float16
    assert values.shape == (5, 3, 64, 80)
    vv, vh, ratio = (values[:, i].astype(np.float32) for i in range(3))
    assert np.isfinite(values).all()
    assert -17 < np.median(vv) < -7
    assert -26 < np.median(vh) < -12
    assert ratio == pytest.approx(vv - vh, abs=0.05)
    assert not np.array_equal(values, region.values('s1d'))


def test_vegetation_raises_vh(region):
    corn = (region.true_class == 3) & (region.purity > 0.99)
    bare, grown = (region.surface.backscatter(day, 0.3, False)[1][corn].mean() for day in (120, 215))
    assert 10 * np.log10(grown / bare) > 2


def test_values_fill_a_given_array(region):
    out = np.zeros(region.shape('s1d'), dtype=np.float16)
    assert region.values('s1d', out=out) is out
    assert np.array_equal(out[2], region.acquisition('s1d', 2))
    with pytest.raises(ValueError, match='shape'):
        region.values('s1d', out=out[:2])


def test_an_absent_sensor_is_refused():
    with pytest.raises(ValueError, match="no sensor 's1a'"):
        simulate_region(RegionConfig(height=16, width=16)).values('s1a')


def test_double_logistic_matches_its_formula():
    day = np.arange(0, 300)
    curve = double_logistic(day, 100, 0.1, 200, 0.08)
    formula = 1 / (1 + np.exp(-0.1 * (day - 100))) + 1 / (1 + np.exp(0.08 * (day - 200))) - 1
    assert curve == pytest.approx(np.maximum(formula, 0), abs=1e-12)
    assert curve.max() > 0.95
