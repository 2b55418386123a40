"""Weights of the published STCLN (https://github.com/XiaoleiQinn/STCLN) under the names of this library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor

from .renaming import rename_completely

_NAMES = (
    (r'^inc\.double_conv\.', 'backbone.stages.0.'),
    (r'^down1\.maxpool_conv\.0\.double_conv\.', 'backbone.stages.1.'),
    (r'^temporal_encoder\.in_norm\.', 'backbone.temporal_encoder.in_norm.'),
    (r'^temporal_encoder\.layer_stack\.', 'backbone.temporal_encoder.layers.'),
    (r'\.self_attn\.in_proj_', '.query_key_value.'),
    (r'\.self_attn\.out_proj\.', '.attention_proj.'),
    (r'\.linear1\.', '.mlp.0.'),
    (r'\.linear2\.', '.mlp.3.'),
    (r'\.norm1\.', '.attention_norm.'),
    (r'\.norm2\.', '.mlp_norm.'),
    (r'^l$', 'decode_head.gate'),
    (r'^conv1\.', 'decode_head.query.'),
    (r'^conv2\.', 'decode_head.key.'),
    (r'^conv3\.', 'decode_head.value.'),
    (r'^outlinear\.', 'decode_head.conv_seg.'),
)
# Allocated and saved by the published code, but never run; and what only its pre-training needs.
_UNUSED = re.compile(
    r'^(up3\.|temporal_encoder\.(inconv|out_norm|mlp|transformer_encoder)\.|linear\.|midlinear\.|MASK_TOKEN$)'
)
_PREFIX = re.compile(r'^(module\.)?(utae\.)?')


def rename_stcln_key(key: str) -> str:
    """The name in `TemporalEncoderDecoder` (STCLN with STCLNHead) of a published parameter.

    Args:
        key: published name, of the encoder alone or of a whole network, e.g. 'utae.inc.double_conv.0.weight'.

    Returns:
        E.g. 'backbone.stages.0.0.weight'.
    """
    key = _PREFIX.sub('', key)
    for pattern, replacement in _NAMES:
        key = re.sub(pattern, replacement, key)
    return key


def unused_stcln_keys(state_dict: Mapping[str, Tensor]) -> list[str]:
    """Published names whose weights nothing here takes: modules that the published code never runs, and the head of
    its pre-training."""
    return [key for key in state_dict if _UNUSED.match(_PREFIX.sub('', key))]


def convert_stcln(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename published weights and check that they are complete.

    Args:
        state_dict: of the encoder (`checkpoint_99.utae.tar`, `checkpoint_99.sttrans.tar`), or of a whole network, that
            of pre-training or that of classification. What `unused_stcln_keys` lists is left out.

    Returns:
        Weights for `TemporalEncoderDecoder`: 'backbone.…' and, of a classification network, 'decode_head.…'.

    Raises:
        ValueError: if keys are missing or unknown, or shapes contradict each other.
    """
    options = stcln_options(state_dict)
    unused = set(unused_stcln_keys(state_dict))
    published = {key: _reshaped(key, value) for key, value in state_dict.items() if key not in unused}
    with torch.device('meta'):
        parts = {name: MODELS.build(config) for name, config in options.items()}
    expected = {
        f'{part}.{key}': value.shape for part, module in parts.items() for key, value in module.state_dict().items()
    }
    return rename_completely(published, rename_stcln_key, expected, 'STCLN')


def stcln_options(state_dict: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    """Configs of the backbone and, of a classification network, of the head that published weights belong to.

    They include the options under which the published numbers come out. Heads and groups cannot be read from weights
    and are eight.

    Args:
        state_dict: as for `convert_stcln`.

    Returns:
        dict(backbone=..., decode_head=...), or the backbone alone.

    Raises:
        ValueError: if these are not weights of an STCLN.
    """
    published = {_PREFIX.sub('', key): value for key, value in state_dict.items()}
    try:
        first = published['inc.double_conv.0.weight']
        second = published['down1.maxpool_conv.0.double_conv.0.weight']
        hidden = published['temporal_encoder.layer_stack.0.linear1.weight']
    except KeyError as error:
        raise ValueError(
            f'not the weights of a published STCLN: no parameter {error}; the first of {len(state_dict)} keys are '
            f'{sorted(state_dict)[:5]}'
        ) from error
    layers = {key.split('.')[2] for key in published if key.startswith('temporal_encoder.layer_stack.')}
    width = second.shape[0]
    backbone = dict(
        type='STCLN',
        in_channels=first.shape[1],
        widths=[first.shape[0], width],
        num_layers=len(layers),
        ffn_ratio=hidden.shape[0] / width,
        positions='order',
        runs_over_padding=True,
    )
    if 'outlinear.weight' not in published:
        return dict(backbone=backbone)
    classes = published['outlinear.weight'].shape[0]
    return dict(backbone=backbone, decode_head=dict(type='STCLNHead', in_channels=width, num_classes=classes))


def _reshaped(key: str, value: Tensor) -> Tensor:
    """Linear maps of the head stand here as such where they were convolutions of 1x1, and the other way round."""
    key = _PREFIX.sub('', key)
    if re.match(r'conv[123]\.weight$', key):
        return value.flatten(1)
    return value[..., None, None] if key == 'outlinear.weight' else value
