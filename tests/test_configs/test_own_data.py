"""The configs for scenes of one's own build, and give a loss on a simulated scene with windows, parcels and pixels."""

from pathlib import Path

import pytest
from mmengine.runner import Runner
from mmseg.registry import HOOKS, MODELS

from mmsits.datasets.simulator import GeotiffOptions, RegionConfig, write_geotiff
from mmsits.engine import load_config

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / 'configs' / 'own_data'
CHILD = """
_base_ = ['{base}']
data_root = '{root}'
sensors = dict(s2=dict(folder='s2', bands=('B04', 'B08'), offset='baseline', clouds=dict(folder='s2_clouds')))
labels = dict(file='fields.gpkg', column='crop', inner_buffer=5)
classes = ('Corn', 'Meadow', 'Soft winter wheat')
splits = dict(type='blocks', size=160, shares=dict(train=0.5, val=0.2, test=0.3))
window_size = 32
model = dict(
    data_preprocessor=dict(sensors=dict(s2=2)), backbone=dict(in_channels=2), decode_head=dict(num_classes=3)
)
"""


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = RegionConfig(height=64, width=64, season_start='2021-09-01', s2_dates=5, classes=(1, 2, 3))
    return write_geotiff(config, tmp_path_factory.mktemp('data') / 'scene', GeotiffOptions(bands=('B04', 'B08')))


@pytest.mark.parametrize(
    ('base', 'samples'),
    [
        ('utae_scene', 'windows'),
        ('pse_ltae_scene', 'parcels'),
        ('pixels_scene', 'pixels'),
        ('pixels_scene', 'windows'),
    ],
)
def test_one_description_serves_all_kinds_of_networks(root: Path, tmp_path: Path, base: str, samples: str) -> None:
    path = tmp_path / 'my_scene.py'
    path.write_text(CHILD.format(base=FOLDER / f'{base}.py', root=root))
    assert len(CHILD.strip().splitlines()) < 15
    cfg = load_config(path, dict(samples=samples))
    cfg.train_dataloader.update(batch_size=2, num_workers=0, persistent_workers=False)
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    assert loader.dataset.metainfo['classes'] == ('Corn', 'Meadow', 'Soft winter wheat')
    model = MODELS.build(cfg.model)
    model.data_preprocessor.set_statistics('s2', [1500.0, 3000.0], [1000.0, 1000.0])
    losses = model(**model.data_preprocessor(next(iter(loader)), True), mode='loss')
    assert all(bool(value.isfinite().all()) for name, value in losses.items() if 'loss' in name)
    for hook in [*cfg.get('custom_hooks', []), *cfg.default_hooks.values()]:
        HOOKS.build(hook)


@pytest.mark.parametrize('path', sorted(FOLDER.glob('*.py')), ids=lambda path: path.stem)
def test_every_config_is_read_and_its_model_built(path: Path) -> None:
    cfg = load_config(path)
    model = MODELS.build(cfg.model)
    bands = dict(model.data_preprocessor.sensors)
    assert bands == {getattr(model.backbone, 'sensor', 's2'): model.backbone.in_channels}
    described = cfg.test_dataloader.dataset.get('classes')
    assert described is None or len(described) == model.decode_head.num_classes
