"""The calibration error by its definition, and in parts."""

import numpy as np
import pytest

from mmsits.evaluation.calibration import Reliability


def test_it_is_the_weighted_difference_of_confidence_and_accuracy() -> None:
    rng = np.random.default_rng(0)
    confidence, correct = rng.random(500), rng.random(500) < 0.4
    whole, parts = Reliability(10), Reliability(10)
    whole.add(confidence, correct)
    for start in range(0, 500, 70):
        parts.add(confidence[start : start + 70], correct[start : start + 70])
    expected = 0.0
    for low in np.arange(10) / 10:
        inside = (confidence > low) & (confidence <= low + 0.1)
        expected += inside.mean() * abs(confidence[inside].mean() - correct[inside].mean())
    assert whole.error == pytest.approx(expected)
    assert parts.error == pytest.approx(expected)


def test_perfect_and_hopeless() -> None:
    sure = Reliability()
    sure.add(np.ones(4), np.ones(4, bool))
    assert sure.error == 0
    sure.add(np.ones(4), np.zeros(4, bool))
    assert sure.error == pytest.approx(0.5)
    assert np.isnan(Reliability().error)
    with pytest.raises(ValueError, match='bins'):
        Reliability(0)
