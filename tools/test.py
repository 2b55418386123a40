"""Test a checkpoint: `python tools/test.py CONFIG CHECKPOINT`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

import mmsits  # noqa: F401 (registers everything)
from mmsits.engine import ConfigError, load_config, prepare_config, trust_checkpoints
from mmsits.engine.command_line import building, run_tool
from mmsits.evaluation.one_versus_rest import head_threshold


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Test a checkpoint.')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--work-dir', help='folder for logs (default: work_dirs/<name of the config>)')
    parser.add_argument('--out', help='write scores and confusion matrix to this file (.json or .npz)')
    parser.add_argument(
        '--threshold',
        type=float,
        help='also score each crop against all else, found from this probability on; curves and tables are written '
        'to <work dir>/thresholds (the other scores are those of the decisions of the head, whose threshold is '
        'model.decode_head.threshold)',
    )
    parser.add_argument('--eval-crop', nargs='+', help='with --threshold: only these crops')
    parser.add_argument(
        '--show-dir',
        help='draw the first predictions into this folder (how many: default_hooks.prediction_drawing.max_pictures)',
    )
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


def write_results_to(cfg: Config, out: str) -> None:
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    metrics = [metric for metric in evaluators if metric['type'] == 'SeriesSegmentationMetric']
    if not metrics:
        raise ConfigError('--out: the test_evaluator of the config has no SeriesSegmentationMetric')
    metrics[0]['out'] = out


def score_by_threshold(cfg: Config, threshold: float, crops: list[str] | None) -> None:
    evaluators = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    given = [metric for metric in evaluators if metric['type'] == 'OneVersusRestMetric']
    metric = given[0] if given else dict(type='OneVersusRestMetric')
    metric.setdefault('head_threshold', head_threshold(cfg.model))
    metric.update(threshold=threshold, out_dir=str(Path(cfg.work_dir, 'thresholds')))
    if crops:
        metric['crops'] = crops
    cfg.test_evaluator = evaluators if given else [*evaluators, metric]


def draw_into(cfg: Config, folder: str) -> None:
    hooks = cfg.get('default_hooks', {})
    drawing = hooks.get('prediction_drawing') or {'type': 'PredictionDrawingHook'}
    cfg.default_hooks = {**hooks, 'prediction_drawing': {**drawing, 'show_dir': folder}}


def main(arguments: argparse.Namespace) -> None:
    trust_checkpoints(arguments.trust_checkpoint)
    with building():
        cfg = load_config(arguments.config, arguments.cfg_options)
        cfg.resume = False
        # The weights that the training started from need not exist here.
        cfg.load_from = arguments.checkpoint
        prepare_config(cfg, work_dir=arguments.work_dir, launcher=arguments.launcher)
        if arguments.out:
            write_results_to(cfg, arguments.out)
        if arguments.threshold is not None:
            score_by_threshold(cfg, arguments.threshold, arguments.eval_crop)
        elif arguments.eval_crop:
            raise ConfigError('--eval-crop goes with --threshold')
        if arguments.show_dir:
            draw_into(cfg, arguments.show_dir)
        runner = Runner.from_cfg(cfg)
    runner.test()


if __name__ == '__main__':
    parsed = parse_arguments()
    sys.exit(run_tool(main, parsed))
