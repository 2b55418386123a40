"""Results of folds and seeds put together."""

import json
import sys

import numpy as np
import pytest

from mmsits.evaluation.segmentation_metric import scores
from tools.analysis_tools import combine_results


def write(path, matrix, classes=('meadow', 'wheat', 'void')):
    path.write_text(json.dumps(dict(classes=list(classes), confusion_matrix=matrix)))
    return str(path)


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, 'argv', ['combine_results.py', *arguments])
    monkeypatch.setenv('COLUMNS', '200')
    combine_results.main()
    return capsys.readouterr().out


def test_mean_and_deviation_of_runs_and_scores_of_the_sum(tmp_path, monkeypatch, capsys):
    first, second = [[90, 10, 0], [20, 80, 0], [0, 0, 0]], [[40, 60, 0], [0, 100, 0], [0, 0, 0]]
    out = run(monkeypatch, capsys, write(tmp_path / 'a.json', first), write(tmp_path / 'b.json', second))
    accuracy = [0.85, 0.7]
    assert f'{100 * np.mean(accuracy):.1f} ± {100 * np.std(accuracy, ddof=1):.1f}' in out
    total = scores(np.array(first) + np.array(second))
    assert f'{100 * total.overall["mIoU"]:.1f}' in out
    assert f'{100 * total.per_class["F1"][1]:.1f}' in out
    assert 'void' not in out


def test_predictions_of_an_excluded_class_do_not_count(tmp_path, monkeypatch, capsys):
    file = write(tmp_path / 'a.json', [[50, 0, 50], [0, 100, 0], [0, 0, 0]])
    assert '75.0' in run(monkeypatch, capsys, file)
    assert '75.0' not in run(monkeypatch, capsys, file, '--excluded-classes', 'void')


def test_results_of_other_classes_are_refused(tmp_path, monkeypatch, capsys):
    files = [write(tmp_path / 'a.json', np.eye(3).tolist()), write(tmp_path / 'b.json', np.eye(3).tolist(), 'xyz')]
    with pytest.raises(SystemExit, match=r'b\.json has other classes'):
        run(monkeypatch, capsys, *files)


@pytest.mark.parametrize(
    ('content', 'sentence'), [(None, 'cannot be read'), ('{', 'no JSON'), ('{"scores": 1}', 'no classes')]
)
def test_a_file_that_is_no_result_is_named(tmp_path, monkeypatch, capsys, content, sentence):
    file = tmp_path / 'a.json'
    if content is not None:
        file.write_text(content)
    with pytest.raises(SystemExit, match=rf'a\.json .*{sentence}'):
        run(monkeypatch, capsys, str(file))
