import json
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'tools' / 'analysis_tools' / 'analyze_logs.py'
main = runpy.run_path(str(SCRIPT))['main']


def _write(folder: Path, stamp: str, lines: list[dict], tail: str = '') -> None:
    path = folder / stamp / 'vis_data' / 'scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(json.dumps(line) for line in lines) + '\n' + tail)


def test_resumed_logs_are_joined_and_best_values_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / 'run_a'
    _write(
        run, '1', [dict(loss=3.0, lr=0.1, iter=10, step=10), dict(mIoU=0.75, step=10), dict(loss=9.0, step=20)], '{"lo'
    )
    _write(run, '2', [dict(loss=1.0, step=20), dict(mIoU=0.5, step=20), dict(loss=2.0, step=30)])
    assert main([str(run), '--out', str(tmp_path / 'curves.png')]) == 0
    rows = [[cell.strip() for cell in line.split('|')[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert ['run_a', 'loss', '2.0000', '30', '1.0000', '20'] in rows
    assert ['run_a', 'mIoU', '0.5000', '20', '0.7500', '10'] in rows
    assert not any('lr' in row for row in rows)
    assert (tmp_path / 'curves.png').read_bytes().startswith(b'\x89PNG')


def test_missing_logs_and_keys_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 1
    assert 'is it the work directory of a run?' in capsys.readouterr().err
    _write(tmp_path / 'a', '1', [dict(loss=1.0, step=1)])
    assert main([str(tmp_path / 'a'), '--keys', 'mIou']) == 1
    assert "no run has ['mIou']; the logs hold ['loss']" in capsys.readouterr().err
