"""Labels for series that have none, from a few that have."""

import csv
from types import SimpleNamespace

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


def test_seasons_that_begin_around_new_year_are_not_a_year_apart():
    begins = np.array(['2018-12-20', '2019-01-04', '2019-12-28', '2020-01-02'], 'datetime64[D]').astype(np.int64)
    table = SimpleNamespace(days=begins[:, None] + np.array([0, 15]))
    assert propose_labels.season_days(table)[:, 0].tolist() == [353, 368, 361, 366]
    begins = np.array(['2018-01-03', '2019-02-01', '2020-03-01'], 'datetime64[D]').astype(np.int64)
    assert propose_labels.season_days(SimpleNamespace(days=begins[:, None]))[:, 0].tolist() == [2, 31, 60]


def test_a_band_that_one_series_lacks_is_still_a_band_of_the_others():
    values = np.arange(12, dtype=np.float32).reshape(3, 2, 2)
    values[0, :, 1] = np.nan
    found = propose_labels.standardised(SimpleNamespace(values=values, exists=np.ones((3, 2), bool)))
    assert (found[0, :, 1] == 0).all()
    assert found[1:, :, 1].std() == pytest.approx(1)
