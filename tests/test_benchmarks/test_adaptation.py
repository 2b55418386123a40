"""The adaptation benchmark keeps its results, and its table says what they say."""

import importlib.util
import io
import json
import re
import sys
from pathlib import Path

import pytest
from rich.console import Console

PATH = Path(__file__).parents[2] / 'benchmarks' / 'adaptation.py'
spec = importlib.util.spec_from_file_location('adaptation_benchmark', PATH)
assert spec is not None
assert spec.loader is not None
benchmark = importlib.util.module_from_spec(spec)
# Its dataclasses look for their module.
sys.modules['adaptation_benchmark'] = benchmark
spec.loader.exec_module(benchmark)


def results_of(seed: int, source: float, control: float, adapted: float) -> list[dict]:
    common = dict(seed=seed, shift=30, proportions='same', OA=0.5, seconds=2.0, true_shift=30.2)
    return [
        dict(method='source only', macro_F1=source, **common),
        dict(method='control', macro_F1=control, **common),
        dict(method='timematch', macro_F1=adapted, estimated_shift=29 + seed, **common),
    ]


def test_gains_are_taken_seed_by_seed() -> None:
    results = results_of(0, 0.4, 0.5, 0.8) + results_of(1, 0.6, 0.6, 0.9)
    rows = {row['method']: row for row in benchmark.summarise(results)}
    assert list(rows) == ['source only', 'control', 'timematch']
    assert rows['timematch']['macro_F1'] == pytest.approx(0.85)
    assert rows['timematch']['gain'] == pytest.approx(0.35)
    assert rows['timematch']['against_control'] == pytest.approx(0.3)
    assert benchmark.cells_of(rows['timematch']) == [
        'timematch',
        '85.0 ± 5.0',
        '+35.0',
        '+30.0',
        '50.0',
        '+29 +30',
        '+30.2 +30.2',
        '2',
    ]


def test_a_missing_reference_is_shown(tmp_path: Path) -> None:
    console = Console(file=io.StringIO(), width=130)
    benchmark.report(results_of(0, 0.4, 0.5, 0.8)[2:], tmp_path, console)
    assert '| timematch | 80.0 | - | - | 50.0 | +29 | +30.2 | 2 |' in (tmp_path / 'table.md').read_text()
    assert '30 days later' in console.file.getvalue()
    assert (tmp_path / 'table.csv').read_text().startswith('shift,proportions,method')


def test_every_method_of_the_library_takes_part() -> None:
    bases = {variant.base for variant in benchmark.METHODS.values()}
    configs = {path.stem: path.read_text() for path in (benchmark.BASES / 'adaptation').glob('*.py')}
    types = {name: re.findall(r"method=dict\(type='(\w+)'", text) for name, text in configs.items()}
    assert {'MMD', 'CDAN', 'TimeMatch'} <= {method for found in types.values() for method in found}
    assert not {m for found in types.values() for m in found} - {m for base in bases for m in types[base]}


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [(['--shifts', '90'], '--shifts'), (['--methods', 'magic'], 'invalid choice'), (['--seeds', '-1'], '--seeds')],
)
def test_bad_options_are_refused(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit):
        benchmark.parse_arguments(arguments)
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
def test_a_tiny_benchmark_runs_and_is_not_run_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ['--work-dir', str(tmp_path), '--size', '96', '--source-steps', '3', '--adaptation-steps', '4']
    arguments += ['--batch-size', '8', '--min-parcels', '3', '--methods', 'source only', 'days moved', 'timematch']
    options = benchmark.parse_arguments(arguments)
    benchmark.main(options)
    files = sorted(tmp_path.glob('*/seed0_shift+30_same/*.json'))
    assert [path.stem for path in files] == ['days moved', 'source only', 'timematch']
    found = json.loads(files[2].read_text())
    assert found['true_shift'] == pytest.approx(30, abs=4)
    assert -60 <= found['estimated_shift'] <= 60
    assert 0 <= found['kept_share'] <= 1
    monkeypatch.setattr(benchmark.Benchmark, '_run', None)
    benchmark.main(options)
