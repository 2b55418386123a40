"""The configs of the study in Central Asia build, and train on a table of the same form."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.runner import Runner
from mmseg.registry import HOOKS, MODELS

from mmsits.engine import load_config

FOLDER = Path(__file__).resolve().parents[2] / 'configs' / 'timematch'
CONFIGS = sorted(FOLDER.glob('central_asia_*.py'))
CLASSES = ['cotton', 'wheat', 'wheat-other', *(f'other {i}' for i in range(9))]


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('central_asia')
    rng = np.random.default_rng(0)
    values = rng.random((240, 23, 1)).astype(np.float32)
    values[:120, :9] = np.nan
    np.savez(
        folder / 'central_asia_ndvi.npz',
        x=values,
        y=np.arange(240) % 12,
        classes=np.array(CLASSES),
        doy=np.arange(23) * 16 + 1,
        year=np.full(240, 2016),
        region=np.array(['Samarkand'] * 120 + ['Fergana'] * 120),
        split=np.where(np.arange(240) % 5 == 0, 'test', 'train'),
    )
    return folder


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_a_batch_gives_a_loss(path: Path, root: Path) -> None:
    cfg = load_config(path, dict(data_root=str(root)))
    cfg.train_dataloader.batch_size = 16
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    assert len(loader.dataset.metainfo['classes']) == 12
    model = MODELS.build(cfg.model)
    (getattr(model, 'segmentor', model)).data_preprocessor.set_statistics('ndvi', [0.4], [0.2])
    batch = model.data_preprocessor(next(iter(loader)), True)
    losses = model(**batch, mode='loss')
    assert all(bool(value.isfinite().all()) for name, value in losses.items() if 'loss' in name)
    for hook in [*cfg.custom_hooks, *cfg.default_hooks.values()]:
        HOOKS.build(hook)
