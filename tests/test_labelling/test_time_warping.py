"""Time-weighted warping against all ways tried out, and what it is for: late and early years of one crop."""

from collections.abc import Iterator

import numpy as np
import pytest

from mmsits.labelling import class_prototypes, propose_from_distances, time_weighted_distances


def _ways(rows: int, columns: int) -> Iterator[list[tuple[int, int]]]:
    """All ways from the first to the last pair."""
    if (rows, columns) == (1, 1):
        yield [(0, 0)]
        return
    for row, column in ((rows - 1, columns), (rows, columns - 1), (rows - 1, columns - 1)):
        if row and column:
            for way in _ways(row, column):
                yield [*way, (rows - 1, columns - 1)]


def test_it_is_the_cheapest_of_all_ways() -> None:
    rng = np.random.default_rng(0)
    values, days = rng.random((3, 4, 2)), np.sort(rng.integers(0, 200, (3, 4)), axis=1)
    prototypes, grid = rng.random((2, 5, 2)), np.array([10, 50, 90, 130, 170])
    found = time_weighted_distances(values, days, np.ones((3, 4), bool), prototypes, grid)
    for one in range(3):
        for other in range(2):
            cost = np.linalg.norm(values[one][:, None] - prototypes[other][None], axis=2)
            cost += 1 / (1 + np.exp(-0.1 * (np.abs(days[one][:, None] - grid) - 50)))
            cheapest = min(sum(cost[pair] for pair in way) for way in _ways(4, 5))
            assert found[one, other] == pytest.approx(cheapest, rel=1e-12)


def test_dates_that_do_not_exist_are_passed_over() -> None:
    rng = np.random.default_rng(1)
    values, days = rng.random((2, 8, 1)), np.tile(np.arange(8) * 20, (2, 1))
    exists = np.ones((2, 8), bool)
    exists[0, [0, 3, 7]] = False
    exists[1] = False
    prototypes, grid = rng.random((2, 6, 1)), np.arange(6) * 25
    found = time_weighted_distances(values, days, exists, prototypes, grid)
    held = exists[0]
    alone = time_weighted_distances(values[:1, held], days[:1, held], np.ones((1, 5), bool), prototypes, grid)
    np.testing.assert_allclose(found[0], alone[0])
    assert np.isnan(found[1]).all()


def test_a_late_year_is_known_and_another_season_is_not() -> None:
    grid = np.arange(0, 360, 15)

    def curve(peak: float) -> np.ndarray:
        return np.exp(-(((grid - peak) / 40.0) ** 2))[:, None]

    rng = np.random.default_rng(0)
    peaks = np.concatenate([rng.normal(130, 8, 20), rng.normal(210, 8, 20)])
    values = np.stack([curve(peak) for peak in peaks])
    days, exists = np.tile(grid, (40, 1)), np.ones((40, len(grid)), bool)
    labels = np.repeat([0, 1], 20)
    prototypes = class_prototypes(values, days, exists, labels, 3, grid)
    assert np.isnan(prototypes[2]).all()
    late = np.stack([curve(150), curve(190)])
    distances = time_weighted_distances(late, days[:2], exists[:2], prototypes, grid)
    label, confidence = propose_from_distances(distances)
    np.testing.assert_array_equal(label, [0, 1])
    assert (confidence > 0.3).all()
    # Half a year apart is another crop, though the curve is the same; only the weight of time tells.
    winter = curve(330)[None]
    told = time_weighted_distances(winter, days[:1], exists[:1], prototypes, grid)
    free = time_weighted_distances(winter, days[:1], exists[:1], prototypes, grid, midpoint=1e3)
    assert (told[0, :2] > free[0, :2] + 0.5).all()
    assert (free <= told + 1e-12)[~np.isnan(told)].all()


def test_proposals_without_distance() -> None:
    label, confidence = propose_from_distances(np.array([[np.nan, np.nan], [np.nan, 2.0], [0.0, 0.0], [1.0, 4.0]]))
    np.testing.assert_array_equal(label, [-1, 1, 0, 0])
    np.testing.assert_allclose(confidence, [0, 1, 0, 0.75])
