import numpy as np
import pytest
import torch

from mmsits.models.adaptation.class_shares import checked_shares, class_weights, estimate_shares, reweighted
from mmsits.models.adaptation.shift_scores import ShiftStatistics, best_shift

PEAKS = np.array([120.0, 150.0, 175.0, 205.0, 240.0])
HEIGHTS = np.array([0.8, 0.9, 0.7, 0.9, 0.6])
WIDTHS = np.array([30.0, 35.0, 40.0, 35.0, 60.0])
DAYS = np.linspace(0, 365, 24)
SOURCE = torch.tensor([0.3, 0.25, 0.2, 0.15, 0.1], dtype=torch.float64)
MOVED = torch.tensor([0.05, 0.1, 0.15, 0.3, 0.4], dtype=torch.float64)


def calibrated(shares: torch.Tensor, training: torch.Tensor, samples: int, seed: int) -> torch.Tensor:
    """Exact posteriors of points on a line, K Gaussians, under the training shares."""
    rng = np.random.default_rng(seed)
    centres = 1.5 * np.arange(len(shares))
    points = rng.normal(centres[rng.choice(len(shares), samples, p=shares.numpy())])
    likelihood = torch.from_numpy(np.exp(-0.5 * (points[:, None] - centres) ** 2))
    return reweighted(likelihood, training)


def seasons(shift: int, shares: torch.Tensor, candidates: range, seed: int, samples: int = 400) -> torch.Tensor:
    """Posteriors (n, S, K) of a classifier of seasonal curves, the target's being late by `shift` days."""
    rng = np.random.default_rng(seed)

    def curves(days: np.ndarray, classes: np.ndarray) -> np.ndarray:
        return HEIGHTS[classes, None] * np.exp(-0.5 * ((days - PEAKS[classes, None]) / WIDTHS[classes, None]) ** 2)

    labels = rng.choice(len(PEAKS), samples, p=shares.numpy())
    seen = curves(DAYS - shift - rng.normal(0, 8, (samples, 1)), labels) * rng.normal(1, 0.15, (samples, 1))
    seen += rng.normal(0, 0.05, seen.shape)
    posteriors = []
    for candidate in candidates:
        expected = curves(np.broadcast_to(DAYS + candidate, (5, len(DAYS))), np.arange(5))
        evidence = -4 * ((seen[:, None] - expected) ** 2).sum(-1)
        posteriors.append((torch.from_numpy(evidence) + SOURCE.log()).softmax(1))
    return torch.stack(posteriors, 1)


@pytest.mark.parametrize('training', [SOURCE, torch.full((5,), 0.2, dtype=torch.float64)])
@pytest.mark.parametrize('truth', [SOURCE, MOVED])
def test_shares_are_found_whatever_the_training_shares(truth: torch.Tensor, training: torch.Tensor) -> None:
    found = estimate_shares(calibrated(truth, training, 20000, seed=0), training)
    torch.testing.assert_close(found, truth, atol=0.015, rtol=0)
    assert float(found.sum()) == pytest.approx(1)


def test_a_class_without_training_samples_stays_out_and_no_other_vanishes() -> None:
    training = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64)
    certain = torch.tensor([[1.0, 0.0, 0.0]]).repeat(50, 1)
    found = estimate_shares(certain, training)
    assert found[2] == 0
    assert 0 < found[1] < 0.05
    assert class_weights(found, training)[2] == 0


def test_correcting_predictions_is_bayes_rule() -> None:
    posteriors = calibrated(MOVED, SOURCE, 50, seed=1)
    same_points = calibrated(MOVED, MOVED, 50, seed=1)
    torch.testing.assert_close(reweighted(posteriors, class_weights(MOVED, SOURCE)), same_points)


def test_the_corrected_score_stands_moved_proportions() -> None:
    candidates = range(-60, 61, 3)
    errors: dict[str, list[int]] = {'AM': [], 'EM': []}
    for seed, shift in enumerate((-30, -15, 0, 15, 30)):
        posteriors = seasons(shift, MOVED, candidates, seed)
        plain = ShiftStatistics(candidates, 5)
        plain.add_all(posteriors)
        start = best_shift(plain.scores('IS'), candidates, 'IS')
        shares = plain.class_shares()[candidates.index(start)]
        errors['AM'].append(abs(best_shift(plain.scores('AM', shares), candidates, 'AM') + shift))
        shares = estimate_shares(posteriors[:, candidates.index(start)], SOURCE)
        corrected = ShiftStatistics(candidates, 5, class_weights=class_weights(shares, SOURCE))
        corrected.add_all(posteriors)
        errors['EM'].append(abs(best_shift(corrected.scores('AM', shares), candidates, 'AM') + shift))
    assert max(errors['EM']) <= 3
    assert sum(errors['EM']) < sum(errors['AM'])


def test_shares_that_cannot_be_meant_are_refused() -> None:
    assert checked_shares([0.25, 0.75], 2, 'shares').tolist() == [0.25, 0.75]
    for shares in ([0.5, 0.2], [1.5, -0.5], [1.0]):
        with pytest.raises(ValueError, match='shares needs 2 shares, none negative, that add up to 1'):
            checked_shares(shares, 2, 'shares')
    with pytest.raises(ValueError, match='no sample was predicted'):
        estimate_shares(torch.zeros(0, 5), SOURCE)
