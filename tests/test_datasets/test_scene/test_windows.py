import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmsits.datasets import DomainViews, SceneDataset, SceneWindows
from mmsits.datasets.base import day_number, day_to_date
from mmsits.datasets.errors import DataError
from mmsits.datasets.inspection import build_dataset, check_samples
from mmsits.datasets.samplers import DrawIndex
from tests.helpers.scene_files import DATES, numbers, transform, write_raster, write_series

HEIGHT, WIDTH = 50, 70
CLASSES = ('beet', 'corn', 'wheat')
PACK = [dict(type='PackSeriesInputs')]


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene whose first band is 100 · (label + 1), so that images and labels can be held against each other."""
    path = tmp_path_factory.mktemp('scene')
    labels = np.full((HEIGHT, WIDTH), 255, 'uint8')
    labels[:40, :45] = np.kron(numbers(10, 9, low=0, high=3), np.ones((4, 5)))
    labels[10:14] = 255
    images = numbers(3, 2, HEIGHT, WIDTH)
    images[:, 0] = np.where(labels == 255, 7, 100 * (labels + 1).astype(int))
    images[0, :, :20, :20] = 0
    write_series(path / 's2', images, ['B04', 'B08'], nodata=0)
    write_series(path / 's1', -numbers(2, 1, 25, 35, dtype='float32'), ['VV'], DATES[:2], where=transform(pixel=20))
    write_raster(path / 'labels.tif', labels, nodata=255)
    return path


def options(**changes: Any) -> dict[str, Any]:
    base = dict(
        sensors=dict(s2=dict(folder='s2', unit='reflectance x 10000'), s1=dict(folder='s1', unit='dB')),
        labels=dict(file='labels.tif'),
        classes=CLASSES,
        window_size=16,
        pipeline=PACK,
    )
    return {**base, **changes}


def windows(root: Path, **changes: Any) -> SceneWindows:
    dataset = SceneDataset(data_root=str(root), **options(**changes))
    assert isinstance(dataset, SceneWindows)
    dataset.full_init()
    return dataset


@pytest.fixture
def labels(root: Path) -> np.ndarray:
    with rasterio.open(root / 'labels.tif') as file:
        return file.read(1)


def assembled(dataset: SceneWindows) -> np.ndarray:
    """The labels of all samples, put together."""
    found = np.full((HEIGHT, WIDTH), 255, 'uint8')
    for i in range(len(dataset)):
        sample = dataset[i]
        row, column, height, width = sample['metas']['window']
        found[row : row + height, column : column + width] = sample['targets'][0]
    return found


def test_samples_are_the_windows_with_labels(root: Path, labels: np.ndarray) -> None:
    dataset = windows(root)
    assert dataset.metainfo['classes'] == CLASSES
    assert dataset.metainfo['bands'] == dict(s2=('B04', 'B08'), s1=('VV',))
    assert len(dataset.metainfo['palette']) == 3
    np.testing.assert_array_equal(assembled(dataset), labels)
    assert len(dataset) == 9
    sample = dataset[len(dataset) - 1]
    assert sample['metas']['window'] == (32, 32, 16, 16)
    assert {name: tuple(series.values.shape) for name, series in sample['inputs'].items()} == dict(
        s2=(3, 2, 16, 16), s1=(2, 1, 16, 16)
    )


def test_windows_at_the_edge_are_smaller(root: Path) -> None:
    dataset = windows(root, with_labels=False, labels=None)
    assert len(dataset) == 20
    shapes = {tuple(dataset[i]['metas']['img_shape']) for i in range(len(dataset))}
    assert shapes == {(16, 16), (16, 6), (2, 16), (2, 6)}
    assert 'targets' not in dataset[0]


def test_what_was_never_seen_is_neither_sample_nor_label(root: Path, tmp_path: Path, labels: np.ndarray) -> None:
    images = numbers(3, 1, HEIGHT, WIDTH)
    images[:, :, :16, :24] = 0
    write_series(tmp_path / 's2', images, ['NDVI'], nodata=0)
    where = dict(labels=dict(file=str(root / 'labels.tif')), sensors=dict(s2=dict(folder='s2')))
    dataset = windows(tmp_path, **where)
    assert len(dataset) == 8
    expected = labels.copy()
    expected[:16, :24] = 255
    np.testing.assert_array_equal(assembled(dataset), expected)
    corner = np.full_like(labels, 255)
    corner[:5, :5] = 0
    where['labels'] = dict(file=str(write_raster(tmp_path / 'corner.tif', corner, nodata=255)))
    with pytest.raises(DataError, match='none of the 1 windows was observed'):
        windows(tmp_path, **where)


def test_splits_share_no_labelled_pixel_and_lose_none(root: Path, labels: np.ndarray) -> None:
    splits = dict(type='blocks', size=50, shares=dict(train=0.5, val=0.2, test=0.3), seed=0)
    parts = [assembled(windows(root, splits=splits, split=split)) for split in ('train', 'val', 'test')]
    held = np.stack([part != 255 for part in parts])
    assert (held.sum(axis=0) == (labels != 255)).all()
    assert held.any(axis=(1, 2)).all()
    for part, where in zip(parts, held, strict=True):
        np.testing.assert_array_equal(part[where], labels[where])


@pytest.mark.parametrize('size', [16, 40])
def test_labels_stay_with_their_pixels_through_crops_flips_and_turns(root: Path, size: int) -> None:
    steps = ('SeriesRandomCrop', 'SeriesRandomFlip', 'SeriesRandomRotate90')
    pipeline = [dict(type=steps[0], crop_size=12), *(dict(type=step) for step in steps[1:]), *PACK]
    dataset = windows(root, window_size=size, window_stride=8, pipeline=pipeline)
    for index in range(0, len(dataset), 3):
        sample = dataset[DrawIndex(index, index, 3)]
        targets, image = np.asarray(sample['targets'][0]), np.asarray(sample['inputs']['s2'].values[1, 0])
        expected = np.where(targets == 255, 7, 100 * (targets.astype(int) + 1))
        np.testing.assert_array_equal(image, expected)
        assert targets.shape == (12, 12)


def test_dates_count_from_the_season(root: Path) -> None:
    sample = windows(root, season_start='09-01')[0]
    assert day_to_date(sample['metas']['season_start']).isoformat() == '2020-09-01'
    assert sample['inputs']['s2'].days[0] == day_number(day_to_date(sample['metas']['season_start'])) + 216


def test_bands_and_ignored_classes_are_chosen_by_name(root: Path, labels: np.ndarray) -> None:
    dataset = windows(root, bands=dict(s2=('B08',)), ignored_classes=('corn',))
    assert dataset.metainfo['bands']['s2'] == ('B08',)
    assert dataset[0]['inputs']['s2'].values.shape[1] == 1
    np.testing.assert_array_equal(assembled(dataset), np.where(labels == 1, 255, labels))


def test_classes_of_the_nomenclature_take_the_place_of_the_own(root: Path, labels: np.ndarray) -> None:
    codes = dict(beet='sugar_beet', corn='grain_maize_corn_popcorn', wheat='common_soft_wheat')
    wanted = ['common_soft_wheat', 'sugar_beet']
    dataset = windows(root, code_list=codes, nomenclature=dict(classes=wanted))
    assert len(dataset.metainfo['classes']) == 2
    np.testing.assert_array_equal(assembled(dataset), np.select([labels == 2, labels == 0], [0, 1], 255))


def test_statistics_are_those_of_the_observed_pixels(root: Path, labels: np.ndarray) -> None:
    dataset = windows(root, sensors=dict(s2=dict(folder='s2', unit='reflectance x 10000')), window_size=70)
    values, _, valid = dataset.scene.read(dataset.scene.grid.window)['s2']
    inner = values[:, :, :50, 3:67].transpose(1, 0, 2, 3)[:, valid[:, :50, 3:67]]
    np.testing.assert_allclose(dataset.statistics['s2']['mean'], inner.mean(axis=1))
    np.testing.assert_allclose(dataset.statistics['s2']['std'], inner.std(axis=1, ddof=1))
    assert windows(root, test_mode=True).statistics == {}


def test_workers_give_the_same_samples(root: Path) -> None:
    dataset = windows(root)
    loader = DataLoader(dataset, batch_size=3, num_workers=2, collate_fn=pseudo_collate)
    index = 0
    for batch in loader:
        for i, values in enumerate(batch['inputs']['s2'].values):
            np.testing.assert_array_equal(values, dataset[index + i]['inputs']['s2'].values)
        index += 3
    assert index >= len(dataset)


def test_a_scene_is_a_domain_without_labels(root: Path) -> None:
    source, target = (dict(type='SceneDataset', data_root=str(root), **options()) for _ in range(2))
    target.update(labels=None, with_labels=False, classes=None)
    views = DomainViews(dict(source=dict(dataset=source), target=dict(dataset=target, views=dict(weak=PACK))))
    sample = views[0]
    assert 'targets' in sample['source']
    assert 'targets' not in sample['weak']
    assert sample['weak']['inputs']['s2'].values.shape[1] == 2
    labelled = DomainViews(dict(source=dict(dataset=source), target=dict(dataset={**source})))
    assert 'targets' not in labelled[0]['target']


def test_the_checking_tool_goes_through_it(root: Path, tmp_path: Path) -> None:
    config = dict(type='SceneDataset', data_root=str(root), **options(pipeline=[dict(type='SeriesRandomFlip'), *PACK]))
    assert list(check_samples(build_dataset(config, augment=False))) == [None] * 9
    for path in [*root.glob('s2/*.tif')]:
        (tmp_path / 's2').mkdir(exist_ok=True)
        os.link(path, tmp_path / 's2' / path.name)
    config.update(
        data_root=str(tmp_path), labels=dict(file=str(root / 'labels.tif')), sensors=dict(s2=dict(folder='s2'))
    )
    dataset = build_dataset(config, augment=False)
    (tmp_path / 's2' / f'S2_{DATES[1]}.tif').unlink()
    found = [problem for problem in check_samples(dataset) if problem is not None]
    assert len(found) == 9
    assert 'row 0 column 16' in found[1].sample_id
    assert f'S2_{DATES[1]}.tif, date 2021-04-20' in found[1].message


@pytest.mark.parametrize(
    ('changes', 'error', 'message'),
    [
        (dict(samples='fields'), ValueError, r"samples must be one of \['windows'"),
        (dict(windowsize=8), ValueError, r"no option \['windowsize'\]; there are \["),
        (dict(labels=None), ValueError, 'for data without labels say with_labels=False'),
        (dict(window_stride=20), ValueError, 'window_stride ≤ window_size'),
        (dict(window_stride=8, test_mode=True), ValueError, 'scored more than once'),
        (dict(bands=dict(s2=('B12',))), ValueError, r"sensor 's2' has no band \['B12'\]"),
        (dict(split='train'), ValueError, 'no splits are given'),
    ],
)
def test_what_cannot_be_is_said(root: Path, changes: dict, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        windows(root, **changes)


def test_a_scene_without_a_label_is_refused(root: Path, tmp_path: Path) -> None:
    empty = write_raster(tmp_path / 'labels.tif', np.full((HEIGHT, WIDTH), 255, 'uint8'), nodata=255)
    with pytest.raises(DataError, match=r'labels\.tif'):
        windows(root, labels=dict(file=str(empty)))


@pytest.mark.real_data
def test_real_points_on_real_rasters() -> None:
    folder = Path(os.environ.get('MMSITS_DATA', 'data')) / 'mato-grosso-cube'
    if not folder.is_dir():
        pytest.skip(f'{folder} is missing')
    layers = ('EVI', 'NDVI', 'RED', 'BLUE', 'NIR', 'MIR', 'DOY')
    dataset = dict(
        sensors=dict(modis=dict(folder='tif', band_names=layers, bands=layers[:6], unit='reflectance')),
        labels=dict(file='samples.gpkg', column='label'),
        splits=dict(type='column', column='split'),
        classes=None,
        season_start='09-01',
    )
    cube = np.load(folder / 'mato_grosso_cube.npz')
    for split, counts in (('train', [35, 9, 49, 11, 35]), ('test', [5, 5, 16, 18, 16])):
        part = windows(folder, **dataset, split=split, window_size=20)
        targets = np.concatenate([np.asarray(part[i]['targets']).ravel() for i in range(len(part))])
        assert np.bincount(targets[targets != 255]).tolist() == counts
    series = part.scene.read(part.scene.grid.window)['modis']
    # Some pixels lack a band on some dates.
    observed = (cube['x'][:, :6] > -1e38).all(axis=1)
    np.testing.assert_array_equal(series.valid, observed)
    np.testing.assert_array_equal(series.values, cube['x'][:, :6] * observed[:, None])
