"""Choices: the least certain, the least alike, and never side by side."""

import numpy as np
import pytest

from mmsits.labelling import choose, core_set_order, entropy_scores, margin_scores


def test_scores_of_certainty_and_of_ignorance() -> None:
    p = np.array([[1, 0, 0], [1 / 3] * 3, [0.5, 0.5, 0], [np.nan] * 3])
    np.testing.assert_allclose(entropy_scores(p)[:3], [0, 1, np.log(2) / np.log(3)], atol=1e-9)
    np.testing.assert_allclose(margin_scores(p)[:3], [0, 1, 1], atol=1e-9)
    assert np.isnan(entropy_scores(p)[3])
    assert np.isnan(margin_scores(p)[3])


@pytest.mark.parametrize('spacing', [0.0, 30.0, 1000.0])
def test_choices_keep_their_distance(spacing: float) -> None:
    rng = np.random.default_rng(0)
    scores, places, taken = rng.random(200), rng.random((200, 2)) * 100, np.array([[50.0, 50.0]])
    scores[:5] = np.nan
    found = choose(scores, places, 20, spacing, taken)
    assert (np.diff(scores[found]) <= 0).all()
    assert not np.isnan(scores[found]).any()
    if spacing == 1000:
        assert len(found) == 0
        return
    every = np.concatenate([places[found], taken]) if spacing else places[found]
    apart = np.sqrt(((every[:, None] - every) ** 2).sum(2))[np.triu_indices(len(every), 1)]
    assert apart.min() >= spacing
    if not spacing:
        np.testing.assert_array_equal(scores[found], np.sort(scores[5:])[::-1][:20])
        return
    # Whoever was passed over for a worse one lies too near to a better one.
    for position in np.flatnonzero(scores > scores[found].min()):
        better = np.concatenate([places[found][scores[found] >= scores[position]], taken])
        assert position in found or np.sqrt(((better - places[position]) ** 2).sum(1)).min() < spacing


def test_a_core_set_covers() -> None:
    rng = np.random.default_rng(0)
    centres = np.array([[0, 0], [10, 0], [0, 10], [10, 10]])
    features = np.concatenate([centre + rng.normal(0, 0.3, (30, 2)) for centre in centres])
    found, radii = core_set_order(features, 4)
    assert set(found // 30) == {0, 1, 2, 3}
    assert np.isinf(radii[0])
    assert (np.diff(radii[1:]) <= 0).all()
    # With one corner labelled, the others come first.
    found, radii = core_set_order(features, 3, labelled=features[:1])
    assert set(found // 30) == {1, 2, 3}
    assert radii.max() < 20
    broken = features.copy()
    broken[found[0]] = np.nan
    assert found[0] not in core_set_order(broken, 3, labelled=features[:1])[0]


def test_a_core_set_keeps_its_distance() -> None:
    rng = np.random.default_rng(1)
    features, places = rng.random((60, 3)), rng.random((60, 2)) * 100
    found, _ = core_set_order(features, 10, places=places, spacing=25, taken=places[:1])
    every = places[[0, *found]]
    assert np.sqrt(((every[:, None] - every) ** 2).sum(2))[np.triu_indices(len(every), 1)].min() >= 25
    with pytest.raises(ValueError, match='needs places'):
        core_set_order(features, 2, spacing=5)


def test_labelled_samples_without_features_do_not_spoil_the_core_set() -> None:
    features = np.array([[0.0], [1.0], [5.0]])
    found, radii = core_set_order(features, 2, np.array([[0.0], [np.nan]]))
    assert found.tolist() == [2, 1]
    np.testing.assert_allclose(radii, [5, 1])
