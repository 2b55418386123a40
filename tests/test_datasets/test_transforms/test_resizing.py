"""Resizing, padding and crops by their classes: geometry is the same for images, masks and labels."""

import numpy as np
import pytest

from mmsits.datasets.transforms import PadSeries, SeriesRandomCrop, SeriesRandomResize
from mmsits.datasets.transforms.resizing import fitted_size
from mmsits.structures import ImageSeries


def sample(size=(12, 10), dtype=np.int16, per_pixel=False, seed=0) -> dict:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 200, (3, 2, *size)).astype(dtype)
    valid = rng.random((3, *size)) < 0.7 if per_pixel else np.ones((3, 1, 1), bool)
    targets = rng.integers(0, 4, size).astype(np.uint8)
    series = ImageSeries(values, np.arange(3, dtype=np.int32), valid)
    return dict(inputs=dict(s1=series), targets=targets, rng=np.random.default_rng(seed), sample_id='a')


@pytest.mark.parametrize('dtype', [np.uint8, np.int16, np.uint16, np.int32, np.float16, np.float32])
def test_twice_the_size_keeps_type_flat_areas_and_labels(dtype) -> None:
    held = sample(dtype=dtype)
    held['inputs']['s1'].values[:] = 7
    labels = held['targets']
    resized = SeriesRandomResize((12, 10), (2, 2))(held)
    assert resized['inputs']['s1'].values.shape == (3, 2, 24, 20)
    assert resized['inputs']['s1'].values.dtype == dtype
    assert (resized['inputs']['s1'].values == 7).all()
    np.testing.assert_array_equal(resized['targets'], labels.repeat(2, 0).repeat(2, 1))
    assert resized['img_shape'] == (24, 20)


def test_what_is_made_of_a_pixel_that_is_not_valid_is_not_valid() -> None:
    held = sample(per_pixel=True)
    values, valid = held['inputs']['s1'].values, held['inputs']['s1'].valid
    junk = np.where(valid[:, None], values, 30_000).astype(np.int16)
    other = dict(sample(per_pixel=True), inputs=dict(s1=held['inputs']['s1']._replace(values=junk)))
    step = SeriesRandomResize((12, 10), (1.5, 1.5))
    ours, theirs = step(held)['inputs']['s1'], step(other)['inputs']['s1']
    seen = np.broadcast_to(ours.valid[:, None], ours.values.shape)
    assert 0 < ours.valid.mean() < valid.mean()
    np.testing.assert_array_equal(ours.values[seen], theirs.values[seen])


def test_the_frame_may_be_turned_and_is_just_filled() -> None:
    assert fitted_size((50, 100), (60, 40)) == (30, 60)
    assert fitted_size((100, 50), (60, 40)) == (60, 30)


def test_padding_is_not_valid_and_ignored() -> None:
    padded = PadSeries((15, 10))(sample())
    series = padded['inputs']['s1']
    assert series.values.shape[-2:] == padded['targets'].shape == (15, 10)
    assert series.valid[:, :12].all()
    assert not series.valid[:, 12:].any()
    assert (padded['targets'][12:] == 255).all()
    large = sample()
    assert PadSeries(4)(large)['inputs']['s1'] is large['inputs']['s1']


def test_a_crop_of_one_class_is_drawn_again() -> None:
    targets = np.zeros((32, 32), np.uint8)
    targets[24:, 24:] = 1
    shares = []
    for share in (1.0, 0.9):
        varied = 0
        for seed in range(40):
            held = dict(sample((32, 32), seed=seed), targets=targets)
            varied += len(np.unique(SeriesRandomCrop(8, max_class_share=share)(held)['targets'])) > 1
        shares.append(varied)
    assert shares[1] > 1.5 * shares[0]


def test_options_that_cannot_be() -> None:
    with pytest.raises(ValueError, match='ratio_range'):
        SeriesRandomResize(10, (2, 1))
    with pytest.raises(ValueError, match='max_class_share'):
        SeriesRandomCrop(8, max_class_share=0)
    with pytest.raises(ValueError, match='instances'):
        PadSeries(20)(dict(sample(), instances=np.zeros((1, 12, 10))))
