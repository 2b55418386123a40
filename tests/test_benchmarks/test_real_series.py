"""The study on real series: its folds keep neighbours together, its tables say no more than there is."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

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
        assert study.config_of(table, 'recipe').model.backbone.encoder.type == 'EncoderEnsemble'
    for method in study.ENCODERS:
        cfg = study.config_of('sinop', method)
        assert cfg.model.decode_head.num_classes == 4
        assert cfg.model.backbone.encoder.get('length', 12) == 12
    assert set(study.METHODS) == set(study.NAMES)
    assert set().union(*study.UNIONS) <= set(study.TABLES)


@pytest.fixture
def tables(study, tmp_path, monkeypatch):
    """Small tables in the place of the three of NDVI, five of six series to train on."""
    rng = np.random.default_rng(0)
    for name, file, classes, dates, days in (
        ('sinop-modis-ndvi', 'sinop_points', 4, 12, 'dates'),
        ('central-asia-ndvi', 'central_asia_ndvi', 12, 23, 'doy'),
        ('formosat2-crop-ucr', 'crop24', 24, 46, None),
    ):
        labels = np.arange(2 * classes + 24) % classes
        own = dict(
            x=rng.random((len(labels), dates, 1), np.float32),
            y=labels,
            classes=np.array([f'class {number}' for number in range(classes)]),
            split=np.where(np.arange(len(labels)) % 6 == 5, 'test', 'train'),
        )
        if days == 'dates':
            day = np.datetime64('2010-09-14') + 16 * np.arange(dates)
            own.update(dates=np.tile(day.astype(str), (len(labels), 1)), bands=np.array(['NDVI']))
        if days == 'doy':
            own.update(doy=np.tile(1 + 16 * np.arange(dates), (len(labels), 1)), year=np.full(len(labels), 2018))
        (tmp_path / 'data' / name).mkdir(parents=True)
        np.savez(tmp_path / 'data' / name / f'{file}.npz', **own)
    monkeypatch.setenv('MMSITS_DATA', str(tmp_path / 'data'))
    monkeypatch.setattr(study, 'PRETRAINING_ITERATIONS', 2)


SHORT = {'train_cfg.max_iters': 2, 'param_scheduler': [], 'train_dataloader.batch_size': 8}


def test_pretraining_sees_the_series_of_train_in_all_tables_of_a_union(study, tables):
    whole, without_fold = (
        study.pretraining_config(study.Task('sinop', 'pretrained', 0, fold), SHORT) for fold in (None, 1)
    )
    views = study.build_dataset(whole.train_dataloader.dataset)
    counts = [sum(number % 6 != 5 for number in range(2 * classes + 24)) for classes in (4, 12, 24)]
    assert len(views) == sum(counts)
    assert len(study.build_dataset(without_fold.train_dataloader.dataset)) < len(views)
    assert whole.model.queue_size <= len(views)
    assert whole.model.backbone == study.config_of('crop-ucr', 'transformer').model.backbone


def test_a_pretrained_encoder_is_fine_tuned_on_each_table_of_its_union(study, tables, tmp_path):
    records = [
        study.run(study.Task(table, 'pretrained', 0, None), tmp_path / 'study', SHORT)
        for table in ('sinop', 'central-asia')
    ]
    assert [np.isfinite(record['macro_f1']) for record in records] == [True, True]
    # One pre-training for both.
    (checkpoint,) = (tmp_path / 'study' / 'runs').glob('pretraining_*/*.pth')
    learnt = torch.load(checkpoint, map_location='cpu', weights_only=False)['state_dict']
    for record in records:
        (path,) = (tmp_path / 'study' / 'runs' / f'{record["table"]}_pretrained_test_seed0').glob('iter_*.pth')
        tuned = torch.load(path, map_location='cpu', weights_only=False)['state_dict']
        normalisation = [name for name in tuned if name.startswith('data_preprocessor.')]
        assert normalisation
        assert all(torch.equal(tuned[name], learnt[name]) for name in normalisation)
        # Two steps at 0.001 leave weights near those they began with.
        weights = [name for name in tuned if name.startswith('backbone.') and tuned[name].is_floating_point()]
        assert all((tuned[name] - learnt[name]).abs().max() < 0.01 for name in weights if 'running' not in name)


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
