"""Published U-TAE weights: read, renamed, checked."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import Tensor

from mmsits.engine.hooks.checkpoint_contract_hook import compare_weights
from mmsits.models.converters import convert_utae, utae_options

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / 'tests' / 'data' / 'parity' / 'utae.npz'


@pytest.fixture(scope='module')
def published() -> dict[str, Tensor]:
    with np.load(GOLDEN) as data:
        return {key[len('param/') :]: torch.from_numpy(data[key]) for key in data.files if key.startswith('param/')}


def test_options_are_read_from_the_shapes(published: dict[str, Tensor]) -> None:
    with np.load(GOLDEN) as data:
        constructor = json.loads(str(data['meta']))['constructor']
    options = utae_options(published)
    assert options['backbone']['in_channels'] == constructor['input_dim']
    for name in ('encoder_widths', 'decoder_widths', 'n_head', 'd_model', 'd_k', 'encoder_norm', 'str_conv_k'):
        assert options['backbone'][name] == constructor[name], name
    assert [options['decode_head']['channels'], options['decode_head']['num_classes']] == constructor['out_conv']


def test_every_parameter_keeps_its_values(published: dict[str, Tensor]) -> None:
    converted = convert_utae(published)
    assert len(converted) == len(published)
    assert torch.equal(
        converted['backbone.temporal_encoder.attention.query'], published['temporal_encoder.attention_heads.Q']
    )
    assert torch.equal(
        converted['backbone.down_blocks.1.conv2.0.weight'], published['down_blocks.1.conv2.conv.0.weight']
    )
    assert torch.equal(converted['decode_head.out_conv.3.bias'], published['out_conv.conv.conv.3.bias'])


def test_converted_weights_are_those_of_a_segmentor(published: dict[str, Tensor]) -> None:
    init_default_scope('mmseg')
    options = utae_options(published)
    sensors = dict(s2=options['backbone']['in_channels'])
    preprocessor = dict(type='SeriesDataPreprocessor', sensors=sensors)
    model = MODELS.build(dict(type='TemporalEncoderDecoder', data_preprocessor=preprocessor, **options))
    weights = convert_utae(published)
    assert compare_weights(model.state_dict(), weights) == ''
    model.load_state_dict(weights, strict=False)
    assert torch.equal(model.decode_head.out_conv[3].bias, published['out_conv.conv.conv.3.bias'])


def test_weights_of_another_aggregation_mode_need_no_matching_widths(published: dict[str, Tensor]) -> None:
    # 32 heads do not divide the first widths (16), which only 'att_group' asks for.
    attention = 'temporal_encoder.attention_heads'
    many_heads = {
        f'{attention}.Q': torch.zeros(32, 4),
        f'{attention}.fc1_k.weight': torch.zeros(128, 32),
        f'{attention}.fc1_k.bias': torch.zeros(128),
    }
    assert many_heads.keys() <= published.keys()
    converted = convert_utae({**published, **many_heads})
    assert converted['backbone.temporal_encoder.attention.key.bias'].shape == (128,)


def test_panoptic_weights_give_the_backbone(published: dict[str, Tensor]) -> None:
    panoptic = {f'encoder.{key}': value for key, value in published.items()}
    panoptic['heatmap_conv.0.conv.0.weight'] = torch.zeros(1)
    converted = convert_utae(panoptic)
    assert all(key.startswith('backbone.') for key in converted)
    assert len(converted) == sum(not key.startswith('out_conv.') for key in published)


def test_missing_and_unknown_parameters_are_named(published: dict[str, Tensor]) -> None:
    without = {key: value for key, value in published.items() if key != 'up_blocks.0.conv1.conv.0.bias'}
    with pytest.raises(ValueError, match=r'1 of \d+ parameters are missing .*up_blocks\.0\.conv1\.0\.bias'):
        convert_utae(without)
    with pytest.raises(ValueError, match=r'1 are unknown .*decoder\.extra'):
        convert_utae({**published, 'decoder.extra': torch.zeros(1)})
    with pytest.raises(ValueError, match='no parameter'):
        convert_utae({'some.other.network': torch.zeros(1)})
    with pytest.raises(ValueError, match='shapes that do not fit'):
        convert_utae({**published, 'up_blocks.0.conv1.conv.0.bias': torch.zeros(3)})


def convert(*arguments: object) -> subprocess.CompletedProcess:
    command = [sys.executable, ROOT / 'tools' / 'model_converters' / 'utae.py', *arguments]
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=ROOT, check=False)


def test_the_tool_writes_a_checkpoint_that_loads(published: dict[str, Tensor], tmp_path: Path) -> None:
    torch.save({'epoch': 3, 'state_dict': published, 'optimizer': {}}, tmp_path / 'model.pth.tar')
    done = convert(tmp_path / 'model.pth.tar', tmp_path / 'utae.pth')
    assert done.returncode == 0, done.stderr
    assert 'encoder_widths=[16, 16, 16, 32]' in done.stdout
    checkpoint = torch.load(tmp_path / 'utae.pth', weights_only=True)
    assert checkpoint['state_dict'].keys() == convert_utae(published).keys()


def test_the_tool_says_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / 'text.pth').write_text('no checkpoint')
    done = convert(tmp_path / 'text.pth', tmp_path / 'utae.pth')
    assert done.returncode == 1
    assert 'text.pth' in done.stderr
    assert 'Traceback' not in done.stderr
    assert not (tmp_path / 'utae.pth').exists()
