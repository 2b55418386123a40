"""MTS12 and Brandenburg from MATLAB files of both versions: the same samples, read in parts, bad files named."""

import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from mmsits.datasets import BrandenburgDataset, DataError, SloveniaDataset
from mmsits.datasets.mat_files import HDF5Array, open_mat, write_mat
from mmsits.datasets.mat_series import label_table
from mmsits.datasets.transforms import PackSeriesInputs, SeriesRandomCrop, SeriesRandomFlip, SeriesRandomRotate90
from tests.helpers.mat_miniature import VERSIONS, write_brandenburg, write_mts12

NAME = 'eopatch_id_0_col_0_row_0'


def slovenia(root: Path, *steps, **options) -> SloveniaDataset:
    return SloveniaDataset(str(root), pipeline=[*steps, PackSeriesInputs()], **options)


def image_path(root: Path, split: str = 'train') -> Path:
    return root / 's1' / split / f'{NAME}.mat'


def label_path(root: Path) -> Path:
    return root / 'label' / 'train' / f'{NAME}_label.mat'


def error_of(root: Path, **options) -> DataError:
    with pytest.raises(DataError) as caught:
        slovenia(root, **options)[0]
    assert caught.value.hint
    assert str(caught.value.path) in str(caught.value)
    return caught.value


# Files


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('shape', [(5, 4, 3, 2), (3, 7)])
def test_a_file_of_either_version_gives_what_was_written(version, shape, tmp_path):
    array = np.random.default_rng(0).integers(0, 1000, shape).astype(np.int16)
    write_mat(tmp_path / 'a.mat', 'x', array, version)
    held = open_mat(tmp_path / 'a.mat', 'x')
    assert held.shape == shape
    assert held.dtype == np.int16
    np.testing.assert_array_equal(np.asarray(held), array)


def test_an_array_that_h5py_wrote_as_it_stands_is_not_turned(tmp_path):
    array = np.arange(24).reshape(2, 3, 4)
    with h5py.File(tmp_path / 'a.mat', 'w') as file:
        file['x'] = array
    np.testing.assert_array_equal(np.asarray(open_mat(tmp_path / 'a.mat', 'x')), array)


def test_cutting_an_array_in_a_file_is_cutting_the_array(tmp_path):
    rng = np.random.default_rng(1)
    array = rng.integers(0, 1000, (6, 9, 8, 3))
    write_mat(tmp_path / 'a.mat', 'x', array, 'v73')
    held = open_mat(tmp_path / 'a.mat', 'x')
    assert isinstance(held, HDF5Array)
    for _ in range(30):
        ours, theirs = held, array
        for _ in range(3):
            axes = tuple(rng.permutation(4))
            ours, theirs = ours.transpose(*axes), theirs.transpose(axes)
            ends = [sorted(rng.integers(0, size + 1, 2)) for size in theirs.shape]
            key = tuple(slice(a, b) for a, b in ends)
            ours, theirs = ours[key], theirs[key]
            if rng.random() < 0.5:
                axis = int(rng.integers(4))
                ours, theirs = np.flip(ours, axis), np.flip(theirs, axis)
        assert isinstance(ours, HDF5Array)
        np.testing.assert_array_equal(np.asarray(ours), theirs)
    for key in ((..., slice(2, 5)), (slice(None, None, 2),), ([0, 2],), (1,)):
        np.testing.assert_array_equal(np.asarray(held[key]), array[key])
    again = pickle.loads(pickle.dumps(held[1:3]))
    np.testing.assert_array_equal(np.asarray(again), array[1:3])


def test_only_the_crop_is_read_of_a_file_of_version_7_3(tmp_path, monkeypatch):
    root = write_mts12(tmp_path, size=(200, 160), version='v73', patches=dict(train=1))
    read = []
    whole = HDF5Array._read
    monkeypatch.setattr(HDF5Array, '_read', lambda self: read.append(self.shape) or whole(self))
    dataset = slovenia(root, SeriesRandomCrop(16), SeriesRandomFlip(1.0))
    sample = dataset[0]
    assert sample['inputs']['s1'].values.shape == (12, 2, 16, 16)
    # A corner of one date, to look at its unit; the labels; the crop.
    assert sorted(read) == sorted([(1, 2, 64, 64), (200, 160), (12, 2, 16, 16)])


# Samples


@pytest.mark.parametrize('steps', [(), (SeriesRandomCrop(5), SeriesRandomFlip(0.5), SeriesRandomRotate90())])
def test_both_versions_give_the_same_samples(steps, tmp_path):
    roots = [write_mts12(tmp_path / version, version=version, sensors=('s1', 's2')) for version in VERSIONS]
    samples = [slovenia(root, *steps, sensors=('s1', 's2'))[1] for root in roots]
    for sensor in ('s1', 's2'):
        values = [sample['inputs'][sensor].values for sample in samples]
        assert (values[0] == values[1]).all()
    assert (samples[0]['targets'] == samples[1]['targets']).all()


def test_codes_become_labels_by_the_published_rule(tmp_path):
    root = write_mts12(tmp_path)
    codes = np.asarray(open_mat(label_path(root), 'label')).astype(int)
    expected = codes.astype(np.uint8)
    expected[expected == 0] = 255
    expected -= 1
    expected[expected == 254] = 255
    dataset = slovenia(root)
    np.testing.assert_array_equal(dataset[0]['targets'][0], expected)
    np.testing.assert_array_equal(dataset.label_map(0), expected)
    assert label_table(8)[255] == 255
    write_mat(label_path(root), 'label', codes.astype(np.float64))
    np.testing.assert_array_equal(dataset.label_map(0), expected)


def test_splits_are_folders_sorted_by_name_and_bands_have_names(tmp_path):
    root = write_mts12(tmp_path, patches=dict(train=12, test=2))
    names = [info['sample_id'] for info in (slovenia(root).get_data_info(i) for i in range(12))]
    assert names == sorted(names)
    assert len(slovenia(root, split=('train', 'test'))) == 14
    both, one = slovenia(root)[0], slovenia(root, bands=dict(s1=('VH',)))[0]
    assert (one['inputs']['s1'].values[:, 0] == both['inputs']['s1'].values[:, 1]).all()
    assert 'holds' in str(error_of(root, split='val'))


def test_twelve_dates_lie_one_in_each_month_and_classes_are_coded(tmp_path):
    dataset = slovenia(write_mts12(tmp_path))
    days = dataset[0]['inputs']['s1'].days.numpy()
    dates = days.astype('datetime64[D]')
    assert [str(date)[:7] for date in dates] == [f'2019-{month:02d}' for month in range(1, 13)]
    assert dataset[0]['metas']['season_start'] == (np.datetime64('2019-01-01') - np.datetime64('1970-01-01')).astype(
        int
    )
    assert all(code.listed for code in dataset.class_codes().values())
    assert len(dataset.metainfo['classes']) == len(dataset.metainfo['palette']) == 8


def test_another_number_of_dates_is_taken_with_the_positions_right(tmp_path):
    root = write_mts12(tmp_path, dates=7)
    days = slovenia(root)[0]['inputs']['s1'].days.numpy()
    assert len(days) == 7
    assert (np.diff(days) > 50).all()
    dates = [f'2019-{month:02d}-03' for month in range(2, 9)]
    days = slovenia(root, dates=dates)[0]['inputs']['s1'].days.numpy()
    assert [str(day) for day in days.astype('datetime64[D]')] == dates
    # Days count from the season that the dates lie in, not from that of the published ones.
    earlier = [date.replace('2019', '2017') for date in dates]
    sample = slovenia(root, dates=earlier)[0]
    assert str(np.datetime64(sample['metas']['season_start'], 'D')) == '2017-01-01'
    assert '12 dates are given, 7 images' in str(error_of(root, dates=[f'2019-{m:02d}-03' for m in range(1, 13)]))


def test_brandenburg_takes_files_by_their_position_in_the_sorted_folder(tmp_path):
    root = write_brandenburg(tmp_path)
    dataset = BrandenburgDataset(str(root), split='train', pipeline=[PackSeriesInputs()])
    assert [dataset.get_data_info(i)['sample_id'] for i in range(3)] == ['VHVV_0003', 'VHVV_0000', 'VHVV_0004']
    sample = dataset[0]
    assert sample['inputs']['s1'].values.shape == (41, 2, 8, 8)
    assert dataset.metainfo['bands'] == dict(s1=('VH', 'VV'))
    assert all(code.listed for code in dataset.class_codes().values())
    assert len(BrandenburgDataset(str(root), split='test', pipeline=[])) == 2
    shutil.rmtree(root / 'test_label')
    unlabelled = BrandenburgDataset(str(root), split='test', with_labels=False, pipeline=[PackSeriesInputs()])
    assert 'targets' not in unlabelled[1]


# Bad input


@pytest.mark.parametrize('version', VERSIONS)
def test_a_variable_that_is_missing(version, tmp_path):
    root = write_mts12(tmp_path, version=version)
    write_mat(image_path(root), 'bands', np.zeros((12, 12, 10, 2), np.uint8), version)
    error = error_of(root)
    assert "no variable 'band' in the file, which has ['bands']" in str(error)


@pytest.mark.parametrize('version', VERSIONS)
def test_axes_in_another_order(version, tmp_path):
    root = write_mts12(tmp_path, version=version)
    values = np.full((2, 10, 12, 12), 100, np.uint8)
    write_mat(image_path(root), 'band', values, version)
    error = error_of(root)
    assert 'axes seem to be in another order, axis 0' in str(error)
    write_mat(image_path(root), 'band', np.full((12, 10, 12, 2), 100, np.uint8), version)
    assert 'seems to be transposed' in str(error_of(root))
    write_mat(image_path(root), 'band', np.full((24, 12, 10), 100, np.uint8), version)
    assert '3 dimensions' in str(error_of(root))


@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('share', [0.0, 0.05, 0.5, 0.9])
def test_a_truncated_file(version, share, tmp_path):
    root = write_mts12(tmp_path, version=version, size=(64, 64))
    content = image_path(root).read_bytes()
    image_path(root).write_bytes(content[: int(share * len(content))])
    error = error_of(root)
    assert str(error.path) == str(image_path(root))


def test_a_file_that_is_damaged_inside(tmp_path):
    root = write_mts12(tmp_path, version='v73', size=(64, 64))
    content = bytearray(image_path(root).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = b'\x00' * 2000
    image_path(root).write_bytes(bytes(content))
    error_of(root)


def test_something_else_than_numbers(tmp_path):
    root = write_mts12(tmp_path)
    write_mat(image_path(root), 'band', np.array(['text']))
    assert 'not numbers' in str(error_of(root))
    image_path(root).write_bytes(b'no matlab file at all' * 100)
    assert 'not a readable MATLAB file' in str(error_of(root))


def test_label_codes_outside_the_table(tmp_path):
    root = write_mts12(tmp_path)
    labels = np.asarray(open_mat(label_path(root), 'label')).copy()
    labels[3, 4] = 9
    write_mat(label_path(root), 'label', labels)
    error = error_of(root)
    assert 'class code 9 at row 3, column 4' in str(error)


def test_linear_values_that_are_said_to_be_decibels(tmp_path):
    root = write_brandenburg(tmp_path)
    path = root / 'trainval_vhvv' / 'VHVV_0003.mat'
    values = np.asarray(open_mat(path, 'data'))
    write_mat(path, 'data', (10 ** (values / 10)).astype(np.float32))
    with pytest.raises(DataError, match='linear values') as caught:
        BrandenburgDataset(str(root), split='train', pipeline=[PackSeriesInputs()])[0]
    assert 'ConvertBackscatter' in caught.value.hint
    # Said to be linear, they are taken.
    BrandenburgDataset(str(root), split='train', units=dict(s1='linear'), pipeline=[PackSeriesInputs()])[0]
    with pytest.raises(DataError, match='look like dB'):
        BrandenburgDataset(str(root), split='train', units=dict(s1='linear'), pipeline=[PackSeriesInputs()])[1]


@pytest.mark.parametrize('scale', ['linear', 'dB'])
def test_values_that_were_not_stretched(scale, tmp_path):
    root = write_mts12(tmp_path)
    decibels = np.random.default_rng(0).normal(-14, 3, (12, 12, 10, 2)).astype(np.float32)
    write_mat(image_path(root), 'band', decibels if scale == 'dB' else 10 ** (decibels / 10))
    assert ('not stretched' if scale == 'dB' else 'linear values') in str(error_of(root))
    slovenia(root, units=dict(s1=scale))[0]


def test_a_missing_label_file(tmp_path):
    root = write_mts12(tmp_path)
    label_path(root).unlink()
    error = error_of(root)
    assert error.path == str(label_path(root))
    assert 'targets' not in slovenia(root, with_labels=False)[0]


@pytest.mark.parametrize(
    ('lines', 'words'), [('0\n7\n', r'found \[7\]'), ('', 'empty'), ('zero', 'one number for each sample')]
)
def test_a_wrong_list_of_brandenburg(lines, words, tmp_path):
    root = write_brandenburg(tmp_path)
    (root / 'split' / 'train.txt').write_text(lines)
    with pytest.raises(DataError, match=words):
        BrandenburgDataset(str(root), split='train')


def test_files_of_brandenburg_that_do_not_go_together(tmp_path):
    root = write_brandenburg(tmp_path)
    (root / 'trainval_label' / 'label_s1_0000.mat').rename(root / 'trainval_label' / 'label_s1_0009.mat')
    with pytest.raises(DataError, match='do not end alike'):
        BrandenburgDataset(str(root), split='train')


def test_options_that_cannot_be(tmp_path):
    root = write_mts12(tmp_path)
    for options in (
        dict(split='training'),
        dict(units=dict(s3='dB')),
        dict(dates=['last May']),
        dict(period=('2019-02-01', '2019-01-01')),
        dict(bands=dict(s1=('HH',))),
    ):
        with pytest.raises(ValueError, match=r'split|sensor|date|period|band'):
            slovenia(root, **options)
    with pytest.raises(DataError, match='does not exist'):
        slovenia(tmp_path / 'nowhere')
