"""Masks of regions, patches, and images cut where the patches lie."""

import numpy as np
import pytest

geopandas = pytest.importorskip('geopandas')
shapely = pytest.importorskip('shapely')
rasterio = pytest.importorskip('rasterio')

from affine import Affine  # noqa: E402
from rasterio.crs import CRS  # noqa: E402

from mmsits.datasets.errors import DataError  # noqa: E402
from mmsits.datasets.polygons import (  # noqa: E402
    FieldMasks,
    Region,
    clean_pixels,
    cut_region,
    encode_raster,
    patch_windows,
    published_steps,
    read_raster,
    read_regions,
    resize_mask,
    split_regions,
    write_geopackage,
)
from mmsits.datasets.polygons.tables import encode_workbook  # noqa: E402
from mmsits.datasets.scene.grid import Grid, Window  # noqa: E402

UTM = 'EPSG:32639'
GRID = Grid(CRS.from_user_input(UTM), Affine(10, 0, 500000, 0, -10, 4000640), 64, 64)
REGION = Region('a' * 32, 'pea', '', 0, None, None, UTM, (500000, 4000000, 500640, 4000640), np.array([0]))


def fields(boxes, crops):
    shapes = [shapely.box(500000 + a, 4000000 + b, 500000 + c, 4000000 + d) for a, b, c, d in boxes]
    frame = geopandas.GeoDataFrame({'crop': crops, 'field': range(len(crops))}, geometry=shapes, crs=UTM)
    return frame.to_crs('EPSG:4326')


def test_what_nobody_knows_is_not_background():
    known = fields([(100, 100, 300, 300), (400, 400, 600, 600)], ['pea', 'maize'])
    mask = FieldMasks(known, inner_buffer=0).draw(REGION, GRID)
    assert set(np.unique(mask)) == {0, 1, 255}
    assert (mask == 1).sum() == 400
    assert (mask == 0).sum() == 400
    assert (FieldMasks(known, 0, unlabelled=0, all_fields=False).draw(REGION, GRID) == 1).sum() == 400


def test_the_inner_buffer_takes_a_pixel_off_each_side():
    known = fields([(100, 100, 300, 300)], ['pea'])
    mask = FieldMasks(known, inner_buffer=10).draw(REGION, GRID)
    assert (mask == 1).sum() == 18 * 18
    assert (mask == 255).sum() == mask.size - 18 * 18


def test_ground_that_two_crops_claim_is_not_known():
    known = fields([(100, 100, 300, 300), (200, 100, 400, 300)], ['pea', 'maize'])
    mask = FieldMasks(known, inner_buffer=0).draw(REGION, GRID)
    assert (mask == 1).sum() == (mask == 0).sum() == 200


def test_fields_beyond_the_box_leave_nothing():
    known = fields([(5000, 5000, 5200, 5200), (600, 600, 900, 900)], ['pea', 'pea'])
    mask = FieldMasks(known, inner_buffer=0).draw(REGION, GRID)
    assert (mask == 1).sum() == 16  # of the second, the part within


@pytest.mark.parametrize('shape', [(64, 64), (65, 200), (130, 71), (128, 128)])
def test_the_whole_grid_covers_every_pixel(shape):
    seen = np.zeros(shape, int)
    for window in patch_windows(shape).values():
        seen[window.slices] += 1
    assert seen.min() >= 1
    for grid in ('published', 'disjoint'):
        for window in patch_windows(shape, 64, grid).values():
            assert window.intersection(Window(0, 0, *shape)).shape == (64, 64)


def test_images_smaller_than_a_patch_have_none():
    assert patch_windows((63, 200)) == {}
    assert patch_windows((63, 200), grid='published') == {}
    assert published_steps(64) == (64, 1, 0)


def test_resizing_keeps_the_share_of_marked_ground():
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 16:48] = 255
    assert resize_mask(mask, (60, 62)).mean() == pytest.approx(0.25, abs=0.01)
    assert np.array_equal(resize_mask(mask, (64, 64)), mask / 255)


def test_cleaning_keeps_gaps_unless_told_otherwise():
    values = np.array([-30.0, np.nan, 20.0], np.float32)
    assert np.isnan(clean_pixels(values)[1])
    assert clean_pixels(values, (-25, 15), 0.0).tolist() == [-25, 0, 15]


@pytest.fixture
def region_folders(tmp_path):
    """An image of 100 x 130 pixels with two patches of its mask."""
    grid = GRID._replace(height=100, width=130)
    values = np.arange(2 * 100 * 130, dtype=np.float32).reshape(2, 100, 130)
    image = tmp_path / 'regions' / 'pea' / 's1' / '1' / 'u.tif'
    image.parent.mkdir(parents=True)
    image.write_bytes(encode_raster(values, grid, np.nan, ['VV', 'VH']))
    for split, name, window in (('train', 'u_r00_c00', (0, 0)), ('val', 'u_r01_c02', (36, 66))):
        mask = tmp_path / 'patches' / split / 'pea' / 'crop_map' / f'{name}.tif'
        mask.parent.mkdir(parents=True)
        part = grid.part(Window(*window, 64, 64))
        mask.write_bytes(encode_raster(np.ones((1, 64, 64), np.uint8), part, 255))
    return tmp_path, values, image


def test_images_are_cut_where_the_masks_lie(region_folders):
    folder, values, _ = region_folders
    assert cut_region(folder / 'regions', folder / 'patches', 'pea', 'u') == 2
    cut = read_raster(folder / 'patches' / 'val' / 'pea' / 's1' / '1' / 'u_r01_c02.tif')
    assert np.array_equal(cut, values[:, 36:100, 66:130])
    assert cut_region(folder / 'regions', folder / 'patches', 'pea', 'u') == 0


def test_an_image_that_does_not_hold_the_mask_is_named(region_folders):
    folder, values, image = region_folders
    far = GRID._replace(transform=Affine(10, 0, 600000, 0, -10, 4000640), height=100, width=130)
    image.write_bytes(encode_raster(values, far, np.nan))
    with pytest.raises(DataError, match='other pixels than the mask'):
        cut_region(folder / 'regions', folder / 'patches', 'pea', 'u')


def test_an_image_cut_off_half_way_is_named(region_folders):
    folder, _, image = region_folders
    content = image.read_bytes()
    image.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(DataError, match=r's1/1/u\.tif'):
        cut_region(folder / 'regions', folder / 'patches', 'pea', 'u')


def test_tables_are_read_as_written(tmp_path):
    known = fields([(100, 100, 300, 300)], ['pea'])
    regions = split_regions([REGION], dict(train=1.0))
    write_geopackage(tmp_path / 'regions.gpkg', regions, known)
    [found] = read_regions(tmp_path / 'regions.gpkg')
    assert (found.uid, found.crop, found.crs, found.bounds) == (REGION.uid, 'pea', UTM, REGION.bounds)
    assert found.harvest is None
    pytest.importorskip('openpyxl')
    (tmp_path / 'regions.xlsx').write_bytes(encode_workbook(regions, 'Iran'))
    [again] = read_regions(tmp_path / 'regions.xlsx')
    assert again == found


def test_a_published_table_in_degrees_becomes_metres(tmp_path):
    openpyxl = pytest.importorskip('openpyxl')
    book = openpyxl.Workbook()
    book.active.append(['roi', 'harvest_date', 'main_type', 'country'])
    book.active.append(['[[[1, 52], [1, 51], [2, 51], [2, 52]]]', '2018-08-01', 'x', 'england'])
    book.save(tmp_path / 'Europe.xlsx')
    [region] = read_regions(tmp_path / 'Europe.xlsx')
    assert region.crs == 'EPSG:3857'
    assert region.bounds[0] == pytest.approx(111319.49, abs=0.1)
    assert str(region.harvest) == '2018-08-01'
