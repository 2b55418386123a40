"""Maps of scenes: right, the same however they are cut up and interrupted, and never of what was not observed."""

import json

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config

from mmsits.apis import MapOptions, SITSInferencer
from mmsits.apis import map_job as map_job_module
from mmsits.apis.scene_predictors import read_ahead
from mmsits.datasets.errors import DataError
from mmsits.engine.errors import CheckpointError, ConfigError, DiskWriteError
from mmsits.structures import ImageSeries
from tests.helpers.memory_scene import CLASSES, FIRST_DAY, PALETTE, MemoryScene, scene_of, write_network

SMALL = MapOptions(probabilities=True, window_size=32, tile_size=64, batch_size=3, pixel_batch=700)


def inferencer(tmp_path, kind='pixels', **changes):
    return SITSInferencer(*write_network(tmp_path / kind, kind, **changes))


def read(result, kind='classes'):
    with rasterio.open(result.files[kind]) as file:
        return file.read()


def whole(network, scene):
    """Probabilities (K,H,W) and observed pixels of the whole scene at once."""
    series = scene.series['s2']
    tensors = ImageSeries(*(torch.from_numpy(np.ascontiguousarray(part))[None] for part in series))
    data = network.segmentor.data_preprocessor(dict(inputs={'s2': tensors}, metas=[dict(season_start=FIRST_DAY)]))
    answer = network.segmentor.predict(data['inputs'], None, data['metas'])[0]
    return answer['logits'].softmax(1)[0].numpy(), answer['observed'][0].numpy()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def one_by_one(network, scene):
    """The same, each pixel as a map of its own."""
    values, days, valid = (torch.from_numpy(part) for part in scene.series['s2'])
    shape = valid.shape[1:]
    series = ImageSeries(
        values.permute(2, 3, 0, 1).flatten(0, 1)[..., None, None],
        days.expand(shape.numel(), -1),
        valid.permute(1, 2, 0).flatten(0, 1)[..., None, None],
    )
    metas = [dict(season_start=FIRST_DAY)] * shape.numel()
    data = network.segmentor.data_preprocessor(dict(inputs={'s2': series}, metas=metas))
    answer = network.segmentor.predict(data['inputs'], None, data['metas'])[0]
    probabilities = answer['logits'].softmax(1)[..., 0, 0].T.reshape(-1, *shape)
    return probabilities.numpy(), answer['observed'].reshape(shape).numpy()


@pytest.mark.parametrize(
    ('kind', 'reference'), [('pixels', one_by_one), ('column', one_by_one), ('column', whole), ('local', whole)]
)
def test_a_map_is_what_the_network_says_of_each_pixel(tmp_path, kind, reference):
    # None of these networks looks beyond a pixel, so cutting up and blending must change nothing.
    mapper, scene = inferencer(tmp_path, kind), scene_of(90, 110)
    assert mapper.kind == ('windows' if kind == 'local' else 'pixels')
    expected, observed = reference(mapper.network, scene)
    result = mapper(scene, tmp_path / 'map', options=SMALL)
    classes, confidence, percent = (read(result, name) for name in ('classes', 'confidence', 'probabilities'))
    assert not observed[:22, :27].any()
    assert (classes[0][~observed] == 255).all()
    assert (confidence[0][~observed] == 255).all()
    assert (percent[:, ~observed] == 255).all()
    # Rounding may fall either way where two numbers are equal but for the last bit.
    clear = observed & (np.sort(expected, axis=0)[-1] - np.sort(expected, axis=0)[-2] > 1e-4)
    assert (classes[0][clear] == expected.argmax(0)[clear]).all()
    assert np.abs(percent[:, observed].astype(float) - 100 * expected[:, observed]).max() <= 0.5001
    assert np.abs(confidence[0][observed] - 100 * expected.max(0)[observed]).max() <= 0.5001


@pytest.mark.parametrize('kind', ['pixels', 'windows'])
def test_tiles_do_not_show_in_a_map(tmp_path, kind):
    mapper, scene = inferencer(tmp_path, kind), scene_of(90, 110)
    first = mapper(scene, tmp_path / 'a', options=SMALL)
    second = mapper(scene, tmp_path / 'b', options=SMALL._replace(tile_size=128))
    assert first.tiles == 4
    assert second.tiles == 1
    # Batches differ, and with them the last bits.
    difference = read(first, 'probabilities').astype(int) - read(second, 'probabilities')
    assert np.abs(difference).max() <= 1
    assert (read(first) != read(second)).mean() < 0.001


@pytest.mark.parametrize('size', [(20, 90), (90, 20), (9, 7)])
def test_scenes_smaller_than_a_window(tmp_path, size):
    mapper, scene = inferencer(tmp_path, 'windows'), scene_of(*size)
    classes = read(mapper(scene, tmp_path / 'map', options=SMALL))[0]
    assert classes.shape == size
    assert ((classes == 255) == ~scene.series['s2'].valid.any(0)).all()


@pytest.mark.parametrize('kind', ['pixels', 'windows'])
def test_what_was_not_observed_never_reaches_the_network(tmp_path, kind, monkeypatch):
    mapper, scene = inferencer(tmp_path, kind), scene_of(128, 160, hidden=0.6)
    scene.series['s2'].valid[:, 40:] = False
    scene.series['s2'].values[~np.broadcast_to(scene.series['s2'].valid[:, None], (5, 3, 128, 160))] = np.nan
    seen = []
    predict = mapper.network.segmentor.predict

    def watched(inputs, targets, metas):
        seen.append(inputs['s2'])
        return predict(inputs, targets, metas)

    monkeypatch.setattr(mapper.network.segmentor, 'predict', watched)
    result = mapper(scene, tmp_path / 'map', options=SMALL)
    assert all(torch.isfinite(series.values).all() for series in seen)
    if kind == 'pixels':
        assert all(series.valid.any(1).all() for series in seen)
        assert sum(series.valid[:, 0].numel() for series in seen) == scene.series['s2'].valid.any(0).sum()
    else:
        assert all(series.valid.flatten(1).any(1).all() for series in seen)
    assert (read(result)[0, 40:] == 255).all()


@pytest.mark.parametrize('kind', ['pixels', 'windows'])
def test_memory_does_not_grow_with_the_scene(tmp_path, kind):
    mapper, largest = inferencer(tmp_path, kind), []
    for number, size in enumerate([(100, 100), (100, 700)]):
        scene = scene_of(*size, dates=2)
        mapper(scene, tmp_path / str(number), options=SMALL)
        largest.append(max(window.height * window.width for window in scene.windows))
    assert largest[0] == largest[1]
    assert largest[1] <= 64 * 96


def stop_after(monkeypatch, tiles):
    """Interrupt a run after some tiles."""
    save, saved = map_job_module.MapManifest.save, []

    def interrupted(self, tile, arrays):
        if len(saved) == tiles:
            raise KeyboardInterrupt
        saved.append(tile)
        save(self, tile, arrays)

    monkeypatch.setattr(map_job_module.MapManifest, 'save', interrupted)


@pytest.mark.parametrize('kind', ['pixels', 'windows', 'parcels'])
def test_an_interrupted_run_goes_on_to_the_same_bytes(tmp_path, kind, fields, monkeypatch):
    mapper, scene = inferencer(tmp_path, kind), scene_of(90, 110)
    options = SMALL._replace(probabilities=kind != 'parcels')
    mapper(scene, tmp_path / 'whole', parcels=fields, options=options)
    with monkeypatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(KeyboardInterrupt):
            mapper(scene, tmp_path / 'parts', parcels=fields, options=options)
    assert not (tmp_path / 'parts' / 'parcels.gpkg').exists()
    # A file that was being written when the process died.
    (tmp_path / 'parts' / 'tiles' / '.00000002.npz.mmsits-999999999.tmp').write_bytes(b'half')
    result = mapper(scene, tmp_path / 'parts', parcels=fields, options=options)
    assert (result.resumed, result.tiles) == (2, 4)
    assert contents(tmp_path / 'whole') == contents(tmp_path / 'parts')
    assert not (tmp_path / 'parts' / 'tiles').exists()


def test_a_finished_map_is_not_made_again(tmp_path, monkeypatch):
    mapper, scene = inferencer(tmp_path), scene_of(40, 40)
    mapper(scene, tmp_path / 'map', options=SMALL)
    before = contents(tmp_path / 'map')
    monkeypatch.setattr(mapper.network.segmentor, 'predict', None)
    assert mapper(scene, tmp_path / 'map', options=SMALL).resumed == 1
    assert contents(tmp_path / 'map') == before


def test_a_map_of_something_else_is_not_mixed_with(tmp_path):
    mapper, scene = inferencer(tmp_path), scene_of(40, 40)
    mapper(scene, tmp_path / 'map', options=SMALL)
    with pytest.raises(ConfigError, match='option tile_size 64, now 32'):
        mapper(scene, tmp_path / 'map', options=SMALL._replace(tile_size=32))
    other = SITSInferencer(*write_network(tmp_path / 'other', seed=1))
    with pytest.raises(ConfigError, match=r'checkpoint.*--overwrite'):
        other(scene, tmp_path / 'map', options=SMALL)
    before = contents(tmp_path / 'map')
    other(scene, tmp_path / 'map', options=SMALL, overwrite=True)
    assert contents(tmp_path / 'map')['classes.tif'] != before['classes.tif']


def test_verifying_finds_what_came_out_otherwise(tmp_path):
    mapper, scene = inferencer(tmp_path, 'windows'), scene_of(90, 110)
    with pytest.raises(ConfigError, match='no finished map'):
        mapper.verify(scene, tmp_path / 'map', 2, options=SMALL)
    mapper(scene, tmp_path / 'map', options=SMALL)
    assert mapper.verify(scene, tmp_path / 'map', 4, options=SMALL) == []
    scene.series['s2'].values[:, :, 80:, 100:] += 0.5
    assert mapper.verify(scene, tmp_path / 'map', 2, options=SMALL) == [3]


def test_names_and_colours_are_in_the_files(tmp_path):
    mapper, scene = inferencer(tmp_path), scene_of(700, 600, dates=1)
    result = mapper(scene, tmp_path / 'map', options=MapOptions(probabilities=True))
    with rasterio.open(result.files['classes']) as file:
        assert (file.crs, file.transform, file.shape) == (scene.grid.crs, scene.grid.transform, (700, 600))
        assert (file.nodata, file.dtypes, file.descriptions) == (255, ('uint8',), ('class',))
        assert [file.colormap(1)[value][:3] for value in range(3)] == [tuple(colour) for colour in PALETTE]
        assert [file.tags(1)[f'class_{value}'] for value in range(3)] == list(CLASSES)
        assert file.tags(ns='IMAGE_STRUCTURE')['LAYOUT'] == 'COG'
        assert file.overviews(1)
        assert file.tags()['season_start'] == '2018-01-01'
        assert file.compression.name == 'deflate'
    with rasterio.open(result.files['probabilities']) as file:
        assert file.descriptions == CLASSES
        assert file.overviews(3)
    for name in ('classes', 'confidence', 'probabilities'):
        assert result.files[name].with_suffix('.qml').is_file()
    style = result.files['classes'].with_suffix('.qml').read_text()
    assert 'value="1" label="corn" color="#f0780a"' in style
    manifest = json.loads((tmp_path / 'map' / 'manifest.json').read_text())
    assert set(manifest['files']) == {'classes.tif', 'confidence.tif', 'probabilities.tif'}


def test_bands_are_found_by_name(tmp_path):
    mapper, scene = inferencer(tmp_path), scene_of(40, 40)
    values, days, valid = scene.series['s2']
    mixed = np.concatenate([values[:, [2]], values[:, [0]] * 9, values[:, [0, 1]]], axis=1)
    other = MemoryScene({'s2': ImageSeries(mixed, days, valid)}, {'s2': ('B2', 'extra', 'B0', 'B1')})
    a, b = mapper(scene, tmp_path / 'a', options=SMALL), mapper(other, tmp_path / 'b', options=SMALL)
    assert (read(a) == read(b)).all()


def test_the_season_is_that_of_the_checkpoint(tmp_path):
    # A year later, from a recurring start, the days that the network sees are the same.
    mapper, scene = inferencer(tmp_path), scene_of(40, 40)
    series = scene.series['s2']
    later = MemoryScene({'s2': series._replace(days=(series.days + 365).astype(np.int32))})
    first = read(mapper(scene, tmp_path / 'a', options=SMALL))
    assert (first == read(mapper(later, tmp_path / 'b', options=SMALL))).all()
    fixed = inferencer(tmp_path, season_start='2018-01-01')
    much_later = MemoryScene({'s2': series._replace(days=(series.days + 3 * 365).astype(np.int32))})
    with pytest.raises(CheckpointError, match=r'from 2018-01-01.*--season-start'):
        fixed(much_later, tmp_path / 'c', options=SMALL)
    config, checkpoint = tmp_path / 'pixels' / 'config.py', tmp_path / 'pixels' / 'network.pth'
    moved = SITSInferencer(config, checkpoint, season_start='2020-12-31')
    assert (first == read(moved(much_later, tmp_path / 'c', options=SMALL))).all()


@pytest.mark.parametrize(
    ('changes', 'scene', 'sentence'),
    [
        (dict(bands=dict(s2=('B0', 'B1', 'B8'))), {}, 'the scene lacks B8, it has B0, B1, B2'),
        (dict(units=dict(s2='dB')), {}, 'units of s2: dB in the checkpoint, 1 in the scene'),
        ({}, dict(name='s1'), 'takes the sensors s2; the scene has s1'),
    ],
)
def test_other_data_than_the_network_was_trained_on(tmp_path, changes, scene, sentence):
    mapper = inferencer(tmp_path, **changes)
    series = scene_of(40, 40).series['s2']
    with pytest.raises(CheckpointError, match=sentence):
        mapper(MemoryScene({scene.get('name', 's2'): series}), tmp_path / 'map')


def test_values_of_another_unit_are_refused(tmp_path):
    scene = scene_of(40, 40)
    scene.series['s2'].values[:] *= 10_000
    with pytest.raises(DataError, match='do not suit the statistics'):
        inferencer(tmp_path)(scene, tmp_path / 'map')


def test_a_scene_that_is_all_cloud(tmp_path):
    scene = scene_of(70, 40)
    scene.series['s2'].valid[:] = False
    with pytest.raises(DataError, match='nothing in the scene was observed'):
        inferencer(tmp_path)(scene, tmp_path / 'map', options=SMALL)
    assert not (tmp_path / 'map' / 'classes.tif').exists()


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / 'map').write_text('a file, not a folder')
    with pytest.raises(DiskWriteError, match='give another folder'):
        inferencer(tmp_path)(scene_of(40, 40), tmp_path / 'map')


def test_a_checkpoint_that_does_not_say_what_it_was_trained_on(tmp_path):
    with pytest.raises(CheckpointError, match='does not say with which classes'):
        inferencer(tmp_path, classes=None, season_start=None, bands=None, units=None, palette=None)


def test_a_checkpoint_without_meta_takes_it_from_the_config(tmp_path):
    nothing = dict(classes=None, season_start=None, bands=None, units=None, palette=None)
    config, checkpoint = write_network(tmp_path, **nothing)
    known = f"classes={CLASSES}, season_start='01-01', type='SeriesTableDataset'"
    config.write_text(config.read_text().replace("type='SeriesTableDataset'", known))
    mapper = SITSInferencer(config, checkpoint)
    assert mapper.classes == CLASSES
    assert read(mapper(scene_of(20, 20), tmp_path / 'map')).shape == (1, 20, 20)


def test_windows_and_overlap_must_go_together(tmp_path):
    mapper, scene = inferencer(tmp_path, 'windows'), scene_of(40, 40)
    with pytest.raises(ConfigError, match='overlap of 32'):
        mapper(scene, tmp_path / 'map', options=SMALL._replace(overlap=32))
    with pytest.raises(ConfigError, match=r'takes .* at least'):
        mapper(scene, tmp_path / 'map', options=SMALL._replace(window_size=1))


def test_reading_ahead_hands_on_errors_and_stops():
    def parts():
        yield 1
        raise DataError('damaged')

    ahead = read_ahead(parts)
    assert next(ahead) == 1
    with pytest.raises(DataError, match='damaged'):
        next(ahead)
    made = []
    endless = read_ahead(lambda: (made.append(number) or number for number in range(10**9)))
    assert [next(endless), next(endless)] == [0, 1]
    endless.close()
    assert len(made) < 10


def changed_config(config, changes):
    """A config with other values of some keys."""
    cfg = Config.fromfile(str(config))
    cfg.merge_from_dict(changes)
    return cfg


def test_transforms_of_the_test_data_are_applied(tmp_path):
    # The network was trained on two bands and their index; the scene has more bands, in another order.
    index = dict(type='AddSpectralIndices', indices=dict(s2=('NDVI',)))
    config, checkpoint = write_network(tmp_path, bands=dict(s2=('B04', 'B08', 'NDVI')), units=dict(s2='reflectance'))
    pipeline = [index, dict(type='SamplePixels', num_pixels=2), dict(type='PackSeriesInputs')]
    cfg = changed_config(config, {'test_dataloader.dataset.pipeline': pipeline})
    values, days, valid = scene_of(40, 50).series['s2']
    optical = MemoryScene({'s2': ImageSeries(values, days, valid)}, {'s2': ('B08', 'B03', 'B04')}, 'reflectance')
    found = read(SITSInferencer(cfg, checkpoint)(optical, tmp_path / 'a', options=SMALL), 'probabilities')
    red, infrared = values[:, 2], values[:, 0]
    made = np.stack([red, infrared, (infrared - red) / (infrared + red)], axis=1)
    ready = MemoryScene({'s2': ImageSeries(made, days, valid)}, {'s2': ('B04', 'B08', 'NDVI')}, 'reflectance')
    expected = read(SITSInferencer(config, checkpoint)(ready, tmp_path / 'b', options=SMALL), 'probabilities')
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_several_networks_are_averaged(tmp_path):
    scene, percents = scene_of(40, 50), []
    networks = [write_network(tmp_path / str(seed), 'pixels', seed=seed) for seed in (0, 1)]
    for seed, network in enumerate(networks):
        result = SITSInferencer(*network)(scene, tmp_path / f'map {seed}', options=SMALL)
        percents.append(read(result, 'probabilities').astype(float))
    test_time = dict(flips=True, checkpoints=[str(networks[1][1])])
    cfg = changed_config(networks[0][0], {'model.test_cfg': dict(mode='whole', test_time=test_time)})
    mapper = SITSInferencer(cfg, networks[0][1])
    found = read(mapper(scene, tmp_path / 'both', options=SMALL), 'probabilities').astype(float)
    assert np.abs(found - np.mean(percents, axis=0)).max() <= 1
    # Another second network makes another map.
    write_network(tmp_path / '1', 'pixels', seed=2)
    with pytest.raises(ConfigError, match='ensemble'):
        SITSInferencer(cfg, networks[0][1])(scene, tmp_path / 'both', options=SMALL)
