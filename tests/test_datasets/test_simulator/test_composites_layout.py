"""Simulated regions in the layout of CropMapping: what the datasets read is what was simulated."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmsits.datasets import EuroCropMapDataset, ISRCDataset
from mmsits.datasets.crop_calendar import read_calendar
from mmsits.datasets.cropmapping import EUCROPMAP_CODES
from mmsits.datasets.simulator import RegionConfig, season_of, simulate_region, write_eurocropmap, write_isrc
from mmsits.datasets.simulator.composites_layout import EUCROPMAP_OF_CROP, ISRC_CLASSES, ISRC_OF_CROP
from mmsits.datasets.transforms import PackSeriesInputs

START, END = season_of('2018-08-01')
CONFIG = RegionConfig(
    height=32,
    width=64,
    season_start=START,
    season_end=END,
    sensors=('s2', 's1a'),
    s2_dates=12,
    s1_dates=12,
    classes=ISRC_CLASSES,
    field_size=0.4,
    annotated_share=0.5,
)
SPLITS = ('train', 'val', 'test')


def test_europe_is_read_as_it_was_written(tmp_path: Path) -> None:
    region = simulate_region(dataclasses.replace(CONFIG, annotated_share=1.0))
    root = write_eurocropmap(region, tmp_path / 'data', patch_size=16)
    parts = {split: EuroCropMapDataset(str(root), split=split, pipeline=[PackSeriesInputs()]) for split in SPLITS}
    assert [len(part) for part in parts.values()] == [4, 1, 3]
    codes = sorted({EUCROPMAP_OF_CROP[crop] for crop in np.unique(region.true_class) if crop in EUCROPMAP_OF_CROP})
    classes = parts['train'].metainfo['classes']
    found: set[int] = set()
    for part in parts.values():
        for index in range(len(part)):
            sample = part[index]
            s1, s2 = sample['inputs']['s1'], sample['inputs']['s2']
            assert s1.values.shape == (6, 2, 16, 16)
            assert (s1.values[:, 0].mean() > s1.values[:, 1].mean()).item()  # VV is brighter than VH
            assert s2.valid.any()
            seen = s2.values.movedim(1, 0)[:, s2.valid.expand(6, 16, 16)]
            assert 0 <= seen.min() <= seen.max() < 1
            found |= set(np.unique(sample['targets'].numpy()).tolist())
    assert {classes.index(name) for name in ('common wheat', 'maize') if 211 in codes} <= found
    # The calendar knows the harvest of each simulated class, in the province that the samples name.
    calendar, province = read_calendar(root / 'calendar.csv'), parts['test'].get_data_info(0)['province']
    names = {classes[EUCROPMAP_CODES.index(code)] for code in codes} - {'grasslands'}
    assert names
    for name in names:
        assert any(calendar.season(season, province) for season in calendar.seasons_of(name))


def test_iran_is_marked_in_training_and_known_in_testing(tmp_path: Path) -> None:
    region = simulate_region(CONFIG)
    root = write_isrc(region, tmp_path / 'data', patch_size=16)
    options: dict[str, Any] = dict(pipeline=[PackSeriesInputs()])
    train = ISRCDataset(str(root), split='train', negatives='other_fields', **options)
    for index in range(len(train)):
        info, labels = train.get_data_info(index), train.label_map(index)
        crop = train.metainfo['classes'].index(info['crop'])
        assert crop + 1 in ISRC_OF_CROP.values()
        assert set(np.unique(labels).tolist()) <= {crop, 128 + crop, 255}
        assert (labels == crop).any()
    for split in ('val', 'test'):
        part = ISRCDataset(str(root), split=split, **options)
        assert all(part.get_data_info(index)['crop'] == 'all_crops' for index in range(len(part)))
    assert (root / 'calendar.csv').read_text().count('Simulated') == len(set(ISRC_OF_CROP) & set(CONFIG.classes))


def test_no_field_is_labelled_in_two_splits(tmp_path: Path) -> None:
    """Fields as numbers in the place of crops: those of later splits are none of the earlier ones."""
    region = simulate_region(CONFIG)
    root = write_eurocropmap(region, tmp_path / 'data', patch_size=16)
    fields: dict[str, set[int]] = {}
    for split in SPLITS:
        part = EuroCropMapDataset(str(root), split=split)
        fields[split] = set()
        for index in range(len(part)):
            import rasterio

            with rasterio.open(part.get_data_info(index)['label_path']) as file:
                column, row = ~file.transform @ (650_000.0, 6_860_000.0)
                top, left = round(-row), round(-column)
                known = file.read(1) > 0
            ids = region.parcel_ids[top : top + 16, left : left + 16]
            fields[split] |= set(np.unique(ids[known & (ids > 0)]).tolist())
    assert fields['train']
    assert not fields['train'] & fields['val']
    assert not (fields['train'] | fields['val']) & fields['test']


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(sensors=('s2',)), 's1a'),
        (dict(season_end='2018-03-31'), 'composites before'),
        (dict(height=16), 'too few'),
    ],
)
def test_regions_that_do_not_fit(options: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        write_isrc(dataclasses.replace(CONFIG, **options), tmp_path / 'data', patch_size=16)
