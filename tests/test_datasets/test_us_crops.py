"""The layout of SITS-MoCo: arrays, CSV files and the packed form hold the same series, and bad ones are named."""

import csv
import pickle
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmsits.datasets import DataError, USCropsDataset
from mmsits.datasets.object_arrays import load_object_array
from mmsits.datasets.us_crops import CLASSES, PALETTE, pack_us_crops, read_us_crops

TOOL = Path(__file__).parents[2] / 'tools' / 'dataset_converters' / 'us_crops.py'
SITES = ('Adams', 'Harvey')
SAMPLE = dict(type='SampleDates', num_dates=6)
PACK = dict(type='PackSeriesInputs')


def make_series(count: int = 7, seed: int = 0) -> list[np.ndarray]:
    """Tables of 1 to 9 dates, with the weight column that nothing reads."""
    rng = np.random.default_rng(seed)
    tables = []
    for length in rng.permutation(np.arange(1, count + 3))[:count]:
        days = np.sort(rng.choice(np.arange(1, 367), length, replace=False))
        bands = rng.integers(0, 9000, (length, 10)).astype(float)
        tables.append(np.column_stack([bands, rng.random(length), days]))
    return tables


def objects(*rows: list) -> np.ndarray:
    array = np.empty((len(rows), len(rows[0])), object)
    for number, row in enumerate(rows):
        for position, value in enumerate(row):
            array[number, position] = value
    return array


def write_layout(
    root: Path, series: list[np.ndarray], split: str = 'train', arrays: bool = True, **columns: Any
) -> Path:
    year = root / '2019'
    (year / 'npy').mkdir(parents=True, exist_ok=True)
    labels = columns.get('classid', [number % 21 for number in range(len(series))])
    with open(year / f'{split}.csv', 'w', encoding='utf-8-sig', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['id', 'code', 'path', 'sequencelength', 'classid', 'classname', 'region', 'mode'])
        for number, (table, label) in enumerate(zip(series, labels, strict=True)):
            site = SITES[number % 2]
            writer.writerow([f'p{number}', 1, f'/elsewhere/{number}.csv', len(table), label, ' Corn', site, split])
            if not arrays:
                (year / site).mkdir(exist_ok=True)
                np.savetxt(year / site / f'p{number}.csv', table, delimiter=',', header='blue,…', fmt='%.3f')
        writer.writerow(['empty', 1, '', 0, 1, ' Corn', SITES[0], split])
    if arrays:
        path = year / 'npy' / f'Train_R{len(series)}_Seed111_Class20.npy'
        np.save(path, objects(series, columns.get('held', labels)), allow_pickle=True)
    return root


def everything(dataset: USCropsDataset) -> Any:
    return dataset.__getitems__(list(range(len(dataset))))


def test_arrays_csv_and_packed_files_hold_the_same(tmp_path: Path) -> None:
    series = make_series()
    roots = [write_layout(tmp_path / name, series, arrays=name != 'csv') for name in ('npy', 'csv', 'packed')]
    packed = roots[2] / '2019' / 'packed' / 'train.npz'
    packed.parent.mkdir()
    packed.write_bytes(pack_us_crops(read_us_crops(roots[2], 2019, 'train')))
    (roots[2] / '2019' / 'train.csv').unlink()
    batches = [everything(USCropsDataset(str(root), pipeline=[PACK])) for root in roots]
    for batch in batches:
        inputs = batch['inputs']['s2']
        assert inputs.values.dtype == torch.uint16
        assert batch['targets'].flatten().tolist() == list(range(7))
        assert [meta['sample_id'] for meta in batch['metas']] == [f'p{n}' for n in range(7)]
        for row, table in enumerate(series):
            valid = inputs.valid[row].flatten()
            assert valid.tolist() == [True] * len(table) + [False] * (len(valid) - len(table))
            assert np.array_equal(inputs.values[row, valid, :, 0, 0].numpy(), table[:, :10])
            # 1 January 2019 is day 17897 and day 1 of the year.
            assert np.array_equal(inputs.days[row, valid].numpy() - 17896, table[:, -1])


def test_a_sample_alone_is_that_of_the_batch(tmp_path: Path) -> None:
    dataset = USCropsDataset(str(write_layout(tmp_path, make_series())), pipeline=[SAMPLE, PACK])
    batch = everything(dataset)
    for row in range(7):
        one = dataset[row]
        valid = batch['inputs']['s2'].valid[row].flatten()
        assert torch.equal(one['inputs']['s2'].values, batch['inputs']['s2'].values[row, valid])
        assert torch.equal(one['targets'], batch['targets'][row])


def test_sites_bands_and_statistics(tmp_path: Path) -> None:
    root = str(write_layout(tmp_path, make_series()))
    dataset = USCropsDataset(root, regions=['Harvey'], bands=dict(s2=('B08', 'B04')), pipeline=[PACK])
    assert len(dataset) == 3
    assert everything(dataset)['inputs']['s2'].values.shape[2] == 2
    assert dataset.statistics['s2'] == dict(mean=[3080.0, 1860.0], std=[1920.0, 2220.0])
    assert dataset.metainfo['classes'] == CLASSES
    assert len(CLASSES) == len(PALETTE) == len(set(PALETTE)) == 21
    with pytest.raises(ValueError, match='no site'):
        USCropsDataset(root, regions=['Paris'])
    with pytest.raises(ValueError, match='expected one of'):
        USCropsDataset(root, split='test')
    with pytest.raises(DataError, match='no series is left'):
        USCropsDataset(root, regions=['Randolph'])


def test_unlabelled_series_come_from_an_array_or_from_files(tmp_path: Path) -> None:
    series = make_series()
    (tmp_path / '2019' / 'npy').mkdir(parents=True)
    array = objects(series)[0]
    np.save(tmp_path / '2019' / 'npy' / 'Unsupervised_mini_All.npy', array, allow_pickle=True)
    whole = everything(USCropsDataset(str(tmp_path), split='unlabelled', pipeline=[PACK]))
    assert 'targets' not in whole
    (tmp_path / '2019' / 'npy' / 'Unsupervised_mini_All.npy').unlink()
    (tmp_path / '2019' / 'Unsupervised').mkdir()
    for number, table in enumerate(series):
        np.savetxt(
            tmp_path / '2019' / 'Unsupervised' / f'{number}.csv', table[:, [*range(10), 11]], delimiter=',', header='b'
        )
    again = everything(USCropsDataset(str(tmp_path), split='unlabelled', pipeline=[PACK]))
    assert torch.equal(whole['inputs']['s2'].values, again['inputs']['s2'].values)


@pytest.mark.filterwarnings('ignore:.*input contained no data')
@pytest.mark.parametrize('arrays', [True, False])
@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda table: table[:0], r'no date.*sample p3|no table of dates.*p3'),
        (lambda table: table[:, :9], r'no table of dates|not a table'),
        (lambda table: np.where(np.arange(12) == 11, 0, table), r'not within 1 to 366.*sample p3.*index 0'),
        (lambda table: np.where(np.arange(12) == 11, 367, table), r'not within 1 to 366.*sample p3'),
        (lambda table: table[::-1], r'before that of the previous.*sample p3.*index 1'),
        (lambda table: np.where(np.arange(12) == 6, np.nan, table), r'not finite.*sample p3.*B08'),
    ],
)
def test_bad_series_are_named(tmp_path: Path, arrays: bool, change: Any, message: str) -> None:
    series = make_series()
    good = [table for table in series if len(table) > 3]
    bad = [*good[:3], change(good[3]), *good[4:]]
    root = write_layout(tmp_path, good, arrays=False)
    if arrays:
        path = root / '2019' / 'npy' / 'Train_All.npy'
        np.save(path, objects(bad, [n % 21 for n in range(len(bad))]), allow_pickle=True)
    else:
        np.savetxt(root / '2019' / SITES[1] / 'p3.csv', bad[3], delimiter=',', header='b')
    with pytest.raises(DataError, match=f'(?s){message}'):
        USCropsDataset(str(root), pipeline=[PACK])


def test_series_of_one_date_are_fine(tmp_path: Path) -> None:
    root = write_layout(tmp_path, [make_series()[0][:1]])
    assert everything(USCropsDataset(str(root), pipeline=[SAMPLE, PACK]))['inputs']['s2'].values.shape[1] == 1


@pytest.mark.parametrize(
    ('columns', 'message'),
    [
        (dict(classid=[0, 1, 2, 3, 21, 5, 6]), r"class '21' is none of 0 to 20.*sample p4"),
        (dict(classid=[0, 1, 2, 3, 'corn', 5, 6]), r"class 'corn' is none"),
        (dict(held=[0, 1, 2, 3, 4, 5, 5]), r'says class 6, the array 5; 1 such.*sample p6'),
    ],
)
def test_labels_that_contradict_are_named(tmp_path: Path, columns: dict, message: str) -> None:
    held = dict(columns)
    held.setdefault('held', list(range(7)))
    with pytest.raises(DataError, match=message):
        USCropsDataset(str(write_layout(tmp_path, make_series(), **held)))


@pytest.mark.parametrize('length', ['many', '', 'nan', 'inf'])
def test_a_number_of_dates_that_is_none_is_named(tmp_path: Path, length: str) -> None:
    path = write_layout(tmp_path, make_series()) / '2019' / 'train.csv'
    lines = path.read_text(encoding='utf-8-sig').splitlines()
    cells = lines[3].split(',')
    lines[3] = ','.join([*cells[:3], length, *cells[4:]])
    path.write_text('\n'.join(lines), encoding='utf-8')
    with pytest.raises(DataError, match=rf"(?s)sequencelength '{length}' is no number.*sample p2.*train\.csv"):
        USCropsDataset(str(tmp_path))


def test_a_number_of_dates_with_a_decimal_point_is_one(tmp_path: Path) -> None:
    root = write_layout(tmp_path, make_series())
    before = len(USCropsDataset(str(root)))
    path = root / '2019' / 'train.csv'
    text = path.read_text(encoding='utf-8-sig')
    path.write_text(re.sub(r'(\.csv),(\d+),', r'\1,\2.0,', text), encoding='utf-8')
    assert '.0,' in path.read_text(encoding='utf-8')
    assert len(USCropsDataset(str(root))) == before


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match='list of samples is missing'):
        USCropsDataset(str(tmp_path))
    series = make_series()
    root = write_layout(tmp_path, series, arrays=False)
    (root / '2019' / SITES[0] / 'p2.csv').unlink()
    with pytest.raises(DataError, match=r'series that is not there.*p2\.csv'):
        USCropsDataset(str(root))
    np.save(root / '2019' / 'npy' / 'Train_All.npy', objects(series[:5], list(range(5))), allow_pickle=True)
    with pytest.raises(DataError, match='the list has 7 series, the array 5'):
        USCropsDataset(str(root))
    np.save(root / '2019' / 'npy' / 'Train_R5.npy', objects(series[:5], list(range(5))), allow_pickle=True)
    with pytest.raises(DataError, match='2 arrays of the split'):
        USCropsDataset(str(root))


class Evil:
    def __reduce__(self) -> tuple:
        return (print, ('run',))


@pytest.mark.parametrize('protocol', [2, 4])
def test_object_arrays_that_could_run_something_are_refused(
    tmp_path: Path, protocol: int, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / 'evil.npy'
    array = np.array([Evil(), None], object)
    with open(path, 'wb') as file:
        np.lib.format.write_array_header_1_0(file, dict(descr='|O', fortran_order=False, shape=(2,)))
        pickle.dump(array, file, protocol=protocol)
    with pytest.raises(DataError, match='refused to unpickle'):
        load_object_array(path)
    assert capsys.readouterr().out == ''


def test_object_arrays_are_read_as_numpy_reads_them(tmp_path: Path) -> None:
    path = tmp_path / 'a.npy'
    content: list = [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        'text',
        7,
        np.float32(2.5),
    ]
    np.save(path, objects(content)[0], allow_pickle=True)
    for ours, theirs in zip(load_object_array(path), np.load(path, allow_pickle=True), strict=True):
        assert np.array_equal(ours, theirs)
    np.save(path, np.zeros(3))
    with pytest.raises(DataError, match='an object array is expected'):
        load_object_array(path)
    for broken in (b'', b'\x93NUMPY\x01\x00', b'version https://git-lfs'):
        path.write_bytes(broken)
        with pytest.raises(DataError, match='not a readable object array'):
            load_object_array(path)
    with pytest.raises(DataError, match='missing'):
        load_object_array(tmp_path / 'none.npy')


def test_the_tool_packs_all_splits_that_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_layout(tmp_path, make_series())
    tool = runpy.run_path(str(TOOL))
    for _ in range(2):  # a second time finds them there
        monkeypatch.setattr(sys, 'argv', ['us_crops.py', str(root)])
        tool['main'](tool['parse_arguments']())
    assert [path.name for path in (root / '2019' / 'packed').iterdir()] == ['train.npz']
    for path in (root / '2019' / 'npy').iterdir():
        path.unlink()
    assert len(USCropsDataset(str(root))) == 7
    # Where the authors' files are gone, what was packed of them is not given up for nothing.
    monkeypatch.setattr(sys, 'argv', ['us_crops.py', str(root), '--overwrite'])
    with pytest.raises(DataError):
        tool['main'](tool['parse_arguments']())
    assert len(USCropsDataset(str(root))) == 7
    (root / '2019' / 'packed' / 'train.npz').write_bytes(b'no zip')
    with pytest.raises(DataError, match='not a readable packed split'):
        USCropsDataset(str(root))
    monkeypatch.setattr(sys, 'argv', ['us_crops.py', str(tmp_path / 'none')])
    arguments = tool['parse_arguments']()
    with pytest.raises(DataError, match='no year'):
        tool['main'](arguments)
