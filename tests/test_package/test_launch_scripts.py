"""The shell scripts: their syntax, what they say to wrong arguments, and the command that they run."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools'
SCRIPTS = sorted(path.name for path in TOOLS.glob('*.sh'))
BASH = shutil.which('bash')
pytestmark = pytest.mark.skipif(BASH is None, reason='needs bash')


def run(name: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(BASH), str(TOOLS / name), *map(str, arguments)]
    clean = {key: value for key, value in os.environ.items() if key not in {'NNODES', 'NODE_RANK', 'PORT', 'GPUS'}}
    return subprocess.run(command, env=clean | environment, text=True, capture_output=True, timeout=60)


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    """A stand-in for a program: prints one argument per line, so that quoting shows."""
    return executable(tmp_path / 'echo arguments', '#!/bin/sh\nprintf "%s\\n" "$@"\n')


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / 'my config.py'
    path.touch()
    return path


@pytest.mark.parametrize('name', [*SCRIPTS, '../.ci/run'])
def test_syntax(name: str) -> None:
    result = subprocess.run([str(BASH), '-n', str(TOOLS / name)], text=True, capture_output=True)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize('name', SCRIPTS)
def test_missing_arguments_show_the_usage(name: str) -> None:
    result = run(name)
    assert result.returncode == 2
    assert f'usage: bash tools/{name} ' in result.stderr


@pytest.mark.parametrize('count', ['0', 'two', '-1', ''])
def test_number_of_processes_is_checked(count: str, config: Path) -> None:
    result = run('dist_train.sh', config, count)
    assert result.returncode == 2
    assert f"NPROC must be a number from 1 up, not '{count}'" in result.stderr


def test_missing_files_are_named(config: Path, tmp_path: Path) -> None:
    assert 'no such config: nowhere.py' in run('dist_train.sh', 'nowhere.py', 2).stderr
    missing = tmp_path / 'missing.pth'
    assert f'no such checkpoint: {missing}' in run('dist_test.sh', config, missing, 2).stderr


def test_dist_train_starts_torchrun(echo: Path, config: Path) -> None:
    result = run('dist_train.sh', config, 2, '--cfg-options', 'a="b c"', PYTHON=str(echo), PORT='12345', NNODES='3')
    assert result.returncode == 0, result.stderr
    arguments = result.stdout.splitlines()
    assert arguments[:2] == ['-m', 'torch.distributed.run']
    assert {'--nproc_per_node=2', '--nnodes=3', '--node_rank=0', '--master_port=12345'} <= set(arguments)
    expected = [str(TOOLS / 'train.py'), str(config), '--launcher', 'pytorch', '--cfg-options', 'a="b c"']
    assert arguments[-6:] == expected


def test_dist_test_starts_torchrun(echo: Path, config: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / 'weights.pth'
    checkpoint.touch()
    result = run('dist_test.sh', config, checkpoint, 4, PYTHON=str(echo))
    assert result.returncode == 0, result.stderr
    arguments = result.stdout.splitlines()
    assert '--nproc_per_node=4' in arguments
    assert arguments[-5:] == [str(TOOLS / 'test.py'), str(config), str(checkpoint), '--launcher', 'pytorch']


def test_slurm_train_calls_srun(config: Path, tmp_path: Path) -> None:
    executable(tmp_path / 'srun', '#!/bin/sh\necho "port $MASTER_PORT"; printf "%s\\n" "$@"\n')
    path = f'{tmp_path}{os.pathsep}{os.environ["PATH"]}'
    result = run(
        'slurm_train.sh', 'part', 'job', config, GPUS='16', SRUN_ARGS='--qos=x --mem=1G', PATH=path, PYTHON='py'
    )
    assert result.returncode == 0, result.stderr
    arguments = result.stdout.splitlines()
    assert arguments[0] == 'port 29500'
    assert {'--ntasks=16', '--ntasks-per-node=8', '--gres=gpu:8', '--qos=x', '--mem=1G'} <= set(arguments)
    assert arguments[-6:] == ['py', '-u', str(TOOLS / 'train.py'), str(config), '--launcher', 'slurm']
