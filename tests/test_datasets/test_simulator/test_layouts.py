"""The layout of PASTIS as written, and the command."""

import dataclasses
import hashlib
import importlib.util
import json
import os
import resource
from pathlib import Path

import numpy as np
import pytest

from mmsits.datasets.simulator import RegionConfig, draw_season, simulate_region, write_pastis

CONFIG = RegionConfig(height=64, width=96, seed=1, s2_dates=5, s1_dates=3, sensors=('s2', 's1a'))
TOOL = Path(__file__).resolve().parents[3] / 'tools' / 'dataset_converters' / 'simulate.py'


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_pastis(CONFIG, tmp_path_factory.mktemp('data') / 'pastis', patch_size=16, folds=5)


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('simulate', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def test_patches_agree_with_the_metadata(folder):
    region = simulate_region(CONFIG)
    whole = {'S2': region.values('s2'), 'S1A': region.values('s1a')}
    metadata = json.loads((folder / 'metadata.geojson').read_text())
    description = json.loads((folder / 'SIMULATION' / 'simulation.json').read_text())
    assert metadata['crs']['properties']['name'].endswith('2154')
    assert len(metadata['features']) == 24
    for feature in metadata['features']:
        properties = feature['properties']
        number = properties['ID_PATCH']
        place = description['regions'][0]['patches'][str(number)]
        window = (slice(place['row'], place['row'] + 16), slice(place['column'], place['column'] + 16))
        for sensor, kind in (('S2', np.int16), ('S1A', np.float16)):
            values = np.load(folder / f'DATA_{sensor}' / f'{sensor}_{number}.npy')
            assert values.dtype == kind
            assert len(values) == len(properties[f'dates-{sensor}'])
            assert np.array_equal(values, whole[sensor][(slice(None), slice(None), *window)])
        target = np.load(folder / 'ANNOTATIONS' / f'TARGET_{number}.npy')
        assert target.dtype == np.uint8
        assert target.shape == (3, 16, 16)
        assert np.array_equal(target[0], region.label[window])
        parcels = np.load(folder / 'ANNOTATIONS' / f'ParcelIDs_{number}.npy')
        assert properties['N_Parcel'] == len(set(parcels.ravel()) - {0})
        dates = list(properties['dates-S2'].values())
        assert dates == sorted(dates)
        assert all(20180901 <= date <= 20190831 for date in dates)


def test_truth_is_written(folder):
    region = simulate_region(CONFIG)
    with np.load(folder / 'SIMULATION' / 'truth_10000.npz') as truth:
        assert np.array_equal(truth['true_class'], region.true_class[:16, :16])
        cloud = np.unpackbits(truth['cloud'])[: 5 * 16 * 16].reshape(5, 16, 16)
        assert np.array_equal(cloud == 1, region.cloud_mask()[:, :16, :16] == 2)
        assert truth['ndvi'] == pytest.approx(region.ndvi(region.dates['s2'])[:, :16, :16], abs=2e-3)
    description = json.loads((folder / 'SIMULATION' / 'simulation.json').read_text())
    assert RegionConfig.from_dict(description['configs'][0]) == CONFIG


def test_normalisation_is_the_mean_over_patches(folder):
    features = json.loads((folder / 'metadata.geojson').read_text())['features']
    numbers = [f['properties']['ID_PATCH'] for f in features if f['properties']['Fold'] == 2]
    patches = [np.load(folder / 'DATA_S2' / f'S2_{n}.npy').astype(np.float64) for n in numbers]
    found = json.loads((folder / 'NORM_S2_patch.json').read_text())['Fold_2']
    assert found['mean'] == pytest.approx(np.mean([p.mean(axis=(0, 2, 3)) for p in patches], axis=0))
    assert found['std'] == pytest.approx(np.mean([p.std(axis=(0, 2, 3), ddof=1) for p in patches], axis=0))
    assert set(json.loads((folder / 'NORM_S1A_patch.json').read_text())) == {f'Fold_{i}' for i in range(1, 6)}


def test_folds_are_even_and_compact(folder):
    features = json.loads((folder / 'metadata.geojson').read_text())['features']
    folds = [f['properties']['Fold'] for f in features]
    counts = np.bincount(folds)[1:]
    assert len(counts) == 5
    assert counts.max() - counts.min() <= 1
    grid = np.array(folds).reshape(4, 6)
    borders = (grid[1:] != grid[:-1]).sum() + (grid[:, 1:] != grid[:, :-1]).sum()
    assert borders <= 16


def test_the_same_call_gives_the_same_bytes(folder, tmp_path):
    again = write_pastis(CONFIG, tmp_path / 'again', patch_size=16, folds=5)
    assert digests(again) == digests(folder)


def test_a_finished_data_set_is_reused(folder):
    before = (folder / 'metadata.geojson').stat().st_mtime_ns
    write_pastis(CONFIG, folder, patch_size=16, folds=5)
    assert (folder / 'metadata.geojson').stat().st_mtime_ns == before


def test_other_data_are_not_overwritten(tmp_path):
    config = RegionConfig(height=32, width=32, s2_dates=2)
    (tmp_path / 'notes.txt').write_text('mine')
    with pytest.raises(FileExistsError, match='not a simulated data set'):
        write_pastis(config, tmp_path, patch_size=16, folds=2, overwrite=True)
    out = write_pastis(config, tmp_path / 'data', patch_size=16, folds=2)
    other = dataclasses.replace(config, seed=9)
    with pytest.raises(FileExistsError, match='other options'):
        write_pastis(other, out, patch_size=16, folds=2)
    write_pastis(other, out, patch_size=16, folds=2, overwrite=True)
    assert json.loads((out / 'SIMULATION' / 'simulation.json').read_text())['configs'][0]['seed'] == 9
    assert sorted(p.name for p in tmp_path.iterdir()) == ['data', 'notes.txt']


def test_a_failure_leaves_nothing_behind(tmp_path):
    def fail(what, done, total):
        raise RuntimeError('power cut')

    with pytest.raises(RuntimeError, match='power cut'):
        write_pastis(RegionConfig(height=32, width=32), tmp_path / 'data', patch_size=16, folds=1, progress=fail)
    assert list(tmp_path.iterdir()) == []


def test_several_regions_get_numbers_and_tiles_of_their_own(tmp_path):
    configs = [RegionConfig(height=32, width=32, s2_dates=2, seed=i, temporal_shift_days=30 * i) for i in range(2)]
    out = write_pastis(configs, tmp_path / 'data', patch_size=16, folds=2)
    properties = [f['properties'] for f in json.loads((out / 'metadata.geojson').read_text())['features']]
    assert [p['ID_PATCH'] for p in properties] == list(range(10000, 10008))
    assert {p['TILE'] for p in properties} == {'t00', 't01'}
    description = json.loads((out / 'SIMULATION' / 'simulation.json').read_text())
    assert [r['temporal_shift_days'] for r in description['regions']] == [0, 30]


def test_more_patches_than_a_process_may_open_files(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first_free = os.dup(0)
    os.close(first_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free + 30, hard))
    try:
        folder = write_pastis(RegionConfig(height=64, width=64, s2_dates=2), tmp_path / 'many', patch_size=8)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert len(list((folder / 'DATA_S2').iterdir())) == 64


def test_too_small_a_region_is_refused(tmp_path):
    with pytest.raises(ValueError, match='too few for 5 folds'):
        write_pastis(RegionConfig(height=32, width=32), tmp_path / 'data', patch_size=16, folds=5)


def test_the_command_writes_and_reuses(tool, tmp_path, capsys):
    out = tmp_path / 'data'
    arguments = [str(out), '--patches', '7', '--patch-size', '16', '--dates', '3', '--sensors', 's2', 's1d']
    arguments += ['--s1-dates', '2', '--shift-days', '20', '--classes', '2', '3', '5', '--annotated-share', '0.5']
    assert tool.main(arguments) == 0
    text = capsys.readouterr().out
    assert 's2: 3 of 3 dates' in text
    assert '7 patches' in text
    assert len(list((out / 'DATA_S1D').iterdir())) == 7
    assert tool.main(arguments) == 0
    assert 'already complete' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--patches', '0'], '--patches must be 1 or more'),
        (['--patches', '3'], '--folds must be between'),
        (['--classes', '77'], 'cannot be simulated'),
        (['--season-start', 'May'], 'dates like'),
        (['--label-noise', '2'], 'label_noise must be between'),
        (['--sensors', 's1a', '--picture', 'x.png'], 'needs the sensor s2'),
    ],
)
def test_the_command_explains_nonsense(tool, tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit):
        tool.main([str(tmp_path / 'data'), '--patch-size', '16', *arguments])
    assert message in capsys.readouterr().err
    assert not (tmp_path / 'data').exists()


def test_the_picture_is_drawn(tmp_path):
    pytest.importorskip('matplotlib')
    path = tmp_path / 'season.png'
    draw_season(simulate_region(RegionConfig(height=48, width=48, s2_dates=5)), path, images=3)
    assert path.read_bytes().startswith(b'\x89PNG')
