"""What gets into the wheel: built offline from a copy of the checkout, so that the checkout stays as it is."""

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# All that packaging reads; data, work_dirs and environments would only cost time.
PARTS = ('mmsits', 'configs', 'tools', 'requirements')
FILES = ('pyproject.toml', 'setup.py', 'MANIFEST.in', 'README.md', 'LICENSE', 'model-index.yml')


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    copy = tmp_path / 'checkout'
    copy.mkdir()
    for name in PARTS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns('__pycache__', '.mim'))
    for name in FILES:
        shutil.copy2(ROOT / name, copy / name)
    return copy


def build(checkout: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], cwd=checkout, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def test_wheel_carries_configs_and_tools(checkout: Path) -> None:
    stale = checkout / 'build' / 'lib' / 'mmsits' / '.mim' / 'configs' / 'gone.py'
    stale.parent.mkdir(parents=True)
    stale.touch()

    result = build(checkout, '-m', 'pip', 'wheel', '.', '--no-deps', '--no-build-isolation', '--wheel-dir', 'dist')
    assert result.returncode == 0, result.stdout

    (wheel,) = (checkout / 'dist').glob('mmsits-*.whl')
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        metadata = archive.read(next(name for name in names if name.endswith('.dist-info/METADATA'))).decode()
    for folder in ('configs', 'tools'):
        for path in (checkout / folder).rglob('*'):
            if path.is_file() and '__pycache__' not in path.parts:
                assert f'mmsits/.mim/{path.relative_to(checkout).as_posix()}' in names
    assert 'mmsits/.mim/model-index.yml' in names
    assert 'mmsits/.mim/configs/gone.py' not in names, 'a config that was deleted came back from an earlier build'
    for kind in ('*.py', '*.csv'):
        assert {f'{path.relative_to(checkout)}' for path in (checkout / 'mmsits').rglob(kind)} <= names
    assert not [name for name in names if '__pycache__' in name or name.startswith('tests/')]
    assert not (checkout / 'mmsits' / '.mim').exists(), 'building a wheel must not write into the sources'
    assert 'Requires-Dist: onedl-mmsegmentation' in metadata
    assert 'Provides-Extra: dev' in metadata


def test_editable_build_links_to_the_checkout(checkout: Path, tmp_path: Path) -> None:
    command = 'from setuptools import build_meta as b; b.build_editable(' + repr(str(tmp_path)) + ')'
    result = build(checkout, '-c', command)
    assert result.returncode == 0, result.stdout

    folder = checkout / 'mmsits' / '.mim'
    assert (folder / 'configs').resolve() == checkout / 'configs'
    assert (folder / 'tools').resolve() == checkout / 'tools'
    assert (folder / 'model-index.yml').read_bytes() == (checkout / 'model-index.yml').read_bytes()


def test_a_missing_part_is_named(checkout: Path) -> None:
    shutil.rmtree(checkout / 'configs')
    result = build(checkout, 'setup.py', '-q', 'build_py')
    assert result.returncode != 0
    assert 'configs is missing: build mmsits from a complete checkout' in result.stdout


def test_every_metafile_of_the_index_exists() -> None:
    lines = (ROOT / 'model-index.yml').read_text(encoding='utf-8').splitlines()
    metafiles = [line.split('-', 1)[1].strip() for line in lines if line.strip().startswith('-')]
    assert metafiles
    assert [name for name in metafiles if not (ROOT / name).is_file()] == []


def test_metafiles_name_configs_that_exist_and_are_all_in_the_index() -> None:
    index = (ROOT / 'model-index.yml').read_text(encoding='utf-8')
    for metafile in sorted((ROOT / 'configs').glob('*/metafile.yml')):
        assert metafile.relative_to(ROOT).as_posix() in index
        named = re.findall(r'^    (?:Config|README): (\S+)$', metafile.read_text(encoding='utf-8'), re.MULTILINE)
        assert named
        assert [name for name in named if not (ROOT / name).is_file()] == []
