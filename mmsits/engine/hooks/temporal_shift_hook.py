"""Estimating, again and again, by how many days a target domain is shifted against the source (TimeMatch, Nyborg et
al., ISPRS J. 188, 2022, arXiv 2111.02682, algorithm 1)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import broadcast, get_dist_info, is_main_process
from mmseg.registry import DATASETS, HOOKS
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from mmsits.datasets import identity_collate
from mmsits.datasets.samplers import DrawIndex
from mmsits.engine.errors import ConfigError
from mmsits.engine.files import write_atomically
from mmsits.engine.hooks.stateful_hook import StatefulHook
from mmsits.models.adaptation import DomainAdaptor, TimeMatch, adaptor_of
from mmsits.models.adaptation.class_shares import checked_shares, class_weights, estimate_shares
from mmsits.models.adaptation.shift_scores import (
    ESTIMATORS,
    ShiftStatistics,
    best_shift,
    judge_shift,
    predict_rows,
    score_shifts,
)
from mmsits.models.adaptation.views import Batch
from mmsits.visualization.shift_scores import draw_shift_scores

Batches = Callable[[], Iterable[Batch]]


@HOOKS.register_module()
class TemporalShiftHook(StatefulHook):
    """Estimate the shift between target and source every so many iterations, without labels of the target.

    Before the first step: the teacher scores all shifts of the range with `first_estimator`; only the sign found is
    searched from then on. Its predictions at that shift, over the whole target, give the class distribution. Then, and
    at the start of every interval: the shift is estimated anew with `estimator`, under the class distribution of the
    pseudo labels of the interval before, confident or not. The first of these estimates fixes the source's shift (its
    opposite) and bounds the later ones: between 0 and itself.

    The estimator 'EM' corrects for class proportions that differ between the domains, which the published scores take
    for a shift to some degree: proportions of the target are re-estimated by expectation and maximisation at the shift
    that is known so far (`estimate_shares`), predictions are corrected for them (`reweighted`), and of these the score
    'AM' is taken. Before the first step this is done twice, the second time at the shift that the first gave.

    Every process scores its share of the samples; the sums are added, so all have the same shift.

    Each estimate is logged with what speaks against it, and written to `<work_dir>/shift_scores/` as JSON and picture.

    Args:
        dataset: config of the target as the teacher sees it (all dates, no augmentation), without labels unless the
            estimator is 'ACC'. None takes the `target_weak` view of the training dataset.
        interval: iterations between two estimates.
        estimator: 'AM', 'IS', 'ENT', or for comparison 'ACC', see `ShiftStatistics.scores`; or 'EM' as described above.
        first_estimator: for the first estimate, which knows no class distribution: by default 'IS' where `estimator`
            is 'AM' or 'EM', else the same.
        max_shift: largest shift in days.
        step: days between two candidates.
        num_batches: batches scored, drawn at random, at most; the target may have fewer. None takes all.
        batch_size: samples per batch.
        num_workers: processes that load them.
        shift_source: whether the student learns the source at the target's season.
        narrow_range: as described above; False searches the whole range every time.
        class_distribution: known shares of the classes in the target (from statistics, say), (K,), instead of those of
            the pseudo labels.
        training_shares: for 'EM', shares of the classes as the network learned them, (K,). None takes those that the
            training dataset draws from its source: equal ones where classes are balanced.
        max_pixels: of patches, pixels per batch that count.
        draw: whether to draw the score curve.

    Attributes:
        history: one dict per estimate: `iter`, `estimator`, `shift`, `low` and `high` (the range searched), `score`,
            `spread`, `warnings`. The first iteration has two entries, or three with 'EM', of which the last counts.

    Raises:
        ConfigError: if an option cannot be meant, or the method has no temporal shift.
    """

    def __init__(
        self,
        dataset: dict[str, Any] | None = None,
        interval: int = 500,
        estimator: str = 'AM',
        first_estimator: str | None = None,
        max_shift: int = 60,
        step: int = 1,
        num_batches: int | None = 100,
        batch_size: int = 128,
        num_workers: int = 0,
        shift_source: bool = True,
        narrow_range: bool = True,
        class_distribution: Sequence[float] | None = None,
        training_shares: Sequence[float] | None = None,
        max_pixels: int = 4096,
        draw: bool = True,
    ) -> None:
        first = first_estimator or ('IS' if estimator in ('AM', 'EM') else estimator)
        for name, known in ((estimator, (*ESTIMATORS, 'EM')), (first, ESTIMATORS)):
            if name not in known:
                raise ConfigError(f'TemporalShiftHook: estimator {name!r}, expected one of {", ".join(known)}')
        if interval < 1 or max_shift < 0 or step < 1 or batch_size < 1 or (num_batches is not None and num_batches < 1):
            raise ConfigError(
                'TemporalShiftHook: interval, step, num_batches and batch_size must be 1 or more, max_shift 0 or more'
            )
        self.dataset_cfg = dataset
        self.interval = interval
        self.estimator = estimator
        self.first_estimator = first
        self.max_shift = max_shift
        self.step = step
        self.num_batches = num_batches
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.shift_source = shift_source
        self.narrow_range = narrow_range
        self.known_distribution = class_distribution
        self.given_training_shares = training_shares
        self.max_pixels = max_pixels
        self.draw = draw
        self.low, self.high = -max_shift, max_shift
        self.history: list[dict[str, Any]] = []
        self._counts_before: Tensor | None = None
        self._dataset: Dataset | None = None
        self._may_use_labels = False
        self._training_shares: Tensor | None = None
        self._source_shares: Tensor | None = None

    def before_train(self, runner: Any) -> None:
        """Check the model."""
        adaptor = adaptor_of(runner.model)
        method = adaptor.method
        if not isinstance(method, TimeMatch):
            raise ConfigError(
                f'TemporalShiftHook: {type(method).__name__} does not shift domains in time; remove the hook from '
                'custom_hooks, or set model.method to TimeMatch'
            )
        self._check_shares('class_distribution', self.known_distribution, method.num_classes)
        self._training_shares = self._check_shares('training_shares', self.given_training_shares, method.num_classes)
        dataset = getattr(getattr(runner, 'train_dataloader', None), 'dataset', None)
        shares_of = getattr(dataset, 'class_shares', None)
        if shares_of is not None:
            self._source_shares = _as_tensor(shares_of(method.num_classes))
            if self._training_shares is None:
                self._training_shares = _as_tensor(shares_of(method.num_classes, as_drawn=True))
        if self.estimator == 'EM' and self._training_shares is None:
            raise ConfigError(
                "TemporalShiftHook: estimator 'EM' needs the class shares under which the network was trained, and the "
                'training dataset does not know the labels of all its samples: set training_shares=[…]'
            )

    @staticmethod
    def _check_shares(name: str, shares: Sequence[float] | None, num_classes: int) -> Tensor | None:
        if shares is None:
            return None
        try:
            return checked_shares(shares, num_classes, f'TemporalShiftHook: {name}')
        except ValueError as error:
            raise ConfigError(str(error)) from error

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Estimate at the start of an interval."""
        if runner.iter % self.interval:
            return
        adaptor = adaptor_of(runner.model)
        self.update(adaptor, lambda: self._load(runner, adaptor, self.num_batches), lambda: self._load(runner, adaptor))
        self._runner_log(runner, adaptor)

    @property
    def first_shift(self) -> int | None:
        """The target's shift that training began with, which the source is moved by too; None before."""
        start = [entry['shift'] for entry in self.history if entry['iter'] == self.history[0]['iter']]
        return start[-1] if start else None

    def update(self, adaptor: DomainAdaptor, sampled: Batches, everything: Batches, iteration: int = 0) -> int:
        """One estimate, or at the start of training two; sets the shifts of the method.

        Args:
            adaptor: with `TimeMatch` as method.
            sampled: gives the preprocessed batches to score.
            everything: gives those of the whole target, this process' share.
            iteration: for the history.

        Returns:
            The target's shift, days.
        """
        method = adaptor.method
        assert isinstance(method, TimeMatch)
        self._pending: list[tuple[dict[str, Any], ShiftStatistics, Tensor | None]] = []
        starting = not self.history
        if starting:
            shift = self._estimate(adaptor, sampled, self.first_estimator, None, iteration)
            if self.narrow_range:
                self.low, self.high = (0, self.high) if shift >= 0 else (self.low, 0)
            self._set(method.target_shift, shift)
        self._update_distribution(adaptor, sampled, everything, starting)
        self._counts_before = method.predicted_counts.cpu().clone()
        shift = self._estimate(adaptor, sampled, self.estimator, method.class_distribution, iteration)
        self._set(method.target_shift, shift)
        if starting and self.estimator == 'EM' and self.known_distribution is None:
            method.class_distribution.copy_(self._estimated_shares(adaptor, sampled, shift))
            shift = self._estimate(adaptor, sampled, self.estimator, method.class_distribution, iteration)
            self._set(method.target_shift, shift)
        if starting:
            self._set(method.source_shift, -shift if self.shift_source else 0)
            if self.narrow_range:
                self.low, self.high = min(shift, 0), max(shift, 0)
        return shift

    def _update_distribution(
        self, adaptor: DomainAdaptor, sampled: Batches, everything: Batches, starting: bool
    ) -> None:
        """Set the class shares that the estimate expects."""
        method = adaptor.method
        assert isinstance(method, TimeMatch)
        if self.known_distribution is not None:
            method.class_distribution.copy_(torch.tensor(self.known_distribution, dtype=torch.float64))
        elif self.estimator == 'EM':
            method.class_distribution.copy_(self._estimated_shares(adaptor, sampled, int(method.target_shift)))
        elif starting:
            method.class_distribution.copy_(self._class_shares(adaptor, everything, int(method.target_shift)))
        else:
            self._take_distribution(method)

    @staticmethod
    def _set(buffer: Tensor, days: int) -> None:
        buffer.fill_(days)

    def _take_distribution(self, method: TimeMatch) -> None:
        """Class shares of the pseudo labels since the last estimate; the former ones if there were none."""
        counts = method.predicted_counts.cpu()
        if self._counts_before is not None:
            counts = counts - self._counts_before
        if counts.sum():
            method.class_distribution.copy_(counts.double() / counts.sum())

    def _estimate(
        self, adaptor: DomainAdaptor, sampled: Batches, estimator: str, distribution: Tensor | None, iteration: int
    ) -> int:
        low, high = self.low, self.high
        candidates = [shift for shift in range(low, high + 1) if shift % self.step == 0]
        assert adaptor.teacher is not None
        weights, score = None, estimator
        if estimator == 'EM':
            assert distribution is not None
            weights, score = class_weights(distribution, self._trained_under().to(distribution.device)), 'AM'
        statistics = score_shifts(adaptor.teacher, sampled(), candidates, self.max_pixels, weights).reduce()
        scores = statistics.scores(score, distribution)
        shift = best_shift(scores, candidates, score)
        agreed = torch.tensor(shift, device=scores.device)
        broadcast(agreed)
        shift = int(agreed)
        trust = judge_shift(
            statistics, score, distribution, source_shares=self._source_shares, max_shift=self.max_shift
        )
        entry = dict(
            iter=int(iteration),
            estimator=estimator,
            shift=shift,
            low=int(low),
            high=int(high),
            score=float(scores[candidates.index(shift)]),
            spread=float(trust.spread),
            warnings=list(trust.warnings),
        )
        self.history.append(entry)
        self._pending.append((entry, statistics, None if distribution is None else distribution.clone()))
        return shift

    @torch.no_grad()
    def _class_shares(self, adaptor: DomainAdaptor, everything: Batches, shift: int) -> Tensor:
        """Shares of the classes that the teacher predicts for the target at a shift, (K,) float64."""
        assert adaptor.teacher is not None
        histogram = score_shifts(adaptor.teacher, everything(), [shift], self.max_pixels).reduce().class_shares()
        return histogram[0]

    def _trained_under(self) -> Tensor:
        if self._training_shares is None:
            raise ConfigError("TemporalShiftHook: estimator 'EM' needs training_shares=[…]")
        return self._training_shares

    def _estimated_shares(self, adaptor: DomainAdaptor, sampled: Batches, shift: int) -> Tensor:
        """Shares of the classes in the target, (K,) float64, re-estimated from the teacher's predictions at a shift."""
        assert adaptor.teacher is not None
        rows = predict_rows(adaptor.teacher, sampled(), shift, self.max_pixels)
        return estimate_shares(rows, self._trained_under())

    def _load(self, runner: Any, adaptor: DomainAdaptor, num_batches: int | None = None) -> Iterator[Batch]:
        """Preprocessed batches of one random pass over the target, this process' share."""
        if self._dataset is None:
            self._dataset = self._build_dataset(runner)
        # Estimates are numbered by the iteration: a resumed run draws what an uninterrupted one draws.
        total = None if num_batches is None else num_batches * self.batch_size
        sampler = _OnePass(self._dataset, int(runner.seed or 0), int(runner.iter), total)
        loader = DataLoader(
            self._dataset,
            batch_size=self.batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=identity_collate,
        )
        for batch in loader:
            if not self._may_use_labels:
                batch.pop('targets', None)
            yield adaptor.data_preprocessor(batch, False)

    def _build_dataset(self, runner: Any) -> Dataset:
        wants_labels = 'ACC' in (self.estimator, self.first_estimator)
        if self.dataset_cfg is not None:
            self._may_use_labels = wants_labels
            return DATASETS.build(self.dataset_cfg)
        domains = runner.train_dataloader.dataset
        views = getattr(domains, 'views', None) or {}
        if 'target_weak' not in views:
            raise ConfigError(
                'TemporalShiftHook: the training dataset has no view target_weak; give the hook the target as '
                'dataset=dict(…)'
            )
        name, dataset = views['target_weak']
        self._may_use_labels = wants_labels and name in domains.labelled
        return dataset

    def _runner_log(self, runner: Any, adaptor: DomainAdaptor) -> None:
        method = adaptor.method
        for number, (entry, statistics, distribution) in enumerate(self._pending):
            entry['iter'] = int(runner.iter)
            runner.logger.info(
                f'Temporal shift by {entry["estimator"]} over {entry["low"]:+d} to {entry["high"]:+d} days: '
                f'{entry["shift"]:+d} days'
            )
            if entry['warnings']:
                runner.logger.log(
                    logging.WARNING,
                    f'The shift of {entry["shift"]:+d} days may be wrong: {"; ".join(entry["warnings"])}.',
                )
            if is_main_process():
                self._save(
                    runner, f'iter_{runner.iter:07d}_{number}_{entry["estimator"]}', entry, statistics, distribution
                )
        if getattr(runner, 'visualizer', None) is not None:
            runner.visualizer.add_scalar('temporal_shift', int(method.target_shift), step=runner.iter)
        self._pending = []

    def _save(
        self, runner: Any, name: str, entry: dict[str, Any], statistics: ShiftStatistics, distribution: Tensor | None
    ) -> None:
        usable = [
            e
            for e in ESTIMATORS
            if (e != 'AM' or distribution is not None) and (e != 'ACC' or statistics.labelled.sum())
        ]
        curves = {e: statistics.scores(e, distribution).tolist() for e in usable}
        if entry['estimator'] == 'EM':
            # The others are those of the corrected predictions too.
            curves['EM'] = curves.pop('AM')
        content = dict(entry, shifts=list(statistics.shifts), scores=curves)
        if distribution is not None:
            content['class_distribution'] = distribution.tolist()
        folder = Path(runner.work_dir) / 'shift_scores'
        write_atomically(folder / f'{name}.json', json.dumps(content, indent=1).encode())
        if self.draw:
            title = f'iteration {runner.iter}, chosen by {entry["estimator"]}'
            picture = draw_shift_scores(statistics.shifts, curves, entry['shift'], title)
            write_atomically(folder / f'{name}.png', picture)

    def state_dict(self) -> dict[str, Any]:
        """Range, estimates so far, and the counts of pseudo labels at the last one."""
        return dict(low=self.low, high=self.high, history=self.history, counts_before=self._counts_before)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.low, self.high = int(state['low']), int(state['high'])
        self.history, self._counts_before = list(state['history']), state['counts_before']


def _as_tensor(shares: np.ndarray | None) -> Tensor | None:
    return None if shares is None else torch.from_numpy(shares)


class _OnePass(Sampler):
    """Samples of a dataset once, in an order given by (seed, number), dealt out to the processes.

    Args:
        dataset: with a length.
        seed: of the run.
        number: of the pass.
        total: how many samples all processes read together, per process as many batches as asked for; None for all.
    """

    def __init__(self, dataset: Any, seed: int, number: int, total: int | None) -> None:
        rank, world_size = get_dist_info()
        order = np.random.default_rng([seed, number, 4]).permutation(len(dataset))
        self.seed = seed
        self.draws = list(enumerate(order[:total].tolist()))[rank::world_size]

    def __iter__(self) -> Iterator[DrawIndex]:
        for draw, index in self.draws:
            yield DrawIndex(index, draw, self.seed)

    def __len__(self) -> int:
        return len(self.draws)
