"""Bringing series to a number of dates: which date stands where, and that others have no influence."""

import pytest
import torch

from mmsits.models.layers.date_fitting import FitDates


def fit(mode: str, length: int, count: int) -> list[float]:
    """Which date (by its number) stands at each step; nan is what does not exist."""
    values = torch.arange(count + 2, dtype=torch.float32).view(1, -1, 1, 1, 1) - 1
    values[0, [0, -1]] = float('nan')
    exists = torch.ones(1, count + 2, dtype=torch.bool)
    exists[0, [0, -1]] = False
    return FitDates(length, mode)(values, exists).flatten().tolist()


@pytest.mark.parametrize(
    ('count', 'length', 'expected'),
    [
        (12, 16, [2, 1, *range(12), 10, 9]),
        (41, 48, [3, 2, 1, *range(41), 39, 38, 37, 36]),
        (3, 8, [2, 1, 0, 1, 2, 1, 0, 1]),
        (1, 4, [0, 0, 0, 0]),
        (4, 4, [0, 1, 2, 3]),
    ],
)
def test_reflection_is_the_published_one(count: int, length: int, expected: list[int]) -> None:
    assert fit('reflect', length, count) == expected


@pytest.mark.parametrize(
    ('count', 'length', 'expected'),
    [(3, 6, [0, 1, 2, 3, 0, 0]), (5, 4, [2, 3, 4, 5]), (6, 3, [3, 4, 5]), (3, 3, [1, 2, 3])],
)
def test_zeros_stand_around_or_the_middle_is_kept(count: int, length: int, expected: list[int]) -> None:
    values = torch.arange(1, count + 1, dtype=torch.float32).view(1, -1, 1)
    assert FitDates(length, 'zeros')(values, torch.ones(1, count, dtype=torch.bool)).flatten().tolist() == expected


def test_resampling_interpolates_between_first_and_last() -> None:
    assert fit('resample', 5, 3) == [0, 0.5, 1, 1.5, 2]
    assert fit('resample', 2, 3) == [0, 2]


def test_a_reflected_series_that_is_too_long_is_resampled() -> None:
    assert fit('reflect', 3, 5) == fit('resample', 3, 5) == [0, 2, 4]
    values = torch.arange(5, dtype=torch.float32).view(1, 5, 1).repeat(2, 1, 1)
    exists = torch.tensor([[True] * 5, [True, True, False, False, False]])
    assert FitDates(3, 'reflect')(values, exists).squeeze(2).tolist() == [[0, 2, 4], [0, 1, 0]]


@pytest.mark.parametrize('mode', ['resample', 'reflect', 'zeros'])
def test_a_series_of_the_right_length_is_left_alone_and_one_without_dates_is_zero(mode: str) -> None:
    values, exists = torch.randn(2, 4, 3, 2, 2), torch.ones(2, 4, dtype=torch.bool)
    assert FitDates(4, mode)(values, exists) is values
    exists[1] = False
    values[1] = float('nan')
    fitted = FitDates(4, mode)(values, exists)
    assert torch.equal(fitted[0], values[0])
    assert not fitted[1].any()


def test_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match='reflect'):
        FitDates(4, 'wrap')
    with pytest.raises(ValueError, match='length'):
        FitDates(0)
