"""Valid dates first, and to a fixed number."""

import pytest
import torch

from mmsits.models.layers import DayEncoding, OffsetDayEncoding, ToFixedLength, valid_dates_first


def test_valid_dates_come_first_in_their_order() -> None:
    order, count = valid_dates_first(torch.tensor([[0, 1, 0, 1], [1, 1, 1, 1], [0, 0, 0, 0]]).bool())
    assert order.tolist() == [[1, 3, 0, 2], [0, 1, 2, 3], [0, 1, 2, 3]]
    assert count.tolist() == [2, 4, 0]


def test_a_series_of_the_right_length_passes_unchanged() -> None:
    x, days, valid = torch.randn(2, 7, 3), torch.randint(0, 300, (2, 7)), torch.ones(2, 7).bool()
    same, same_days = ToFixedLength(7)(x, days, valid)
    assert same is x
    assert same_days is days
    # So do seven valid dates among others, bit for bit.
    wider = torch.full((2, 9, 3), float('nan'))
    where = torch.tensor([0, 2, 3, 4, 6, 7, 8])
    wider[:, where] = x
    wider_days, wider_valid = torch.full((2, 9), -1), torch.zeros(2, 9).bool()
    wider_days[:, where], wider_valid[:, where] = days, True
    steps, step_days = ToFixedLength(7)(wider, wider_days, wider_valid)
    assert torch.equal(steps, x)
    assert torch.equal(step_days, days.float())


@pytest.mark.parametrize(('count', 'length'), [(2, 5), (4, 7), (9, 4), (5, 1), (1, 4)])
def test_lines_stay_lines(count: int, length: int) -> None:
    days = (torch.arange(count) * 10 + 3)[None]
    x = torch.stack([days.float(), 2.0 - 0.5 * days], -1)
    steps, step_days = ToFixedLength(length)(x, days, torch.ones(1, count).bool())
    assert steps.shape == (1, length, 2)
    torch.testing.assert_close(steps[..., 0], step_days)
    torch.testing.assert_close(steps[..., 1], 2.0 - 0.5 * step_days)
    assert step_days[0, 0] == days[0, 0]
    if length > 1:
        assert step_days[0, -1] == days[0, -1]
        assert (step_days.diff(dim=1) >= 0).all()


def test_a_series_without_valid_dates_is_zero() -> None:
    x, days = torch.full((2, 3, 1), float('nan')), torch.full((2, 3), 50)
    valid = torch.tensor([[0, 0, 0], [0, 1, 0]]).bool()
    x[1, 1] = 4.0
    steps, step_days = ToFixedLength(5)(x, days, valid)
    assert not steps[0].any()
    assert not step_days[0].any()
    assert (steps[1] == 4.0).all()
    assert (step_days[1] == 50).all()


def test_refuses_no_length() -> None:
    with pytest.raises(ValueError, match='at least one date'):
        ToFixedLength(0)


def test_the_offset_encoding_is_the_other_one_of_later_days() -> None:
    days = torch.arange(-100, 465)
    ours, theirs = OffsetDayEncoding(16, 1000.0, 100)(days), DayEncoding(16, 1000.0)((days + 100).float())
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
    with pytest.raises(ValueError, match='even'):
        OffsetDayEncoding(5)
