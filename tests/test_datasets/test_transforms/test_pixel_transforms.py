"""SamplePixels on single samples; the batched form is tested with the datasets."""

import numpy as np
import pytest

from mmsits.datasets.transforms import SamplePixels
from mmsits.structures import ImageSeries


def parcel(size: int, seed: int = 0, width: int = 1) -> dict:
    values = np.broadcast_to(np.arange(size)[None, None, :, None], (3, 2, size, width)).astype(np.uint16)
    series = ImageSeries(values, np.arange(3, dtype=np.int32), np.ones((3, 1, 1), bool))
    static = ImageSeries(np.ones((1, 4, 1, 1), np.float32), np.zeros(1, np.int32), np.ones((1, 1, 1), bool))
    return dict(inputs=dict(s2=series, geometry=static), static_sensors=('geometry',), rng=np.random.default_rng(seed))


def test_different_pixels_are_drawn_the_same_on_all_dates():
    series = SamplePixels(5).transform(parcel(40))['inputs']['s2']
    assert series.values.shape == (3, 2, 5, 1)
    assert len(np.unique(series.values)) == 5
    assert (series.values == series.values[:1, :1]).all()
    assert series.valid.all()
    other = SamplePixels(5).transform(parcel(40, seed=1))['inputs']['s2']
    assert not np.array_equal(series.values, other.values)


def test_a_small_parcel_is_filled_with_invalid_copies_of_its_first_pixel():
    results = SamplePixels(5).transform(parcel(3))
    series = results['inputs']['s2']
    assert series.values[0, 0, :, 0].tolist() == [0, 1, 2, 0, 0]
    assert series.valid[:, :, 0].tolist() == [[True, True, True, False, False]] * 3
    assert results['inputs']['geometry'].values.shape == (1, 4, 1, 1)
    assert results['img_shape'] == (5, 1)


def test_pixels_at_even_distances_without_chance():
    series = SamplePixels(4, random=False).transform(parcel(8))['inputs']['s2']
    assert series.values[0, 0, :, 0].tolist() == [0, 2, 4, 6]


def test_as_many_as_asked_for_stay_as_they_are():
    assert SamplePixels(6).transform(parcel(6))['inputs']['s2'].values[0, 0, :, 0].tolist() == list(range(6))


def test_patches_are_refused():
    with pytest.raises(ValueError, match='7×7'):
        SamplePixels(5).transform(parcel(7, width=7))
    with pytest.raises(ValueError, match='at least 1'):
        SamplePixels(0)
