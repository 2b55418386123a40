"""The tool that maps a scene from files: what it writes, goes on with after a kill, and says of bad input."""

import signal
import sqlite3
from pathlib import Path

import geopandas
import numpy as np
import pytest
import rasterio
import shapely

from mmsits.apis import MapOptions, SITSInferencer
from tests.helpers.forked_tools import run_tools
from tests.helpers.memory_scene import MemoryScene, scene_of, write_network, write_rasters
from tests.helpers.parcel_network import call
from tools import predict

TOOL = Path(predict.__file__)
SMALL = ('--window-size', 32, '--tile-size', 32, '--batch-size', 3)


@pytest.fixture(scope='module')
def scene(tmp_path_factory):
    folder, scene = tmp_path_factory.mktemp('scene'), scene_of(70, 90)
    write_rasters(folder / 's2', scene)
    boxes = [
        shapely.box(5e5 + 10 * x, 5e6 - 10 * y - 200, 5e5 + 10 * x + 200, 5e6 - 10 * y) for x, y in [(30, 5), (50, 30)]
    ]
    names = dict(crop=['corn', 'meadow'])
    geopandas.GeoDataFrame(names, geometry=boxes, crs=32631).to_file(folder / 'fields.gpkg')
    return folder


def read(path):
    with rasterio.open(path) as file:
        return file.read()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_folder_of_files_becomes_a_map(scene, tmp_path, monkeypatch, capsys):
    config, checkpoint = write_network(tmp_path / 'network', 'windows')
    fields = ('--parcels', scene / 'fields.gpkg', '--labels', scene / 'fields.gpkg', '--label-column', 'crop')
    arguments = (config, checkpoint, '--s2', scene / 's2', '--out', tmp_path / 'map', *SMALL, *fields)
    assert call(predict, monkeypatch, *arguments, '--probabilities', '--verify', 2) == 0
    out = capsys.readouterr().out
    assert '9 tiles, in' in out
    assert '2 tiles predicted again: the same bytes' in out
    assert 'parcels: {"OA"' in out
    expected = SITSInferencer(config, checkpoint)(
        scene_of(70, 90), tmp_path / 'other', options=MapOptions(window_size=32, tile_size=32, batch_size=3)
    )
    assert (read(tmp_path / 'map' / 'classes.tif') == read(expected.files['classes'])).all()
    assert len(read(tmp_path / 'map' / 'probabilities.tif')) == 3
    assert sqlite3.connect(tmp_path / 'map' / 'parcels.gpkg').execute('select count(*) from parcels').fetchone() == (2,)
    # Once more: nothing is left to do.
    assert call(predict, monkeypatch, *arguments, '--probabilities') == 0
    assert '9 of them finished before' in capsys.readouterr().out


def test_a_network_trained_on_a_table_maps_a_folder(scene, tmp_path, monkeypatch):
    # Its values are those of the files by another factor, its only band has a name that the files do not know.
    single = scene_of(40, 50, bands=1)
    days, valid = single.series['s2'].days, single.series['s2'].valid
    counts = np.round(single.series['s2'].values * 10_000)
    series = single.series['s2']._replace(values=counts)
    files = write_rasters(tmp_path / 'ndvi', MemoryScene({'s2': series}, {'s2': ('',)}))
    network = write_network(tmp_path, channels=1, bands=dict(s2=('NDVI',)), units=dict(s2='NDVI'))
    arguments = (*network, '--sensor', f's2={files}', '--out', tmp_path / 'map')
    assert call(predict, monkeypatch, *arguments, '--sensor-options', 's2.scale=0.0001') == 0
    exact = single.series['s2']._replace(values=(counts * 0.0001).astype(np.float32), days=days, valid=valid)
    expected = SITSInferencer(*network)(
        MemoryScene({'s2': exact}, {'s2': ('NDVI',)}, unit='NDVI'), tmp_path / 'expected'
    )
    assert (read(tmp_path / 'map' / 'classes.tif') == read(expected.files['classes'])).mean() > 0.999


KILLED = """
import os, runpy, signal, sys
from mmsits.apis.map_manifest import MapManifest
save, saved = MapManifest.save, []
def save_or_die(self, tile, arrays):
    if len(saved) == {tiles}:
        os.kill(os.getpid(), signal.SIGKILL)
    saved.append(tile)
    save(self, tile, arrays)
MapManifest.save = save_or_die
runpy.run_path({tool!r}, run_name='__main__')
"""


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['pixels', 'parcels'])
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(scene, tmp_path, kind):
    network = write_network(tmp_path, kind)
    driver = tmp_path / 'killed.py'
    driver.write_text(KILLED.format(tiles=4, tool=str(TOOL)))
    common = (*network, '--s2', scene / 's2', '--parcels', scene / 'fields.gpkg', *SMALL)

    def run(script, folder, log):
        return dict(argv=[str(part) for part in (script, *common, '--out', tmp_path / folder)], log=str(tmp_path / log))

    whole, killed, again = run(TOOL, 'whole', 'a.log'), run(driver, 'parts', 'b.log'), run(TOOL, 'parts', 'c.log')
    statuses = run_tools([[whole, killed], [again]])
    assert statuses == [[0, -signal.SIGKILL], [0]], (tmp_path / 'c.log').read_text()
    assert '4 of them finished before' in (tmp_path / 'c.log').read_text()
    assert contents(tmp_path / 'whole') == contents(tmp_path / 'parts')


def hide(files):
    for path in files.iterdir():
        with rasterio.open(path, 'r+') as file:
            file.write(np.full((3, 70, 90), np.nan, np.float32))


@pytest.mark.parametrize(
    ('arguments', 'status', 'sentence'),
    [
        (('--out', 'map'), 2, '--s2 FOLDER'),
        (('--out', 'map', '--s2', 'nowhere'), 1, 'the folder does not exist'),
        (('--out', 'map', '--s2', 's2', '--sensor', 's2=s2'), 2, 'given twice'),
        (('--out', 'map', '--s2', 's2', '--sensor', 's2'), 2, 'NAME=FOLDER is expected'),
        (('--out', 'map', '--s1', 's2'), 1, 'the scene has s1'),
        (('--out', 'map', '--s2', 's2', '--sensor-options', 's2.unit=dB'), 1, 'dB'),
        (('--out', 'map', '--s2', 's2', '--sensor-options', 's2.patern=x'), 2, 'patern'),
        (('--out', 'file', '--s2', 's2'), 1, 'give another folder'),
        (('--out', 'map', '--s2', 's2', '--parcels', 'none.gpkg'), 1, 'none.gpkg'),
        (('--out', 'map', '--s2', 's2', '--parcels', 'far.gpkg'), 1, 'none of the 2 parcels lies in the scene'),
        (('--out', 'map', '--s2', 's2', '--labels', 'fields.gpkg'), 2, '--label-column'),
        (('--out', 'map', '--s2', 's2', '--season-start', 'May'), 1, 'is not a date'),
        (('--out', 'map', '--s2', 'hidden'), 1, 'hidden'),
    ],
)
def test_bad_input_ends_with_a_sentence(scene, tmp_path, monkeypatch, capsys, arguments, status, sentence):
    network = write_network(tmp_path / 'network')
    monkeypatch.chdir(tmp_path)
    Path('s2').symlink_to(scene / 's2')
    Path('fields.gpkg').symlink_to(scene / 'fields.gpkg')
    Path('file').write_text('')
    if 'far.gpkg' in arguments:
        frame = geopandas.read_file('fields.gpkg')
        frame.set_geometry(frame.translate(1e5)).to_file('far.gpkg')
    if 'hidden' in arguments:
        hide(write_rasters(tmp_path / 'hidden', scene_of(70, 90)))
    assert call(predict, monkeypatch, *network, *arguments) == status
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / 'map' / 'classes.tif').exists()
