"""Labels of a scene: rasters, polygons and points become the same maps, window by window, and bad files are named."""

import logging

import geopandas
import numpy as np
import pytest
from affine import Affine
from rasterio.crs import CRS
from shapely.affinity import rotate, translate
from shapely.geometry import LineString, Polygon

from mmsits.datasets import DataError
from mmsits.datasets.scene.grid import Grid, Window, block_windows
from mmsits.datasets.scene.labels import read_labels
from tests.helpers.field_files import CROPS, GRID, HEIGHT, WIDTH, area, fields, place, write_raster, write_vector


@pytest.fixture
def logged(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmsits.datasets.scene.labels.print_log', lambda text, logger=None, level=logging.INFO: lines.append(text)
    )
    monkeypatch.setattr(
        'mmsits.datasets.scene.vectors.print_log', lambda text, logger=None, level=logging.INFO: lines.append(text)
    )
    return lines


def expected_map():
    """Crops sorted by name: grass 0, maize 1, wheat 2."""
    found = np.full((HEIGHT, WIDTH), 255, np.uint8)
    for i, row in enumerate(range(1, HEIGHT - 8, 10)):
        for j, column in enumerate(range(1, WIDTH - 8, 10)):
            found[row : row + 8, column : column + 8] = sorted(CROPS).index(CROPS[(i + j) % 3])
    return found


def one(folder, shapes, crops=None, **options):
    """Labels of a file with these shapes."""
    rows = [dict(crop=crop) for crop in (crops or ['wheat'] * len(shapes))]
    write_vector(folder / 'one.gpkg', shapes, rows)
    return read_labels('one.gpkg', GRID, data_root=folder, column='crop', **options)


@pytest.mark.parametrize('name', ['fields.gpkg', 'fields.parquet', 'fields.shp', 'fields.geojson'])
@pytest.mark.parametrize('crs', [32631, 4326, 3035])
def test_polygons_of_any_format_and_crs_give_the_same_map(tmp_path, name, crs):
    write_vector(tmp_path / name, *fields(), to=crs)
    labels = read_labels(name, GRID, data_root=tmp_path, column='crop')
    assert labels.classes == ('grass', 'maize', 'wheat')
    assert len(labels.palette) == 3
    np.testing.assert_array_equal(labels.read(GRID.window), expected_map())


def test_a_raster_gives_the_same_map(tmp_path):
    write_raster(tmp_path / 'labels.tif', expected_map(), nodata=255)
    labels = read_labels('labels.tif', GRID, data_root=tmp_path, classes=('grass', 'maize', 'wheat'))
    np.testing.assert_array_equal(labels.read(GRID.window), expected_map())


@pytest.mark.parametrize('all_touched', [False, True])
@pytest.mark.parametrize('seed', range(4))
def test_a_window_is_the_cut_of_the_whole(tmp_path, seed, all_touched):
    """Also where polygons are turned, overlap, and end between pixels."""
    rng = np.random.default_rng(seed)
    shapes = [rotate(area(*rng.uniform(0, 45, 2), *rng.uniform(0.5, 12, 2)), rng.uniform(0, 90)) for _ in range(25)]
    labels = one(tmp_path, shapes, rng.choice(CROPS, 25).tolist(), all_touched=all_touched)
    whole = labels.read(GRID.window)
    assert 0.1 < (whole != 255).mean() < 0.95
    together = np.full_like(whole, 254)
    for window in block_windows(HEIGHT, WIDTH, int(rng.integers(5, 20))):
        together[window.slices] = labels.read(window)
    np.testing.assert_array_equal(together, whole)


def test_pixels_are_those_of_the_map_and_each_is_one_features(tmp_path):
    write_vector(tmp_path / 'fields.gpkg', *fields())
    labels = read_labels('fields.gpkg', GRID, data_root=tmp_path, column='crop', classes=('wheat', 'grass'))
    pixels = labels.pixels()
    counted = np.full((HEIGHT, WIDTH), 255, np.uint8)
    owners = labels.owners(GRID.window)
    for group, feature in enumerate(pixels.features):
        rows, columns = (array[pixels.offsets[group] : pixels.offsets[group + 1]] for array in pixels[2:4])
        assert (owners[rows, columns] == feature).all()
        assert (counted[rows, columns] == 255).all()
        counted[rows, columns] = pixels.labels[group]
    np.testing.assert_array_equal(counted, labels.read(GRID.window))
    assert set(np.unique(counted)) == {0, 1, 255}


def test_classes_that_are_not_asked_for_are_ignored_and_said(tmp_path, logged):
    write_vector(tmp_path / 'fields.gpkg', *fields())
    labels = read_labels('fields.gpkg', GRID, data_root=tmp_path, column='crop', classes=('wheat', 'rice'))
    np.testing.assert_array_equal(labels.read(GRID.window), np.where(expected_map() == 2, 0, 255))
    assert any('neither trained nor scored: ' in line and 'grass' in line for line in logged)


def test_a_table_translates_codes(tmp_path, logged):
    shapes = [area(1, 1, 5, 5), area(1, 10, 5, 5), area(1, 20, 5, 5), area(1, 30, 5, 5)]
    write_vector(tmp_path / 'codes.gpkg', shapes, [dict(code=code) for code in (1.0, 2.0, 3.0, 7.0)])
    table = {1: 'cereal', 2: 'cereal', '3': 'grass'}
    labels = read_labels('codes.gpkg', GRID, data_root=tmp_path, column='code', table=table)
    assert labels.classes == ('cereal', 'grass')
    assert labels.read(Window(3, 0, 1, 60))[0, [3, 12, 22, 32]].tolist() == [0, 0, 1, 255]
    assert any('7 (1)' in line for line in logged)
    codes = np.kron(np.array([[1, 2], [3, 7]]), np.ones((20, 30))).astype(np.int16)
    write_raster(tmp_path / 'codes.tif', codes, nodata=-1)
    raster = read_labels('codes.tif', GRID, data_root=tmp_path, table=table)
    assert raster.classes == ('cereal', 'grass')
    assert raster.read(GRID.window)[[0, 0, 39, 39], [0, 59, 0, 59]].tolist() == [0, 0, 1, 255]


def test_inner_buffer_and_area_are_in_metres_whatever_the_crs(tmp_path):
    for crs in (32631, 4326, 3857):
        write_vector(tmp_path / f'{crs}.gpkg', [area(4, 4, 10, 12), area(20, 20, 4, 4)], [dict(crop='a')] * 2, to=crs)
        labels = read_labels(f'{crs}.gpkg', GRID, data_root=tmp_path, column='crop', inner_buffer=20, min_area=100)
        rows, columns = np.nonzero(labels.read(GRID.window) == 0)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (6, 11, 6, 13)
        np.testing.assert_allclose(labels.geometry[0], [280, 4800, 280 / 4800], rtol=2e-3)


def test_all_touched_adds_pixels_at_outlines_and_takes_none_from_neighbours(tmp_path):
    # A thin strip that holds no pixel's centre, and two fields with a common border within a column of pixels.
    strip, left, right = area(2, 2.6, 10, 0.3), area(20, 10, 5, 4.4), area(20, 14.4, 5, 4)
    crops = ['wheat', 'wheat', 'maize']
    plain = one(tmp_path, [strip, left, right], crops).read(GRID.window)
    touched = one(tmp_path, [strip, left, right], crops, all_touched=True).read(GRID.window)
    assert (plain[:15] == 255).all()
    assert (touched[3:11, 2] == 1).all()
    np.testing.assert_array_equal(touched[21:24, 11:18], plain[21:24, 11:18])


def test_of_overlapping_polygons_the_first_has_the_pixels_unless_classes_differ(tmp_path, logged):
    shapes = [area(2, 2, 10, 10), area(2, 8, 10, 10), area(20, 2, 10, 10), area(20, 8, 10, 10)]
    labels = one(tmp_path, shapes, ['wheat', 'wheat', 'wheat', 'maize'])
    owners = labels.owners(GRID.window)
    assert (owners[2:12, 2:12] == 0).all()
    assert (owners[2:12, 12:18] == 1).all()
    assert (owners[20:30, 2:8] == 2).all()
    assert (owners[20:30, 8:12] < 0).all()
    assert any('2 pairs of polygons overlap' in line and '1 pairs of different classes' in line for line in logged)


def test_three_that_overlap_in_the_order_a_b_a_have_no_label(tmp_path):
    shapes = [area(2, 2, 10, 10)] * 3
    assert (one(tmp_path, shapes, ['wheat', 'maize', 'wheat']).read(GRID.window) == 255).all()


def test_neighbours_do_not_overlap(tmp_path, logged):
    one(tmp_path, [area(2, 2, 10, 10), area(2, 12, 10, 10), area(12, 2, 10, 20)], list(CROPS))
    assert not any('overlap' in line for line in logged)


@pytest.mark.parametrize('crs', [32631, 4326])
def test_a_point_labels_one_pixel(tmp_path, crs, logged):
    points = [place(3.5, 4.5), place(3.9, 4.1), place(7.5, 8.5), place(7.2, 8.2), place(39.99, 59.99), place(-3, 5)]
    rows = [dict(crop=crop) for crop in ('wheat', 'wheat', 'wheat', 'maize', 'grass', 'grass')]
    write_vector(tmp_path / 'points.gpkg', points, rows, to=crs)
    labels = read_labels('points.gpkg', GRID, data_root=tmp_path, column='crop')
    found = labels.read(GRID.window)
    assert labels.kind == 'points'
    assert (found != 255).sum() == 2
    assert found[3, 4] == labels.classes.index('wheat')
    assert found[39, 59] == labels.classes.index('grass')
    assert any('1 pixels with points of different classes (the first at row 7, column 8)' in line for line in logged)
    np.testing.assert_array_equal(labels.read(Window(2, 3, 9, 20)), found[2:11, 3:23])
    assert len(labels.pixels().rows) == 2


def test_a_raster_of_another_grid_gives_the_nearest_pixels(tmp_path):
    """Codes tell the place: a coarser grid, moved and of another CRS, is off by half a pixel at most."""
    rows, columns = np.mgrid[:30, :40]
    coarse = Grid(GRID.crs, Affine(20, 0, 499_900, 0, -20, 5_000_100), 30, 40)
    write_raster(tmp_path / 'coarse.tif', (rows * 100 + columns).astype(np.int16), coarse, nodata=-1)
    labels = read_labels('coarse.tif', GRID, data_root=tmp_path, classes=None, table={0: 'a', 505: 'b'})
    codes, known = labels.codes(GRID.window)
    assert known.all()
    row, column = np.mgrid[:HEIGHT, :WIDTH]
    np.testing.assert_array_equal(codes, (row + 10) // 2 * 100 + (column + 10) // 2)
    part, _ = labels.codes(Window(7, 11, 9, 13))
    np.testing.assert_array_equal(part, codes[7:16, 11:24])


def test_beyond_a_raster_nothing_is_known(tmp_path):
    small = Grid(GRID.crs, GRID.transform @ Affine.translation(5, 3), 10, 10)
    for name, grid in (('same.tif', small), ('other.tif', small._replace(transform=small.transform @ Affine.scale(2)))):
        write_raster(tmp_path / name, np.zeros((10, 10), np.uint8), grid)
        labels = read_labels(name, GRID, data_root=tmp_path, classes=('a',))
        side = 10 if grid is small else 20
        expected = np.full((HEIGHT, WIDTH), 255)
        expected[3 : 3 + side, 5 : 5 + side] = 0
        np.testing.assert_array_equal(labels.read(GRID.window), expected)


def test_a_raster_brings_its_colours(tmp_path):
    values = (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 2).astype(np.uint8)
    write_raster(tmp_path / 'labels.tif', values, colours={0: (1, 2, 3, 255), 1: (250, 0, 9, 255)})
    labels = read_labels('labels.tif', GRID, data_root=tmp_path, table={1: 'b', 0: 'a'})
    assert labels.palette == [[1, 2, 3], [250, 0, 9]]


def test_a_raster_brings_its_names(tmp_path):
    import rasterio

    path = write_raster(tmp_path / 'labels.tif', np.tile(np.arange(3, dtype=np.uint8), (HEIGHT, WIDTH // 3)))
    with rasterio.open(path, 'r+') as file:
        file.update_tags(1, class_0='wheat', class_1='grass', class_9='rice')
    labels = read_labels('labels.tif', GRID, data_root=tmp_path)
    assert labels.classes == ('grass', 'wheat')
    assert labels.read(GRID.window)[0, :3].tolist() == [1, 0, 255]
    chosen = read_labels('labels.tif', GRID, data_root=tmp_path, classes=('wheat', 'rice'))
    assert chosen.read(GRID.window)[0, :3].tolist() == [0, 255, 255]


def test_without_a_class_column_features_have_no_class_but_pixels(tmp_path):
    write_vector(tmp_path / 'fields.gpkg', *fields())
    labels = read_labels('fields.gpkg', GRID, data_root=tmp_path, classes=('wheat',))
    assert labels.unlabelled
    assert (labels.read(GRID.window) == 255).all()
    assert len(labels.pixels().features) == len(fields()[0])


def test_invalid_geometry_is_named_or_repaired(tmp_path, logged):
    bow = Polygon([tuple(GRID.transform @ corner) for corner in ((5, 5), (15, 15), (15, 5), (5, 15))])
    shapes, rows = [area(20, 20, 5, 5), bow], [dict(id='good', crop='a'), dict(id='bow', crop='b')]
    write_vector(tmp_path / 'bad.gpkg', shapes, rows)
    with pytest.raises(
        DataError, match=r'1 of 2 features have no valid geometry \(bow: Self-intersection.*repair=True'
    ):
        read_labels('bad.gpkg', GRID, data_root=tmp_path, column='crop')
    labels = read_labels('bad.gpkg', GRID, data_root=tmp_path, column='crop', repair=True)
    assert (labels.read(GRID.window) == 1).sum() > 30
    assert any('bow' in line and 'repaired' in line for line in logged)


@pytest.mark.parametrize(
    ('shapes', 'rows', 'options', 'message'),
    [
        ([area(1, 1, 5, 5)], [dict(crop='a')], dict(column='kind'), r"no class column 'kind', there are \['crop'\]"),
        ([translate(area(1, 1, 5, 5), 9e4)], [dict(crop='a')], {}, r'no feature lies in the scene.*CRS'),
        ([area(1, 1, 5, 5), area(9, 9, 5, 5)], [dict(crop='a'), dict(crop=None)], {}, r'1 of 2.*no entry.*nulls='),
        ([area(1, 1, 5, 5)], [dict(crop=None)], dict(nulls='ignore'), r'1 of 1 features have no entry'),
        ([LineString([(500_000, 4_999_900), (500_100, 4_999_800)])], [dict(crop='a')], {}, r'found 1 LineString'),
        ([area(1, 1, 5, 5), place(9, 9)], [dict(crop='a')] * 2, {}, r'polygons or points are expected'),
        ([area(1, 1, 5, 5)], [dict(crop='a')], dict(classes=('b',)), r"none of the classes \['b'\] occurs.*\['a'\]"),
        ([area(1, 1, 5, 5)], [dict(crop='a')], dict(table={'x': 'b'}), r"no code of the table.*\['a'\]"),
        ([area(1, 1, 5, 5)], [dict(crop='a')], dict(layer='fields'), r"no layer 'fields', there are \['bad'\]"),
        ([area(1, 1, 5, 5)], [dict(crop='a')], dict(id_column='name'), r"no id column 'name'"),
        ([place(1, 1)], [dict(crop='a')], dict(inner_buffer=5), r'are for polygons, the file holds points'),
    ],
)
def test_bad_vector_files_are_named(tmp_path, shapes, rows, options, message):
    write_vector(tmp_path / 'bad.gpkg', shapes, rows)
    with pytest.raises(DataError, match=message) as error:
        read_labels('bad.gpkg', GRID, data_root=tmp_path, **{'column': 'crop', **options})
    assert error.value.path.endswith('bad.gpkg')
    assert error.value.hint


def test_files_without_crs_or_features_or_content_are_named(tmp_path):
    write_vector(tmp_path / 'no_crs.gpkg', [area(1, 1, 5, 5)], [dict(crop='a')], crs=None)
    write_vector(tmp_path / 'no_crs.parquet', [area(1, 1, 5, 5)], [dict(crop='a')], crs=None)
    write_vector(tmp_path / 'empty.parquet', [area(1, 1, 5, 5)][:0], [])
    (tmp_path / 'broken.gpkg').write_bytes(b'no database')
    cases = dict(no_crs='no coordinate reference system', empty='no feature', broken='not a readable vector file')
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(DataError, match=cases[path.stem]):
            read_labels(path.name, GRID, data_root=tmp_path, column='crop')
    with pytest.raises(DataError, match='missing'):
        read_labels('nowhere.gpkg', GRID, data_root=tmp_path, column='crop')


def test_bad_rasters_are_named(tmp_path):
    there = np.zeros((HEIGHT, WIDTH), np.uint8)
    write_raster(tmp_path / 'codes.tif', there + 3)
    with pytest.raises(DataError, match=r'code i is class i: 0 … 1; the raster has codes \[3\].*table='):
        read_labels('codes.tif', GRID, data_root=tmp_path, classes=('a', 'b'))
    with pytest.raises(DataError, match=r'no code of the table.*which has \[3\]'):
        read_labels('codes.tif', GRID, data_root=tmp_path, table={1: 'a'})
    write_raster(tmp_path / 'empty.tif', there, nodata=0)
    with pytest.raises(DataError, match='no pixel of the scene has a label'):
        read_labels('empty.tif', GRID, data_root=tmp_path)
    write_raster(tmp_path / 'float.tif', there + 0.5)
    with pytest.raises(DataError, match=r'must be integers, found 0.5 at row 0, column 0'):
        read_labels('float.tif', GRID, data_root=tmp_path)
    write_raster(tmp_path / 'far.tif', there, GRID._replace(transform=GRID.transform @ Affine.translation(100, 0)))
    with pytest.raises(DataError, match='does not overlap the scene'):
        read_labels('far.tif', GRID, data_root=tmp_path)
    write_raster(tmp_path / 'no_crs.tif', there, GRID._replace(crs=None))
    with pytest.raises(DataError, match='no coordinate reference system'):
        read_labels('no_crs.tif', GRID, data_root=tmp_path)
    with pytest.raises(DataError, match='band 2'):
        read_labels('codes.tif', GRID, data_root=tmp_path, band=2)
    with pytest.raises(ValueError, match=r"\['column'\] are for a vector file"):
        read_labels('codes.tif', GRID, data_root=tmp_path, column='crop')


def test_labels_of_a_geographic_scene(tmp_path):
    grid = Grid(CRS.from_epsg(4326), Affine(1e-4, 0, 3.0, 0, -1e-4, 45.15), 100, 100)
    corner = Polygon([(3.002, 45.148), (3.006, 45.148), (3.006, 45.144), (3.002, 45.144)])
    write_vector(tmp_path / 'one.gpkg', [corner], [dict(crop='a')], crs=4326)
    rows, columns = np.nonzero(read_labels('one.gpkg', grid, data_root=tmp_path, column='crop').read(grid.window) == 0)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (20, 59, 20, 59)
    shrunk = read_labels('one.gpkg', grid, data_root=tmp_path, column='crop', inner_buffer=45).read(grid.window)
    rows, columns = np.nonzero(shrunk == 0)
    # A pixel is 11.1 m high and 7.9 m wide there.
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (24, 55, 26, 53)


@pytest.mark.parametrize('names', [('longitude', 'latitude'), ('lon', 'lat')])
def test_points_of_a_csv_file_are_those_of_a_vector_file(tmp_path, names):
    places = [place(3.5, 4.5), place(10.5, 20.5), place(7.5, 2.5)]
    write_vector(tmp_path / 'points.gpkg', places, [dict(crop=crop) for crop in CROPS], to=4326)
    points = geopandas.read_file(tmp_path / 'points.gpkg')
    table = {names[0]: points.geometry.x, names[1]: points.geometry.y, 'crop': points['crop']}
    points.drop(columns='geometry').assign(**table).to_csv(tmp_path / 'points.csv', index=False)
    found, expected = (
        read_labels(name, GRID, data_root=tmp_path, column='crop').read(GRID.window)
        for name in ('points.csv', 'points.gpkg')
    )
    np.testing.assert_array_equal(found, expected)
    assert (found != 255).sum() == 3


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('crop,row,col\nwheat,3,4\n', r"no columns longitude and latitude, there are \['crop', 'row', 'col'\]"),
        ('longitude,latitude,crop\n3,48,wheat\n500000,5300000,wheat\n', 'longitude 500000 .* in line 3 are no degrees'),
        ('longitude,latitude,crop\n3,north,wheat\n', 'latitude north in line 2'),
        ('', 'not a readable vector file'),
    ],
)
def test_bad_points_of_a_csv_file_are_named(tmp_path, content, message):
    (tmp_path / 'points.csv').write_text(content)
    with pytest.raises(DataError, match=message):
        read_labels('points.csv', GRID, data_root=tmp_path, column='crop')


def test_an_empty_id_column_names_nothing(tmp_path):
    shapes = [area(1, 1, 5, 5), area(10, 1, 5, 5), area(20, 1, 5, 5)]

    def ids(values, **options):
        write_vector(tmp_path / 'ids.gpkg', shapes, [dict(id=value, crop='a') for value in values])
        return read_labels('ids.gpkg', GRID, data_root=tmp_path, column='crop', **options).frame['feature_id'].tolist()

    assert ids([4, 5, 6]) == ['4', '5', '6']
    assert len(set(ids([None, None, None]))) == 3
    numbered = ids([None, 7, 8])
    assert numbered == ids([None, None, None])
    with pytest.raises(DataError, match=r"2 of 3 features have no entry in the id column 'id'"):
        ids([None, 7, None], id_column='id')
