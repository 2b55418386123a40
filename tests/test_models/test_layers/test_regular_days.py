"""Interpolation to regular days on the device agrees with numpy's, row by row and band by band."""

import numpy as np
import torch

from mmsits.models.layers.regular_days import ToRegularDays


def test_agrees_with_numpy_for_every_row_and_band():
    rng = np.random.default_rng(0)
    values = rng.normal(size=(20, 9, 3)).astype(np.float32)
    days = np.sort(np.stack([rng.choice(300, 9, replace=False) for _ in range(20)]), axis=1)
    valid = rng.random((20, 9)) < 0.6
    valid[:, 4] |= ~valid.any(1)
    resample = ToRegularDays(-20, 320, 35)
    spoilt = torch.from_numpy(np.where(valid[..., None], values, np.nan))
    found = resample(spoilt, torch.from_numpy(np.where(valid, days, 0)), torch.from_numpy(valid))
    grid = np.linspace(-20, 320, 35)
    for row in range(20):
        for band in range(3):
            seen = valid[row]
            expected = np.interp(grid, days[row, seen], values[row, seen, band])
            np.testing.assert_allclose(found[row, :, band], expected, rtol=1e-5, atol=1e-5)


def test_a_series_that_has_these_days_passes_unchanged():
    x, days = torch.randn(2, 5, 3), torch.arange(0, 50, 10).repeat(2, 1)
    assert torch.equal(ToRegularDays(0, 40, 5)(x, days, torch.ones(2, 5).bool()), x)


def test_a_series_without_any_valid_date_is_zero():
    found = ToRegularDays(0, 40, 5)(torch.full((1, 3, 2), torch.nan), torch.zeros(1, 3), torch.zeros(1, 3).bool())
    assert not found.any()
