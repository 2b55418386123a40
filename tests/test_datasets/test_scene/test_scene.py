import pickle
from pathlib import Path

import numpy as np
import pytest

from mmsits.datasets.errors import DataError
from mmsits.datasets.scene import Grid, Scene, Window, open_scene
from mmsits.datasets.scene.scene import grid_of_bounds
from tests.helpers.scene_files import DATES, numbers, transform, write_raster, write_series

HEIGHT, WIDTH = 20, 24
SENSORS = dict(
    s2=dict(folder='s2', unit='reflectance x 10000'),
    s1=dict(folder='s1', unit='dB', resampling='nearest'),
    dem=dict(file='dem.tif', date='2021-01-01'),
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_series(tmp_path / 's2', numbers(3, 2, HEIGHT, WIDTH), ['B04', 'B08'], nodata=0)
    write_series(
        tmp_path / 's1', -numbers(2, 2, 10, 12, dtype='float32'), ['VV', 'VH'], DATES[:2], where=transform(pixel=20)
    )
    write_raster(tmp_path / 'dem.tif', numbers(1, HEIGHT + 10, WIDTH + 10), ['elevation'], where=transform(-5, -5))
    return tmp_path


def test_sensors_with_grids_and_dates_of_their_own_are_read_on_one(root: Path) -> None:
    scene = open_scene(dict(sensors=SENSORS, grid='s2', labels='what a dataset says besides'), root)
    assert (scene.grid.shape, list(scene.sensors)) == ((HEIGHT, WIDTH), ['s2', 's1', 'dem'])
    assert scene.sensors_info['s1'] == dict(bands=('VV', 'VH'), file_bands=('VV', 'VH'), unit='dB')
    assert {name: len(days) for name, days in scene.days.items()} == dict(s2=3, s1=2, dem=1)
    found = scene.read(Window(3, 2, 9, 8), bands=dict(s2=['B08']))
    assert {name: series.values.shape for name, series in found.items()} == dict(
        s2=(3, 1, 9, 8), s1=(2, 2, 9, 8), dem=(1, 1, 9, 8)
    )
    assert all(series.valid.all() for series in found.values())
    np.testing.assert_array_equal(
        found['s1'].values,
        np.kron(scene.sensors['s1'].read(Window(0, 0, 10, 12)).values, np.ones((2, 2)))[..., 3:12, 2:10],
    )
    np.testing.assert_array_equal(found['dem'].values, scene.sensors['dem'].read(Window(8, 7, 9, 8)).values)
    assert list(scene.read(Window(0, 0, 2, 2), sensors=['s1'])) == ['s1']


def test_the_grid_is_that_of_a_sensor_a_file_or_of_bounds(root: Path) -> None:
    def grid(wanted: object) -> Grid:
        return open_scene(dict(sensors=SENSORS, grid=wanted), root).grid

    assert grid(None) == grid('s2')
    assert grid('s1').shape == (10, 12)
    assert grid(dict(file='dem.tif')).shape == (HEIGHT + 10, WIDTH + 10)
    own = dict(crs='EPSG:32631', bounds=(500_000, 4_999_900, 500_100, 5_000_000), pixel_size=5)
    assert grid(own).shape == (20, 20)
    assert grid(grid(own)) == grid(own)
    with pytest.raises(ValueError, match=r"grid='s3' is not a sensor of the scene; these are \['s2', 's1', 'dem'\]"):
        grid('s3')
    with pytest.raises(ValueError, match=r"grid: \['bounds', 'pixel_size'\] missing"):
        grid(dict(crs='EPSG:32631'))
    with pytest.raises(ValueError, match='hold no pixel'):
        grid_of_bounds('EPSG:32631', (0, 0, 1, 1), 10)


def test_a_raster_that_does_not_overlap_is_refused(root: Path) -> None:
    write_raster(root / 's2' / 'S2_20210601.tif', numbers(2, 9, 9), ['B04', 'B08'], where=transform(500, 500))
    with pytest.raises(DataError, match=r'does not overlap the scene: it covers .*S2_20210601\.tif'):
        open_scene(dict(sensors=SENSORS, grid='s1'), root)


def test_masks_that_do_not_overlap_are_refused(root: Path) -> None:
    write_series(root / 'mask', np.zeros((3, 9, 9), 'uint8'), where=transform(500, 500))
    sensors = dict(s2=dict(folder='s2', clouds=dict(folder='mask')))
    with pytest.raises(DataError, match=r'does not overlap the scene.*MASK_20210405\.tif'):
        open_scene(dict(sensors=sensors), root)


def test_a_sensor_of_another_crs_is_aligned_or_refused_with_the_reason(root: Path) -> None:
    where = type(transform())(10, 0, 3_770_400, 0, -10, 2_475_000)
    write_series(root / 'laea', numbers(3, 1, 60, 70), ['NDVI'], crs='EPSG:3035', where=where)
    sensors = dict(s2=dict(folder='s2'), laea=dict(folder='laea'))
    found = open_scene(dict(sensors=sensors), root).read(Window(0, 0, HEIGHT, WIDTH))
    assert found['laea'].valid.all()
    sensors['laea']['resampling'] = 'none'
    with pytest.raises(DataError, match=r'EPSG:3035, that of the grid EPSG:32631.*LAEA_20210405\.tif.*gdalwarp'):
        open_scene(dict(sensors=sensors), root)


def test_misspelt_options_are_named(root: Path) -> None:
    with pytest.raises(ValueError, match=r"s2: no option \['unt'\]; there are \['folder', 'file'"):
        open_scene(dict(sensors=dict(s2=dict(folder='s2', unt='dB'))), root)
    with pytest.raises(ValueError, match='at least one sensor'):
        open_scene(dict(sensors={}), root)


def test_a_scene_goes_through_pickle(root: Path) -> None:
    scene = open_scene(dict(sensors=SENSORS), root)
    before = scene.read(scene.grid.window)
    after = pickle.loads(pickle.dumps(scene)).read(scene.grid.window)
    for name, series in before.items():
        np.testing.assert_array_equal(after[name].values, series.values)
    assert isinstance(scene, Scene)
    assert 'Scene(20×24 pixels, EPSG:32631: RasterSeries(s2: 3 dates' in repr(scene)
