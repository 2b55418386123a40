"""Batches of named views from several domains, for methods that adapt a model from one region to another."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from typing import Any
from zlib import crc32

import numpy as np
from mmengine.dataset import Compose
from mmengine.logging import print_log
from mmseg.registry import DATASETS, TRANSFORMS

from .collate import CollatedBatch, identity_collate
from .counter_random import random_fractions, random_words
from .errors import DataError
from .merged import JoinedDatasets, without_labels
from .samplers import DrawIndex
from .transforms.spatial import SpatialTransform

ORDERS = ('shuffled', 'class_balanced')
LEAST_COMMON_SEASON = 0.8
"""Share of the longer season below which two domains' common days are warned of."""


class _Domain:
    """Which sample of a domain each draw gets: a function of (seed, draw) alone.

    Args:
        name: of the domain; domains of one run are shuffled independently.
        dataset: its dataset.
        order: 'shuffled': every sample once per pass, each pass in a new order. 'class_balanced': with replacement, the
            probability of a sample being inverse to the number of samples of its class.
    """

    def __init__(self, name: str, dataset: Any, order: str) -> None:
        if order not in ORDERS:
            raise ValueError(f'domain {name!r}: order must be one of {ORDERS}, got {order!r}')
        self.name, self.dataset, self.order = name, dataset, order
        self.size = len(dataset)
        if self.size == 0:
            raise ValueError(f'The domain {name!r} has no sample: check data_root, fold and filters.')
        self._members = self._members_of_classes() if order == 'class_balanced' else []
        self._orders: dict[tuple[int, int], np.ndarray] = {}

    def _members_of_classes(self) -> list[np.ndarray]:
        labels = getattr(self.dataset, 'labels', None)
        if labels is None:
            raise ValueError(
                f"domain {self.name!r}: order='class_balanced' needs the labels of all samples (`labels` of the "
                f"dataset), and {type(self.dataset).__name__} gives none. Use order='shuffled'."
            )
        members = [np.flatnonzero(labels == label) for label in np.unique(labels) if label != 255]
        if not members:
            raise ValueError(f'domain {self.name!r}: no sample has a class, so they cannot be balanced.')
        return members

    def positions(self, seeds: Sequence[int], draws: Sequence[int]) -> list[int]:
        """Sample of each draw."""
        own = derived_seeds(seeds, self.name)
        if self.order == 'class_balanced':
            return self._balanced(own, draws)
        return [
            int(self._pass_order(int(seed), draw // self.size)[draw % self.size])
            for seed, draw in zip(own, draws, strict=True)
        ]

    def _balanced(self, seeds: np.ndarray, draws: Sequence[int]) -> list[int]:
        fractions = random_fractions(seeds, np.array(draws, np.uint64), 0, 2)
        classes = (fractions[:, 0] * len(self._members)).astype(int)
        chosen = (self._members[number] for number in classes)
        return [int(own[int(u * len(own))]) for own, u in zip(chosen, fractions[:, 1], strict=True)]

    def _pass_order(self, seed: int, number: int) -> np.ndarray:
        key = (seed, number)
        if key not in self._orders:
            # A batch may end one pass and begin the next; older ones are not asked for again.
            for old in list(self._orders)[:-1]:
                del self._orders[old]
            self._orders[key] = np.random.default_rng([seed, number]).permutation(self.size)
        return self._orders[key]


def derived_seeds(seeds: Sequence[int], name: str) -> np.ndarray:
    """Seeds of a named part of a run, (B,) uint64, independent of those of its other parts."""
    mask = 2**64 - 1
    words = np.array([seed & mask for seed in seeds], np.uint64)
    return random_words(words, np.full(len(words), crc32(name.encode()), np.uint64), 0, 1)[:, 0]


@DATASETS.register_module()
class DomainViews:
    """Joins domains: a sample is a dict of views, `{'source': …, 'target_weak': …, 'target_strong': …}`.

    A *domain* is a dataset; a *view* is one of its pipelines. The views of a domain show the same sample, each with
    random numbers of its own, except in the image plane: flips, turns and crops are the same in all of them, so that a
    pseudo label of one view belongs to the same pixel of another. The data loader counts draws; draw n of each domain
    is a function of the seed, the domain's name and n, so that domains of different size are shuffled and gone through
    independently, and a resumed run draws what the uninterrupted one would have drawn. Its sampler's indices are not
    used, only their numbers: give it `sampler=dict(type='SeriesSampler', shuffle=False)`, and
    `collate_fn=dict(type='identity_collate')`.

    Labels of all domains but the first are removed here, so that no method can look at them.

    Args:
        domains: Name to dict with `dataset` (a dataset or its config), `views` (name to pipeline; without it the domain
            has one view of its own name, with the dataset's pipeline) and `order`, 'shuffled' (default) or
            'class_balanced'. The first is the labelled one.
        oracle: Keep all labels, for upper bounds and oracle scores.
        seed: Seed for samples that are asked for by a plain index.

    Attributes:
        metainfo: That of the first domain, the one whose classes are learnt.
        statistics: Those of the first domain.

    Raises:
        ValueError: If a domain has no sample, two views have one name, or views of a domain change the image plane in
            different ways.
        DataError: If domains were observed at different times of the season.
    """

    def __init__(self, domains: Mapping[str, Mapping[str, Any]], oracle: bool = False, seed: int = 0) -> None:
        if not domains:
            raise ValueError('DomainViews needs at least one domain.')
        self.seed = seed
        self.domains: dict[str, _Domain] = {}
        self.views: dict[str, tuple[str, Any]] = {}
        for name, config in domains.items():
            unknown = set(config) - {'dataset', 'views', 'order'}
            if unknown:
                raise ValueError(f"domain {name!r}: unknown {sorted(unknown)}; there are 'dataset', 'views', 'order'.")
            dataset = open_dataset(config['dataset'])
            if not oracle and self.domains:
                dataset = without_labels(dataset)
            self.domains[name] = _Domain(name, dataset, config.get('order', 'shuffled'))
            views = config.get('views') or {name: None}
            for view, pipeline in views.items():
                if view in self.views:
                    raise ValueError(f'two views have the name {view!r}')
                self.views[view] = (name, dataset if pipeline is None else with_pipeline(dataset, pipeline))
        self._refuse_misaligned_views()
        self._refuse_separate_seasons()
        self.labelled = tuple(self.domains) if oracle else (next(iter(self.domains)),)
        self._warn_of_missing_classes()

    def _refuse_misaligned_views(self) -> None:
        """Refuse views of a domain whose pixels would lie elsewhere: nobody would notice before the scores."""
        first: dict[str, tuple[str, list[str]]] = {}
        for view, (domain, dataset) in self.views.items():
            steps = [repr(step) for step in _steps(dataset) if isinstance(step, SpatialTransform)]
            other, expected = first.setdefault(domain, (view, steps))
            if steps != expected:
                raise ValueError(
                    f'domain {domain!r}: the views {other!r} and {view!r} change the image plane in different ways, '
                    f'{expected} and {steps}, so a label of one would belong to another pixel of the other: give both '
                    'pipelines the same crops, flips and turns in the same order'
                )

    def _refuse_separate_seasons(self) -> None:
        """Refuse domains that were observed at different times of the season: nothing could be carried over."""
        ranges = {
            name: domain.dataset.day_range()
            for name, domain in self.domains.items()
            if hasattr(domain.dataset, 'day_range')
        }
        for name, (first, last) in ranges.items():
            reference, (begin, end) = next(iter(ranges.items()))
            if first > end or last < begin:
                raise DataError(
                    f'the dates of domain {name!r} (days {first} to {last} of its season) do not overlap those of '
                    f'{reference!r} (days {begin} to {end})',
                    hint='Check dates and season_start of both.',
                )
            common = (min(last, end) - max(first, begin) + 1) / max(last - first + 1, end - begin + 1)
            if common < LEAST_COMMON_SEASON:
                print_log(
                    f'Domain {name!r} was observed on days {first} to {last} of its season, {reference!r} on days '
                    f'{begin} to {end}: only {common:.0%} of them are common. What was never seen in one cannot be '
                    'learnt for the other; CropDays cuts both to the common season.',
                    'current',
                    logging.WARNING,
                )

    def _warn_of_missing_classes(self) -> None:
        """Name classes of which the labelled domain has no sample: they are never predicted rightly."""
        labels, classes = getattr(self.main, 'labels', None), self.metainfo.get('classes') or ()
        if labels is None:
            return
        missing = [str(name) for number, name in enumerate(classes) if not (labels == number).any()]
        if missing:
            print_log(
                f'Domain {self.labelled[0]!r} has no sample of {", ".join(missing)}: adaptation cannot teach what is '
                'in no label.',
                'current',
                logging.WARNING,
            )

    @property
    def main(self) -> Any:
        """The first view as a dataset of its own: what a description of the training data looks at."""
        return next(iter(self.views.values()))[1]

    @property
    def metainfo(self) -> dict[str, Any]:
        """Metainfo of the first domain."""
        return self.main.metainfo

    @property
    def statistics(self) -> dict[str, Any]:
        """Statistics of the first domain."""
        return self.main.statistics

    def class_shares(self, num_classes: int, as_drawn: bool = False) -> np.ndarray | None:
        """Shares of the classes in the first domain.

        Args:
            num_classes: K.
            as_drawn: as its order draws them, that is how a network learns them: equal ones for 'class_balanced'.

        Returns:
            (K,) float64 with sum 1; None where the dataset does not give the labels of all its samples.
        """
        domain = next(iter(self.domains.values()))
        labels = getattr(domain.dataset, 'labels', None)
        if labels is None:
            return None
        counts = np.bincount(labels[labels < num_classes], minlength=num_classes).astype(np.float64)
        if as_drawn and domain.order == 'class_balanced':
            counts = (counts > 0).astype(np.float64)
        return counts / counts.sum() if counts.sum() else None

    def full_init(self) -> None:
        """Nothing to do: the domains are open. (mmengine calls it.)"""

    def __len__(self) -> int:
        """Size of the largest domain."""
        return max(domain.size for domain in self.domains.values())

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Entries of the samples that a plain index draws, by domain."""
        return {
            name: domain.dataset.get_data_info(domain.positions([self.seed], [int(idx)])[0])
            for name, domain in self.domains.items()
        }

    def __getitem__(self, idx: int) -> dict[str, Any]:
        """One sample of every view."""
        samples = {}
        for view, indices in self._indices([idx]).items():
            domain, dataset = self.views[view]
            samples[view] = self._without_labels(domain, dataset[indices[0]])
        return samples

    def __getitems__(self, indices: Sequence[int]) -> CollatedBatch:
        """A batch of every view; the data loader calls it.

        Args:
            indices: `DrawIndex` of the sampler; plain indices draw by the dataset's own seed.

        Returns:
            View to what the data preprocessor takes.
        """
        batches = CollatedBatch()
        for view, drawn in self._indices(indices).items():
            domain, dataset = self.views[view]
            fetch = getattr(dataset, '__getitems__', None)
            batch = identity_collate(fetch(drawn) if fetch else [dataset[index] for index in drawn])
            batches[view] = self._without_labels(domain, batch)
        return batches

    def _indices(self, indices: Sequence[int]) -> dict[str, list[DrawIndex]]:
        """For each view the samples of these draws; those of a domain share the seed of the image plane only."""
        pairs = [(i.seed, i.draw) if isinstance(i, DrawIndex) else (self.seed, int(i)) for i in indices]
        seeds, draws = [seed for seed, _ in pairs], [draw for _, draw in pairs]
        positions = {name: domain.positions(seeds, draws) for name, domain in self.domains.items()}
        spatial = {name: derived_seeds(seeds, f'image plane of {name}') for name in self.domains}
        return {
            view: [
                DrawIndex(position, draw, int(seed), int(shared))
                for position, draw, seed, shared in zip(
                    positions[name], draws, derived_seeds(seeds, view), spatial[name], strict=True
                )
            ]
            for view, (name, _) in self.views.items()
        }

    def _without_labels(self, domain: str, data: Any) -> Any:
        if domain not in self.labelled:
            data.pop('targets', None)
        return data


def open_dataset(dataset: Any) -> Any:
    """A dataset, built if it is a config, its index read."""
    built = DATASETS.build(dataset) if isinstance(dataset, Mapping) else dataset
    if hasattr(built, 'full_init'):
        built.full_init()
    return built


def _steps(dataset: Any) -> Sequence[Any]:
    if isinstance(dataset, JoinedDatasets):
        return _steps(dataset.datasets[0])
    return getattr(getattr(dataset, 'pipeline', None), 'transforms', ())


def with_pipeline(dataset: Any, pipeline: Sequence[Any]) -> Any:
    """The same open dataset with another pipeline."""
    view = copy.copy(dataset)
    if isinstance(dataset, JoinedDatasets):
        view.datasets = [with_pipeline(part, pipeline) for part in dataset.datasets]
        return view
    view.pipeline = Compose([TRANSFORMS.build(step) if isinstance(step, Mapping) else step for step in pipeline])
    if hasattr(view, 'describe_outputs'):
        view._metainfo = dict(view._metainfo)
        view.describe_outputs()
    return view
