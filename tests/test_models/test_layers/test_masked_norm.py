"""Group norm over existing dates: the published norm where all exist, and no loss of digits in half precision."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmsits.models.layers import TemporalGroupNorm


def make_rows(offset: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(offset, 1, (4, 60, 8)).astype(np.float32))
    return x, torch.from_numpy(rng.random((4, 60)) < 0.7)


def test_statistics_are_those_of_the_existing_dates() -> None:
    x, valid = make_rows()
    norm = TemporalGroupNorm(2, 8)
    for row, exists, ours in zip(x, valid, norm(x, valid), strict=True):
        expected = F.group_norm(row[exists].T[None], 2)[0].T
        torch.testing.assert_close(ours[exists], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_costs_the_rounding_of_the_result_only(dtype: torch.dtype) -> None:
    x, valid = make_rows(offset=300.0)
    x = x.to(dtype)
    norm = TemporalGroupNorm(2, 8, affine=False)
    ours = norm(x, valid)
    assert ours.dtype == dtype
    torch.testing.assert_close(ours, norm(x.float(), valid).to(dtype))
