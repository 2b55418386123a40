"""Published weights of STCLN and TSViT: read, renamed, checked."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from torch import Tensor

from mmsits.models.converters import (
    convert_stcln,
    convert_tsvit,
    rename_stcln_key,
    stcln_options,
    tsvit_options,
    unused_stcln_keys,
)
from mmsits.parity.filled import filled_parameters

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / 'tests' / 'data' / 'parity'

init_default_scope('mmseg')


def published_network(dataset: str = 'mtlcc') -> dict[str, Tensor]:
    with np.load(FOLDER / f'stcln_full_{dataset}.npz') as data:
        meta = json.loads(str(data['meta']))
    counters = {key: torch.zeros(shape, dtype=torch.int64) for key, shape in meta['keys']}
    return counters | filled_parameters(meta)


@pytest.fixture(scope='module')
def network() -> dict[str, Tensor]:
    return published_network()


def encoder_of(network: dict[str, Tensor]) -> dict[str, Tensor]:
    """As `checkpoint_99.utae.tar` holds it: without a prefix."""
    return {key.removeprefix('utae.'): value for key, value in network.items() if key.startswith('utae.')}


def test_the_released_encoder_and_the_network_give_the_same_backbone(network: dict[str, Tensor]) -> None:
    encoder, whole = convert_stcln(encoder_of(network)), convert_stcln(network)
    assert all(key.startswith('backbone.') for key in encoder)
    assert all(torch.equal(value, whole[key]) for key, value in encoder.items())
    assert {key.split('.')[0] for key in whole} == {'backbone', 'decode_head'}
    assert torch.equal(encoder['backbone.stages.0.0.weight'], network['utae.inc.double_conv.0.weight'])


@pytest.mark.parametrize(('dataset', 'bands', 'classes'), [('pastis', 10, 20), ('mtlcc', 13, 18)])
def test_options_are_read_from_the_shapes(dataset: str, bands: int, classes: int) -> None:
    options = stcln_options(published_network(dataset))
    assert options['backbone']['in_channels'] == bands
    assert options['backbone']['widths'] == [32, 256]
    assert options['decode_head']['num_classes'] == classes
    assert options['backbone']['runs_over_padding']


def test_what_is_not_used_is_listed(network: dict[str, Tensor]) -> None:
    unused = unused_stcln_keys(network)
    used = {rename_stcln_key(key) for key in network if key not in unused}
    assert used == convert_stcln(network).keys()
    assert any(key.startswith('utae.up3.') for key in unused)
    pretraining = {f'utae.{key}': value for key, value in encoder_of(network).items()}
    pretraining |= {'MASK_TOKEN': torch.zeros(1), 'linear.bias': torch.zeros(13)}
    assert convert_stcln(pretraining).keys() == convert_stcln(encoder_of(network)).keys()
    assert {'MASK_TOKEN', 'linear.bias'} <= set(unused_stcln_keys(pretraining))


def test_incomplete_and_foreign_weights_are_refused(network: dict[str, Tensor]) -> None:
    encoder = encoder_of(network)
    del encoder['temporal_encoder.in_norm.bias']
    with pytest.raises(ValueError, match=r'missing.*in_norm'):
        convert_stcln(encoder)
    with pytest.raises(ValueError, match='unknown'):
        convert_stcln(encoder_of(network) | {'other.weight': torch.zeros(2)})
    with pytest.raises(ValueError, match='not the weights of a published STCLN'):
        convert_stcln({'a.weight': torch.zeros(2)})


def run_tool(name: str, *arguments: str) -> subprocess.CompletedProcess:
    tool = ROOT / 'tools' / 'model_converters' / f'{name}.py'
    return subprocess.run([sys.executable, str(tool), *arguments], capture_output=True, text=True, cwd=ROOT)


def test_the_tool_converts_a_training_checkpoint(network: dict[str, Tensor], tmp_path: Path) -> None:
    source, target = tmp_path / 'model_best.tar', tmp_path / 'converted.pth'
    torch.save({'epoch': 3, 'model_state_dict': network, 'optimizer_state_dict': {}}, source)
    result = run_tool('stcln', str(source), str(target))
    assert result.returncode == 0, result.stderr
    assert 'num_classes=18' in result.stdout
    assert 'left out' in result.stdout
    written = torch.load(target, weights_only=True)['state_dict']
    assert written.keys() == convert_stcln(network).keys()


def golden_tsvit() -> dict[str, Tensor]:
    with np.load(FOLDER / 'tsvit_cls.npz') as data:
        keys = [key for key in data.files if key.startswith('param/')]
        return {key.removeprefix('param/'): torch.from_numpy(data[key]) for key in keys}


def test_tsvit_is_read_from_its_shapes() -> None:
    weights = golden_tsvit()
    options = tsvit_options(weights, image_size=12, num_heads=2)
    assert options['backbone']['whole_image']
    assert options['backbone']['patch_size'] == 3
    assert options['decode_head']['patch_size'] == 1
    converted = convert_tsvit({f'module.{key}': value for key, value in weights.items()}, options)
    assert torch.equal(converted['backbone.image_token'], weights['space_token'])
    with pytest.raises(ValueError, match='num_heads'):
        tsvit_options(weights, image_size=12, num_heads=5)
    with pytest.raises(ValueError, match='image_size'):
        tsvit_options(weights, image_size=13)
    with pytest.raises(ValueError, match='not the weights of a published TSViT'):
        tsvit_options({'a': torch.zeros(1)})
    del weights['mlp_head.1.bias']
    with pytest.raises(ValueError, match='missing'):
        convert_tsvit(weights, options)
