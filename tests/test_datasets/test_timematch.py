"""TimeMatch: reading both forms, classes, splits, labels, batches, and what is said of bad data."""

import pickle
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from mmsits.datasets import DataError, DrawIndex, TimeMatchDataset, identity_collate
from mmsits.datasets.packed_parcels import PackedParcels, is_packed, pack_parcels
from mmsits.datasets.parcel_store import read_domain_metadata
from mmsits.datasets.timematch import BANDS, DOMAINS, SCENARIOS, draw_splits
from mmsits.datasets.timematch_classes import PALETTE, palette_of
from mmsits.datasets.zarr_parcels import ZarrParcels, read_zarr
from mmsits.models import SeriesDataPreprocessor
from mmsits.structures import dates_exist
from tests.helpers.timematch_miniature import CLASSES, change_metadata, write_timematch_miniature

DK1, FR1 = DOMAINS['DK1'], DOMAINS['FR1']
STRONG = [
    dict(type='SamplePixels', num_pixels=12),
    dict(type='SampleDates', num_dates=5),
    dict(type='ShiftDays', days=(-60, 60)),
    dict(type='PackSeriesInputs'),
]
WHOLE = [dict(type='PackSeriesInputs')]


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Read only: Denmark with all classes, France without meadow, its arrays uncompressed and in several chunks."""
    folder = write_timematch_miniature(tmp_path_factory.mktemp('timematch'))
    return write_timematch_miniature(
        folder, FR1, parcels=10, dates=7, seed=1, crops=(1, 2, 3), compressed=False, chunk_dates=3
    )


@pytest.fixture
def copied(root: Path, tmp_path: Path) -> Path:
    """To be damaged."""
    shutil.copytree(root, tmp_path / 'data')
    return tmp_path / 'data'


def open_dataset(root: Path, **options) -> TimeMatchDataset:
    return TimeMatchDataset(str(root), **{'min_parcels': 5, 'pipeline': WHOLE, **options})


def equal_samples(left, right) -> bool:
    series = [(left['inputs'][name], right['inputs'][name]) for name in left['inputs']]
    labels = 'targets' not in left or torch.equal(left['targets'], right['targets'])
    return labels and all(torch.equal(a, b) for one, other in series for a, b in zip(one, other, strict=True))


def test_a_parcel_is_a_pixel_set_with_its_dates(root: Path):
    dataset = open_dataset(root, sensors=('s2', 'geometry'))
    table = read_domain_metadata(root / DK1 / 'meta' / 'metadata.pkl')
    sample = dataset[3]
    values, days, valid = sample['inputs']['s2']
    raw = read_zarr(root / DK1 / 'data' / '3.zarr')
    assert values.shape == (8, 10, table.sizes[3], 1)
    assert values.dtype == torch.uint16
    np.testing.assert_array_equal(values[..., 0].numpy(), raw)
    np.testing.assert_array_equal(days, table.days)
    assert valid.all()
    np.testing.assert_allclose(sample['inputs']['geometry'].values[0, :, 0, 0], table.geometry[3], rtol=1e-6)
    assert sample['targets'].tolist() == [[[dataset.metainfo['classes'].index('unknown')]]]
    assert str(np.datetime64(sample['metas']['season_start'], 'D')) == '2017-01-01'


def test_bands_come_by_name(root: Path):
    whole, chosen = open_dataset(root)[0], open_dataset(root, bands=dict(s2=('B11', 'B02')))[0]
    index = [BANDS.index('B11'), BANDS.index('B02')]
    assert torch.equal(chosen['inputs']['s2'].values, whole['inputs']['s2'].values[:, index])


def test_classes_are_those_frequent_in_the_source(root: Path):
    source = open_dataset(root, source='DK1', target='FR1')
    target = open_dataset(root, source='DK1', target='FR1', role='target')
    assert source.metainfo['classes'] == target.metainfo['classes'] == tuple(sorted(CLASSES))
    assert source.labels.tolist() == [sorted(CLASSES).index(CLASSES[number % 4]) for number in range(20)]
    assert target.labels.tolist() == [sorted(CLASSES).index(CLASSES[(1, 2, 3)[number % 3]]) for number in range(10)]


def test_a_class_missing_in_the_source_is_unknown_in_the_target(root: Path):
    dataset = open_dataset(root, source='FR1', target='DK1', role='target', min_parcels=3)
    assert dataset.metainfo['classes'] == ('corn', 'unknown', 'winter_wheat')
    assert dataset.labels.tolist() == [1, 0, 2, 1] * 5


def test_parcels_of_other_classes_are_ignored_where_unknown_is_no_class(root: Path):
    dataset = open_dataset(root, classes=('winter_wheat', 'corn'))
    assert dataset.labels.tolist() == [255, 1, 0, 255] * 5


def test_own_class_tables(root: Path, tmp_path: Path):
    (tmp_path / 'table.yml').write_text('grass: {251: pasture}\ncereal:\n  winter: {11: wheat}\n')
    dataset = open_dataset(root, class_tables=dict(denmark=str(tmp_path / 'table.yml')))
    assert dataset.metainfo['classes'] == ('grass', 'unknown', 'winter_cereal')
    assert dataset.labels[:4].tolist() == [0, 1, 2, 1]


def test_seasons_of_a_cereal_can_be_combined(root: Path):
    assert open_dataset(root, combine_seasons=True).metainfo['classes'] == ('corn', 'meadow', 'unknown', 'wheat')
    apart = open_dataset(root, combine_seasons=True, label_seasons_apart=True)
    assert apart.labels[2] == apart.metainfo['classes'].index('unknown')


def test_splits_are_drawn_like_the_published_ones():
    random.seed(1)
    expected = []
    for _ in range(3):
        for size in (57, 40):
            order = list(range(size))
            random.shuffle(order)
            expected.append(order)
    folds = draw_splits([('A', 57), ('B', 40)])
    for fold in range(3):
        for number, (name, size) in enumerate([('A', 57), ('B', 40)]):
            order = expected[2 * fold + number]
            test, val = int(0.2 * size), int(0.1 * size)
            parts = folds[fold][name]
            assert parts['train'].tolist() == sorted(order[: size - test - val])
            assert parts['val'].tolist() == sorted(order[size - test - val : size - test])
            assert parts['test'].tolist() == sorted(order[size - test :])


def test_parts_of_a_fold_are_disjoint_and_complete(root: Path):
    for role in ('source', 'target'):
        parts = [open_dataset(root, target='FR1', role=role, split=split, fold=1) for split in ('train', 'val', 'test')]
        names = [part.get_data_info(i)['sample_id'] for part in parts for i in range(len(part))]
        assert len(names) == len(set(names)) == {'source': 20, 'target': 10}[role]


def test_the_source_keeps_its_split_unless_asked_to_shuffle_twice(root: Path):
    def parcels(**options):
        dataset = open_dataset(root, split='train', fold=0, **options)
        return [dataset.get_data_info(i)['parcel'] for i in range(len(dataset))]

    assert parcels() == parcels(target='FR1')
    assert (
        parcels(target='FR1', shuffle_source_twice=True)
        == draw_splits([('a', 20), ('a', 20)])[0]['a']['train'].tolist()
    )
    assert parcels(shuffle_source_twice=True) != parcels()


def test_no_label_leaves_an_unlabelled_dataset(root: Path):
    dataset = open_dataset(root, with_labels=False)
    assert dataset.labels is None
    assert all(dataset.get_data_info(i)['label'] is None for i in range(len(dataset)))
    assert 'targets' not in dataset[0]
    assert 'targets' not in dataset.__getitems__([0, 1])


@pytest.mark.parametrize(
    'pipeline', [STRONG, WHOLE, [*STRONG[:2], dict(type='JitterValues', std=dict(s2=5)), WHOLE[0]]]
)
@pytest.mark.parametrize('storage', ['zarr', 'packed'])
def test_a_batch_holds_the_samples_that_single_reads_give(copied: Path, pipeline, storage):
    if storage == 'packed':
        pack_parcels(
            ZarrParcels(copied / DK1, read_domain_metadata(copied / DK1 / 'meta' / 'metadata.pkl')), copied / DK1
        )
    dataset = open_dataset(copied, storage=storage, pipeline=pipeline, sensors=('s2', 'geometry'))
    indices = [DrawIndex(i % 20, draw=40 + i, seed=7) for i in range(12)]
    preprocess = SeriesDataPreprocessor(
        sensors=dict(s2=10, geometry=4),
        statistics=dict(s2=dict(mean=[0.0] * 10, std=[1e4] * 10), geometry=dict(mean=[0.0] * 4, std=[1.0] * 4)),
    )
    together = preprocess(identity_collate(dataset.__getitems__(indices)))
    alone = preprocess(pseudo_collate([dataset[index] for index in indices]))
    assert equal_samples(together, alone)
    again = preprocess(identity_collate(dataset.__getitems__(indices[3:])))
    assert torch.equal(again['inputs']['s2'].days, together['inputs']['s2'].days[3:])


def test_a_draw_decides_the_sample_whatever_stands_beside_it(root: Path):
    dataset = open_dataset(root, pipeline=STRONG)
    alone, other = dataset[DrawIndex(3, 5, 0)], dataset[DrawIndex(3, 6, 0)]
    beside = dataset.__getitems__([DrawIndex(8, 4, 0), DrawIndex(3, 5, 0)])['inputs']['s2']
    assert torch.equal(alone['inputs']['s2'].values, beside.values[1])
    assert not torch.equal(alone['inputs']['s2'].days, other['inputs']['s2'].days)


def test_packed_and_zarr_parcels_are_the_same(copied: Path):
    before = open_dataset(copied, source='FR1', min_parcels=1, storage='zarr')
    path = pack_parcels(ZarrParcels(copied / FR1, before.table), copied / FR1)
    after = open_dataset(copied, source='FR1', min_parcels=1)
    assert isinstance(after.store, PackedParcels)
    assert path.name == 'packed'
    assert after.metainfo == before.metainfo
    assert after.labels.tolist() == before.labels.tolist()
    assert all(equal_samples(before[i], after[i]) for i in range(len(before)))


def test_packing_goes_on_where_it_was_stopped(copied: Path):
    table = read_domain_metadata(copied / DK1 / 'meta' / 'metadata.pkl')
    source = ZarrParcels(copied / DK1, table)
    chunk = copied / DK1 / 'data' / '7.zarr' / '0.0.0'
    content = chunk.read_bytes()
    chunk.write_bytes(content[:40])
    with pytest.raises(DataError, match=r'chunk 0\.0\.0 is damaged.*sample 7'):
        pack_parcels(source, copied / DK1)
    assert not is_packed(copied / DK1)
    chunk.write_bytes(content)
    steps = []
    pack_parcels(source, copied / DK1, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(number, 20) for number in range(8, 21)]
    assert is_packed(copied / DK1)
    packed = PackedParcels(copied / DK1)
    for number in range(20):
        rows = packed.values[packed.offsets[number] : packed.offsets[number + 1]]
        np.testing.assert_array_equal(rows.transpose(1, 2, 0), source.read(number))
    pack_parcels(source, copied / DK1, progress=lambda done, total: steps.append((done, total)))
    assert len(steps) == 13


def test_all_pixels_can_be_used_and_padding_is_not_valid(root: Path):
    dataset = open_dataset(root)
    series = dataset.__getitems__(range(len(dataset)))['inputs']['s2']
    assert series.valid[:, 0, :, 0].sum(1).tolist() == dataset.sample_sizes.tolist()
    short = int(dataset.sample_sizes.argmin())
    size = int(dataset.sample_sizes[short])
    assert torch.equal(series.values[short, :, :, size], series.values[short, :, :, 0])


def test_a_window_of_days_leaves_only_its_dates(root: Path):
    dataset = open_dataset(root, pipeline=[dict(type='CropDays', start=90, end=250), WHOLE[0]])
    series, whole = (dataset.__getitems__(range(4))['inputs']['s2'], open_dataset(root)[0]['inputs']['s2'])
    position = whole.days - int(dataset.get_data_info(0)['season_start'])
    assert torch.equal(dates_exist(series.valid)[0], (position >= 90) & (position < 250))


def test_subsets_keep_entries_and_labels_together(root: Path):
    dataset = open_dataset(root)
    subset = dataset.get_subset([4, 9])
    assert subset.labels.tolist() == dataset.labels[[4, 9]].tolist()
    assert equal_samples(subset[1], dataset[9])
    assert open_dataset(root, indices=3).labels.tolist() == dataset.labels[:3].tolist()


def test_the_default_collation_says_what_to_set(root: Path):
    with pytest.raises(TypeError, match='identity_collate'):
        pseudo_collate(open_dataset(root).__getitems__([0, 1]))


def test_published_scenarios_name_published_domains():
    assert {name for pair in SCENARIOS for name in pair} == set(DOMAINS)


# Bad input


class Payload:
    def __reduce__(self):
        return print, ('executed',)


def test_metadata_that_would_run_code_are_refused(copied: Path, capsys):
    change_metadata(copied, DK1, start_date=Payload())
    with pytest.raises(DataError, match=r'refused to unpickle.*print.*metadata\.pkl'):
        open_dataset(copied)
    assert 'executed' not in capsys.readouterr().out


def test_numbers_of_numpy_are_plain_data(copied: Path):
    def convert(parcels):
        return [
            {**parcel, 'label': np.int64(parcel['label']), 'n_pixels': np.uint16(parcel['n_pixels'])}
            for parcel in parcels
        ]

    before = open_dataset(copied).labels.tolist()
    change_metadata(copied, DK1, parcels=convert, cloudy_pct=[np.float32(1.5)] * 8)
    dataset = open_dataset(copied)
    assert dataset.labels.tolist() == before
    assert dataset.table.cloud_percent[0] == 1.5


def test_objects_of_numpy_are_not_plain_data(copied: Path):
    path = copied / DK1 / 'meta' / 'metadata.pkl'
    path.write_bytes(pickle.dumps(dict(dates=np.array([1, 2]), parcels=[])))
    with pytest.raises(DataError, match='refused to unpickle'):
        open_dataset(copied)


def damage_truncated_pickle(root: Path) -> None:
    path = root / DK1 / 'meta' / 'metadata.pkl'
    path.write_bytes(path.read_bytes()[:100])


def damage_missing_metadata(root: Path) -> None:
    (root / DK1 / 'meta' / 'metadata.pkl').unlink()


def damage_no_pixels(root: Path) -> None:
    change_metadata(root, DK1, parcels=lambda rows: [*rows[:4], {**rows[4], 'n_pixels': 0}, *rows[5:]])


def damage_parcel_without_label(root: Path) -> None:
    change_metadata(root, DK1, parcels=lambda rows: [*rows[:4], {'n_pixels': 3}, *rows[5:]])


def damage_no_date(root: Path) -> None:
    change_metadata(root, DK1, dates=lambda dates: [*dates[:2], 20171399, *dates[3:]])


def damage_unsorted_dates(root: Path) -> None:
    change_metadata(root, DK1, dates=lambda dates: [dates[1], dates[0], *dates[2:]])


def damage_missing_folder(root: Path) -> None:
    shutil.rmtree(root / DK1 / 'data')


def damage_missing_domain(root: Path) -> None:
    shutil.rmtree(root / DK1)


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (damage_truncated_pickle, r'not a readable pickle|refused.*metadata\.pkl'),
        (damage_missing_metadata, r'missing.*metadata\.pkl'),
        (damage_no_pixels, r'1 of 20 have none.*4.*sample 4'),
        (damage_parcel_without_label, r'needs label.*sample 4'),
        (damage_no_date, r'20171399.*date index 2'),
        (damage_unsorted_dates, r'must ascend.*index 1'),
        (damage_missing_folder, r'folder of the parcels is missing'),
        (damage_missing_domain, r'domain DK1 is not in data_root.*france/30TXT/2017'),
    ],
)
def test_a_damaged_domain_is_named(copied: Path, damage, message):
    damage(copied)
    with pytest.raises(DataError, match=message):
        open_dataset(copied)


def damage_chunk(root: Path) -> None:
    path = root / DK1 / 'data' / '5.zarr' / '0.0.0'
    path.write_bytes(path.read_bytes()[:-30])


def damage_missing_chunk(root: Path) -> None:
    (root / DK1 / 'data' / '5.zarr' / '0.0.0').unlink()


def damage_missing_parcel(root: Path) -> None:
    shutil.rmtree(root / DK1 / 'data' / '5.zarr')


def damage_description(root: Path) -> None:
    (root / DK1 / 'data' / '5.zarr' / '.zarray').write_text('{"shape": [2]}')


def damage_fewer_dates(root: Path) -> None:
    change_metadata(root, DK1, dates=lambda dates: dates[:-1], cloudy_pct=lambda clouds: clouds[:-1])


def damage_other_size(root: Path) -> None:
    change_metadata(root, DK1, parcels=lambda rows: [*rows[:5], {**rows[5], 'n_pixels': 99}, *rows[6:]])


@pytest.mark.parametrize(
    ('damage', 'message'),
    [
        (damage_chunk, r'chunk 0\.0\.0 is damaged.*sample 5.*5\.zarr'),
        (damage_missing_chunk, r'chunk 0\.0\.0 is missing.*sample 5'),
        (damage_missing_parcel, r'parcel is missing.*sample 5'),
        (damage_description, r'describes no array.*sample 5'),
        (damage_fewer_dates, r'7 dates.*are expected.*\(8, 10, \d+\).*sample 5'),
        (damage_other_size, r'99 pixels are expected.*sample 5'),
    ],
)
def test_a_damaged_parcel_is_named(copied: Path, damage, message):
    damage(copied)
    dataset = open_dataset(copied)
    with pytest.raises(DataError, match=message):
        dataset.__getitems__([5, 6])
    with pytest.raises(DataError, match=message):
        dataset[5]


def test_a_damaged_store_is_named(copied: Path):
    table = read_domain_metadata(copied / DK1 / 'meta' / 'metadata.pkl')
    path = pack_parcels(ZarrParcels(copied / DK1, table), copied / DK1)
    values = path / 'values.npy'
    values.write_bytes(values.read_bytes()[:-10])
    with pytest.raises(DataError, match=r'cannot be opened.*values\.npy'):
        open_dataset(copied)[0]
    (path / 'index.npz').write_bytes(b'PK')
    with pytest.raises(DataError, match=r'index\.npz cannot be read'):
        open_dataset(copied)


def test_a_store_of_other_metadata_is_not_taken_for_this_one(copied: Path):
    table = read_domain_metadata(copied / DK1 / 'meta' / 'metadata.pkl')
    pack_parcels(ZarrParcels(copied / DK1, table), copied / DK1)
    change_metadata(copied, DK1, parcels=lambda rows: [{**rows[0], 'label': 5}, *rows[1:]])
    other = ZarrParcels(copied / DK1, read_domain_metadata(copied / DK1 / 'meta' / 'metadata.pkl'))
    with pytest.raises(DataError, match='made from other metadata'):
        pack_parcels(other, copied / DK1)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(min_parcels=50), r'no class has 50 parcels.*meadow 5'),
        (dict(source='XX9'), r"'XX9' is neither"),
        (dict(class_tables=dict(denmark={'a': [1], 'b': [1]})), r"code 1 stands in 'a' and in 'b'"),
        (dict(role='target'), 'where a target is given'),
        (dict(fold=3), r'fold must be 0 … 2'),
        (dict(split='valid'), 'split must be one of'),
        (dict(split='val', val_ratio=0.0), 'part of 20 parcels is empty'),
        (dict(sensors=('geometry',)), "must contain 's2'"),
        (dict(label_seasons_apart=True), 'combine_seasons=True only'),
    ],
)
def test_arguments_that_make_no_sense_are_refused(root: Path, options, message):
    with pytest.raises(ValueError, match=message):
        open_dataset(root, **options)


def test_a_country_without_class_table_is_refused(tmp_path: Path):
    write_timematch_miniature(tmp_path)
    (tmp_path / 'denmark').rename(tmp_path / 'norway')
    with pytest.raises(DataError, match=r"no class table for the country 'norway'.*class_tables"):
        open_dataset(tmp_path, source='norway/32VNH/2017')


def test_arrays_of_the_zarr_package_are_read(tmp_path: Path):
    zarr = pytest.importorskip('zarr')
    values = np.arange(7 * 10 * 5, dtype=np.uint16).reshape(7, 10, 5)
    for number, version in enumerate((2, 3) if int(zarr.__version__.split('.')[0]) > 2 else (2,)):
        path = tmp_path / f'{number}.zarr'
        array = zarr.open_array(
            str(path), mode='w', shape=values.shape, chunks=(3, 10, 5), dtype='<u2', zarr_format=version
        )
        array[...] = values
        np.testing.assert_array_equal(read_zarr(path), values)
        files = [found for found in sorted(path.rglob('*')) if found.is_file()]
        next(found for found in files if found.name[0].isdigit()).unlink()
        with pytest.raises(DataError, match='missing'):
            read_zarr(path)


@pytest.mark.parametrize('count', [1, 6, 30, 120])
def test_every_class_has_a_colour_of_its_own(count: int) -> None:
    names = ['Winter barley', 'corn', *(f'class {number}' for number in range(count))]
    palette = palette_of(names)
    assert palette[:2] == [PALETTE['winter_barley'], PALETTE['corn']]
    assert len(set(palette)) == len(names)
    if count <= 30:
        colours = np.array(palette, float)
        distance = np.linalg.norm(colours[:, None] - colours, axis=2) + 999 * np.eye(len(names))
        assert distance.min() > 30
    assert palette_of(names) == palette
