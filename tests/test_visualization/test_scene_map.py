"""Pictures of maps: what is drawn is what the files hold."""

import io

import numpy as np
import pytest
from PIL import Image

from mmsits.datasets.errors import DataError
from mmsits.visualization import scene_map
from mmsits.visualization.scene_map import draw_map, read_class_map

rasterio = pytest.importorskip('rasterio')
geopandas = pytest.importorskip('geopandas')
shapely = pytest.importorskip('shapely')

CLASSES = ('corn', 'wheat')
PALETTE = [[200, 80, 60], [220, 200, 50]]


def write(path, values, nodata=None, names=(), crs='EPSG:32633', left=500_000, top=5_300_000, size=10, tags=None):
    transform = rasterio.transform.from_origin(left, top, size, size)
    count, height, width = values.shape
    profile = dict(driver='GTiff', count=count, height=height, width=width, dtype=values.dtype, nodata=nodata)
    with rasterio.open(path, 'w', crs=crs, transform=transform, **profile) as file:
        file.write(values)
        if names:
            file.descriptions = names
        if tags is not None:
            file.update_tags(1, **tags)
            file.write_colormap(1, dict(enumerate((*colour, 255) for colour in PALETTE)))
    return path


@pytest.fixture
def labels():
    values = np.zeros((1, 12, 20), np.uint8)
    values[0, :, 10:] = 1
    values[0, :2] = 255
    return values


@pytest.fixture
def map_file(tmp_path, labels):
    return write(tmp_path / 'classes.tif', labels, 255, tags={'class_0': 'corn', 'class_1': 'wheat'})


@pytest.fixture
def drawn(monkeypatch):
    """What the picture is drawn from."""
    calls = []

    def remember(composite, prediction, metainfo, **others):
        calls.append(dict(composite=composite, prediction=prediction, metainfo=metainfo, **others))
        return b'picture'

    monkeypatch.setattr(scene_map, 'draw_prediction', remember)
    return calls


def test_a_map_brings_its_names_colours_and_place(map_file, labels):
    shown = read_class_map(map_file)
    assert (shown.classes, shown.palette) == (CLASSES, PALETTE)
    np.testing.assert_array_equal(shown.labels, labels[0])
    assert shown.grid.bounds == (500_000, 5_299_880, 500_200, 5_300_000)


def test_a_large_map_is_thinned_out_and_stays_in_its_place(map_file):
    shown = read_class_map(map_file, largest=10)
    assert shown.labels.shape == (6, 10)
    assert shown.grid.bounds == (500_000, 5_299_880, 500_200, 5_300_000)
    np.testing.assert_array_equal(shown.labels[2:, :5], 0)
    np.testing.assert_array_equal(shown.labels[2:, 5:], 1)


def test_image_reference_and_confidence_are_brought_to_the_grid_of_the_map(tmp_path, map_file, labels, drawn):
    # Twice as coarse, its left half not observed; red grows to the right.
    values = np.broadcast_to(np.arange(1, 11, dtype=np.float32), (3, 6, 10)).copy()
    values[:, :, :5] = np.nan
    image = write(tmp_path / 'image.tif', values, np.nan, ('B04', 'B03', 'B02'), size=20)
    percent = write(tmp_path / 'confidence.tif', np.where(labels == 255, 255, 80).astype(np.uint8), 255)
    field = shapely.box(500_100, 5_299_900, 500_200, 5_300_000)
    geopandas.GeoDataFrame({'crop': ['wheat']}, geometry=[field], crs='EPSG:32633').to_file(tmp_path / 'f.gpkg')
    out = tmp_path / 'pictures' / 'map.png'
    draw_map(map_file, out, image, labels=tmp_path / 'f.gpkg', label_column='crop', confidence=percent)
    assert out.read_bytes() == b'picture'
    (call,) = drawn
    assert call['composite'].shape == (12, 20, 3)
    assert (call['composite'][:, :10] == 255).all()
    assert (np.diff(call['composite'][6, 10:, 0].astype(int)) >= 0).all()
    np.testing.assert_array_equal(call['reference'][:10, 10:], 1)
    np.testing.assert_array_equal(call['reference'][:, :10], 255)
    np.testing.assert_allclose(call['confidence'][2:], 0.8)
    assert np.isnan(call['confidence'][:2]).all()


def test_a_picture_is_made_of_the_map_alone(tmp_path, map_file):
    draw_map(map_file, tmp_path / 'map.png')
    colours = np.asarray(Image.open(io.BytesIO((tmp_path / 'map.png').read_bytes())).convert('RGB')).reshape(-1, 3)
    assert {tuple(colour) for colour in PALETTE} <= {tuple(colour) for colour in colours.tolist()}


def test_single_bands_are_grey(tmp_path, map_file, drawn):
    image = write(tmp_path / 'image.tif', np.arange(240, dtype=np.int16).reshape(1, 12, 20))
    draw_map(map_file, tmp_path / 'map.png', image, ['1'])
    composite = drawn[0]['composite']
    np.testing.assert_array_equal(composite[..., 0], composite[..., 2])
    assert len(np.unique(composite)) > 100


def test_what_cannot_be_drawn_is_named(tmp_path, map_file, labels):
    image = write(tmp_path / 'image.tif', labels)
    with pytest.raises(DataError, match="one band or three are drawn, got \\['B04', 'B03', 'B02'\\]; the image has"):
        draw_map(map_file, tmp_path / 'map.png', image)
    with pytest.raises(DataError, match='not a class map'):
        draw_map(image, tmp_path / 'map.png')
    with pytest.raises(DataError, match='not a class map'):
        draw_map(tmp_path / 'absent.tif', tmp_path / 'map.png')
    (tmp_path / 'text.tif').write_text('nothing')
    with pytest.raises(DataError, match='not a readable raster'):
        draw_map(map_file, tmp_path / 'map.png', tmp_path / 'text.tif')
