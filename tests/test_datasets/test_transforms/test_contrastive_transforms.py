"""The augmentations of contrastive pre-training, on samples and on batches: what moves, what stays, how often."""

from collections.abc import Callable

import numpy as np
import pytest

from mmsits.datasets.counter_random import choose_pairs, normal_numbers
from mmsits.datasets.transforms import (
    DisturbDates,
    ReplaceBand,
    RollDates,
    SampleDates,
    SwapBands,
    SwapDates,
    ThinDates,
)
from mmsits.structures import ImageSeries
from tests.helpers.series_batches import SEASON, sample_of, series_of, through_batch

Run = Callable[[list, list], list]


def one_by_one(steps: list, rows: list[ImageSeries]) -> list[ImageSeries]:
    results = []
    for number, row in enumerate(rows):
        sample = sample_of(row)
        sample['rng'] = np.random.default_rng(number)
        for step in steps:
            sample = step(sample)
        results.append(sample['inputs']['s2'])
    return results


every_way = pytest.mark.parametrize('run', [one_by_one, through_batch])


def make_rows(count: int, dates: int = 8, valid: float = 0.8, dtype: type = np.float32) -> list[ImageSeries]:
    rng = np.random.default_rng(3)
    return [series_of(rng, dates, (2, 1), valid, dtype) for _ in range(count)]


def existing(series: ImageSeries) -> np.ndarray:
    return series.valid.any(axis=(1, 2))


def seen(series: ImageSeries) -> np.ndarray:
    """Valid values, zero elsewhere, of the existing dates."""
    return np.where(series.valid[:, None], series.values, 0)[existing(series)]


@every_way
def test_rolling_turns_the_existing_observations_round_and_leaves_the_days(run: Run) -> None:
    rows = make_rows(60, valid=0.5)
    shifts = []
    for before, after in zip(rows, run([RollDates(probability=1.0)], rows), strict=True):
        assert np.array_equal(existing(before), existing(after))
        assert np.array_equal(before.days[existing(before)], after.days[existing(after)])
        fits = [s for s in range(-6, 7) if np.array_equal(seen(after), np.roll(seen(before), s, axis=0))]
        assert fits
        shifts.append(min(fits, key=abs))
    assert len(set(shifts)) >= 5
    assert abs(np.mean(shifts)) < 1
    assert all(
        np.array_equal(seen(a), seen(b)) for a, b in zip(rows, run([RollDates(probability=0)], rows), strict=True)
    )


@every_way
def test_swapping_exchanges_two_observations(run: Run) -> None:
    rows = make_rows(30)
    for before, after in zip(rows, run([SwapDates(probability=1.0)], rows), strict=True):
        assert np.array_equal(before.days[existing(before)], after.days[existing(after)])
        moved = np.flatnonzero((seen(before) != seen(after)).any(axis=(1, 2, 3)))
        assert len(moved) == 2
        assert np.array_equal(seen(after)[moved], seen(before)[moved[::-1]])


@every_way
@pytest.mark.parametrize('valid', [0.0, 0.04])
def test_series_of_no_or_one_date_stay(run: Run, valid: float) -> None:
    rows = make_rows(6, valid=valid)
    for step in (RollDates(probability=1.0), SwapDates(probability=1.0), ThinDates(0.9), SampleDates(3, repeat=True)):
        for before, after in zip(rows, run([step], rows), strict=True):
            if existing(before).sum() == 1:
                assert existing(after).any()
                assert np.array_equal(seen(before)[0], seen(after)[0])
            assert existing(after).any() == existing(before).any()


@every_way
def test_thinning_drops_each_date_by_itself(run: Run) -> None:
    rows = make_rows(200, valid=1.0)
    left = [int(existing(after).sum()) for after in run([ThinDates(0.25)], rows)]
    assert np.mean(left) == pytest.approx(0.75 * 8, rel=0.05)
    # Binomial: independent of each other.
    assert np.var(left) == pytest.approx(8 * 0.25 * 0.75, rel=0.35)
    assert all(existing(after).sum() >= 1 for after in run([ThinDates(0.99)], rows))


@every_way
def test_disturbed_dates_are_darker_or_brighter_in_all_bands(run: Run) -> None:
    rows = make_rows(150, valid=1.0)
    results = run([DisturbDates(dict(s2=[100.0, 200.0, 400.0]), share=0.3)], rows)
    difference = np.stack([(a.values - b.values)[..., 0] for a, b in zip(results, rows, strict=True)])  # N,T,C,S
    assert np.allclose(difference[..., 0], difference[..., 1], atol=1e-2)  # one amount for all pixels
    sign = np.sign(np.where(np.abs(difference) < 1e-3, 0, difference))[..., 0]
    touched = sign.any(axis=2)
    assert touched.mean() == pytest.approx(0.3, abs=0.04)
    assert (sign[touched] == sign[touched][:, :1]).all()
    assert (sign[touched][:, 0] > 0).mean() == pytest.approx(0.5, abs=0.08)
    # The mean of |N(0, s)| is s times the root of 2 / pi.
    size = np.abs(difference[touched][..., 0]).mean(axis=0)
    assert size == pytest.approx(np.array([100, 200, 400]) * (2 / np.pi) ** 0.5, rel=0.15)


@every_way
def test_disturbing_leaves_invalid_pixels_and_the_type(run: Run) -> None:
    rows = make_rows(20, valid=0.5, dtype=np.int16)
    results = run([DisturbDates(dict(s2=3e4), share=1.0, distribution='uniform')], rows)
    for before, after in zip(rows, results, strict=True):
        assert after.values.dtype == np.int16
        hidden = np.broadcast_to(~before.valid[:, None], before.values.shape)
        there = np.broadcast_to(existing(before)[:, None, None, None], hidden.shape)
        assert np.array_equal(after.values[hidden & there], before.values[hidden & there])
        assert (after.values != before.values).any() or not existing(before).any()


@every_way
@pytest.mark.parametrize('step', [SwapBands, ReplaceBand])
def test_bands_change_on_all_dates_alike(run: Run, step: type) -> None:
    rows = make_rows(20, valid=1.0)
    for before, after in zip(rows, run([step(probability=1.0)], rows), strict=True):
        sources = [
            next(b for b in range(3) if np.array_equal(after.values[:, a], before.values[:, b])) for a in range(3)
        ]
        assert sum(a != b for a, b in enumerate(sources)) == (2 if step is SwapBands else 1)
        assert len(set(sources)) == (3 if step is SwapBands else 2)


@every_way
def test_repeating_gives_every_series_as_many_dates(run: Run) -> None:
    rows = make_rows(40, dates=6, valid=0.4)
    for before, after in zip(rows, run([SampleDates(5, repeat=True)], rows), strict=True):
        count = int(existing(before).sum())
        if not count:
            continue
        assert len(after.days) == 5
        assert existing(after).all()
        assert (np.diff(after.days) >= 0).all()
        assert set(after.days) <= set(before.days[existing(before)])
        if count >= 5:
            assert len(set(after.days)) == 5


def test_repeating_may_lengthen_a_batch() -> None:
    (after,) = through_batch([SampleDates(20, repeat=True)], make_rows(1, valid=1.0))
    assert len(after.days) == 20
    assert len(set(after.days)) > 3
    assert after.days.min() >= SEASON


def test_pairs_are_different_and_all_occur() -> None:
    pairs = choose_pairs(3, np.random.default_rng(0).random((200, 2)))
    assert {tuple(pair) for pair in pairs.tolist()} == {(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)}


def test_normal_numbers_are_normal_and_finite() -> None:
    numbers = normal_numbers(np.random.default_rng(0).random(20000))
    assert numbers.mean() == pytest.approx(0, abs=0.03)
    assert numbers.std() == pytest.approx(1, abs=0.03)
    assert np.isfinite(normal_numbers(np.zeros(1))).all()


@pytest.mark.parametrize(
    ('make', 'message'),
    [
        (lambda: RollDates(probability=2), 'probability'),
        (lambda: RollDates(max_steps=-1), 'max_steps'),
        (lambda: ThinDates(1.0), 'probability'),
        (lambda: SwapBands(probability=-1), 'probability'),
        (lambda: DisturbDates(dict(s2=-1.0)), 'negative'),
        (lambda: DisturbDates(dict(s2=1.0), distribution='cauchy'), 'distribution'),
        (lambda: SampleDates(3, random=False, repeat=True), 'repeat'),
        (lambda: through_batch([DisturbDates(dict(s2=[1.0, 2.0]))], make_rows(1)), '2 amounts for the 3 bands'),
    ],
)
def test_options_that_cannot_work_are_refused(make: Callable, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
