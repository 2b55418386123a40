"""The picture of early dates shows the days and percentages of the files."""

import numpy as np
import pytest
from matplotlib.image import AxesImage
from PIL import Image

from mmsits.datasets.errors import DataError
from mmsits.visualization.early_map import draw_early_map

rasterio = pytest.importorskip('rasterio')

SEASON = '2019-09-01'


def write(path, values, nodata, band_tags=None, **tags):
    profile = dict(driver='GTiff', count=1, height=values.shape[0], width=values.shape[1], dtype=values.dtype)
    transform = rasterio.transform.from_origin(500_000, 5_300_000, 10, 10)
    with rasterio.open(path, 'w', crs='EPSG:32633', transform=transform, nodata=nodata, **profile) as file:
        file.write(values, 1)
        file.update_tags(**tags)
        if band_tags:
            file.update_tags(1, **band_tags)
            file.write_colormap(1, {0: (200, 80, 60, 255), 1: (220, 200, 50, 255)})


@pytest.fixture
def folder(tmp_path):
    labels = np.zeros((6, 8), np.uint8)
    labels[:, 4:], labels[0] = 1, 255
    days = np.where(labels == 1, 200, 31).astype(np.uint16)
    days[0] = 65535
    percent = np.where(labels == 255, 255, 80).astype(np.uint8)
    write(tmp_path / 'classes.tif', labels, 255, dict(class_0='corn', class_1='wheat'))
    write(tmp_path / 'early_date.tif', days, 65535, season_start=SEASON)
    write(tmp_path / 'early_confidence.tif', percent, 255)
    return tmp_path


def test_days_are_dates_and_what_was_not_seen_is_not_drawn(folder, monkeypatch):
    images = []

    def remember(self, data):
        images.append(data)
        original(self, data)

    original = AxesImage.set_data
    monkeypatch.setattr(AxesImage, 'set_data', remember)
    draw_early_map(folder, folder / 'pictures' / 'early.png')
    days, percent = (np.ma.asarray(image) for image in images if np.ndim(image) == 2 and np.shape(image) == (6, 8))
    first = np.datetime64(SEASON).astype(int)
    assert np.unique(days.compressed()).tolist() == [first + 31, first + 200]
    assert days.mask[0].all()
    assert not days.mask[1:].any()
    assert np.unique(percent.compressed()).tolist() == [80]
    assert Image.open(folder / 'pictures' / 'early.png').size[0] > 800


def test_a_map_without_early_dates_says_how_to_get_them(folder):
    (folder / 'early_date.tif').unlink()
    with pytest.raises(DataError, match='early-every'):
        draw_early_map(folder, folder / 'early.png')
