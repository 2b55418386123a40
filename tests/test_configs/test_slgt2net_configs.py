"""Configs of SL-GT2Net and of its rivals: built as published, and a training step on files in the real layout."""

from pathlib import Path

import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, METRICS, MODELS

from mmsits.engine.config import load_config
from tests.helpers.mat_miniature import write_brandenburg, write_mts12

FOLDER = Path(__file__).parents[2] / 'configs' / 'slgt2net'
CONFIGS = sorted(path.stem for path in FOLDER.glob('*.py'))
# All of the published network but the modules that it never runs.
PARAMETERS = {
    'slgt2net_40k_slovenia-s1-224x224': 69_090_740 - 6_583_308,
    'slgt2net_40k_brandenburg-s1-224x224': 75_948_891 - 12_943_116,
    'slgt2net_40k_brandenburg-s1-2020-224x224': 75_948_891 - 12_943_116,
}
# Small enough for a test: narrower and shallower.
SMALL = dict(embed_dims=(6, 12, 24, 48), depths=(1, 1, 1, 1))


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope('mmseg')


@pytest.mark.parametrize('name', CONFIGS)
def test_model_metric_and_classes_go_together(name: str) -> None:
    cfg = load_config(FOLDER / f'{name}.py')
    with torch.device('meta'):
        cfg.model.data_preprocessor.pop('statistics', None)
        model = MODELS.build(cfg.model)
    assert model.decode_head.num_classes == len(DATASETS.get(cfg.train_dataloader.dataset.type).METAINFO['classes'])
    METRICS.build(cfg.test_evaluator)
    if name in PARAMETERS:
        assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize('name', sorted(PARAMETERS))
def test_the_published_recipe(name: str) -> None:
    cfg = load_config(FOLDER / f'{name}.py')
    assert cfg.optim_wrapper.optimizer == dict(type='AdamW', lr=1e-4, weight_decay=1e-5)
    (schedule,) = cfg.param_scheduler
    assert (schedule.type, schedule.power, schedule.end) == ('PolyLR', 0.9, cfg.train_cfg.max_iters)
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval) == (40_000, 2_000)
    assert cfg.train_dataloader.batch_size == 2
    assert cfg.model.test_cfg == dict(mode='slide', crop_size=(224, 224), stride=(200, 200))
    assert cfg.model.backbone.fit_dates == 'reflect'
    roots = {cfg[f'{split}_dataloader'].dataset.data_root for split in ('train', 'val', 'test')}
    assert len(roots) == 1


@pytest.mark.parametrize('version', ['v5', 'v73'])
@pytest.mark.parametrize('name', ['slgt2net_40k_slovenia-s1-224x224', 'slgt2net_40k_brandenburg-s1-224x224'])
def test_a_training_step(name: str, version: str, tmp_path: Path) -> None:
    write = write_mts12 if 'slovenia' in name else write_brandenburg
    root = write(tmp_path / 'data', size=(40, 32), version=version)
    cfg = load_config(FOLDER / f'{name}.py', dict(data_root=str(root)))
    cfg.model.backbone.update(SMALL)
    cfg.model.decode_head.in_channels = SMALL['embed_dims'][0]
    for step in cfg.train_dataloader.dataset.pipeline:
        for option in {'scale', 'crop_size', 'size'} & set(step):
            step[option] = (32, 32)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    model = MODELS.build(cfg.model)
    model.init_weights()
    batch = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), training=True)
    assert batch['inputs']['s1'].values.shape[-2:] == (32, 32)
    losses = model(**batch, mode='loss')
    losses['decode.loss_ce'].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
