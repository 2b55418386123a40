"""Fields to label next: least certain first, apart from each other, none that is labelled."""

import geopandas
import numpy as np
import pytest
import shapely

from tests.helpers.parcel_network import call
from tools.analysis_tools import select_samples


@pytest.fixture(scope='module')
def fields(tmp_path_factory):
    rng = np.random.default_rng(0)
    p = rng.dirichlet([1, 1, 1], 60)
    p[7] = np.nan
    frame = geopandas.GeoDataFrame(
        {f'p_{name}': p[:, number] for number, name in enumerate(('wheat', 'maize', 'hop'))},
        geometry=[shapely.Point(11 + x / 100, 48 + y / 100) for x, y in rng.random((60, 2)) * 10],
        crs=4326,
    )
    frame['crop'] = ['wheat'] * 5 + [None] * 55
    frame['number'] = np.arange(60)
    path = tmp_path_factory.mktemp('fields') / 'fields.gpkg'
    frame.to_file(path)
    return path


@pytest.mark.parametrize('strategy', select_samples.STRATEGIES)
def test_choices_are_spaced_and_unlabelled(fields, tmp_path, monkeypatch, strategy):
    out = tmp_path / 'next.gpkg'
    arguments = (fields, '--strategy', strategy, '--count', 8, '--spacing', 1500, '--labelled', 'crop', '--out', out)
    assert call(select_samples, monkeypatch, *arguments) == 0
    chosen, every = geopandas.read_file(out), geopandas.read_file(fields)
    assert chosen['rank'].tolist() == list(range(1, len(chosen) + 1))
    assert not set(chosen['number']) & {0, 1, 2, 3, 4, 7}
    assert set(chosen['strategy']) == {strategy}
    metres = chosen.geometry.to_crs(32632)
    labelled = every.geometry.to_crs(32632)[:5]
    for number, point in enumerate(metres):
        others = [*metres[:number], *labelled]
        assert min(point.distance(other) for other in others) >= 1499
    if strategy != 'core-set':
        assert (chosen['score'].diff().dropna() <= 0).all()
    before = out.read_bytes()
    assert call(select_samples, monkeypatch, *arguments) == 0
    assert len(before) == len(out.read_bytes())


@pytest.mark.parametrize(
    ('arguments', 'status', 'words'),
    [
        (('--labelled', 'none'), 1, 'no column'),
        (('--prefix', 'q_'), 1, 'two or more columns q_'),
        (('--features', 'crop', '--strategy', 'core-set'), 1, 'columns of numbers'),
        (('--features', 'number'), 2, '--features are for'),
        (('--count', '0'), 2, '--count'),
        (('--out', 'next.txt'), 2, 'is written'),
    ],
)
def test_mistakes_are_named(fields, tmp_path, monkeypatch, capsys, arguments, status, words):
    assert call(select_samples, monkeypatch, fields, '--out', tmp_path / 'next.gpkg', *arguments) == status
    assert words in capsys.readouterr().err


def test_labelled_fields_that_were_not_predicted_keep_others_away(tmp_path, monkeypatch, capsys):
    frame = geopandas.GeoDataFrame(
        dict(p_a=[np.nan, 0.5, 0.8], p_b=[np.nan, 0.5, 0.2], crop=['a', None, None]),
        geometry=[shapely.Point(x, 5_300_000) for x in (500_000, 500_100, 505_000)],
        crs=32632,
    )
    path, out = tmp_path / 'fields.gpkg', tmp_path / 'next.gpkg'
    frame.to_file(path)
    arguments = (path, '--labelled', 'crop', '--out', out, '--spacing')
    assert call(select_samples, monkeypatch, *arguments, 1000) == 0
    assert geopandas.read_file(out)['p_a'].tolist() == [0.8]
    assert call(select_samples, monkeypatch, *arguments, 9000) == 1
    assert 'smaller --spacing' in capsys.readouterr().err


def test_distances_are_metres_on_the_ground():
    points = geopandas.GeoDataFrame(geometry=[shapely.Point(11, 60), shapely.Point(11.01, 60)], crs=4326)
    for code in (4326, 3857, 32632, 3035):
        places = select_samples.places_of(points.to_crs(code))
        assert np.hypot(*(places[1] - places[0])) == pytest.approx(557.6, rel=0.01), code


def test_features_do_without_probabilities(tmp_path, monkeypatch, capsys):
    frame = geopandas.GeoDataFrame(
        dict(height=[0.0, 1.0, 9.0, 5.0, np.nan], constant=2.0, crop=['a', None, None, None, None]),
        geometry=[shapely.Point(500_000 + 100 * x, 5_300_000) for x in range(5)],
        crs=32632,
    )
    path, out = tmp_path / 'fields.gpkg', tmp_path / 'next.gpkg'
    frame.to_file(path)
    arguments = (path, '--labelled', 'crop', '--strategy', 'core-set', '--out', out)
    assert call(select_samples, monkeypatch, *arguments, '--features', 'height', 'constant') == 0
    assert geopandas.read_file(out)['height'].tolist() == [9, 5, 1]
    assert call(select_samples, monkeypatch, *arguments) == 1
    assert 'two or more columns p_' in capsys.readouterr().err
