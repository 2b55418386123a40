"""Parcels and pixels of a scene: the same numbers as its windows, read once, with padding that changes nothing."""

import json
import pickle

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from mmsits.datasets import DataError, DrawIndex, identity_collate
from mmsits.datasets.groups import sample_groups, sample_names
from mmsits.datasets.scene import SceneDataset, SceneParcels, parcel_cache
from mmsits.datasets.scene.parcels import ScenePixels
from mmsits.models import SeriesDataPreprocessor
from tests.helpers.field_files import GRID, fields, place, scene_options, write_scene, write_vector

PACK = [dict(type='PackSeriesInputs')]
AUGMENT = [
    dict(type='SamplePixels', num_pixels=16),
    dict(type='SampleDates', num_dates=3),
    dict(type='ShiftDays', days=(-9, 9)),
    *PACK,
]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp('scene'))


def open_scene_dataset(root, samples, *sensors, **options):
    options = {'pipeline': PACK, 'cache': str(root / 'cache'), **options}
    return SceneDataset(samples=samples, **{**scene_options(root, *sensors), **options})


@pytest.fixture(scope='module')
def window(root):
    """The whole scene as one window."""
    return open_scene_dataset(root, 'windows', 's2', 's1', window_size=60)[0]


@pytest.mark.parametrize('samples', ['parcels', 'pixels'])
def test_series_are_those_of_the_window(root, window, samples):
    dataset = open_scene_dataset(root, samples, 's2', 's1')
    assert isinstance(dataset, SceneParcels if samples == 'parcels' else ScenePixels)
    pixels, count = dataset.pixels, 0
    for index in range(0, len(dataset), 1 if samples == 'parcels' else 37):
        sample = dataset[index]
        number = dataset.get_data_info(index)['parcel']
        inside = slice(dataset.store.offsets[number], dataset.store.offsets[number + 1])
        rows, columns = pixels.rows[inside], pixels.columns[inside]
        for name, series in sample['inputs'].items():
            whole = window['inputs'][name]
            np.testing.assert_array_equal(series.values[..., 0], whole.values[:, :, rows, columns])
            np.testing.assert_array_equal(series.valid[..., 0], whole.valid[:, rows, columns])
            np.testing.assert_array_equal(series.days, whole.days)
        assert (window['targets'][0, rows, columns] == sample['targets'].item()).all()
        count += len(rows)
    assert samples == 'pixels' or count == (window['targets'] != 255).sum()
    assert dataset.store.sizes.sum() == (window['targets'] != 255).sum()


@pytest.mark.parametrize('samples', ['parcels', 'pixels'])
@pytest.mark.parametrize('pipeline', [PACK, AUGMENT, [*AUGMENT[:2], dict(type='DropDates'), *PACK]])
def test_a_batch_holds_the_samples_that_single_reads_give(root, samples, pipeline):
    dataset = open_scene_dataset(root, samples, 's2', 's1', pipeline=pipeline)
    indices = [DrawIndex(7 * i % len(dataset), 30 + i, 5) for i in range(9)]
    preprocess = SeriesDataPreprocessor(sensors=dict(s2=4, s1=2), statistics=dataset.statistics)
    together = preprocess(identity_collate(dataset.__getitems__(indices)))
    alone = preprocess(pseudo_collate([dataset[i] for i in indices]))
    for name in ('s2', 's1'):
        one, other = together['inputs'][name], alone['inputs'][name]
        assert torch.equal(one.valid.expand(other.valid.shape), other.valid)
        assert torch.equal(one.values, other.values)
        seen = one.valid.flatten(2).any(2)
        assert torch.equal(one.days[seen], other.days[seen])
    assert torch.equal(together['targets'], alone['targets'])


def test_sensors_keep_their_own_dates_and_are_moved_together(root):
    plain = open_scene_dataset(root, 'parcels', 's2', 's1')
    moved = open_scene_dataset(root, 'parcels', 's2', 's1', pipeline=[dict(type='ShiftDays', days=(5, 50)), *PACK])
    for index in range(4):
        one, other = plain[index]['inputs'], moved[index]['inputs']
        assert (len(one['s2'].days), len(one['s1'].days)) == (5, 3)
        shifts = {int(day) for name in one for day in other[name].days - one[name].days}
        assert len(shifts) == 1
    few = open_scene_dataset(
        root, 'parcels', 's2', 's1', pipeline=[dict(type='SampleDates', num_dates=2, sensors='s2'), *PACK]
    )
    assert [len(series.days) for series in few[0]['inputs'].values()] == [2, 3]


def test_dates_that_no_chosen_pixel_saw_are_not_chosen(root):
    """Of a clouded pixel, dates are drawn among those on which it was seen."""
    plain = open_scene_dataset(root, 'pixels', 's2')
    few = open_scene_dataset(root, 'pixels', 's2', pipeline=[dict(type='SampleDates', num_dates=2), *PACK])
    hidden = 0
    for index in range(0, len(plain), 11):
        seen = plain[index]['inputs']['s2'].valid.flatten()
        hidden += int((~seen).sum())
        assert few[index]['inputs']['s2'].valid.flatten().sum() == min(2, int(seen.sum()))
    assert hidden > 20
    parcels = open_scene_dataset(
        root,
        'parcels',
        's2',
        pipeline=[dict(type='SamplePixels', num_pixels=2), dict(type='SampleDates', num_dates=3), *PACK],
    )
    free = open_scene_dataset(root, 'parcels', 's2', pipeline=[dict(type='SamplePixels', num_pixels=2), *PACK])
    for index in range(len(parcels)):
        seen = free[index]['inputs']['s2'].valid.any(dim=1)
        assert parcels[index]['inputs']['s2'].valid.any(dim=1).sum() == min(3, int(seen.sum()))


def test_bands_are_chosen_by_name(root, window):
    dataset = open_scene_dataset(root, 'parcels', 's2', bands=dict(s2=('B08', 'B02')))
    assert dataset.metainfo['bands'] == {'s2': ('B08', 'B02')}
    rows, columns = dataset.pixels.rows[:64], dataset.pixels.columns[:64]
    values = window['inputs']['s2'].values[:, [3, 0]][:, :, rows, columns]
    np.testing.assert_array_equal(dataset[0]['inputs']['s2'].values[..., 0], values)
    assert len(dataset.statistics['s2']['mean']) == 2


def test_splits_share_one_cache_which_is_read_once(root, monkeypatch):
    made = []
    original = parcel_cache._make
    monkeypatch.setattr(parcel_cache, '_make', lambda *a: (made.append(1), original(*a)))
    cache = str(root / 'shared')
    parts = [open_scene_dataset(root, 'parcels', 's2', split=name, cache=cache) for name in ('train', 'val', 'test')]
    for part in parts:
        part.full_init()
    assert len(made) == 1
    names = [set(sample_names(part)) for part in parts]
    assert sum(map(len, names)) == len(set.union(*names)) == len(fields()[0])
    both = open_scene_dataset(root, 'pixels', 's2', split=('train', 'val'), cache=cache)
    assert len(both) == 64 * (len(names[0]) + len(names[1]))
    assert len(made) == 1
    assert set(sample_groups(parts[0], 'split')) == {'train'}


def test_the_cache_is_made_anew_when_its_sources_change(root, tmp_path):
    folder = write_scene(tmp_path / 'scene')
    cache = tmp_path / 'cache'
    for change in (
        lambda: None,
        lambda: write_scene(folder, seed=1),
        lambda: write_vector(folder / 'fields.gpkg', *(part[1:] for part in fields())),
    ):
        change()
        before = {path.name for path in cache.glob('*') if path.is_dir()}
        found = open_scene_dataset(folder, 'parcels', 's2', cache=str(cache))
        values = found[0]['inputs']['s2'].values
        after = {path.name for path in cache.glob('*') if path.is_dir()}
        assert len(after - before) == 1
        again = open_scene_dataset(folder, 'parcels', 's2', cache=str(cache))[0]['inputs']['s2'].values
        assert torch.equal(values, again)
        assert {path.name for path in cache.glob('*') if path.is_dir()} == after


def test_a_stopped_cache_goes_on_and_ends_the_same(root, tmp_path, monkeypatch):
    monkeypatch.setattr(parcel_cache, 'SIDES', (16, 16))
    whole = open_scene_dataset(root, 'parcels', 's2', 's1', cache=str(tmp_path / 'whole'))
    whole.full_init()
    original, read = parcel_cache._read_block, []

    def stop_after_four(*arguments):
        if len(read) == 4:
            raise KeyboardInterrupt
        read.append(1)
        original(*arguments)

    monkeypatch.setattr(parcel_cache, '_read_block', stop_after_four)
    with pytest.raises(KeyboardInterrupt):
        open_scene_dataset(root, 'parcels', 's2', 's1', cache=str(tmp_path / 'part')).full_init()
    (journal,) = (tmp_path / 'part').glob('*.part/journal.json')
    assert json.loads(journal.read_text())['done'] == 4
    count = []
    monkeypatch.setattr(parcel_cache, '_read_block', lambda *a: (count.append(1), original(*a)))
    part = open_scene_dataset(root, 'parcels', 's2', 's1', cache=str(tmp_path / 'part'))
    part.full_init()
    assert len(count) == 12 - 4
    for name in ('s2', 's1'):
        for one in sorted(whole.stores[name].path.iterdir()):
            assert one.read_bytes() == (part.stores[name].path / one.name).read_bytes()
    assert not list((tmp_path / 'part').glob('*.part'))
    assert not (whole.stores['s1'].path / 'valid.npy').exists()


def test_a_damaged_cache_is_named(root, tmp_path):
    dataset = open_scene_dataset(root, 'parcels', 's2', cache=str(tmp_path))
    dataset.full_init()
    path = dataset.stores['s2'].path / 'values.npy'
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r'cannot be opened.*values\.npy.*made again'):
        open_scene_dataset(root, 'parcels', 's2', cache=str(tmp_path)).full_init()


def test_a_dataset_goes_to_a_worker_without_its_pixels(root):
    dataset = open_scene_dataset(root, 'pixels', 's2')
    expected = dataset[3]
    store = pickle.dumps(dataset.store)
    assert len(store) < 200_000
    assert torch.equal(pickle.loads(pickle.dumps(dataset))[3]['inputs']['s2'].values, expected['inputs']['s2'].values)


def test_statistics_are_those_of_the_training_pixels(root, window):
    dataset = open_scene_dataset(root, 'pixels', 's2', split='train')
    parts = open_scene_dataset(root, 'windows', 's2', split='train', window_size=60)[0]
    inside = (parts['targets'][0] != 255).numpy()
    series = parts['inputs']['s2']
    values = series.values.numpy().transpose(0, 2, 3, 1)[:, inside][series.valid.numpy()[:, inside]]
    np.testing.assert_allclose(dataset.statistics['s2']['mean'], values.mean(0), rtol=1e-6)
    np.testing.assert_allclose(dataset.statistics['s2']['std'], values.std(0, ddof=1), rtol=1e-6)
    assert open_scene_dataset(root, 'pixels', 's2', split='test', test_mode=True).statistics == {}


def test_geometry_is_a_sensor_without_time(root):
    dataset = open_scene_dataset(root, 'parcels', 's2', geometry=True)
    batch = dataset.__getitems__([0, 5])
    series = batch['inputs']['geometry']
    assert series.values.shape == (2, 1, 4, 1, 1)
    np.testing.assert_allclose(series.values[0].flatten(), [320, 6400, 0.05, 1.0], rtol=1e-6)
    assert set(dataset.statistics) == {'s2', 'geometry'}
    # What concerns parcels only has no effect on other samples.
    assert set(open_scene_dataset(root, 'pixels', 's2', geometry=True)[0]['inputs']) == {'s2'}


def test_few_pixels_of_each_parcel_or_class(root):
    few = open_scene_dataset(root, 'pixels', 's2', 's1', pixels_per_parcel=5)
    assert (few.table.columns['feature'] == 'f00').sum() == 5
    assert len(few) == 5 * len(fields()[0])
    some = open_scene_dataset(root, 'pixels', 's2', pixels_per_class=30)
    counts = {}
    for index in range(len(some)):
        number = some.get_data_info(index)['parcel']
        group = np.searchsorted(some.pixels.offsets, number, side='right') - 1
        key = (int(some.pixels.splits[group]), int(some.labels[index]))
        counts[key] = counts.get(key, 0) + 1
    assert max(counts.values()) == 30
    assert len(counts) == 9


def test_points_are_pixels_and_parcels_of_one(root):
    points = [place(row + 0.5, column + 0.5) for row, column in ((3, 3), (3, 13), (15, 3), (25, 30))]
    write_vector(root / 'points.gpkg', points, [dict(crop=crop) for crop in 'aabb'])
    options = dict(labels=dict(file='points.gpkg', column='crop'), splits=None)
    for samples in ('pixels', 'parcels'):
        dataset = open_scene_dataset(root, samples, 's2', **options)
        assert len(dataset) == 4
        assert dataset.labels.tolist() == [0, 0, 1, 1]
        assert dataset[0]['inputs']['s2'].values.shape == (5, 4, 1, 1)


def test_the_unlabelled_domain_of_an_adaptation(root):
    # Of the last field of the first row, eight pixels were never seen.
    for samples, count in (('parcels', len(fields()[0])), ('pixels', 64 * len(fields()[0]) - 8)):
        labels = dict(file='fields.gpkg')
        dataset = open_scene_dataset(root, samples, 's2', labels=labels, with_labels=False, classes=('wheat',))
        assert len(dataset) == count
        assert dataset.labels is None
        assert 'targets' not in dataset[0]
        assert dataset.metainfo['classes'] == ('wheat',)
        with pytest.raises(ValueError, match=r'name the column.*with_labels=False'):
            open_scene_dataset(root, samples, 's2', labels=labels).full_init()


def test_parcels_that_were_never_seen_are_left_out(tmp_path):
    folder = write_scene(tmp_path)
    import rasterio

    for path in (folder / 's2').glob('*.tif'):
        with rasterio.open(path, 'r+') as file:
            values = file.read()
            values[:, :9, :9] = -1
            file.write(values)
    dataset = open_scene_dataset(folder, 'parcels', 's2', cache=str(tmp_path / 'cache'))
    assert len(dataset) == len(fields()[0]) - 1
    assert 'f00' not in sample_names(dataset)
    # The radar saw it.
    assert len(open_scene_dataset(folder, 'parcels', 's2', 's1', cache=str(tmp_path / 'cache'))) == len(fields()[0])


@pytest.mark.parametrize(
    ('options', 'error', 'message'),
    [
        (dict(labels=dict(file='labels.tif'), splits=None), DataError, r"where parcels end.*samples='windows'"),
        (dict(labels=None), ValueError, r'labels=dict\(.*are needed'),
        (dict(labels=dict(file='fields.gpkg', column='crop', inner_buffer=60)), DataError, 'no pixel of the scene'),
        (dict(split='dev'), ValueError, r"no split \['dev'\]"),
        (dict(pixels_per_parcels=3), ValueError, r"no option \['pixels_per_parcels'\]"),
    ],
)
def test_what_cannot_be_is_said(root, options, error, message):
    from tests.helpers.field_files import write_raster

    write_raster(root / 'labels.tif', np.zeros(GRID.shape, np.uint8))
    with pytest.raises(error, match=message):
        open_scene_dataset(root, 'parcels', 's2', **options).full_init()


def test_a_raster_gives_pixels(root):
    from tests.helpers.field_files import write_raster

    codes = np.full(GRID.shape, 255, np.uint8)
    codes[10:20, 10:30] = 1
    write_raster(root / 'codes.tif', codes, nodata=255)
    labels = dict(file='codes.tif', table={1: 'forest'})
    dataset = open_scene_dataset(root, 'pixels', 's2', labels=labels, splits=None)
    assert len(dataset) == 200
    assert dataset.metainfo['classes'] == ('forest',)
    assert sample_names(dataset)[21] == 'row 11 column 11'


def test_a_cache_stopped_while_it_was_finished_goes_on(root, tmp_path, monkeypatch):
    finish, finished = parcel_cache._finish, []

    def stop_after_one(*arguments):
        finish(*arguments)
        finished.append(arguments)
        raise KeyboardInterrupt

    # Of s1 everything was observed, so its mask is removed.
    options = dict(grid='s2', cache=str(tmp_path))
    monkeypatch.setattr(parcel_cache, '_finish', stop_after_one)
    with pytest.raises(KeyboardInterrupt):
        open_scene_dataset(root, 'parcels', 's1', 's2', **options).full_init()
    assert finished
    monkeypatch.setattr(parcel_cache, '_finish', finish)
    part = open_scene_dataset(root, 'parcels', 's1', 's2', **options)
    part.full_init()
    whole = open_scene_dataset(root, 'parcels', 's1', 's2', grid='s2')
    for name in ('s1', 's2'):
        for one in (whole.stores[name].path, part.stores[name].path):
            assert (one / 'valid.npy').exists() == (name == 's2')
        assert np.array_equal(whole.stores[name].values, part.stores[name].values)
