"""The base configs of pixel-set networks are the published networks."""

from pathlib import Path

import pytest
import torch
from mmseg.registry import MODELS

from mmsits.engine import load_config

FOLDER = Path(__file__).parents[2] / 'configs' / '_base_' / 'models'
# With six classes; TempCNN as published has 7 steps in that count.
PUBLISHED = {
    'pse_ltae': 129_158,
    'pse_tae': 162_822,
    'pse_gru': 128_902,
    'pse_tempcnn': 189_894 + 128 * 128 * (30 - 7),
}


@pytest.mark.parametrize('name', PUBLISHED)
def test_has_the_published_size(name: str) -> None:
    cfg = load_config(FOLDER / f'{name}.py')
    cfg.model.decode_head.num_classes = 6
    model = MODELS.build(cfg.model)
    assert sum(parameter.numel() for parameter in model.parameters()) == PUBLISHED[name]
    assert model.decode_head.loss_decode.gamma == 1.0
    assert torch.equal(model.data_preprocessor.get_buffer('std_s2'), torch.full((10,), 65535.0))
