"""Crops, flips and turns: one geometry for all sensors, masks and maps."""

import numpy as np
import pytest

from mmsits.datasets import DataError
from mmsits.datasets.transforms import SeriesCenterCrop, SeriesRandomCrop, SeriesRandomFlip, SeriesRandomRotate90
from tests.helpers.samples import coordinate_sample

RANDOM = [SeriesRandomCrop(8), SeriesRandomCrop((4, 6)), SeriesRandomFlip(), SeriesRandomRotate90()]


def assert_one_geometry(results):
    """The pixel that the targets name is the pixel that every sensor shows, and its validity is that pixel's."""
    rows, columns = results['targets'] // 16, results['targets'] % 16
    for sensor in ('s2', 's1'):
        values = results['inputs'][sensor].values
        np.testing.assert_array_equal(values[:, 0], np.broadcast_to(rows, values[:, 0].shape))
        np.testing.assert_array_equal(values[:, 1], np.broadcast_to(columns, values[:, 1].shape))
    valid = results['inputs']['s1'].valid
    np.testing.assert_array_equal(valid, np.broadcast_to((rows + columns) % 2 == 0, valid.shape))
    coarse = results['inputs']['coarse'].values
    np.testing.assert_array_equal(np.repeat(np.repeat(coarse[0, 0], 2, 0), 2, 1), rows // 2 * 2)
    np.testing.assert_array_equal(np.repeat(np.repeat(coarse[0, 1], 2, 0), 2, 1), columns // 2 * 2)
    assert results['inputs']['weather'].values.shape == (6, 3, 1, 1)
    assert results['img_shape'] == results['targets'].shape


@pytest.mark.parametrize('transform', RANDOM, ids=repr)
def test_all_sensors_and_targets_move_alike(transform):
    seen = set()
    for seed in range(60):
        results = transform(coordinate_sample(seed))
        results.setdefault('img_shape', results['targets'].shape)
        assert_one_geometry(results)
        seen.add(results['targets'].tobytes())
    # crops of 8: 3×3 places on the coarse grid; of 4×6: 5×4; four mirror images; four turns
    assert len(seen) == {0: 9, 1: 20, 2: 4, 3: 4}[RANDOM.index(transform)]


@pytest.mark.parametrize('transform', RANDOM, ids=repr)
def test_same_generator_same_result(transform):
    first, second = transform(coordinate_sample(3)), transform(coordinate_sample(3))
    np.testing.assert_array_equal(first['targets'], second['targets'])


@pytest.mark.parametrize('transform', RANDOM, ids=repr)
def test_everything_stays_a_view_of_the_file(transform):
    results = coordinate_sample(1)
    values = results['inputs']['s2'].values
    before = values.copy()
    values.setflags(write=False)
    assert np.shares_memory(transform(results)['inputs']['s2'].values, values)
    np.testing.assert_array_equal(values, before)


def test_window_counts_from_the_loaded_sample_through_two_crops():
    results = SeriesCenterCrop(4)(SeriesRandomCrop(8)(coordinate_sample(2)))
    top, left, height, width = results['window']
    assert (height, width) == (4, 4)
    assert results['targets'][0, 0] == top * 16 + left


def test_center_crop_is_in_the_middle():
    assert SeriesCenterCrop(8)(coordinate_sample())['window'] == (2, 2, 8, 8)


def test_a_smaller_image_is_kept_whole():
    results = SeriesRandomCrop(64)(coordinate_sample())
    assert results['targets'].shape == (12, 12)
    assert results['window'] == (0, 0, 12, 12)


def test_turns_of_an_oblong_image_keep_its_shape():
    turns = {SeriesRandomRotate90()(coordinate_sample(seed, height=8, width=12))['rotate90'] for seed in range(20)}
    assert turns == {0, 2}


def test_a_quarter_turn_swaps_height_and_width_of_instances():
    for seed in range(10):
        results = coordinate_sample(seed)
        results['instances'] = np.arange(7, dtype=np.float32)[:, None, None] + np.zeros((7, 12, 12), np.float32)
        turned = SeriesRandomRotate90()(results)
        expected = [0, 1, 2, 4, 3, 5, 6] if turned['rotate90'] % 2 else list(range(7))
        assert turned['instances'][:, 0, 0].tolist() == expected


def test_a_crop_through_coarse_pixels_is_refused():
    with pytest.raises(ValueError, match='multiple of 2'):
        SeriesRandomCrop(5)(coordinate_sample())


def test_a_sensor_that_does_not_fit_the_grid_is_named():
    results = coordinate_sample()
    coarse = results['inputs']['coarse']
    results['inputs']['coarse'] = coarse._replace(values=coarse.values[..., :5])
    with pytest.raises(DataError, match='coarse: 6×5 pixels do not divide the sample size 12×12'):
        SeriesRandomFlip(probability=1.0)(results)


def test_a_parcel_of_pixels_is_cropped_and_flipped_as_a_column():
    results = coordinate_sample(height=12, width=12)
    results = dict(
        inputs={'s2': results['inputs']['s2']._replace(values=results['inputs']['s2'].values[..., :1])},
        targets=results['targets'][:, :1],
        rng=np.random.default_rng(0),
    )
    cropped = SeriesRandomCrop((4, 1))(results)
    assert cropped['inputs']['s2'].values.shape == (7, 3, 4, 1)
    assert cropped['targets'].shape == (4, 1)
