"""The base configs of the adaptation methods are complete, and their learning rates the published ones."""

from pathlib import Path

import pytest
from mmengine.optim import build_optim_wrapper
from mmseg.registry import HOOKS, MODELS

from mmsits.engine import load_config
from mmsits.models.adaptation import DomainAdaptor

FOLDER = Path(__file__).parents[2] / 'configs' / '_base_' / 'adaptation'
METHODS = ('alda', 'cdan', 'cdan_e', 'control', 'dann', 'fixmatch', 'jumbot', 'mmd', 'timematch')
SELF_TRAINING = ('fixmatch', 'timematch')


@pytest.mark.parametrize('name', METHODS)
def test_model_and_hooks_are_built(name: str) -> None:
    cfg = load_config(FOLDER / f'{name}.py')
    model = MODELS.build(cfg.model)
    assert isinstance(model, DomainAdaptor)
    assert model.method.num_classes == 12
    assert model.method.feature_channels == 128
    assert (model.teacher is not None) == (name in SELF_TRAINING)
    for hook in [*cfg.custom_hooks, *cfg.default_hooks.values()]:
        HOOKS.build(hook)
    assert cfg.default_hooks.checkpoint.save_best is None
    assert cfg.train_cfg.max_iters == 10000


@pytest.mark.parametrize('name', ['alda', 'mmd'])
def test_encoders_learn_at_a_tenth_of_the_rate(name: str) -> None:
    cfg = load_config(FOLDER / f'{name}.py')
    model = MODELS.build(cfg.model)
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper).optimizer
    rates = {id(p): group['lr'] for group in optimizer.param_groups for p in group['params']}
    for parameter_name, parameter in model.named_parameters():
        assert rates[id(parameter)] == pytest.approx(1e-4 if parameter_name.startswith('segmentor.backbone') else 1e-3)


def test_all_methods_are_tested() -> None:
    shared = {'adaptation_runtime', 'self_training', 'rivals'}
    assert {path.stem for path in FOLDER.glob('*.py')} - shared == set(METHODS)
