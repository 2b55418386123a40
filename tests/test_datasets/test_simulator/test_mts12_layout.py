"""The simulated region in the layout of MTS12: what the dataset reads is what was simulated."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mmsits.datasets import SloveniaDataset
from mmsits.datasets.simulator import RegionConfig, simulate_region, write_mts12
from mmsits.datasets.simulator.mts12_layout import land_cover
from mmsits.datasets.transforms import PackSeriesInputs

CONFIG = RegionConfig(
    height=32, width=64, season_start='2019-01-01', sensors=('s1a',), s1_dates=24, background_share=0.3
)


@pytest.mark.parametrize('version', ['v5', 'v73'])
def test_the_dataset_reads_what_was_written(version: str, tmp_path: Path) -> None:
    region = simulate_region(CONFIG)
    root = write_mts12(region, tmp_path / 'data', patch_size=16, mat_version=version)
    parts = {
        split: SloveniaDataset(str(root), split=split, pipeline=[PackSeriesInputs()])
        for split in ('train', 'val', 'test')
    }
    assert [len(part) for part in parts.values()] == [4, 1, 3]
    cover = land_cover(region)
    counts = np.zeros(256, int)
    for part in parts.values():
        for index in range(len(part)):
            sample = part[index]
            values = sample['inputs']['s1'].values
            assert values.shape == (12, 2, 16, 16)
            # VV is brighter than VH.
            assert (values[:, 0].float().mean() > values[:, 1].float().mean()).item()
            counts += np.bincount(sample['targets'].numpy().ravel(), minlength=256)
    expected = np.bincount(cover.ravel(), minlength=9)
    assert counts[255] == expected[0]
    assert (counts[:8] == expected[1:]).all()
    assert {1, 2, 3} <= set(np.unique(cover))


def test_the_same_call_writes_nothing_and_another_is_refused(tmp_path: Path) -> None:
    root = write_mts12(CONFIG, tmp_path / 'data', patch_size=16)
    before = sorted((path, path.stat().st_mtime_ns) for path in root.rglob('*'))
    write_mts12(CONFIG, root, patch_size=16)
    assert sorted((path, path.stat().st_mtime_ns) for path in root.rglob('*')) == before
    with pytest.raises(FileExistsError, match='other options'):
        write_mts12(CONFIG, root, patch_size=16, mat_version='v73')


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(sensors=('s2',)), 's1a'),
        (dict(season_end='2019-06-30'), 'twelve calendar months'),
        (dict(height=16), 'too few'),
    ],
)
def test_regions_that_do_not_fit(options: dict, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        write_mts12(dataclasses.replace(CONFIG, **options), tmp_path / 'data', patch_size=16)
