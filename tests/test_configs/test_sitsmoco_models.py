"""The base configs of networks of single pixels are the published networks."""

from pathlib import Path

import pytest
import torch
from mmseg.registry import MODELS

from mmsits.engine import load_config
from mmsits.models import TemporalEncoderDecoder
from mmsits.structures import ImageSeries

FOLDER = Path(__file__).parents[2] / 'configs' / '_base_' / 'models'
# With 21 classes and 70 dates.
PUBLISHED = {
    'sitsmoco_stnet': 122_549,
    'sitsmoco_transformer': 122_549,
    'sitsmoco_ltae': 158_005,
    'sitsmoco_lstm': 1_344_553,
    'sitsmoco_tempcnn': 4_839_317,
}


def build(name: str) -> TemporalEncoderDecoder:
    return MODELS.build(load_config(FOLDER / f'{name}.py').model)


@pytest.mark.parametrize('name', PUBLISHED)
def test_has_the_published_size(name: str) -> None:
    assert sum(parameter.numel() for parameter in build(name).parameters()) == PUBLISHED[name]


@pytest.mark.parametrize('name', [name for name in PUBLISHED if name != 'sitsmoco_stnet'])
def test_maps_a_patch_and_a_pixel(name: str) -> None:
    model = build(name).eval()
    values, days = torch.randn(2, 6, 10, 2, 3), torch.arange(0, 360, 60).repeat(2, 1)
    whole = model({'s2': ImageSeries(values, days, torch.ones(2, 6, 1, 1).bool())})
    assert whole.shape == (2, 21, 2, 3)
    one = model({'s2': ImageSeries(values[:1, ..., :1, :1], days[:1], torch.ones(1, 6, 1, 1).bool())})
    torch.testing.assert_close(one, whole[:1, :, :1, :1], rtol=1e-4, atol=1e-5)
