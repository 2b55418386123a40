#!/usr/bin/env python3
"""Temporal encoders on real series of points and parcels, beside random forest and linear model; docs/real_series.md.

For each table, method and seed one run with the config `configs/series/recipe_<table>.py`: as it stands ('recipe'), or
with its encoder replaced by that of `configs/_base_/models/pixel_<method>.py`, or ('pretrained') with the Transformer
after momentum contrast on the series, without labels, of all tables with the same bands (`UNIONS`), their part `train`
alone; once for each union and seed. Fitted on the part `train` of the table, scored on `test`, with the last weights:
nothing is chosen on `test`. `--folds K` leaves `test` alone, and scores on the K-th of three parts of `train` what was
fitted on the other two: that is where options are to be compared. Every run leaves a JSON file, so a command that was
stopped goes on where it was. In the end a table is printed: macro-F1 (mean over the classes that occur in the
reference) and overall accuracy in per cent, mean and standard deviation over seeds.

    MMSITS_DATA=… python benchmarks/real_series.py
    python benchmarks/real_series.py --only-table
"""

from __future__ import annotations

import argparse
import json
import logging
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config
from mmengine.runner import Runner

import mmsits  # noqa: F401 (registers everything)
from mmsits.apis.domains import TrainedNetwork
from mmsits.apis.parcel_tables import predict_parcels
from mmsits.datasets.inspection import build_dataset
from mmsits.engine import load_config
from mmsits.engine.files import write_atomically
from mmsits.engine.studies import study_runner, train_once
from mmsits.evaluation import confusion_matrix, pixel_baselines, scores

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
TABLES = (
    'us-toy-s2',
    'france-month',
    'france-dekad',
    'east-africa',
    'bavaria',
    'mato-grosso',
    'sinop',
    'central-asia',
    'formosat2',
    'crop-ucr',
)
ENCODERS = ('tempcnn', 'lstm', 'gru', 'transformer', 'tae', 'ltae')
BASELINES = ('forest', 'linear')
METHODS = (*BASELINES, 'recipe', *ENCODERS, 'pretrained')
NAMES = {
    'forest': 'random forest',
    'linear': 'linear model',
    'recipe': 'default recipe',
    'tempcnn': 'TempCNN',
    'lstm': 'LSTM',
    'gru': 'GRU',
    'transformer': 'Transformer',
    'tae': 'TAE',
    'ltae': 'L-TAE',
    'pretrained': 'Transformer, pre-trained on the unlabelled union',
}
FOLDS = 3
# Tables with the same bands in the same units; every other one is a union of its own.
UNIONS = (('france-month', 'france-dekad'), ('sinop', 'central-asia', 'crop-ucr'))
PRETRAINED_ENCODER = 'transformer'
PRETRAINING_ITERATIONS = 1000
VIEW_DATES = 32


class Task(NamedTuple):
    """One run.

    Attributes:
        table: of `TABLES`.
        method: of `METHODS`.
        seed: of the run.
        fold: part of `train` that is scored instead of `test`.
    """

    table: str
    method: str
    seed: int
    fold: int | None

    @property
    def name(self) -> str:
        """Of the run's files."""
        part = 'test' if self.fold is None else f'fold{self.fold}'
        return f'{self.table}_{self.method}_{part}_seed{self.seed}'


def config_of(table: str, method: str, options: Mapping[str, Any] | None = None) -> Config:
    """The recipe's config of a table, with the encoder of a method."""
    cfg = load_config(CONFIGS / 'series' / f'recipe_{table}.py', options)
    encoder_name = PRETRAINED_ENCODER if method == 'pretrained' else method
    if encoder_name in ENCODERS:
        other = load_config(CONFIGS / '_base_' / 'models' / f'pixel_{encoder_name}.py').model
        encoder, own = other.backbone.encoder, cfg.model.backbone.encoder.members.mlp
        encoder.update({name: own[name] for name in ('days', 'length') if name in encoder})
        cfg.model.backbone.encoder = encoder
        cfg.model.decode_head.update({name: other.decode_head[name] for name in ('in_channels', 'num_members')})
    if method == 'pretrained':
        cfg.custom_hooks.append(dict(type='WeightTransferHook'))
    return cfg


def union_of(table: str) -> tuple[str, ...]:
    """The tables, this one among them, whose series have the same bands."""
    return next((union for union in UNIONS if table in union), (table,))


def pretraining_config(task: Task, options: Mapping[str, Any] | None = None) -> Config:
    """Momentum contrast of the encoder on all series of the union that the task's fold leaves to be fitted on."""
    parts = []
    for table in union_of(task.table):
        own = config_of(table, 'pretrained', options)
        parts_of(own, task.fold)
        parts.append(own.train_dataloader.dataset)
    target = config_of(task.table, 'pretrained', options)
    union = build_dataset(dict(type='UnlabelledUnion', datasets=parts))
    (sensor, held), *_ = union.metainfo['statistics'].items()

    cfg = load_config(CONFIGS / 'sitsmoco' / 'moco-v2_transformer_us-toy-s2.py')
    batch_size = min(cfg.train_dataloader.batch_size, len(union))
    # Assigned, for `update` of a config merges.
    cfg.model.backbone, cfg.model.data_preprocessor = target.model.backbone, target.model.data_preprocessor
    # No more keys than there are series.
    cfg.model.queue_size = min(2048, len(union) // batch_size * batch_size)
    cfg.train_dataloader.batch_size = batch_size
    cfg.train_dataloader.dataset = dict(
        type='ContrastiveViews',
        dataset=dict(type='UnlabelledUnion', datasets=parts),
        pipeline=[
            dict(type='RollDates'),
            dict(type='DisturbDates', amount={sensor: (0.5 * np.array(held['std'])).tolist()}),
            dict(type='ThinDates'),
            dict(type='SampleDates', num_dates=VIEW_DATES, repeat=True),
            dict(type='PackSeriesInputs'),
        ],
    )
    cfg.custom_hooks = []
    cfg.train_cfg.max_iters = PRETRAINING_ITERATIONS
    cfg.default_hooks.checkpoint.interval = PRETRAINING_ITERATIONS
    return cfg


def pretrain(task: Task, folder: Path, options: Mapping[str, Any] | None = None) -> Path:
    """Pre-train for a task unless that was done for another one of its union; returns the checkpoint."""
    part = 'test' if task.fold is None else f'fold{task.fold}'
    name = f'pretraining_{"+".join(union_of(task.table))}_{part}_seed{task.seed}'
    path = folder / 'runs' / name / f'iter_{PRETRAINING_ITERATIONS}.pth'
    train_once(path, lambda: _train(pretraining_config(task, options), name, task.seed, folder))
    return path


def parts_of(cfg: Config, fold: int | None) -> tuple[Any, Any]:
    """The dataset to fit to, which is the config's afterwards, and the one to score on."""
    options = cfg.train_dataloader.dataset
    train = build_dataset(options)
    train.full_init()
    if fold is None:
        test = build_dataset(cfg.test_dataloader.dataset)
        test.full_init()
        return train, test
    inside = folds_of(train, FOLDS) == fold
    options['indices'] = np.flatnonzero(~inside).tolist()
    return train.get_subset(options['indices']), train.get_subset(np.flatnonzero(inside).tolist())


def folds_of(dataset: Any, folds: int) -> np.ndarray:
    """The fold of each series (N,), classes spread evenly over folds and neighbours together.

    Neighbours are series of one polygon, or, where a table has coordinates, of one cell of 0.05 degrees or 5 km.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    rows = dataset._parcels
    columns = dataset.table.columns
    if 'lon' in columns:
        cells = np.stack([columns['lon'], columns['lat']], 1)[rows] / 0.05
    elif 'polygon' in columns:
        cells = columns['polygon'][rows][:, None]
    else:
        cells = np.arange(len(rows))[:, None]
    groups = np.unique(np.round(cells).astype(np.int64), axis=0, return_inverse=True)[1].ravel()
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=0).split(rows, dataset.labels, groups)
    number = np.zeros(len(rows), np.int64)
    for fold, (_, inside) in enumerate(split):
        number[inside] = fold
    return number


def run(task: Task, folder: Path, options: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Fit and score.

    Args:
        task: what.
        folder: for checkpoints and logs.
        options: overrides of the config.

    Returns:
        The record of the run: scores in per cent, confusion matrix, seconds.
    """
    started = time.perf_counter()
    cfg = config_of(task.table, task.method, options)
    train, test = parts_of(cfg, task.fold)
    if task.method == 'pretrained':
        cfg.load_from = str(pretrain(task, folder, options))
    predicted = _baseline(task, train, test) if task.method in BASELINES else _network(task, cfg, train, test, folder)
    labels = test.labels.astype(np.int64)
    matrix = confusion_matrix(predicted, labels, len(test.metainfo['classes']))
    overall = scores(matrix).overall
    return dict(
        task._asdict(),
        macro_f1=100 * float(overall['macro_F1']),
        oa=100 * float(overall['OA']),
        miou=100 * float(overall['mIoU']),
        series=len(labels),
        confusion=np.asarray(matrix).tolist(),
        seconds=time.perf_counter() - started,
    )


def _baseline(task: Task, train: Any, test: Any) -> np.ndarray:
    """Random forest or linear model on the dates as they are, irregular series every ten days.

    A band that a series lacks altogether is 0, as in the published figures of these tables.
    """
    grid = None if pixel_baselines.share_dates(train) else np.arange(0, 361, 10)
    fitted, scored = (pixel_baselines.pixel_table(part, grid) for part in (train, test))
    model = pixel_baselines.random_forest(300, task.seed) if task.method == 'forest' else pixel_baselines.linear_model()
    model.fit(np.nan_to_num(fitted.features), fitted.labels)
    return model.predict(np.nan_to_num(scored.features)).astype(np.int64)


def _network(task: Task, cfg: Config, train: Any, test: Any, folder: Path) -> np.ndarray:
    runner = _train(cfg, task.name, task.seed, folder)
    network = TrainedNetwork(runner.model.eval(), cfg, {}, 0)
    probabilities = predict_parcels(network, test, range(len(test)), batch_size=512)['probabilities']
    # A series that was never observed counts as an error of the most frequent class.
    most = np.bincount(train.labels, minlength=probabilities.shape[1]).argmax()
    known = np.isfinite(probabilities).all(1)
    return np.where(known, np.where(known[:, None], probabilities, 0).argmax(1), most).astype(np.int64)


def _train(cfg: Config, name: str, seed: int, folder: Path) -> Runner:
    cfg.default_hooks.dataset_contract.data_card = False
    # The runner scores nothing: the datasets of a fold are made here.
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    runner = study_runner(cfg, folder / 'runs' / name, seed)
    runner.train()
    return runner


def read_results(folder: Path) -> list[dict[str, Any]]:
    """All records of a folder."""
    return [json.loads(path.read_text()) for path in sorted((folder / 'results').glob('*.json'))]


def table_of(records: list[dict[str, Any]], score: str) -> str:
    """Scores as a table in Markdown, a row for each method, a column for each table, and the mean over tables.

    Of folds, the mean over folds comes first. The mean over tables stands only where a method has all of them.

    Args:
        records: of `read_results`.
        score: 'macro_f1' or 'oa'.
    """
    means = {(method, table): _mean(records, method, table, score) for method in NAMES for table in TABLES}
    present = [table for table in TABLES if any(means[method, table] is not None for method in NAMES)]
    lines = [f'| | {" | ".join(present)} | mean |', '|---' * (len(present) + 2) + '|']
    better: list[float] = []
    for method, name in NAMES.items():
        found = [means[method, table] for table in present]
        if not any(found):
            continue
        cells = ['–' if value is None else _cell(*value) for value in found]
        whole = [value[0] for value in found if value is not None]
        cells.append(f'{np.mean(whole):.1f}' if len(whole) == len(present) else '–')
        lines.append(f'| {name} | {" | ".join(cells)} |')
        if method == BASELINES[-1]:
            pairs = [[means[base, table] for base in BASELINES] for table in present]
            better = [max(value[0] for value in pair if value is not None) for pair in pairs if any(pair)]
            if len(better) == len(present):
                cells = [f'{value:.1f}' for value in (*better, np.mean(better))]
                lines.append(f'| the better of the two | {" | ".join(cells)} |')
    return '\n'.join(lines)


def _mean(records: list[dict[str, Any]], method: str, table: str, score: str) -> tuple[float, float, int] | None:
    """Mean and standard deviation over seeds, and their number."""
    own = [record for record in records if record['method'] == method and record['table'] == table]
    seeds = sorted({record['seed'] for record in own})
    values = [np.mean([record[score] for record in own if record['seed'] == seed]) for seed in seeds]
    if not values:
        return None
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0, len(values)


def _cell(mean: float, deviation: float, seeds: int) -> str:
    return f'{mean:.1f} ± {deviation:.1f}' if seeds > 1 else f'{mean:.1f}'


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--folder', type=Path, default=Path('work_dirs/real_series'), help='of the results')
    add('--tables', nargs='+', choices=TABLES, default=list(TABLES))
    add('--methods', nargs='+', choices=METHODS, default=list(METHODS))
    add('--seeds', nargs='+', type=int, default=[0, 1, 2])
    add('--folds', nargs='*', type=int, choices=range(FOLDS), default=[], help='score on parts of train, not on test')
    add('--only-table', action='store_true', help='print what there is')
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    warnings.filterwarnings('ignore')
    logging.getLogger('mmengine').setLevel(logging.WARNING)
    tasks = [
        Task(table, method, seed, fold)
        for seed in arguments.seeds
        for method in arguments.methods
        for table in arguments.tables
        for fold in arguments.folds or [None]
        # Nothing in it is random.
        if not (method == 'linear' and seed != arguments.seeds[0])
    ]
    results = arguments.folder / 'results'
    waiting = [] if arguments.only_table else [task for task in tasks if not (results / f'{task.name}.json').is_file()]
    started = time.perf_counter()
    for number, task in enumerate(waiting, 1):
        # Another process may have done it meanwhile.
        if (results / f'{task.name}.json').is_file():
            continue
        record = run(task, arguments.folder)
        write_atomically(results / f'{task.name}.json', json.dumps(record, indent=1).encode())
        passed = (time.perf_counter() - started) / 60
        left = passed / number * (len(waiting) - number)
        print(
            f'{number}/{len(waiting)} {task.name}: macro-F1 {record["macro_f1"]:.1f}, OA {record["oa"]:.1f}; '
            f'{passed:.1f} min, about {left:.1f} min left',
            flush=True,
        )
    asked = {task.name for task in tasks}
    records = [record for record in read_results(arguments.folder) if _task(record).name in asked]
    for score, name in (('macro_f1', 'macro-F1'), ('oa', 'overall accuracy')):
        print(f'\n{name}, %\n\n{table_of(records, score)}')


def _task(record: Mapping[str, Any]) -> Task:
    return Task(record['table'], record['method'], record['seed'], record['fold'])


if __name__ == '__main__':
    main(parse_arguments())
