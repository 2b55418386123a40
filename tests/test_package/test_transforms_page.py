"""The snippets of docs/transforms.md are what they claim to be: parts that can be built."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmseg.registry import DATA_SAMPLERS, HOOKS, MODELS, TRANSFORMS

from mmsits.datasets.transforms.indices import OPTICAL, RADAR
from tests.helpers.adaptation_batches import patch_segmentor

PAGE = (Path(__file__).resolve().parents[2] / 'docs' / 'transforms.md').read_text(encoding='utf-8')


@pytest.fixture(scope='module')
def snippets() -> dict[str, Any]:
    names: dict[str, Any] = {}
    for block in re.findall(r'```python\n(.*?)```', PAGE, re.DOTALL):
        exec(block, names)
    return names


def test_pipelines_and_hooks_can_be_built(snippets: dict[str, Any]) -> None:
    for registry, ending in ((TRANSFORMS, '_pipeline'), (HOOKS, '_hooks')):
        parts = [part for name, value in snippets.items() if name.endswith(ending) for part in value]
        assert parts
        for part in parts:
            assert registry.build(part)


def test_losses_samplers_and_test_options_can_be_built(snippets: dict[str, Any]) -> None:
    assert MODELS.build(snippets['loss_decode']).loss_name == 'loss_ce'
    dataset = [0, 1, 1]
    labelled = type('Labelled', (list,), dict(labels=np.array(dataset)))(dataset)
    assert len(DATA_SAMPLERS.build(dict(snippets['sampler'], dataset=labelled, seed=0))) == 3
    model = MODELS.build({**patch_segmentor(), 'test_cfg': snippets['test_cfg']})
    averaging = model.averaging
    passes = len(averaging.views) * (1 + averaging.date_dropout.repeats) * (1 + len(averaging.checkpoints))
    assert f'= {passes} passes' in PAGE


def test_the_table_of_indices_is_complete() -> None:
    assert set(re.findall(r'^\| `(\w+)` \| [^|(]*\|', PAGE, re.MULTILINE)) >= {*OPTICAL, *RADAR}
