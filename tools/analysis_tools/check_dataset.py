"""Read every sample of a config's datasets and list all that cannot be used.

    python tools/analysis_tools/check_dataset.py configs/utae/utae_100e_pastis-fold1.py --split train val --out bad.csv

Exit status 1 if a sample is bad.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

from mmengine.config import DictAction
from rich.console import Console
from rich.progress import track

import mmsits  # noqa: F401 (registers everything)
from mmsits.datasets.inspection import SPLITS, BadSample, build_dataset, check_samples, dataset_configs
from mmsits.engine import load_config
from mmsits.engine.command_line import building, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Read every sample of the datasets and list those that are bad.')
    parser.add_argument('config', help='config file')
    parser.add_argument('--split', nargs='+', choices=SPLITS, default=list(SPLITS), help='data loaders (default: all)')
    parser.add_argument('--out', type=Path, help='write the bad samples to this CSV file')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides: key=value key.inner=value …')
    parser.add_argument('--traceback', action='store_true', help='show errors of the config in full')
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    with building():
        configs = dataset_configs(load_config(arguments.config, arguments.cfg_options), arguments.split)
    console = Console(soft_wrap=True, highlight=False)
    bad: list[BadSample] = []
    for split, config in configs.items():
        bad += _check(split, config, console)
    if arguments.out:
        _write(bad, arguments.out)
    if bad:
        raise SystemExit(1)


def _check(split: str, config: dict, console: Console) -> list[BadSample]:
    try:
        dataset = build_dataset(config, augment=False)
    except (ValueError, OSError) as error:
        found = BadSample(split, -1, '', type(error).__name__, str(error))
        console.print(f'{split}: cannot be opened: {error}', markup=False)
        return [found]
    steps = track(check_samples(dataset, split), split, total=len(dataset), console=Console(stderr=True))
    bad = [sample for sample in steps if sample is not None]
    for sample in bad:
        console.print(f'{split} {sample.position} ({sample.sample_id}): {sample.message}', markup=False)
    console.print(f'{split}: {len(dataset)} samples read, {len(bad)} bad', markup=False)
    return bad


def _write(bad: list[BadSample], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(BadSample._fields)
        writer.writerows(bad)


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
