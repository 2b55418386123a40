"""The study on real series: its folds keep neighbours together, its tables say no more than there is."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mmsits.datasets import SeriesTableDataset
from tests.helpers.series_tables import write_series_table

SCRIPT = Path(__file__).resolve().parents[2] / 'benchmarks' / 'real_series.py'


@pytest.fixture(scope='module')
def study():
    spec = importlib.util.spec_from_file_location('real_series_study', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # NamedTuple looks its module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def record(method, table, seed, value, fold=None):
    return dict(method=method, table=table, seed=seed, fold=fold, macro_f1=value, oa=90.0)


def test_every_method_and_table_has_a_config(study):
    for table in study.TABLES:
        assert study.config_of(table, 'recipe').model.backbone.encoder.type == 'SeriesMLP'
    for method in study.ENCODERS:
        cfg = study.config_of('sinop', method)
        assert cfg.model.decode_head.num_classes == 4
        assert cfg.model.backbone.encoder.get('length', 12) == 12
    assert set(study.METHODS) == set(study.NAMES)


def test_folds_keep_neighbours_together_and_cover_all_series(study, tmp_path):
    places = np.repeat(np.arange(30), 3)
    write_series_table(tmp_path / 'fields.npz', 90, lon=places.astype(float), lat=np.zeros(90))
    dataset = SeriesTableDataset(str(tmp_path), table='fields.npz')
    dataset.full_init()
    folds = study.folds_of(dataset, 3)
    assert set(folds) == {0, 1, 2}
    assert all(len(set(folds[places == place])) == 1 for place in range(30))


def test_scores_are_means_over_seeds_of_means_over_folds(study):
    records = [
        record('forest', 'sinop', 0, 60.0, 0),
        record('forest', 'sinop', 0, 70.0, 1),
        record('forest', 'sinop', 1, 67.0, 0),
        record('linear', 'sinop', 0, 64.0),
        record('forest', 'bavaria', 0, 50.0),
        record('linear', 'bavaria', 0, 55.0),
        record('recipe', 'bavaria', 0, 58.0),
    ]
    lines = {line.split(' | ')[0].strip('| '): line for line in study.table_of(records, 'macro_f1').splitlines()}
    assert lines['random forest'] == '| random forest | 50.0 | 66.0 ± 1.4 | 58.0 |'
    assert lines['the better of the two'] == '| the better of the two | 55.0 | 66.0 | 60.5 |'
    # Not all tables, so no mean over them.
    assert lines['default recipe'] == '| default recipe | 58.0 | – | – |'
    assert 'TempCNN' not in lines


def test_a_stopped_study_goes_on(study, tmp_path, monkeypatch, capsys):
    done = []

    def run(task, folder, options=None):
        done.append(task)
        return dict(task._asdict(), macro_f1=50.0, oa=60.0)

    monkeypatch.setattr(study, 'run', run)
    command = ['real_series.py', '--folder', str(tmp_path), '--tables', 'sinop', '--methods', 'linear', 'recipe']
    monkeypatch.setattr(sys, 'argv', command)
    study.main(study.parse_arguments())
    # The linear model has no seeds.
    assert len(done) == 4
    (tmp_path / 'results' / 'sinop_recipe_test_seed1.json').unlink()
    study.main(study.parse_arguments())
    assert [task.seed for task in done[4:]] == [1]
    assert json.loads((tmp_path / 'results' / 'sinop_recipe_test_seed1.json').read_text())['method'] == 'recipe'
    assert '| default recipe | 50.0 ± 0.0 | 50.0 |' in capsys.readouterr().out
