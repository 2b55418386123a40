#!/usr/bin/env python3
"""Accuracy against the number of labels, with and without pre-training on series without labels; docs/sitsmoco.md.

For each seed one pre-training (`configs/sitsmoco/moco-v2_transformer_<data>.py`; with `--pretrainings K`, K of them in
turn), and for each share of the labels STNet (`configs/stnet/stnet_<data>.py`) from scratch and from the pre-trained
weights, all with the same number of steps, beside random forest and linear model. The seed also draws which labels
there are, each class in proportion. Nothing is chosen on the test part: the last weights count. Every run leaves a JSON
file, so a command that was stopped goes on where it was. In the end tables are printed and a plot is drawn: macro-F1
(mean over the classes that occur in the test part) and overall accuracy in per cent, mean and standard deviation over
seeds.

    python tools/dataset_converters/simulate.py data/simulated_pixels --layout us-crops
    python benchmarks/label_scarcity.py --data simulated --shares 0.01 0.05 0.1 1
    MMSITS_DATA=… python benchmarks/label_scarcity.py --data us-toy-s2 --shares 0.1 0.25 1
    python benchmarks/label_scarcity.py --only-table --plot docs/images/label_scarcity.png

`--iterations`, `--pretraining-iterations`, `--dates` and `--batch-size` make the runs shorter than the configs; what
they were stands in each JSON file. Another setting needs another `--folder`.
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

import mmsits  # noqa: F401 (registers everything)
from mmsits.apis.domains import TrainedNetwork
from mmsits.apis.parcel_tables import predict_parcels
from mmsits.datasets.inspection import build_dataset
from mmsits.engine import load_config
from mmsits.engine.files import write_atomically
from mmsits.engine.studies import study_runner, train_once
from mmsits.evaluation import confusion_matrix, pixel_baselines, scores

CONFIGS = Path(__file__).resolve().parents[1] / 'configs'
DATA = ('simulated', 'us-toy-s2')
NAMES = {
    'forest': 'random forest',
    'linear': 'linear model',
    'scratch': 'STNet from scratch',
    'pretrained': 'STNet pre-trained (Transformer, MoCo v2)',
}
BASELINES = ('forest', 'linear')
SCORES = {'macro_f1': 'macro-F1', 'oa': 'overall accuracy'}


class Task(NamedTuple):
    """One run.

    Attributes:
        data: of `DATA`.
        method: key of `NAMES`.
        share: of the labels of the training part.
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


class Lengths(NamedTuple):
    """How long runs are; None leaves what the config says."""

    iterations: int | None = None
    pretraining_iterations: int | None = None
    dates: int | None = None
    batch_size: int | None = None
    pretrainings: int | None = None


def tasks_of(data: Sequence[str], methods: Sequence[str], shares: Sequence[float], seeds: Sequence[int]) -> list[Task]:
    """All runs, the cheapest first within a seed."""
    return [
        Task(name, method, share, seed) for seed in seeds for name in data for method in methods for share in shares
    ]


def finetuning_config(task: Task, lengths: Lengths) -> Config:
    """Config of a fine-tuning, or of the training from scratch."""
    cfg = load_config(CONFIGS / 'stnet' / f'stnet_{task.data}.py')
    cfg.train_dataloader.dataset.update(label_fraction=task.share, label_seed=task.seed)
    return _shortened(cfg, lengths.iterations, lengths, cfg.train_dataloader.dataset.pipeline)


def pretraining_config(data: str, lengths: Lengths) -> Config:
    """Config of a pre-training; nothing probes it."""
    cfg = load_config(CONFIGS / 'sitsmoco' / f'moco-v2_transformer_{data}.py')
    cfg.custom_hooks = []
    return _shortened(cfg, lengths.pretraining_iterations, lengths, cfg.train_dataloader.dataset.pipeline)


def _shortened(cfg: Config, iterations: int | None, lengths: Lengths, pipeline: Sequence[dict]) -> Config:
    if iterations is not None:
        cfg.train_cfg.max_iters = iterations
        # The warm-up has to end before the run does.
        for schedule in cfg.param_scheduler or []:
            schedule.end = min(schedule.get('end', iterations), iterations)
    if lengths.batch_size is not None:
        cfg.train_dataloader.batch_size = lengths.batch_size
    for step in pipeline:
        if step['type'] == 'SampleDates' and lengths.dates is not None:
            step['num_dates'] = lengths.dates
    # Validation would choose nothing and cost time; the last weights are looked at.
    cfg.train_cfg.val_interval = cfg.train_cfg.max_iters
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.default_hooks.checkpoint.update(interval=cfg.train_cfg.max_iters, save_best=None, max_keep_ckpts=1)
    return cfg


def train(cfg: Config, name: str, seed: int, folder: Path) -> Any:
    """Run a training without a test; returns the runner."""
    cfg.default_hooks.dataset_contract.data_card = False
    cfg.default_hooks.pop('prediction_drawing', None)
    cfg.test_dataloader = cfg.test_evaluator = cfg.test_cfg = None
    runner = study_runner(cfg, folder / 'runs' / name, seed)
    runner.train()
    return runner


def pretrain(data: str, seed: int, lengths: Lengths, folder: Path) -> Path:
    """Pre-train unless that was done; returns the checkpoint."""
    name = f'{data}_pretraining_seed{seed}'
    cfg = pretraining_config(data, lengths)
    path = folder / 'runs' / name / f'iter_{cfg.train_cfg.max_iters}.pth'
    train_once(path, lambda: train(cfg, name, seed, folder))
    return path


def run(task: Task, lengths: Lengths, folder: Path) -> dict[str, Any]:
    """Fit and score; returns the record of the run."""
    cfg = finetuning_config(task, lengths)
    test = build_dataset(load_config(CONFIGS / 'stnet' / f'stnet_{task.data}.py').test_dataloader.dataset)
    test.full_init()
    started = time.perf_counter()
    if task.method in BASELINES:
        labels, predicted = _baseline(task, cfg, test)
    else:
        if task.method == 'pretrained':
            number = task.seed % (lengths.pretrainings or task.seed + 1)
            cfg.load_from = str(pretrain(task.data, number, lengths, folder))
            started = time.perf_counter()
        runner = train(cfg, task.name, task.seed, folder)
        labels = runner.train_dataloader.dataset.labels
        network = TrainedNetwork(runner.model.eval(), cfg, {}, 0)
        predicted = predict_parcels(network, test, range(len(test)), batch_size=512)['probabilities'].argmax(1)
    truth = test.labels.astype(np.int64)
    matrix = confusion_matrix(predicted.astype(np.int64), truth, len(test.metainfo['classes']))
    overall = scores(matrix).overall
    return dict(
        task._asdict(),
        settings=lengths._asdict(),
        labels=len(labels),
        classes=len(set(labels.tolist())),
        macro_f1=100 * float(overall['macro_F1']),
        oa=100 * float(overall['OA']),
        series=len(truth),
        confusion=np.asarray(matrix).tolist(),
        seconds=time.perf_counter() - started,
    )


def _baseline(task: Task, cfg: Config, test: Any) -> tuple[np.ndarray, np.ndarray]:
    """Random forest or linear model on the series interpolated to every tenth day."""
    options = dict(cfg.train_dataloader.dataset, pipeline=test.pipeline.transforms)
    fitted = build_dataset(options)
    fitted.full_init()
    grid = np.arange(0, 361, 10)
    known, asked = (pixel_baselines.pixel_table(part, grid) for part in (fitted, test))
    if len(set(known.labels.tolist())) < 2:
        return fitted.labels, np.full(len(test), known.labels[0])
    forest = task.method == 'forest'
    model = pixel_baselines.random_forest(300, task.seed, 1) if forest else pixel_baselines.linear_model()
    model.fit(np.nan_to_num(known.features), known.labels)
    return fitted.labels, model.predict(np.nan_to_num(asked.features))


def read_results(folder: Path) -> list[dict[str, Any]]:
    """All records of a folder."""
    return [json.loads(path.read_text()) for path in sorted((folder / 'results').glob('*.json'))]


def series_of(records: Sequence[Mapping[str, Any]], data: str, method: str, score: str) -> dict[float, np.ndarray]:
    """Share of the labels to the scores of all seeds."""
    own = [record for record in records if record['data'] == data and record['method'] == method]
    return {
        share: np.array([record[score] for record in own if record['share'] == share])
        for share in sorted({record['share'] for record in own})
    }


def labels_of(records: Sequence[Mapping[str, Any]], data: str) -> dict[float, int]:
    """Share to the number of labels."""
    return {record['share']: record['labels'] for record in records if record['data'] == data}


def table_of(records: Sequence[Mapping[str, Any]], data: str, score: str) -> str:
    """Scores as a table in Markdown: a row for each method, a column for each share."""
    labels = labels_of(records, data)
    shares = sorted(labels)
    lines = ['| | ' + ' | '.join(f'{share:.0%}: {labels[share]} labels' for share in shares) + ' |']
    lines.append('|---' * (len(shares) + 1) + '|')
    for method, name in NAMES.items():
        found = series_of(records, data, method, score)
        if found:
            lines.append(f'| {name} | ' + ' | '.join(_cell(found.get(share)) for share in shares) + ' |')
    return '\n'.join(lines)


def _cell(values: np.ndarray | None) -> str:
    if values is None:
        return '–'
    if len(values) == 1:
        return f'{values[0]:.1f}'
    return f'{values.mean():.1f} ± {values.std(ddof=1):.1f} ({len(values)})'


def plot(records: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw macro-F1 against the number of labels, a panel for each data set."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    present = [data for data in DATA if any(record['data'] == data for record in records)]
    figure, panels = pyplot.subplots(1, len(present), figsize=(4.6 * len(present), 3.6), squeeze=False)
    for data, panel in zip(present, panels[0], strict=True):
        labels = labels_of(records, data)
        for method, name in NAMES.items():
            found = series_of(records, data, method, 'macro_f1')
            if found:
                panel.errorbar(
                    [labels[share] for share in found],
                    [values.mean() for values in found.values()],
                    [values.std(ddof=1) if len(values) > 1 else 0 for values in found.values()],
                    marker='o',
                    markersize=4,
                    capsize=3,
                    linestyle='--' if method in BASELINES else '-',
                    label=name,
                )
        panel.set(xscale='log', title=data, xlabel='labelled series', ylabel='macro-F1, %')
        # Ticks where the points are: those of the scale stand too close within one power of ten.
        panel.set_xticks(list(labels.values()), [str(number) for number in labels.values()])
        panel.minorticks_off()
        panel.grid(alpha=0.3)
    panels[0][-1].legend(fontsize=7)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('--folder', type=Path, default=Path('work_dirs/label_scarcity'), help='of the results')
    add('--data', nargs='+', choices=DATA, default=list(DATA))
    add('--methods', nargs='+', choices=list(NAMES), default=list(NAMES))
    add('--shares', nargs='+', type=float, default=[0.01, 0.05, 0.1, 1.0])
    add('--seeds', nargs='+', type=int, default=[0, 1, 2, 3, 4])
    for name in Lengths._fields:
        add(f'--{name.replace("_", "-")}', type=int, help='default: that of the config')
    add('--plot', type=Path, help='draw a plot to this file')
    add('--only-table', action='store_true', help='show what there is')
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    warnings.filterwarnings('ignore')
    logging.disable(logging.WARNING)
    lengths = Lengths(*(getattr(arguments, name) for name in Lengths._fields))
    tasks = tasks_of(arguments.data, arguments.methods, arguments.shares, arguments.seeds)
    results = arguments.folder / 'results'
    waiting = [] if arguments.only_table else [task for task in tasks if not (results / f'{task.name}.json').is_file()]
    started = time.perf_counter()
    for number, task in enumerate(waiting, 1):
        record = run(task, lengths, arguments.folder)
        write_atomically(results / f'{task.name}.json', json.dumps(record, indent=1).encode())
        passed = (time.perf_counter() - started) / 60
        left = passed / number * (len(waiting) - number)
        print(
            f'{number}/{len(waiting)} {task.name}: macro-F1 {record["macro_f1"]:.1f}, OA {record["oa"]:.1f}; '
            f'{passed:.1f} min, about {left:.1f} min left',
            flush=True,
        )
    records = read_results(arguments.folder)
    for data in DATA:
        for score, name in SCORES.items():
            if any(record['data'] == data for record in records):
                print(f'\n{data}: {name}, %\n\n{table_of(records, data, score)}')
    if arguments.plot is not None and records:
        plot(records, arguments.plot)


if __name__ == '__main__':
    main(parse_arguments())
