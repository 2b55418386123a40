"""The recipe for tables of series, trained and applied to other tables as a user does it."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from mmsits.engine import load_config, prepare_config
from mmsits.engine.files import write_atomically
from tests.helpers.parcel_network import call
from tests.helpers.series_tables import BANDS, CLASSES, write_series_table
from tools import predict_table

RECIPE = Path(__file__).resolve().parents[2] / 'configs' / 'series' / 'recipe.py'
CONFIG = """
_base_ = [{recipe!r}]
data_root = {root!r}
_table = dict(table='fields.npz')
train_dataloader = dict(dataset=_table)
test_dataloader = dict(dataset=_table)
train_cfg = dict(max_iters=40)
default_hooks = dict(checkpoint=dict(interval=40))
log_level = 'WARNING'
model = dict(
    data_preprocessor=dict(sensors=dict(series=2)),
    backbone=dict(in_channels=2, encoder=dict(hidden_channels=(16, 16))),
    decode_head=dict(in_channels=80, num_classes=3),
)
"""


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A config, and the checkpoint of a short run."""
    folder = tmp_path_factory.mktemp('series')
    write_series_table(folder / 'fields.npz', series=120)
    config = folder / 'config.py'
    write_atomically(config, CONFIG.format(recipe=str(RECIPE), root=str(folder)).encode())
    cfg = load_config(config)
    cfg.experiment_name = 'series'
    prepare_config(cfg, work_dir=str(folder / 'run'), seed=0)
    Runner.from_cfg(cfg).train()
    return config, folder / 'run' / 'iter_40.pth'


def rows_of(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def predict(trained, monkeypatch, table, out, *options):
    assert call(predict_table, monkeypatch, *trained, table, '--out', out, *options) == 0
    return rows_of(out)


def test_series_without_labels_of_another_year_are_classified(trained, tmp_path, monkeypatch):
    table = write_series_table(
        tmp_path / 'new.npz', 60, seed=1, year=2023, y=None, classes=None, split=None, note=np.arange(60)
    )
    rows = predict(trained, monkeypatch, table, tmp_path / 'out.csv')
    write_series_table(tmp_path / 'truth.npz', 60, seed=1)
    truth = np.load(tmp_path / 'truth.npz')['y']
    assert [row['id'] for row in rows] == [f'field {number}' for number in range(60)]
    assert np.mean([int(row['class']) == label for row, label in zip(rows, truth, strict=True)]) > 0.8
    for row in rows:
        p = [float(row[f'p_{name}']) for name in CLASSES]
        assert sum(p) == pytest.approx(1, abs=1e-4)
        assert row['class_name'] == CLASSES[int(row['class'])] == CLASSES[p.index(max(p))]
        assert float(row['entropy']) == pytest.approx(-sum(x * math.log(x) for x in p if x), abs=1e-3)
        assert 15 <= int(row['dates']) < 25


def test_labels_batches_and_the_order_of_bands_change_nothing(trained, tmp_path, monkeypatch):
    plain = write_series_table(tmp_path / 'plain.npz', 30, seed=2)
    values = np.load(plain)['x']
    turned = write_series_table(
        tmp_path / 'turned.npz',
        30,
        seed=2,
        x=np.stack([values[:, 1], values[:, 0], values[:, 0]], axis=1),
        bands=np.array([*BANDS[::-1], 'blue']),
        y=np.full(30, 7),
        classes=np.array([f'other {number}' for number in range(9)]),
    )
    expected = predict(trained, monkeypatch, plain, tmp_path / 'plain.csv')
    found = predict(trained, monkeypatch, turned, tmp_path / 'turned.csv', '--batch-size', 7, '--part-size', 11)
    assert len(expected) == 30
    for one, other in zip(expected, found, strict=True):
        assert one['class_name'] == other['class_name']
        assert float(one['p_late']) == pytest.approx(float(other['p_late']), abs=1e-5)


def test_a_series_that_was_never_observed_has_no_class(trained, tmp_path, monkeypatch):
    table = write_series_table(tmp_path / 'new.npz', 20, seed=3)
    held = dict(np.load(table))
    first = held['offset'][1]
    held['x'] = held['x'].astype(np.float32)
    held['x'][:first] = np.nan
    np.savez(table, **held)
    rows = predict(trained, monkeypatch, table, tmp_path / 'out.csv')
    assert (rows[0]['class'], rows[0]['class_name'], rows[0]['p_late'], rows[0]['dates']) == ('-1', '', '', '0')
    assert all(row['class_name'] for row in rows[1:])


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(bands=np.array(['red', 'swir'])), "there is no band ['nir']"),
        (dict(bands=None, x=np.ones((5, 3))), '2 bands are named, the file has 3'),
        (dict(doy=None), 'regular_dates='),
    ],
)
def test_a_table_that_does_not_fit_is_named(trained, tmp_path, monkeypatch, capsys, changes, message):
    table = write_series_table(tmp_path / 'new.npz', 20, **changes)
    assert call(predict_table, monkeypatch, *trained, table, '--out', tmp_path / 'out.csv') == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'out.csv').exists()


def test_the_checkpoint_knows_bands_and_classes(trained):
    meta = torch.load(trained[1], weights_only=False)['meta']['dataset_meta']
    assert tuple(meta['bands']['series']) == BANDS
    assert tuple(meta['classes']) == CLASSES
