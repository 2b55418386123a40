#!/usr/bin/env python3
"""How well each adaptation method carries a parcel classifier over to a region whose season is shifted, where the truth
is known.

Two simulated regions in the layout of TimeMatch, the target's vegetation later by each of `--shifts` days and, with
`--proportions changed`, grown in other proportions. For each seed a PSE+L-TAE is trained on the source; from its
weights every method adapts without labels of the target, all with the same data, optimizer and number of steps, so that
only their losses differ. Scored is macro-F1 over the target's test parcels:

- `source only`: the source's network as it is; `days moved`: the same, the target's dates moved by the shift that
  tools/analysis_tools/estimate_shift.py would give; `upper bound`: trained on the target's labels;
- `control`: the further training of the rivals with the adaptation loss at weight zero; `timematch, weight 0`:
  TimeMatch without pseudo labels, which only learns the source moved to the target's season;
- the methods; of TimeMatch also with the shift scored under class shares re-estimated from the predictions (`EM
  shares`), and with pseudo labels dealt out by such shares (`balanced`).

Shifts are those of vegetation: +30 is 30 days later. Runs that are done are kept as JSON in the work directory and not
repeated; delete it to start afresh. Runs are short, so the figures rank nothing but losses on easy data.

    python benchmarks/adaptation.py --seeds 0 --shifts 30
    python benchmarks/adaptation.py --seeds 0 1 2 --shifts 0 10 -10 30 -30 --proportions same changed
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from rich.console import Console
from rich.table import Table

from mmsits.apis.domains import load_network, open_domains, unlabelled_batches
from mmsits.apis.shifts import estimate_shift
from mmsits.datasets.packed_parcels import pack_parcels
from mmsits.datasets.parcel_store import read_domain_metadata
from mmsits.datasets.simulator import DEFAULT_CLASSES, RegionConfig
from mmsits.datasets.simulator.region import DEFAULT_PROPORTIONS
from mmsits.datasets.simulator.timematch_layout import write_timematch
from mmsits.datasets.timematch import TimeMatchDataset
from mmsits.datasets.zarr_parcels import ZarrParcels
from mmsits.engine import load_config, prepare_config
from mmsits.engine.command_line import run_tool
from mmsits.engine.files import write_atomically

BASES = Path(__file__).resolve().parents[1] / 'configs' / '_base_'
SOURCE, TARGET = 'france/SIM00/2018', 'france/SIM01/2018'


class Variant(NamedTuple):
    """A row of the table that adapts.

    Attributes:
        base: name of a config in configs/_base_/adaptation.
        method: options of its method.
        shift: options of its TemporalShiftHook.
    """

    base: str
    method: dict[str, Any] = {}
    shift: dict[str, Any] = {}


METHODS: dict[str, Variant] = {
    'control': Variant('control'),
    'mmd': Variant('mmd'),
    'dann': Variant('dann'),
    'cdan': Variant('cdan'),
    'cdan_e': Variant('cdan_e'),
    'jumbot': Variant('jumbot'),
    'alda': Variant('alda'),
    'fixmatch': Variant('fixmatch'),
    'timematch, weight 0': Variant('timematch', method=dict(trade_off=0.0)),
    'timematch': Variant('timematch'),
    'timematch, EM shares': Variant('timematch', shift=dict(estimator='EM')),
    'timematch, balanced': Variant('timematch', method=dict(balance='estimated')),
}
ENDS = ('source only', 'days moved', 'upper bound')
ROWS = ('source only', 'days moved', *METHODS, 'upper bound')


@dataclass(frozen=True)
class Settings:
    """What the runs of a benchmark share; results of other settings are not reused."""

    size: int = 320
    field_size: float = 1.0
    min_parcels: int = 15
    source_steps: int = 400
    adaptation_steps: int = 200
    batch_size: int = 32
    pixels: int = 16
    dates: int = 30
    shift_augmentation: int = 0
    source_lr: float = 2e-3
    adaptation_lr: float = 5e-4

    @property
    def digest(self) -> str:
        """A short name of these settings."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True)
class Task:
    """A source and a target region.

    Attributes:
        seed: of both regions and of the training.
        shift: days by which the target's vegetation is late.
        proportions: 'same' or 'changed'.
    """

    seed: int
    shift: int
    proportions: str = 'same'

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f'seed{self.seed}_shift{self.shift:+d}_{self.proportions}'


def simulate(task: Task, settings: Settings, folder: Path) -> Path:
    """Write and pack the two regions, unless they are there; return the data root."""
    source = RegionConfig(
        height=settings.size,
        width=settings.size,
        season_start='2018-01-01',
        seed=2 * task.seed,
        field_size=settings.field_size,
        sensors=('s2',),
    )
    shares = [DEFAULT_PROPORTIONS[number] for number in DEFAULT_CLASSES]
    changed = tuple(reversed(shares)) if task.proportions == 'changed' else None
    target = replace(source, seed=2 * task.seed + 1, temporal_shift_days=float(task.shift), proportions=changed)
    write_timematch([source, target], folder, [SOURCE, TARGET])
    for domain in (SOURCE, TARGET):
        table = read_domain_metadata(folder / domain / 'meta' / 'metadata.pkl')
        pack_parcels(ZarrParcels(folder / domain, table, 10), folder / domain)
    return folder


def true_shift(data_root: Path) -> float:
    """Days by which the target's classes are late against the source's, on average over its parcels."""
    regions = json.loads((data_root / 'SIMULATION' / 'simulation.json').read_text())['regions']
    source, target = (regions[domain]['shift_days_by_class'] for domain in (SOURCE, TARGET))
    parcels = regions[TARGET]['parcels_by_class']
    late = {name: target[name] - source[name] for name in parcels if name in source}
    return float(np.average(list(late.values()), weights=[parcels[name] for name in late]))


class Benchmark:
    """Runs of all methods on one task; each result is a JSON file.

    Args:
        task: the regions.
        settings: shared by all tasks.
        folder: work directory of the benchmark.
    """

    def __init__(self, task: Task, settings: Settings, folder: Path) -> None:
        self.task, self.settings = task, settings
        self.folder = folder / settings.digest / task.name
        self.data_root = folder / settings.digest / 'data' / task.name
        # The source region of a seed is the same in all tasks, and so are its split and the network trained on it.
        self.source_folder = folder / settings.digest / f'seed{task.seed}_source'
        self._classes = 0

    def result(self, method: str) -> dict[str, Any]:
        """Result of a method, from its file or from running it."""
        path = self.folder / f'{method}.json'
        if path.is_file():
            return json.loads(path.read_text())
        simulate(self.task, self.settings, self.data_root)
        if method != 'upper bound':
            self._source_checkpoint()
        start = time.perf_counter()
        result = self._run(method)
        result |= dict(method=method, **asdict(self.task), seconds=time.perf_counter() - start)
        result |= dict(settings=asdict(self.settings), true_shift=true_shift(self.data_root))
        write_atomically(path, json.dumps(result, indent=1).encode())
        return result

    def _run(self, method: str) -> dict[str, Any]:
        if method == 'upper bound':
            return self._train(self._config('upper bound', 'source', role='target'), self.folder / method)
        checkpoint = self._source_checkpoint()
        if method == 'source only':
            cfg = self._config('source test', 'source')
            cfg.load_from = str(checkpoint)
            return self._scores(self._runner(cfg, self.folder / method).test())
        if method == 'days moved':
            return self._move_days(checkpoint)
        variant = METHODS[method]
        cfg = self._config(method, variant.base)
        cfg.load_from = str(checkpoint)
        cfg.model.method.update(self._method_options(cfg.model.method, variant.method))
        for hook in cfg.custom_hooks:
            if hook.type == 'TemporalShiftHook':
                hook.update(variant.shift)
        return self._train(cfg, self.folder / method)

    @property
    def classes(self) -> int:
        """Number of classes, those of the source."""
        if not self._classes:
            dataset = TimeMatchDataset(str(self.data_root), source=SOURCE, min_parcels=self.settings.min_parcels)
            self._classes = len(dataset.metainfo['classes'])
        return self._classes

    def _source_checkpoint(self) -> Path:
        path = self.source_folder / 'source.pth'
        if not path.is_file():
            self._train(self._config('source', 'source'), self.source_folder)
            (self.source_folder / f'iter_{self.settings.source_steps}.pth').rename(path)
        return path

    def _method_options(self, method: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
        """The published ramps, which last as long as a run of 10000 steps, in a run of fewer."""
        steps, own = self.settings.adaptation_steps, dict(options)
        if method['type'] in ('DANN', 'CDAN', 'ALDA'):
            own['reversal'] = dict(length=steps / 10)
        if method['type'] == 'ALDA':
            own['reversal'] |= dict(alpha=10.0, counts_before_use=True)
            own['ramp_length'] = steps
        return own

    def _config(self, name: str, base: str, role: str = 'source') -> Config:
        """Config of a run: 'source' is the base of training with labels, others are adaptation methods."""
        labelled = base == 'source'
        bases = ['datasets/timematch.py' if labelled else 'datasets/timematch_adaptation.py']
        bases += (
            ['models/pse_ltae.py', 'schedules/schedule_timematch.py', 'default_runtime.py']
            if labelled
            else [f'adaptation/{base}.py']
        )
        folder = self.source_folder if name == 'source' else self.folder / name
        path = folder / 'config.py'
        text = f'_base_ = {[str(BASES / entry) for entry in bases]!r}\n'
        write_atomically(path, text.encode())
        settings = self.settings
        options = dict(data_root=str(self.data_root), source=SOURCE, target=TARGET, min_parcels=settings.min_parcels)
        cfg = load_config(path, options)
        self._set_data(cfg, role, labelled)
        self._set_schedule(cfg, labelled)
        network = cfg.model if labelled else cfg.model.segmentor
        network.decode_head.num_classes = self.classes
        return cfg

    def _set_data(self, cfg: Config, role: str, labelled: bool) -> None:
        settings = self.settings
        weak = [dict(type='SamplePixels', num_pixels=settings.pixels), dict(type='PackSeriesInputs')]
        strong = [weak[0], dict(type='SampleDates', num_dates=settings.dates), weak[1]]
        if settings.shift_augmentation:
            days = (-settings.shift_augmentation, settings.shift_augmentation)
            strong.insert(2, dict(type='ShiftDays', days=days))
        train = cfg.train_dataloader.dataset
        if labelled:
            train.update(role=role, pipeline=strong)
            parts = [train]
        else:
            train.domains.target.views = dict(target_weak=weak, target_strong=strong)
            train.domains.source.dataset.pipeline = strong
            parts = [domain.dataset for domain in train.domains.values()]
        for part in (*parts, cfg.val_dataloader.dataset, cfg.test_dataloader.dataset):
            part.update(val_ratio=0.05, test_ratio=0.4)
        for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
            loader.update(batch_size=settings.batch_size, num_workers=0, persistent_workers=False)
        cfg.test_dataloader.batch_size = 128

    def _set_schedule(self, cfg: Config, labelled: bool) -> None:
        settings = self.settings
        steps = settings.source_steps if labelled else settings.adaptation_steps
        rate = settings.source_lr if labelled else settings.adaptation_lr
        # One optimizer for all methods.
        cfg.optim_wrapper = dict(
            type='OptimWrapper', optimizer=dict(type='Adam', lr=rate, weight_decay=1e-4), clip_grad=None
        )
        cfg.param_scheduler = [dict(type='CosineAnnealingLR', eta_min=0, by_epoch=False)]
        cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=steps, val_interval=10**9)
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        cfg.default_hooks.checkpoint.update(interval=steps, save_best=None, max_keep_ckpts=1)
        cfg.default_hooks.pop('prediction_drawing')
        cfg.default_hooks.dataset_contract.update(data_card=False)
        for hook in cfg.custom_hooks:
            if hook.type == 'MeanTeacherHook':
                # After 10000 published steps e^-1 of the first teacher is left; here after a fifth of the run.
                hook.decay = float(np.exp(-5 / steps))
            else:
                hook.interval = max(1, steps // 4)
            if hook.type == 'TemporalShiftHook':
                hook.update(num_batches=None)
        cfg.randomness = dict(seed=self.task.seed)
        cfg.log_level = 'ERROR'
        cfg.vis_backends = [dict(type='LocalVisBackend')]

    def _runner(self, cfg: Config, folder: Path) -> Runner:
        # Visualizers are known by their name for the whole process.
        cfg.visualizer = dict(type='Visualizer', vis_backends=cfg.vis_backends, name=str(folder))
        prepare_config(cfg, work_dir=str(folder))
        return Runner.from_cfg(cfg)

    def _train(self, cfg: Config, folder: Path) -> dict[str, Any]:
        runner = self._runner(cfg, folder)
        runner.train()
        result = self._scores(runner.test())
        for hook in runner.hooks:
            history = getattr(hook, 'history', None)
            if type(hook).__name__ == 'TemporalShiftHook':
                result |= dict(estimated_shift=-hook.first_shift, last_shift=-history[-1]['shift'], shifts=history)
            elif type(hook).__name__ == 'PseudoLabelLogHook':
                result['kept_share'] = history[-1]['kept_share']
        return result

    def _move_days(self, checkpoint: Path) -> dict[str, Any]:
        """Score the source's network on the target moved by the shift that it estimates."""
        cfg = self._config('days moved', 'source')
        network = load_network(cfg, checkpoint)
        (target,) = open_domains(network, [TARGET], 'train', self.settings.pixels).values()
        order = np.arange(len(target))
        batches = unlabelled_batches(network, target, np.array_split(order, max(1, len(order) // 128)))
        found = estimate_shift(network.segmentor, batches)
        # A later reference date makes every day earlier.
        cfg.test_dataloader.dataset.season_start = str(np.datetime64('2018-01-01') - found.shift)
        cfg.default_hooks.checkpoint_contract.on_mismatch = 'warn'
        cfg.load_from = str(checkpoint)
        result = self._scores(self._runner(cfg, self.folder / 'days moved').test())
        return result | dict(
            estimated_shift=-found.shift,
            by_score={name: -shift for name, shift in found.by_score.items()},
            warnings=list(found.warnings),
        )

    @staticmethod
    def _scores(metrics: dict[str, float]) -> dict[str, Any]:
        return {name: float(metrics[name]) for name in ('macro_F1', 'OA')}


def summarise(results: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One row per shift, proportions and method, over the seeds."""
    held = {(r['shift'], r['proportions'], r['method'], r['seed']): r for r in results}
    tasks = dict.fromkeys((r['shift'], r['proportions']) for r in results)
    for shift, proportions in tasks:
        for method in ROWS:
            runs = [r for key, r in held.items() if key[:3] == (shift, proportions, method)]
            if not runs:
                continue
            row: dict[str, Any] = dict(shift=shift, proportions=proportions, method=method, seeds=len(runs))
            scores = np.array([run['macro_F1'] for run in runs])
            row |= dict(macro_F1=scores.mean(), std=scores.std(), OA=np.mean([run['OA'] for run in runs]))
            for name, reference in (('gain', 'source only'), ('against_control', 'control')):
                # Seed by seed: seeds differ more than methods do.
                pairs = [(r, held.get((shift, proportions, reference, r['seed']))) for r in runs]
                gains = [run['macro_F1'] - other['macro_F1'] for run, other in pairs if other]
                row[name] = float(np.mean(gains)) if gains else None
            estimates = [run['estimated_shift'] for run in runs if 'estimated_shift' in run]
            row |= dict(estimated=estimates, true=[round(run['true_shift'], 1) for run in runs])
            row['seconds'] = float(np.mean([run['seconds'] for run in runs]))
            yield row


def cells_of(row: dict[str, Any]) -> list[str]:
    """A row as it is printed, scores in per cent."""

    def percent(value: float | None) -> str:
        return '-' if value is None else f'{100 * value:+.1f}'

    return [
        row['method'],
        f'{100 * row["macro_F1"]:.1f} ± {100 * row["std"]:.1f}' if row['seeds'] > 1 else f'{100 * row["macro_F1"]:.1f}',
        percent(row['gain']),
        percent(row['against_control']),
        f'{100 * row["OA"]:.1f}',
        ' '.join(f'{shift:+d}' for shift in row['estimated']) or '-',
        ' '.join(f'{shift:+.1f}' for shift in row['true']) if row['estimated'] else '-',
        f'{row["seconds"]:.0f}',
    ]


HEADER = ('method', 'macro-F1', 'against source only', 'against control', 'OA', 'shift found', 'true', 'seconds')


def report(results: list[dict[str, Any]], folder: Path, console: Console) -> None:
    """Print a table for each shift and proportions, and write all of them as Markdown and CSV."""
    rows, pages = list(summarise(results)), []
    for shift, proportions in dict.fromkeys((row['shift'], row['proportions']) for row in rows):
        title = f'Target {shift:+d} days later, {proportions} proportions of classes'
        table = Table(*HEADER, title=title)
        page = [f'**{title}**', '', '| ' + ' | '.join(HEADER) + ' |', '|' + ' --- |' * len(HEADER)]
        for row in rows:
            if (row['shift'], row['proportions']) == (shift, proportions):
                table.add_row(*cells_of(row))
                page.append('| ' + ' | '.join(cells_of(row)) + ' |')
        console.print(table)
        pages.append('\n'.join(page) + '\n')
    write_atomically(folder / 'table.md', '\n'.join(pages).encode())
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator='\n')
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(folder / 'table.csv', text.getvalue().encode())


def parse_arguments(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add, given = parser.add_argument, Settings()
    add('--seeds', type=int, nargs='+', default=[0])
    add('--shifts', type=int, nargs='+', default=[30], help='days by which the target is late (default: 30)')
    add('--proportions', nargs='+', choices=['same', 'changed'], default=['same'], help="of the target's classes")
    add('--methods', nargs='+', choices=ROWS, default=list(ROWS), metavar='METHOD', help=f'of: {"; ".join(ROWS)}')
    add('--work-dir', type=Path, default=Path('work_dirs/adaptation_benchmark'), help='default: %(default)s')
    add('--size', type=int, default=given.size, help='side of a region, pixels of 10 m (default: %(default)s)')
    add('--source-steps', type=int, default=given.source_steps, help='default: %(default)s')
    add('--adaptation-steps', type=int, default=given.adaptation_steps, help='default: %(default)s')
    add('--batch-size', type=int, default=given.batch_size, help='default: %(default)s')
    add('--min-parcels', type=int, default=given.min_parcels, help='of a class (default: %(default)s)')
    add(
        '--shift-augmentation',
        type=int,
        default=given.shift_augmentation,
        help='move dates in training by up to so many days at random, as published (60); default: %(default)s',
    )
    add('--keep-checkpoints', action='store_true', help='leave the runs in the work directory')
    add('--traceback', action='store_true', help='show errors in full')
    options = parser.parse_args(arguments)
    if min(options.source_steps, options.adaptation_steps, options.batch_size, options.min_parcels) < 1:
        parser.error('steps, batch size and parcels must be 1 or more')
    if options.shift_augmentation < 0 or min(options.seeds) < 0:
        parser.error('--shift-augmentation and --seeds must be 0 or more')
    if options.size < 64 or max(abs(shift) for shift in options.shifts) > 60:
        parser.error('--size must be 64 or more, --shifts between -60 and 60 (the range searched)')
    return options


def main(options: argparse.Namespace) -> None:
    torch.set_num_threads(1)
    console = Console(width=130, highlight=False)
    names = ('size', 'source_steps', 'adaptation_steps', 'batch_size', 'min_parcels', 'shift_augmentation')
    settings = Settings(**{name: getattr(options, name) for name in names})
    tasks = [Task(s, d, p) for p in options.proportions for d in options.shifts for s in options.seeds]
    results, start = [], time.monotonic()
    total = len(tasks) * len(options.methods)
    for task in tasks:
        benchmark = Benchmark(task, settings, options.work_dir)
        for method in options.methods:
            result = benchmark.result(method)
            results.append(result)
            left = (time.monotonic() - start) / len(results) * (total - len(results))
            console.print(
                f'{len(results)}/{total} {task.name}: {method} {100 * result["macro_F1"]:.1f} '
                f'({result["seconds"]:.0f} s; about {left / 60:.0f} min left)'
            )
            if not options.keep_checkpoints:
                shutil.rmtree(benchmark.folder / method, ignore_errors=True)
    report(results, options.work_dir, console)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
