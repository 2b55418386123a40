"""The layout of TimeMatch as written, and that its dataset reads it."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from mmsits.datasets import TimeMatchDataset
from mmsits.datasets.parcel_store import read_domain_metadata
from mmsits.datasets.simulator import BANDS, RegionConfig, simulate_region, write_timematch
from mmsits.datasets.timematch import BANDS as ORDER
from mmsits.datasets.timematch_classes import CLASS_TABLES, label_codes
from mmsits.datasets.zarr_parcels import read_zarr

CONFIGS = [
    RegionConfig(height=64, width=96, seed=seed, season_start='2018-01-01', s2_dates=4, temporal_shift_days=shift)
    for seed, shift in ((0, 0.0), (1, 30.0))
]
SOURCE, TARGET = 'france/SIM00/2018', 'france/SIM01/2018'
CLASS_OF_CROP = {1: 'meadow', 2: 'winter_wheat', 3: 'corn', 4: 'winter_barley', 5: 'winter_rapeseed'}
TOOL = Path(__file__).resolve().parents[3] / 'tools' / 'dataset_converters' / 'simulate.py'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_timematch(CONFIGS, tmp_path_factory.mktemp('data') / 'parcels')


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('simulate', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_parcels_hold_their_own_pixels_in_the_published_order_of_bands(folder):
    region = simulate_region(CONFIGS[0])
    values = region.values('s2')[:, [BANDS.index(band) for band in ORDER]]
    table = read_domain_metadata(folder / SOURCE / 'meta' / 'metadata.pkl')
    assert len(table) > 10
    classes = label_codes(table.codes, CLASS_TABLES['france'])
    for number, parcel in enumerate(map(int, table.ids)):
        own = (region.parcel_ids == parcel) & (region.purity >= 0.99)
        np.testing.assert_array_equal(read_zarr(folder / SOURCE / 'data' / f'{number}.zarr'), values[:, :, own])
        assert table.sizes[number] == own.sum() >= 9
        expected = CLASS_OF_CROP.get(int(region.parcel_class[parcel]))
        assert expected in (None, classes[number])
    np.testing.assert_array_equal(table.days, region.dates['s2'].astype(int))


def test_geometry_of_a_parcel(folder):
    region = simulate_region(CONFIGS[0])
    table = read_domain_metadata(folder / SOURCE / 'meta' / 'metadata.pkl')
    own = (region.parcel_ids == int(table.ids[0])) & (region.purity >= 0.99)
    rows, columns = np.nonzero(own)
    padded = np.pad(own, 1).astype(int)
    perimeter = 10 * (np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum())
    cover = own.sum() / (np.ptp(rows) + 1) / (np.ptp(columns) + 1)
    np.testing.assert_allclose(table.geometry[0], [perimeter, 100 * own.sum(), perimeter / own.sum() / 100, cover])


def test_the_dataset_reads_a_simulated_task(folder):
    pipeline = [dict(type='PackSeriesInputs')]
    options = dict(source=SOURCE, target=TARGET, min_parcels=2, pipeline=pipeline)
    source, target = (TimeMatchDataset(str(folder), role=role, **options) for role in ('source', 'target'))
    assert source.metainfo['classes'] == target.metainfo['classes']
    assert {'corn', 'meadow', 'winter_wheat'} <= set(source.metainfo['classes'])
    assert target[0]['inputs']['s2'].values.shape[:2] == (4, 10)


def test_shifts_are_told(folder):
    description = json.loads((folder / 'SIMULATION' / 'simulation.json').read_text())
    shifts = {name: region['temporal_shift_days'] for name, region in description['regions'].items()}
    assert shifts == {SOURCE: 0.0, TARGET: 30.0}


def test_the_same_call_does_nothing_and_another_is_refused(folder):
    before = (folder / SOURCE / 'meta' / 'metadata.pkl').stat().st_mtime_ns
    assert write_timematch(CONFIGS, folder) == folder
    assert (folder / SOURCE / 'meta' / 'metadata.pkl').stat().st_mtime_ns == before
    with pytest.raises(FileExistsError, match='other options'):
        write_timematch(CONFIGS[:1], folder)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(domains=['a/b/c']), 'different names'),
        (dict(domains=['a/b', 'c/d/e']), 'country/tile/year'),
        (dict(min_pixels=10**6), 'no parcel has'),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        write_timematch(CONFIGS, tmp_path / 'parcels', **options)
    assert not list(tmp_path.iterdir())


def test_the_command_writes_source_and_target(tool, tmp_path, capsys):
    size = ['--patches', '4', '--patch-size', '32', '--folds', '4', '--dates', '3']
    crops = ['--classes', '1', '2', '3', '--target-proportions', '1', '1', '2']
    shift = ['--layout', 'timematch', '--target-shift-days', '-10']
    assert tool.main([str(tmp_path / 'out'), *size, *crops, *shift]) == 0
    assert '2 domains' in capsys.readouterr().out
    description = json.loads((tmp_path / 'out' / 'SIMULATION' / 'simulation.json').read_text())
    assert [config['seed'] for config in description['configs']] == [0, 1]
    assert [config['temporal_shift_days'] for config in description['configs']] == [0.0, -10.0]
    assert description['configs'][1]['proportions'] == [1.0, 1.0, 2.0]
    assert list(description['regions']) == [SOURCE, TARGET]


@pytest.mark.parametrize('wrong', [['--target-shift-days', '3'], ['--layout', 'timematch', '--target-seed', '3']])
def test_options_that_do_not_go_together_are_refused(tool, tmp_path, wrong, capsys):
    with pytest.raises(SystemExit):
        tool.main([str(tmp_path / 'out'), *wrong])
    assert 'need' in capsys.readouterr().err
