"""Our implementation gives the published values, and the check notices when it does not."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmsits.parity import check_file, find_check
from mmsits.parity.golden import compare_arrays

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / 'tests' / 'data' / 'parity'
FILES = sorted(FOLDER.glob('*.npz'))


def rewrite(source: Path, target: Path, changes: dict[str, np.ndarray], drop: tuple[str, ...] = ()) -> None:
    with np.load(source, allow_pickle=False) as data:
        arrays = {key: data[key] for key in data.files if key not in drop}
    np.savez(target, **{**arrays, **changes})


@pytest.mark.parametrize('path', [path for path in FILES if find_check(path.stem)], ids=lambda path: path.stem)
def test_our_values_are_the_published_ones(path: Path) -> None:
    report = check_file(path)
    assert report is not None
    assert report.passed, [c for c in report.comparisons if not c.passed]
    assert not report.not_compared


def test_the_files_of_u_tae_are_there() -> None:
    assert {path.stem for path in FILES} >= {'utae', 'utae_ltae2d', 'utae_blocks', 'pastis_item'}


@pytest.mark.parametrize(
    ('name', 'key'),
    [('utae', 'out/out'), ('utae_ltae2d', 'out/att'), ('utae_blocks', 'out/confusion'), ('utae_blocks', 'in/up_x')],
)
def test_a_value_changed_makes_it_fail(name: str, key: str, tmp_path: Path) -> None:
    with np.load(FOLDER / f'{name}.npz') as data:
        changed = data[key].copy()
    changed.flat[changed.size // 2] += 1 if changed.dtype.kind == 'i' else 1e-2
    rewrite(FOLDER / f'{name}.npz', tmp_path / f'{name}.npz', {key: changed})
    report = check_file(tmp_path / f'{name}.npz')
    assert report is not None
    assert not report.passed


def test_what_is_not_compared_is_listed(tmp_path: Path) -> None:
    rewrite(FOLDER / 'utae_ltae2d.npz', tmp_path / 'utae_ltae2d.npz', {'out/new_output': np.zeros(3)})
    report = check_file(tmp_path / 'utae_ltae2d.npz')
    assert report is not None
    assert report.not_compared == ['new_output']


def test_a_file_that_is_no_golden_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / 'utae.npz'
    np.savez(path, x=np.zeros(1))
    for content in (path.read_bytes(), path.read_bytes()[:-30], b''):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r'utae\.npz'):
            check_file(path)


@pytest.mark.parametrize(
    ('actual', 'expected', 'passes'),
    [
        ([1.0, np.nan], [1.0, np.nan], True),
        ([1.0, np.nan], [1.0, 2.0], False),
        ([1.0, 2.0 + 1e-6], [1.0, 2.0], True),
        ([1.0, 2.1], [1.0, 2.0], False),
        ([np.inf, 0.0], [np.inf, 0.0], True),
        ([1.0], [1.0, 1.0], False),
    ],
)
def test_comparison_of_floats(actual: list, expected: list, passes: bool) -> None:
    assert compare_arrays('out/x', np.array(actual), np.array(expected), 1e-5, 1e-5).passed is passes


def test_integers_are_compared_exactly() -> None:
    expected = np.array([10**9, 3])
    assert compare_arrays('out/x', expected.copy(), expected, 1.0, 1.0).passed
    assert not compare_arrays('out/x', expected + 1, expected, 1.0, 1.0).passed


def run_tool(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    command = [sys.executable, 'tools/analysis_tools/check_parity.py', str(folder), *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)


def test_the_tool_reports_and_exits(tmp_path: Path) -> None:
    meta = json.dumps({'tolerance': {'default': {'atol': 0, 'rtol': 0}}})
    np.savez(tmp_path / 'somebody_elses.npz', meta=np.array(meta))
    rewrite(FOLDER / 'utae_ltae2d.npz', tmp_path / 'utae_ltae2d.npz', {})
    good = run_tool(tmp_path)
    assert good.returncode == 0, good.stderr
    assert 'no check for: somebody_elses.npz' in good.stdout
    with np.load(FOLDER / 'utae_ltae2d.npz') as data:
        wrong = data['out/pe'] + 1
    rewrite(FOLDER / 'utae_ltae2d.npz', tmp_path / 'utae_ltae2d.npz', {'out/pe': wrong})
    (tmp_path / 'utae.npz').write_bytes(b'')
    bad = run_tool(tmp_path, '--match', 'utae*')
    assert bad.returncode == 1
    assert 'failed: utae, utae_ltae2d' in bad.stdout
