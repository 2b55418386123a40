"""Weights of the published SL-GT2Net (https://github.com/RSIP-NJUPT/SL-GT2Net, on mmsegmentation 0.x) under the names
of this library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor

from .renaming import rename_completely

# Segmentors keep the network here; its head has no weights.
_PREFIX = 'backbone.'
# Channels of one head at all levels of the published configs, which have three sizes of windows. Weights tell neither;
# their shapes do not depend on the heads.
_HEAD_CHANNELS = 32
_NAMES = (
    (r'^seg_head\.0\.', 'decode_head.conv_seg.'),
    (r'^layers\.', 'stages.'),
    (r'^layers_up\.', 'up_stages.'),
    (r'\.cpe\.proj\.0\.', '.position.'),
    (r'\.glb_kv\.', '.pooling.'),
    (r'\.mlp\.fc1\.', '.mlp.0.'),
    (r'\.mlp\.fc2\.', '.mlp.3.'),
    (r'\.relative_position_bias_params_', '.relative_bias.'),
    (r'^patch_embeds\.0\.proj\.', 'stem.'),
    (r'^patch_embeds\.(\d+)\.conv_down\.conv\.', r'merges.\1.refinement.'),
    (r'^patch_embeds\.(\d+)\.conv_down\.', r'merges.\1.'),
    (r'^transpose_convs\.', 'upsamplings.'),
    (r'^cat_back_dims\.(\d+)\.0\.', r'fusions.\1.'),
    (r'^up_x4\.', 'to_full_size.'),
    (r'^abs_pos_embeds\.', 'positions.'),
    (r'^abs_pos_embeds_up\.', 'up_positions.'),
)
# Made, but not run unless an option asks for it: option -> where its weights are.
_OPTIONAL = {'channel_refinement': '.refinement.', 'absolute_positions': 'positions.'}


def rename_slgt2net_key(key: str) -> str:
    """The name in `TemporalEncoderDecoder` (SLGT2Net with ConvHead) of a published parameter.

    Args:
        key: published name with or without the segmentor's prefix, e.g. 'backbone.patch_embeds.0.proj.weight'.

    Returns:
        E.g. 'backbone.stem.weight'.
    """
    key = key.removeprefix(_PREFIX)
    for pattern, replacement in _NAMES:
        key = re.sub(pattern, replacement, key)
    return key if key.startswith('decode_head.') else _PREFIX + key


def convert_slgt2net(
    state_dict: Mapping[str, Tensor], options: Mapping[str, dict[str, Any]] | None = None
) -> dict[str, Tensor]:
    """Rename published weights and check that they are complete.

    The published network allocates blocks of channel refinement and tables of positions that it does not run; they are
    left out unless the options say `channel_refinement=True` or `absolute_positions=True`.

    Args:
        state_dict: of the published segmentor, or of its backbone alone.
        options: configs of backbone and head; default those that `slgt2net_options` reads from the weights.

    Returns:
        Weights for `TemporalEncoderDecoder`: 'backbone.…' and 'decode_head.…'.

    Raises:
        ValueError: if keys are missing or unknown, or shapes contradict each other.
    """
    options = slgt2net_options(state_dict) if options is None else options
    unused = [place for option, place in _OPTIONAL.items() if not options['backbone'].get(option)]
    published = {}
    for key, value in state_dict.items():
        # The index follows from the windows, and is computed.
        if 'relative_position_index' in key or any(place in rename_slgt2net_key(key) for place in unused):
            continue
        # The classifier stands behind the mean over time here, and so has no time.
        published[key] = value.squeeze(2) if 'seg_head' in key and value.ndim == 5 else value
    return rename_completely(published, rename_slgt2net_key, _expected_shapes(options), 'SL-GT2Net')


def slgt2net_options(state_dict: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    """Configs of the backbone and the decode head that published weights belong to.

    What the weights do not tell is taken from the published configs: heads of 32 channels, sizes of windows, no
    sparsity, dates padded by reflection.

    Args:
        state_dict: as for `convert_slgt2net`.

    Returns:
        dict(backbone=..., decode_head=...).

    Raises:
        ValueError: if these are not weights of a published SL-GT2Net.
    """
    published = {key.removeprefix(_PREFIX): value for key, value in state_dict.items()}
    try:
        stem = published['patch_embeds.0.proj.weight']
        levels = 1 + max(int(match[1]) for match in map(re.compile(r'layers\.(\d+)\.').match, published) if match)
        dims = [published[f'layers.{i}.cpe.proj.0.weight'].shape[0] for i in range(levels)]
        depths = [
            len({key.split('.')[3] for key in published if key.startswith(f'layers.{i}.blocks.')})
            for i in range(levels)
        ]
        hidden = [published[f'layers.{i}.blocks.0.mlp.fc1.weight'].shape[0] for i in range(levels)]
        kernel = published['patch_embeds.0.conv_down.reduction.weight'].shape[2]
        classes = published['seg_head.0.weight'].shape[0]
    except (KeyError, ValueError) as error:
        raise ValueError(
            f'not the weights of a published SL-GT2Net: no parameter {error}; the first of {len(state_dict)} keys are '
            f'{sorted(state_dict)[:5]}'
        ) from error
    trimmed = kernel - 1 if kernel > 3 else 0
    backbone: dict[str, Any] = dict(
        type='SLGT2Net',
        in_channels=stem.shape[1],
        embed_dims=dims,
        depths=depths,
        num_heads=[dim // _HEAD_CHANNELS if dim % (3 * _HEAD_CHANNELS) == 0 else 3 for dim in dims],
        mlp_ratios=[width / dim for width, dim in zip(hidden, dims, strict=True)],
        qkv_bias='layers.0.blocks.0.attn.qkv.bias' in published,
        relative_positions='layers.0.blocks.0.attn.relative_position_bias_params_0' in published,
        length=_length_of(published, trimmed),
        trimmed_steps=trimmed,
        fit_dates='reflect',
    )
    if trimmed:
        backbone['window_lengths'] = [[8, 4, 2], [8, 4, 2], [4, 4, 2], [2, 2, 2]]
    if 'layers.0.blocks.0.gamma1' in published:
        backbone['layer_scale'] = 1.0  # a first value only, which the weights replace
    return dict(
        backbone=backbone, decode_head=dict(type='ConvHead', in_channels=dims[0], num_classes=classes, kernel_size=1)
    )


def _length_of(published: Mapping[str, Tensor], trimmed: int) -> int:
    """Number of steps: the unused tables of positions tell it, for patches of 224 x 224 pixels, 56 x 56 positions."""
    table = published.get('abs_pos_embeds.0')
    if table is None:
        return 48 if trimmed else 16
    # The unfinished settings for PASTIS-R (80 steps) have tables of 40 steps, which forget that some are taken off.
    return {8: 16, 16: 48, 40: 80}.get(table.shape[1] // 56**2, 48 if trimmed else 16)


def _expected_shapes(options: Mapping[str, dict[str, Any]]) -> dict[str, torch.Size]:
    with torch.device('meta'):
        parts = {name: MODELS.build(config) for name, config in options.items()}
    return {
        f'{part}.{key}': value.shape for part, module in parts.items() for key, value in module.state_dict().items()
    }
