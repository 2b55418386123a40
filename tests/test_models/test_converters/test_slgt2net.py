"""Published SL-GT2Net weights: read, renamed, checked."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from torch import Tensor

from mmsits.engine.hooks.checkpoint_contract_hook import compare_weights
from mmsits.models.converters import convert_slgt2net, rename_slgt2net_key, slgt2net_options
from mmsits.parity.filled import filled_parameters

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / 'tests' / 'data' / 'parity'


def read_meta(name: str) -> dict:
    with np.load(FOLDER / f'slgt2_{name}.npz') as data:
        return json.loads(str(data['meta']))


@pytest.fixture(scope='module')
def published() -> dict[str, Tensor]:
    """Weights of a narrow network, as a segmentor's checkpoint names them."""
    return {f'backbone.{key}': value for key, value in filled_parameters(read_meta('backbone_flag1_t12')).items()}


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('slovenia', dict(length=16, trimmed_steps=0)),
        ('brandenburg', dict(length=48, trimmed_steps=8, window_lengths=[[8, 4, 2], [8, 4, 2], [4, 4, 2], [2, 2, 2]])),
    ],
)
def test_options_of_the_released_networks_are_read_from_the_shapes(name: str, expected: dict) -> None:
    state = {f'backbone.{key}': torch.empty(shape, device='meta') for key, shape in read_meta(f'keys_{name}')['keys']}
    options = slgt2net_options(state)
    common = dict(
        in_channels=2, embed_dims=[96, 192, 384, 768], depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24], qkv_bias=True
    )
    assert options['backbone'].items() >= {**common, **expected, 'mlp_ratios': [4, 4, 4, 4]}.items()
    assert options['decode_head']['num_classes'] == {'slovenia': 8, 'brandenburg': 15}[name]
    assert not {'absolute_positions', 'channel_refinement', 'layer_scale'} & options['backbone'].keys()
    converted = convert_slgt2net(state)
    kept = convert_slgt2net(state, dict(options, backbone=dict(options['backbone'], channel_refinement=True)))
    assert len(kept) == len(converted) + 3 * 4


def test_weights_keep_their_values_and_are_those_of_a_segmentor(published: dict[str, Tensor]) -> None:
    options = slgt2net_options(published)
    converted = convert_slgt2net(published, options)
    assert torch.equal(converted['backbone.stem.weight'], published['backbone.patch_embeds.0.proj.weight'])
    pooling = 'layers_up.1.blocks.1.attn.glb_kv.convs.2.weight'
    assert torch.equal(
        converted['backbone.up_stages.1.blocks.1.attn.pooling.convs.2.weight'], published[f'backbone.{pooling}']
    )
    assert torch.equal(converted['decode_head.conv_seg.weight'], published['backbone.seg_head.0.weight'].squeeze(2))
    preprocessor = dict(type='SeriesDataPreprocessor', sensors=dict(s1=2))
    model = MODELS.build(dict(type='TemporalEncoderDecoder', data_preprocessor=preprocessor, **options))
    assert compare_weights(model.state_dict(), converted) == ''


def test_a_backbone_alone_is_taken_too(published: dict[str, Tensor]) -> None:
    alone = {key.removeprefix('backbone.'): value for key, value in published.items()}
    options = slgt2net_options(alone)
    assert convert_slgt2net(alone, options).keys() == convert_slgt2net(published, options).keys()
    assert rename_slgt2net_key('norm.weight') == rename_slgt2net_key('backbone.norm.weight') == 'backbone.norm.weight'


def test_tables_of_positions_are_kept_on_request(published: dict[str, Tensor]) -> None:
    options = slgt2net_options(published)
    options['backbone']['absolute_positions'] = True
    converted = convert_slgt2net(published, options)
    assert torch.equal(converted['backbone.up_positions.0'], published['backbone.abs_pos_embeds_up.0'])


def test_missing_and_unknown_parameters_are_named(published: dict[str, Tensor]) -> None:
    options = slgt2net_options(published)
    without = {key: value for key, value in published.items() if key != 'backbone.norm.weight'}
    with pytest.raises(ValueError, match=r'1 of \d+ parameters are missing .*backbone\.norm\.weight'):
        convert_slgt2net(without, options)
    with pytest.raises(ValueError, match=r'1 are unknown .*backbone\.extra'):
        convert_slgt2net({**published, 'backbone.extra': torch.zeros(1)}, options)
    with pytest.raises(ValueError, match='no parameter'):
        convert_slgt2net({'some.other.network': torch.zeros(1)})
    with pytest.raises(ValueError, match='shapes that do not fit'):
        convert_slgt2net({**published, 'backbone.norm.weight': torch.zeros(3)}, options)


def convert(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / 'tools' / 'model_converters' / 'slgt2net.py', *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT, check=False)


def test_the_tool_writes_a_checkpoint_that_loads(published: dict[str, Tensor], tmp_path: Path) -> None:
    meta = {'CLASSES': ('a', 'b'), 'PALETTE': [[0, 0, 0], [1, 2, 3]], 'iter': 3, 'mmseg_version': '0.24.1'}
    torch.save({'meta': meta, 'state_dict': published, 'optimizer': {}}, tmp_path / 'old.pth')
    done = convert(tmp_path / 'old.pth', tmp_path / 'new.pth')
    assert done.returncode == 0, done.stderr
    checkpoint = torch.load(tmp_path / 'new.pth', weights_only=True)
    assert checkpoint['state_dict'].keys() == convert_slgt2net(published).keys()
    assert 'embed_dims=[6, 12, 24, 48]' in done.stdout


def test_the_tool_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / 'text.pth').write_text('no checkpoint')
    done = convert(tmp_path / 'text.pth', tmp_path / 'new.pth')
    assert done.returncode == 1
    assert 'text.pth' in done.stderr
    assert 'Traceback' not in done.stderr
    assert not (tmp_path / 'new.pth').exists()
