#!/usr/bin/env python3
"""Propose labels for series that have none, from a few that have: by fuzzy clusters, or by warping to class means.

    python tools/analysis_tools/propose_labels.py table.npz --method fuzzy-c-means --out proposals.csv
    python tools/analysis_tools/propose_labels.py table.npz --method twdtw --confidence 0.3 --out proposals.csv

A table is read as `SeriesTableDataset` reads it (docs/your_data.md); series without a label are those with an empty
one. Written is a CSV of all unlabelled series with `id`, `class`, `confidence`, and `proposed`: 1 where the confidence
is at least --confidence. The report says how often the method is right on labelled series that it was not told of.

fuzzy-c-means clusters the series, brought to common days and to a few principal components, and names a cluster by its
labelled members; the confidence is the probability of the class, 0 to 1. twdtw compares each series with the mean
series of each class by time-weighted dynamic time warping; the confidence is 1 less the ratio of the smallest distance
to the second: 0.3 is much, 0.05 is little.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mmengine.config import DictAction
from rich.console import Console

from mmsits.datasets.errors import DataError
from mmsits.datasets.series_table import SeriesTable, read_series_table
from mmsits.engine import ConfigError
from mmsits.engine.command_line import building, run_tool
from mmsits.engine.files import write_atomically
from mmsits.labelling import (
    class_prototypes,
    fuzzy_c_means,
    on_common_days,
    propose_from_clusters,
    propose_from_distances,
    time_weighted_distances,
)

Propose = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""From labels (N,), -1 where unknown, to class and confidence of every series."""
DEFAULT_CONFIDENCE = {'fuzzy-c-means': 0.9, 'twdtw': 0.2}
SERIES_AT_ONCE = 2048


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('table', type=Path)
    add('--read', nargs='+', action=DictAction, default={}, metavar='OPTION=VALUE', help='options of read_series_table')
    add('--method', choices=tuple(DEFAULT_CONFIDENCE), default='fuzzy-c-means', help='default: %(default)s')
    add('--confidence', type=float, help='least for a proposal (default: 0.9, with twdtw 0.2)')
    add('--clusters', type=int, help='default: three for each class')
    add('--components', type=int, default=8, help='principal components that are clustered (default: %(default)s)')
    add('--step', type=int, default=10, help='days between the days of mean series (default: %(default)s)')
    add('--seed', type=int, default=0)
    add('--out', type=Path, required=True, help='CSV')
    add('--traceback', action='store_true', help='show errors in full')
    return parser.parse_args()


def standardised(table: SeriesTable) -> np.ndarray:
    """Values (N,T,C) whose bands have mean 0 and deviation 1 over all observations; a band that a series lacks is 0."""
    seen = table.values[table.exists]
    deviation = np.nanstd(seen, axis=0)
    return np.nan_to_num((table.values - np.nanmean(seen, axis=0)) / np.where(deviation > 0, deviation, 1))


def season_days(table: SeriesTable) -> np.ndarray:
    """Days of each series since a first of January, (N,T): series of several years share their season.

    It is that of the year in which the season begins. Seasons begin behind the longest part of the year in which no
    series does, so that of two winter crops first seen in December and in January none is a year ahead.
    """
    first = table.days[:, 0].astype('datetime64[D]')
    within = (first - first.astype('datetime64[Y]')).astype(np.int64)
    known = np.unique(within)
    begins = known[np.diff(known, prepend=known[-1] - 366).argmax()]
    years = first.astype('datetime64[Y]') - (within < begins).astype(int)
    return table.days - years.astype('datetime64[D]').astype(np.int64)[:, None]


def by_clusters(table: SeriesTable, classes: int, arguments: argparse.Namespace) -> Propose:
    from sklearn.decomposition import PCA

    values, days = standardised(table), season_days(table)
    grid = np.arange(days[table.exists].min(), days[table.exists].max() + 1, arguments.step)
    features = np.nan_to_num(on_common_days(values, days, table.exists, grid).reshape(len(values), -1))
    features = PCA(min(arguments.components, *features.shape), random_state=arguments.seed).fit_transform(features)
    found = fuzzy_c_means(features, min(arguments.clusters or 3 * classes, len(features)), seed=arguments.seed)

    def propose(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        probabilities = propose_from_clusters(found.membership, labels, classes)
        return probabilities.argmax(axis=1), probabilities.max(axis=1)

    return propose


def by_warping(table: SeriesTable, classes: int, arguments: argparse.Namespace) -> Propose:
    values, days = standardised(table), season_days(table)
    grid = np.arange(days[table.exists].min(), days[table.exists].max() + 1, arguments.step)

    def propose(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        prototypes = class_prototypes(values, days, table.exists, labels, classes, grid)
        known = np.flatnonzero(np.isfinite(prototypes).all(axis=(1, 2)))
        distances = np.full((len(values), classes), np.nan)
        for first in range(0, len(values), SERIES_AT_ONCE):
            part = slice(first, first + SERIES_AT_ONCE)
            distances[part, known] = time_weighted_distances(
                values[part], days[part], table.exists[part], prototypes[known], grid
            )
        return propose_from_distances(distances)

    return propose


def held_out_accuracy(propose: Propose, labels: np.ndarray, least: float, seed: int) -> tuple[float, float]:
    """Share of labelled series that are right, and proposed at all, when half of the labels are not told."""
    known = np.random.default_rng(seed).permutation(np.flatnonzero(labels >= 0))
    hidden = known[: len(known) // 2]
    told = labels.copy()
    told[hidden] = -1
    found, confidence = propose(told)
    proposed = confidence[hidden] >= least
    right = (found[hidden] == labels[hidden])[proposed]
    return float(right.mean()) if len(right) else float('nan'), float(proposed.mean())


def main(arguments: argparse.Namespace) -> None:
    if arguments.step < 1 or arguments.components < 1:
        raise ConfigError('--step and --components must be 1 or more')
    with building():
        table = read_series_table(arguments.table, **arguments.read)
    texts = table.labels or [''] * len(table.ids)
    classes = sorted({text for text in texts if text})
    if len(classes) < 2:
        raise DataError(
            f'labels of two classes at least are needed, found {classes or "none"}',
            path=arguments.table,
            hint='Label some series first; tools/analysis_tools/select_samples.py says which.',
        )
    labels = np.array([classes.index(text) if text else -1 for text in texts])
    make = by_clusters if arguments.method == 'fuzzy-c-means' else by_warping
    propose = make(table, len(classes), arguments)
    least = DEFAULT_CONFIDENCE[arguments.method] if arguments.confidence is None else arguments.confidence
    found, confidence = propose(labels)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(['id', 'class', 'confidence', 'proposed'])
    unlabelled = np.flatnonzero(labels < 0)
    for position in unlabelled:
        name = classes[found[position]] if found[position] >= 0 else ''
        sure = bool(name) and confidence[position] >= least
        writer.writerow([table.ids[position], name, f'{confidence[position]:.4f}', int(sure)])
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(arguments.out, text.getvalue().encode())
    proposed = int((confidence[unlabelled] >= least).sum())
    right, share = held_out_accuracy(propose, labels, least, arguments.seed)
    Console(soft_wrap=True, highlight=False).print(
        f'{arguments.out}: {proposed} of {len(unlabelled)} unlabelled series have a proposal of confidence {least:g} '
        f'or more\nwith half of the {int((labels >= 0).sum())} labels hidden: {share:.1%} of these proposed, '
        f'{right:.1%} of the proposals right'
    )


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
