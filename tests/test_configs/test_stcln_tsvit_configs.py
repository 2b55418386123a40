"""Configs of STCLN and TSViT: what the published recipes say, and every one can be built."""

import math
from datetime import date
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, HOOKS, METRICS, MODELS, PARAM_SCHEDULERS

from mmsits.datasets.pastis import CLASSES
from mmsits.engine.config import load_config
from mmsits.models import MaskedSeriesModel
from mmsits.structures import ImageSeries, SampleMeta
from tests.helpers.pastis_miniature import write_pastis_miniature

CONFIGS = Path(__file__).parents[2] / 'configs'
PATHS = sorted([*(CONFIGS / 'stcln').glob('*.py'), *(CONFIGS / 'tsvit').glob('*.py')])


@pytest.mark.parametrize('path', PATHS, ids=lambda path: path.stem)
def test_models_hooks_and_metrics_are_built(path: Path) -> None:
    init_default_scope('mmseg')
    cfg = load_config(path)
    model = MODELS.build(cfg.model)
    assert ('pretrain' in path.stem) == isinstance(model, MaskedSeriesModel)
    for hook in cfg.custom_hooks:
        HOOKS.build(hook)
    for evaluator in (cfg.get('val_evaluator'), cfg.get('test_evaluator')):
        if evaluator is not None and cfg.val_cfg is not None:
            METRICS.build(evaluator)


@pytest.mark.parametrize(
    ('name', 'parameters'),
    [
        ('stcln/stcln_finetune_pastis', 3_248_341),
        ('stcln/stcln_finetune_mtlcc-2017-t12', 3_248_691),
        ('tsvit/tsvit_100e_pastis24-fold1', 1_657_476),
        ('tsvit/tsvit-s_100e_pastis24-fold1', 435_524),
        ('tsvit/tsvit_150e_mtlcc-2016', 2_183_044),
    ],
)
def test_networks_have_the_published_numbers_of_weights(name: str, parameters: int) -> None:
    init_default_scope('mmseg')
    model = MODELS.build(load_config(CONFIGS / f'{name}.py').model)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_the_recipe_of_the_published_table() -> None:
    cfg = load_config(CONFIGS / 'stcln' / 'stcln_finetune_mtlcc-2017-t12.py')
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=1e-4)
    assert cfg.optim_wrapper.clip_grad is None
    assert cfg.param_scheduler is None
    assert cfg.train_dataloader.batch_size == 2
    assert cfg.train_dataloader.dataset.year == cfg.test_dataloader.dataset.year == 2017
    assert cfg.train_cfg.max_iters == 100 * cfg.train_cfg.val_interval == 100 * 78 // 2
    assert cfg.default_hooks.checkpoint.save_best == 'OA'
    assert cfg.randomness.seed == 3407
    pretraining = load_config(CONFIGS / 'stcln' / 'stcln_pretrain_mtlcc-2016-t30.py')
    assert pretraining.model.backbone == cfg.model.backbone
    assert pretraining.model.data_preprocessor == cfg.model.data_preprocessor
    assert pretraining.optim_wrapper.clip_grad == dict(max_norm=5.0)
    assert pretraining.train_cfg == dict(type='EpochCountedTrainLoop', max_epochs=100)


def test_tsvit_has_an_output_for_each_class_of_its_data(tmp_path: Path) -> None:
    root = write_pastis_miniature(tmp_path, patches=5, size=24)
    init_default_scope('mmseg')
    for fold in (1, 4):
        cfg = load_config(CONFIGS / 'tsvit' / f'tsvit_100e_pastis24-fold{fold}.py', dict(data_root=str(root)))
        for split in ('train', 'val', 'test'):
            dataset = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
            assert dataset.metainfo['classes'] == CLASSES[:19]
            found = dataset[0]['targets']
            assert set(found.unique().tolist()) <= {*range(19), 255}
        assert cfg.model.backbone.num_classes == cfg.model.decode_head.num_classes == 19


def test_days_of_tsvit_are_those_of_the_year_of_the_data() -> None:
    cfg = load_config(CONFIGS / 'tsvit' / 'tsvit_150e_mtlcc-2016.py')
    model = MODELS.build(cfg.model)
    for year in (2016, 2017):
        first = (date(year, 1, 1) - date(1970, 1, 1)).days
        # As `MTLCCDataset(year=year)` hands them on.
        series = ImageSeries([torch.zeros(1, 13, 24, 24)], [torch.tensor([first + 59])], [torch.ones(1, 1, 1) > 0])
        batch = model.data_preprocessor(dict(inputs=dict(s2=series), metas=[SampleMeta(season_start=first)]))
        days = batch['inputs']['s2'].days + model.backbone.date_embedding.first_day
        assert days.tolist() == [[60]], 'the 60th day of any year'


@pytest.mark.parametrize('name', ['tsvit_100e_pastis24-fold1', 'tsvit_150e_mtlcc-2016'])
def test_rates_of_tsvit_follow_the_published_schedule(name: str) -> None:
    cfg = load_config(CONFIGS / 'tsvit' / f'{name}.py')
    limits = cfg.train_cfg
    epoch = limits.max_iters // 100 if 'max_iters' in limits else 7
    epochs = limits.get('max_epochs', 100)
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], cfg.optim_wrapper.optimizer.lr)
    (schedule,) = cfg.param_scheduler
    # What the runner adds: the length of the training, in the schedule's own steps.
    schedule.setdefault('end', epochs if schedule.by_epoch else limits.max_iters)
    built = PARAM_SCHEDULERS.build(schedule, default_args=dict(optimizer=optimizer, epoch_length=epoch))
    assert built.total == epochs * epoch
    for step, expected in ((0, 1e-8), (epoch - 1, 1e-8), (5 * epoch, 1e-8 + 0.5 * (1e-3 - 1e-8)), (10 * epoch, None)):
        while built.last_step < step:
            optimizer.step()
            built.step()
        cosine = 0.5 * (1e-3 - schedule.eta_min) * (1 + math.cos(math.pi * 10 / epochs)) + schedule.eta_min
        assert optimizer.param_groups[0]['lr'] == pytest.approx(cosine if expected is None else expected)


def test_pre_training_and_fine_tuning_share_their_backbone() -> None:
    for dataset in ('pastis', 'simulated'):
        first, second = (
            load_config(CONFIGS / 'stcln' / f'stcln_{stage}_{dataset}.py') for stage in ('pretrain', 'finetune')
        )
        assert first.model.backbone == second.model.backbone


def test_layers_learn_at_rates_of_their_own() -> None:
    from mmengine.optim import build_optim_wrapper

    init_default_scope('mmseg')
    cfg = load_config(CONFIGS / 'stcln' / 'stcln_finetune_simulated_layerwise.py')
    model = MODELS.build(cfg.model)
    groups = build_optim_wrapper(model, cfg.optim_wrapper).optimizer.param_groups
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    rates = {names[id(parameter)]: group['lr'] for group in groups for parameter in group['params']}
    base = cfg.optim_wrapper.optimizer.lr
    assert rates['backbone.stages.0.0.weight'] == 0
    assert rates['backbone.temporal_encoder.layers.0.mlp.0.weight'] == 0.25 * base
    assert rates['backbone.temporal_encoder.layers.1.mlp.0.weight'] == 0.5 * base
    assert rates['decode_head.query.weight'] == base
