"""By how many days a domain is shifted against what a network was trained on, estimated without labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from mmsits.models.adaptation.shift_scores import ShiftTrust, best_shift, judge_shift, score_shifts
from mmsits.models.adaptation.views import Batch
from mmsits.models.segmentors import TemporalEncoderDecoder

SCORES = ('IS', 'ENT', 'AM')


@dataclass(frozen=True)
class ShiftEstimate:
    """The shift of some samples.

    Attributes:
        samples: how many were scored.
        estimator: the score that the shift is by.
        shift: days to add to the samples' dates so that they look like what the network was trained on: negative where
            vegetation is later.
        by_score: the best shift by each of `SCORES`, days.
        curves: each score at every candidate.
        candidates: days.
        class_shares: shares of the classes that 'AM' expects, (K,).
        trust: what speaks against the estimate.
    """

    samples: int
    estimator: str
    shift: int
    by_score: dict[str, int]
    curves: dict[str, list[float]]
    candidates: tuple[int, ...]
    class_shares: tuple[float, ...]
    trust: ShiftTrust

    @property
    def disagreement(self) -> int:
        """Days between the smallest and the largest of the scores' shifts."""
        return max(self.by_score.values()) - min(self.by_score.values())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences, empty if nothing speaks against the estimate."""
        return self.trust.warnings


def estimate_shift(
    segmentor: TemporalEncoderDecoder,
    batches: Iterable[Batch],
    max_shift: int = 60,
    step: int = 1,
    estimator: str = 'AM',
    class_shares: Sequence[float] | None = None,
    separation: int = 10,
) -> ShiftEstimate:
    """Estimate the shift of unlabelled samples by each of the scores of TimeMatch (Nyborg et al., ISPRS J. 188, 2022).

    'AM' needs expected shares of the classes: unless they are given, those that the network predicts at the best shift
    by 'IS', as the method does before it starts.

    Args:
        segmentor: trained on the source.
        batches: preprocessed, unshifted.
        max_shift: largest candidate, days.
        step: days between candidates.
        estimator: the score that the result is by, of `SCORES`.
        class_shares: known shares of the classes, (K,).
        separation: days by which estimates may differ without a warning.

    Raises:
        ValueError: if an argument makes no sense, or no sample has a valid date.
    """
    if estimator not in SCORES:
        raise ValueError(f'estimator={estimator!r}: expected one of {", ".join(SCORES)}')
    if max_shift < 1 or not 1 <= step <= max_shift:
        raise ValueError(f'max_shift={max_shift}, step={step}: expected 1 ≤ step ≤ max_shift')
    candidates = tuple(shift for shift in range(-max_shift, max_shift + 1) if shift % step == 0)
    statistics = score_shifts(segmentor, batches, candidates)
    curves = {'IS': statistics.scores('IS'), 'ENT': statistics.scores('ENT')}
    if class_shares is None:
        start = best_shift(curves['IS'], candidates, 'IS')
        shares = statistics.class_shares()[candidates.index(start)]
    else:
        shares = _checked_shares(class_shares, segmentor.out_channels)
    curves['AM'] = statistics.scores('AM', shares)
    best = {name: best_shift(curve, candidates, name) for name, curve in curves.items()}
    return ShiftEstimate(
        samples=int(statistics.count.sum()),
        estimator=estimator,
        shift=best[estimator],
        by_score=best,
        curves={name: curve.tolist() for name, curve in curves.items()},
        candidates=candidates,
        class_shares=tuple(shares.tolist()),
        trust=judge_shift(statistics, estimator, shares, separation=separation),
    )


def _checked_shares(shares: Sequence[float], classes: int) -> torch.Tensor:
    values = torch.tensor(list(shares), dtype=torch.float64)
    if len(values) != classes or bool((values < 0).any()) or not values.sum() > 0:
        raise ValueError(f'class_shares must be {classes} numbers, none negative, not all zero; got {list(shares)}')
    return values / values.sum()
