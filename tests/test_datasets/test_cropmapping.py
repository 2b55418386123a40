"""Patches of monthly composites: the unknown stays unknown, the missing is invalid, no field is in two splits."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmsits.datasets import AnnotatedSampler, DataError, EuroCropMapDataset, ISRCDataset
from mmsits.datasets.base import day_number
from mmsits.datasets.composite_windows import monthly_windows, months_before, window_days
from mmsits.datasets.monthly_composites import _groups, _region_of
from mmsits.datasets.transforms import PackSeriesInputs, SeriesRandomRotate, StretchToUnit
from mmsits.structures import ImageSeries
from tests.helpers.composites import SIZE, write_root, write_tif

PACK = dict(pipeline=[PackSeriesInputs()], harvest_date='2022-05-01')


def regions(count: int) -> list[str]:
    return [f'region{number}_r00_c{column:02d}' for number in range(count) for column in range(2)]


@pytest.fixture(scope='module')
def iran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('iran')
    write_root(folder / 'maize', ['a_r00_c00', 'b_r00_c00'], [1, 255, 0])
    write_root(folder / 'pea', ['c_r00_c00'], [1, 255])
    write_root(folder / 'all_crops', ['d_r00_c00'], [4, 0, 255, 8])
    return folder


def test_windows_end_a_month_before_the_harvest() -> None:
    windows = monthly_windows(datetime.date(2022, 3, 31))
    assert windows[0] == (datetime.date(2021, 8, 31), datetime.date(2021, 9, 30))
    assert windows[-1] == (datetime.date(2022, 1, 31), datetime.date(2022, 2, 28))
    assert months_before(datetime.date(2020, 3, 31), 1) == datetime.date(2020, 2, 29)
    assert all(
        start <= day < end for (start, end), day in zip(windows, window_days(datetime.date(2022, 3, 31)), strict=True)
    )


def test_a_sample_of_europe(tmp_path: Path) -> None:
    write_root(tmp_path, ['x_r00_c00'], [211, 500, 100, 0], np.int16)
    sample = EuroCropMapDataset(str(tmp_path), **PACK)[0]
    assert sample['inputs']['s1'].values.shape == (6, 2, SIZE, SIZE)
    assert sample['inputs']['s2'].values.shape == (6, 10, SIZE, SIZE)
    start = day_number(datetime.date(2021, 10, 1))
    assert sample['metas']['season_start'] == start
    assert (sample['inputs']['s1'].days - start).tolist() == [15, 46, 76, 107, 137, 166]
    assert sample['targets'][0, :4, 0].tolist() == [0, 20, 21, 255]
    published = EuroCropMapDataset(str(tmp_path), no_data_is_other=True, **PACK)[0]
    assert published['targets'][0, :4, 0].tolist() == [0, 20, 21, 21]


@pytest.mark.parametrize(
    ('negatives', 'expected'),
    [
        ('none', [3, 255, 255]),
        ('other_fields', [3, 255, 131]),
        ('unmarked', [3, 131, 131]),
        ('all_crops', [3, 8, 8]),
    ],
)
def test_what_is_not_marked_is_unknown_unless_asked_for(iran: Path, negatives: str, expected: list[int]) -> None:
    dataset = ISRCDataset(str(iran), negatives=negatives, **PACK)
    assert [dataset.get_data_info(index)['crop'] for index in range(4)] == ['maize', 'maize', 'pea', 'all_crops']
    assert dataset[0]['targets'][0, :3, 0].tolist() == expected
    assert dataset[2]['metas']['crop'] == 'pea'  # for OneVersusRestMetric(own_samples=True)
    # Where all crops are known, all of them are.
    assert dataset[3]['targets'][0, :4, 0].tolist() == [3, 8, 255, 7]


def test_crops_may_be_absent_and_roots_named(iran: Path) -> None:
    assert len(ISRCDataset(str(iran), roots=['', '', '', 'maize', '', '', '', ''], **PACK)) == 2
    assert len(ISRCDataset(str(iran), roots=dict(pea='pea'), **PACK)) == 1
    with pytest.raises(DataError, match='canola'):
        len(ISRCDataset(str(iran), roots=dict(canola='canola'), **PACK))
    with pytest.raises(ValueError, match='rye'):
        ISRCDataset(str(iran), roots=dict(rye='rye'))


def test_folders_of_unknown_crops_are_named_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr('mmsits.datasets.cropmapping.print_log', lambda text, *_: said.append(text))
    for crop in ('maize', 'sugerbeet'):
        write_root(tmp_path / crop, ['a_r00_c00'], [1], radar_only=True)
    assert len(ISRCDataset(str(tmp_path), sensors=('s1',), **PACK)) == 1
    assert len(said) == 1
    assert 'sugerbeet are none of the crops' in said.pop()
    roots = dict(maize='maize', sugarbeet='sugerbeet')
    assert len(ISRCDataset(str(tmp_path), sensors=('s1',), roots=roots, **PACK)) == 2
    assert not said


def test_masks_of_shares_are_cut_at_the_share(tmp_path: Path) -> None:
    write_root(tmp_path / 'pea', ['x'], [0, 0.02, 0.4, 1.0], np.float32)
    for share, expected in ((0.5, [255, 255, 255, 5]), (0.01, [255, 5, 5, 5])):
        sample = ISRCDataset(str(tmp_path), marked_share=share, **PACK)[0]
        assert sample['targets'][0, :4, 0].tolist() == expected


def test_what_was_not_observed_is_not_valid(tmp_path: Path) -> None:
    write_root(tmp_path / 'pea', ['x', 'y'], [1])
    values = np.full((10, SIZE, SIZE), 0.2, np.float32)
    values[:, 0], values[3, 1], values[2, 2] = 0, np.nan, 0
    write_tif(tmp_path / 'pea' / 's2' / '3' / 'x.tif', values)
    (tmp_path / 'pea' / 's2' / '5' / 'x.tif').unlink()
    dataset = ISRCDataset(str(tmp_path), **PACK)
    series = dataset[0]['inputs']['s2']
    assert series.valid[2, :3, 0].tolist() == [False, False, True]
    assert not series.valid[4].any()
    assert series.valid[[0, 1, 3, 5]].all()
    assert series.values.isfinite().all()
    assert (series.days.diff() > 25).all()
    published = ISRCDataset(str(tmp_path), zeros_observed=True, **PACK)[0]['inputs']['s2']
    assert published.valid[2, :3, 0].tolist() == [True, False, True]


def test_a_region_without_radar_is_an_empty_series(tmp_path: Path) -> None:
    write_root(tmp_path / 'pea', ['x', 'y'], [1])
    for path in (tmp_path / 'pea' / 's1').rglob('y.tif'):
        path.unlink()
    sample = ISRCDataset(str(tmp_path), **PACK)[1]
    assert sample['inputs']['s1'].values.shape == (1, 2, SIZE, SIZE)
    assert not sample['inputs']['s1'].valid.any()
    assert sample['inputs']['s2'].valid.all()


def split_of(folder: Path, key: str = 'region', **options: Any) -> dict[str, set[str]]:
    parts = {
        split: EuroCropMapDataset(str(folder), sensors=('s1',), split=split, **PACK, **options)
        for split in ('train', 'val', 'test')
    }
    return {
        split: {dataset.get_data_info(index)[key] for index in range(len(dataset))} for split, dataset in parts.items()
    }


def test_regions_that_overlap_are_in_one_split(tmp_path: Path) -> None:
    names = [f'region{number}_r00_c00' for number in range(12)]
    write_root(tmp_path, names[:8], [211], np.int16, apart=SIZE * 10 + 10, radar_only=True)  # a pixel between them
    write_root(tmp_path / 'more', names[8:], [211], np.int16, apart=80, radar_only=True)  # each overlaps the next
    for path in sorted((tmp_path / 'more').rglob('*.tif')):
        target = tmp_path / path.relative_to(tmp_path / 'more')
        with_offset = path.rename(target)
        assert with_offset.is_file()
    # The four of the second kind lie over the first ones too, so they are one group with regions 0, 1 and 2.
    parts = split_of(tmp_path, shares=dict(train=0.6, val=0.2, test=0.2))
    assert sum(map(len, parts.values())) == 12
    together = {'region0', 'region1', 'region2', 'region8', 'region9', 'region10', 'region11'}
    assert any(together <= part for part in parts.values())
    assert all(parts.values())
    assert parts == split_of(tmp_path, shares=dict(train=0.6, val=0.2, test=0.2))


def test_regions_side_by_side_stay_together_unless_tiles_are_asked_for(tmp_path: Path) -> None:
    names = ['a_r00_c00', 'b_r00_c00', 'c_t000_000_r00_c00', 'c_t000_001_r00_c00', 'c_t000_003_r00_c00']
    for name, place in zip(names, (0, 1, 4, 5, 7), strict=True):
        write_tif(tmp_path / f'{name}.tif', np.zeros((1, SIZE, SIZE), np.uint8), (place * SIZE * 10, 0))
    entries = [dict(region=_region_of(name), label_path=str(tmp_path / f'{name}.tif')) for name in names]
    assert _groups(entries).tolist() == [0, 0, 1, 1, 1]
    assert _groups(entries, divide_regions=True).tolist() == [0, 1, 2, 3, 4]


def test_boxes_in_two_zones_are_compared(tmp_path: Path) -> None:
    # Both sides of 18 degrees east, where zone 33 meets zone 34; the third lies two kilometres north.
    entries = []
    for name, crs, (x, y) in (
        ('a', 'EPSG:32633', (700000, 5600000)),
        ('b', 'EPSG:32634', (275000, 5600500)),
        ('c', 'EPSG:32634', (275000, 5604000)),
    ):
        write_tif(tmp_path / f'{name}.tif', np.zeros((1, 100, 100), np.uint8), (x, y), crs)
        entries.append(dict(region=name, label_path=str(tmp_path / f'{name}.tif')))
    assert _groups(entries).tolist() == _groups(entries, divide_regions=True).tolist() == [0, 0, 1]


def test_a_region_reaches_to_its_outer_patches_where_not_every_place_has_one(tmp_path: Path) -> None:
    step, zeros = SIZE * 10, np.zeros((1, SIZE, SIZE), np.uint8)
    places = {'a_r09_c01': (9, 1), 'a_r50_c07': (50, 7), 'a_r100_c00': (100, 0), 'b_r00_c00': (50, 7), 'c': (9, 9)}
    for name, (row, column) in places.items():
        write_tif(tmp_path / f'{name}.tif', zeros, (column * step, -row * step))
    entries = [dict(region=name.split('_')[0], label_path=str(tmp_path / f'{name}.tif')) for name in places]
    first, second, third, overlapping, apart = _groups(entries).tolist()
    assert first == second == third == overlapping != apart


def test_patches_of_a_region_stay_together_unless_asked_for(tmp_path: Path) -> None:
    write_root(tmp_path, regions(6), [211], np.int16, radar_only=True)
    parts = split_of(tmp_path)
    assert sum(map(len, parts.values())) == len(set().union(*parts.values())) == 6
    by_patch = split_of(tmp_path, 'sample_id', split_by='patch')
    assert sum(map(len, by_patch.values())) == 12
    assert any(
        name.replace('_c00', '_c01') not in part for part in by_patch.values() for name in part if name.endswith('_c00')
    )


def test_harvest_dates_come_from_the_table_of_regions(tmp_path: Path) -> None:
    write_root(tmp_path, ['a_r00_c00', 'b_r00_c00'], [211], np.int16)
    (tmp_path / 'regions.csv').write_text('uuid,harvest_date\na,2018-09-01\n')
    dataset = EuroCropMapDataset(str(tmp_path), harvest_date='2018-06-01')
    assert [dataset.get_data_info(index)['harvest_date'] for index in (0, 1)] == ['2018-09-01', '2018-06-01']
    with pytest.raises(DataError, match='harvest date of the region b'):
        len(EuroCropMapDataset(str(tmp_path)))
    (tmp_path / 'regions.csv').write_text('uuid,harvest_date\na,soon\n')
    with pytest.raises(DataError, match=r'regions\.csv'):
        len(EuroCropMapDataset(str(tmp_path)))
    (tmp_path / 'regions.csv').write_text('id,date\na,2018-09-01\n')
    with pytest.raises(DataError, match='uuid'):
        len(EuroCropMapDataset(str(tmp_path)))


def test_provinces_come_from_the_table_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    write_root(tmp_path, ['a_r00_c00', 'b_r00_c00'], [211], np.int16, radar_only=True)
    (tmp_path / 'regions.csv').write_text('uuid,harvest_date,province\na,2018-09-01,East_Azerbaijan\nb,2018-09-01,\n')
    dataset = EuroCropMapDataset(str(tmp_path), sensors=('s1',))
    first, second = (dataset.get_data_info(index) for index in (0, 1))
    assert first['province'] == 'East_Azerbaijan'
    assert 'province' not in second
    (tmp_path / 'regions.gpkg').write_bytes(b'no database')
    with pytest.raises(DataError, match=r'cannot be read.*regions\.gpkg|regions\.gpkg.*cannot be read'):
        len(EuroCropMapDataset(str(tmp_path), sensors=('s1',), regions='regions.gpkg'))


def broken(folder: Path, kind: str) -> None:
    image = folder / 's2' / '2' / 'x.tif'
    if kind == 'cut off':
        image.write_bytes(image.read_bytes()[:600])
    elif kind == 'bands':
        write_tif(image, np.full((9, SIZE, SIZE), 0.2, np.float32))
    elif kind == 'integers':
        write_tif(image, np.full((10, SIZE, SIZE), 2000, np.float32))
    elif kind == 'size':
        write_tif(image, np.full((10, SIZE, SIZE + 1), 0.2, np.float32))
    elif kind == 'powers':
        write_tif(folder / 's1' / '2' / 'x.tif', np.full((2, SIZE, SIZE), 0.1, np.float32))
    elif kind == 'codes':
        write_tif(folder / 'crop_map' / 'x.tif', np.full((1, SIZE, SIZE), 7, np.uint8))


@pytest.mark.parametrize(
    ('kind', 'words'),
    [
        ('cut off', 'image'),
        ('bands', '10 bands'),
        ('integers', '10000'),
        ('size', 'size'),
        ('powers', 'dB'),
        ('codes', 'masks hold'),
    ],
)
def test_bad_files_are_named(tmp_path: Path, kind: str, words: str) -> None:
    write_root(tmp_path / 'pea', ['x'], [1])
    broken(tmp_path / 'pea', kind)
    with pytest.raises(DataError, match=words) as caught:
        ISRCDataset(str(tmp_path), **PACK)[0]
    assert 'x.tif' in str(caught.value)


def test_an_empty_folder_and_unknown_options_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='no patches'):
        len(ISRCDataset(str(tmp_path)))
    with pytest.raises(DataError, match='does not exist'):
        len(EuroCropMapDataset(str(tmp_path / 'nowhere')))
    for options in (
        dict(split='dev'),
        dict(split_by='field'),
        dict(shares=dict(train=2.0)),
        dict(season_start='01-01'),
    ):
        with pytest.raises(ValueError, match=next(iter(options))):
            EuroCropMapDataset(str(tmp_path), **options)
    with pytest.raises(ValueError, match='negatives'):
        ISRCDataset(str(tmp_path), negatives='some')


def test_the_sampler_draws_annotated_patches_and_a_share_of_the_others(tmp_path: Path) -> None:
    write_root(tmp_path / 'pea', ['a', 'b', 'c'], [1, 255])
    write_root(tmp_path / 'maize', ['d', 'e', 'f', 'g'], [255])
    dataset = ISRCDataset(str(tmp_path), **PACK)
    assert dataset.annotated.tolist() == [False] * 4 + [True] * 3
    drawn = AnnotatedSampler(dataset, seed=0)
    order = [int(index) for index, _ in zip(iter(drawn), range(6), strict=False)]
    assert sorted(order[:3]) == sorted(order[3:]) == [4, 5, 6]
    half = AnnotatedSampler(dataset, empty_share=0.5, seed=0)
    assert len(half) == 5
    passes = [
        [int(index) for index, _ in zip(iter(half), range(40), strict=False)][5 * i : 5 * i + 5] for i in range(8)
    ]
    assert all(len(set(one)) == 5 and {4, 5, 6} <= set(one) for one in passes)
    assert len({tuple(sorted(one)) for one in passes}) > 1
    half.skip(7)
    assert int(next(iter(half))) == passes[1][2]
    assert len(ISRCDataset(str(tmp_path), only_annotated=True, **PACK)) == 3


def test_kept_in_memory_it_is_read_once(tmp_path: Path) -> None:
    write_root(tmp_path / 'pea', ['x'], [1])
    dataset = ISRCDataset(str(tmp_path), keep_in_memory=True, **PACK)
    first = dataset[0]
    for path in tmp_path.rglob('*.tif'):
        path.unlink()
    again = dataset[0]
    assert torch.equal(first['inputs']['s2'].values, again['inputs']['s2'].values)
    assert torch.equal(first['targets'], again['targets'])


def test_stretching_uses_the_extremes_of_each_date(tmp_path: Path) -> None:
    write_root(tmp_path / 'pea', ['x'], [1])
    sample = ISRCDataset(str(tmp_path), pipeline=[StretchToUnit(), PackSeriesInputs()], harvest_date='2022-05-01')[0]
    s1 = sample['inputs']['s1'].values
    torch.testing.assert_close(s1.amin((1, 2, 3)), torch.full((6,), 1e-4))
    torch.testing.assert_close(s1.amax((1, 2, 3)), torch.full((6,), 1 - 1e-4))
    constant = ImageSeries(np.full((1, 2, 4, 4), -9.0), np.zeros(1, np.int32), np.ones((1, 1, 1), bool))
    with pytest.raises(DataError, match='stretched'):
        StretchToUnit().transform(dict(inputs=dict(s1=constant)))


def test_a_turn_moves_images_and_labels_alike() -> None:
    image = np.arange(SIZE * SIZE, dtype=np.float32).reshape(1, 1, SIZE, SIZE)
    series = ImageSeries(image, np.zeros(1, np.int32), image[:, 0] % 3 > 0)
    results = dict(
        inputs=dict(s2=series), targets=image[0, 0].astype(np.uint8), rng=np.random.default_rng(3), sample_id='x'
    )
    turned = SeriesRandomRotate(90).transform(results)
    assert 0 < turned['rotated'] < 90
    values = turned['inputs']['s2'].values[0, 0]
    assert (values.astype(np.uint8) == turned['targets']).all()
    assert (turned['inputs']['s2'].valid[0] == (values % 3 > 0)).all()
    assert not (values == image[0, 0]).all()
