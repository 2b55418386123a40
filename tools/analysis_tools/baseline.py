#!/usr/bin/env python3
"""Score a random forest, a logistic regression and the majority class on the pixels or parcels of a config.

Fitted on what is labelled in its training dataset, scored on its test dataset, both read through the test pipeline,
with the metric's rules for classes and means; a study that cannot beat these has not shown much. Dense patches give one
row for each pixel, parcels and tables of series one for each sample; missing dates are interpolated linearly.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config, DictAction
from mmengine.dataset import BaseDataset

from mmsits.datasets.inspection import build_dataset
from mmsits.engine import load_config
from mmsits.engine.command_line import building, progress_bar, run_tool
from mmsits.engine.files import write_atomically
from mmsits.evaluation import pixel_baselines
from mmsits.evaluation.segmentation_metric import scores


def open_datasets(cfg: Config) -> tuple[BaseDataset, BaseDataset]:
    """Training and test dataset of a config, both with the test pipeline; labels hidden in training stay hidden."""
    train, test = cfg.train_dataloader.dataset, cfg.test_dataloader.dataset
    return build_dataset(pixel_baselines.fitted_dataset(train, test)), build_dataset(test)


def baseline_confusions(
    train: BaseDataset,
    test: BaseDataset,
    trees: int,
    seeds: list[int],
    step: int | None = None,
    max_pixels: int | None = None,
) -> dict[str, list[np.ndarray]]:
    """Confusion matrices of a random forest (one per seed), a linear model and the majority class (one each).

    Args:
        train, test: datasets.
        trees: of the forest.
        seeds: of the forest.
        step: days between the dates interpolated to; None takes the samples' own dates if they are the same in all of
            both, and 15 days if not.
        max_pixels: fit to at most so many.
    """
    # A feature is a date: fitted on those of one season, a classifier must not be asked about those of another.
    own_dates = step is None and pixel_baselines.share_dates(train, test)
    grid = None if own_dates else pixel_baselines.season_grid(train, step or 15)
    fitted = pixel_baselines.pixel_table(train, grid, max_pixels)
    scored = pixel_baselines.pixel_table(test, grid)
    classes = len(train.metainfo['classes'])
    models = [('random forest', pixel_baselines.random_forest(trees, seed, jobs=-1)) for seed in seeds]
    models.append(('linear model', pixel_baselines.linear_model()))
    confusions: dict[str, list[np.ndarray]] = {name: [] for name, _ in models}
    with progress_bar(f'fitting to {len(fitted.labels)} series') as update:
        for done, (name, model) in enumerate(models):
            update(done, len(models))
            confusions[name].append(pixel_baselines.classifier_confusion(model, fitted, scored, classes))
        update(len(models), len(models))
    return confusions | {'majority class': [pixel_baselines.majority_confusion(fitted, scored, classes)]}


def scoring_rules(cfg: Config, classes: Sequence[str]) -> dict[str, Any]:
    """What the config's metric leaves out and averages over, as arguments of `scores`."""
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    metric = next((entry for entry in evaluators if entry['type'] == 'SeriesSegmentationMetric'), {})
    excluded = [classes.index(name) if isinstance(name, str) else name for name in metric.get('excluded_classes', ())]
    return dict(excluded_classes=excluded, average_over=metric.get('average_over', 'reference'))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('--trees', type=int, default=300)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument(
        '--step',
        type=int,
        help='days between the dates interpolated to (default: the own dates where all samples have the same, else 15)',
    )
    parser.add_argument('--max-pixels', type=int, help='fit to at most so many pixels')
    parser.add_argument('--out', type=Path, help='write confusion matrices and scores as JSON')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    parser.add_argument('--traceback', action='store_true', help='show errors in full')
    return parser.parse_args()


def main(args: argparse.Namespace) -> None:
    with building():
        cfg = load_config(args.config, args.cfg_options)
        train, test = open_datasets(cfg)
        rules = scoring_rules(cfg, test.metainfo['classes'])
    confusions = baseline_confusions(train, test, args.trees, args.seeds, args.step, args.max_pixels)
    results = {name: [scores(matrix, **rules).overall for matrix in runs] for name, runs in confusions.items()}
    for name, runs in results.items():
        for run in runs:
            print(f'{name:15s} ' + '  '.join(f'{key} {100 * value:5.1f}' for key, value in run.items()))
    if args.out:
        matrices = {name: [matrix.tolist() for matrix in runs] for name, runs in confusions.items()}
        write_atomically(args.out, json.dumps({'scores': results, 'confusion': matrices}).encode())


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
