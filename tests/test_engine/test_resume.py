"""A run that was killed and resumed ends with the very bits of one that was not."""

import json
import signal
from pathlib import Path

import pytest
import torch

from tests.helpers.forked_tools import ROOT, run_tools
from tests.helpers.pastis_miniature import write_pastis_miniature
from tests.helpers.tiny_model import write_config

TRAIN = str(ROOT / 'tools' / 'train.py')
KILL = "\ncustom_hooks = [dict(type='EMAHook', momentum=0.1), dict(type='KillHook', {})]\n"
# In the middle of an accumulation (2 steps); half-way through writing a checkpoint; after it, while validating; after
# validation and a new best.
MOMENTS = {
    'step 5': 'at=5',
    'saving 8': 'at=8, while_saving=True',
    'validating 8': 'at=8, while_validating=True',
    'step 10': 'at=10',
}
# The iteration that each is resumed from.
RESUMED = {'step 5': 4, 'saving 8': 4, 'validating 8': 8, 'step 10': 8}
CASES = [(moment, workers) for moment in MOMENTS for workers in (0, 2)]


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    folder = tmp_path_factory.mktemp('resume')
    data = write_pastis_miniature(folder / 'data')
    plain = write_config(folder / 'plain.py', data)

    def job(name: str, config: Path, workers: int, *more: str) -> dict:
        options = [
            '--cfg-options',
            f'train_dataloader.num_workers={workers}',
            'default_hooks.prediction_drawing.max_pictures=0',
        ]
        log = folder / f'{name}-{config.stem}{"-".join(more)}.log'
        return dict(argv=[TRAIN, config, '--work-dir', folder / name, *more, *options], log=log)

    groups = [[job('uninterrupted', plain, 0)]]
    for index, (moment, workers) in enumerate(CASES):
        config = write_config(folder / f'kill{index}.py', data, KILL.format(MOMENTS[moment]))
        groups.append([job(f'case{index}', config, workers)])
        groups.append([job(f'case{index}', plain, workers, '--resume')])
    statuses = [group[0] for group in run_tools(groups)]
    assert statuses[0] == 0, (folder / 'uninterrupted-plain.log').read_text()
    killed = dict(zip(CASES, zip(statuses[1::2], statuses[2::2], strict=True), strict=True))
    return folder, killed


def _equal(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def _validated(work_dir: Path) -> dict[int, float]:
    """The mIoU of each validation, by iteration."""
    lines = [line for file in work_dir.glob('*/vis_data/scalars.json') for line in file.read_text().splitlines()]
    return {entry['step']: entry['mIoU'] for entry in map(json.loads, lines) if 'mIoU' in entry}


@pytest.mark.slow
@pytest.mark.parametrize(('moment', 'workers'), CASES)
def test_resumed_run_is_bit_identical(runs: tuple[Path, dict], moment: str, workers: int) -> None:
    folder, statuses = runs
    name = f'case{CASES.index((moment, workers))}'
    assert statuses[moment, workers] == (-signal.SIGKILL, 0), (folder / f'{name}-plain--resume.log').read_text()[-3000:]
    expected = torch.load(folder / 'uninterrupted' / 'iter_12.pth', weights_only=False)
    resumed = torch.load(folder / name / 'iter_12.pth', weights_only=False)
    for part in ('state_dict', 'ema_state_dict', 'optimizer', 'param_schedulers'):
        assert _equal(expected[part], resumed[part]), part
    log = (folder / f'{name}-plain--resume.log').read_text()
    assert f'iter: {RESUMED[moment]}' in log
    for entry in ('best_score', 'best_ckpt'):
        assert expected['message_hub']['runtime_info'][entry] == resumed['message_hub']['runtime_info'][entry]
    assert _validated(folder / name) == _validated(folder / 'uninterrupted')


@pytest.mark.slow
def test_training_changed_the_weights_and_only_the_last_checkpoints_are_left(runs: tuple[Path, dict]) -> None:
    folder, _ = runs
    last = torch.load(folder / 'uninterrupted' / 'iter_12.pth', weights_only=False)
    earlier = torch.load(folder / 'uninterrupted' / 'iter_8.pth', weights_only=False)
    assert not _equal(last['state_dict'], earlier['state_dict'])
    assert not _equal(last['state_dict'], {k[7:]: v for k, v in last['ema_state_dict'].items() if k != 'steps'})
    for case in ['uninterrupted', *(f'case{i}' for i in range(len(CASES)))]:
        left = sorted(path.name for path in (folder / case).glob('*iter_*.pth'))
        assert [name for name in left if name.startswith('iter')] == ['iter_12.pth', 'iter_8.pth'], case
        assert len([name for name in left if name.startswith('best_mIoU')]) == 1, case
        assert (folder / case / 'last_checkpoint').read_text() == 'iter_12.pth'
        assert not list((folder / case).glob('.*tmp')), case
