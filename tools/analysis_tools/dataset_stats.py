"""Bands, dates, validity, classes and value ranges of a dataset; normalisation statistics in the form of PASTIS.

    python tools/analysis_tools/dataset_stats.py configs/utae/utae_100e_pastis-fold1.py
    python tools/analysis_tools/dataset_stats.py data/PASTIS --norm data/PASTIS

Given a folder in the layout of PASTIS, all its patches and sensors are taken. --norm writes NORM_<sensor>_patch.json
per sensor into a folder: mean and standard deviation per patch, averaged over the patches of each fold.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from mmengine.config import DictAction

import mmsits  # noqa: F401 (registers everything)
from mmsits.datasets import PASTISDataset
from mmsits.datasets.data_card import describe_dataset, sample_statistics
from mmsits.datasets.inspection import SPLITS, build_dataset, dataset_configs
from mmsits.datasets.transforms import LoadSeries, LoadSeriesLabels, PackSeriesInputs
from mmsits.engine import load_config
from mmsits.engine.command_line import building, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Describe a dataset and compute its normalisation statistics.')
    parser.add_argument('data', type=Path, help='config file, or a folder in the layout of PASTIS')
    parser.add_argument('--split', choices=SPLITS, default='train', help='data loader of the config (default: train)')
    parser.add_argument('--max-samples', type=int, help='look at so many samples, chosen at random (default: all)')
    parser.add_argument('--out', type=Path, help='write data_card.json and data_card.txt to this folder')
    parser.add_argument('--norm', type=Path, help='write NORM_<sensor>_patch.json to this folder; never replaces one')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides: key=value key.inner=value …')
    parser.add_argument('--traceback', action='store_true', help='show errors in full')
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    with building():
        dataset = _open(arguments)
    card = describe_dataset(dataset, arguments.max_samples)
    card.print()
    if arguments.out:
        print(f'written: {card.save(arguments.out)}')
    if arguments.norm:
        _write_statistics(dataset, arguments.norm)


def _open(arguments: argparse.Namespace) -> Any:
    if not arguments.data.is_dir():
        config = load_config(arguments.data, arguments.cfg_options)
        return build_dataset(dataset_configs(config, [arguments.split])[arguments.split], augment=False)
    sensors = [name for name in PASTISDataset.SENSORS if (arguments.data / f'DATA_{name.upper()}').is_dir()]
    pipeline = [LoadSeries(), LoadSeriesLabels(), PackSeriesInputs()]
    return PASTISDataset(str(arguments.data), sensors=sensors or ('s2',), pipeline=pipeline)


def _write_statistics(dataset: Any, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for sensor, folds in sample_statistics(dataset).items():
        path = folder / f'NORM_{sensor.upper()}_patch.json'
        if path.exists():
            print(f'kept as it is: {path}')
            continue
        path.write_text(json.dumps(folds, indent=4) + '\n')
        print(f'written: {path}')


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
