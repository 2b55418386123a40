"""The five PASTIS runs of U-TAE: the published recipe, each on its own folds."""

from pathlib import Path

import pytest
from mmengine.registry import init_default_scope
from mmseg.registry import METRICS, MODELS

from mmsits.engine.config import load_config

CONFIGS = Path(__file__).parents[2] / 'configs'


@pytest.mark.parametrize('fold', [1, 2, 3, 4, 5])
def test_a_run_of_the_published_recipe(fold: int) -> None:
    cfg = load_config(CONFIGS / 'utae' / f'utae_100e_pastis-fold{fold}.py')
    loaders = {split: cfg[f'{split}_dataloader'].dataset for split in ('train', 'val', 'test')}
    assert [(loader.split, loader.fold) for loader in loaders.values()] == [(name, fold) for name in loaders]
    assert not [step.type for step in loaders['train'].pipeline if 'Random' in step.type]
    assert cfg.train_dataloader.batch_size == 4
    assert cfg.train_cfg.max_iters == 100 * cfg.train_cfg.val_interval
    assert cfg.default_hooks.checkpoint.interval == cfg.train_cfg.val_interval
    assert cfg.default_hooks.checkpoint.save_best == 'mIoU'
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=1e-3)


def test_model_and_metric_are_built_from_the_config() -> None:
    init_default_scope('mmseg')
    cfg = load_config(CONFIGS / 'utae' / 'utae_100e_pastis-fold1.py')
    model = MODELS.build(cfg.model)
    assert sum(parameter.numel() for parameter in model.parameters()) == 1_087_260
    assert model.backbone.init_cfg['type'] == model.decode_head.init_cfg['type'] == 'XavierNormalInit'
    METRICS.build(cfg.test_evaluator)
