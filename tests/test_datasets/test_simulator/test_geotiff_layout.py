"""The layout of GeoTIFFs as written, and the command."""

import hashlib
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from mmsits.datasets.simulator import BANDS, GeotiffOptions, RegionConfig, simulate_region, write_geotiff

geopandas = pytest.importorskip('geopandas')
rasterio = pytest.importorskip('rasterio')
features = pytest.importorskip('rasterio.features')

CONFIG = RegionConfig(
    height=60,
    width=80,
    seed=3,
    season_start='2021-10-01',
    s2_dates=6,
    s1_dates=2,
    sensors=('s2', 's1a'),
    label_noise=0.1,
    annotated_share=0.9,
)
OPTIONS = GeotiffOptions(cloud_files=('mask', 'scl'), s1_pixel_size=20, points=30)
TOOL = Path(__file__).resolve().parents[3] / 'tools' / 'dataset_converters' / 'simulate.py'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_geotiff(CONFIG, tmp_path_factory.mktemp('data') / 'scene', OPTIONS)


@pytest.fixture(scope='module')
def region():
    return simulate_region(CONFIG)


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('simulate', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(path):
    with rasterio.open(path) as file:
        return file.read()


def class_names(file):
    return {name.removeprefix('class_'): text for name, text in file.tags(1).items() if name.startswith('class_')}


def name_of(date):
    return str(date).replace('-', '')


def test_sentinel_2_files_hold_the_images_with_the_offset_of_their_baseline(folder, region):
    dates = region.dates['s2']
    assert sorted(path.name for path in (folder / 's2').iterdir()) == [f'S2_{name_of(date)}.tif' for date in dates]
    baselines = set()
    for index, date in enumerate(dates):
        image, clouds = region.s2_acquisition(index)
        with rasterio.open(folder / 's2' / f'S2_{name_of(date)}.tif') as file:
            assert (file.crs.to_epsg(), file.nodata, file.res) == (32633, 0, (10, 10))
            assert file.descriptions == BANDS
            assert (file.bounds.left, file.bounds.top) == (500_000, 5_300_000)
            baselines.add(baseline := file.tags()['PROCESSING_BASELINE'])
            assert baseline == ('04.00' if date >= np.datetime64('2022-01-25') else '03.01')
            np.testing.assert_array_equal(file.read(), np.maximum(image, 1) + 1000 * (baseline == '04.00'))
        np.testing.assert_array_equal(read(folder / 's2_clouds' / f'CLOUDS_{name_of(date)}.tif')[0], clouds)
        with rasterio.open(folder / 's2_scl' / f'SCL_{name_of(date)}.tif') as file:
            assert file.res == (20, 20)
            np.testing.assert_array_equal(file.read(1), np.choose(clouds[::2, ::2], [4, 3, 9]))
    assert baselines == {'03.01', '04.00'}


def test_sentinel_1_files_hold_the_mean_power_of_their_pixels(folder, region):
    for index, date in enumerate(region.dates['s1a']):
        power = 10 ** (region.acquisition('s1a', index)[:2].astype(np.float64) / 10)
        expected = power.reshape(2, 30, 2, 40, 2).mean(axis=(2, 4))
        with rasterio.open(folder / 's1' / f'S1_{name_of(date)}.tif') as file:
            assert file.descriptions == ('VV', 'VH')
            assert file.res == (20, 20)
            assert np.isnan(file.nodata)
            np.testing.assert_allclose(10 ** (file.read() / 10), expected, rtol=1e-4)


def test_tables_list_the_files(folder, region):
    lines = (folder / 's2.csv').read_text().splitlines()
    assert lines[0] == 'file,date,processing_baseline,offset'
    assert len(lines) == 7
    for line, date in zip(lines[1:], region.dates['s2'], strict=True):
        late = date >= np.datetime64('2022-01-25')
        assert line == f'S2_{name_of(date)}.tif,{date},{"04.00,-1000" if late else "03.01,0"}'
    assert (folder / 's1.csv').read_text().splitlines()[0] == 'file,date'


def test_labels_have_names_and_colours(folder, region):
    with rasterio.open(folder / 'labels.tif') as file:
        labels = file.read(1)
        assert file.nodata == 255
        names = class_names(file)
        colours = file.colormap(1)
    np.testing.assert_array_equal(labels, np.where(region.label == 19, 255, region.label))
    assert {str(number) for number in np.unique(labels)} - {'255'} <= set(names)
    assert names['3'] == 'Corn'
    assert len({colours[int(number)] for number in names}) == len(names)
    np.testing.assert_array_equal(read(folder / 'SIMULATION' / 'true_class.tif')[0], region.true_class)


def test_fields_are_the_simulated_parcels(folder, region):
    table = geopandas.read_file(folder / 'fields.gpkg')
    assert table.crs.to_epsg() == 32633
    assert table.geometry.is_valid.all()
    area = region.landscape.area[region.units.class_of_unit > 0].sum() * 100
    assert table.geometry.area.sum() == pytest.approx(area, rel=1e-3)
    shapes = zip(table.geometry, table['id'], strict=True)
    with rasterio.open(folder / 'SIMULATION' / 'fields.tif') as file:
        numbers = file.read(1)
        drawn = features.rasterize(shapes, out_shape=file.shape, transform=file.transform, dtype='int32')
    np.testing.assert_array_equal(numbers, region.parcel_ids)
    pure = region.purity > 0.99
    np.testing.assert_array_equal(drawn[pure], region.parcel_ids[pure])
    labels = read(folder / 'labels.tif')[0]
    with rasterio.open(folder / 'labels.tif') as file:
        names = class_names(file)
    for number, crop in zip(table['id'], table['crop'], strict=True):
        expected = {crop} if isinstance(crop, str) else {'unknown'}
        assert {names.get(str(value), 'unknown') for value in labels[numbers == number]} <= expected
    assert table['crop'].isna().any()


def test_points_lie_in_fields_of_their_crop(folder, region):
    points = geopandas.read_file(folder / 'points.gpkg')
    assert len(points) == len(set(points['id'])) == 30
    fields = geopandas.read_file(folder / 'fields.gpkg').set_index('id')
    for number, crop, place in zip(points['id'], points['crop'], points.geometry, strict=True):
        assert fields.geometry[number].contains(place)
        assert fields['crop'][number] == crop


def test_repeat_lays_copies_side_by_side_and_numbers_their_fields(tmp_path, folder, region):
    options = GeotiffOptions(bands=('B08', 'B04'), repeat=5, points=10**6)
    config = RegionConfig.from_dict({**CONFIG.to_dict(), 'sensors': ['s2'], 's2_dates': 1})
    scene = write_geotiff(config, tmp_path / 'scene', options)
    path = next((scene / 's2').iterdir())
    image = read(path)
    assert image.shape == (2, 300, 400)
    first = simulate_region(config).s2_acquisition(0)[0][[6, 2]]
    baseline = 1000 * (path.stem > 'S2_20220125')
    np.testing.assert_array_equal(image, np.tile(np.maximum(first, 1) + baseline, (1, 5, 5)))
    fields = geopandas.read_file(scene / 'fields.gpkg')
    count = len(region.parcel_class) - 1
    np.testing.assert_array_equal(np.sort(fields['id']), np.arange(1, 25 * count + 1))
    numbers = read(scene / 'SIMULATION' / 'fields.tif')[0]
    points = geopandas.read_file(scene / 'points.gpkg')
    rows, columns = (5_300_000 - points.geometry.y) // 10, (points.geometry.x - 500_000) // 10
    np.testing.assert_array_equal(numbers[rows.astype(int), columns.astype(int)], points['id'])
    assert numbers.max() == 25 * count


def test_partial_dates_have_nodata_beyond_the_swath(tmp_path):
    config = RegionConfig(height=40, width=40, s2_dates=4)
    scene = write_geotiff(config, tmp_path / 'scene', GeotiffOptions(partial_dates=0.5, bands=('B04', 'B08')))
    seen = {}
    for path in (scene / 's2').iterdir():
        image = read(path)
        np.testing.assert_array_equal(image[0] == 0, image[1] == 0)
        clouds = read(scene / 's2_clouds' / path.name.replace('S2', 'CLOUDS'))[0]
        np.testing.assert_array_equal(clouds == 255, image[0] == 0)
        seen[path.stem[3:]] = (image[0] > 0).mean()
    partial = json.loads((scene / 'SIMULATION' / 'simulation.json').read_text())['regions'][0]['partial_dates']
    assert {date.replace('-', '') for date in partial} == {date for date, share in seen.items() if share < 1}
    assert len(partial) == 2
    assert all(0.1 < share < 0.9 for share in seen.values() if share < 1)


def test_sentinel_1_in_another_reference_system(tmp_path):
    config = RegionConfig(height=40, width=60, s1_dates=1, sensors=('s1a', 's1d'))
    scene = write_geotiff(config, tmp_path / 'scene', GeotiffOptions(s1_crs='EPSG:3035', points=0))
    for name in ('s1a', 's1d'):
        (path,) = (scene / name).iterdir()
        with rasterio.open(path) as file:
            assert file.crs.to_epsg() == 3035
            assert file.descriptions == ('VV', 'VH')
            image = file.read()
        # A turned rectangle: nothing in the corners, dB of farmland inside.
        assert np.isnan(image[:, 0, 0]).all()
        assert -30 < np.nanmean(image) < -5
    assert len(geopandas.read_file(scene / 'points.gpkg')) == 0


def test_the_same_call_gives_the_same_bytes_and_does_nothing_again(tmp_path, folder):
    again = write_geotiff(simulate_region(CONFIG), tmp_path / 'again', OPTIONS)

    def digests(root):
        return {
            str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in root.rglob('*')
            if path.is_file()
        }

    assert digests(again) == digests(folder)
    before = (again / 'labels.tif').stat().st_mtime_ns
    assert write_geotiff(CONFIG, again, OPTIONS) == again
    assert (again / 'labels.tif').stat().st_mtime_ns == before
    with pytest.raises(FileExistsError, match='other options'):
        write_geotiff(CONFIG, again)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(bands=('B01',)), 'bands'),
        (dict(bands=()), 'bands'),
        (dict(cloud_files=('scl', 'scl')), 'cloud_files'),
        (dict(repeat=0), 'repeat'),
        (dict(s1_pixel_size=15), 's1_pixel_size'),
        (dict(partial_dates=1.5), 'partial_dates'),
        (dict(s1_pixel_size=70), 'whole number'),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write_geotiff(CONFIG, tmp_path / 'scene', GeotiffOptions(**options))
    with pytest.raises(ValueError, match='one region'):
        write_geotiff([CONFIG, CONFIG], tmp_path / 'scene')
    assert not list(tmp_path.iterdir())


def test_the_command_writes_a_scene(tool, tmp_path, capsys):
    size = ['--layout', 'geotiff', '--patches', '1', '--patch-size', '48', '--dates', '2', '--repeat', '2']
    assert tool.main([str(tmp_path / 'out'), *size, '--bands', 'B04', 'B08', '--cloud-files', '--points', '5']) == 0
    assert '96 x 96 pixels' in capsys.readouterr().out
    assert not (tmp_path / 'out' / 's2_clouds').exists()
    assert len(geopandas.read_file(tmp_path / 'out' / 'points.gpkg')) == 5
