"""Weights of the published U-TAE (https://github.com/VSainteuf/utae-paps) under the names of this library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor

from .renaming import rename_completely

_PANOPTIC_PREFIX = 'encoder.'
# The published names say `conv` for every container; attention and projection have names of their own.
_NAMES = (
    (r'(?<![^.])(?:conv\.)+', ''),
    (r'^temporal_encoder\.inconv\.', 'temporal_encoder.in_proj.'),
    (r'^temporal_encoder\.attention_heads\.Q$', 'temporal_encoder.attention.query'),
    (r'^temporal_encoder\.attention_heads\.fc1_k\.', 'temporal_encoder.attention.key.'),
)


def rename_utae_key(key: str) -> str:
    """The name in `TemporalEncoderDecoder` (UTAE with UTAEHead) of a published parameter.

    Args:
        key: published name, e.g. 'down_blocks.0.conv1.conv.0.weight'.

    Returns:
        E.g. 'backbone.down_blocks.0.conv1.0.weight'.
    """
    for pattern, replacement in _NAMES:
        key = re.sub(pattern, replacement, key)
    return ('decode_head.' if key.startswith('out_conv.') else 'backbone.') + key


def convert_utae(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename published weights and check that they are complete.

    Args:
        state_dict: of the published semantic network, or of the panoptic one (U-TAE under the prefix 'encoder.'; its
            head PaPs is left out, and so are the last two convolutions, which the panoptic network never trains).

    Returns:
        Weights for `TemporalEncoderDecoder`: 'backbone.…' and, of a semantic network, 'decode_head.…'.

    Raises:
        ValueError: if keys are missing or unknown, or shapes contradict each other.
    """
    published, panoptic = _published_utae(state_dict)
    if panoptic:
        published = {key: value for key, value in published.items() if not key.startswith('out_conv.')}
    expected = _expected_shapes(utae_options(state_dict), panoptic)
    return rename_completely(published, rename_utae_key, expected, 'U-TAE')


def utae_options(state_dict: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    """Configs of the backbone and the decode head that published weights belong to, read from their shapes.

    The stride cannot be read from them and is taken as 2, `padding_mode` is left at its default.

    Args:
        state_dict: as for `convert_utae`.

    Returns:
        dict(backbone=..., decode_head=...).

    Raises:
        ValueError: if these are not weights of a U-TAE.
    """
    published, _ = _published_utae(state_dict)
    try:
        stages = 1 + len({key.split('.')[1] for key in published if key.startswith('down_blocks.')})
        first = published['in_conv.conv.conv.0.weight']
        query = published['temporal_encoder.attention_heads.Q']
        enc = [first.shape[0]]
        enc += [published[f'down_blocks.{i}.conv1.conv.0.weight'].shape[0] for i in range(stages - 1)]
        dec = [published[f'up_blocks.{i}.up.0.weight'].shape[1] for i in range(stages - 2, -1, -1)] + [enc[-1]]
        kernel = published['up_blocks.0.up.0.weight'].shape[-1]
        hidden = published['out_conv.conv.conv.0.weight'].shape[0]
        classes = published['out_conv.conv.conv.3.weight'].shape[0]
        d_model = published['temporal_encoder.mlp.0.weight'].shape[1]
    except KeyError as error:
        raise ValueError(
            f'not the weights of a published U-TAE: no parameter {error}; the first of {len(state_dict)} keys are '
            f'{sorted(state_dict)[:5]}'
        ) from error
    backbone = dict(
        type='UTAE',
        in_channels=first.shape[1],
        encoder_widths=enc,
        decoder_widths=dec,
        str_conv_k=kernel,
        str_conv_s=2,
        str_conv_p=(kernel - 2) // 2,
        encoder_norm=_norm_of(published),
        n_head=query.shape[0],
        d_k=query.shape[1],
        d_model=d_model if 'temporal_encoder.inconv.weight' in published else None,
    )
    return dict(
        backbone=backbone, decode_head=dict(type='UTAEHead', in_channels=dec[0], channels=hidden, num_classes=classes)
    )


def _published_utae(state_dict: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], bool]:
    """The U-TAE's own entries, and whether they come from the panoptic network."""
    panoptic = any(key.startswith(_PANOPTIC_PREFIX) for key in state_dict)
    if not panoptic:
        return dict(state_dict), False
    length = len(_PANOPTIC_PREFIX)
    return {key[length:]: value for key, value in state_dict.items() if key.startswith(_PANOPTIC_PREFIX)}, True


def _norm_of(published: Mapping[str, Tensor]) -> str | None:
    if 'in_conv.conv.conv.1.running_mean' in published:
        return 'batch'
    if 'in_conv.conv.conv.1.bias' in published:
        # Without a norm the second convolution has index 2, with an instance norm index 3, and no index 1 either way.
        return 'group'
    return 'instance' if 'in_conv.conv.conv.3.weight' in published else None


def _expected_shapes(options: Mapping[str, dict[str, Any]], panoptic: bool) -> dict[str, torch.Size]:
    # Shapes do not depend on the aggregation mode, which weights do not tell; 'mean' goes with all widths.
    options = {**options, 'backbone': {**options['backbone'], 'agg_mode': 'mean'}}
    with torch.device('meta'):
        parts = {name: MODELS.build(config) for name, config in options.items()}
    if panoptic:
        del parts['decode_head']
    return {
        f'{part}.{key}': value.shape for part, module in parts.items() for key, value in module.state_dict().items()
    }
