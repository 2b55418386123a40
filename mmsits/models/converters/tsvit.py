"""Weights of the published TSViT and its variants (https://github.com/michaeltrs/DeepSatModels) under the names of this
library."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor

from .renaming import rename_completely

_LAYERS = (
    (r'^(?:space)_transformer\.', 'backbone.spatial_transformer.'),
    (r'^temporal_transformer\.', 'backbone.temporal_transformer.'),
    (r'\.0\.norm\.', '.attention_norm.'),
    (r'\.0\.fn\.to_qkv\.', '.query_key_value.'),
    (r'\.0\.fn\.to_out\.0\.', '.attention_proj.'),
    (r'\.1\.norm\.', '.mlp_norm.'),
    (r'\.1\.fn\.net\.', '.mlp.'),
    (r'^to_patch_embedding\.1\.', 'backbone.patch_embedding.'),
    (r'^to_temporal_embedding_input\.', 'backbone.date_embedding.table.'),
    (r'^temporal_pos_embedding$', 'backbone.date_embedding.table'),
    (r'^(space_pos|pos)_embedding$', 'backbone.place_embedding'),
    (r'^mlp_head\.0\.', 'decode_head.norm.'),
    (r'^mlp_head\.1\.', 'decode_head.classifier.'),
)
# Tables that follow from others.
_COMPUTED = ('train_dates', 'eval_dates', 'inference_temporal_pos_embedding')


def rename_tsvit_key(key: str) -> str:
    """The name in `TemporalEncoderDecoder` (TSViT with TSViTHead) of a published parameter.

    Args:
        key: published name, e.g. 'temporal_transformer.layers.0.0.fn.to_qkv.weight'.

    Returns:
        E.g. 'backbone.temporal_transformer.layers.0.query_key_value.weight'.
    """
    key = key.removeprefix('module.')
    if key == 'temporal_token':
        return 'backbone.class_token'
    if key == 'space_token':
        return 'backbone.image_token'
    for pattern, replacement in _LAYERS:
        key = re.sub(pattern, replacement, key)
    return key


def convert_tsvit(
    state_dict: Mapping[str, Tensor], options: Mapping[str, dict[str, Any]] | None = None
) -> dict[str, Tensor]:
    """Rename published weights and check that they are complete.

    A token that some variants allocate and never use, and tables that follow from others, are left out.

    Args:
        state_dict: of the published network, or of one of its variants.
        options: configs of backbone and head; default those that `tsvit_options` reads from the weights.

    Returns:
        Weights for `TemporalEncoderDecoder`: 'backbone.…' and 'decode_head.…'.

    Raises:
        ValueError: if keys are missing or unknown, or shapes contradict each other.
    """
    options = tsvit_options(state_dict) if options is None else options
    unused = set(_COMPUTED) if options['backbone'].get('whole_image') else {*_COMPUTED, 'space_token'}
    published = {key: value for key, value in state_dict.items() if key.removeprefix('module.') not in unused}
    with torch.device('meta'):
        parts = {name: MODELS.build(config) for name, config in options.items()}
    expected = {
        f'{part}.{key}': value.shape for part, module in parts.items() for key, value in module.state_dict().items()
    }
    space_first = options['backbone']['type'] == 'STViT'

    def rename(key: str) -> str:
        renamed = rename_tsvit_key(key)
        return renamed.replace('.class_token', '.time_token') if space_first else renamed

    return rename_completely(published, rename, expected, 'TSViT')


def tsvit_options(
    state_dict: Mapping[str, Tensor], image_size: int = 24, num_heads: int = 4
) -> dict[str, dict[str, Any]]:
    """Configs of the backbone and the decode head that published weights belong to, read from their shapes.

    They include the options under which the published numbers come out. `first_day`, which no weight tells, is left at
    its default: set it to the day of the year of the model's reference date.

    Args:
        state_dict: of the published network, or of one of its variants.
        image_size: side of the images that it was trained on, in pixels.
        num_heads: its heads; their width follows.

    Returns:
        dict(backbone=..., decode_head=...).

    Raises:
        ValueError: if these are not weights of a TSViT, or contradict `image_size` or `num_heads`.
    """
    published = {key.removeprefix('module.'): value for key, value in state_dict.items()}
    try:
        dim, patch_inputs = published['to_patch_embedding.1.weight'].shape
        token, outputs = published['temporal_token'], published['mlp_head.1.weight'].shape[0]
        qkv = published['temporal_transformer.layers.0.0.fn.to_qkv.weight'].shape[0]
        hidden = published['temporal_transformer.layers.0.1.fn.net.0.weight'].shape[0]
    except KeyError as error:
        raise ValueError(
            f'not the weights of a published TSViT: no parameter {error}; the first of {len(state_dict)} keys are '
            f'{sorted(state_dict)[:5]}'
        ) from error
    if qkv % (3 * num_heads):
        raise ValueError(f'num_heads: {num_heads} heads do not share projections of {qkv // 3} channels')
    patch_size = _patch_size(published, image_size, outputs)
    space_first, class_tokens = 'pos_embedding' in published, token.shape[1] > 1
    backbone: dict[str, Any] = dict(
        patch_size=patch_size,
        image_size=image_size,
        dim=dim,
        temporal_depth=_depth(published, 'temporal_transformer'),
        num_heads=num_heads,
        head_channels=qkv // (3 * num_heads),
        mlp_ratio=hidden / dim,
        runs_over_padding=True,
    )
    if 'space_transformer.norm.weight' in published:
        backbone['spatial_depth'] = _depth(published, 'space_transformer')
    num_classes = token.shape[1] if class_tokens else outputs // patch_size**2
    if space_first:
        backbone |= dict(
            type='STViT', in_channels=patch_inputs // patch_size**2 - 1, num_dates=published['pos_embedding'].shape[1]
        )
    else:
        backbone |= dict(type='TSViT', in_channels=patch_inputs // patch_size**2, num_classes=num_classes)
        backbone |= dict(cut_days=True, class_tokens=class_tokens, **_variant(published, outputs))
    head = dict(
        type='TSViTHead',
        in_channels=dim,
        num_classes=num_classes,
        patch_size=1 if backbone.get('whole_image') else patch_size,
        class_tokens=class_tokens,
        writes_patches_as_rows=True,
    )
    return dict(backbone=backbone, decode_head=head)


def _variant(published: Mapping[str, Tensor], outputs: int) -> dict[str, Any]:
    """What tells the variants of TSViT apart."""
    options: dict[str, Any] = {}
    table = published.get('temporal_pos_embedding')
    if 'train_dates' in published:
        options |= dict(date_encoding='training_days', training_days=published['train_dates'].tolist())
    elif table is not None:
        options |= dict(date_encoding='place', num_dates=table.shape[1])
    else:
        options['num_days'] = published['to_temporal_embedding_input.weight'].shape[1]
    if 'space_transformer.norm.weight' not in published:
        options['spatial_attention'] = None
    elif outputs == 1:
        options['whole_image'] = True
    elif 'space_token' in published and 'train_dates' not in published:
        # Allocated by mistake in this variant and in that with training days.
        options['spatial_attention'] = 'across_classes'
    return options


def _patch_size(published: Mapping[str, Tensor], image_size: int, outputs: int) -> int:
    places = published.get('space_pos_embedding', published.get('pos_embedding'))
    if places is None:
        return math.isqrt(outputs)
    grid = math.isqrt(places.shape[-2])
    if image_size % grid:
        raise ValueError(f'image_size: {image_size} pixels do not hold {grid} patches in a row')
    return image_size // grid


def _depth(published: Mapping[str, Tensor], part: str) -> int:
    return len({key.split('.')[2] for key in published if key.startswith(f'{part}.layers.')})
