"""What is written of a map: rasters, styles, the note of what is finished, and the description of a scene."""

from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
import torch
from affine import Affine
from mmengine.config import Config
from rasterio.crs import CRS

from mmsits.apis import map_manifest, map_writer
from mmsits.apis.map_manifest import TILES, MapManifest
from mmsits.apis.scene_config import scene_config
from mmsits.apis.scene_predictors import _Blend
from mmsits.apis.scene_tiles import blending_weights, blocks_of, window_starts
from mmsits.datasets.scene.grid import Grid, Window
from mmsits.engine.errors import ConfigError

CLASSES, PALETTE = ('wheat & rye', '<corn>'), ((255, 0, 0), (0, 128, 255))
GRID = Grid(CRS.from_epsg(32631), Affine(10, 0, 5e5, 0, -10, 5e6), 600, 700)


def write(path, seed=0):
    values = np.random.default_rng(seed).integers(0, 2, (1, 600, 700)).astype(np.uint8)
    parts = [(window, values[(slice(None), *window.slices)]) for window in blocks_of(GRID.window, 512)]
    map_writer.write_raster(path, GRID, [map_writer.class_band(CLASSES)], parts, {'note': 'a'}, PALETTE)
    return values


def test_the_same_map_has_the_same_bytes(tmp_path):
    values = write(tmp_path / 'a.tif')
    write(tmp_path / 'b.tif')
    assert (tmp_path / 'a.tif').read_bytes() == (tmp_path / 'b.tif').read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.tif', 'b.tif']
    window = Window(500, 300, 50, 90)
    assert (map_writer.read_raster(tmp_path / 'a.tif', window) == values[(slice(None), *window.slices)]).all()


def test_a_map_that_cannot_be_finished_leaves_nothing(tmp_path):
    def parts():
        yield Window(0, 0, 512, 512), np.zeros((1, 512, 512), np.uint8)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_writer.write_raster(tmp_path / 'a.tif', GRID, [map_writer.class_band(CLASSES)], parts(), {}, PALETTE)
    assert list(tmp_path.iterdir()) == []


def test_names_with_special_characters(tmp_path):
    path = tmp_path / 'classes.tif'
    write(path)
    map_writer.write_class_names(path, CLASSES, PALETTE)
    map_writer.write_class_style(path, CLASSES, PALETTE)
    map_writer.write_parcel_style(tmp_path / 'parcels.gpkg', 'class_name', CLASSES, PALETTE)
    table = ElementTree.parse(tmp_path / 'classes.tif.aux.xml')
    assert [node.text for node in table.iter('Category')] == list(CLASSES)
    assert [node.text for node in table.iter('F')] == [
        '0',
        CLASSES[0],
        '255',
        '0',
        '0',
        '1',
        CLASSES[1],
        '0',
        '128',
        '255',
    ]
    style = ElementTree.parse(tmp_path / 'classes.qml')
    entries = [(node.get('value'), node.get('label'), node.get('color')) for node in style.iter('paletteEntry')]
    assert entries == [('0', CLASSES[0], '#ff0000'), ('1', CLASSES[1], '#0080ff')]
    symbols = ElementTree.parse(tmp_path / 'parcels.qml')
    assert [node.get('value') for node in symbols.iter('category')] == list(CLASSES)
    # The file beside it does not hide what the raster itself says.
    with rasterio.open(path) as file:
        assert file.colormap(1)[1] == (0, 128, 255, 255)
        assert file.tags(1)['class_1'] == '<corn>'


def test_percentages():
    p = np.array([[[0.0, 0.004, 0.005, 0.995, 1.0]]])
    observed = np.array([[True, True, True, True, False]])
    assert map_writer.quantise(p, observed).tolist() == [[[0, 0, 1, 100, 255]]]


def test_damaged_notes_and_tiles_are_named(tmp_path):
    manifest = MapManifest(tmp_path, dict(a=1))
    manifest.save(0, dict(x=np.arange(3)))
    (tmp_path / TILES / '00000000.npz').write_bytes(b'cut')
    with pytest.raises(ConfigError, match=r'00000000\.npz is damaged'):
        MapManifest(tmp_path, dict(a=1)).load(0)
    (tmp_path / 'manifest.json').write_text('{')
    with pytest.raises(ConfigError, match='cannot be read'):
        MapManifest(tmp_path, dict(a=1))
    (tmp_path / 'manifest.json').write_text('{}')
    with pytest.raises(ConfigError, match='no manifest'):
        MapManifest(tmp_path, dict(a=1))


def test_beginning_anew_forgets_the_tiles(tmp_path):
    MapManifest(tmp_path, dict(a=1)).save(0, dict(x=np.arange(3)))
    assert MapManifest(tmp_path, dict(a=1)).has(0)
    with pytest.raises(ConfigError, match=r'a 1, now 2\)'):
        MapManifest(tmp_path, dict(a=2))
    assert not MapManifest(tmp_path, dict(a=2), overwrite=True).has(0)


def test_what_no_manifest_tells_of_is_not_touched(tmp_path):
    (tmp_path / 'tiles').mkdir()
    (tmp_path / 'tiles' / 'mine.txt').write_text('a')
    (tmp_path / 'classes.tif').write_text('mine')
    with pytest.raises(ConfigError, match=r'holds classes\.tif, but no manifest'):
        MapManifest(tmp_path, dict(a=1), outputs=['classes.tif'])
    assert not (tmp_path / 'manifest.json').exists()
    MapManifest(tmp_path, dict(a=1), overwrite=True, outputs=['classes.tif'])
    # It is replaced when the new one is complete, and not before.
    assert (tmp_path / 'classes.tif').read_text() == 'mine'
    MapManifest(tmp_path / 'other', dict(a=1), outputs=['classes.tif'])
    MapManifest(tmp_path, dict(a=2), overwrite=True, outputs=['confidence.tif'])
    assert (tmp_path / 'tiles' / 'mine.txt').read_text() == 'a'


def test_overwriting_removes_what_the_other_map_wrote_and_no_more(tmp_path):
    outputs = ['classes.tif', 'probabilities.tif', 'probabilities.qml', '../outside.txt']
    manifest = MapManifest(tmp_path / 'map', dict(a=1), outputs=outputs)
    for name in (*outputs, 'notes.txt'):
        (tmp_path / 'map' / name).write_text('a')
    manifest.finish(['classes.tif', 'probabilities.tif'], 0)
    with pytest.raises(ConfigError, match='made from something else'):
        MapManifest(tmp_path / 'map', dict(a=2), outputs=['classes.tif'])
    assert (tmp_path / 'map' / 'probabilities.tif').is_file()
    MapManifest(tmp_path / 'map', dict(a=2), overwrite=True, outputs=['classes.tif'])
    assert sorted(path.name for path in (tmp_path / 'map').iterdir()) == ['manifest.json', 'notes.txt']
    assert (tmp_path / 'outside.txt').is_file()


def test_a_damaged_manifest_can_be_replaced(tmp_path):
    MapManifest(tmp_path, dict(a=1)).save(0, dict(x=np.arange(3)))
    (tmp_path / 'manifest.json').write_text('{')
    assert not MapManifest(tmp_path, dict(a=1), overwrite=True).has(0)
    assert MapManifest(tmp_path, dict(a=1)).description == dict(a=1)
    # That of something else altogether is nothing to be replaced.
    (tmp_path / 'manifest.json').write_text('{"name": "my web page"}')
    with pytest.raises(ConfigError, match='no manifest'):
        MapManifest(tmp_path, dict(a=1), overwrite=True)


@pytest.mark.parametrize('length', [5, 16, 17, 40, 100])
def test_windows_reach_every_pixel_and_no_further(length):
    starts = window_starts(length, 16, 5, 0, length)
    covered = np.zeros(max(length, 16), int)
    for start in starts:
        covered[start : start + 16] += 1
    assert (covered[:length] > 0).all()
    assert max(starts) == max(length - 16, 0)
    # Those that touch a part are on the same lattice.
    assert window_starts(length, 16, 5, 0, 3) == [start for start in starts if start < 3]


def test_weights_fall_off_to_the_edges_but_never_to_nothing():
    weights = blending_weights(7)
    assert weights.max() == weights[3, 3] == 1
    assert weights.min() == weights[0, 0] == weights[6, 0] > 0
    assert (weights == weights.T).all()
    assert (weights == weights.flip(0)).all()


CFG = Config(
    dict(
        test_dataloader=dict(
            dataset=dict(
                type='SceneDataset',
                data_root='data/here',
                grid='s1',
                sensors=dict(
                    s2=dict(folder='s2', nodata=0, clouds=dict(type='scl', folder='clouds/scl')),
                    s1=dict(folder='s1', unit='dB'),
                ),
            )
        )
    )
)
META = dict(units=dict(s2='reflectance', s1='dB'), bands=dict(s2=['B04', 'B08'], s1=['VV']))


def test_the_scene_of_the_config():
    found = scene_config(CFG, META)
    assert found['sensors']['s2'] == dict(
        folder='data/here/s2', nodata=0, clouds=dict(type='scl', folder='data/here/clouds/scl'), unit='reflectance'
    )
    assert found['grid'] == 's1'


def test_a_folder_elsewhere_with_its_clouds_beside_it():
    found = scene_config(CFG, META, {'s2': 'other/optical'}, {'s2.nodata': -1, 's2.clouds.dilation': 3})
    clouds = dict(type='scl', folder='other/clouds/scl', dilation=3)
    assert found == dict(sensors=dict(s2=dict(folder='other/optical', nodata=-1, clouds=clouds, unit='reflectance')))


def test_without_a_description_of_the_scene_the_checkpoint_says_bands_and_unit():
    found = scene_config(Config(), META, {'s1': 'there'}, grid='s1')
    assert found == dict(sensors=dict(s1=dict(folder='there', unit='dB', bands=('VV',))), grid='s1')


def test_no_scene_and_options_of_no_sensor():
    with pytest.raises(ConfigError, match='--s2 FOLDER'):
        scene_config(Config(), META)
    with pytest.raises(ConfigError, match="'s3', but the scene has s1"):
        scene_config(Config(), META, {'s1': 'there'}, {'s3.nodata': 0})
    with pytest.raises(ConfigError, match=r'expected SENSOR\.OPTION'):
        scene_config(Config(), META, {'s1': 'there'}, {'nodata': 0})


def test_tiles_of_a_run_that_was_killed_after_its_last_note_go(tmp_path, monkeypatch):
    manifest = MapManifest(tmp_path, dict(a=1))
    manifest.save(0, dict(x=np.arange(3)))
    (tmp_path / 'classes.tif').write_bytes(b'map')
    with monkeypatch.context() as patch:
        patch.setattr(map_manifest.shutil, 'rmtree', lambda *_, **__: None)
        manifest.finish(['classes.tif'], 1)
    assert (tmp_path / TILES).is_dir()
    assert MapManifest(tmp_path, dict(a=1)).complete
    assert not (tmp_path / TILES).exists()


def test_windows_without_an_observation_of_a_pixel_say_nothing_of_it():
    runner = SimpleNamespace(device=torch.device('cpu'), classes=2)
    blend = _Blend(runner, Window(0, 0, 4, 6), 4)
    blend.move_to(0)
    said, guessed = (torch.tensor([share, 1 - share])[:, None, None].expand(2, 4, 4) for share in (0.9, 0.0))
    seen = np.ones((4, 4), bool)
    blend.add(0, said, seen)
    blend.add(2, guessed, ~seen)
    strip = blend.finish(4)
    np.testing.assert_allclose(strip.probabilities[0, :, :4], 0.9, rtol=1e-6)
    assert strip.observed.tolist() == [[True] * 4 + [False] * 2] * 4
    assert (strip.probabilities[:, :, 4:] == 0).all()
