"""The command that writes arrays as GeoTIFFs, as a user runs it."""

from pathlib import Path

import numpy as np
import pytest

from tests.helpers.forked_tools import run_tools

geopandas = pytest.importorskip('geopandas')
rasterio = pytest.importorskip('rasterio')

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'dataset_converters' / 'arrays.py'
DATES = ['2020-01-05', '2020-02-10', '2020-03-01']
GRID = ['--crs', 'EPSG:32633', '--bounds', '500000', '4999940', '500080', '5000000']
NDVI = ['--values', 'ndvi', '--bands', 'NDVI']


@pytest.fixture(scope='module')
def arrays():
    random = np.random.default_rng(0)
    return dict(
        ndvi=random.integers(-2000, 9000, (3, 6, 8)).astype(np.int16),
        both=random.random((3, 2, 6, 8), dtype=np.float32),
        dates=np.array(DATES),
        clm=random.integers(0, 2, (3, 6, 8)).astype(bool),
        lulc=random.integers(0, 3, (6, 8)).astype(np.uint8),
        classes=np.array(['no data', 'forest', 'water']),
        bad_dates=np.array(['2020-01-05', '2020-02-10', '2020-02-31']),
        dates_twice=np.array(['2020-01-05', '2020-02-10', '2020-02-10']),
    )


@pytest.fixture(scope='module')
def runs(tmp_path_factory, arrays):
    base = tmp_path_factory.mktemp('arrays')
    np.savez(base / 'cube.npz', **arrays)
    (base / 'broken.npz').write_bytes(b'nothing')
    (base / 'there').mkdir()
    optional = ['--clouds', 'clm', '--labels', 'lulc', '--rows', 'train=0:4', 'test=4:6']
    commands = {
        'whole': ['cube.npz', *NDVI, *optional],
        'two': ['cube.npz', '--values', 'both', '--bands', 'B04', 'B08', '--sensor', 'tm', '--nodata', '-1'],
        'there': ['cube.npz', *NDVI],
        'absent': ['cube.npz', '--values', 'evi', '--bands', 'EVI'],
        'bands': ['cube.npz', '--values', 'both', '--bands', 'B04'],
        'labels': ['cube.npz', *NDVI, '--labels', 'clm'],
        'dates': ['cube.npz', *NDVI, '--dates', 'bad_dates'],
        'twice': ['cube.npz', *NDVI, '--dates', 'dates_twice'],
        'rows': ['cube.npz', *NDVI, '--rows', 'train=0:7'],
        'broken': ['broken.npz', *NDVI],
    }
    groups = [
        [dict(argv=[TOOL, base / first, base / name, *rest, *GRID], log=base / f'{name}.log')]
        for name, (first, *rest) in commands.items()
    ]
    statuses = [group[0] for group in run_tools(groups)]
    logs = {name: ' '.join((base / f'{name}.log').read_text().split()) for name in commands}
    return base, dict(zip(commands, statuses, strict=True)), logs


def test_images_clouds_and_labels_lie_where_they_should(runs, arrays):
    base, statuses, logs = runs
    assert statuses['whole'] == 0, logs['whole']
    for index, date in enumerate(DATES):
        day = date.replace('-', '')
        with rasterio.open(base / 'whole' / 's2' / f'S2_{day}.tif') as file:
            assert (file.crs.to_epsg(), file.res, file.descriptions) == (32633, (10, 10), ('NDVI',))
            assert tuple(file.bounds) == (500000, 4999940, 500080, 5000000)
            np.testing.assert_array_equal(file.read(1), arrays['ndvi'][index])
        with rasterio.open(base / 'whole' / 's2_clouds' / f'CLOUDS_{day}.tif') as file:
            np.testing.assert_array_equal(file.read(1), arrays['clm'][index])
    with rasterio.open(base / 'whole' / 'labels.tif') as file:
        np.testing.assert_array_equal(file.read(1), arrays['lulc'])
        assert {'class_0': 'no data', 'class_1': 'forest', 'class_2': 'water'}.items() <= file.tags(1).items()
        assert file.nodata == 255
    splits = geopandas.read_file(base / 'whole' / 'splits.gpkg').set_index('split')
    assert splits.geometry['train'].bounds == (500000, 4999960, 500080, 5000000)
    assert splits.geometry['test'].bounds == (500000, 4999940, 500080, 4999960)


def test_several_bands(runs, arrays):
    base, statuses, logs = runs
    assert statuses['two'] == 0, logs['two']
    with rasterio.open(base / 'two' / 'tm' / 'TM_20200210.tif') as file:
        assert (file.descriptions, file.nodata) == (('B04', 'B08'), -1)
        np.testing.assert_array_equal(file.read(), arrays['both'][1])


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('there', 'exists already'),
        ('absent', "no array 'evi'"),
        ('bands', '3 dates and 1 bands expected'),
        ('labels', "'clm' has the shape (3, 6, 8)"),
        ('dates', "'2020-02-31' is not a date"),
        ('twice', '1 dates occur more than once, the first is 20200210'),
        ('rows', 'rows 0 to 5'),
        ('broken', 'not a readable npz file'),
    ],
)
def test_what_cannot_be_written_is_named(runs, name, message):
    base, statuses, logs = runs
    assert statuses[name] != 0
    assert message in logs[name]
    assert 'Traceback' not in logs[name]
    assert name == 'there' or not (base / name).exists()
    assert not list(base.glob('.*'))
