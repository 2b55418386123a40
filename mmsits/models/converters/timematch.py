"""Weights of the published TimeMatch (https://github.com/jnyborg/timematch) under the names of this library."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor

from ..layers.day_encoding import OffsetDayEncoding
from .renaming import rename_completely

# Days of a year; what the published table of day encodings has beyond them lies half before and half behind.
_DAYS = 365
_TABLE = re.compile(r'^temporal_encoder\.position(?:al)?_enc\.weight$')
_PARTS = {'spatial_encoder': 'backbone', 'temporal_encoder': 'backbone.encoder', 'decoder': 'decode_head'}
_NAMES = (
    (r'^temporal_encoder\.inconv\.linear\.', 'temporal_encoder.in_proj.0.linear.'),
    (r'^temporal_encoder\.inconv\.norm\.', 'temporal_encoder.in_proj.0.norm.'),
    (r'^temporal_encoder\.inconv\.', 'temporal_encoder.in_proj.'),
    (r'\.inlayernorm\.', '.in_norm.'),
    (r'\.outlayernorm\.', '.out_norm.'),
    (r'\.attention_heads\.fc1_q\.', '.attention.query.'),
    (r'\.attention_heads\.fc1_k\.', '.attention.key.'),
    (r'\.attention_heads\.fc2\.0\.', '.attention.query_norm.'),
    (r'\.attention_heads\.fc2\.1\.', '.attention.query_proj.'),
    (r'\.attention_heads\.', '.attention.'),
    (r'\.gru_cell\.', '.gru.'),
    (r'\.conv1d\.', '.convs.'),
    (r'^temporal_encoder\.linear\.', 'temporal_encoder.mlp.'),
    (r'^decoder\.(\d+)\.(linear|norm)\.', r'decoder.layers.\1.\2.'),
    (r'^decoder\.\d+\.', 'decoder.classifier.'),
)


def rename_timematch_key(key: str) -> str:
    """The name in `TemporalEncoderDecoder` (PixelSetBackbone with MLPHead) of a published parameter.

    Args:
        key: published name, e.g. 'spatial_encoder.mlp1.0.linear.weight'.

    Returns:
        E.g. 'backbone.mlp1.0.linear.weight'.
    """
    for pattern, replacement in _NAMES:
        key = re.sub(pattern, replacement, key)
    part, _, rest = key.partition('.')
    return f'{_PARTS.get(part, part)}.{rest}'


def convert_timematch(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename published weights and check that they are complete.

    The table of day encodings is left out, as this library computes it, after a look whether it is the same.

    Args:
        state_dict: of one of the published networks: a pixel-set encoder with L-TAE, TAE, GRU or TempCNN.

    Returns:
        Weights for `TemporalEncoderDecoder`: 'backbone.…' and 'decode_head.…'.

    Raises:
        ValueError: if keys are missing or unknown, or shapes contradict each other.
    """
    published = {key: value for key, value in state_dict.items() if not _TABLE.match(key)}
    expected = _expected_shapes(timematch_options(state_dict))
    return rename_completely(published, rename_timematch_key, expected, 'TimeMatch network')


def timematch_options(state_dict: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    """Configs of the backbone and the decode head that published weights belong to, read from their shapes.

    Pooling cannot be read from them and is taken as mean and standard deviation, as in all published runs.

    Args:
        state_dict: as for `convert_timematch`.

    Returns:
        dict(backbone=..., decode_head=...).

    Raises:
        ValueError: if these are not weights of a published TimeMatch network.
    """
    try:
        mlp1 = _widths(state_dict, 'spatial_encoder.mlp1.{}.linear.weight')
        mlp2 = _widths(state_dict, 'spatial_encoder.mlp2.{}.linear.weight')
        encoder = {**_encoder_options(state_dict), **_day_encoding_options(state_dict)}
        decoder = _widths(state_dict, 'decoder.{}.linear.weight', hidden=True)
        classes = state_dict[f'decoder.{len(decoder) - 1}.weight'].shape[0]
    except (KeyError, IndexError) as error:
        raise ValueError(
            f'not the weights of a published TimeMatch network: no parameter {error}; the first of {len(state_dict)} '
            f'keys are {sorted(state_dict)[:5]}'
        ) from error
    geometry = mlp2[0] - 2 * mlp1[-1]
    if geometry < 0:
        raise ValueError(
            f'mlp2 takes {mlp2[0]} features, fewer than mean and standard deviation of {mlp1[-1]} have: weights of '
            'another pooling cannot be converted'
        )
    backbone = dict(
        type='PixelSetBackbone',
        in_channels=mlp1[0],
        mlp1=mlp1[1:],
        mlp2=mlp2[1:],
        pooling=['mean', 'std'],
        geometry_channels=geometry,
        encoder=encoder,
    )
    head = dict(type='MLPHead', in_channels=decoder[0], hidden_channels=decoder[1:], num_classes=classes)
    return dict(backbone=backbone, decode_head=head)


def _widths(state: Mapping[str, Tensor], pattern: str, hidden: bool = False) -> list[int]:
    """Widths of consecutive linear layers, the input's first; with `hidden`, of those before a classifier that has no
    norm, which may be none."""
    weights: list[Tensor] = []
    while pattern.format(len(weights)) in state:
        weights.append(state[pattern.format(len(weights))])
    if not weights and hidden:
        return [state['decoder.0.weight'].shape[1]]
    if not weights:
        raise KeyError(pattern.format(0))
    return [weights[0].shape[1], *(weight.shape[0] for weight in weights)]


def _encoder_options(state: Mapping[str, Tensor]) -> dict[str, Any]:
    prefix = 'temporal_encoder.'
    if f'{prefix}attention_heads.query' in state:
        query, key = state[f'{prefix}attention_heads.query'], state[f'{prefix}attention_heads.key.weight']
        projection = state.get(f'{prefix}inconv.linear.weight')
        return dict(
            type='TimeMatchLTAE',
            in_channels=(key if projection is None else projection).shape[1],
            n_head=query.shape[0],
            d_k=query.shape[1],
            d_model=None if projection is None else projection.shape[0],
            mlp=_widths(state, prefix + 'mlp.{}.linear.weight'),
        )
    if f'{prefix}attention_heads.fc1_k.weight' in state:
        key = state[f'{prefix}attention_heads.fc1_k.weight']
        mlp = _sequential_widths(state, f'{prefix}mlp.')
        heads = mlp[0] // key.shape[1]
        return dict(
            type='TAE',
            in_channels=state[f'{prefix}inlayernorm.weight'].shape[0],
            n_head=heads,
            d_k=key.shape[0] // heads,
            d_model=key.shape[1] if f'{prefix}inconv.weight' in state else None,
            mlp=mlp,
        )
    if f'{prefix}gru_cell.weight_ih_l0' in state:
        weight = state[f'{prefix}gru_cell.weight_ih_l0']
        return dict(type='SeriesGRU', in_channels=weight.shape[1], hidden_channels=weight.shape[0] // 3)
    first = state[f'{prefix}conv1d.0.weight']
    convs, mlp = _sequential_widths(state, f'{prefix}conv1d.'), _sequential_widths(state, f'{prefix}linear.')
    return dict(
        type='TempCNN',
        in_channels=first.shape[1],
        conv_channels=convs[1:],
        mlp=mlp[1:],
        length=mlp[0] // convs[-1],
        kernel_size=first.shape[2],
    )


def _sequential_widths(state: Mapping[str, Tensor], prefix: str) -> list[int]:
    """Widths of the layers of a `Sequential` of layer, norm and ReLU, the input's first."""
    names = re.compile(re.escape(prefix) + r'(\d+)\.weight')
    numbers = sorted(int(match[1]) for match in map(names.fullmatch, state) if match)
    weights = [state[f'{prefix}{number}.weight'] for number in numbers]
    layers = [weight for weight in weights if weight.ndim > 1]  # norms have one dimension
    return [layers[0].shape[1], *(layer.shape[0] for layer in layers)]


def _day_encoding_options(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Period and offset of the published table of day encodings, checked; the published ones where there is no table.

    Raises:
        ValueError: if the table is none that `OffsetDayEncoding` could have made.
    """
    table = next((value for key, value in state.items() if _TABLE.match(key)), None)
    if table is None:
        return dict(period=1000.0, day_offset=100)
    rows, width = table.shape
    offset = (rows - _DAYS) // 2
    period = _period_of(table)
    computed = OffsetDayEncoding(width, period, offset)(torch.arange(rows) - offset)
    if not torch.allclose(computed, table, rtol=0, atol=1e-3):
        raise ValueError(
            f'the table of day encodings ({rows} x {width}) differs from the published formula (period {period:g} '
            f'days, {offset} days of margin) by up to {float((computed - table).abs().max()):.3g}'
        )
    return dict(period=period, day_offset=offset)


def _period_of(table: Tensor) -> float:
    """The period that a table of day encodings was made with, to the day; nonsense where it is no such table."""
    width = table.shape[1]
    if len(table) < 2 or width < 4:
        return 1000.0
    # Row 1 holds sine and cosine of the second frequency, period ** (-2 / width).
    angle = max(math.atan2(float(table[1, 2]), float(table[1, 3])), 1e-6)
    return float(round(math.exp(min(-width / 2 * math.log(angle), 20.0))))


def _expected_shapes(options: Mapping[str, dict[str, Any]]) -> dict[str, torch.Size]:
    with torch.device('meta'):
        parts = {name: MODELS.build(config) for name, config in options.items()}
    return {
        f'{part}.{key}': value.shape for part, module in parts.items() for key, value in module.state_dict().items()
    }
