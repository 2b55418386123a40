"""Simulated pixels in the layout of SITS-MoCo: what the dataset reads is what was simulated."""

import csv
import runpy
from pathlib import Path

import numpy as np
import pytest

from mmsits.datasets import USCropsDataset
from mmsits.datasets.simulator import RegionConfig, simulate_region, write_us_crops
from mmsits.datasets.simulator.us_crops_layout import CLASSES, CROP_CLASSES, FOREST
from mmsits.datasets.us_crops import CLASSES as CDL_CLASSES
from mmsits.datasets.us_crops import REGIONS, read_us_crops

ROOT = Path(__file__).parents[3]
CONFIG = RegionConfig(
    height=32,
    width=32,
    season_start='2019-01-01',
    season_end='2019-12-31',
    classes=CLASSES,
    field_size=0.5,
    s2_dates=24,
)


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_us_crops(CONFIG, tmp_path_factory.mktemp('pixels') / 'data', pixels=200, unlabelled=60)


def test_the_dataset_reads_what_was_simulated(root: Path) -> None:
    region = simulate_region(CONFIG)
    images = [region.s2_acquisition(index) for index in range(24)]
    days = (region.dates['s2'] - region.config.first_day).astype(int) + 1
    splits = {split: read_us_crops(root, 2019, split) for split in ('train', 'valid', 'eval')}
    ids = [name for series in splits.values() for name in series.ids]
    assert len(set(ids)) == len(ids) <= 200
    assert len(splits['train'].ids) > len(splits['eval'].ids) > 0
    for series in splits.values():
        assert set(series.regions) == {'Adams'}
        for number, name in enumerate(series.ids):
            pixel = int(name.rpartition('_')[2])
            rows = slice(series.offset[number], series.offset[number + 1])
            found = dict(zip(series.day_of_year[rows].tolist(), series.values[rows], strict=True))
            for day, (image, mask) in zip(days.tolist(), images, strict=True):
                if mask.ravel()[pixel] == 0:
                    assert np.array_equal(found[day], image.reshape(10, -1)[:, pixel])
            crop = int(region.true_class.ravel()[pixel])
            assert series.labels is not None
            assert series.labels[number] == (CROP_CLASSES[crop] if crop else FOREST).number


def test_unlabelled_series_are_long_and_others(root: Path) -> None:
    unlabelled = USCropsDataset(str(root), split='unlabelled')
    unlabelled.full_init()
    assert 0 < len(unlabelled) <= 60
    assert (np.diff(unlabelled.series.offset) >= 10).all()
    assert unlabelled.labels is None


def test_classes_are_those_of_the_dataset(root: Path) -> None:
    for entry in (*CROP_CLASSES.values(), FOREST):
        assert CDL_CLASSES[entry.number] == entry.name
    with open(root / 'classmapping20.csv', encoding='utf-8-sig') as file:
        assert {row['classname'].strip() for row in csv.DictReader(file)} <= set(CDL_CLASSES)


def test_the_same_call_gives_the_same_bytes(root: Path, tmp_path: Path) -> None:
    again = write_us_crops(CONFIG, tmp_path / 'again', pixels=200, unlabelled=60)
    for path in (path for path in root.rglob('*') if path.is_file()):
        assert path.read_bytes() == (again / path.relative_to(root)).read_bytes()


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (dict(season_start='2019-03-01', season_end='2020-02-20'), 'calendar years'),
        (dict(sensors=('s1a',)), "sensor 's2'"),
    ],
)
def test_regions_that_do_not_fit_are_refused(options: dict, words: str, tmp_path: Path) -> None:
    config = RegionConfig(**{**CONFIG.to_dict(), **options})
    with pytest.raises(ValueError, match=words):
        write_us_crops(config, tmp_path / 'data')


def test_no_more_sites_than_there_are(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='6 sites, and 2019 has more'):
        write_us_crops([CONFIG] * (len(REGIONS) + 1), tmp_path / 'data')


def test_the_command_writes_sites_and_years(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    tool = runpy.run_path(str(ROOT / 'tools' / 'dataset_converters' / 'simulate.py'))
    size = ['--patch-size', '32', '--field-size', '0.5', '--dates', '12', '--pixels', '100', '--unlabelled', '20']
    arguments = [str(tmp_path / 'out'), '--layout', 'us-crops', '--sites', '2', '--years', '2019', '2020', *size]
    assert tool['main'](arguments) == 0
    assert '4 sites and years' in capsys.readouterr().out
    for year in (2019, 2020):
        dataset = USCropsDataset(str(tmp_path / 'out'), year=year, regions=['Coahoma'])
        dataset.full_init()
        assert 0 < len(dataset) < 100
    for wrong in (['--sites', '7'], ['--years', '2019', '2019'], ['--season-start', '2019-09-01']):
        with pytest.raises(SystemExit):
            tool['main']([str(tmp_path / 'other'), '--layout', 'us-crops', *wrong])
