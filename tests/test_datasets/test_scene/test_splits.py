"""Splits of a scene: parcels never straddle them, blocks are shared out by class and seed, and the counts are said."""

import logging

import numpy as np
import pytest
from shapely.geometry import box

from mmsits.datasets import DataError
from mmsits.datasets.scene.grid import Grid, Window, block_windows
from mmsits.datasets.scene.splits import coverage, deal_out, metres_per_pixel, open_labels, report_coverage, share_out
from tests.helpers.field_files import CROPS, GRID, HEIGHT, WIDTH, area, fields, write_raster, write_vector

SHARES = dict(train=0.6, val=0.1, test=0.3)
BLOCKS = dict(type='blocks', size=150, shares=SHARES, seed=3)
DIVISIONS = dict(
    column=dict(type='column'),
    blocks=BLOCKS,
    vector=dict(type='vector', file='parts.gpkg'),
    random=dict(type='random', shares=SHARES),
)


@pytest.fixture
def folder(tmp_path):
    write_vector(tmp_path / 'fields.gpkg', *fields())
    halves = [area(0, 0, HEIGHT, 24.5), area(0, 24.5, HEIGHT, 14), area(0, 38.5, HEIGHT, WIDTH)]
    write_vector(tmp_path / 'parts.gpkg', halves, [dict(split=name) for name in ('train', 'val', 'test')])
    rng = np.random.default_rng(0)
    codes = np.kron(rng.integers(0, 3, (HEIGHT // 5, WIDTH // 5)), np.ones((5, 5))).astype(np.uint8)
    codes[rng.random(codes.shape) < 0.2] = 255
    write_raster(tmp_path / 'labels.tif', codes, nodata=255)
    return tmp_path


@pytest.fixture
def logged(monkeypatch):
    lines = []
    monkeypatch.setattr(
        'mmsits.datasets.scene.splits.print_log', lambda text, logger=None, level=logging.INFO: lines.append(text)
    )
    return lines


def open_fields(folder, splits, **options):
    return open_labels(dict(file='fields.gpkg', column='crop'), GRID, folder, splits=splits, **options)


def open_raster(folder, splits, **options):
    return open_labels(dict(file='labels.tif'), GRID, folder, classes=CROPS, splits=splits, **options)


@pytest.mark.parametrize('name', DIVISIONS)
def test_parcels_never_straddle_and_splits_make_up_the_whole(folder, name):
    labels = open_fields(folder, DIVISIONS[name])
    owners, whole = labels.owners(GRID.window), labels.read(GRID.window)
    parts = {split: labels.read(GRID.window, split) for split in labels.split_names}
    together = np.full_like(whole, 255)
    for number, (split, part) in enumerate(parts.items()):
        assert (part != 255).any()
        assert (together[part != 255] == 255).all()
        together[part != 255] = part[part != 255]
        inside = np.unique(owners[part != 255])
        assert np.array_equal(np.isin(owners, inside), part != 255), f'a parcel of {split} has pixels elsewhere'
        pixels = labels.pixels()
        assert set(pixels.features[pixels.splits == number]) == set(inside)
    np.testing.assert_array_equal(together, whole)
    several = labels.read(GRID.window, list(parts)[:2])
    assert (several != 255).sum() == sum((part != 255).sum() for part in list(parts.values())[:2])


@pytest.mark.parametrize('options', [{}, dict(inner_buffer=31), dict(all_touched=True)])
def test_windows_with_labels_are_found(folder, options):
    labels = open_labels(dict(file='fields.gpkg', column='crop', **options), GRID, folder, splits=BLOCKS)
    windows = list(block_windows(HEIGHT, WIDTH, 3))
    for split in (None, 'val', ('val', 'test')):
        expected = [(labels.read(window, split) != 255).any() for window in windows]
        assert labels.occupied(windows, split).tolist() == expected
        assert 0 < sum(expected) < len(windows)


@pytest.mark.parametrize('name', ['blocks', 'vector', 'random'])
def test_pixels_of_a_raster_are_each_in_one_split_in_whatever_window(folder, name):
    labels = open_raster(folder, DIVISIONS[name])
    whole = labels.read(GRID.window)
    parts = [labels.read(GRID.window, split) for split in SHARES]
    assert all((part != 255).any() for part in parts)
    np.testing.assert_array_equal(sum(part != 255 for part in parts), whole != 255)
    for window in block_windows(HEIGHT, WIDTH, 17):
        np.testing.assert_array_equal(labels.read(window, 'test'), parts[2][window.slices])
    pixels = labels.pixels()
    np.testing.assert_array_equal(parts[2][pixels.rows, pixels.columns] != 255, pixels.splits == 2)


def test_blocks_are_a_function_of_the_seed_and_not_of_the_classes_chosen(folder):
    splits = [open_fields(folder, BLOCKS, **options).item_splits for options in ({}, {}, dict(classes=('wheat',)))]
    assert np.array_equal(splits[0], splits[1])
    assert np.array_equal(splits[0], splits[2])
    others = [open_fields(folder, {**BLOCKS, 'seed': seed}).item_splits for seed in range(4, 8)]
    assert any(not np.array_equal(splits[0], other) for other in others)


def test_blocks_have_the_size_in_metres(folder):
    labels = open_raster(folder, {**BLOCKS, 'size': 100})
    splits = labels.pixel_splits(GRID.window)
    for window in block_windows(HEIGHT, WIDTH, 10):
        assert len(np.unique(splits[window.slices])) == 1


@pytest.mark.parametrize('epsg', [32631, 4326, 3857])
def test_a_pixel_is_measured_on_the_ground(epsg):
    import geopandas

    corner = geopandas.GeoSeries([box(500_000, 5_000_000, 500_100, 5_000_100)], crs=32631).to_crs(epsg).total_bounds
    from affine import Affine
    from rasterio.crs import CRS

    sides = (corner[2] - corner[0], corner[3] - corner[1])
    grid = Grid(CRS.from_epsg(epsg), Affine(sides[0], 0, corner[0], 0, -sides[1], corner[3]), 1, 1)
    np.testing.assert_allclose(metres_per_pixel(grid), (100, 100), rtol=0.01)


@pytest.mark.parametrize('divide', [share_out, deal_out])
@pytest.mark.parametrize('seed', range(8))
def test_shares_are_met_and_no_split_lacks_a_class_that_enough_blocks_have(seed, divide):
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 30, (60, 4)) * (rng.random((60, 4)) < [0.9, 0.5, 0.3, 0.06])
    counts[:3, 3] = 5  # three blocks at least have the rare class
    counts[counts.sum(1) == 0, 0] = 1
    splits = divide(counts, [0.6, 0.1, 0.3], seed)
    assert set(splits) == {0, 1, 2}
    found = np.stack([counts[splits == number].sum(0) for number in range(3)])
    assert (found > 0).all()
    np.testing.assert_allclose(found.sum(1) / found.sum(), [0.6, 0.1, 0.3], atol=0.12)
    assert np.array_equal(splits, divide(counts, [0.6, 0.1, 0.3], seed))


def test_large_and_small_groups_are_dealt_out_to_every_split():
    counts = np.concatenate([np.full((20, 1), 50), np.full((1000, 1), 1)])
    splits = deal_out(counts, [0.7, 0.15, 0.15], 0)
    large = np.bincount(splits[:20]) / 20
    np.testing.assert_allclose(large, [0.7, 0.15, 0.15], atol=0.05)
    assert set(deal_out(np.ones((3, 1), int), [0.7, 0.15, 0.15], 0)) == {0, 1, 2}


def test_columns_can_be_given_other_names(folder):
    labels = open_fields(folder, dict(type='column', names=dict(train=('train', 'val'), test='test')))
    assert labels.split_names == ('train', 'test')
    column = labels.frame['split']
    assert np.array_equal(labels.item_splits == 0, column.isin(['train', 'val']))


def test_a_file_for_each_split(folder):
    for name, left in (('a', 0), ('b', 30)):
        write_vector(folder / f'{name}.gpkg', [area(0, left, HEIGHT, 30)], [dict(n=1)], to=4326)
    labels = open_fields(folder, dict(type='vector', files=dict(train='a.gpkg', test='b.gpkg')))
    east = labels.positions[:, 0] > 30
    assert np.array_equal(labels.item_splits, east.astype(int))


def test_random_splits_say_that_they_are_too_hopeful(folder, logged):
    labels = open_fields(folder, DIVISIONS['random'])
    assert any('too high' in line and 'blocks' in line for line in logged)
    assert np.bincount(labels.item_splits).tolist() == [sum(c) for c in zip(*_parts_per_class(), strict=True)]


def _parts_per_class():
    crops = [row['crop'] for row in fields()[1]]
    for crop in CROPS:
        edges = np.round(np.cumsum([0, 0.6, 0.1, 0.3]) * crops.count(crop)).astype(int)
        yield np.diff(edges).tolist()


def test_the_coverage_counts_parcels_and_pixels(folder, logged):
    labels = open_fields(folder, dict(type='column', names=dict(train='train', test='test')))
    counted = coverage(labels, labels.pixels())
    assert counted.splits == ('train', 'test', '(none)')
    np.testing.assert_array_equal(counted.pixels, counted.features * 64)
    for split, row in zip(('train', 'test', 'val'), counted.features, strict=True):
        crops = [field['crop'] for field in fields()[1] if field['split'] == split]
        assert row.tolist() == [crops.count(name) for name in labels.classes]
    text = counted.table()
    assert all(word in text for word in ('wheat', 'train', 'features', 'pixels'))


def test_absent_classes_are_warned_of_once(folder, logged):
    write_vector(folder / 'west.gpkg', [area(0, 0, 9, 10)], [dict(split='train')])
    labels = open_fields(folder, dict(type='vector', file='west.gpkg'))
    report_coverage(labels)
    report_coverage(labels)
    warnings = [line for line in logged if 'has no label of' in line]
    assert len(warnings) == 1
    assert "'train' has no label of grass, maize: such a class is not learnt" in warnings[0]


def test_coverage_of_a_raster(folder):
    labels = open_raster(folder, BLOCKS)
    counted = coverage(labels)
    assert counted.features is None
    assert counted.pixels.sum() == (labels.read(GRID.window) != 255).sum()
    for split, row in zip(counted.splits, counted.pixels, strict=True):
        assert np.bincount(labels.read(GRID.window, split).ravel(), minlength=256)[:3].tolist() == row.tolist()


@pytest.mark.parametrize(
    ('splits', 'error', 'message'),
    [
        (
            dict(type='folds'),
            ValueError,
            r"type must be one of \['blocks', 'column', 'random', 'vector'\], got 'folds'",
        ),
        (dict(type='column', column='fold'), DataError, r"no split column 'fold', there are"),
        (dict(type='column', names=dict(train='learn')), DataError, r"no feature is of the splits \['train'\]"),
        (dict(type='blocks', size=0, shares=SHARES), ValueError, 'size must be above 0'),
        (dict(type='blocks', size=100, shares=dict(a=0.5)), ValueError, 'sum 1'),
        (dict(type='blocks', size=9e9, shares=SHARES), DataError, 'labels lie in 1 blocks.*smaller size'),
        (dict(type='blocks', shares=SHARES), ValueError, "splits of type 'blocks'.*size"),
        (dict(type='vector'), ValueError, 'give file .*or files'),
        (dict(type='vector', file='none.gpkg'), DataError, 'missing'),
        (dict(type='vector', file='parts.gpkg', column='part'), DataError, r"no split column 'part'"),
    ],
)
def test_bad_splits_are_named(folder, splits, error, message):
    with pytest.raises(error, match=message):
        open_fields(folder, splits)


def test_a_split_that_does_not_exist_is_named(folder):
    with pytest.raises(ValueError, match=r"no split \['dev'\]; there are \['test', 'train', 'val'\]"):
        open_fields(folder, dict(type='column')).read(Window(0, 0, 5, 5), 'dev')
    with pytest.raises(ValueError, match='no splits are given'):
        open_fields(folder, None).read(Window(0, 0, 5, 5), 'train')
    with pytest.raises(DataError, match='a label raster has no columns'):
        open_raster(folder, dict(type='column'))
    with pytest.raises(ValueError, match=r'labels: .*colour'):
        open_labels(dict(file='fields.gpkg', colour='crop'), GRID, folder)
