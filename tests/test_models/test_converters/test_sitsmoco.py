"""Published weights of SITS-MoCo under our names."""

import argparse
import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmseg.registry import MODELS
from torch import Tensor

from mmsits.engine.checkpoint import trusting
from mmsits.models.converters import convert_sitsmoco, rename_sitsmoco_key, sitsmoco_options
from mmsits.parity import GoldenFile

FOLDER = Path(__file__).parents[2] / 'data' / 'parity'
TOOL = Path(__file__).parents[3] / 'tools' / 'model_converters' / 'sitsmoco.py'


def weights(name: str) -> dict[str, Tensor]:
    return GoldenFile(FOLDER / f'sitsmoco_{name}.npz').parameters()


@pytest.mark.parametrize('name', ['stnet', 'transformer', 'ltae', 'lstm', 'tempcnn'])
def test_every_weight_finds_its_place(name: str) -> None:
    published = weights(name)
    converted = convert_sitsmoco(published, stnet=name == 'stnet')
    options = sitsmoco_options(published, stnet=name == 'stnet')
    for part, config in options.items():
        state = {k.removeprefix(f'{part}.'): v for k, v in converted.items() if k.startswith(f'{part}.')}
        MODELS.build(config).load_state_dict(state, strict=True)
    tables = [key for key in published if key.startswith('position_enc.')]
    added = 2 if name == 'stnet' else 0  # the statistics that it weighs dates by
    assert len(converted) == len(published) - len(tables) + added


def test_a_missing_an_unknown_and_a_misshapen_weight_are_named() -> None:
    for key, change, message in (
        ('inlayernorm.weight', None, r'missing .*in_norm\.weight'),
        ('decoder.7.weight', torch.zeros(1), 'unknown'),
        ('transformerencoder.norm.weight', torch.zeros(3), r'out_norm\.weight: \(3,\), not \(128,\)'),
    ):
        published = weights('stnet')
        published.pop(key, None)
        if change is not None:
            published[key] = change
        with pytest.raises(ValueError, match=message):
            convert_sitsmoco(published)


def test_weights_of_something_else_are_refused() -> None:
    with pytest.raises(ValueError, match=r'not the weights of a published SITS-MoCo network.*conv\.weight'):
        convert_sitsmoco({'conv.weight': torch.zeros(1)})


def test_the_tool_reads_files_with_objects_from_people_that_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    # What the authors keep beside the weights may be more than tensors and numbers.
    torch.save(
        dict(model_state=weights('tempcnn'), arguments=argparse.Namespace(seed=111)), tmp_path / 'model_best.pth'
    )
    target = tmp_path / 'new' / 'tempcnn.pth'
    command = [str(TOOL), str(tmp_path / 'model_best.pth'), str(target)]
    tool = runpy.run_path(str(TOOL))
    with trusting(False):
        monkeypatch.setattr(sys, 'argv', command)
        assert tool['main']() == 1
        assert '--trust-checkpoint' in capsys.readouterr().err
        monkeypatch.setattr(sys, 'argv', [*command, '--trust-checkpoint'])
        assert tool['main']() == 0
    assert torch.load(target)['state_dict'].keys() == convert_sitsmoco(weights('tempcnn')).keys()


@pytest.mark.parametrize(
    ('published', 'ours'),
    [
        ('mlp1.2.bn.running_mean', 'backbone.encoder.embed.2.norm.running_mean'),
        ('decoder.3.bias', 'decode_head.layers.1.linear.bias'),
        ('decoder.6.weight', 'decode_head.classifier.weight'),
        ('decoder.weight', 'decode_head.classifier.weight'),
        ('conv_bn_relu3.block.1.bias', 'backbone.encoder.convs.9.bias'),
        ('encoder_k.inlayernorm.bias', 'key_backbone.encoder.in_norm.bias'),
        ('encoder_q.decoder.2.weight', 'projector.2.weight'),
        ('encoder_q.decoder.weight', 'projector.0.weight'),
        ('queue_ptr', 'queue_pointer'),
    ],
)
def test_names(published: str, ours: str) -> None:
    assert rename_sitsmoco_key(published) == ours
