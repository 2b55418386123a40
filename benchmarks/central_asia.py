#!/usr/bin/env python3
"""Adaptation between two real regions: fields of Samarkand with labels, of Fergana without; docs/central_asia.md.

For each set of classes, seed and method one short run with the configs `configs/timematch/central_asia_*.py`, its
scores on all fields of Fergana and on those in test blocks, with which alone a network trained on Fergana is compared.
Every run leaves a JSON file, so a command that was stopped goes on where it was. In the end a table is printed:
means and standard deviations over seeds, and differences to the control of the same seed, which started from the same
weights and learned as long without the target.

    MMSITS_DATA=… python benchmarks/central_asia.py --classes three --seeds 0 1 2
    python benchmarks/central_asia.py --only-table
"""

from __future__ import annotations

import argparse
import json
import logging
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmseg.registry import DATASETS

import mmsits  # noqa: F401 (registers everything)
from mmsits.apis.domains import load_network
from mmsits.apis.shifts import estimate_shift
from mmsits.engine import load_config
from mmsits.engine.files import write_atomically
from mmsits.engine.studies import study_runner
from mmsits.evaluation import confusion_matrix, scores
from mmsits.models.adaptation.class_shares import estimate_shares
from mmsits.models.adaptation.shift_scores import judge_shift, score_shifts
from mmsits.models.adaptation.views import shift_days

CONFIGS = Path(__file__).resolve().parents[1] / 'configs' / 'timematch'
SETS = ('three', 'twelve')
#: The classes that have at least 50 fields in both regions.
THREE = ('cotton', 'wheat', 'wheat-other')
# Samarkand 2016 was observed from day 145 of the year on only: before it there is nothing to learn from.
COMMON = dict(type='CropDays', start=144)


class Method(NamedTuple):
    """A trained method.

    Attributes:
        config: name behind central_asia_.
        control: the method that it is compared with.
        start: the method whose weights it starts from.
        common: cut Fergana's series to the season that was observed in Samarkand too.
        options: what differs from the config, by dotted name.
    """

    config: str
    control: str | None = None
    start: str | None = 'source'
    common: bool = False
    options: dict[str, Any] = {}


TRAINED = {
    'source': Method('source', start=None),
    'control': Method('control'),
    'control_self': Method('control_self'),
    'timematch': Method('timematch', 'control_self'),
    'fixmatch': Method('fixmatch', 'control_self'),
    'mmd': Method('mmd', 'control'),
    'dann': Method('dann', 'control'),
    'cdan': Method('cdan', 'control'),
    'jumbot': Method('jumbot', 'control'),
    'target': Method('target', start=None),
    'source_jittered': Method('source_jittered', start=None),
    'control_self_jittered': Method('control_self_jittered', start='source_jittered'),
    'timematch_jittered': Method('timematch_jittered', 'control_self_jittered', 'source_jittered'),
    'timematch_shares': Method('timematch', 'control_self', options={'custom_hooks.1.estimator': 'EM'}),
    'timematch_balanced': Method('timematch', 'control_self', options={'model.method.balance': 'estimated'}),
    'source_shifted': Method('source_shifted', start=None),
    'alda': Method('alda', 'control'),
    'control_self_common': Method('control_self', common=True),
    'timematch_common': Method('timematch', 'control_self_common', common=True),
    'control_common': Method('control', common=True),
    'mmd_common': Method('mmd', 'control_common', common=True),
}
BASELINES = ('forest', 'linear')
#: The source's network without further training, on Fergana's series with other dates.
REDATED = ('source_common', 'source_moved', 'source_moved_by_year')
NAMES = {
    'forest': 'random forest',
    'linear': 'linear model',
    'source': 'source only',
    'source_common': 'source only, common season',
    'source_moved': 'source only, dates moved by the estimated shift',
    'source_moved_by_year': 'source only, dates of each year moved by its own estimate',
    'source_shifted': 'source only, shift augmentation',
    'source_jittered': 'source only, dates moved by up to 8 days',
    'control': 'control of the rivals',
    'control_common': 'control of the rivals, common season',
    'control_self': 'control of self-training',
    'control_self_common': 'control of self-training, common season',
    'timematch': 'TimeMatch',
    'control_self_jittered': 'control of self-training, dates moved by up to 8 days',
    'timematch_jittered': 'TimeMatch, dates moved by up to 8 days',
    'timematch_common': 'TimeMatch, common season',
    'timematch_shares': 'TimeMatch, re-estimated class shares',
    'timematch_balanced': 'TimeMatch, pseudo labels dealt out by estimated class shares',
    'fixmatch': 'FixMatch',
    'mmd': 'MMD',
    'mmd_common': 'MMD, common season',
    'dann': 'DANN',
    'cdan': 'CDAN',
    'jumbot': 'JUMBOT',
    'alda': 'ALDA',
    'target': 'trained on the target',
}


class Study:
    """Runs of one set of classes and one seed.

    Args:
        folder: where the JSON files and the networks go.
        classes: 'three' or 'twelve'.
        seed: of all runs.
    """

    def __init__(self, folder: Path, classes: str, seed: int) -> None:
        self.folder, self.classes, self.seed = folder, classes, seed

    def record(self, method: str) -> Path:
        """File of a method's result."""
        return self.folder / 'results' / f'{self.classes}_{method}_seed{self.seed}.json'

    def work_dir(self, method: str) -> Path:
        """Folder of a method's network."""
        return self.folder / 'runs' / f'{self.classes}_{method}_seed{self.seed}'

    def weights(self, method: str) -> Path:
        """The last checkpoint of a method."""
        steps = self._config(method).train_cfg.max_iters
        return self.work_dir(method) / f'iter_{steps}.pth'

    def run(self, method: str) -> None:
        """Train and test a method, unless its result is there."""
        if self.record(method).is_file():
            return
        started = time.perf_counter()
        run = self._baseline if method in BASELINES else self._redate if method in REDATED else self._train
        content = run(method)
        content.update(method=method, classes=self.classes, seed=self.seed, seconds=time.perf_counter() - started)
        write_atomically(self.record(method), json.dumps(content, indent=1).encode())

    def _config(self, method: str) -> Config:
        cfg = load_config(CONFIGS / f'central_asia_{TRAINED[method].config}.py')
        if self.classes == 'three':
            restrict_classes(cfg, THREE)
        return cfg

    def _train(self, method: str) -> dict[str, Any]:
        cfg = self._config(method)
        options = TRAINED[method]
        if options.start is not None:
            cfg.load_from = str(self.weights(options.start))
        if options.common:
            _cut_season(cfg)
        cfg.merge_from_dict(options.options)
        runner = study_runner(cfg, self.work_dir(method), self.seed)
        runner.train()
        content = self._test(runner.model, cfg.test_dataloader.dataset)
        for hook in runner.hooks:
            if type(hook).__name__ == 'TemporalShiftHook':
                content['shifts'] = hook.history
            if type(hook).__name__ == 'PseudoLabelLogHook':
                content['pseudo_labels'] = hook.history
        if method.startswith('source'):
            content['diagnosis'] = diagnose(runner.model, cfg)
        return content

    def _redate(self, method: str) -> dict[str, Any]:
        """Result of the source's network where Fergana's series are cut to the common season, or moved by the shift
        that the network estimates for all of them or for each year."""
        cfg = self._config('source')
        model = load_network(cfg, self.weights('source')).segmentor
        if method == 'source_common':
            cfg.test_dataloader.dataset['pipeline'] = [COMMON, *cfg.test_dataloader.dataset['pipeline']]
            return self._test(model, cfg.test_dataloader.dataset)
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
        years = dataset.table.columns['year'][dataset._parcels]
        groups = np.zeros_like(years) if method == 'source_moved' else years
        predicted, estimates = np.zeros(len(dataset), np.int64), {}
        for group in np.unique(groups):
            rows = np.flatnonzero(groups == group)
            part = dataset.get_subset(rows.tolist())
            found = estimate_shift(model, _batches(model, part), step=2)
            predicted[rows] = predict(model, part, found.shift).argmax(1)
            estimates[str(group)] = dict(shift=found.shift, fields=len(rows), warnings=list(found.warnings))
        return _scores(dataset, predicted) | dict(estimates=estimates)

    def _test(self, model: Any, config: Any) -> dict[str, Any]:
        dataset = DATASETS.build(config)
        return _scores(dataset, predict(model, dataset).argmax(1))

    def _baseline(self, method: str) -> dict[str, Any]:
        """Random forest or linear model, on series filled linearly in time, the edges with the nearest value."""
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        cfg = self._config('source')
        train, test = (DATASETS.build(cfg[f'{split}_dataloader'].dataset) for split in ('train', 'test'))
        if method == 'forest':
            model: Any = RandomForestClassifier(n_estimators=300, random_state=self.seed)
        else:
            model = make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=3000))
        model.fit(_filled(train), train.labels)
        return _scores(test, model.predict(_filled(test)))


def restrict_classes(cfg: Config, classes: tuple[str, ...]) -> None:
    """Let a config of twelve classes tell fewer apart; fields of the others are left out."""
    train = cfg.train_dataloader.dataset
    views = [domain.dataset for domain in train.domains.values()] if 'domains' in train else [train]
    for dataset in (*views, cfg.test_dataloader.dataset):
        dataset.classes = classes
    cfg.model.get('segmentor', cfg.model).decode_head.num_classes = len(classes)


def _cut_season(cfg: Config) -> None:
    """Let Fergana's series begin where Samarkand's do, in training and test."""
    views = cfg.train_dataloader.dataset.domains.target.views
    for name in list(views):
        views[name] = [COMMON, *views[name]]
    dataset = cfg.test_dataloader.dataset
    dataset['pipeline'] = [COMMON, *dataset['pipeline']]


def _batches(model: Any, dataset: Any, size: int = 512) -> Any:
    for first in range(0, len(dataset), size):
        yield model.data_preprocessor(dataset.__getitems__(range(first, min(first + size, len(dataset)))), False)


@torch.no_grad()
def predict(model: Any, dataset: Any, shift: int = 0) -> np.ndarray:
    """Probabilities (N, K) of a dataset's series, their dates moved by `shift` days."""
    model.eval()
    answers = [
        model.encode_decode(shift_days(batch['inputs'], shift)).softmax(1).flatten(1)
        for batch in _batches(model, dataset)
    ]
    return torch.cat(answers).cpu().numpy()


def _scores(dataset: Any, predicted: np.ndarray) -> dict[str, Any]:
    """Macro-F1 (over the classes of the reference) and OA, of all fields and of those in test blocks."""
    held_out = dataset.table.columns['split'][dataset._parcels] == 'test'
    number = len(dataset.metainfo['classes'])
    content: dict[str, Any] = {}
    for name, chosen in (('all', np.ones(len(held_out), bool)), ('blocks', held_out)):
        matrix = confusion_matrix(predicted[chosen].astype(np.int64), dataset.labels[chosen].astype(np.int64), number)
        overall = scores(matrix).overall
        content[name] = dict(
            fields=int(chosen.sum()),
            macro_f1=100 * float(overall['macro_F1']),
            oa=100 * float(overall['OA']),
            confusion=np.asarray(matrix).tolist(),
        )
    return content


def _filled(dataset: Any) -> np.ndarray:
    """Series without gaps, (N, T)."""
    table, rows = dataset.table, dataset._parcels
    return np.stack(
        [
            np.interp(days, days[seen], values[seen])
            for days, seen, values in zip(table.days[rows], table.exists[rows], table.values[rows, :, 0], strict=True)
        ]
    )


def diagnose(model: Any, cfg: Any) -> dict[str, Any]:
    """What can be known of the shift before adapting, and what only Fergana's labels tell.

    Every score's best shift between -60 and 60 days in steps of 4, with what speaks against it; the class shares that
    the source's network suggests for Fergana (by expectation maximisation) beside the true ones; the shift at which
    the most fields are right, which is not known to a user.
    """
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    source = DATASETS.build(cfg.train_dataloader.dataset)
    number = len(dataset.metainfo['classes'])
    training = np.bincount(source.labels, minlength=number) / len(source)
    probabilities = torch.from_numpy(predict(model, dataset))
    shares = estimate_shares(probabilities, torch.from_numpy(training)).numpy()
    chosen = np.random.default_rng(0).permutation(len(dataset))[:1024]
    statistics = score_shifts(model, _batches(model, dataset.get_subset(chosen.tolist())), list(range(-60, 61, 4)))
    curves: dict[str, Any] = {}
    cases = {
        'IS': ('IS', None),
        'ENT': ('ENT', None),
        'AM': ('AM', statistics.class_shares()[statistics.shifts.index(0)]),
        'AM, re-estimated shares': ('AM', torch.tensor(shares)),
    }
    for name, (estimator, distribution) in cases.items():
        trust = judge_shift(statistics, estimator, distribution)
        curves[name] = dict(
            shift=trust.shift,
            spread=trust.spread,
            contrast=trust.contrast,
            peaks=[[peak.shift, peak.depth] for peak in trust.peaks[:4]],
            warnings=list(trust.warnings),
            curve=statistics.scores(estimator, distribution).tolist(),
        )
    accuracy = statistics.scores('ACC').numpy()
    return dict(
        shifts=list(statistics.shifts),
        scores=curves,
        training_shares=training.tolist(),
        estimated_shares=shares.tolist(),
        true_shares=(np.bincount(dataset.labels, minlength=number) / len(dataset)).tolist(),
        accuracy=accuracy.tolist(),
        best_by_labels=int(statistics.shifts[int(accuracy.argmax())]),
    )


def read_results(folder: Path) -> dict[tuple[str, str, int], dict[str, Any]]:
    """Results by (classes, method, seed)."""
    records = [json.loads(path.read_text()) for path in sorted((folder / 'results').glob('*.json'))]
    return {(record['classes'], record['method'], record['seed']): record for record in records}


def table(results: Mapping[tuple[str, str, int], dict[str, Any]], classes: str) -> str:
    """The results of a set of classes as a table in Markdown."""
    lines = [
        '| method | seeds | macro-F1 | OA | macro-F1 − control, per seed | shift (first → last), days '
        '| macro-F1, test blocks |',
        '|---|---|---|---|---|---|---|',
    ]
    for method, name in NAMES.items():
        own = {seed: record for (c, m, seed), record in sorted(results.items()) if (c, m) == (classes, method)}
        if not own:
            continue
        control = TRAINED[method].control if method in TRAINED else None
        differences = [
            f'{record["all"]["macro_f1"] - results[classes, control, seed]["all"]["macro_f1"]:+.1f}'
            for seed, record in own.items()
            if control is not None and (classes, control, seed) in results
        ]
        shifts = [_shifts(record) for record in own.values() if {'shifts', 'estimates'} & record.keys()]
        all_fields = method != 'target'
        cells = [
            name,
            str(len(own)),
            _mean(own, lambda record: record['all']['macro_f1']) if all_fields else '–',
            _mean(own, lambda record: record['all']['oa']) if all_fields else '–',
            ', '.join(differences) or '–',
            ', '.join(shifts) or '–',
            _mean(own, lambda record: record['blocks']['macro_f1']),
        ]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def _mean(records: Mapping[int, dict[str, Any]], value: Callable[[dict[str, Any]], float]) -> str:
    values = np.array([value(record) for record in records.values()])
    return f'{values.mean():.1f}' + (f' ± {values.std():.1f}' if len(values) > 1 else '')


def _shifts(record: Mapping[str, Any]) -> str:
    if estimates := record.get('estimates'):
        return '/'.join(f'{estimate["shift"]:+d}' for estimate in estimates.values())
    history = record['shifts']
    # Of the estimates before the first step the last one counts.
    first = [entry['shift'] for entry in history if entry['iter'] == history[0]['iter']][-1]
    return f'{first:+d} → {history[-1]["shift"]:+d}'


def trust_table(results: Mapping[tuple[str, str, int], dict[str, Any]], classes: str) -> str:
    """What the source's network says of the shift, as a table in Markdown."""
    lines = [
        '| network | seed | score | best shift | contrast | warnings | best by labels |',
        '|---|---|---|---|---|---|---|',
    ]
    for (c, method, seed), record in sorted(results.items()):
        if c != classes or 'diagnosis' not in record:
            continue
        diagnosis = record['diagnosis']
        for name, score in diagnosis['scores'].items():
            said = '; '.join(score['warnings']) or 'none'
            cells = (NAMES[method], str(seed), name, f'{score["shift"]:+d}', f'{score["contrast"]:.0f}', said)
            lines.append('| ' + ' | '.join(cells) + f' | {diagnosis["best_by_labels"]:+d} |')
    return '\n'.join(lines)


def parse_arguments() -> argparse.Namespace:
    methods = (*TRAINED, *REDATED, *BASELINES)
    parser = argparse.ArgumentParser(description='Adaptation from Samarkand to Fergana.')
    parser.add_argument('--folder', type=Path, default=Path('work_dirs/central_asia_study'), help='of the results')
    parser.add_argument('--classes', nargs='+', choices=SETS, default=list(SETS))
    parser.add_argument('--seeds', nargs='+', type=int, default=[0, 1, 2])
    parser.add_argument('--methods', nargs='+', choices=methods, default=list(methods))
    parser.add_argument('--only-table', action='store_true', help='print what there is')
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    warnings.filterwarnings('ignore')
    logging.getLogger('mmengine').setLevel(logging.WARNING)
    tasks = [
        (Study(arguments.folder, classes, seed), method)
        for classes in arguments.classes
        for seed in arguments.seeds
        for method in arguments.methods
    ]
    if not arguments.only_table:
        open_tasks = [(study, method) for study, method in tasks if not study.record(method).is_file()]
        started = time.perf_counter()
        for number, (study, method) in enumerate(open_tasks, 1):
            start = TRAINED[method].start if method in TRAINED else 'source' if method in REDATED else None
            if start is not None:
                study.run(start)
            study.run(method)
            passed = time.perf_counter() - started
            left = passed / number * (len(open_tasks) - number)
            print(
                f'{number}/{len(open_tasks)} {study.classes} classes, seed {study.seed}, {method}: '
                f'{passed / 60:.1f} min, about {left / 60:.1f} min left',
                flush=True,
            )
    results = read_results(arguments.folder)
    for classes in arguments.classes:
        print(f'\n{classes} classes\n\n{table(results, classes)}\n\n{trust_table(results, classes)}')


if __name__ == '__main__':
    main(parse_arguments())
