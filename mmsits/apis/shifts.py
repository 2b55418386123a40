"""By how many days a domain is shifted against what a network was trained on, estimated without labels."""

from __future__ import annotations

import csv
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmsits.datasets.errors import DataError
from mmsits.datasets.groups import sample_groups
from mmsits.models.adaptation.class_shares import checked_shares
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
    source_shares: Sequence[float] | None = None,
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
        source_shares: shares of the classes in the source, (K,), where known: predicted ones that moved far from them
            are warned of.

    Raises:
        ValueError: if an argument makes no sense, or no sample has a valid date.
    """
    if estimator not in SCORES:
        raise ValueError(f'estimator={estimator!r}: expected one of {", ".join(SCORES)}')
    if max_shift < 1 or not 1 <= step <= max_shift:
        raise ValueError(f'max_shift={max_shift}, step={step}: expected 1 ≤ step ≤ max_shift')
    known = None if source_shares is None else checked_shares(source_shares, segmentor.out_channels, 'source_shares')
    candidates = tuple(shift for shift in range(-max_shift, max_shift + 1) if shift % step == 0)
    statistics = score_shifts(segmentor, batches, candidates)
    curves = {'IS': statistics.scores('IS'), 'ENT': statistics.scores('ENT')}
    if class_shares is None:
        start = best_shift(curves['IS'], candidates, 'IS')
        shares = statistics.class_shares()[candidates.index(start)]
    else:
        shares = checked_shares(class_shares, segmentor.out_channels, 'class_shares').double()
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
        trust=judge_shift(statistics, estimator, shares, separation=separation, source_shares=known),
    )


def read_shifts(
    path: str | Path, datasets: Mapping[str, Any], column: str | None = None, groups: str | Path | None = None
) -> dict[str, np.ndarray]:
    """The shift of each sample out of a `shifts.csv` of tools/analysis_tools/estimate_shift.py.

    What has no estimate there (too few parcels, a group that does not occur) is not moved, which is logged, and so are
    estimates that the table calls not to be trusted.

    Args:
        path: columns domain, group (empty where the domain is one group) and add_days.
        datasets: domain to dataset.
        column: what the shifts were grouped by; None if they were not.
        groups: table with the column id and that to group by, see `sample_groups`.

    Returns:
        Domain to days to add, (n,) int64.

    Raises:
        DataError: if the file is no such table.
    """
    path = Path(path)
    try:
        with open(path, newline='') as file:
            rows = {(row['domain'], row['group']): row for row in csv.DictReader(file)}
        days = {key: int(row['add_days']) for key, row in rows.items() if row['add_days']}
        doubtful = {key for key in days if rows[key]['trusted'] != 'True'}
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f'not a table of shifts ({type(error).__name__}: {error})',
            path=path,
            hint='Write it with estimate_shift.py --out.',
        ) from error
    shifts = {}
    for domain, dataset in datasets.items():
        names = [''] * len(dataset) if column is None else sample_groups(dataset, column, groups)
        shifts[domain] = np.array([days.get((domain, name), 0) for name in names], np.int64)
        for name in dict.fromkeys(names):
            said = f'{domain} {name}'.strip()
            if (domain, name) not in days:
                print_log(f'{said}: {path} has no shift for it, its dates stay', 'current', logging.WARNING)
            elif (domain, name) in doubtful:
                print_log(
                    f'{said}: {path} warns of its shift of {days[domain, name]:+d} days', 'current', logging.WARNING
                )
    return shifts
