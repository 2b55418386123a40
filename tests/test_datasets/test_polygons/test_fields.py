"""Fields out of vector files: repair, coordinate systems, bad files."""

import pytest

geopandas = pytest.importorskip('geopandas')
shapely = pytest.importorskip('shapely')

from mmsits.datasets.errors import DataError  # noqa: E402
from mmsits.datasets.polygons import read_fields  # noqa: E402

SQUARE = shapely.box(48.40, 32.20, 48.41, 32.21)
CROSSED = shapely.Polygon([(48.42, 32.20), (48.43, 32.21), (48.43, 32.20), (48.42, 32.21)])


def frame(shapes, crs='EPSG:4326', **columns):
    return geopandas.GeoDataFrame(columns, geometry=shapes, crs=crs)


def test_a_polygon_that_crosses_itself_keeps_its_areas(tmp_path):
    frame([SQUARE, CROSSED], crop=['Canola', 'Sugar Beet']).to_file(tmp_path / 'all.gpkg')
    fields = read_fields(tmp_path / 'all.gpkg')
    assert list(fields['crop']) == ['canola', 'sugarbeet']
    assert fields.geometry.is_valid.all()
    assert fields.geometry.iloc[1].area == pytest.approx(0.01 * 0.01 / 2)
    assert fields['field'].is_unique


def test_a_collapsed_polygon_is_left_out(tmp_path):
    line = shapely.Polygon([(48.4, 32.2), (48.5, 32.2), (48.4, 32.2)])
    frame([line, SQUARE], crop=['pea', 'pea']).to_file(tmp_path / 'all.gpkg')
    assert len(read_fields(tmp_path / 'all.gpkg')) == 1


def test_files_in_different_systems_come_together(tmp_path):
    frame([SQUARE]).to_file(tmp_path / 'Canola.shp')
    frame([SQUARE]).to_crs('EPSG:32639').to_file(tmp_path / 'Pea.gpkg')
    fields = read_fields(tmp_path)
    assert list(fields['crop']) == ['canola', 'pea']
    assert fields.crs.to_epsg() == 4326
    first, second = fields.geometry
    assert first.symmetric_difference(second).area < 1e-9


def test_a_missing_prj_is_refused_unless_the_system_is_given(tmp_path):
    frame([SQUARE]).to_file(tmp_path / 'Canola.shp')
    (tmp_path / 'Canola.prj').unlink()
    with pytest.raises(DataError, match=r'Canola\.prj is missing.*--assume-crs'):
        read_fields(tmp_path)
    assert read_fields(tmp_path, assumed_crs='EPSG:4326').geometry.iloc[0].equals(SQUARE)


def test_metres_that_are_said_to_be_degrees_are_refused(tmp_path):
    utm = frame([SQUARE]).to_crs('EPSG:32639').geometry.iloc[0]
    frame([SQUARE, utm], crop=['pea', 'pea']).to_file(tmp_path / 'all.gpkg')
    with pytest.raises(DataError, match=r'1 features have coordinates that are no degrees.*feature 1'):
        read_fields(tmp_path / 'all.gpkg')


@pytest.mark.parametrize('suffix', ['shp', 'gpkg'])
def test_an_empty_file_is_named(tmp_path, suffix):
    frame([SQUARE], crop=['pea']).iloc[:0].to_file(tmp_path / f'Pea.{suffix}')
    with pytest.raises(DataError, match=rf'no feature.*Pea\.{suffix}'):
        read_fields(tmp_path)


def test_points_an_unknown_column_and_an_empty_folder_are_refused(tmp_path):
    (tmp_path / 'none').mkdir()
    with pytest.raises(DataError, match='no vector file'):
        read_fields(tmp_path / 'none')
    frame([SQUARE], kind=['pea']).to_file(tmp_path / 'all.gpkg')
    with pytest.raises(DataError, match=r"no crop column 'crop'.*kind"):
        read_fields(tmp_path / 'all.gpkg')
    frame([shapely.Point(48, 32)], crop=['pea']).to_file(tmp_path / 'points.gpkg')
    with pytest.raises(DataError, match=r'polygons are expected, found Point'):
        read_fields(tmp_path / 'points.gpkg')
    (tmp_path / 'broken.gpkg').write_bytes(b'no database')
    with pytest.raises(DataError, match=r'not a readable vector file.*broken\.gpkg'):
        read_fields(tmp_path / 'broken.gpkg')


def test_crops_are_renamed(tmp_path):
    frame([SQUARE], crop=['SugerBeet']).to_file(tmp_path / 'all.gpkg')
    assert list(read_fields(tmp_path / 'all.gpkg', aliases={'SugerBeet': 'sugarbeet'})['crop']) == ['sugarbeet']


def test_crops_in_other_scripts_are_told_apart(tmp_path):
    shapes = [SQUARE, shapely.affinity.translate(SQUARE, 1)]
    frame(shapes, crop=['گندم', 'جو']).to_file(tmp_path / 'all.gpkg')
    assert list(read_fields(tmp_path / 'all.gpkg')['crop']) == ['گندم', 'جو']
    names = {'گندم': 'wheat', 'جو': 'barley'}
    assert list(read_fields(tmp_path / 'all.gpkg', aliases=names)['crop']) == ['wheat', 'barley']


def test_fields_without_a_crop_are_left_out(tmp_path):
    frame([SQUARE, SQUARE, CROSSED], crop=[None, ' ', 'pea']).to_file(tmp_path / 'all.gpkg')
    fields = read_fields(tmp_path / 'all.gpkg')
    assert list(fields['crop']) == ['pea']
    assert list(fields['field']) == ['all-2']
    frame([SQUARE], crop=['-']).to_file(tmp_path / 'none.gpkg')
    with pytest.raises(DataError, match=r'no feature names its crop.*none\.gpkg|none\.gpkg.*no feature names its crop'):
        read_fields(tmp_path / 'none.gpkg')
