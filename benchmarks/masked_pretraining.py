#!/usr/bin/env python3
"""What masked pre-training gives STCLN, with few labels and with all; docs/stcln.md shows the tables.

For each seed one pre-training without labels (`configs/stcln/stcln_pretrain_<data>.py`), and for each share of the
labels STCLN from scratch and from the pre-trained encoder, in the same number of steps, beside a random forest on the
same pixels. `simulated`: the share is one of patches. `flanders`: four training tiles only, so it is one of the pixels
of each (`KeepLabelledPixels`). The seed draws the labels too. Nothing is chosen on the test part: the last weights
count. Each run leaves a JSON file, so a command that was stopped goes on where it was.

    python tools/dataset_converters/simulate.py data/demo_simulated --layout pastis --patches 100 --patch-size 32 \\
        --dates 20 --pixel-noise 0.1 --classes 1 2 3 4 5 6 9
    python benchmarks/masked_pretraining.py --data simulated
    MMSITS_DATA=… python benchmarks/masked_pretraining.py --data flanders
    python benchmarks/masked_pretraining.py --only-table

`--iterations` and `--pretraining-iterations` make the runs shorter than the configs. Another setting needs another
`--folder`.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner

import mmsits  # noqa: F401 (registers everything)
from mmsits.datasets.inspection import build_dataset
from mmsits.engine import load_config
from mmsits.engine.files import write_atomically
from mmsits.engine.studies import study_runner, train_once
from mmsits.evaluation import pixel_baselines, scores

CONFIGS = Path(__file__).resolve().parents[1] / 'configs' / 'stcln'
FINETUNING = dict(simulated='stcln_finetune_simulated', flanders='stcln_finetune_flanders-fold3')
METHODS = {'forest': 'random forest', 'scratch': 'from scratch', 'pretrained': 'pre-trained'}
FOREST_PIXELS = 20_000  # neighbours tell the same, and a forest of all of them takes longer than the networks
SCORES = ('mIoU', 'macro_F1', 'OA')


class Task(NamedTuple):
    """One run.

    Attributes:
        data: key of `FINETUNING`.
        method: key of `METHODS`.
        share: of the labels.
        seed: of the run and of the choice of labels.
    """

    data: str
    method: str
    share: float
    seed: int

    @property
    def name(self) -> str:
        """Of the run's files."""
        return f'{self.data}_{self.method}_{self.share:g}_seed{self.seed}'


def finetuning_config(task: Task, iterations: int | None = None) -> Config:
    """Config of a training on a share of the labels; nothing is validated."""
    cfg = load_config(CONFIGS / f'{FINETUNING[task.data]}.py')
    train = cfg.train_dataloader
    if task.data == 'simulated':
        # Of a few patches a batch takes what there is.
        train.update(drop_last=False)
        train.dataset.update(label_fraction=task.share, label_seed=task.seed)
    else:
        behind = [step['type'] for step in train.dataset.pipeline].index('LoadSeriesLabels') + 1
        train.dataset.pipeline.insert(behind, dict(type='KeepLabelledPixels', fraction=task.share, seed=task.seed))
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    return _shortened(cfg, iterations)


def pretraining_config(data: str, iterations: int | None = None) -> Config:
    """Config of a pre-training without validation and pictures."""
    cfg = load_config(CONFIGS / f'stcln_pretrain_{data}.py')
    cfg.custom_hooks = [hook for hook in cfg.custom_hooks if hook['type'] == 'MaskRatioHook']
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    return _shortened(cfg, iterations)


def _shortened(cfg: Config, iterations: int | None) -> Config:
    if iterations is not None:
        cfg.train_cfg.max_iters = iterations
    cfg.default_hooks.checkpoint.update(interval=cfg.train_cfg.max_iters, save_best=None, max_keep_ckpts=1)
    return cfg


def runner_of(cfg: Config, name: str, seed: int, folder: Path) -> Runner:
    """A quiet runner, in a folder of its own."""
    cfg.default_hooks.dataset_contract.data_card = False
    cfg.default_hooks.pop('prediction_drawing', None)
    return study_runner(cfg, folder / 'runs' / name, seed)


def pretrain(task: Task, iterations: int | None, folder: Path) -> Path:
    """Pre-train unless that was done; returns the checkpoint."""
    name = f'{task.data}_pretraining_seed{task.seed}'
    cfg = pretraining_config(task.data, iterations)
    path = folder / 'runs' / name / f'iter_{cfg.train_cfg.max_iters}.pth'
    train_once(path, lambda: runner_of(cfg, name, task.seed, folder).train())
    return path


def run(task: Task, iterations: int | None, pretraining_iterations: int | None, folder: Path) -> dict[str, Any]:
    """Fit and score; returns the record of the run."""
    cfg = finetuning_config(task, iterations)
    if task.method == 'pretrained':
        cfg.load_from = str(pretrain(task, pretraining_iterations, folder))
    started = time.perf_counter()
    if task.method == 'forest':
        found = _forest(cfg, task.seed)
    else:
        runner = runner_of(cfg, task.name, task.seed, folder)
        runner.train()
        found = runner.test()
    return dict(
        task._asdict(),
        iterations=iterations or cfg.train_cfg.max_iters,
        **{score: 100 * float(found[score]) for score in SCORES},
        seconds=time.perf_counter() - started,
    )


def _forest(cfg: Config, seed: int) -> Mapping[str, float]:
    """Random forest on the labelled pixels (at most `FOREST_PIXELS`), each series interpolated to every 15th day."""
    train, test = cfg.train_dataloader.dataset, cfg.test_dataloader.dataset
    fitted, test = build_dataset(pixel_baselines.fitted_dataset(train, test)), build_dataset(test)
    for part in (fitted, test):
        part.full_init()
    grid = pixel_baselines.season_grid(fitted)
    tables = [pixel_baselines.pixel_table(fitted, grid, FOREST_PIXELS, seed), pixel_baselines.pixel_table(test, grid)]
    matrix = pixel_baselines.classifier_confusion(
        pixel_baselines.random_forest(300, seed, 1), *tables, len(test.metainfo['classes'])
    )
    return scores(matrix, average_over='reference').overall


def table_of(records: Sequence[Mapping[str, Any]], data: str) -> str:
    """Scores as a table in Markdown: mean and standard deviation over seeds, per cent."""
    own = [record for record in records if record['data'] == data]
    lines = ['| labels | | ' + ' | '.join(SCORES) + ' | seeds |', '|---' * (len(SCORES) + 3) + '|']
    for share in sorted({record['share'] for record in own}):
        for method, name in METHODS.items():
            found = [record for record in own if (record['share'], record['method']) == (share, method)]
            if found:
                cells = ' | '.join(_cell([record[score] for record in found]) for score in SCORES)
                lines.append(f'| {share:.0%} | {name} | {cells} | {len(found)} |')
    return '\n'.join(lines)


def _cell(values: Sequence[float]) -> str:
    if len(values) == 1:
        return f'{values[0]:.1f}'
    return f'{np.mean(values):.1f} ± {np.std(values, ddof=1):.1f}'


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--folder', type=Path, default=Path('work_dirs/masked_pretraining'), help='of the results')
    add('--data', nargs='+', choices=list(FINETUNING), default=list(FINETUNING))
    add('--methods', nargs='+', choices=list(METHODS), default=list(METHODS))
    add('--shares', nargs='+', type=float, default=[0.05, 1.0])
    add('--seeds', nargs='+', type=int, default=[0, 1, 2])
    add('--iterations', type=int, help='of fine-tuning; default: those of the config')
    add('--pretraining-iterations', type=int, help='default: those of the config')
    add('--only-table', action='store_true', help='show what there is')
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    warnings.filterwarnings('ignore')
    logging.disable(logging.WARNING)
    tasks = [
        Task(data, method, share, seed)
        for seed in arguments.seeds
        for data in arguments.data
        for method in arguments.methods
        for share in arguments.shares
    ]
    results = arguments.folder / 'results'
    waiting = [] if arguments.only_table else [task for task in tasks if not (results / f'{task.name}.json').is_file()]
    started = time.perf_counter()
    for number, task in enumerate(waiting, 1):
        record = run(task, arguments.iterations, arguments.pretraining_iterations, arguments.folder)
        write_atomically(results / f'{task.name}.json', json.dumps(record, indent=1).encode())
        passed = (time.perf_counter() - started) / 60
        print(
            f'{number}/{len(waiting)} {task.name}: mIoU {record["mIoU"]:.1f}; {passed:.1f} min, '
            f'about {passed / number * (len(waiting) - number):.1f} min left',
            flush=True,
        )
    records = [json.loads(path.read_text()) for path in sorted(results.glob('*.json'))]
    for data in arguments.data:
        print(f'\n{data}, %\n\n{table_of(records, data)}')


if __name__ == '__main__':
    main(parse_arguments())
