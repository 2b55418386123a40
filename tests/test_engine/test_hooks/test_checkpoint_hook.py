import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS

from mmsits.engine import ConfigError, DiskWriteError, SeriesCheckpointHook, load_strictly


class _Runner:
    """What the hook needs of a runner; `fail_at` is the iteration whose checkpoint cannot be written."""

    def __init__(self, work_dir: Path, name: str, counts: int = 1, fail_at: int = -1) -> None:
        self.work_dir, self.fail_at = str(work_dir), fail_at
        self.logger = MMLogger.get_instance(name)
        self.message_hub = MessageHub(name)
        self.optim_wrapper = OptimWrapper(
            torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1), accumulative_counts=counts
        )
        self.iter, self.epoch, self.max_iters = 0, 0, 10**6
        self._resume = False
        self.train_loop = SimpleNamespace(stop_training=False)

    def save_checkpoint(self, out_dir: str, filename: str, *_: Any, meta: dict, **__: Any) -> None:
        if meta['iter'] == self.fail_at:
            raise DiskWriteError(errno.ENOSPC, 'the disk is full', str(Path(out_dir) / filename))
        torch.save({'meta': meta, 'message_hub': self.message_hub.state_dict()}, Path(out_dir) / filename)


def _train(hook: SeriesCheckpointHook, runner: _Runner, steps: int, scores: dict[int, float] | None = None) -> None:
    while runner.iter < steps:
        hook.after_train_iter(runner, runner.iter)
        runner.iter += 1
        if scores and runner.iter in scores:
            hook.after_val_epoch(runner, {'mIoU': scores[runner.iter], 'OA': 0.5})


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_are_kept_and_the_pointer_is_relative(tmp_path: Path) -> None:
    hook, runner = SeriesCheckpointHook(interval=10, max_keep_ckpts=2), _Runner(tmp_path, 'newest')
    hook.before_train(runner)
    _train(hook, runner, 40)
    assert _names(tmp_path) == ['iter_30.pth', 'iter_40.pth', 'last_checkpoint']
    assert (tmp_path / 'last_checkpoint').read_text() == 'iter_40.pth'


def test_old_checkpoint_is_deleted_only_after_the_new_one_stands(tmp_path: Path) -> None:
    hook, runner = SeriesCheckpointHook(interval=10, max_keep_ckpts=1), _Runner(tmp_path, 'full', fail_at=20)
    hook.before_train(runner)
    with pytest.raises(DiskWriteError, match=r'stopped at iteration 20: make room.*--resume.*iter_20\.pth'):
        _train(hook, runner, 30)
    assert _names(tmp_path) == ['iter_10.pth', 'last_checkpoint']
    assert (tmp_path / 'last_checkpoint').read_text() == 'iter_10.pth'


def test_a_kill_before_the_old_one_is_deleted_is_made_good_when_resumed(tmp_path: Path) -> None:
    hook, runner = SeriesCheckpointHook(interval=10, max_keep_ckpts=1), _Runner(tmp_path, 'kill')
    hook.before_train(runner)
    _train(hook, runner, 10)
    old = (tmp_path / 'iter_10.pth').read_bytes()
    _train(hook, runner, 20)
    (tmp_path / 'iter_10.pth').write_bytes(old)
    resumed = _Runner(tmp_path, 'kill again')
    resumed.message_hub.load_state_dict(load_strictly(tmp_path / 'iter_20.pth')['message_hub'])
    SeriesCheckpointHook(interval=10, max_keep_ckpts=1).before_train(resumed)
    assert 'iter_10.pth' not in _names(tmp_path)
    assert 'iter_20.pth' in _names(tmp_path)


def test_best_is_kept_by_name_with_plain_floats(tmp_path: Path) -> None:
    hook = SeriesCheckpointHook(interval=10, max_keep_ckpts=1, save_best='mIoU')
    runner = _Runner(tmp_path, 'best')
    hook.before_train(runner)
    _train(hook, runner, 40, {10: np.float32(0.25), 20: float('nan'), 30: 0.75, 40: 0.5})
    assert _names(tmp_path) == ['best_mIoU_iter_30.pth', 'iter_40.pth', 'last_checkpoint']
    info = load_strictly(tmp_path / 'iter_40.pth')['message_hub']['runtime_info']
    assert info['best_score'] == 0.75
    assert type(info['best_score']) is float
    assert info['best_ckpt'] == 'best_mIoU_iter_30.pth'


def test_best_of_a_moved_run_is_replaced_in_its_new_place(tmp_path: Path) -> None:
    before, after = tmp_path / 'before', tmp_path / 'after'
    before.mkdir()
    hook, runner = SeriesCheckpointHook(interval=10, save_best='mIoU'), _Runner(before, 'moved')
    hook.before_train(runner)
    _train(hook, runner, 10, {10: 0.5})
    before.rename(after)
    resumed = _Runner(after, 'moved again')
    resumed.message_hub.load_state_dict(load_strictly(after / 'iter_10.pth')['message_hub'])
    resumed.iter = 10
    hook = SeriesCheckpointHook(interval=10, save_best='mIoU')
    hook.before_train(resumed)
    _train(hook, resumed, 20, {20: 0.75})
    assert [name for name in _names(after) if name.startswith('best')] == ['best_mIoU_iter_20.pth']


def test_unknown_metric_is_named(tmp_path: Path) -> None:
    hook, runner = SeriesCheckpointHook(interval=10, save_best='mIou', rule='greater'), _Runner(tmp_path, 'unknown')
    hook.before_train(runner)
    with pytest.raises(ConfigError, match=r"save_best='mIou', but validation gives \['OA', 'mIoU'\]"):
        _train(hook, runner, 10, {10: 0.5})


def test_interval_must_fit_gradient_accumulation(tmp_path: Path) -> None:
    hook, runner = SeriesCheckpointHook(interval=10), _Runner(tmp_path, 'accumulation', counts=4)
    with pytest.raises(ConfigError, match=r'accumulative_counts=4.*interval to 12'):
        hook.before_train(runner)
    with pytest.raises(ConfigError, match='by_epoch'):
        SeriesCheckpointHook(by_epoch=True)


def test_misspelt_argument_is_refused_before_training() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'intervall'"):
        SeriesCheckpointHook(intervall=10)


def test_deprecations_within_mmengine_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    runner = _Runner(tmp_path, 'deprecations')
    monkeypatch.setattr(runner.logger, 'callHandlers', lambda record: shown.append(record.getMessage()))
    hook = SeriesCheckpointHook(interval=10)
    hook.before_train(runner)
    assert shown == [f'Checkpoints will be saved to {tmp_path}.']
    monkeypatch.setattr(
        runner, 'save_checkpoint', lambda *_, **__: runner.logger.warning('y will be deprecated in future')
    )
    hook._write(runner, 'iter_1.pth', meta={})
    runner.logger.warning('x will be deprecated in future')
    assert shown[1:] == ['x will be deprecated in future']


def _scheduler(settings: dict[str, Any]) -> Any:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=1)
    return PARAM_SCHEDULERS.build(settings, default_args=dict(optimizer=optimizer, by_epoch=False))


@pytest.mark.parametrize(
    'settings', [dict(type='OneCycleLR', eta_max=2.0, total_steps=9), dict(type='CosineAnnealingLR', T_max=9)]
)
def test_schedulers_are_saved_without_code_and_go_on_as_they_were(tmp_path: Path, settings: dict[str, Any]) -> None:
    going, resumed = _scheduler(settings), _scheduler(settings)
    going.optimizer.step()
    resumed.optimizer.step()
    for _ in range(4):
        going.step()
    checkpoint = dict(param_schedulers=[going.state_dict()])
    SeriesCheckpointHook(interval=1).before_save_checkpoint(_Runner(tmp_path, 'schedulers'), checkpoint)
    torch.save(checkpoint, tmp_path / 'iter_4.pth')
    resumed.load_state_dict(torch.load(tmp_path / 'iter_4.pth', weights_only=True)['param_schedulers'][0])
    resumed.optimizer.load_state_dict(going.optimizer.state_dict())
    for _ in range(4):
        going.step()
        resumed.step()
        assert resumed.optimizer.param_groups[0]['lr'] == going.optimizer.param_groups[0]['lr'] != 1
