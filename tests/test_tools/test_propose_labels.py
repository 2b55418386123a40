"""Labels for series that have none, from a few that have."""

import csv

import numpy as np
import pytest

from tests.helpers.parcel_network import call
from tools.analysis_tools import propose_labels


@pytest.fixture(scope='module')
def table(tmp_path_factory):
    rng = np.random.default_rng(0)
    days = np.arange(20, 360, 20)
    truth = np.arange(90) % 3
    peaks = np.array([120, 190, 260])[truth] + rng.normal(0, 6, 90)
    values = np.exp(-(((days - peaks[:, None]) / 45) ** 2)) + rng.normal(0, 0.03, (90, len(days)))
    values[rng.random(values.shape) < 0.1] = np.nan
    names = np.array(['rape', 'wheat', 'maize'])[truth]
    labels = np.where(np.arange(90) < 18, names, '')
    folder = tmp_path_factory.mktemp('table')
    np.savez(folder / 'table.npz', x=values[..., None].astype(np.float32), y=labels, doy=days, year=np.full(90, 2019))
    return folder / 'table.npz', names


@pytest.mark.parametrize('method', ['fuzzy-c-means', 'twdtw'])
def test_confident_proposals_are_right(table, tmp_path, monkeypatch, capsys, method):
    path, names = table
    out = tmp_path / 'proposals.csv'
    assert call(propose_labels, monkeypatch, path, '--method', method, '--out', out) == 0
    with open(out, newline='') as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 72
    proposed = [(row['class'], name) for row, name in zip(rows, names[18:], strict=True) if row['proposed'] == '1']
    assert len(proposed) > 40
    assert np.mean([found == name for found, name in proposed]) > 0.95
    assert 'of the proposals right' in capsys.readouterr().out


def test_labels_of_one_class_are_not_enough(tmp_path, monkeypatch, capsys):
    path = tmp_path / 'table.npz'
    np.savez(path, x=np.zeros((3, 2, 1), np.float32), y=np.array(['a', '', 'a']), doy=np.array([1, 2]), year=2019)
    assert call(propose_labels, monkeypatch, path, '--out', tmp_path / 'p.csv') == 1
    assert 'two classes' in capsys.readouterr().err
