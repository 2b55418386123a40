"""The doctor's checks, fed with lists of packages that are not really installed."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
HEALTHY = {'onedl-mmengine': '0.10.12', 'onedl-mmcv': '2.3.6', 'onedl-mmsegmentation': '1.4.2', 'torch': '2.15.0'}


@pytest.fixture(scope='module')
def doctor() -> ModuleType:
    spec = importlib.util.spec_from_file_location('mmsits_doctor', ROOT / 'tools' / 'doctor.py')
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def failing_import(broken: str) -> Callable[[str], object]:
    def import_module(name: str) -> object:
        if name == broken:
            raise ImportError('libgone.so: cannot open shared object file')
        return object()

    return import_module


def test_names_are_normalised_and_the_first_on_the_path_counts(doctor: ModuleType) -> None:
    distributions = [
        SimpleNamespace(metadata={'Name': 'Onedl_MMCV'}, version='2.3.6'),
        SimpleNamespace(metadata={'Name': 'onedl-mmcv'}, version='2.3.0'),
        SimpleNamespace(metadata={'Name': None}, version='0'),
    ]
    assert doctor.installed_versions(distributions) == {'onedl-mmcv': '2.3.6'}


def test_a_healthy_list_has_no_conflict(doctor: ModuleType) -> None:
    assert doctor.find_conflicts(HEALTHY) == []


@pytest.mark.parametrize(
    ('upstream', 'fork'),
    [
        ('mmengine', 'onedl-mmengine'),
        ('mmcv', 'onedl-mmcv'),
        ('mmcv-full', 'onedl-mmcv'),
        ('mmsegmentation', 'onedl-mmsegmentation'),
    ],
)
def test_upstream_beside_its_fork(doctor: ModuleType, upstream: str, fork: str) -> None:
    (finding,) = doctor.find_conflicts(HEALTHY | {upstream: '1.7.0'})
    assert not finding.is_note
    assert f'{upstream} 1.7.0 and {fork} {HEALTHY[fork]} are both installed' in finding.text
    assert f'pip uninstall -y {upstream} {fork} && ' in finding.text


def test_upstream_without_its_fork(doctor: ModuleType) -> None:
    (finding,) = doctor.find_conflicts({'mmcv': '2.1.0'})
    assert 'mmsits needs the fork onedl-mmcv' in finding.text


def test_two_opencvs_are_a_note(doctor: ModuleType) -> None:
    (finding,) = doctor.find_conflicts({'opencv-python': '5', 'opencv-python-headless': '4'})
    assert finding.is_note
    assert 'opencv-python and opencv-python-headless' in finding.text


def test_missing_and_too_old_packages(doctor: ModuleType) -> None:
    requirements = ['torch>=2.6', 'numpy>=2.0', 'Onedl.MMCV>=2.3.6', 'old; python_version < "3"', 'x; extra == "dev"']
    findings = doctor.find_missing({'torch': '2.5.1+cu121', 'onedl-mmcv': '2.3.6'}, requirements)
    assert [finding.text.split('.  ')[0].split(' Install')[0].split(' Upgrade')[0] for finding in findings] == [
        'torch is 2.5.1+cu121, mmsits needs >=2.6.',
        'numpy is missing.',
    ]
    assert not any(finding.is_note for finding in findings)


def test_untested_versions_are_one_note(doctor: ModuleType) -> None:
    pins = ['torch==2.15.0', 'numpy==2.4.6; python_version >= "3"', 'numpy==1.0; python_version < "3"', 'absent==1']
    assert doctor.note_untested({'torch': '2.15.0+cpu', 'numpy': '2.4.6'}, pins) == []
    (finding,) = doctor.note_untested({'torch': '2.11.0', 'numpy': '2.4.6'}, pins)
    assert finding.is_note
    assert finding.text.endswith('torch 2.11.0 (tested: 2.15.0)')


def test_pins_are_read_without_comments(doctor: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / 'pins.txt'
    path.write_text('# why\n\ntorch>=2.6  # trailing\n-r other.txt\n')
    assert doctor.read_pins(path) == ['torch>=2.6']
    assert doctor.read_pins(tmp_path / 'absent.txt') == []


def test_the_projects_own_lists_can_be_read(doctor: ModuleType) -> None:
    names = {line.split('>')[0] for line in doctor.runtime_requirements()}
    assert {'torch', 'onedl-mmengine', 'onedl-mmcv', 'onedl-mmsegmentation'} <= names
    doctor.find_missing({}, doctor.runtime_requirements())
    doctor.note_untested({}, doctor.read_pins(ROOT / 'requirements' / 'constraints.txt'))


def test_the_first_failing_import_is_named(doctor: ModuleType) -> None:
    assert doctor.check_imports(failing_import('none of them')) == []
    (finding,) = doctor.check_imports(failing_import('mmcv'))
    assert '`import mmcv` fails with ImportError: libgone.so' in finding.text
    assert 'Install onedl-mmcv anew' in finding.text


def test_registered_names_are_those_of_mmsits(doctor: ModuleType) -> None:
    ours, theirs = type('Ours', (), {'__module__': 'mmsits.models'}), type('Theirs', (), {'__module__': 'mmsitsx'})
    registry = SimpleNamespace(module_dict={'Ours': ours, 'Theirs': theirs})
    assert doctor.registered_names([registry]) == ['Ours']


def test_a_failing_training_shows_its_last_lines(doctor: ModuleType) -> None:
    commands = []

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        training = command[1].endswith('train.py')
        return subprocess.CompletedProcess(command, int(training), 'one\ntwo\nKeyError: UTAE\n' if training else '')

    (finding,) = doctor.check_training(run)
    assert 'Training failed (exit status 1)' in finding.text
    assert finding.text.endswith('KeyError: UTAE')
    simulate, train = commands
    assert simulate[3:] == ['--layout', 'pastis', '--patches', '5', '--patch-size', '32', '--seed', '0']
    assert train[2].endswith('configs/utae/utae_demo_simulated.py')
    assert f'data_root={simulate[2]}' in train


def test_a_training_without_checkpoint_is_a_problem(doctor: ModuleType) -> None:
    (finding,) = doctor.check_training(lambda command, **_: subprocess.CompletedProcess(command, 0, ''))
    assert 'without a checkpoint' in finding.text


@pytest.mark.parametrize(('findings', 'status'), [([], 0), ([('odd', True)], 0), ([('bad', False), ('odd', True)], 1)])
def test_exit_status(
    doctor: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    findings: list[tuple[str, bool]],
    status: int,
) -> None:
    monkeypatch.setattr(doctor, 'examine', lambda skip_training: [doctor.Finding(*finding) for finding in findings])
    assert doctor.main(['--skip-training']) == status
    printed = capsys.readouterr().out
    assert ('1 problem found.' if status else 'All is well.') in printed


@pytest.mark.slow
def test_the_program_runs_here() -> None:
    """Without training: in this environment the packages are what the tests themselves run on."""
    command = [sys.executable, str(ROOT / 'tools' / 'doctor.py'), '--skip-training']
    environment = os.environ | {'PYTHONPATH': str(ROOT)}  # the tests may run in a checkout that is not installed
    result = subprocess.run(command, env=environment, text=True, capture_output=True, timeout=300)
    assert 'onedl-mmsegmentation' in result.stdout, result.stderr
    assert 'Registered by mmsits' in result.stdout, result.stdout
    assert result.returncode == 0, result.stdout
