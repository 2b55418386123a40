"""MTLCC: both forms hold the same, bad folders and lists are named, packed tiles are those of the files."""

import gzip
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope

from mmsits.datasets import DataError, MTLCCDataset, PackedWindows
from mmsits.datasets.data_card import describe_dataset
from mmsits.datasets.inspection import build_dataset, check_samples
from mmsits.datasets.mtlcc import CLASSES, fine_grid
from mmsits.datasets.packed_mtlcc import pack_mtlcc
from mmsits.datasets.samplers import DrawIndex
from mmsits.datasets.simulator import RegionConfig, SimulatedRegion, simulate_region, write_mtlcc
from mmsits.datasets.simulator.mtlcc_layout import crop_codes
from mmsits.datasets.transforms import PackSeriesInputs, SampleDates

CONFIG = RegionConfig(height=24, width=48, season_start='2016-01-01', s2_dates=5)


@pytest.fixture(scope='module')
def region() -> SimulatedRegion:
    return simulate_region(CONFIG)


@pytest.fixture(scope='module')
def roots(region: SimulatedRegion, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp('mtlcc')
    return {form: write_mtlcc(region, folder / form, patch_size=12, form=form) for form in ('tfrecord', 'geotiff')}


def _tiles(root: Path, **options: Any) -> MTLCCDataset:
    pipeline = [*options.pop('steps', ()), PackSeriesInputs()]
    return MTLCCDataset(str(root), pipeline=pipeline, **options)


def test_both_forms_hold_the_same(roots: dict[str, Path], region: SimulatedRegion) -> None:
    records, rasters = (_tiles(roots[form], split=None) for form in ('tfrecord', 'geotiff'))
    assert len(records) == len(rasters) == 8
    counts = np.zeros(256, int)
    for index in range(len(records)):
        one, other = records[index], rasters[index]
        for ours, theirs in zip(one['inputs']['s2'], other['inputs']['s2'], strict=True):
            assert torch.equal(ours, theirs)
        assert torch.equal(one['targets'], other['targets'])
        assert one['inputs']['s2'].values.shape == (5, 13, 12, 12)
        counts += np.bincount(one['targets'].numpy().ravel(), minlength=256)
    assert records.metainfo['classes'] == CLASSES
    known = crop_codes(region)
    assert counts[255] == (known == 0).sum()
    assert counts[3] == (known == 3).sum() > 0  # meadow: code 3, class 3
    assert counts[17] == (known == 26).sum() > 0  # maize: code 26, class 17


def test_values_are_those_of_the_region(roots: dict[str, Path], region: SimulatedRegion) -> None:
    sample = _tiles(roots['geotiff'], tiles=['1'])[0]
    image = np.clip(region.s2_acquisition(0)[0][:, :12, :12], 0, None)
    values = sample['inputs']['s2'].values[0].numpy()
    np.testing.assert_array_equal(values[0], image[2])  # B04, the first band of 10 m, is the third of the simulator
    np.testing.assert_array_equal(values[3], image[6])
    # A pixel of 20 m stands for four of 10 m.
    assert (values[4, ::2, ::2] == values[4, 1::2, 1::2]).all()
    assert abs(values[4, :2, :2].mean() - image[3, :2, :2].mean()) <= 0.5
    assert (values[10].reshape(2, 6, 2, 6) == values[10, ::6, ::6][:, None, :, None]).all()
    days = sample['inputs']['s2'].days.numpy()
    np.testing.assert_array_equal(days, region.dates['s2'].astype('datetime64[D]').astype(int))
    assert sample['metas']['season_start'] == np.datetime64('2016-01-01').astype(int)


def test_bilinear_keeps_constants_and_lies_between() -> None:
    coarse = np.array([[[[0, 100], [200, 300]]]], np.uint16)
    fine = fine_grid(coarse, 2, 'bilinear')
    assert fine.shape == (1, 1, 4, 4)
    assert fine.min() == 0
    assert fine.max() == 300
    assert fine[0, 0, 0, 1] == 25
    np.testing.assert_allclose(fine_grid(np.full((1, 1, 2, 2), 7, np.uint16), 3, 'bilinear'), 7, rtol=1e-6)


def test_unknown_may_go_without_a_class(roots: dict[str, Path]) -> None:
    eighteen, seventeen = (_tiles(roots['geotiff'], unknown_class=flag)[0]['targets'] for flag in (True, False))
    known = eighteen != 255
    assert (eighteen[known] == seventeen[known] + 1).all()
    assert (seventeen[~known] == 255).all()
    dataset = _tiles(roots['geotiff'], unknown_class=False)
    dataset.full_init()
    assert dataset.metainfo['classes'] == CLASSES[1:]


def test_splits_are_disjoint_and_whole(roots: dict[str, Path]) -> None:
    names = {
        split: [_tiles(roots['tfrecord'], split=split).get_data_info(i)['sample_id'] for i in range(n)]
        for split, n in (('train', 4), ('val', 1), ('test', 3))
    }
    assert sorted(name for part in names.values() for name in part) == [str(number) for number in range(1, 9)]
    with pytest.raises(ValueError, match='split must be one of'):
        _tiles(roots['tfrecord'], split='eval')


def test_a_draw_of_dates_depends_on_seed_and_sample_alone(roots: dict[str, Path]) -> None:
    tiles = _tiles(roots['geotiff'], steps=[SampleDates(3)])
    again = _tiles(roots['geotiff'], steps=[SampleDates(3)])
    days = [tiles[index]['inputs']['s2'].days.tolist() for index in (0, 1, 0)]
    assert days[0] == days[2] == again[0]['inputs']['s2'].days.tolist()
    drawn = {tuple(tiles[DrawIndex(0, draw, 3)]['inputs']['s2'].days.tolist()) for draw in range(6)}
    assert len(drawn) > 1
    assert all(sorted(found) == list(found) and len(found) == 3 for found in drawn)
    even = _tiles(roots['geotiff'], steps=[SampleDates(3, random=False)])[0]['inputs']['s2'].days
    every = _tiles(roots['geotiff'])[0]['inputs']['s2'].days
    assert even[0] == every[0]
    assert even[-1] == every[-1]


def test_absent_tiles_are_listed(roots: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match='2 of 3 listed tiles are not there: 77, 99'):
        _tiles(roots['geotiff'], tiles=[1, 77, 99]).full_init()
    said: list[str] = []
    monkeypatch.setattr('mmsits.datasets.mtlcc.print_log', lambda message, *_: said.append(message))
    tiles = _tiles(roots['geotiff'], tiles=[1, 77, 1], absent_tiles='warn')
    assert '1 of 2 listed tiles are not there: 77' in said[0]
    assert [tiles.get_data_info(index)['sample_id'] for index in range(len(tiles))] == ['1', '1']
    with pytest.raises(DataError, match='no tile is left'):
        _tiles(roots['geotiff'], tiles=[77], absent_tiles='warn').full_init()
    with pytest.raises(DataError, match='no published list'):
        _tiles(roots['geotiff'], tiles='stcln_mtlcc_train_9%').full_init()


def test_tiles_with_few_dates_are_left_out(roots: dict[str, Path], tmp_path: Path) -> None:
    root = tmp_path / 'short'
    shutil.copytree(roots['geotiff'], root)
    for path in sorted((root / 'data16' / '2').glob('*_*m.tif'))[:3]:
        path.unlink()
    tiles = _tiles(root, split=None, min_dates=5)
    assert '2' not in [tiles.get_data_info(index)['sample_id'] for index in range(len(tiles))]
    assert len(tiles) == 7
    assert len(_tiles(roots['tfrecord'], min_dates=5)) == len(_tiles(roots['tfrecord']))
    with pytest.raises(DataError, match='no tile is left'):
        _tiles(roots['tfrecord'], min_dates=6).full_init()


def _damage_record(root: Path) -> None:
    path = root / 'data16' / '1.tfrecord.gz'
    data = bytearray(gzip.decompress(path.read_bytes()))
    data[100] ^= 1
    path.write_bytes(gzip.compress(bytes(data)))


@pytest.mark.parametrize(
    ('form', 'damage', 'words'),
    [
        ('tfrecord', _damage_record, r'record 0 is damaged.*1\.tfrecord\.gz'),
        ('geotiff', lambda root: next((root / 'data16' / '1').glob('*_20m.tif')).unlink(), 'the file is missing'),
        ('geotiff', lambda root: (root / 'data16' / '1' / '2016xx01_10m.tif').touch(), 'begin with a date'),
        ('geotiff', lambda root: (root / 'classes.txt').unlink(), 'class table is missing'),
        ('geotiff', lambda root: (root / 'classes.txt').write_text('meadow\n'), r'code\|name'),
        ('geotiff', lambda root: shutil.rmtree(root / 'data16'), 'no folder data16 or data'),
        ('geotiff', lambda root: shutil.rmtree(root / 'tileids'), 'no list of tiles'),
        ('geotiff', lambda root: (root / 'data16').rename(root / 'data'), ''),
    ],
)
def test_damage_is_named(roots: dict[str, Path], tmp_path: Path, form: str, damage: Any, words: str) -> None:
    root = tmp_path / 'data'
    shutil.copytree(roots[form], root)
    damage(root)
    if not words:
        assert len(_tiles(root, tiles=['1'])[0]['inputs']['s2'].days) == 5
        return
    with pytest.raises(DataError, match=words):
        _tiles(root, tiles=None if 'list' in words else ['1'])[0]


def test_another_year_is_refused(roots: dict[str, Path], tmp_path: Path) -> None:
    root = tmp_path / 'data'
    shutil.copytree(roots['tfrecord'], root)
    (root / 'data16').rename(root / 'data17')
    with pytest.raises(DataError, match=r'lie outside of 2017.*year=2016'):
        _tiles(root, year=2017)[0]


def test_packed_tiles_are_those_of_the_files(roots: dict[str, Path], tmp_path: Path) -> None:
    dataset = _tiles(roots['tfrecord'], split='test')
    folder = pack_mtlcc(dataset, tmp_path / 'packed' / 'test')
    packed = PackedWindows(str(tmp_path / 'packed'), split='test', pipeline=[PackSeriesInputs()])
    assert len(packed) == len(dataset)
    assert packed.metainfo['classes'] == dataset.metainfo['classes']
    for index in range(len(dataset)):
        ours, theirs = packed[index], dataset[index]
        for one, other in zip(ours['inputs']['s2'], theirs['inputs']['s2'], strict=True):
            assert torch.equal(one, other)
        assert torch.equal(ours['targets'], theirs['targets'])
        assert ours['metas']['season_start'] == theirs['metas']['season_start']
    half = PackedWindows(str(tmp_path / 'packed'), split='test', label_fraction=0.5, pipeline=[PackSeriesInputs()])
    assert len(half) == 2
    places = [half.get_data_info(index)['number'] for index in range(2)]
    for index, place in enumerate(places):
        assert torch.equal(half[index]['targets'], packed[place]['targets'])
    before = folder.stat().st_mtime_ns
    pack_mtlcc(dataset, folder)
    assert folder.stat().st_mtime_ns == before


def test_card_and_check(roots: dict[str, Path]) -> None:
    init_default_scope('mmseg')
    dataset = build_dataset(dict(type='MTLCCDataset', data_root=str(roots['geotiff']), pipeline=[]), augment=False)
    dataset.pipeline.transforms.append(PackSeriesInputs())
    card = describe_dataset(dataset)
    assert card.sensors['s2'].bands[:4] == ('B04', 'B03', 'B02', 'B08')
    assert card.class_pixels['unknown'] == 0
    assert card.class_pixels['meadow'] > 0
    assert not any(check_samples(dataset))


def test_classes_can_be_those_of_the_nomenclature(roots: dict[str, Path]) -> None:
    tiles = _tiles(roots['geotiff'], nomenclature=dict(classes=[3301010600, 3302000000]))
    plain = _tiles(roots['geotiff'])
    for index in range(len(tiles)):
        ours, theirs = tiles[index]['targets'], plain[index]['targets']
        for number, name in enumerate(('maize', 'meadow')):
            assert torch.equal(ours == number, theirs == CLASSES.index(name))
