"""Results of methods, scenarios and folds in one table, gaps included."""

import csv
import json

import numpy as np
import pytest

from tests.helpers.parcel_network import call
from tools.analysis_tools import adaptation_table

SCORES = {
    ('source_only', 'DK1-FR1'): [0.40, 0.44, 0.42],
    ('source_only', 'DK1-AT1'): [0.30, 0.32, 0.31],
    ('timematch', 'DK1-FR1'): [0.60, 0.50],
    ('cdan_e', 'DK1-AT1'): [0.5, 0.5, 0.5],
}


@pytest.fixture
def folder(tmp_path):
    for (method, scenario), scores in SCORES.items():
        for fold, score in enumerate(scores):
            path = tmp_path / 'runs' / scenario / f'fold{fold}' / method / 'target.json'
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(dict(overall=dict(macro_F1=score, OA=0.9, kappa=None))))
    return tmp_path / 'runs'


def test_mean_deviation_and_what_is_missing(folder, tmp_path, monkeypatch, capsys):
    out = [tmp_path / name for name in ('table.md', 'table.csv', 'table.txt')]
    assert call(adaptation_table, monkeypatch, folder, '--out', *out) == 0
    assert out[0].read_text().splitlines() == [
        '| method | DK1-AT1 | DK1-FR1 | average |',
        '| --- | ---: | ---: | ---: |',
        '| cdan_e | 50.0 ± 0.0 | missing | missing |',
        '| source_only | 31.0 ± 0.8 | 42.0 ± 1.6 | 36.5 ± 1.2 |',
        '| timematch | missing | 55.0 ± 5.0 (2 of 3) | missing |',
    ]
    with open(out[1], newline='') as file:
        rows = {(row['method'], row['scenario']): row for row in csv.DictReader(file)}
    assert float(rows['source_only', 'DK1-FR1']['std']) == pytest.approx(100 * np.std([0.40, 0.44, 0.42]), abs=1e-4)
    assert rows['timematch', 'DK1-AT1']['mean'] == ''
    assert rows['timematch', 'DK1-FR1']['values'] == '0:60.0000 1:50.0000'
    assert out[2].read_text() in capsys.readouterr().out


def test_order_rows_and_folds_may_be_given(folder, tmp_path, monkeypatch, capsys):
    wanted = ('--methods', 'timematch', 'dann', '--scenarios', 'DK1-FR1', '--folds', 0, 1)
    assert call(adaptation_table, monkeypatch, folder, *wanted, '--out', tmp_path / 'a.md') == 0
    assert (tmp_path / 'a.md').read_text().splitlines()[2:] == ['| timematch | 55.0 ± 5.0 |', '| dann | missing |']
    assert 'not asked for' in capsys.readouterr().out


def test_results_may_lie_elsewhere(tmp_path, monkeypatch):
    path = tmp_path / 'runs' / 'cdan_e_dk1-fr1' / '20260101' / 'seed7.json'
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(dict(overall=dict(OA=0.5))))
    pattern = ('--pattern', '{method}_{scenario}/*/seed{fold}.json', '--score', 'OA')
    assert call(adaptation_table, monkeypatch, tmp_path / 'runs', *pattern, '--out', tmp_path / 'a.md') == 0
    assert (tmp_path / 'a.md').read_text().splitlines() == [
        '| method | dk1-fr1 |',
        '| --- | ---: |',
        '| cdan_e | 50.0 |',
    ]


@pytest.mark.parametrize(
    ('arguments', 'status', 'sentence'),
    [
        (('--pattern', '{method}/{fold}.json'), 2, '{scenario}'),
        (('--pattern', '{method}/{scenario}/seed{fold}.json'), 1, 'no result lies there'),
        (('--score', 'kappa'), 1, 'macro_F1, OA'),
        (('--out', 'table.tex'), 2, '.md or .csv'),
    ],
)
def test_bad_input_ends_with_a_sentence(folder, monkeypatch, capsys, arguments, status, sentence):
    assert call(adaptation_table, monkeypatch, folder, *arguments) == status
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize('content', ['{', '[]', '{"overall": 3}'])
def test_a_damaged_result_is_named(folder, monkeypatch, capsys, content):
    (folder / 'DK1-FR1/fold1/timematch/target.json').write_text(content)
    assert call(adaptation_table, monkeypatch, folder) == 1
    assert 'DK1-FR1/fold1/timematch/target.json' in capsys.readouterr().err


def test_a_missing_folder_is_named(tmp_path, monkeypatch, capsys):
    assert call(adaptation_table, monkeypatch, tmp_path / 'none') == 1
    assert 'no such folder' in capsys.readouterr().err
