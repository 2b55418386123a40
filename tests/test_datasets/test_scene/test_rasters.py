import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.crs import CRS
from rasterio.warp import Resampling, reproject

from mmsits.datasets.errors import DataError
from mmsits.datasets.scene import rasters
from mmsits.datasets.scene.grid import Grid, Window
from mmsits.datasets.scene.rasters import RasterSeries, close_files
from mmsits.datasets.scene.scene import open_series
from tests.helpers.scene_files import DATES, numbers, transform, write_raster, write_series

HEIGHT, WIDTH = 22, 31


def opened(folder: Path, **options: Any) -> RasterSeries:
    return open_series('s2', folder, **options)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('rasters') / 's2'
    images = numbers(3, 2, HEIGHT, WIDTH)
    images[0, :, :5, :7] = 0
    images[1, 1, 10, 11] = 0
    write_series(path, images, ['B04', 'B08'], nodata=0)
    return path


@pytest.fixture(scope='module')
def stored(folder: Path) -> np.ndarray:
    return np.stack([rasterio.open(path).read() for path in sorted(folder.iterdir())])


def test_a_series_gives_what_is_stored_and_where_nothing_was_observed(folder: Path, stored: np.ndarray) -> None:
    series = opened(folder)
    assert (series.bands, series.dtype, len(series)) == (('B04', 'B08'), np.int16, 3)
    values, days, valid = series.read(series.grid.window)
    assert [str(np.datetime64(int(day), 'D')).replace('-', '') for day in days] == list(DATES)
    assert (days.dtype, valid.dtype, values.dtype) == (np.int32, bool, np.int16)
    np.testing.assert_array_equal(valid, (stored != 0).all(axis=1))
    np.testing.assert_array_equal(values, stored * valid[:, None])


windows = st.builds(Window, st.integers(-9, 25), st.integers(-9, 35), st.integers(1, 20), st.integers(1, 20))
OTHER_GRIDS = {
    'the same': Grid(CRS.from_epsg(32631), transform(), HEIGHT, WIDTH),
    'a part': Grid(CRS.from_epsg(32631), transform(4, -3), HEIGHT, WIDTH),
    'coarser': Grid(CRS.from_epsg(32631), transform(pixel=20), 11, 15),
    'between': Grid(CRS.from_epsg(32631), transform(pixel=7), HEIGHT, WIDTH),
    'of another CRS': Grid(CRS.from_epsg(3035), Affine(10, 0, 3_770_400, 0, -10, 2_475_000), 60, 70),
}


@pytest.mark.parametrize('name', OTHER_GRIDS)
@pytest.mark.parametrize('resampling', ['bilinear', 'nearest'])
@settings(max_examples=12, deadline=None)
@given(window=windows)
def test_a_window_is_a_part_of_the_whole(folder: Path, name: str, resampling: str, window: Window) -> None:
    grid = OTHER_GRIDS[name]
    series = opened(folder, resampling=resampling)
    whole, part = series.read(grid.window, grid), series.read(window, grid)
    inside = window.intersection(grid.window)
    if 0 in inside.shape:
        return
    here, there = (..., *inside.slices), (..., *inside.within(window).slices)
    np.testing.assert_array_equal(part.valid[there], whole.valid[here])
    # GDAL's positions differ by a thousandth of a pixel from window to window.
    assert np.abs(part.values[there].astype(int) - whole.values[here]).max() <= 4
    assert whole.valid.any()


def test_other_grids_are_aligned_as_gdal_does(folder: Path, stored: np.ndarray) -> None:
    grid = OTHER_GRIDS['of another CRS']
    expected = np.zeros((2, *grid.shape), 'int16')
    reproject(
        stored[2],
        expected,
        src_transform=transform(),
        src_crs='EPSG:32631',
        dst_transform=grid.transform,
        dst_crs=grid.crs,
        resampling=Resampling.nearest,
        src_nodata=0,
        dst_nodata=0,
    )
    values, _, valid = opened(folder, resampling='nearest').read(grid.window, grid, dates=[2])
    assert 0.05 < valid.mean() < 0.95
    np.testing.assert_array_equal(valid[0], (expected != 0).all(axis=0))
    np.testing.assert_array_equal(values[0], expected)


@settings(max_examples=20, deadline=None)
@given(window=windows, row=st.integers(-5, 5), column=st.integers(-5, 5))
def test_pixels_that_are_repeated_are_gdals_nearest(folder: Path, window: Window, row: int, column: int) -> None:
    finer = Grid(CRS.from_epsg(32631), transform(row, column, pixel=5), 90, 100)
    source = opened(folder, resampling='nearest').sources[0]
    assert finer.ratio_to(source.header.grid) == 2
    values, inside = rasters._read_on(source, (1, 2), window, finer, 'nearest')
    expected, reached = rasters._read_warped(source, (1, 2), window, finer, 'nearest')
    here = window.intersection(finer.window).within(window).slices
    np.testing.assert_array_equal((values * inside)[(..., *here)], (expected * reached)[(..., *here)])


def test_interpolation_takes_nothing_from_nodata(tmp_path: Path) -> None:
    image = np.full((1, 20, 20), 1000, 'int16')
    image[0, :, :9] = 0
    write_raster(tmp_path / '20210405.tif', image, ['NDVI'], nodata=0)
    finer = Grid(CRS.from_epsg(32631), transform(pixel=4), 50, 50)
    values, _, valid = opened(tmp_path).read(finer.window, finer)
    assert set(values[0, 0][valid[0]].tolist()) == {1000}
    assert not valid[0, :, :20].any()


def test_a_pixel_that_one_band_lacks_is_not_valid_also_where_it_is_aligned(tmp_path: Path) -> None:
    image = numbers(2, 20, 20)
    image[0, 5:15, 5:15] = 0
    write_raster(tmp_path / '20210405.tif', image, ['B04', 'B08'], nodata=0)
    finer = Grid(CRS.from_epsg(32631), transform(pixel=5), 40, 40)
    valid = opened(tmp_path, resampling='nearest').read(finer.window, finer).valid[0]
    np.testing.assert_array_equal(valid, np.kron(image[0] != 0, np.ones((2, 2), bool)))
    assert opened(tmp_path, bands=['B08'], resampling='nearest').read(finer.window, finer).valid.all()


def test_undeclared_nodata_beyond_an_aligned_file_is_not_observed(tmp_path: Path) -> None:
    write_raster(tmp_path / '20210405.tif', numbers(10, 10), ['NDVI'])
    wide = Grid(CRS.from_epsg(32631), transform(-5, -5, pixel=5), 40, 40)
    valid = opened(tmp_path, resampling='nearest').read(wide.window, wide).valid[0]
    assert valid[10:30, 10:30].all()
    assert valid.sum() == 400


@pytest.mark.parametrize('pixel', [10, 5, 7])
def test_a_mask_in_the_file_says_where_it_observed(tmp_path: Path, pixel: int) -> None:
    path = write_raster(tmp_path / '20210405.tif', numbers(2, 20, 20), ['B04', 'B08'])
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, 'r+') as file:
        file.write_mask(np.arange(400).reshape(20, 20) >= 200)
    grid = Grid(CRS.from_epsg(32631), transform(pixel=pixel), 200 // pixel, 200 // pixel)
    valid = opened(tmp_path, resampling='nearest').read(grid.window, grid).valid[0]
    middle = 100 // pixel
    assert not valid[: middle - 1].any()
    assert valid[middle + 1 :].all()
    assert opened(tmp_path, nodata='none', resampling='nearest').read(Window(0, 0, 20, 20)).valid.all()


def test_complex_numbers_are_refused(tmp_path: Path) -> None:
    write_raster(tmp_path / '20210405.tif', numbers(1, 9, 9).astype('complex64'), ['VV'])
    with pytest.raises(DataError, match=r'complex numbers \(complex64\).*20210405\.tif'):
        opened(tmp_path)


def test_declared_nan_is_nodata_also_where_it_is_aligned(tmp_path: Path) -> None:
    image = numbers(1, 20, 20, dtype='float32')
    image[0, :10] = np.nan
    write_raster(tmp_path / '20210405.tif', image, ['VV'], nodata=np.nan)
    grid = Grid(CRS.from_epsg(32631), transform(pixel=7), 28, 28)
    values, _, valid = opened(tmp_path).read(grid.window, grid)
    assert np.isfinite(values).all()
    assert not valid[0, :13].any()
    assert valid[0, 16:].all()


def test_nan_is_never_an_observation(tmp_path: Path) -> None:
    image = numbers(2, 10, 10, dtype='float32')
    image[0, 3, 4] = np.nan
    image[1, 5, 6] = np.inf
    write_raster(tmp_path / '20210405.tif', image, ['VV', 'VH'])
    values, _, valid = opened(tmp_path).read(Window(0, 0, 10, 10))
    assert (~valid).sum() == 2
    assert not valid[0, 3, 4]
    assert not valid[0, 5, 6]
    assert np.isfinite(values).all()


def test_bands_are_chosen_by_name_in_the_order_wanted(folder: Path, stored: np.ndarray) -> None:
    chosen = opened(folder, bands=['B08'])
    assert chosen.bands == ('B08',)
    np.testing.assert_array_equal(chosen.read(Window(12, 12, 5, 5)).values, stored[:, 1:, 12:17, 12:17])
    both = opened(folder, bands=('B08', 'B04')).read(Window(12, 12, 5, 5))
    np.testing.assert_array_equal(both.values, stored[:, ::-1, 12:17, 12:17])
    one = opened(folder).read(Window(12, 12, 5, 5), bands=['B04'], dates=[2, 0])
    np.testing.assert_array_equal(one.values, stored[[2, 0], :1, 12:17, 12:17])
    with pytest.raises(DataError, match=r"none of the bands \('B02',\) is in the file, which has \('B04', 'B08'\)"):
        opened(folder, bands=['B02'])


def test_files_without_descriptions_need_names(tmp_path: Path) -> None:
    write_series(tmp_path / 's2', numbers(3, 3, 6, 6))
    assert opened(tmp_path / 's2', bands=['a', 'b', 'c']).bands == ('a', 'b', 'c')
    named = opened(tmp_path / 's2', band_names=['a', 'b', 'c'], bands=['c'])
    assert named.sources[0].indexes == (3,)
    assert opened(tmp_path / 's2').bands == ('band 1', 'band 2', 'band 3')
    with pytest.raises(DataError, match='3 bands without names, `bands` gives 2'):
        opened(tmp_path / 's2', bands=['a', 'b'])
    with pytest.raises(DataError, match='band_names gives 2 names'):
        opened(tmp_path / 's2', band_names=['a', 'b'])


def test_a_file_for_each_date_and_band_with_bands_of_several_resolutions(tmp_path: Path) -> None:
    fine, coarse = numbers(2, 20, 20), numbers(2, 10, 10, seed=1)
    for i, date in enumerate(DATES[:2]):
        write_raster(tmp_path / f'T31_{date}_B04.tif', fine[i])
        write_raster(tmp_path / f'T31_{date}_B11.tif', coarse[i], where=transform(pixel=20))
    pattern = r'(?P<date>\d{8})_(?P<band>B\d\d)'
    series = opened(tmp_path, pattern=pattern, bands=['B11', 'B04'], resampling='nearest')
    assert series.grid.shape == (20, 20)
    values = series.read(series.grid.window).values
    np.testing.assert_array_equal(values[:, 1], fine)
    np.testing.assert_array_equal(values[:, 0], np.kron(coarse, np.ones((1, 2, 2), 'int16')))


def test_files_of_other_bands_are_not_opened(tmp_path: Path) -> None:
    for date in DATES[:2]:
        write_raster(tmp_path / f'{date}_B04.tif', numbers(6, 6))
        (tmp_path / f'{date}_TCI.tif').write_bytes(b'broken')
    options = dict(pattern=r'(?P<date>\d{8})_(?P<band>\w+)')
    assert len(opened(tmp_path, bands=['B04'], **options).sources) == 2
    with pytest.raises(
        DataError, match=r"no file holds a band of \('B4',\); by their names the files hold \['B04', 'TCI'\]"
    ):
        opened(tmp_path, bands=['B4'], **options)


def test_a_band_that_is_missing_on_one_date_is_named(tmp_path: Path) -> None:
    for date in DATES:
        for band in ('B04', 'B08'):
            write_raster(tmp_path / f'{date}_{band}.tif', numbers(6, 6))
    (tmp_path / f'{DATES[1]}_B08.tif').unlink()
    with pytest.raises(DataError, match=r'the band is missing on this date.*date 2021-04-20, band B08'):
        opened(tmp_path, pattern=r'(?P<date>\d{8})_(?P<band>B\d\d)')
    write_series(tmp_path / 's2', numbers(3, 2, 6, 6), ['B04', 'B08'])
    write_raster(tmp_path / 's2' / f'S2_{DATES[2]}.tif', numbers(2, 6, 6), ['B04', 'B8A'])
    with pytest.raises(DataError, match=r'the band is missing.*2021-05-15, band B08'):
        opened(tmp_path / 's2')


def test_a_stack_is_read_date_by_date(tmp_path: Path) -> None:
    image = numbers(3, 6, 7)
    write_raster(tmp_path / 'ndvi.tif', image, DATES)
    series = opened(tmp_path, file='ndvi.tif', bands=['NDVI'])
    np.testing.assert_array_equal(series.read(series.grid.window).values[:, 0], image)


def test_a_date_that_occurs_twice_is_refused_or_merged(tmp_path: Path) -> None:
    west, east = numbers(1, 8, 8), numbers(1, 8, 8, seed=1)
    west[0, :, 6:] = 0
    write_raster(tmp_path / '20210405_A.tif', west, ['NDVI'], nodata=0)
    write_raster(tmp_path / '20210405_B.tif', east, ['NDVI'], where=transform(0, 4), nodata=0)
    with pytest.raises(DataError, match=r"date occurs twice; 2 images.*20210405_B\.tif.*A.tif.*same_day='merge'"):
        opened(tmp_path)
    series = opened(tmp_path, same_day='merge')
    assert (len(series), series.grid.shape) == (1, (8, 12))
    values, _, valid = series.read(series.grid.window)
    assert valid.all()
    np.testing.assert_array_equal(values[0, 0, :, :6], west[0, :, :6])
    np.testing.assert_array_equal(values[0, 0, :, 6:], east[0, :, 2:])


def test_tiles_of_two_zones_are_merged(tmp_path: Path) -> None:
    write_raster(tmp_path / '20210405_31.tif', np.full((30, 30), 7, 'int16'), ['NDVI'], nodata=0)
    place = Affine(10, 0, 3_770_400, 0, -10, 2_475_000)
    write_raster(tmp_path / '20210405_laea.tif', np.full((90, 90), 7, 'int16'), ['NDVI'], 'EPSG:3035', place, nodata=0)
    series = opened(tmp_path, same_day='merge')
    values, _, valid = series.read(series.grid.window)
    assert series.grid.crs.to_epsg() == 32631
    assert valid.sum() > 900
    assert set(values[0, 0][valid[0]].tolist()) == {7}


def test_files_without_crs_or_place_are_refused(tmp_path: Path) -> None:
    write_raster(tmp_path / 'a' / '20210405.tif', numbers(6, 6), crs=None)
    with pytest.raises(DataError, match=r'coordinate reference system.*20210405\.tif.*gdal_edit'):
        opened(tmp_path / 'a')
    assert opened(tmp_path / 'a', crs='EPSG:32631').grid.crs.to_epsg() == 32631
    write_raster(tmp_path / 'b' / '20210405.tif', numbers(6, 6), where=Affine.identity())
    with pytest.raises(DataError, match='no geotransform'):
        opened(tmp_path / 'b')


def test_other_grids_are_refused_where_nothing_may_be_resampled(tmp_path: Path) -> None:
    write_raster(tmp_path / 'a' / '20210405.tif', numbers(6, 6))
    write_raster(tmp_path / 'a' / '20210410.tif', numbers(6, 6), crs='EPSG:32632')
    with pytest.raises(DataError, match=r"system is EPSG:32632.*EPSG:32631, and resampling='none'.*20210410.tif"):
        opened(tmp_path / 'a', resampling='none')
    write_raster(tmp_path / 'a' / '20210410.tif', numbers(6, 6), where=transform(pixel=9))
    with pytest.raises(DataError, match=r'its pixels .* are not those of the grid.*20210405\.tif'):
        opened(tmp_path / 'a', resampling='none')
    with pytest.raises(ValueError, match='resampling must be one of'):
        opened(tmp_path / 'a', resampling='bilnear')


@pytest.mark.parametrize('profile', [dict(), dict(tiled=True, blockxsize=16, blockysize=16), dict(compress='deflate')])
def test_a_truncated_file_is_named_when_the_scene_is_opened(tmp_path: Path, profile: dict) -> None:
    path = write_raster(tmp_path / '20210405.tif', numbers(2, 64, 64), ['B04', 'B08'], **profile)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(DataError, match=r'(truncated|cannot be read).*20210405\.tif'):
        opened(tmp_path)


def test_what_is_no_raster_is_named(tmp_path: Path) -> None:
    (tmp_path / '20210405.tif').write_bytes(b'<html>not found</html>')
    with pytest.raises(DataError, match=r'cannot be read.*22 bytes.*20210405\.tif.*get the file again'):
        opened(tmp_path)


@pytest.mark.parametrize('grid', [None, OTHER_GRIDS['coarser']])
def test_a_file_that_is_damaged_inside_is_named_with_its_date_when_it_is_read(
    tmp_path: Path, grid: Grid | None
) -> None:
    path = write_raster(tmp_path / '20210405.tif', numbers(1, 64, 64), ['NDVI'], compress='deflate')
    content = bytearray(path.read_bytes())
    content[1000:5000] = np.random.default_rng(0).bytes(4000)
    path.write_bytes(content)
    series = opened(tmp_path)
    with pytest.raises(DataError, match=r'cannot be read.*IReadBlock.*20210405\.tif, date 2021-04-05'):
        series.read(Window(0, 0, 9, 9), grid)
    close_files()


def test_a_file_that_disappears_is_named(tmp_path: Path) -> None:
    path = write_raster(tmp_path / '20210405.tif', numbers(1, 8, 8), ['NDVI'])
    series = opened(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r'the file does not exist.*20210405\.tif'):
        series.read(series.grid.window)


def test_a_series_goes_through_pickle_and_reads_the_same(folder: Path) -> None:
    series = opened(folder)
    before = series.read(Window(1, 2, 9, 9))
    after = pickle.loads(pickle.dumps(series)).read(Window(1, 2, 9, 9))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_forked_process_opens_files_of_its_own(folder: Path) -> None:
    import multiprocessing

    series = opened(folder)
    expected = series.read(series.grid.window).values
    with multiprocessing.get_context('fork').Pool(2) as pool:
        results = pool.map(_read_values, [series] * 6)
    for values in results:
        np.testing.assert_array_equal(values, expected)


def _read_values(series: RasterSeries) -> np.ndarray:
    return series.read(series.grid.window).values


def test_few_files_are_kept_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rasters, 'OPEN_FILES', 2)
    close_files()
    write_series(tmp_path / 's2', numbers(3, 1, 6, 6), ['NDVI'])
    series = opened(tmp_path / 's2')
    first = series.read(series.grid.window).values
    assert len(rasters._HANDLES.open) == 2
    np.testing.assert_array_equal(series.read(series.grid.window).values, first)
    close_files()
    assert not rasters._HANDLES.open


def test_a_series_says_what_it_is(folder: Path) -> None:
    assert re.search(r"s2: 3 dates 2021-04-05 … 2021-05-15, \('B04', 'B08'\), 1, int16", repr(opened(folder)))
