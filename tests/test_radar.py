"""Radar computing: properties of the speckle filter, of simulated speckle, and arrays of other libraries."""

import numpy as np
import pytest
import torch

from mmsits import radar


def test_decibels_and_powers_are_inverse_to_each_other():
    decibels = torch.linspace(-40, 10, 51)
    torch.testing.assert_close(radar.to_decibel(radar.to_linear(decibels)), decibels, atol=1e-4, rtol=0)
    assert torch.isfinite(radar.to_decibel(torch.tensor([0.0, -1.0]))).all()


def test_arrays_of_another_library_come_back_as_such():
    power = np.random.default_rng(0).random((3, 2, 8, 8), np.float32)
    valid = np.ones((3, 1, 1), bool)
    valid.flags.writeable = False
    ours = radar.filter_speckle(torch.from_numpy(power), torch.ones(3, 1, 1, dtype=torch.bool), 3)
    theirs = radar.filter_speckle(power, valid, 3)
    assert isinstance(theirs, np.ndarray)
    np.testing.assert_array_equal(theirs, ours.numpy())


def speckled(scene: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return radar.simulate_speckle(scene, 4, torch.Generator().manual_seed(seed))


def test_simulated_speckle_has_mean_one_and_the_variance_of_its_looks():
    for looks in (1, 4, 16):
        noise = radar.simulate_speckle(torch.ones(400, 400), looks, torch.Generator().manual_seed(1))
        assert noise.mean().item() == pytest.approx(1, abs=0.01)
        assert noise.var().item() == pytest.approx(1 / looks, rel=0.05)


def test_the_filter_averages_speckle_over_dates_and_keeps_edges():
    scene = torch.full((64, 64), 0.05)
    scene[:, 32:] = 0.4
    series = speckled(scene.expand(12, 1, 64, 64).contiguous())
    filtered = radar.filter_speckle(series, torch.ones(12, 1, 1, dtype=torch.bool), 7)
    for side in (slice(4, 26), slice(38, 60)):
        before, after = series[..., 4:60, side], filtered[..., 4:60, side]
        assert after.mean().item() == pytest.approx(before.mean().item(), rel=0.02)
        assert after.var() < before.var() / 4
    edge = filtered[..., 32].mean() / filtered[..., 31].mean()
    assert edge > 6  # 8 without any blur; a mean of 7 pixels gives 1.3


def test_the_filter_keeps_changes_of_the_local_mean_in_time():
    series = torch.rand(6, 2, 1, 1).expand(6, 2, 20, 20).contiguous() + 0.1
    filtered = radar.filter_speckle(series, torch.ones(6, 1, 1, dtype=torch.bool), 5)
    torch.testing.assert_close(filtered, series)


def test_what_is_not_valid_has_no_influence_and_stays():
    series = speckled(torch.full((8, 2, 24, 24), 0.1))
    valid = torch.rand(8, 24, 24) > 0.3
    junk = torch.where(valid.unsqueeze(1), series, torch.tensor(float('nan')))
    ours, theirs = radar.filter_speckle(junk, valid), radar.filter_speckle(series, valid)
    seen = valid.unsqueeze(1).expand_as(series)
    torch.testing.assert_close(ours[seen], theirs[seen])
    assert torch.isnan(ours[~seen]).all()
    # A date without a valid pixel is as good as none.
    gone = valid.clone()
    gone[3] = False
    kept = [0, 1, 2, 4, 5, 6, 7]
    torch.testing.assert_close(
        radar.filter_speckle(series, gone)[kept], radar.filter_speckle(series[kept], valid[kept])
    )


def test_options_that_cannot_be():
    with pytest.raises(ValueError, match='odd'):
        radar.filter_speckle(torch.ones(1, 1, 4, 4), torch.ones(1, 1, 1, dtype=torch.bool), 4)
    with pytest.raises(ValueError, match='looks'):
        radar.simulate_speckle(torch.ones(1), 0)
