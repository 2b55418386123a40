#!/usr/bin/env python3
"""Score a random forest and the majority class on the pixels, dates and classes of a config.

Fitted on the labelled pixels of its training dataset, scored on those of its test dataset, both read through the test
pipeline; a study that cannot beat these has not shown much.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config, DictAction
from mmseg.registry import DATASETS

from mmsits.engine import load_config
from mmsits.evaluation import pixel_baselines
from mmsits.evaluation.segmentation_metric import scores


def baseline_confusions(
    cfg: Config, trees: int, seeds: list[int], step: int = 15, max_pixels: int | None = None
) -> dict[str, list[np.ndarray]]:
    """Confusion matrices of the majority class (one) and of a random forest (one per seed)."""
    pipeline = cfg.test_dataloader.dataset.pipeline
    train = DATASETS.build({**cfg.train_dataloader.dataset, 'pipeline': pipeline})
    test = DATASETS.build(cfg.test_dataloader.dataset)
    grid = pixel_baselines.season_grid(train, step)
    fitted = pixel_baselines.pixel_table(train, grid, max_pixels)
    scored = pixel_baselines.pixel_table(test, grid)
    classes = len(train.metainfo['classes'])
    forests = [
        pixel_baselines.classifier_confusion(
            pixel_baselines.random_forest(trees, seed, jobs=-1), fitted, scored, classes
        )
        for seed in seeds
    ]
    return {'random forest': forests, 'majority class': [pixel_baselines.majority_confusion(fitted, scored, classes)]}


def summary(confusions: dict[str, list[np.ndarray]]) -> dict[str, Any]:
    """Overall scores of every run, per classifier."""
    return {name: [scores(matrix).overall for matrix in matrices] for name, matrices in confusions.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config')
    parser.add_argument('--trees', type=int, default=300)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0, 1, 2])
    parser.add_argument('--step', type=int, default=15, help='days between the dates interpolated to')
    parser.add_argument('--max-pixels', type=int, help='fit to at most so many pixels')
    parser.add_argument('--out', type=Path, help='write confusion matrices and scores as JSON')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    args = parser.parse_args()
    cfg = load_config(args.config, args.cfg_options)
    confusions = baseline_confusions(cfg, args.trees, args.seeds, args.step, args.max_pixels)
    results = summary(confusions)
    for name, runs in results.items():
        for run in runs:
            print(f'{name:15s} ' + '  '.join(f'{key} {100 * value:5.1f}' for key, value in run.items()))
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        matrices = {name: [matrix.tolist() for matrix in runs] for name, runs in confusions.items()}
        args.out.write_text(json.dumps({'scores': results, 'confusion': matrices}))


if __name__ == '__main__':
    main()
