#!/usr/bin/env python3
"""What choosing samples and proposing labels give for each labelled field: an experiment on simulated fields.

Fields of a simulated region (docs/simulator.md) are halved into a pool and a test set. A random forest on their mean
series learns from a few labelled fields of the pool; round by round more are labelled, chosen at random, by entropy,
margin or core-set. In each round the labels at hand are also stretched to other fields: by fuzzy c-means, and by
time-weighted dynamic time warping to class means, each with the confident proposals only. Written are a table of
accuracy against the number of labelled fields (means over seeds, standard deviations of these) and a picture.

    python benchmarks/sample_selection.py --seeds 0 1 2 --out work_dirs/sample_selection
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import f1_score

from mmsits.datasets.simulator import RegionConfig, simulate_region
from mmsits.engine.files import write_atomically
from mmsits.labelling import (
    choose,
    class_prototypes,
    core_set_order,
    entropy_scores,
    fuzzy_c_means,
    margin_scores,
    on_common_days,
    propose_from_clusters,
    propose_from_distances,
    time_weighted_distances,
)

STRATEGIES = ('random', 'entropy', 'margin', 'core-set')
PROPOSALS = ('random + fuzzy c-means', 'random + twdtw')
#: Shares of the crops: as in real farmland, some are rare.
SHARES = (0.34, 0.22, 0.16, 0.10, 0.08, 0.05, 0.03, 0.02)


class Fields(NamedTuple):
    """Mean series of fields: values (N,T,C) scaled to deviation 1, days (N,T), exists (N,T), class (N,)."""

    values: np.ndarray
    days: np.ndarray
    exists: np.ndarray
    label: np.ndarray

    def of(self, chosen: np.ndarray) -> Fields:
        return Fields(*(part[chosen] for part in self))


def simulate_fields(seed: int, size: int) -> Fields:
    config = RegionConfig(
        height=size,
        width=size,
        seed=seed,
        classes=(1, 2, 3, 4, 5, 6, 7, 9),
        proportions=SHARES,
        field_size=1.2,
        s2_dates=24,
    )
    region = simulate_region(config)
    parcels = region.parcel_ids.ravel()
    used = np.unique(parcels[parcels > 0])
    clear = (region.cloud_mask() == 0).reshape(len(region.dates['s2']), -1)
    images = region.values('s2')
    means = np.full((len(used), *images.shape[:2]), np.nan, np.float32)
    for date, image in enumerate(images):
        seen = clear[date] & (parcels > 0)
        counts = np.bincount(parcels[seen], minlength=used.max() + 1)[used]
        for band, values in enumerate(image.reshape(image.shape[0], -1)):
            sums = np.bincount(parcels[seen], weights=values[seen], minlength=used.max() + 1)[used]
            means[:, date, band] = np.where(counts >= 4, sums / np.maximum(counts, 1), np.nan)
    exists = np.isfinite(means).all(axis=2)
    scaled = (means - means[exists].mean(axis=0)) / means[exists].std(axis=0)
    days = (region.dates['s2'] - region.dates['s2'][0]).astype(np.int64)
    kept = exists.sum(axis=1) >= 4
    label = np.unique(region.parcel_class[used], return_inverse=True)[1]
    return Fields(np.where(exists[..., None], scaled, 0), np.tile(days, (len(used), 1)), exists, label).of(kept)


def forest(features: np.ndarray, labels: np.ndarray, seed: int) -> RandomForestClassifier:
    return RandomForestClassifier(100, random_state=seed, n_jobs=1).fit(features, labels)


def next_fields(
    strategy: str, features: np.ndarray, labelled: np.ndarray, model: Any, count: int, rng: np.random.Generator
) -> np.ndarray:
    others = np.setdiff1d(np.arange(len(features)), labelled)
    if strategy == 'random':
        return rng.choice(others, count, replace=False)
    if strategy == 'core-set':
        reduced = PCA(8, random_state=0).fit_transform(features)
        return others[core_set_order(reduced[others], count, reduced[labelled])[0]]
    score = entropy_scores if strategy == 'entropy' else margin_scores
    return others[choose(score(model.predict_proba(features[others])), np.zeros((len(others), 2)), count)]


def with_proposals(
    method: str, pool: Fields, features: np.ndarray, labelled: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fields and labels, the proposed ones with them."""
    classes = int(pool.label.max()) + 1
    labels = np.full(len(pool.label), -1)
    labels[labelled] = pool.label[labelled]
    if method.endswith('twdtw'):
        grid = np.arange(0, pool.days.max() + 1, 15)
        prototypes = class_prototypes(pool.values, pool.days, pool.exists, labels, classes, grid)
        known = np.flatnonzero(np.isfinite(prototypes).all(axis=(1, 2)))
        distances = np.full((len(labels), classes), np.nan)
        distances[:, known] = time_weighted_distances(pool.values, pool.days, pool.exists, prototypes[known], grid)
        found, confidence = propose_from_distances(distances)
        sure = confidence >= 0.2
    else:
        reduced = PCA(8, random_state=0).fit_transform(features)
        clusters = fuzzy_c_means(reduced, 3 * classes, seed=seed)
        probabilities = propose_from_clusters(clusters.membership, labels, classes)
        found, sure = probabilities.argmax(axis=1), probabilities.max(axis=1) >= 0.9
    labels = np.where((labels < 0) & sure, found, labels)
    used = np.flatnonzero(labels >= 0)
    return used, labels[used]


def run(seed: int, options: argparse.Namespace) -> dict[str, list[dict[str, float]]]:
    """Scores on the test fields by strategy, round by round."""
    fields = simulate_fields(seed, options.size)
    order = np.random.default_rng(seed).permutation(len(fields.label))
    pool, test = fields.of(order[: len(order) // 2]), fields.of(order[len(order) // 2 :])
    grid = np.arange(0, fields.days.max() + 1, 15)
    features, test_features = (
        on_common_days(part.values, part.days, part.exists, grid).reshape(len(part.label), -1) for part in (pool, test)
    )

    def score(used: np.ndarray, labels: np.ndarray) -> tuple[Any, dict[str, float]]:
        model = forest(features[used], labels, seed)
        found = model.predict(test_features)
        macro = f1_score(test.label, found, average='macro', zero_division=0)
        right = float((labels == pool.label[used]).mean())
        return model, dict(OA=float((found == test.label).mean()), macro_F1=float(macro), used=len(used), right=right)

    curves: dict[str, list[dict[str, float]]] = {}
    for strategy in STRATEGIES:
        rng = np.random.default_rng([seed, 1])
        labelled = rng.choice(len(features), options.start, replace=False)
        for _ in range(options.rounds + 1):
            model, row = score(labelled, pool.label[labelled])
            curves.setdefault(strategy, []).append(row | dict(fields=len(labelled)))
            if strategy == 'random':
                for method in PROPOSALS:
                    used, labels = with_proposals(method, pool, features, labelled, seed)
                    curves.setdefault(method, []).append(score(used, labels)[1] | dict(fields=len(labelled)))
            labelled = np.append(labelled, next_fields(strategy, features, labelled, model, options.step, rng))
    return curves


def table_of(results: list[dict[str, list[dict[str, float]]]], score: str) -> str:
    fields = [row['fields'] for row in results[0]['random']]
    lines = ['| labelled fields | ' + ' | '.join(f'{number:.0f}' for number in fields) + ' |']
    lines.append('| --- |' + ' ---: |' * len(fields))
    for name in results[0]:
        values = 100 * np.array([[row[score] for row in result[name]] for result in results])
        cells = [f'{mean:.1f} ± {std:.1f}' for mean, std in zip(values.mean(0), values.std(0), strict=True)]
        lines.append(f'| {name} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'


def draw(results: list[dict[str, list[dict[str, float]]]], path: Path) -> None:
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(9, 4), layout='constrained')
    for axis, (score, label) in zip(axes, (('OA', 'overall accuracy'), ('macro_F1', 'macro F1')), strict=True):
        for name in results[0]:
            fields = [row['fields'] for row in results[0][name]]
            values = np.mean([[row[score] for row in result[name]] for result in results], axis=0)
            axis.plot(fields, values, marker='o', markersize=3, label=name, linestyle='--' if '+' in name else '-')
        axis.set_xlabel('labelled fields')
        axis.set_ylabel(label)
        axis.grid(alpha=0.25)
        axis.spines[['top', 'right']].set_visible(False)
    axes[1].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--size', type=int, default=320, help='side of the region in pixels (default: %(default)s)')
    parser.add_argument('--start', type=int, default=16, help='fields labelled at first (default: %(default)s)')
    parser.add_argument('--step', type=int, default=16, help='fields labelled in a round (default: %(default)s)')
    parser.add_argument('--rounds', type=int, default=6, help='default: %(default)s')
    parser.add_argument('--out', type=Path, default=Path('work_dirs/sample_selection'))
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in options.seeds:
        path = options.out / f'{options.size}_{options.start}_{options.step}_{options.rounds}_seed{seed}.json'
        if not path.is_file():
            print(f'seed {seed}: {len(results) + 1} of {len(options.seeds)}', flush=True)
            write_atomically(path, json.dumps(run(seed, options), indent=1).encode())
        results.append(json.loads(path.read_text()))
    for score in ('OA', 'macro_F1'):
        text = table_of(results, score)
        print(f'{score}, per cent\n{text}', flush=True)
        write_atomically(options.out / f'{score}.md', text.encode())
    draw(results, options.out / 'sample_selection.png')


if __name__ == '__main__':
    main()
