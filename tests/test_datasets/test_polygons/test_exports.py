"""Exports of regions become patches, with masks of another size than the images."""

import numpy as np
import pytest

rasterio = pytest.importorskip('rasterio')

from mmsits.datasets import ISRCDataset  # noqa: E402
from mmsits.datasets.errors import DataError  # noqa: E402
from mmsits.datasets.polygons import read_raster  # noqa: E402
from mmsits.datasets.polygons.exports import cut_exported, exported_regions, missing_windows  # noqa: E402
from mmsits.datasets.transforms import PackSeriesInputs  # noqa: E402
from tests.helpers.composites import write_tif  # noqa: E402


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / 'exports'
    for sensor, bands, value in (('s1', 2, -30.0), ('s2', 10, 0.2)):
        for date in (1, 2):
            values = np.full((bands, 70, 100), value, np.float32)
            values[:, 0] = np.nan
            write_tif(folder / sensor / str(date) / 'u.tif', values)
    mask = np.zeros((1, 69, 99), np.uint8)
    mask[:, 30:40, 5:20] = 255
    write_tif(folder / 'crop_map' / 'u.tif', mask)
    return folder


def test_marked_patches_are_cut_and_read_by_the_dataset(root, tmp_path):
    out = tmp_path / 'isrc' / 'tomato'
    assert exported_regions(root) == ['u']
    assert cut_exported(root, 'u', out) == 2  # of four, those of the left half
    held = sorted(path.name for path in (out / 'crop_map').iterdir())
    assert held == ['u_r00_c00.tif', 'u_r01_c00.tif']
    share = read_raster(out / 'crop_map' / 'u_r00_c00.tif')[0]
    assert share.sum() == pytest.approx(150, rel=0.05)
    assert np.isnan(read_raster(out / 's1' / '1' / 'u_r00_c00.tif')[:, 0]).all()
    dataset = ISRCDataset(str(tmp_path / 'isrc'), harvest_date='2022-05-01', pipeline=[PackSeriesInputs()])
    sample = dataset[0]
    assert not sample['inputs']['s2'].valid[:2, 0].any()
    assert sample['inputs']['s2'].valid[:2, 1:].all()
    assert set(sample['targets'].unique().tolist()) == {7, 255}


def test_windows_without_an_image_are_named(root, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('mmsits.datasets.polygons.exports.print_log', lambda text, *_: said.append(text))
    (root / 's1' / '2' / 'u.tif').unlink()
    cut_exported(root, 'u', tmp_path / 'out')
    assert said == [
        f'{root}: region u has no image of the windows s1 2, 3, 4, 5, 6; s2 3, 4, 5, 6; these months count as not '
        'observed'
    ]
    for sensor in ('s1', 's2'):
        for number in range(1, 7):
            image = root / sensor / str(number) / 'u.tif'
            image.parent.mkdir(exist_ok=True)
            image.write_bytes((root / sensor / '1' / 'u.tif').read_bytes())
    assert missing_windows(root, 'u') == {}
    # Folders may be named by dates instead, of any number.
    (root / 's1').rename(root / 's1 numbered')
    for date in ('2021-10-16', '2021-11-16'):
        (root / 's1' / date).mkdir(parents=True)
    (root / 's1' / date / 'u.tif').touch()
    assert missing_windows(root, 'u') == {'s1': ['2021-10-16']}


def test_published_cleaning_and_grid(root, tmp_path):
    assert cut_exported(root, 'u', tmp_path, grid='published', limits=(-25, 15), fill=0.0) >= 1
    radar = read_raster(tmp_path / 's1' / '1' / 'u_r00_c00.tif')
    assert set(np.unique(radar)) == {-25.0, 0.0}


def test_what_does_not_fit_is_named(root, tmp_path):
    write_tif(root / 's2' / '2' / 'u.tif', np.zeros((10, 70, 99), np.float32))
    with pytest.raises(DataError, match=r'70 x 99 pixels.*s2/2/u\.tif'):
        cut_exported(root, 'u', tmp_path / 'out')
    write_tif(root / 'crop_map' / 'u.tif', np.ones((1, 70, 100), np.uint8))
    with pytest.raises(DataError, match='0 and 255'):
        cut_exported(root, 'u', tmp_path / 'other')
    with pytest.raises(DataError, match='no image'):
        cut_exported(root, 'v', tmp_path / 'other')
    with pytest.raises(DataError, match='no mask'):
        exported_regions(tmp_path)
