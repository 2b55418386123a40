"""Parcels: from maps by area, from pixel-set networks directly, and the file that keeps what was known of them."""

from types import SimpleNamespace

import geopandas
import numpy as np
import pytest
import shapely
import torch
from mmengine.config import Config

from mmsits.apis import MapOptions, SITSInferencer
from mmsits.apis.scene_parcels import ParcelFile, ParcelSums, free_names, parcel_columns, write_parcels
from mmsits.apis.scene_tiles import Strip
from mmsits.datasets.errors import DataError
from mmsits.datasets.scene.grid import Window
from mmsits.engine.errors import ConfigError
from mmsits.structures import ImageSeries
from tests.helpers.memory_scene import CLASSES, FIRST_DAY, scene_of, write_network

SMALL = MapOptions(window_size=32, tile_size=64, batch_size=3, pixel_batch=700)


def mapped(tmp_path, kind, fields, **options):
    mapper, scene = SITSInferencer(*write_network(tmp_path / kind, kind)), scene_of(90, 110)
    result = mapper(scene, tmp_path / f'map {kind}', parcels=fields, options=SMALL._replace(**options))
    return mapper, scene, result, geopandas.read_file(result.files['parcels'])


def share_of_pixels(shape, height, width):
    """Of each pixel, the share in a shape of pixel coordinates: (H,W)."""
    rows, columns = np.mgrid[:height, :width]
    return shapely.area(shapely.intersection(shape, shapely.box(columns, rows, columns + 1, rows + 1)))


@pytest.mark.parametrize('kind', ['pixels', 'windows'])
def test_probabilities_are_averaged_by_area(tmp_path, kind, fields):
    import rasterio

    _, scene, result, found = mapped(tmp_path, kind, fields, probabilities=True)
    with rasterio.open(result.files['probabilities']) as file:
        percent = file.read().astype(float)
    observed = scene.series['s2'].valid.any(0)
    for number, shape in enumerate(ParcelFile(fields, scene.grid).shapes[:4]):
        weights = share_of_pixels(shape, 90, 110) * observed
        expected = (weights * np.where(percent == 255, 0, percent)).sum((1, 2)) / weights.sum() / 100
        row = found.iloc[number]
        p = row[[f'p_{name}' for name in CLASSES]].to_numpy(float)
        # The raster is rounded to whole percents.
        np.testing.assert_allclose(p, expected, atol=0.005)
        assert p.sum() == pytest.approx(1)
        assert row['pixels'] == pytest.approx(weights.sum(), abs=2e-3)
        assert row['class_name'] == CLASSES[int(p.argmax())] == CLASSES[int(row['predicted_class'])]
        assert row['entropy'] == pytest.approx(-(p * np.log(np.maximum(p, 1e-30))).sum())
        assert row['probability'] == pytest.approx(p.max())


def test_what_was_known_of_parcels_is_kept(tmp_path, fields):
    _, _, result, found = mapped(tmp_path, 'pixels', fields)
    before = geopandas.read_file(fields)
    assert found.crs == before.crs
    assert found['id'].tolist() == before['id'].tolist()
    assert found['Class'].tolist()[:5] == before['Class'].tolist()[:5], 'a column of the same name was overwritten'
    assert found.geometry[:5].geom_equals(before.geometry[:5]).all()
    outside = found.iloc[4:]
    assert outside[['predicted_class', 'class_name', 'probability', 'entropy', 'p_corn']].isna().all(axis=None)
    assert (outside['pixels'] == 0).all()
    assert 'attr="class_name"' in result.files['parcels'].with_suffix('.qml').read_text()


@pytest.mark.parametrize('kind', ['pixels', 'parcels'])
def test_tiles_do_not_change_parcels(tmp_path, kind, fields):
    *_, first = mapped(tmp_path / 'a', kind, fields)
    *_, second = mapped(tmp_path / 'b', kind, fields, tile_size=128)
    names = [f'p_{name}' for name in CLASSES]
    np.testing.assert_allclose(first[names], second[names], atol=1e-5)
    np.testing.assert_allclose(first['pixels'], second['pixels'], atol=2e-3)


def test_a_pixel_set_network_sees_the_pixels_of_each_parcel(tmp_path, fields):
    mapper, scene, result, found = mapped(tmp_path, 'parcels', fields)
    assert set(result.files) == {'parcels'}
    values, days, valid = scene.series['s2']
    # Centres within: by hand, as all boxes but the third have whole coordinates.
    inside = {0: (slice(30, 41), slice(2, 12)), 1: (slice(50, 75), slice(40, 90)), 3: (slice(80, 90), slice(100, 110))}
    for number, (rows, columns) in inside.items():
        chosen, seen = values[:, :, rows, columns], valid[:, rows, columns]
        series = ImageSeries(*(torch.from_numpy(np.ascontiguousarray(part))[None] for part in (chosen, days, seen)))
        data = mapper.network.segmentor.data_preprocessor(
            dict(inputs={'s2': series}, metas=[dict(season_start=FIRST_DAY)])
        )
        expected = mapper.network.segmentor.predict(data['inputs'])[0]['logits'].softmax(1).flatten().numpy()
        np.testing.assert_allclose(found.iloc[number][[f'p_{n}' for n in CLASSES]].to_numpy(float), expected, atol=1e-5)
        assert found.iloc[number]['pixels'] == seen.any(0).sum()


def test_a_network_that_takes_the_shape_of_parcels_is_given_it(tmp_path, fields, monkeypatch):
    mapper, seen = SITSInferencer(*write_network(tmp_path, 'geometry')), []
    predict = mapper.network.segmentor.predict

    def watched(inputs, targets, metas):
        seen.append(inputs['geometry'].values[:, 0, :, 0, 0])
        return predict(inputs, targets, metas)

    monkeypatch.setattr(mapper.network.segmentor, 'predict', watched)
    mapper(scene_of(90, 110), tmp_path / 'map', parcels=fields, options=SMALL._replace(pixels_per_parcel=100))
    shapes = torch.cat(seen).numpy()
    expected = [[1500, 125_000, 1500 / 125_000, 1], [420, 11_000, 420 / 11_000, 1]]
    for features in expected:
        assert (np.abs(shapes / features - 1).max(1) < 2e-3).sum() == 1


def test_of_large_parcels_evenly_spread_pixels_are_taken(tmp_path, fields):
    *_, found = mapped(tmp_path, 'parcels', fields, pixels_per_parcel=100)
    assert found['pixels'][1] <= 100
    assert found['pixels'][1] > 90
    assert found['pixels'][3] <= 100


def test_a_parcel_smaller_than_a_pixel_is_classified_from_the_one_in_its_middle(tmp_path):
    shape = shapely.box(500_512, 4_999_402, 500_514, 4_999_404)
    path = tmp_path / 'small.gpkg'
    geopandas.GeoDataFrame(geometry=[shape], crs=32631).to_file(path)
    *_, found = mapped(tmp_path, 'parcels', path)
    assert found['pixels'].tolist() == [1]
    assert found['class_name'].notna().all()


def test_parcel_networks_ask_for_parcels(tmp_path):
    mapper = SITSInferencer(*write_network(tmp_path, 'parcels'))
    with pytest.raises(ConfigError, match='--parcels'):
        mapper(scene_of(40, 40), tmp_path / 'map')


def test_sums_of_parts_are_those_of_the_whole(fields):
    scene = scene_of(90, 110)
    parcels = ParcelFile(fields, scene.grid)
    rng = np.random.default_rng(0)
    p, observed = rng.random((3, 90, 110)).astype(np.float32), rng.random((90, 110)) > 0.3
    whole, parts = ParcelSums(parcels, 3), ParcelSums(parcels, 3)
    whole.add(Strip(scene.grid.window, p, observed))
    for rows, columns in [((0, 40), (0, 110)), ((40, 90), (0, 70)), ((40, 90), (70, 110))]:
        window = Window(rows[0], columns[0], rows[1] - rows[0], columns[1] - columns[0])
        parts.add(Strip(window, p[:, slice(*rows), slice(*columns)], observed[slice(*rows), slice(*columns)]))
    for name, expected in whole.arrays().items():
        np.testing.assert_allclose(parts.arrays()[name], expected, rtol=1e-6)


def test_grids_may_be_turned(fields):
    from affine import Affine

    from mmsits.datasets.scene.grid import Grid

    scene = scene_of(90, 110)
    turned = Grid(scene.grid.crs, scene.grid.transform @ Affine.rotation(20, (40, 60)), 90, 110)
    parcels, sums = ParcelFile(fields, turned), None
    sums = ParcelSums(parcels, 1)
    sums.add(Strip(turned.window, np.ones((1, 90, 110), np.float32), np.ones((90, 110), bool)))
    found = dict(zip(sums.arrays()['parcel'].tolist(), sums.arrays()['parcel_sums'][:, 0], strict=True))
    assert found[1] == pytest.approx(50 * 25, rel=1e-3)


def test_invalid_polygons_are_repaired_for_the_map_and_written_as_they_are(tmp_path):
    bow = shapely.Polygon([(500_100, 4_999_600), (500_300, 4_999_500), (500_300, 4_999_600), (500_100, 4_999_500)])
    path = tmp_path / 'bow.gpkg'
    geopandas.GeoDataFrame(geometry=[bow], crs=32631).to_file(path)
    *_, found = mapped(tmp_path, 'pixels', path)
    assert found['pixels'][0] == pytest.approx(100, rel=0.02)
    assert found.geometry[0].equals_exact(bow, 1e-6)


def written(path, frame):
    frame.to_file(path)
    return path


@pytest.mark.parametrize(
    ('change', 'sentence'),
    [
        (lambda frame: frame.set_crs(None, allow_override=True), 'no coordinate reference system'),
        (lambda frame: frame.set_geometry(frame.geometry.centroid), 'parcels are polygons'),
        (lambda frame: frame.set_geometry(frame.translate(20)), 'none of the 5 parcels lies in the scene'),
        (lambda frame: frame.iloc[:0], 'no feature'),
    ],
)
@pytest.mark.filterwarnings('ignore::UserWarning')
def test_files_that_cannot_be_used(tmp_path, fields, change, sentence):
    frame = geopandas.read_file(fields).iloc[:5]
    path = written(tmp_path / 'changed.gpkg', change(frame))
    with pytest.raises(DataError, match=sentence):
        ParcelFile(path, scene_of(90, 110).grid)


def test_a_missing_and_a_damaged_file(tmp_path):
    grid = scene_of(9, 9).grid
    with pytest.raises(DataError, match='missing'):
        ParcelFile(tmp_path / 'none.gpkg', grid)
    (tmp_path / 'bad.gpkg').write_bytes(b'nothing')
    with pytest.raises(DataError, match='not a readable file'):
        ParcelFile(tmp_path / 'bad.gpkg', grid)


def test_columns_without_an_observed_pixel_are_null():
    columns = parcel_columns(np.array([[0, 0, 0], [4, 1, 3]], float), ('a', 'b'))
    assert columns['class'].isna().tolist() == [True, False]
    assert columns['class_name'].tolist() == [None, 'b']
    np.testing.assert_allclose(columns['p_a'], [np.nan, 0.25])
    assert columns['pixels'].tolist() == [0, 4]


def test_names_that_are_taken():
    names = free_names(['class', 'p_a', 'p_A', 'fid'], ['Class', 'predicted_class'])
    assert names['class'] == 'predicted_predicted_class'
    assert len({name.lower() for name in names.values()}) == 4


def test_scores_are_those_of_the_map_and_of_the_parcels(tmp_path, fields):
    mapper, scene = SITSInferencer(*write_network(tmp_path, 'pixels')), scene_of(90, 110)
    result = mapper(scene, tmp_path / 'map', fields, labels=fields, label_column='crop', options=SMALL)
    found = geopandas.read_file(result.files['parcels'])
    counted = found[found['crop'].isin(CLASSES) & found['class_name'].notna()]
    assert len(counted) == 3
    assert result.scores['parcels']['OA'] == pytest.approx((counted['crop'] == counted['class_name']).mean())
    assert result.scores['parcels']['unobserved'] == 0
    import rasterio

    with rasterio.open(result.files['classes']) as file:
        classes = file.read(1)
    target = np.full((90, 110), 255)
    target[30:41, 2:12], target[50:75, 40:90], target[80:90, 100:110] = 1, 0, 2
    known = (target != 255) & (classes != 255)
    assert result.scores['pixels']['OA'] == pytest.approx((classes == target)[known].mean())
    assert {'scores_pixels.json', 'scores_parcels.json'} <= {path.name for path in (tmp_path / 'map').iterdir()}


def test_a_column_that_cannot_be_compared_with_is_named_before_the_map_is_made(tmp_path, fields):
    mapper, scene = SITSInferencer(*write_network(tmp_path, 'parcels')), scene_of(90, 110)
    for column, sentence in [('kind', "no column 'kind', there are"), ('id', "'id' holds none of the classes")]:
        with pytest.raises(DataError, match=sentence):
            mapper(scene, tmp_path / 'map', fields, label_column=column, options=SMALL)
    assert not (tmp_path / 'map' / 'parcels.gpkg').exists()
    assert 'OA' in mapper(scene, tmp_path / 'map', fields, label_column='crop', options=SMALL).scores['parcels']


@pytest.mark.parametrize(
    'columns',
    [dict(fid=[1, 1]), dict(fid=['a', 'b']), dict(FID=[2.0, 3.5]), dict(geom=['x', 'y']), dict(id=[1, 2], ID=[3, 4])],
)
def test_columns_that_a_geopackage_has_of_its_own_are_kept(tmp_path, columns):
    shapes = [shapely.box(0, 0, 1, 1), shapely.box(1, 1, 2, 2)]
    frame = geopandas.GeoDataFrame(columns, geometry=shapes, crs=32631)
    path = tmp_path / 'parcels.gpkg'
    write_parcels(path, SimpleNamespace(frame=frame), {'class': np.array([0, 1])})
    found = geopandas.read_file(path)
    for number, name in enumerate(columns):
        written = name if not number else f'{name}_2'
        assert found[written].tolist() == columns[name]
    assert found['class'].tolist() == [0, 1]
    assert found.geometry.geom_equals(frame.geometry).all()


def test_a_parcel_within_its_buffer_has_the_shape_of_its_outline(tmp_path):
    config, checkpoint = write_network(tmp_path, 'geometry')
    config = Config.fromfile(config)
    config.test_dataloader.dataset.labels = dict(inner_buffer=10.0)
    shapes = [shapely.box(500_300, 4_999_400, 500_312, 4_999_412), shapely.box(500_400, 4_999_400, 500_500, 4_999_500)]
    geopandas.GeoDataFrame(geometry=shapes, crs=32631).to_file(tmp_path / 'two.gpkg')
    mapper = SITSInferencer(config, checkpoint)
    result = mapper(scene_of(90, 110), tmp_path / 'map', parcels=tmp_path / 'two.gpkg', options=SMALL)
    found = geopandas.read_file(result.files['parcels'])
    assert np.isfinite(found[[f'p_{name}' for name in CLASSES]].to_numpy()).all()
    assert found['pixels'].tolist() == [1, 64]


def test_labels_that_nothing_is_compared_with_are_refused(tmp_path, fields):
    scene = scene_of(90, 110)
    mapper = SITSInferencer(*write_network(tmp_path / 'a', 'parcels'))
    with pytest.raises(ConfigError, match='classifies parcels, and makes no map'):
        mapper(scene, tmp_path / 'map', fields, labels=fields, label_column='crop', options=SMALL)
    mapper = SITSInferencer(*write_network(tmp_path / 'b', 'pixels'))
    with pytest.raises(ConfigError, match='--label-column crop: there is nothing that has it'):
        mapper(scene, tmp_path / 'map', label_column='crop', options=SMALL)
    assert not (tmp_path / 'map').exists()
