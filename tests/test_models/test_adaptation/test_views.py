import pytest
import torch

from mmsits.models.adaptation import join_inputs, select_samples, shift_days
from mmsits.structures import ImageSeries


def series(samples: int, dates: int, height: int = 3, width: int = 1, per_date: bool = False) -> ImageSeries:
    extent = (1, 1) if per_date else (height, width)
    return ImageSeries(
        torch.randn(samples, dates, 2, height, width),
        torch.arange(dates, dtype=torch.int32).expand(samples, dates),
        torch.ones(samples, dates, *extent, dtype=torch.bool),
    )


def test_days_are_shifted_and_nothing_else() -> None:
    inputs = {'s2': series(2, 4)}
    moved = shift_days(inputs, torch.tensor(-7))['s2']
    assert moved.days.dtype == torch.int32
    assert torch.equal(moved.days, inputs['s2'].days - 7)
    assert moved.values is inputs['s2'].values
    each = shift_days(inputs, torch.tensor([1, 2]))['s2'].days
    assert torch.equal(each - inputs['s2'].days, torch.tensor([[1] * 4, [2] * 4]))


def test_samples_are_selected() -> None:
    inputs = {'s2': series(3, 4)}
    chosen = select_samples(inputs, torch.tensor([True, False, True]))['s2']
    assert torch.equal(chosen.values, inputs['s2'].values[[0, 2]])


@pytest.mark.parametrize('per_date', [False, True])
def test_domains_of_different_size_are_padded_with_what_is_not_valid(per_date: bool) -> None:
    first, second = series(2, 3, height=5), series(1, 6, height=2, per_date=per_date)
    joined = join_inputs({'s2': first}, {'s2': second})['s2']
    assert joined.values.shape == (3, 6, 2, 5, 1)
    assert torch.equal(joined.values[:2, :3], first.values)
    assert torch.equal(joined.values[2:, :, :, :2], second.values)
    assert int(joined.valid.sum()) == 2 * 3 * 5 + 6 * 2


def test_domains_of_one_size_are_only_put_together() -> None:
    first, second = series(2, 3, per_date=True), series(1, 3, per_date=True)
    joined = join_inputs({'s2': first}, {'s2': second})['s2']
    for part, one, other in zip(joined, first, second, strict=True):
        assert torch.equal(part, torch.cat([one, other]))


def test_domains_with_other_sensors_or_bands_are_refused() -> None:
    with pytest.raises(ValueError, match='different sensors'):
        join_inputs({'s2': series(1, 2)}, {'s1': series(1, 2)})
    thin = series(1, 2)
    with pytest.raises(ValueError, match='2 bands in one domain and 1 in the other'):
        join_inputs({'s2': thin}, {'s2': thin._replace(values=thin.values[:, :, :1])})
