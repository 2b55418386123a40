"""Packed scenes: the command as a user runs it, and the same samples, numbers and statistics as without packing."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmsits.datasets import DataError, DrawIndex, PackedWindows, TimeMatchDataset, count_classes
from mmsits.datasets import packed_windows as packing
from mmsits.datasets.packed_parcels import PackedParcels
from mmsits.datasets.packed_windows import pack_windows
from mmsits.datasets.scene import SceneDataset
from mmsits.datasets.scene.packing import class_table, pack_domain
from tests.helpers.field_files import area, fields, scene_options, write_scene, write_vector
from tests.helpers.forked_tools import run_tools

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'dataset_converters' / 'pack.py'
CONFIG = """
_base_ = [{datasets!r}, {runtime!r}]
data_root = {root!r}
sensors = dict(
    s2=dict(folder='s2', unit='reflectance x 10000', scale=1, offset=0, clouds=dict(folder='s2_clouds')),
    s1=dict(folder='s1', unit='dB', nodata='none'))
labels = dict(file='fields.gpkg', column='crop')
splits = dict(type='column')
window_size = 16
train_dataloader = dict(dataset=dict(window_stride=12, cache={cache!r}))
val_dataloader = dict(dataset=dict(cache={cache!r}))
test_dataloader = dict(dataset=dict(cache={cache!r}))
"""
WINDOWS = dict(window_size=16, window_stride=12, split='train')
AUGMENTED = [
    dict(type='SeriesRandomFlip'),
    dict(type='SeriesRandomCrop', crop_size=(8, 8)),
    dict(type='SampleDates', num_dates=2),
    dict(type='PackSeriesInputs'),
]
PACK = [dict(type='PackSeriesInputs')]
DOMAIN = 'kenya/36NYF/2018'


@pytest.fixture(scope='module')
def base(tmp_path_factory):
    base = tmp_path_factory.mktemp('pack')
    write_scene(base / 'scene')
    parts = dict(
        datasets=str(ROOT / 'configs/_base_/datasets/scene.py'),
        runtime=str(ROOT / 'configs/_base_/default_runtime.py'),
        root=str(base / 'scene'),
        cache=str(base / 'cache'),
    )
    (base / 'config.py').write_text(CONFIG.format(**parts))
    return base


def open_scene(base, samples='windows', **options):
    options = {'pipeline': PACK, 'cache': str(base / 'cache'), **options}
    return SceneDataset(samples=samples, **{**scene_options(base / 'scene', 's2', 's1'), **options})


def same_samples(one, other, count=None):
    assert len(one) == len(other)
    for number in range(count or len(one)):
        index = DrawIndex(number, 40 + number, 3)
        first, second = one[index], other[index]
        assert list(first['inputs']) == list(second['inputs'])
        for name, series in first['inputs'].items():
            packed = second['inputs'][name]
            assert torch.equal(series.values, packed.values)
            assert series.values.dtype == packed.values.dtype
            assert torch.equal(series.days, packed.days)
            assert torch.equal(series.valid, packed.valid.expand(series.valid.shape))
        assert torch.equal(first['targets'], second['targets'])
        for key in ('season_start', 'sample_id', 'img_shape'):
            assert first['metas'].get(key) == second['metas'].get(key)


@pytest.fixture(scope='module')
def runs(base):
    """The command for all kinds; statuses and what it said."""
    commands = {
        'windows': ['--out', base / 'windows'],
        'again': ['--out', base / 'windows', '--split', 'train'],
        'parcels': ['--out', base / 'domains', '--domain', DOMAIN, '--cfg-options', 'samples=parcels'],
        'no_domain': ['--out', base / 'domains', '--cfg-options', 'samples=parcels'],
        'domain': ['--out', base / 'windows', '--domain', DOMAIN],
    }
    groups = [
        [dict(argv=[TOOL, base / 'config.py', *argv], log=base / f'{name}.log')] for name, argv in commands.items()
    ]
    statuses = [group[0] for group in run_tools(groups)]
    return {name: (status, (base / f'{name}.log').read_text()) for name, status in zip(commands, statuses, strict=True)}


@pytest.mark.slow
def test_the_command_packs_and_says_how_to_read(base, runs):
    assert [runs[name][0] for name in ('windows', 'again', 'parcels', 'no_domain', 'domain')] == [0, 0, 0, 1, 1]
    assert "type='PackedWindows'" in runs['windows'][1]
    assert f"source='{DOMAIN}'" in runs['parcels'][1]
    assert 'give --domain country/tile/year' in runs['no_domain'][1]
    assert '--domain is for parcels' in runs['domain'][1]
    assert not list(base.rglob('*.part'))


@pytest.mark.slow
@pytest.mark.parametrize('pipeline', [PACK, AUGMENTED])
def test_packed_windows_are_the_same_samples(base, runs, pipeline):
    for split, stride in (('train', 12), ('val', None), ('test', None)):
        scene = open_scene(base, **{**WINDOWS, 'split': split, 'window_stride': stride}, pipeline=pipeline)
        packed = PackedWindows(str(base / 'windows'), split, pipeline=pipeline)
        same_samples(scene, packed)
        for key in ('classes', 'palette', 'bands', 'units', 'season_start'):
            assert scene.metainfo[key] == packed.metainfo[key]
        assert split != 'train' or scene.statistics == packed.statistics
        np.testing.assert_array_equal(count_classes(scene, 3), count_classes(packed, 3))


@pytest.mark.slow
def test_packed_windows_speak_a_nomenclature_as_the_scene_does(base, runs):
    codes = dict(wheat='3301010100', maize='3301060000', grass='3302000000')
    options = dict(nomenclature=dict(level=3), code_list=codes)
    scene = open_scene(base, **WINDOWS, **options)
    packed = PackedWindows(str(base / 'windows'), pipeline=PACK, **options)
    assert scene.metainfo['classes'] == packed.metainfo['classes'] != ('grass', 'maize', 'wheat')
    same_samples(scene, packed)
    for dataset in (scene, packed):
        labels = np.concatenate([np.asarray(dataset[i]['targets']).ravel() for i in range(len(dataset))])
        counted = count_classes(dataset, len(scene.metainfo['classes']), max_samples=None)
        np.testing.assert_array_equal(counted, np.bincount(labels[labels != 255], minlength=len(counted)))


@pytest.mark.slow
def test_packed_parcels_are_the_same_samples(base, runs):
    import yaml

    table = yaml.safe_load((base / 'domains' / 'kenya_classes.yml').read_text())
    packed = TimeMatchDataset(
        str(base / 'domains'),
        source=DOMAIN,
        min_parcels=1,
        class_tables=dict(kenya=str(base / 'domains' / 'kenya_classes.yml')),
        sensors=('s2', 'geometry'),
        pipeline=PACK,
    )
    assert set(table) == set(packed.metainfo['classes'])
    assert packed.metainfo['bands']['s2'] == ('B02', 'B03', 'B04', 'B08')
    scene = open_scene(base, 'parcels', geometry=True, split=None)
    assert isinstance(packed.store, PackedParcels)
    assert len(scene) == len(packed)
    for number in range(len(scene)):
        one, other = scene[number], packed[number]
        for name in ('s2', 'geometry'):
            for first, second in zip(one['inputs'][name], other['inputs'][name], strict=True):
                assert torch.equal(first, second)
        assert torch.equal(one['targets'], other['targets'])
    # The split that the library draws by blocks is there too, and whole batches.
    batch = packed.__getitems__([0, 3])
    assert batch['inputs']['s2'].values.shape == (2, 5, 4, 64, 1)
    assert len(TimeMatchDataset(str(base / 'domains'), source=DOMAIN, min_parcels=1, split='test',
                                class_tables=dict(kenya=table), pipeline=PACK)) > 0  # fmt: skip


def test_bands_and_sensors_are_chosen_from_packed_windows(base, tmp_path):
    scene = open_scene(base, **WINDOWS)
    pack_windows(scene, tmp_path / 'train')
    options = dict(bands=dict(s2=('B08', 'B02')), season_start='03-01', pipeline=PACK)
    packed = PackedWindows(str(tmp_path), sensors=('s2',), **options)
    same_samples(
        open_scene(base, **WINDOWS, sensors={'s2': scene_options(base / 'scene')['sensors']['s2']}, **options), packed
    )
    np.testing.assert_allclose(packed.statistics['s2']['mean'], np.array(scene.statistics['s2']['mean'])[[3, 0]])
    unlabelled = PackedWindows(str(tmp_path), with_labels=False, pipeline=PACK)
    assert 'targets' not in unlabelled[0]


def test_stopped_packing_of_windows_goes_on(base, tmp_path, monkeypatch):
    scene = open_scene(base, **WINDOWS)
    pack_windows(scene, tmp_path / 'whole')
    done = []

    def stop(number, total):
        done.append(number)
        if number == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack_windows(scene, tmp_path / 'train', stop)
    with pytest.raises(DataError, match='no packed windows are there'):
        PackedWindows(str(tmp_path))
    read = []
    original = scene.scene.read
    monkeypatch.setattr(scene.scene, 'read', lambda *a, **k: (read.append(1), original(*a, **k))[1])
    pack_windows(scene, tmp_path / 'train')
    assert len(read) == len(scene) - 3
    for path in sorted((tmp_path / 'whole').rglob('*')):
        other = tmp_path / 'train' / path.relative_to(tmp_path / 'whole')
        assert path.is_dir() or path.read_bytes() == other.read_bytes()
    with pytest.raises(DataError, match=r'windows of other data are there.*--overwrite'):
        pack_windows(open_scene(base, **{**WINDOWS, 'split': 'test'}), tmp_path / 'train')
    pack_windows(open_scene(base, **{**WINDOWS, 'split': 'test'}), tmp_path / 'train', overwrite=True)
    assert len(PackedWindows(str(tmp_path))) == len(open_scene(base, **{**WINDOWS, 'split': 'test'}))


@pytest.mark.parametrize('overwrite', [False, True])
def test_folders_of_others_are_not_replaced(base, tmp_path, overwrite):
    windows, parcels = open_scene(base, **WINDOWS), open_scene(base, 'parcels')
    (tmp_path / DOMAIN).mkdir(parents=True)
    for folder in (tmp_path / 'train', tmp_path / 'other.part', tmp_path / DOMAIN / 'packed'):
        folder.mkdir()
        (folder / 'notes.txt').write_text('mine')
        # A name that others give, too.
        (folder / packing.INDEX).write_text('{"pages": []}')
    refused = r'packing has not made it; it holds index\.json, notes\.txt.*another folder'
    for name in ('train', 'other'):
        with pytest.raises(DataError, match=refused):
            pack_windows(windows, tmp_path / name, overwrite=overwrite)
    with pytest.raises(DataError, match='packing has not made it'):
        pack_domain(parcels, tmp_path / DOMAIN, overwrite=overwrite)
    (tmp_path / DOMAIN / 'packed').rename(tmp_path / DOMAIN / 'packed.part')
    with pytest.raises(DataError, match='packing has not made it'):
        pack_domain(parcels, tmp_path / DOMAIN, overwrite=overwrite)
    assert len(list(tmp_path.rglob('notes.txt'))) == 3
    (tmp_path / 'empty').mkdir()
    pack_windows(windows, tmp_path / 'empty', overwrite=overwrite)


def test_a_store_that_was_hardly_begun_is_begun_anew(base, tmp_path):
    part = tmp_path / DOMAIN / 'packed.part'
    dataset = open_scene(base, 'parcels')
    pack_domain(dataset, tmp_path / DOMAIN).rename(part)
    (part / 'store.json').rename(part / 'journal.json')
    (part / 'values.npy').write_bytes(b'half')
    pack_domain(dataset, tmp_path / DOMAIN)
    assert len(PackedParcels(tmp_path / DOMAIN, 4).table) == len(dataset)


def test_another_division_of_the_scene_is_other_data(base, tmp_path):
    import geopandas

    frame = geopandas.read_file(base / 'scene' / 'fields.gpkg')
    polygons = base / 'scene' / 'parts.gpkg'
    frame[['split', 'geometry']].to_file(polygons)
    options = {**WINDOWS, 'splits': dict(type='vector', file='parts.gpkg')}
    pack_windows(open_scene(base, **options), tmp_path / 'train')
    pack_windows(open_scene(base, **options), tmp_path / 'train')
    frame[['split', 'geometry']].assign(geometry=frame.buffer(-5)).to_file(polygons)
    with pytest.raises(DataError, match='windows of other data are there'):
        pack_windows(open_scene(base, **options), tmp_path / 'train')


def test_damaged_windows_are_named(base, tmp_path):
    pack_windows(open_scene(base, **WINDOWS), tmp_path / 'train')
    values = tmp_path / 'train' / 's2' / '1.npy'
    values.write_bytes(values.read_bytes()[:-50])
    with pytest.raises(DataError, match=r'truncated.*1\.npy'):
        PackedWindows(str(tmp_path), pipeline=PACK)[1]
    (tmp_path / 'train' / packing.INDEX).write_text('{"version": 0}')
    with pytest.raises(DataError, match='version 0'):
        PackedWindows(str(tmp_path))


def test_the_published_preparation(base, tmp_path):
    """Inner buffer, least area, whole blocks: fields of 80 m at a distance of 20 m, blocks of 250 m."""
    options = dict(labels=dict(file='fields.gpkg', column='crop', inner_buffer=20, min_area=1000))
    dataset = open_scene(base, 'parcels', **options)
    path = pack_domain(dataset, tmp_path / DOMAIN, block_size=250)
    store = PackedParcels(tmp_path / DOMAIN, 4)
    assert path == store.path
    kept = [
        int(10 * (top + 8) > 250 * (int(top * 10 // 250) + 1))
        + int(10 * (left + 8) > 250 * (int(left * 10 // 250) + 1))
        == 0
        for top in range(1, 32, 10)
        for left in range(1, 52, 10)
    ]
    assert len(store.table) == sum(kept) < len(fields()[0])
    assert store.sizes.tolist() == [16] * sum(kept)
    np.testing.assert_allclose(store.table.geometry[0], [160, 1600, 0.1, 1.0], rtol=1e-6)
    assert sorted(set(store.table.blocks)) == [0, 1, 2, 3, 4, 5]
    with pytest.raises(DataError, match='no parcel lies wholly within a block of 50 m'):
        pack_domain(dataset, tmp_path / 'a/b/c', block_size=50)


def test_pixels_are_packed_as_parcels_of_one(base, tmp_path):
    dataset = open_scene(base, 'pixels', pixels_per_parcel=2)
    pack_domain(dataset, tmp_path / DOMAIN, sensor='s1')
    store = PackedParcels(tmp_path / DOMAIN, 2)
    assert store.dtype == np.float32
    assert store.sizes.tolist() == [1] * len(dataset)
    assert np.isnan(store.table.geometry).all()
    for number in (0, 7):
        np.testing.assert_array_equal(store.values[number], dataset[number]['inputs']['s1'].values[..., 0, 0])


def test_a_class_table_reads_as_it_is_written(tmp_path):
    from mmsits.datasets.timematch_classes import label_codes, read_class_table

    (tmp_path / 'table.yml').write_text(class_table(('sugar beet', '7', 'no: crop')))
    table = read_class_table(tmp_path / 'table.yml')
    assert label_codes(['7', 'sugar beet', 'rice', 'no: crop'], table) == ['7', 'sugar beet', 'unknown', 'no: crop']


def test_what_was_never_seen_has_no_label_in_packed_windows_either(base, tmp_path):
    options = dict(
        window_size=20, split=None, splits=None, sensors={'s2': scene_options(base / 'scene')['sensors']['s2']}
    )
    options['labels'] = dict(file=str(tmp_path / 'fields.gpkg'), column='crop')
    # The second field lies half in the corner that s2 never saw, see `write_scene`.
    write_vector(
        tmp_path / 'fields.gpkg', [area(10, 5, 8, 8), area(0, 48, 4, 8)], [dict(crop='wheat'), dict(crop='rye')]
    )
    scene = open_scene(base, **options)
    pack_windows(scene, tmp_path / 'train')
    packed = PackedWindows(str(tmp_path), pipeline=PACK)
    same_samples(scene, packed)
    labelled = sum(int((sample['targets'] != 255).sum()) for sample in packed)
    assert labelled == 64 + 4 * 8 - 2 * 6
    # Nor is it counted, without images.
    for number, sample in enumerate(packed):
        np.testing.assert_array_equal(packed.label_map(number), sample['targets'][0])
