#!/usr/bin/env python3
"""Draw accuracy and calibration against the last date of the series: what a network knows before the season is over.

    python tools/analysis_tools/early_season.py CONFIG --checkpoint FILE --dates 04-01 05-01 06-01 07-01 --out early/
    python tools/analysis_tools/early_season.py CONFIG --fine-tune --dates 04-01 05-01 06-01 07-01 --out early/

With --checkpoint one network is tested on series of every length. With --fine-tune the config is trained once for each
length, from the weights that it names (load_from, or a hook that transfers weights), and tested on that length. Both
can be asked for together, or one after the other with the same --out. A date stands for all observations of a sample's
own season up to it, that day included; a number N for the first N days of the season.

Written are early_season.json, .csv and .png. What is finished is not done again when the command is repeated; a
training that was stopped goes on from its last checkpoint.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.runner import Runner
from rich.console import Console

import mmsits  # noqa: F401 (registers everything)
from mmsits.apis.domains import load_network
from mmsits.apis.map_manifest import digest_of
from mmsits.apis.scene_inputs import NetworkRunner
from mmsits.datasets.errors import DataError
from mmsits.engine import ConfigError, load_config, prepare_config, trust_checkpoints
from mmsits.engine.checkpoint import find_resumable
from mmsits.engine.command_line import building, progress_bar, run_tool
from mmsits.engine.files import write_atomically
from mmsits.evaluation.early_season import cut_series, date_of, days_into_season, last_date, score_batches
from mmsits.visualization.early_season import draw_early_season

TESTED, FINE_TUNED = 'one network, tested on every length', 'fine-tuned for each length'
RESULTS = 'early_season.json'


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('config', help='config of the network and its data')
    add('--checkpoint', type=Path, help='trained network, to be tested on every length')
    add('--fine-tune', action='store_true', help='train the config once for each length, and test it there')
    add('--dates', nargs='+', required=True, help='MM-DD, or N for the first N days of the season')
    add('--split', choices=('val', 'test'), default='test', help='which data to test on (default: %(default)s)')
    add('--out', type=Path, required=True, help='folder for the results')
    add('--bins', type=int, default=15, help='of the calibration error (default: %(default)s)')
    add('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    add('--cfg-options', nargs='+', action=DictAction, help='overrides: key=value key.inner=value …')
    add('--trust-checkpoint', action='store_true', help='open checkpoints that hold code: only if you trust them')
    add('--traceback', action='store_true', help='show errors in full')
    return parser.parse_args()


class Results:
    """Scores by way and length in a file that is written after each.

    Args:
        path: of the file.
        marks: for each way what it was made from; scores made from other things are refused.
    """

    def __init__(self, path: Path, marks: dict[str, str]) -> None:
        self.path = path
        held: dict[str, Any] = dict(marks={}, curves={})
        if path.is_file():
            try:
                held = json.loads(path.read_text(encoding='utf-8'))
                self._refuse_others(held['marks'], marks)
            except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
                raise DataError(f'the results cannot be read ({error})', path=path, hint='Remove the file.') from error
        self.marks = {**held['marks'], **marks}
        self.curves = {way: {int(end): row for end, row in rows.items()} for way, rows in held['curves'].items()}

    def _refuse_others(self, held: dict[str, str], marks: dict[str, str]) -> None:
        for way, mark in marks.items():
            if held.get(way, mark) != mark:
                raise ConfigError(
                    f'{self.path} holds results of another config, checkpoint or split ({way}): give another --out'
                )

    def holds(self, way: str, end: int, last: int | str) -> bool:
        """Whether a length was done; what was cut after so many days may differ by one from what was cut at a date."""
        row = self.curves.get(way, {}).get(end)
        return row is not None and row.get('last_date', end) == last

    def add(self, way: str, end: int, row: dict[str, Any]) -> None:
        self.curves.setdefault(way, {})[end] = row
        content = dict(marks=self.marks, curves=self.curves)
        write_atomically(self.path, json.dumps(content, indent=1).encode())


def loader_of(cfg: Config, split: str, end: int | str) -> Any:
    loader = dict(cfg[f'{split}_dataloader'])
    loader['dataset'] = cut_series(loader['dataset'], end)
    return Runner.build_dataloader(loader, seed=0)


def test_until(cfg: Config, checkpoint: Path, end: int | str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Scores of a network on series that end on a day, see `cut_series`."""
    with building():
        runner = NetworkRunner(load_network(cfg, checkpoint, arguments.device))
        loader = loader_of(cfg, arguments.split, end)
    with progress_bar(f'testing up to {end}') as progress, torch.inference_mode():

        def counted() -> Iterator[dict[str, Any]]:
            for done, batch in enumerate(loader, start=1):
                yield batch
                progress(done, len(loader))

        return score_batches(runner.predict, counted(), runner.classes, arguments.bins)


def train_until(arguments: argparse.Namespace, end: int | str) -> tuple[Config, Path]:
    """Train the config on series that end on a day, or go on with it; its config and best, else last, checkpoint.

    Raises:
        ConfigError: if a training that was begun there is that of another config, or left no checkpoint.
    """
    folder = arguments.out / f'until_{end}'
    note = folder / 'config.sha256'
    with building():
        cfg = load_config(arguments.config, arguments.cfg_options)
        mark = hashlib.sha256(cfg.pretty_text.encode()).hexdigest()
        if note.is_file() and note.read_text(encoding='utf-8') != mark:
            raise ConfigError(f'{folder} holds a training of another config: remove it, or give another --out')
        for split in ('train', 'val', 'test'):
            if cfg.get(f'{split}_dataloader'):
                cfg[f'{split}_dataloader'].dataset = cut_series(cfg[f'{split}_dataloader'].dataset, end)
        prepare_config(cfg, work_dir=str(folder), resume='auto')
        runner = Runner.from_cfg(cfg)
    write_atomically(note, mark.encode())
    runner.train()
    best = sorted(folder.glob('best_*.pth'), key=lambda path: path.stat().st_mtime)
    checkpoint = best[-1] if best else find_resumable(str(folder))
    if checkpoint is None:
        raise ConfigError(f'the training in {folder} left no checkpoint: see default_hooks.checkpoint of the config')
    return load_config(arguments.config, arguments.cfg_options), Path(checkpoint)


def season_start_of(cfg: Config, split: str) -> str:
    with building():
        dataset = Runner.build_dataloader(cfg[f'{split}_dataloader'], seed=0).dataset
    return str(dataset.metainfo['season_start'])


def report(results: Results, dates: dict[int, str], out: Path, console: Console) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    names = ('OA', 'macro_F1', 'mIoU', 'kappa', 'ECE', 'confidence', 'pixels', 'unobserved')
    writer.writerow(['way', 'date', 'days', *names])
    for way, rows in results.curves.items():
        console.print(f'{way}:')
        for end in sorted(rows):
            writer.writerow([way, dates[end], end, *(rows[end][name] for name in names)])
            shown = '  '.join(f'{name} {rows[end][name]:.4f}' for name in ('OA', 'macro_F1', 'ECE'))
            console.print(f'  up to {dates[end]}  {shown}')
    console.print(
        'OA: share of the labelled pixels that are right. macro_F1: mean over the classes in the reference. ECE: mean '
        'difference of confidence and accuracy over bins of confidence, weighted by their pixels.'
    )
    write_atomically(out / 'early_season.csv', text.getvalue().encode())
    write_atomically(out / 'early_season.png', draw_early_season(results.curves, dates))


def main(arguments: argparse.Namespace) -> None:
    trust_checkpoints(arguments.trust_checkpoint)
    if arguments.checkpoint is None and not arguments.fine_tune:
        raise ConfigError('give a network to test (--checkpoint FILE), or --fine-tune, or both')
    with building():
        cfg = load_config(arguments.config, arguments.cfg_options)
    start = season_start_of(cfg, arguments.split)
    ends = {days_into_season(date, start): last_date(date, start) for date in arguments.dates}
    arguments.out.mkdir(parents=True, exist_ok=True)
    described = hashlib.sha256(f'{cfg.pretty_text} {arguments.split} {arguments.bins}'.encode()).hexdigest()
    marks = {}
    if arguments.checkpoint is not None:
        marks[TESTED] = f'{described} {digest_of(arguments.checkpoint)}'
    if arguments.fine_tune:
        marks[FINE_TUNED] = described
    results = Results(arguments.out / RESULTS, marks)
    console = Console(soft_wrap=True, highlight=False)
    todo = [(way, end) for way in marks for end in sorted(ends) if not results.holds(way, end, ends[end])]
    begun = time.monotonic()
    for done, (way, end) in enumerate(todo):
        left = f', about {(time.monotonic() - begun) / done * (len(todo) - done):.0f} s left' if done else ''
        console.print(f'{way}, up to {date_of(end, start)}: {done + 1} of {len(todo)}{left}')
        last = ends[end]
        trained = (cfg, arguments.checkpoint) if way == TESTED else train_until(arguments, last)
        row = test_until(*trained, last, arguments)
        results.add(way, end, row if last == end else dict(row, last_date=last))
    held = {end for rows in results.curves.values() for end in rows}
    report(results, {end: date_of(end, start) for end in held}, arguments.out, console)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
