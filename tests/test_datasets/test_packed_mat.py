"""Packed MATLAB files give the samples of the files, and a stopped run goes on."""

from pathlib import Path

import pytest

from mmsits.datasets import DataError, PackedWindows, SloveniaDataset
from mmsits.datasets.packed_mat import pack_mat
from mmsits.datasets.transforms import PackSeriesInputs, SeriesRandomCrop
from tests.helpers.mat_miniature import VERSIONS, write_mts12

STEPS = [SeriesRandomCrop(6), PackSeriesInputs()]


@pytest.mark.parametrize('version', VERSIONS)
def test_packed_samples_are_those_of_the_files(version: str, tmp_path: Path) -> None:
    root = write_mts12(tmp_path / 'data', version=version, sensors=('s1', 's2'))
    files = SloveniaDataset(str(root), sensors=('s1', 's2'), pipeline=STEPS)
    pack_mat(files, tmp_path / 'packed' / 'train')
    packed = PackedWindows(str(tmp_path / 'packed'), 'train', pipeline=STEPS, code_list='slovenia')
    assert len(packed) == len(files)
    for index in range(len(files)):
        ours, theirs = packed[index], files[index]
        assert (ours['targets'] == theirs['targets']).all()
        for sensor in ('s1', 's2'):
            for part, other in zip(ours['inputs'][sensor], theirs['inputs'][sensor], strict=True):
                assert (part == other).all()
    for key in ('classes', 'bands', 'units'):
        assert packed.metainfo[key] == files.metainfo[key]
    assert packed.class_codes() == files.class_codes()


def test_a_stopped_run_goes_on_and_other_data_are_not_overwritten(tmp_path: Path) -> None:
    root = write_mts12(tmp_path / 'data', patches=dict(train=3))
    files, out = SloveniaDataset(str(root)), tmp_path / 'packed'

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack_mat(files, out, stop)
    assert not out.exists()
    written = (out.with_name('packed.part') / 's1' / '0.npy').stat().st_mtime_ns
    pack_mat(files, out)
    assert (out / 's1' / '0.npy').stat().st_mtime_ns == written
    with pytest.raises(DataError, match='other data'):
        pack_mat(SloveniaDataset(str(root), period=('2018-01-01', '2018-12-31')), out)


def test_files_with_different_numbers_of_dates_are_named(tmp_path: Path) -> None:
    root = write_mts12(tmp_path / 'data', patches=dict(train=1))
    write_mts12(tmp_path / 'other', patches=dict(train=2), dates=9)
    for kind, ending in (('s1', ''), ('label', '_label')):
        name = f'{kind}/train/eopatch_id_1_col_0_row_1{ending}.mat'
        (tmp_path / 'other' / name).rename(root / name)
    with pytest.raises(DataError, match='9 images are in the file, 12 in the first'):
        pack_mat(SloveniaDataset(str(root)), tmp_path / 'packed')
