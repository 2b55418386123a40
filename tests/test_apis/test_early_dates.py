"""The day since when a class has not changed is what maps of the season at every length say."""

import numpy as np
import pytest
import rasterio
from mmengine.config import Config

from mmsits.apis import MapOptions, SITSInferencer
from mmsits.apis.early_dates import NEVER, last_days, stable_since
from mmsits.engine.errors import ConfigError
from tests.helpers.memory_scene import FIRST_DAY, MemoryScene, scene_of, write_network

SMALL = MapOptions(window_size=16, tile_size=32, batch_size=3, pixel_batch=300)


def read(result, kind='classes'):
    with rasterio.open(result.files[kind]) as file:
        assert file.nodata == (NEVER if kind == 'early_date' else 255)
        return file.read(1)


def truncated(scene, length):
    series = scene.series['s2']
    valid = series.valid.copy()
    valid[length:] = False
    return MemoryScene({'s2': series._replace(valid=valid)})


@pytest.mark.parametrize('kind', ['column', 'windows'])
def test_it_is_what_maps_of_every_length_say(tmp_path, kind):
    mapper, scene = SITSInferencer(*write_network(tmp_path, kind)), scene_of(40, 36, dates=4)
    result = mapper(scene, tmp_path / 'map', options=SMALL._replace(early_every=1))
    plain = mapper(scene, tmp_path / 'plain', options=SMALL)
    np.testing.assert_array_equal(read(result), read(plain))
    np.testing.assert_array_equal(read(result, 'confidence'), read(plain, 'confidence'))
    shorter = [mapper(truncated(scene, n), tmp_path / str(n), options=SMALL) for n in (1, 2, 3)]
    classes = np.stack([read(one) for one in (*shorter, plain)])
    confidence = np.stack([read(one, 'confidence') for one in (*shorter, plain)])
    final = classes[-1]
    first = np.full(final.shape, 3)
    for length in (2, 1, 0):
        first[(first == length + 1) & (classes[length] == final)] = length
    days = scene.series['s2'].days - FIRST_DAY
    seen = final != 255
    found = read(result, 'early_date')
    # Rounding may fall either way where two probabilities are nearly equal.
    same = found == days[first]
    assert same[seen].mean() > 0.99
    assert (found[~seen] == NEVER).all()
    then = np.take_along_axis(confidence, first[None], axis=0)[0]
    off = read(result, 'early_confidence').astype(int) - then
    assert np.abs(off[same & seen]).max() <= 1
    assert len(np.unique(found[seen])) > 1


def test_stable_means_never_changed_again():
    classes = np.array([1, 2, 2, 1, 1])[:, None, None] * np.ones((1, 1, 2), int)
    known = np.ones((5, 1, 2), bool)
    assert stable_since(classes, known)[0, 0] == 3
    classes[:] = 1
    known[:2, 0, 1] = False
    np.testing.assert_array_equal(stable_since(classes, known), [[0, 2]])


def test_lengths_end_with_acquisitions():
    days = dict(s2=np.array([100, 105, 130, 160]), s1=np.array([128, 161]))
    assert last_days(days, 100, 1) == [0, 5, 28, 30, 60, 61]
    assert last_days(days, 100, 20) == [5, 30, 61]
    assert last_days(days, 120, 500) == [41]
    with pytest.raises(ConfigError, match='behind the season start'):
        last_days(days, 500, 10)
    with pytest.raises(ConfigError, match='at least one day'):
        last_days(days, 100, 0)


def test_what_cannot_be_dated_is_refused(tmp_path):
    with pytest.raises(ConfigError, match='no raster of dates'):
        SITSInferencer(*write_network(tmp_path / 'p', 'parcels'))(
            scene_of(20, 20), tmp_path / 'map', parcels=tmp_path / 'none', options=SMALL._replace(early_every=10)
        )
    config, checkpoint = write_network(tmp_path / 'q', 'column')
    cfg = Config.fromfile(str(config))
    cfg.test_dataloader.dataset.pipeline.insert(0, dict(type='InterpolateDates', end=150))
    with pytest.raises(ConfigError, match='depend on later ones'):
        SITSInferencer(cfg, checkpoint)(scene_of(20, 20), tmp_path / 'map', options=SMALL._replace(early_every=10))
