"""Brightness, noise and lost bands: what is invalid, and the type, stay."""

import numpy as np
import pytest

from mmsits.datasets.transforms import DropChannels, JitterValues, ScaleReflectance
from tests.helpers.samples import coordinate_sample


def bright_sample(seed=0):
    """s2 is 1000 everywhere in int16 with one pixel invalid on each date; s1 in float32 decibels."""
    results = coordinate_sample(seed)
    s2, s1 = results['inputs']['s2'], results['inputs']['s1']
    valid = np.ones((7, 12, 12), bool)
    valid[:, 0, 0] = False
    values = np.full(s2.values.shape, 1000, np.int16)
    values[:, :, 0, 0] = -7
    results['inputs']['s2'] = s2._replace(values=values, valid=valid)
    results['inputs']['s1'] = s1._replace(values=np.full(s1.values.shape, -12, np.float32))
    del results['inputs']['coarse'], results['inputs']['weather']
    return results


def transforms():
    return [ScaleReflectance(0.2), JitterValues(dict(s2=50, s1=0.5)), DropChannels(0.5)]


@pytest.mark.parametrize('transform', transforms(), ids=repr)
def test_invalid_pixels_and_the_file_stay_untouched(transform):
    results = bright_sample(1)
    before = results['inputs']['s2'].values.copy()
    held = results['inputs']['s2'].values
    held.setflags(write=False)
    changed = transform(results)['inputs']['s2'].values
    assert changed.dtype == np.int16
    assert (changed[:, :, 0, 0] == -7).all()
    np.testing.assert_array_equal(held, before)


@pytest.mark.parametrize('transform', transforms(), ids=repr)
def test_same_generator_same_values(transform):
    first, second = (transform(bright_sample(9))['inputs']['s2'].values for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ('per', 'varying'), [('sample', ()), ('date', (0,)), ('band', (1,)), ('date_and_band', (0, 1))]
)
def test_scale_draws_a_factor_for_each_of_what_it_says(per, varying):
    values = ScaleReflectance(0.2, per=per)(bright_sample())['inputs']['s2'].values[:, :, 1:, 1:]
    assert values.min() >= 800
    assert values.max() <= 1200
    for axis in range(4):
        assert (np.ptp(values, axis=axis).max() > 0) == (axis in varying)


def test_scale_leaves_decibels_and_refuses_them_by_name():
    results = ScaleReflectance(0.2)(bright_sample())
    assert (results['inputs']['s1'].values == -12).all()
    with pytest.raises(ValueError, match="s1 is in 'dB'"):
        ScaleReflectance(0.2, sensors='s1')(bright_sample())


def test_scaling_cannot_overflow_the_type_of_the_file():
    results = bright_sample()
    results['inputs']['s2'].values[:, :, 1:] = 32000
    assert ScaleReflectance(0.5)(results)['inputs']['s2'].values[:, :, 1:].min() >= 16000


def test_jitter_has_the_asked_deviation_in_the_unit_of_the_file():
    results = JitterValues(dict(s2=50, s1=0.5))(bright_sample())
    s2 = results['inputs']['s2'].values[:, :, 1:, 1:].astype(float)
    assert s2.std() == pytest.approx(50, rel=0.05)
    assert s2.mean() == pytest.approx(1000, abs=5)
    s1 = results['inputs']['s1']
    where = np.broadcast_to(s1.valid[:, None], s1.values.shape)
    assert s1.values.dtype == np.float32
    assert s1.values[where].std() == pytest.approx(0.5, rel=0.05)
    assert (s1.values[~where] == -12).all()


def test_dropped_bands_hold_their_mean_and_one_band_stays():
    counts = set()
    for seed in range(40):
        results = coordinate_sample(seed)
        original = results['inputs']['s2'].values.astype(float)
        values = DropChannels(0.9, sensors='s2')(results)['inputs']['s2'].values
        flat = [band for band in range(3) if np.ptp(values[:, band]) == 0]
        counts.add(len(flat))
        for band in flat:
            assert values[0, band, 0, 0] == pytest.approx(original[:, band].mean(), abs=0.51)
    assert max(counts) == 2


def test_arguments_out_of_range_are_refused():
    for build in (
        lambda: ScaleReflectance(1.0),
        lambda: ScaleReflectance(0.1, per='pixel'),
        lambda: JitterValues(dict(s2=-1)),
        lambda: DropChannels(1.0),
    ):
        with pytest.raises(ValueError, match='must'):
            build()
