"""Random numbers by counters: independent of neighbours, uniform, and choices without replacement."""

import numpy as np
import pytest

from mmsits.datasets.counter_random import choose_without_replacement, random_fractions, random_words


def test_numbers_depend_on_their_own_draw_only():
    seeds, draws = np.full(6, 3, np.uint64), np.arange(6, dtype=np.uint64)
    together = random_words(seeds, draws, 2, 5)
    for row in range(6):
        np.testing.assert_array_equal(random_words(seeds[:1], draws[row : row + 1], 2, 5)[0], together[row])
    np.testing.assert_array_equal(random_words(seeds, draws, 2, 3), together[:, :3])


def test_seeds_draws_streams_and_positions_all_make_a_difference():
    words = [
        random_words(np.array([seed], np.uint64), np.array([draw], np.uint64), stream, 50)
        for seed in range(5)
        for draw in range(5)
        for stream in range(5)
    ]
    assert len(np.unique(words)) == 5 * 5 * 5 * 50


def test_fractions_are_uniform_and_not_correlated():
    fractions = random_fractions(np.full(4000, 1, np.uint64), np.arange(4000, dtype=np.uint64), 0, 20)
    assert ((fractions >= 0) & (fractions < 1)).all()
    counts = np.histogram(fractions, 50, (0, 1))[0]
    assert ((counts - 1600) ** 2 / 1600).sum() < 90  # chi square of 49 degrees of freedom: 85 at 0.1 %
    correlation = np.corrcoef(fractions, rowvar=False) - np.eye(20)
    assert np.abs(correlation).max() < 5 / np.sqrt(4000)
    along = np.corrcoef(fractions[:-1, 0], fractions[1:, 0])[0, 1]
    assert abs(along) < 4 / np.sqrt(4000)


@pytest.mark.parametrize('count', [1, 3, 7])
def test_all_subsets_are_equally_likely(count: int):
    rows = 20000
    fractions = random_fractions(np.full(rows, 5, np.uint64), np.arange(rows, dtype=np.uint64), 1, count)
    chosen = choose_without_replacement(np.full(rows, 7), fractions)
    assert (np.diff(chosen, axis=1) > 0).all()
    counts = np.bincount(chosen.ravel(), minlength=7)
    assert len(counts) == 7
    np.testing.assert_allclose(counts, rows * count / 7, rtol=0.05)
    if count == 3:
        _, often = np.unique(chosen, axis=0, return_counts=True)
        assert len(often) == 35
        np.testing.assert_allclose(often, rows / 35, rtol=0.25)


def test_rows_of_different_size():
    sizes = np.array([4, 9, 100])
    chosen = choose_without_replacement(sizes, random_fractions(np.zeros(3), np.arange(3), 0, 4))
    assert chosen[0].tolist() == [0, 1, 2, 3]
    assert (chosen.max(1) < sizes).all()
