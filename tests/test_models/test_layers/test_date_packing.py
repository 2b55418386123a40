"""Existing dates out of a batch and back."""

import numpy as np
import pytest
import torch
from torch import nn

from mmsits.models.layers import DatePacking, TemporalAggregator, resize_attention, shared_over_dates


def test_pack_and_unpack_are_inverse_on_existing_dates() -> None:
    rng = np.random.default_rng(0)
    exists = torch.from_numpy(rng.random((3, 6)) < 0.5)
    exists[1] = False
    values = torch.from_numpy(rng.normal(size=(3, 6, 2, 4)).astype(np.float32))
    dates = DatePacking(exists)
    packed = dates.pack(values)
    assert packed.shape == (int(exists.sum()), 2, 4)
    assert torch.equal(dates.unpack(packed), values * exists[..., None, None])
    torch.testing.assert_close(dates.sum_dates(packed), (values * exists[..., None, None]).sum(1))
    assert torch.equal(dates.series, exists.nonzero()[:, 0])


def test_a_complete_batch_is_not_copied() -> None:
    values = torch.zeros(2, 3, 4)
    dates = DatePacking(torch.ones(2, 3, dtype=torch.bool))
    assert dates.pack(values).data_ptr() == values.data_ptr()
    assert dates.unpack(dates.pack(values)).data_ptr() == values.data_ptr()


def test_a_shared_block_sees_existing_dates_only() -> None:
    seen = []

    def block(frames: torch.Tensor) -> torch.Tensor:
        seen.append(len(frames))
        return nn.functional.avg_pool2d(frames, 2) + 1

    exists = torch.tensor([[True, True, False], [True, False, False]])
    out = shared_over_dates(block, torch.zeros(2, 3, 4, 6, 6), exists)
    assert seen == [3]
    assert torch.equal(out, exists[..., None, None, None].float().expand(2, 3, 4, 3, 3))


def test_refuses_what_is_not_a_mask() -> None:
    with pytest.raises(ValueError, match='bool tensor'):
        DatePacking(torch.ones(2, 3))


def test_attention_that_cannot_be_averaged_is_refused() -> None:
    with pytest.raises(ValueError, match='whole factor'):
        resize_attention(torch.ones(1, 1, 5, 5), (2, 2))


@pytest.mark.parametrize('mode', ['att_group', 'att_mean', 'mean'])
def test_even_attention_is_the_mean(mode: str) -> None:
    exists = torch.tensor([[True, True, True], [True, False, False], [False, False, False]])
    maps = torch.from_numpy(np.random.default_rng(0).normal(size=(3, 3, 4, 8, 8)).astype(np.float32))
    dates = DatePacking(exists)
    share = exists / exists.sum(1, keepdim=True).clamp(min=1)
    attention = dates.pack(share[:, :, None, None, None].expand(3, 3, 2, 2, 2))
    out = TemporalAggregator(mode)(dates.pack(maps), attention, dates)
    torch.testing.assert_close(out, (maps * share[:, :, None, None, None]).sum(1))
