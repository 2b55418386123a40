"""Draw samples of a dataset, as loaded and as its pipeline augments them.

python tools/analysis_tools/browse_dataset.py configs/utae/utae_100e_pastis-fold1.py --out work_dirs/browse -n 20
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import numpy as np
from mmengine.config import DictAction
from rich.progress import track

import mmsits  # noqa: F401 (registers everything)
from mmsits.datasets.inspection import SPLITS, build_dataset, dataset_configs
from mmsits.engine import load_config
from mmsits.engine.command_line import building, run_tool
from mmsits.visualization.series import draw_sample, save_figure


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Draw samples of a dataset, before and after its augmentation.')
    parser.add_argument('config', help='config file')
    parser.add_argument('--out', type=Path, required=True, help='folder of the pictures')
    parser.add_argument('--split', choices=SPLITS, default='train', help='data loader (default: train)')
    parser.add_argument('-n', '--number', type=int, default=20, help='number of samples (default: 20)')
    parser.add_argument('--dates', type=int, default=5, help='dates drawn of each sensor (default: 5)')
    parser.add_argument('--shuffle', type=int, metavar='SEED', help='random samples instead of the first ones')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides: key=value key.inner=value …')
    parser.add_argument('--traceback', action='store_true', help='show errors in full')
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    with building():
        config = dataset_configs(load_config(arguments.config, arguments.cfg_options), [arguments.split])
        loaded = build_dataset(config[arguments.split], augment=False)
        augmented = build_dataset(config[arguments.split])
    indices = np.arange(len(loaded))
    if arguments.shuffle is not None:
        indices = np.random.default_rng(arguments.shuffle).permutation(indices)
    for index in track(indices[: arguments.number].tolist(), 'drawing'):
        stages = {'as loaded': loaded[index], 'augmented': augmented[index]}
        name = str(stages['as loaded']['metas']['sample_id'])
        figure = draw_sample(stages, loaded.metainfo, arguments.dates, f'{arguments.split} {index}: {name}')
        safe_name = re.sub(r'[^\w.-]', '_', name)
        save_figure(figure, arguments.out / f'{index:05d}_{safe_name}.png')


if __name__ == '__main__':
    sys.exit(run_tool(main, parse_arguments()))
