"""Class weights and counts: limits of the formula, and counts by whatever way labels are held."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset

from mmsits.datasets import DataError, PASTISDataset, class_weights, count_classes
from mmsits.datasets.transforms import LoadSeries, LoadSeriesLabels, PackSeriesInputs
from tests.helpers.pastis_miniature import write_pastis_miniature

COUNTS = np.array([1000, 100, 10, 0, 1])


def test_effective_numbers_lie_between_no_weights_and_the_inverse() -> None:
    np.testing.assert_allclose(class_weights(COUNTS, beta=0), [1, 1, 1, 0, 1])
    inverse = class_weights(COUNTS, 'inverse')
    np.testing.assert_allclose(class_weights(COUNTS, beta=1 - 1e-9), inverse, rtol=1e-5)
    between = class_weights(COUNTS, beta=0.99)
    occurs = COUNTS > 0
    assert ((between[occurs] / inverse[occurs]).argsort() == inverse[occurs].argsort()[::-1]).all()
    expected = (1 - 0.99) / (1 - 0.99 ** COUNTS[occurs].astype(float))
    np.testing.assert_allclose(between[occurs], expected / expected.mean())


@pytest.mark.parametrize('scheme', ['effective_number', 'inverse', 'inverse_sqrt'])
def test_weights_average_to_one_over_the_classes_that_occur(scheme: str) -> None:
    weights = class_weights(COUNTS, scheme)
    assert weights[COUNTS > 0].mean() == pytest.approx(1)
    assert weights[3] == 0
    assert (np.diff(weights[[0, 1, 2, 4]]) > 0).all()


def test_what_cannot_be_weighted_is_refused() -> None:
    with pytest.raises(ValueError, match='no class occurs'):
        class_weights(np.zeros(3))
    with pytest.raises(ValueError, match='beta'):
        class_weights(COUNTS, beta=1)
    with pytest.raises(ValueError, match='scheme'):
        class_weights(COUNTS, 'log')


def test_labels_of_samples_are_counted_through_joined_and_repeated_datasets() -> None:
    one = SimpleNamespace(labels=np.uint8([0, 0, 2, 255]))
    other = SimpleNamespace(labels=np.uint8([1, 2, 255]))
    joined = SimpleNamespace(dataset=SimpleNamespace(datasets=[one, other]))
    assert count_classes(joined, 4).tolist() == [2, 1, 2, 0]
    assert count_classes(SimpleNamespace(main=one), 3).tolist() == [2, 0, 1]
    with pytest.raises(DataError, match='no labelled sample'):
        count_classes(SimpleNamespace(labels=np.uint8([255])), 3)


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pastis_miniature(tmp_path_factory.mktemp('pastis'), patches=5)


def test_label_maps_are_counted_without_their_images(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = PASTISDataset(
        str(root), pipeline=[LoadSeries(), LoadSeriesLabels(), PackSeriesInputs()], ignored_classes=(3,)
    )
    targets = np.concatenate([dataset[index]['targets'].numpy().ravel() for index in range(len(dataset))])
    expected = np.bincount(targets[targets != 255], minlength=20)
    monkeypatch.setattr(LoadSeries, 'transform', None)
    counts = count_classes(dataset, 20)
    assert counts.tolist() == expected.tolist()
    assert counts[3] == 0
    assert count_classes(ConcatDataset([dataset, dataset]), 20).tolist() == (2 * expected).tolist()


def test_a_part_of_the_maps_is_scaled_up(root: Path) -> None:
    dataset = PASTISDataset(str(root), pipeline=[LoadSeriesLabels()])
    all_counts, some = count_classes(dataset, 20), count_classes(dataset, 20, max_samples=2)
    assert some.sum() == pytest.approx(all_counts.sum(), rel=0.05)


def test_a_dataset_that_can_read_labels_alone_does() -> None:
    class Windows:
        """Stands for windows of a scene."""

        label_map = staticmethod(lambda index: np.full((2, 2), index, np.uint8))

        def __len__(self) -> int:
            return 3

    assert count_classes(Windows(), 3).tolist() == [4, 4, 4]
