"""What studies of many trainings have in common: quiet runs in folders of their own, each done once."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from mmengine.config import Config
from mmengine.runner import Runner

from .config import prepare_config
from .files import write_atomically


def study_runner(cfg: Config, work_dir: Path, seed: int) -> Runner:
    """A quiet runner, one of many in a process: it shares neither its name nor its visualiser with another.

    Args:
        cfg: from `load_config`; changed in place.
        work_dir: folder of the run.
        seed: of the run.
    """
    cfg.log_level = 'WARNING'
    cfg.experiment_name = f'{work_dir.name}_{time.time_ns()}'
    cfg.visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')], name=cfg.experiment_name)
    prepare_config(cfg, work_dir=str(work_dir), seed=seed)
    return Runner.from_cfg(cfg)


def train_once(checkpoint: Path, train: Callable[[], object]) -> None:
    """Train unless that was done, and say how long it took.

    Args:
        checkpoint: what the training leaves. A file beside it, ending in .done, says that the run came to its end: the
            checkpoint is written in the last step, and the run is over after it.
        train: the training.
    """
    done = checkpoint.with_suffix('.done')
    if done.is_file():
        return
    started = time.perf_counter()
    train()
    passed = time.perf_counter() - started
    write_atomically(done, f'{passed:.0f} s\n'.encode())
    print(f'{checkpoint.parent.name}: {passed / 60:.1f} min', flush=True)
