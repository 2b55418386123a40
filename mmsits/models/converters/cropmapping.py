"""Weights of CropMapping's published networks (Rangzan and Ramezanpour) under the names of this library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor

from .renaming import rename_completely

_WRAPPED = 'dualunet3d.'
_UNUSED = 'dualunet3d.final_conv.'


def rename_cropmapping_key(key: str) -> str:
    """The name in `TemporalEncoderDecoder` (SiameseUNet3D with MultiLabelHead) of a published parameter.

    Args:
        key: published name, of the pre-trained or of the fine-tuned network, e.g. 'unet3d_s1.unet.ups.1.conv.0.weight'.

    Returns:
        E.g. 'backbone.streams.s1.unet.up_blocks.0.0.weight'.
    """
    key = key.removeprefix(_WRAPPED)
    if key.startswith('final_conv.'):
        name = key.removeprefix('final_conv.')
        if not name.startswith('conv.'):
            return f'decode_head.conv_seg.{name}'
        index, entry = name.split('.')[1:]
        return f'decode_head.conv_seg.{entry}' if index == '3' else f'decode_head.hidden.{index}.{entry}'
    key = re.sub(r'^unet3d_', 'backbone.streams.', key)
    key = re.sub(r'\.ups\.(\d+)\.', _renamed_up, key)
    return key.replace('.conv3d.', '.collapse.').replace('.downs.', '.down_blocks.').replace('.conv.', '.')


def _renamed_up(match: re.Match) -> str:
    """Transposed convolutions and double convolutions alternate in one published list."""
    level, kind = divmod(int(match[1]), 2)
    return f'.{("up_convs", "up_blocks")[kind]}.{level}.'


def convert_cropmapping(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename published weights and check that they are complete.

    Args:
        state_dict: of DualUNet3D (pre-trained, `StateDict_epoch11_EU.pth`) or of IranCropModel (fine-tuned), whose old
            head, which it keeps and does not use, is left out.

    Returns:
        Weights for `TemporalEncoderDecoder`: 'backbone.…' and 'decode_head.…'.

    Raises:
        ValueError: if keys are missing or unknown, or shapes contradict each other.
    """
    published = {key: value for key, value in state_dict.items() if not key.startswith(_UNUSED)}
    with torch.device('meta'):
        parts = {name: MODELS.build(config) for name, config in cropmapping_options(state_dict).items()}
    expected = {f'{part}.{key}': v.shape for part, module in parts.items() for key, v in module.state_dict().items()}
    return rename_completely(published, rename_cropmapping_key, expected, 'CropMapping network')


def cropmapping_options(state_dict: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    """Configs of the backbone and the decode head that published weights belong to, read from their shapes.

    The head's classes are the published outputs and 'none of them' behind.

    Args:
        state_dict: as for `convert_cropmapping`.

    Returns:
        dict(backbone=..., decode_head=...).

    Raises:
        ValueError: if these are not weights of CropMapping.
    """
    fine_tuned = any(key.startswith(_WRAPPED) for key in state_dict)
    stream = (_WRAPPED if fine_tuned else '') + 'unet3d_s{}.'
    try:
        bands = {f's{number}': state_dict[stream.format(number) + 'conv3d.conv.0.weight'].shape[1] for number in (1, 2)}
        dates = state_dict[stream.format(1) + 'conv3d.conv.3.weight'].shape[2]
        width = state_dict[stream.format(1) + 'unet.downs.0.conv.0.weight'].shape[0]
        last = state_dict['final_conv.conv.3.weight' if fine_tuned else 'final_conv.weight']
        hidden = state_dict['final_conv.conv.0.weight'].shape[0] if fine_tuned else None
    except KeyError as error:
        raise ValueError(
            f'not the weights of a published CropMapping network: no parameter {error}; the first of {len(state_dict)} '
            f'keys are {sorted(state_dict)[:5]}'
        ) from error
    head = dict(type='MultiLabelHead', in_channels=2 * width, num_classes=last.shape[0] + 1, hidden_channels=hidden)
    return dict(backbone=dict(type='SiameseUNet3D', in_channels=bands, num_dates=dates, width=width), decode_head=head)
