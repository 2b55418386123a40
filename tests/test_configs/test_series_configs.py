"""The recipe for tables of series: complete for every table, with networks and days that fit its data."""

from pathlib import Path

import pytest
import torch
from mmseg.registry import HOOKS, MODELS

from mmsits.engine import load_config
from mmsits.structures import ImageSeries

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
RECIPES = sorted((CONFIGS / 'series').glob('recipe*.py'))
PIXEL_MODELS = sorted((CONFIGS / '_base_' / 'models').glob('pixel_*.py'))


def predict(cfg, classes):
    """Class scores of two series of one pixel, one of them with a gap and a band that it lacks."""
    model = MODELS.build(cfg.model).eval()
    bands = cfg.model.backbone.in_channels
    values, valid = torch.rand(2, 6, bands, 1, 1), torch.ones(2, 6, 1, 1).bool()
    valid[0, 2] = False
    days = torch.arange(10, 310, 50).repeat(2, 1).int()
    with torch.no_grad():
        scores = model.encode_decode({'series': ImageSeries(values, days, valid)})
    assert scores.shape == (2, classes, 1, 1)
    assert scores.isfinite().all()


@pytest.mark.parametrize('path', RECIPES, ids=lambda path: path.stem)
def test_a_table_has_the_networks_that_fit_it(path):
    cfg = load_config(path)
    predict(cfg, cfg.model.decode_head.num_classes)
    assert dict(cfg.model.data_preprocessor.sensors) == {'series': cfg.model.backbone.in_channels}
    train, test = (dict(cfg[f'{part}_dataloader'].dataset) for part in ('train', 'test'))
    differing = {name for name in train if train[name] != test.get(name)}
    assert differing == {'where'}
    for hook in [*cfg.custom_hooks, *cfg.default_hooks.values()]:
        HOOKS.build(hook)


@pytest.mark.parametrize('path', PIXEL_MODELS, ids=lambda path: path.stem)
def test_other_encoders_take_the_place_of_the_recipes(path):
    predict(load_config(path), 21)
