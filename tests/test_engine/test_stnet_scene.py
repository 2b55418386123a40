"""STNet trained on pixels of a folder of GeoTIFFs maps that folder, by the command-line tools."""

from pathlib import Path

import numpy as np
import pytest
import rasterio

from mmsits.apis import SITSInferencer
from mmsits.datasets.simulator import GeotiffOptions, RegionConfig, write_geotiff
from tests.helpers.forked_tools import run_tools

ROOT = Path(__file__).resolve().parents[2]
BANDS = ('B02', 'B03', 'B04', 'B05', 'B06', 'B07', 'B08', 'B8A', 'B11', 'B12')
CONFIG = """
_base_ = [{base!r}]
data_root = {root!r}
sensors = dict(s2=dict(folder='s2', bands={bands}, offset='baseline', clouds=dict(folder='s2_clouds')))
labels = dict(file='fields.gpkg', column='crop', inner_buffer=5)
classes = ('Corn', 'Meadow', 'Soft winter wheat')
splits = dict(type='blocks', size=160, shares=dict(train=0.7, test=0.3))
cache = {cache!r}
model = dict(decode_head=dict(num_classes=3), backbone=dict(encoder=dict(d_model=16, n_head=4, hidden_channels=16)))
model['decode_head']['in_channels'] = 16
train_cfg = dict(max_iters=3, val_interval=3)
param_scheduler = []
default_hooks = dict(checkpoint=dict(interval=3))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='Visualizer', vis_backends=vis_backends, name='visualizer')
"""


@pytest.mark.slow
def test_a_folder_of_images_becomes_a_map(tmp_path: Path) -> None:
    region = RegionConfig(height=48, width=48, season_start='2021-09-01', s2_dates=5, classes=(1, 2, 3))
    root = write_geotiff(region, tmp_path / 'scene', GeotiffOptions(bands=BANDS))
    config = tmp_path / 'my_scene.py'
    base, cache = str(ROOT / 'configs' / 'own_data' / 'stnet_scene.py'), str(tmp_path / 'cache')
    config.write_text(CONFIG.format(base=base, root=str(root), bands=BANDS, cache=cache))
    arguments = dict(
        argv=['tools/train.py', config, '--work-dir', tmp_path / 'run'], log=tmp_path / 'train.log', env={}
    )
    assert run_tools([[arguments]]) == [[0]], (tmp_path / 'train.log').read_text()[-3000:]
    inferencer = SITSInferencer(config, tmp_path / 'run' / 'iter_3.pth')
    assert inferencer.kind == 'pixels'
    result = inferencer(inferencer.open_scene(), tmp_path / 'map')
    with rasterio.open(result.files['classes']) as file:
        classes = file.read(1)
    assert classes.shape == (48, 48)
    assert set(np.unique(classes)) <= {0, 1, 2, 3, 255}
