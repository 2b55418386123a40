"""How far the confidence of a classifier is what it is worth."""

from __future__ import annotations

import numpy as np


class Reliability:
    """Counts predictions by their confidence, and how many of them are right; parts can be added in any order.

    Args:
        bins: number of bins of one width between 0 and 1.

    Attributes:
        counts: (B,) predictions in each bin.
        confidence: (B,) sums of their confidences.
        correct: (B,) how many are right.

    Raises:
        ValueError: if there is no bin.
    """

    def __init__(self, bins: int = 15) -> None:
        if bins < 1:
            raise ValueError(f'bins must be at least 1, got {bins}')
        self.counts = np.zeros(bins, np.int64)
        self.confidence = np.zeros(bins)
        self.correct = np.zeros(bins, np.int64)

    def add(self, confidence: np.ndarray, correct: np.ndarray) -> None:
        """Take in predictions.

        Args:
            confidence: (N,) probability of the predicted class, 0 to 1.
            correct: (N,) bool.
        """
        bins = len(self.counts)
        # Upper ends belong to their bin, as published; 0 goes to the first.
        places = np.clip(np.ceil(np.asarray(confidence, np.float64) * bins).astype(np.int64) - 1, 0, bins - 1)
        self.counts += np.bincount(places, minlength=bins)
        self.confidence += np.bincount(places, weights=confidence, minlength=bins)
        self.correct += np.bincount(places, weights=correct, minlength=bins).astype(np.int64)

    @property
    def error(self) -> float:
        """Expected calibration error: mean difference of confidence and accuracy over bins, weighted by their counts
        (Guo et al., On Calibration of Modern Neural Networks, ICML 2017, eq. 3); NaN without predictions."""
        total = self.counts.sum()
        return float(np.abs(self.confidence - self.correct).sum() / total) if total else float('nan')
