from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from mmsits.datasets.errors import DataError
from mmsits.datasets.scene.clouds import SCL_CLASSES, dilate
from mmsits.datasets.scene.grid import Window
from mmsits.datasets.scene.rasters import RasterSeries
from mmsits.datasets.scene.scene import open_series
from tests.helpers.scene_files import DATES, numbers, transform, write_raster, write_series

SIDE = 24


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_series(tmp_path / 's2', numbers(3, 1, SIDE, SIDE), ['NDVI'])
    return tmp_path


def opened(root: Path, **clouds: Any) -> RasterSeries:
    return open_series('s2', root, folder='s2', clouds=clouds)


def valid(series: RasterSeries, window: Window | None = None) -> np.ndarray:
    return series.read(window or series.grid.window).valid


@pytest.mark.parametrize('classes', [None, (4,)])
def test_classes_of_a_scene_classification_hide(root: Path, classes: tuple | None) -> None:
    codes = numbers(3, SIDE, SIDE, low=0, high=12, dtype='uint8')
    write_series(root / 'scl', codes)
    found = valid(opened(root, type='scl', folder='scl', classes=classes))
    np.testing.assert_array_equal(found, ~np.isin(codes, SCL_CLASSES if classes is None else classes))


def test_a_classification_of_half_the_resolution_hides_its_pixels(root: Path) -> None:
    codes = numbers(3, SIDE // 2, SIDE // 2, low=3, high=6, dtype='uint8')
    write_series(root / 'scl', codes, where=transform(pixel=20))
    found = valid(opened(root, type='scl', folder='scl'))
    np.testing.assert_array_equal(found, np.kron(codes != 3, np.ones((1, 2, 2), bool)))


def test_a_band_of_the_images_may_be_the_classification(tmp_path: Path) -> None:
    images = np.concatenate([numbers(3, 1, SIDE, SIDE), numbers(3, 1, SIDE, SIDE, low=3, high=6)], axis=1)
    write_series(tmp_path / 's2', images, ['NDVI', 'SCL'])
    series = open_series('s2', tmp_path, folder='s2', bands=['NDVI'], clouds=dict(type='scl', band='SCL'))
    np.testing.assert_array_equal(valid(series), images[:, 1] != 3)


def test_probabilities_hide_from_the_threshold_on(root: Path) -> None:
    shares = numbers(3, SIDE, SIDE, low=0, high=101, dtype='uint8')
    shares[0, 0, 0] = 255
    write_series(root / 'clp', shares, nodata=255)
    np.testing.assert_array_equal(valid(opened(root, type='probability', folder='clp', threshold=40)), shares < 40)
    with pytest.raises(ValueError, match='a threshold goes with'):
        opened(root, type='probability', folder='clp')
    with pytest.raises(ValueError, match='a threshold goes with'):
        opened(root, type='mask', folder='clp', threshold=3)


@pytest.mark.parametrize('nodata', [None, 0, 255])
def test_masks_hide_where_they_are_not_0_or_unknown(root: Path, nodata: int | None) -> None:
    mask = numbers(3, SIDE, SIDE, low=0, high=3, dtype='uint8')
    mask[:, 5, 5] = 255
    write_series(root / 'mask', mask, nodata=nodata)
    np.testing.assert_array_equal(valid(opened(root, folder='mask')), mask == 0)


def test_values_under_clouds_are_not_handed_out(root: Path) -> None:
    write_series(root / 'mask', numbers(3, SIDE, SIDE, low=0, high=2, dtype='uint8'))
    values, _, seen = opened(root, folder='mask').read(Window(0, 0, SIDE, SIDE))
    assert (values[~seen[:, None]] == 0).all()
    assert (values[seen[:, None]] > 0).all()


@settings(max_examples=25, deadline=None)
@given(
    window=st.builds(Window, st.integers(-4, 23), st.integers(-4, 23), st.integers(1, 12), st.integers(1, 12)),
    dilation=st.integers(0, 5),
)
def test_clouds_beyond_a_window_reach_into_it(
    tmp_path_factory: pytest.TempPathFactory, window: Window, dilation: int
) -> None:
    root = tmp_path_factory.getbasetemp() / 'dilation'
    mask = (numbers(3, SIDE, SIDE, low=0, high=30) == 0).astype('uint8')
    if not root.exists():
        write_series(root / 's2', numbers(3, 1, SIDE, SIDE), ['NDVI'])
        write_series(root / 'mask', mask)
    series = opened(root, folder='mask', dilation=dilation)
    whole = valid(series)
    far = ndimage.distance_transform_edt(mask == 0, sampling=[1000, 1, 1]) > dilation
    np.testing.assert_array_equal(whole, far)
    inside = window.intersection(series.grid.window)
    part = valid(series, window)
    rows, columns = inside.within(window).slices
    np.testing.assert_array_equal(part[:, rows, columns], whole[(slice(None), *inside.slices)])


def test_nothing_is_dilated_on_other_dates() -> None:
    hidden = np.zeros((2, 9, 9), bool)
    hidden[0, 4, 4] = True
    grown = dilate(hidden, 2)
    assert grown[0].sum() == 13
    assert not grown[1].any()


def test_dates_without_a_mask_are_refused_unless_it_is_said_what_they_are(root: Path) -> None:
    write_series(root / 'mask', np.zeros((2, SIDE, SIDE), 'uint8'), dates=(DATES[0], DATES[2]))
    with pytest.raises(
        DataError, match=r"s2: 1 of 3 dates have no cloud raster.*mask, date 2021-04-20.*missing='clear'"
    ):
        opened(root, folder='mask')
    for missing, share in (('clear', 1), ('hidden', 0)):
        assert valid(opened(root, folder='mask', missing=missing)).mean(axis=(1, 2)).tolist() == [1, share, 1]


def test_masks_that_do_not_reach_leave_the_sky_unknown(root: Path) -> None:
    write_series(root / 'mask', np.zeros((3, SIDE // 2, SIDE), 'uint8'))
    found = valid(opened(root, folder='mask'))
    assert found[:, : SIDE // 2].all()
    assert not found[:, SIDE // 2 :].any()


def test_wrong_options_and_files_are_named(root: Path) -> None:
    write_series(root / 'mask', np.zeros((3, SIDE, SIDE), 'uint8'))
    for wrong in (dict(type='fog'), dict(missing='maybe'), dict(dilation=-1)):
        with pytest.raises(ValueError, match='clouds: '):
            opened(root, folder='mask', **wrong)
    with pytest.raises(ValueError, match=r"clouds: no option \['dilate'\]; there are \["):
        opened(root, folder='mask', dilate=2)
    write_raster(root / 'two' / f'{DATES[0]}.tif', numbers(2, SIDE, SIDE))
    with pytest.raises(DataError, match=r"one band is expected, this file has 2.*band='SCL'"):
        opened(root, folder='two')
