"""Train a model: `python tools/train.py CONFIG`."""

from __future__ import annotations

import argparse
import sys

from mmengine.config import DictAction
from mmengine.runner import Runner

import mmsits  # noqa: F401 (registers everything)
from mmsits.engine import load_config, prepare_config, trust_checkpoints
from mmsits.engine.command_line import building, run_tool


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Train a model.')
    parser.add_argument('config', help='config file')
    parser.add_argument('--work-dir', help='folder of the run (default: work_dirs/<name of the config>)')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from this checkpoint, or from the newest readable one of the work directory',
    )
    parser.add_argument('--amp', action='store_true', help='train with automatic mixed precision')
    parser.add_argument('--seed', type=int, help='seed of the run')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, help='overrides: key=value key.inner=value …')
    parser.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    parser.add_argument(
        '--trust-checkpoint',
        action='store_true',
        help='open checkpoints that hold code: only if you trust their origin',
    )
    parser.add_argument('--traceback', action='store_true', help='show errors in full')
    # Old launchers of torch hand the rank over this way; it is read from the environment.
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return parser.parse_args()


def main(arguments: argparse.Namespace) -> None:
    trust_checkpoints(arguments.trust_checkpoint)
    with building():
        cfg = load_config(arguments.config, arguments.cfg_options)
        prepare_config(
            cfg,
            work_dir=arguments.work_dir,
            launcher=arguments.launcher,
            amp=arguments.amp,
            seed=arguments.seed,
            resume=arguments.resume,
        )
        runner = Runner.from_cfg(cfg)
    runner.train()


if __name__ == '__main__':
    parsed = parse_arguments()
    sys.exit(run_tool(main, parsed))
