"""Fuzzy clusters: the published fixed point, and labels only where members and clusters agree."""

import numpy as np
import pytest

from mmsits.labelling import fuzzy_c_means, propose_from_clusters


@pytest.fixture(scope='module')
def blobs() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0, 0], [4, 0, 1], [0, 4, 2]])
    truth = np.repeat(np.arange(3), 40)
    return centres[truth] + rng.normal(0, 0.4, (120, 3)), truth


@pytest.mark.parametrize('fuzziness', [1.2, 2.0])
def test_it_is_a_fixed_point_of_both_equations(blobs: tuple[np.ndarray, np.ndarray], fuzziness: float) -> None:
    features, _ = blobs
    found = fuzzy_c_means(features, 3, fuzziness, tolerance=1e-9)
    np.testing.assert_allclose(found.membership.sum(1), 1)
    weights = found.membership**fuzziness
    np.testing.assert_allclose(found.centres, weights.T @ features / weights.sum(0)[:, None], atol=1e-5)
    distance = np.linalg.norm(features[:, None] - found.centres, axis=2)
    # Bezdek's eq.: u_ik = 1 / sum_j (d_ik / d_ij)^(2 / (m - 1)).
    expected = 1 / ((distance[:, :, None] / distance[:, None]) ** (2 / (fuzziness - 1))).sum(2)
    np.testing.assert_allclose(found.membership, expected, atol=1e-6)


def test_a_few_labels_name_the_clusters(blobs: tuple[np.ndarray, np.ndarray]) -> None:
    features, truth = blobs
    found = fuzzy_c_means(features, 3)
    labels = np.full(120, -1)
    labels[[0, 40, 80]] = [0, 1, 2]
    probabilities = propose_from_clusters(found.membership, labels, 3)
    assert (probabilities.argmax(1) == truth).all()
    assert (probabilities.sum(1) <= 1 + 1e-9).all()
    labels[80] = -1
    silent = propose_from_clusters(found.membership, labels, 3)
    # Nobody knows the third cluster: its members are not named.
    assert silent[truth == 2].max() < 0.5
    with pytest.raises(ValueError, match='no sample is labelled'):
        propose_from_clusters(found.membership, np.full(120, -1), 3)


def test_what_cannot_be_clustered_is_refused() -> None:
    features = np.zeros((4, 2))
    with pytest.raises(ValueError, match='5 clusters of 4'):
        fuzzy_c_means(features, 5)
    with pytest.raises(ValueError, match='fuzziness'):
        fuzzy_c_means(features, 2, 1.0)
    with pytest.raises(ValueError, match='finite'):
        fuzzy_c_means(np.full((4, 2), np.nan), 2)
    # All samples in one place: no division by zero.
    assert np.isfinite(fuzzy_c_means(features, 2).membership).all()
