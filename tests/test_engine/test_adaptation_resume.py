"""TimeMatch through tools/train.py: from source weights, killed and resumed, with two processes."""

import json
import signal
import socket
from pathlib import Path

import pytest
import torch
from mmseg.registry import MODELS

from mmsits.engine import load_config
from tests.helpers.adaptation_run import CUSTOM_HOOKS, write_adaptation_config, write_domains
from tests.helpers.forked_tools import ROOT, run_tools

TRAIN = str(ROOT / 'tools' / 'train.py')
RECORD = "\n    dict(type='RecordAdaptationHook'),"
KILLS = {'step 5': 'at=5', 'saving 8': 'at=8, while_saving=True'}
PARTS = ('state_dict', 'optimizer', 'param_schedulers', 'mmsits')


def _environment(rank: int, port: int) -> dict[str, str]:
    return dict(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(('127.0.0.1', 0))
        return listener.getsockname()[1]


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[int]]]:
    folder = tmp_path_factory.mktemp('adaptation')
    data = write_domains(folder / 'data')
    plain = write_adaptation_config(folder / 'plain.py', data, 'timematch', CUSTOM_HOOKS.format(more=RECORD))
    rival = write_adaptation_config(folder / 'rival.py', data, 'dann')
    _write_source_weights(plain, folder / 'source.pth')

    def job(name: str, config: Path, *more: str, **env: str) -> dict:
        start = [] if '--resume' in more else ['--cfg-options', f'load_from={folder / "source.pth"}']
        log = folder / f'{name}-{config.stem}{"-".join(more)}-{env.get("RANK", "")}.log'
        return dict(argv=[TRAIN, config, '--work-dir', folder / name, *more, *start], log=log, env=env)

    def two(name: str, config: Path, *more: str) -> list[dict]:
        port = _free_port()
        return [job(name, config, '--launcher', 'pytorch', *more, **_environment(rank, port)) for rank in (0, 1)]

    groups = {'whole': [job('whole', plain)], 'rival': [job('rival', rival)], 'two': two('two', plain)}
    for number, (moment, kill) in enumerate(KILLS.items()):
        more = f"\n    dict(type='KillHook', {kill}),{RECORD}"
        config = write_adaptation_config(folder / f'kill{number}.py', data, 'timematch', CUSTOM_HOOKS.format(more=more))
        groups[moment] = [job(moment, config)]
        groups[f'{moment} resumed'] = [job(moment, plain, '--resume')]
    dann = "\ncustom_hooks = [dict(type='KillHook', at=6)]\n"
    killed = write_adaptation_config(folder / 'killed_rival.py', data, 'dann', dann)
    groups['rival killed'] = [job('rival killed', killed)]
    groups['rival resumed'] = [job('rival killed', rival, '--resume')]
    two_killed = write_adaptation_config(
        folder / 'killed_two.py',
        data,
        'timematch',
        CUSTOM_HOOKS.format(more=f"\n    dict(type='KillHook', at=7),{RECORD}"),
    )
    groups['two killed'] = two('two killed', two_killed)
    groups['two resumed'] = two('two killed', plain, '--resume')
    statuses = dict(zip(groups, run_tools(list(groups.values())), strict=True))
    for name, found in statuses.items():
        wanted = -signal.SIGKILL if name in KILLS or name.endswith(' killed') else 0
        logs = '\n'.join(Path(run['log']).read_text()[-2000:] for run in groups[name])
        assert set(found) == {wanted}, (name, found, logs)
    return folder, statuses


def _write_source_weights(config: Path, path: Path) -> None:
    torch.manual_seed(0)
    segmentor = MODELS.build(load_config(config).model.segmentor)
    torch.save(dict(state_dict=segmentor.state_dict(), meta={}), path)


def _equal(a: object, b: object) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(_equal(x, y) for x, y in zip(a, b, strict=True))
    return a == b


def _last(folder: Path) -> dict:
    return torch.load(folder / 'iter_12.pth', weights_only=False)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('one', 'other'), [('whole', 'step 5'), ('whole', 'saving 8'), ('rival', 'rival killed'), ('two', 'two killed')]
)
def test_a_resumed_run_is_bit_identical(runs: tuple[Path, dict], one: str, other: str) -> None:
    folder, _ = runs
    expected, resumed = _last(folder / one), _last(folder / other)
    for part in PARTS:
        assert _equal(expected.get(part), resumed.get(part)), part


@pytest.mark.slow
def test_the_state_of_the_hooks_is_in_the_checkpoint(runs: tuple[Path, dict]) -> None:
    folder, _ = runs
    states = _last(folder / 'whole')['mmsits']
    assert [entry['iter'] for entry in states['TemporalShiftHook']['history']] == [0, 0, 3, 6, 9]
    assert [entry['iter'] for entry in states['PseudoLabelLogHook']['history']] == [3, 6, 9, 12]
    assert sum(states['PseudoLabelLogHook']['history'][0]['predicted']) == 36


@pytest.mark.slow
def test_it_started_from_the_source_weights(runs: tuple[Path, dict]) -> None:
    folder, _ = runs
    log = (folder / 'whole-plain-.log').read_text()
    assert 'The checkpoint holds a segmentor' in log
    source = torch.load(folder / 'source.pth', weights_only=False)['state_dict']
    adapted = _last(folder / 'whole')['state_dict']
    weight = 'decode_head.classifier.weight'
    assert 0 < float((adapted[f'segmentor.{weight}'] - source[weight]).abs().max()) < 0.01
    assert not torch.equal(adapted[f'teacher.{weight}'], adapted[f'segmentor.{weight}'])


@pytest.mark.slow
def test_two_processes_have_one_shift_and_one_teacher(runs: tuple[Path, dict]) -> None:
    folder, _ = runs
    agreed = [(folder / 'two' / f'agreed_{rank}.jsonl').read_text().splitlines() for rank in (0, 1)]
    assert len(agreed[0]) == 12
    assert agreed[0] == agreed[1]
    assert sum(json.loads(agreed[0][-1])['counts']) == 2 * 12 * 12
