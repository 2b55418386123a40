"""The experiment runs, is the same when it is repeated, and does not repeat what is finished."""

import importlib.util
import json
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / 'benchmarks' / 'sample_selection.py'
spec = importlib.util.spec_from_file_location('sample_selection', PATH)
assert spec is not None
assert spec.loader is not None
sample_selection = importlib.util.module_from_spec(spec)


def test_rounds_of_the_experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec.loader.exec_module(sample_selection)
    arguments = [
        '--seeds',
        '0',
        '--size',
        '112',
        '--start',
        '6',
        '--step',
        '4',
        '--rounds',
        '1',
        '--out',
        str(tmp_path),
    ]
    sample_selection.main(arguments)
    (held,) = tmp_path.glob('*seed0.json')
    curves = json.loads(held.read_text())
    assert set(curves) == {*sample_selection.STRATEGIES, *sample_selection.PROPOSALS}
    for name, rows in curves.items():
        assert [row['fields'] for row in rows] == [6, 10]
        assert all(row['used'] >= row['fields'] for row in rows)
        # Labels that nobody proposed are right.
        assert '+' in name or all(row['right'] == 1 for row in rows)
    assert curves['random'][0] == curves['margin'][0]
    assert (tmp_path / 'sample_selection.png').stat().st_size > 5000
    monkeypatch.setattr(sample_selection, 'run', lambda *_: pytest.fail('it was finished'))
    sample_selection.main(arguments)
    assert '| core-set |' in (tmp_path / 'OA.md').read_text()
