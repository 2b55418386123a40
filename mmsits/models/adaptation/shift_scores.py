"""How well a model fits a domain moved in time by each of many candidate shifts, without labels (TimeMatch, Nyborg et
al., ISPRS J. 188, 2022, arXiv 2111.02682), and whether the best shift can be trusted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, cast, get_args

import numpy as np
import torch
from mmengine.dist import all_reduce
from torch import Tensor

from mmsits.structures import ImageSeries

from ..segmentors import TemporalEncoderDecoder, first_output
from .class_shares import reweighted
from .views import Batch, shift_days

Estimator = Literal['IS', 'ENT', 'AM', 'ACC']
ESTIMATORS: tuple[str, ...] = get_args(Estimator)
# Of these the largest score is the best, of the others the smallest.
LARGEST_IS_BEST = ('IS', 'ACC')
EPS = 1e-5
FOLDS = 8


class ShiftStatistics:
    """Sums over samples from which all scores follow, for S shifts and K classes.

    Samples are dealt out to a few folds in turn; estimates from single folds show how certain the whole one is. Sums of
    several processes or batches are added, so neither memory nor order matter.

    Args:
        shifts: candidates in days, ascending, without repetition.
        num_classes: K.
        device: where the sums are kept.
        class_weights: (K,), factors that correct the predictions for other class shares than those of training, see
            `class_weights`; all scores are then those of corrected predictions. None leaves them alone.

    Attributes:
        probability: (folds, S, K) float64, sum of the probabilities.
        histogram: (folds, S, K) float64, how often each class was the most probable.
        log_probability: (folds, S) float64, sum over samples and classes of p ln(p + eps).
        correct: (folds, S) float64, how many labelled samples were predicted right.
        count: (folds,) float64, samples; labelled: (folds,), those with a label.

    Raises:
        ValueError: if there are no shifts, or they do not ascend.
    """

    def __init__(
        self,
        shifts: Sequence[int],
        num_classes: int,
        device: torch.device | str = 'cpu',
        class_weights: Tensor | None = None,
    ) -> None:
        self.shifts = tuple(int(shift) for shift in shifts)
        if not self.shifts or any(a >= b for a, b in zip(self.shifts[:-1], self.shifts[1:], strict=True)):
            raise ValueError(f'shifts: expected ascending days, got {list(shifts)[:5]}…')
        self.num_classes = num_classes
        self.class_weights = class_weights

        def zeros(*shape: int) -> Tensor:
            return torch.zeros(shape, dtype=torch.float64, device=device)

        size = (FOLDS, len(self.shifts))
        self.probability, self.histogram = zeros(*size, num_classes), zeros(*size, num_classes)
        self.log_probability, self.correct = zeros(*size), zeros(*size)
        self.count, self.labelled = zeros(FOLDS), zeros(FOLDS)

    def fold_of(self, number: int) -> Tensor:
        """Folds (n,) of the next `number` samples; call before `count_samples`."""
        return (torch.arange(number, device=self.count.device) + int(self.count.sum())) % FOLDS

    def add(self, index: int, folds: Tensor, probabilities: Tensor, labels: Tensor | None = None) -> None:
        """Add the predictions at one shift.

        Args:
            index: of the shift.
            folds: (n,).
            probabilities: (n, K).
            labels: (n,), 255 where unknown.
        """
        p = probabilities.double()
        if self.class_weights is not None:
            p = reweighted(p, self.class_weights)
        predicted = p.argmax(1)
        one_hot = torch.nn.functional.one_hot(predicted, self.num_classes).double()
        self.probability[:, index].index_add_(0, folds, p)
        self.histogram[:, index].index_add_(0, folds, one_hot)
        self.log_probability[:, index].index_add_(0, folds, (p * torch.log(p + EPS)).sum(1))
        if labels is not None:
            self.correct[:, index].index_add_(0, folds, (predicted == labels).double())

    def count_samples(self, folds: Tensor, labels: Tensor | None = None) -> None:
        """Count samples (n,), once for all shifts."""
        self.count.index_add_(0, folds, torch.ones_like(folds, dtype=torch.float64))
        if labels is not None:
            self.labelled.index_add_(0, folds, (labels != 255).double())

    def add_all(self, probabilities: Tensor, labels: Tensor | None = None) -> None:
        """Add predictions at all shifts: probabilities (n, S, K), labels (n,)."""
        folds = self.fold_of(len(probabilities))
        for index in range(len(self.shifts)):
            self.add(index, folds, probabilities[:, index], labels)
        self.count_samples(folds, labels)

    def reduce(self) -> ShiftStatistics:
        """Add the sums of all processes; every process then has the same ones. Returns itself."""
        for sums in (
            self.probability,
            self.histogram,
            self.log_probability,
            self.correct,
            self.count,
            self.labelled,
        ):
            all_reduce(sums)
        return self

    def mean_probability(self, fold: int | None = None) -> Tensor:
        """(S, K), over all samples or those of a fold."""
        return _pick(self.probability, fold) / self._number(fold)

    def class_shares(self, fold: int | None = None) -> Tensor:
        """Shares of the most probable classes, (S, K)."""
        return _pick(self.histogram, fold) / self._number(fold)

    def entropy(self, fold: int | None = None) -> Tensor:
        """Mean entropy of the predictions, (S,)."""
        return -_pick(self.log_probability, fold) / self._number(fold)

    def scores(self, estimator: str, class_distribution: Tensor | None = None, fold: int | None = None) -> Tensor:
        """Score of each shift.

        Args:
            estimator: 'IS', inception score, logarithmic: predictions are sure one by one and varied together.
                'ENT', mean entropy. 'AM', entropy plus the divergence of the predicted classes' shares from
                `class_distribution`. 'ACC', share of labelled samples predicted right, for comparison only.
            class_distribution: (K,), expected shares, for 'AM'.
            fold: of the samples; None for all.

        Returns:
            (S,) float64.

        Raises:
            ValueError: if the estimator is unknown, or lacks what it needs.
        """
        self._check(estimator, class_distribution)
        if estimator == 'ENT':
            return self.entropy(fold)
        if estimator == 'IS':
            mean = self.mean_probability(fold)
            return -self.entropy(fold) - (mean * torch.log(mean + EPS)).sum(1)
        if estimator == 'ACC':
            return _pick(self.correct, fold) / _pick(self.labelled, fold).clamp(min=1)
        assert class_distribution is not None
        return share_divergence(class_distribution, self.class_shares(fold)) + self.entropy(fold)

    def _number(self, fold: int | None) -> Tensor:
        return _pick(self.count, fold).clamp(min=1)

    def _check(self, estimator: str, class_distribution: Tensor | None) -> None:
        if estimator not in ESTIMATORS:
            raise ValueError(f'estimator={estimator!r}: expected one of {", ".join(ESTIMATORS)}')
        if not self.count.sum():
            raise ValueError('no sample was scored: the target domain gave no pixel with a valid date')
        if estimator == 'AM' and class_distribution is None:
            raise ValueError("estimator 'AM' compares classes with their expected shares: give class_distribution")
        if estimator == 'ACC' and not self.labelled.sum():
            raise ValueError("estimator 'ACC' needs labels of the target (oracle=True in its dataset), and got none")


def _pick(sums: Tensor, fold: int | None) -> Tensor:
    return sums.sum(0) if fold is None else sums[fold]


def share_divergence(expected: Tensor, shares: Tensor) -> Tensor:
    """Kullback-Leibler divergence of class shares (…, K) from the expected ones (K,) or (…, K), in nats."""
    expected = expected.to(shares)
    return (expected * (torch.log(expected + EPS) - torch.log(shares + EPS))).sum(-1)


def best_shift(
    scores: Tensor, shifts: Sequence[int], estimator: str, low: int | None = None, high: int | None = None
) -> int:
    """The best of the candidates, the first of equally good ones.

    Args:
        scores: (S,).
        shifts: (S,), days.
        estimator: which of the scores it is.
        low: smallest candidate, None for the first of `shifts`.
        high: largest candidate.

    Raises:
        ValueError: if no shift lies between them.
    """
    values = scores.double().cpu().numpy() * (-1 if estimator in LARGEST_IS_BEST else 1)
    days = np.asarray(shifts)
    allowed = (days >= (days.min() if low is None else low)) & (days <= (days.max() if high is None else high))
    if not allowed.any():
        raise ValueError(f'no candidate shift between {low} and {high} days: {list(shifts)[:5]}…')
    return int(days[allowed][np.argmin(values[allowed], axis=0)])


@torch.no_grad()
def score_batch(
    statistics: ShiftStatistics, segmentor: TemporalEncoderDecoder, batch: Batch, max_pixels: int = 4096
) -> None:
    """Add a preprocessed batch to the statistics, predicted at every candidate shift.

    Networks that know nothing of days in their first half (`PixelSetBackbone`) run that half once; any other runs as a
    whole for every shift.

    Args:
        statistics: changed in place.
        segmentor: in evaluation mode.
        batch: `inputs` and, for the estimator 'ACC', `targets`.
        max_pixels: of patches, so many observed pixels of a batch count, evenly spread.
    """
    inputs, targets = batch['inputs'], batch.get('targets')
    chosen: Tensor | None = None
    folds: Tensor | None = None
    labels: Tensor | None = None
    for index, (logits, observed) in enumerate(_predict_shifts(segmentor, inputs, statistics.shifts)):
        if folds is None:
            chosen = _spread(observed.flatten().nonzero().squeeze(1), max_pixels)
            folds = statistics.fold_of(len(chosen)).to(statistics.count.device)
            if targets is not None:
                labels = targets.flatten()[chosen].to(folds.device)
        rows = logits.movedim(1, -1).flatten(0, 2)[chosen].float().softmax(1)
        statistics.add(index, folds, rows.to(folds.device), labels)
    assert folds is not None
    statistics.count_samples(folds, labels)


def score_shifts(
    segmentor: TemporalEncoderDecoder,
    batches: Iterable[Batch],
    shifts: Sequence[int],
    max_pixels: int = 4096,
    class_weights: Tensor | None = None,
) -> ShiftStatistics:
    """Score candidate shifts on preprocessed batches of a domain.

    Args:
        segmentor: any network; put into evaluation mode meanwhile.
        batches: of the domain, unshifted.
        shifts: candidates in days, ascending.
        max_pixels: see `score_batch`.
        class_weights: see `ShiftStatistics`.

    Returns:
        The statistics of this process' batches.
    """
    device = next(segmentor.parameters()).device
    statistics = ShiftStatistics(shifts, segmentor.out_channels, device, class_weights)
    with _evaluating(segmentor):
        for batch in batches:
            score_batch(statistics, segmentor, batch, max_pixels)
    return statistics


@contextmanager
def _evaluating(network: TemporalEncoderDecoder) -> Iterator[None]:
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


@torch.no_grad()
def predict_rows(
    segmentor: TemporalEncoderDecoder, batches: Iterable[Batch], shift: int, max_pixels: int = 4096
) -> Tensor:
    """Predictions for the parcels or observed pixels of a domain moved by one shift.

    Args:
        segmentor: any network; put into evaluation mode meanwhile.
        batches: preprocessed, unshifted.
        shift: days.
        max_pixels: see `score_batch`.

    Returns:
        (n, K) float32 probabilities, of this process' batches.
    """
    rows = [torch.zeros(0, segmentor.out_channels, device=next(segmentor.parameters()).device)]
    with _evaluating(segmentor):
        for batch in batches:
            for logits, observed in _predict_shifts(segmentor, batch['inputs'], [shift]):
                chosen = _spread(observed.flatten().nonzero().squeeze(1), max_pixels)
                rows.append(logits.movedim(1, -1).flatten(0, 2)[chosen].float().softmax(1))
    return torch.cat(rows)


def _predict_shifts(
    segmentor: TemporalEncoderDecoder, inputs: Mapping[str, ImageSeries], shifts: Sequence[int]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Class scores (N, K, H, W) and observed pixels (N, H, W) at each shift."""
    backbone = cast(Any, segmentor.backbone)
    if not hasattr(backbone, 'encode_shifts'):
        for shift in shifts:
            answer = segmentor.predict(shift_days(inputs, shift))[0]
            yield answer['logits'], answer['observed']
        return
    features, days, valid = backbone.encode_pixels(inputs)
    if bool((days == days[:1]).all()):
        # Parcels of one tile share their dates, whose encoding is then computed once instead of for each of them.
        days = days[:1]
    observed = valid.any(1)[:, None, None]
    for maps in backbone.encode_shifts(features, days, valid, shifts):
        outputs = segmentor.decode_head(segmentor.neck(maps) if segmentor.with_neck else maps)
        yield first_output(outputs), observed


def _spread(indices: Tensor, most: int) -> Tensor:
    if len(indices) <= most:
        return indices
    return indices[torch.linspace(0, len(indices) - 1, most, device=indices.device).long()]


class Peak(NamedTuple):
    """A local optimum of a score curve.

    Attributes:
        shift: days.
        depth: how much better than the curve's median it is, as a share of the best one's; 1 for the best.
    """

    shift: int
    depth: float


@dataclass(frozen=True)
class ShiftTrust:
    """Whether an estimated shift can be trusted.

    Attributes:
        shift: the estimate, days.
        spread: standard deviation of the estimates from single folds of the samples, days.
        contrast: advantage of the best shift over the curve's median, in standard errors over the folds.
        peaks: local optima, best first.
        warnings: sentences, empty if nothing speaks against it.
    """

    shift: int
    spread: float
    contrast: float
    peaks: tuple[Peak, ...]
    warnings: tuple[str, ...] = field(default=())

    @property
    def trusted(self) -> bool:
        """Whether nothing speaks against the estimate."""
        return not self.warnings


def judge_shift(
    statistics: ShiftStatistics,
    estimator: str,
    class_distribution: Tensor | None = None,
    low: int | None = None,
    high: int | None = None,
    separation: int = 10,
    source_shares: Tensor | None = None,
    max_moved: float = 0.2,
    max_shift: int | None = None,
) -> ShiftTrust:
    """Look for reasons not to trust the best shift.

    Warned of are: a range of one or two candidates; a flat curve (the best is less than three standard errors better
    than the median); another optimum
    more than `separation` days away that is at least 0.8 times as deep; folds that disagree by more than `separation`
    days; an optimum at the end of the range; other scores whose best shift is more than `separation` days away; class
    proportions that moved, as the classes predicted at the best shift show: each of the scores mistakes such a change
    for one of time to some degree.

    Args:
        statistics: of the scored samples, of all processes.
        estimator: the score that chose.
        class_distribution: for 'AM'.
        low: smallest shift that was a candidate, None for the first.
        high: largest one.
        separation: days.
        source_shares: shares of the classes in the source, (K,), where known.
        max_moved: share of the samples that may have changed class between source and target without a warning.
        max_shift: largest shift that was ever a candidate. A range that ends before it was narrowed by earlier
            estimates, and the warning then says so.
    """
    days = np.asarray(statistics.shifts)
    inside = (days >= (days[0] if low is None else low)) & (days <= (days[-1] if high is None else high))
    badness = _badness(statistics, estimator, class_distribution)[inside]
    days = days[inside]
    folds = [f for f in range(FOLDS) if statistics.count[f] > 0]
    per_fold = np.stack([_badness(statistics, estimator, class_distribution, f)[inside] for f in folds])
    best = int(badness.argmin())
    spread = float(days[per_fold.argmin(1)].std())
    contrast = _contrast(per_fold, best)
    peaks = _peaks(badness, days)
    warnings = []
    if len(days) > 2 and contrast < 3:
        warnings.append(f'the score curve is flat: the best shift is {contrast:.1f} standard errors above the median')
    for peak in peaks[1:]:
        if abs(peak.shift - days[best]) > separation and peak.depth >= 0.8:
            warnings.append(f'a shift of {peak.shift:+d} days scores {peak.depth:.0%} as well as {days[best]:+d}')
    if spread > separation:
        warnings.append(f'estimates from single parts of the samples differ by {spread:.0f} days (standard deviation)')
    warnings += _at_the_end(days, best, max_shift)
    warnings += _disagreements(statistics, estimator, int(days[best]), low, high, separation)
    if source_shares is not None and estimator != 'ACC':
        predicted = statistics.class_shares()[statistics.shifts.index(int(days[best]))]
        warnings += _moved_shares(predicted.cpu(), source_shares.cpu().double(), max_moved)
    return ShiftTrust(int(days[best]), spread, contrast, tuple(peaks), tuple(warnings))


def _at_the_end(days: np.ndarray, best: int, max_shift: int | None) -> list[str]:
    if len(days) < 3:
        return [f'only {len(days)} candidates are left in the range, so nothing is estimated any more']
    if best not in (0, len(days) - 1):
        return []
    found = f'the best shift, {days[best]:+d} days, is the end of the range'
    if max_shift is None and days[best] == 0:
        return []
    if max_shift is not None and abs(int(days[best])) + int(days[1] - days[0]) <= max_shift:
        return [
            f'{found} of {days[0]:+d} to {days[-1]:+d} days that earlier estimates left; what lies beyond was not '
            'searched (narrow_range=False does)'
        ]
    return [f'{found} searched: widen max_shift']


def _moved_shares(predicted: Tensor, source: Tensor, max_moved: float) -> list[str]:
    difference = predicted - source
    moved = float(difference.abs().sum() / 2)
    if moved <= max_moved:
        return []
    largest = difference.abs().argsort(descending=True, stable=True)[:3].tolist()
    examples = ', '.join(f'class {k} {float(source[k]):.0%} → {float(predicted[k]):.0%}' for k in largest)
    return [f'class proportions moved from source to target by {moved:.0%} of the samples, as predicted ({examples})']


def _badness(
    statistics: ShiftStatistics, estimator: str, class_distribution: Tensor | None, fold: int | None = None
) -> np.ndarray:
    scores = statistics.scores(estimator, class_distribution, fold).cpu().numpy()
    return -scores if estimator in LARGEST_IS_BEST else scores


def _contrast(per_fold: np.ndarray, best: int) -> float:
    """Mean advantage of the best over the median, in standard errors over the folds."""
    advantage = np.median(per_fold, 1) - per_fold[:, best]
    if len(advantage) < 2:
        return float('inf') if advantage.mean() > 0 else 0.0
    error = advantage.std(ddof=1) / np.sqrt(len(advantage))
    if error == 0:
        return float('inf') if advantage.mean() > 0 else 0.0
    return float(advantage.mean() / error)


def _peaks(badness: np.ndarray, days: np.ndarray) -> list[Peak]:
    padded = np.concatenate([[np.inf], badness, [np.inf]])
    local = np.flatnonzero((badness <= padded[:-2]) & (badness < padded[2:]))
    median, lowest = float(np.median(badness)), float(badness.min())
    span = median - lowest
    depths = [1.0 if span == 0 else (median - float(badness[i])) / span for i in local]
    order = np.argsort([-depth for depth in depths], kind='stable')
    return [Peak(int(days[local[i]]), depths[i]) for i in order]


def _disagreements(
    statistics: ShiftStatistics, estimator: str, shift: int, low: int | None, high: int | None, separation: int
) -> list[str]:
    warnings = []
    for other in ('IS', 'ENT'):
        if other == estimator or estimator == 'ACC':
            continue
        theirs = best_shift(statistics.scores(other), statistics.shifts, other, low, high)
        if abs(theirs - shift) > separation:
            warnings.append(f'the scores disagree: {estimator} says {shift:+d} days, {other} {theirs:+d}')
    return warnings
