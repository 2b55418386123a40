import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from mmsits.datasets.errors import DataError
from mmsits.datasets.scene import checks, open_scene
from mmsits.datasets.scene.checks import find_borders
from tests.helpers.scene_files import DATES, numbers, write_raster, write_series

SIDE = 80


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is warned of."""
    found: list[str] = []
    monkeypatch.setattr(checks, '_warned', set())
    monkeypatch.setattr(
        checks, 'print_log', lambda text, _, level: found.append(text) if level == logging.WARNING else None
    )
    return found


def look(root: Path, **options: Any) -> Any:
    return open_scene(dict(sensors=dict(s1=dict(folder='s1', **options))), root)


def swath(value: float, dtype: str = 'int16') -> np.ndarray:
    """Images of which the first lacks a corner."""
    images = numbers(3, 2, SIDE, SIDE, dtype=dtype)
    images[0, :, np.add.outer(np.arange(SIDE), np.arange(SIDE)) < 50] = value
    return images


def test_a_border_without_declared_nodata_is_reported_with_file_and_number(tmp_path: Path, warnings: list[str]) -> None:
    write_series(tmp_path / 's1', swath(0), ['VV', 'VH'])
    scene = look(tmp_path)
    assert len(warnings) == 1
    for part in (f'S1_{DATES[0]}.tif (2021-04-05)', 'nothing but 0', '1 corners', 'nodata=0', "nodata='none'"):
        assert part in warnings[0]
    assert [(Path(border.path).name, border.value) for border in find_borders(scene.sensors['s1'])] == [
        (f'S1_{DATES[0]}.tif', 0)
    ]
    look(tmp_path)
    assert len(warnings) == 1


def test_a_narrow_frame_is_reported_too(tmp_path: Path, warnings: list[str]) -> None:
    images = numbers(3, 2, SIDE, SIDE)
    inner = images[:, :, 1:-1, 1:-1].copy()
    images[:] = -999
    images[:, :, 1:-1, 1:-1] = inner
    write_series(tmp_path / 's1', images, ['VV', 'VH'])
    look(tmp_path)
    assert 'nothing but -999; so it is in 12 corners' in warnings[0]


@pytest.mark.parametrize('nodata', [0, 'none'])
def test_declared_nodata_is_not_reported(tmp_path: Path, warnings: list[str], nodata: Any) -> None:
    write_series(tmp_path / 's1', swath(0), ['VV', 'VH'])
    look(tmp_path, nodata=nodata)
    assert not warnings


def test_images_to_the_edge_and_nan_borders_are_not_reported(tmp_path: Path, warnings: list[str]) -> None:
    write_series(tmp_path / 's1', numbers(3, 2, SIDE, SIDE), ['VV', 'VH'])
    look(tmp_path)
    write_series(tmp_path / 'b' / 's1', swath(np.nan, 'float32'), ['VV', 'VH'])
    look(tmp_path / 'b')
    assert not warnings


def test_a_scale_that_nobody_mentions_is_reported(tmp_path: Path, warnings: list[str]) -> None:
    for path in write_series(tmp_path / 's1', numbers(3, 2, SIDE, SIDE), ['VV', 'VH']):
        with rasterio.open(path, 'r+') as file:
            file.scales, file.offsets = (1e-4, 1e-4), (-0.1, -0.1)
    look(tmp_path)
    assert len(warnings) == 1
    assert 'scale 0.0001 and offset -0.1, which are not applied' in warnings[0]
    for options in (dict(scale='file', offset='file'), dict(scale=1)):
        look(tmp_path, **options)
    assert len(warnings) == 1


def backscatter(root: Path, low: float, high: float) -> None:
    images = np.random.default_rng(0).uniform(low, high, (3, 2, SIDE, SIDE)).astype('float32')
    write_series(root / 's1', images, ['VV', 'VH'])


def test_db_where_linear_is_declared_is_refused(tmp_path: Path, warnings: list[str]) -> None:
    backscatter(tmp_path, -22, -4)
    with pytest.raises(DataError, match=r"s1: values -21.* cannot be 'linear'.*these are dB.*unit='dB'"):
        look(tmp_path, unit='linear')
    look(tmp_path, unit='dB')
    assert not warnings


def test_linear_where_db_is_declared_is_reported(tmp_path: Path, warnings: list[str]) -> None:
    backscatter(tmp_path, 0.001, 0.4)
    look(tmp_path, unit='linear')
    assert not warnings
    look(tmp_path, unit='dB')
    assert 'none is negative, which is odd for dB' in warnings[0]


def test_reflectance_of_another_scale_than_declared_is_refused(tmp_path: Path) -> None:
    backscatter(tmp_path, 0, 0.6)
    with pytest.raises(DataError, match="are too small for 'reflectance x 10000'"):
        look(tmp_path, unit='reflectance x 10000')
    look(tmp_path, unit='reflectance x 10000', scale=10000)
    write_series(tmp_path / 'b' / 's1', numbers(3, 2, SIDE, SIDE), ['B04', 'B08'])
    with pytest.raises(DataError, match="are too large for 'reflectance'"):
        look(tmp_path / 'b', unit='reflectance')
    open_scene(dict(sensors=dict(s1=dict(folder='s1', unit='reflectance'))), tmp_path / 'b', check=False)


def test_a_scene_that_is_all_cloud_or_all_nodata_is_refused(tmp_path: Path) -> None:
    write_series(tmp_path / 's1', numbers(3, 2, SIDE, SIDE), ['VV', 'VH'])
    masks = np.ones((3, SIDE, SIDE), 'uint8')
    write_series(tmp_path / 'mask', masks)
    with pytest.raises(
        DataError, match=r"no pixel of the scene is seen on any of 3 dates: all is cloud.*type='mask', all but 0"
    ):
        look(tmp_path, clouds=dict(folder='mask'))
    masks[2, SIDE - 2, 1] = 0
    write_raster(tmp_path / 'mask' / f'MASK_{DATES[2]}.tif', masks[2])
    assert look(tmp_path, clouds=dict(folder='mask')).read(checks.Window(0, 0, SIDE, SIDE))['s1'].valid.sum() == 1
    write_series(tmp_path / 'b' / 's1', np.zeros((3, 2, SIDE, SIDE), 'int16'), ['VV', 'VH'], nodata=0)
    with pytest.raises(DataError, match='no pixel of the scene was observed on any of 3 dates: all is nodata'):
        look(tmp_path / 'b')
