"""Sparse labels: a share of each class, always the same pixels, whatever else is in the dataset."""

import numpy as np
import pytest

from mmsits.datasets.transforms import KeepLabelledPixels

IGNORED = 255


def labels_of(seed=0):
    labels = np.random.default_rng(seed).choice([0, 1, 2, IGNORED], (40, 50), p=[0.6, 0.25, 0.05, 0.1])
    return labels.astype(np.uint8)


def kept(labels, fraction, seed=0, name='tile'):
    return KeepLabelledPixels(fraction, seed)(dict(targets=labels.copy(), sample_id=name))['targets']


def test_each_class_keeps_its_share_and_no_label_changes():
    labels = labels_of()
    sparse = kept(labels, 0.1)
    visible = sparse != IGNORED
    assert np.array_equal(sparse[visible], labels[visible])
    assert visible.sum() == pytest.approx(0.1 * (labels != IGNORED).sum(), abs=1)
    for number in range(3):
        assert (sparse == number).sum() == pytest.approx(0.1 * (labels == number).sum(), abs=1)


def test_choice_depends_on_image_and_seed_alone():
    labels = labels_of()
    assert np.array_equal(kept(labels, 0.1), kept(labels, 0.1))
    assert not np.array_equal(kept(labels, 0.1), kept(labels, 0.1, seed=1))
    assert not np.array_equal(kept(labels, 0.1), kept(labels, 0.1, name='another'))


def test_a_smaller_share_is_part_of_a_larger_one():
    labels = labels_of()
    few, many = kept(labels, 0.02) != IGNORED, kept(labels, 0.3) != IGNORED
    assert few.sum() < many.sum()
    assert not (few & ~many).any()


def test_everything_or_nothing_labelled():
    labels = labels_of()
    assert np.array_equal(kept(labels, 1.0), labels)
    unlabelled = np.full((4, 5), IGNORED, np.uint8)
    assert np.array_equal(kept(unlabelled, 0.1), unlabelled)
    one = unlabelled.copy()
    one[2, 3] = 1
    assert np.array_equal(kept(one, 0.01), one)


@pytest.mark.parametrize('fraction', [0, -0.1, 1.5])
def test_shares_out_of_range_are_refused(fraction):
    with pytest.raises(ValueError, match='above 0 and not above 1'):
        KeepLabelledPixels(fraction)
