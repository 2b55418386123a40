"""Weights of the published SITS-MoCo (https://github.com/YXu556/SITS-MoCo) under the names of this library: STNet and
its rivals, pre-trained or trained with labels."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor

from .renaming import rename_completely

MEAN = (0.147, 0.169, 0.186, 0.221, 0.273, 0.297, 0.308, 0.316, 0.256, 0.188)
"""Mean of the bands B02 to B12 that the published networks take, as reflectance."""
STD = (0.227, 0.219, 0.222, 0.220, 0.200, 0.193, 0.192, 0.182, 0.123, 0.106)
"""Standard deviation of these."""

_TABLE = re.compile(r'(^|\.)position_enc\.(pe|weight)$')
_QUERY, _KEY = 'encoder_q.', 'encoder_k.'
_NAMES = (
    (r'^mlp1\.(\d+)\.lin\.', r'embed.\1.linear.'),
    (r'^mlp1\.(\d+)\.bn\.', r'embed.\1.norm.'),
    (r'^inlayernorm\.', 'in_norm.'),
    (r'^(?:out|c)layernorm\.', 'out_norm.'),
    (r'^transformerencoder\.norm\.', 'out_norm.'),
    (r'^transformerencoder\.layers\.(\d+)\.self_attn\.in_proj_', r'layers.\1.query_key_value.'),
    (r'^transformerencoder\.layers\.(\d+)\.self_attn\.out_proj\.', r'layers.\1.attention_proj.'),
    (r'^transformerencoder\.layers\.(\d+)\.linear1\.', r'layers.\1.mlp.0.'),
    (r'^transformerencoder\.layers\.(\d+)\.linear2\.', r'layers.\1.mlp.3.'),
    (r'^transformerencoder\.layers\.(\d+)\.norm1\.', r'layers.\1.attention_norm.'),
    (r'^transformerencoder\.layers\.(\d+)\.norm2\.', r'layers.\1.mlp_norm.'),
    (r'^inconv\.0\.', 'in_proj.'),
    (r'^inconv\.1\.', 'series_norm.'),
    (r'^attention_heads\.Q$', 'attention.query'),
    (r'^attention_heads\.fc1_k\.', 'attention.key.'),
    (r'^mlp2\.0\.', 'mlp.0.linear.'),
    (r'^mlp2\.1\.', 'mlp.0.norm.'),
    (r'^dense\.block\.', 'mlp.'),
)
# A convolution of TempCNN, its batch norm, activation and dropout stand in a row here.
_CONVOLUTION = re.compile(r'^conv_bn_relu(\d+)\.block\.(\d+)\.')
_CLASSIFIER = (
    (r'^decoder\.([03])\.', lambda found: f'layers.{int(found[1]) // 3}.linear.'),
    (r'^decoder\.([14])\.', lambda found: f'layers.{int(found[1]) // 3}.norm.'),
    (r'^decoder\.6\.', 'classifier.'),
    (r'^decoder\.', 'classifier.'),
)


def rename_sitsmoco_key(key: str) -> str:
    """The name here of a published parameter: in `SeriesMoCo` for those of the pre-training, else in
    `TemporalEncoderDecoder` (PixelwiseBackbone with MLPHead).

    Args:
        key: published name, e.g. 'mlp1.0.lin.weight' or 'encoder_q.mlp1.0.lin.weight'.

    Returns:
        E.g. 'backbone.encoder.embed.0.linear.weight'.
    """
    if key == 'queue_ptr':
        return 'queue_pointer'
    for prefix, part in ((_QUERY, ''), (_KEY, 'key_')):
        if key.startswith(prefix):
            return _rename_of_moco(key.removeprefix(prefix), part)
    if key.startswith('decoder.'):
        for pattern, replacement in _CLASSIFIER:
            renamed, found = re.subn(pattern, replacement, key)
            if found:
                return f'decode_head.{renamed}'
    return key if key == 'queue' else f'backbone.encoder.{_rename_of_encoder(key)}'


def _rename_of_moco(key: str, part: str) -> str:
    if not key.startswith('decoder.'):
        return f'{part}backbone.encoder.{_rename_of_encoder(key)}'
    # The linear head of MoCo v1 has no number.
    rest = key.removeprefix('decoder.')
    return f'{part}projector.{rest if rest[0].isdigit() else f"0.{rest}"}'


def _rename_of_encoder(key: str) -> str:
    found = _CONVOLUTION.match(key)
    if found:
        return f'convs.{4 * (int(found[1]) - 1) + int(found[2])}.{key[found.end() :]}'
    for pattern, replacement in _NAMES:
        key = re.sub(pattern, replacement, key)
    return key


def convert_sitsmoco(state_dict: Mapping[str, Tensor], stnet: bool = True) -> dict[str, Tensor]:
    """Rename published weights and check that they are complete.

    The tables of day encodings are left out, as this library computes them. An STNet gets the published normalisation,
    which it weighs dates by.

    Args:
        state_dict: of a published network, or of a pre-training (keys 'encoder_q.…', 'encoder_k.…', 'queue').
        stnet: whether weights that may be of STNet or of the Transformer are STNet's. Those of a pre-training are
            always the Transformer's.

    Returns:
        Weights for `TemporalEncoderDecoder` ('backbone.…' and 'decode_head.…'), or for `SeriesMoCo`.

    Raises:
        ValueError: if keys are missing or unknown, or shapes contradict each other.
    """
    published = {key: value for key, value in state_dict.items() if not _TABLE.search(key)}
    options = sitsmoco_options(state_dict, stnet)
    expected = _expected_shapes(options)
    held = {key: value for key, value in expected.items() if '.weighting.' not in key}
    converted = rename_completely(published, rename_sitsmoco_key, held, 'SITS-MoCo network')
    if len(held) < len(expected):
        for name, values in (('mean', MEAN), ('std', STD)):
            converted[f'backbone.encoder.weighting.{name}'] = torch.tensor(values) * 1e4
    return converted


def sitsmoco_options(state_dict: Mapping[str, Tensor], stnet: bool = True) -> dict[str, Any]:
    """Configs of the parts that published weights belong to, read from their shapes.

    The number of heads of the Transformer's attention cannot be read from them: 16, or as many as there are pairs of
    channels, if fewer. Options say how the published networks treat padding.

    Args:
        state_dict: as for `convert_sitsmoco`.
        stnet: as for `convert_sitsmoco`.

    Returns:
        dict(backbone=…, decode_head=…), or dict(type='SeriesMoCo', backbone=…, …) for a pre-training.

    Raises:
        ValueError: if these are not weights of a published network.
    """
    moco = any(key.startswith(_QUERY) for key in state_dict)
    state = {key.removeprefix(_QUERY): value for key, value in state_dict.items() if key.startswith(_QUERY)}
    state = state if moco else dict(state_dict)
    try:
        encoder = _encoder_options(state, stnet and not moco)
        backbone = dict(type='PixelwiseBackbone', in_channels=encoder['in_channels'], encoder=encoder)
        if moco:
            return _moco_options(state_dict, backbone)
        return dict(backbone=backbone, decode_head=_head_options(state))
    except (KeyError, ValueError) as error:
        raise ValueError(
            f'not the weights of a published SITS-MoCo network: no parameter {error}; the first of {len(state_dict)} '
            f'keys are {sorted(state_dict)[:5]}'
        ) from error


def _encoder_options(state: Mapping[str, Tensor], stnet: bool) -> dict[str, Any]:
    if 'lstm.weight_ih_l0' in state:
        gates, bands = state['lstm.weight_ih_l0'].shape
        layers = len([key for key in state if re.fullmatch(r'lstm\.weight_ih_l\d+', key)])
        return dict(
            type='SeriesLSTM',
            in_channels=bands,
            hidden_channels=gates // 4,
            num_layers=layers,
            dropout=0.2,
            bias=False,
            states='all_cells',
            layer_norms=True,
            positional_encoding=False,
            zeros_where_invalid=True,
        )
    if 'dense.block.0.weight' in state:
        widths = [state[f'conv_bn_relu{number}.block.0.weight'].shape for number in (1, 2, 3)]
        dense = state['dense.block.0.weight'].shape
        return dict(
            type='TempCNN',
            in_channels=widths[0][1],
            conv_channels=[width[0] for width in widths],
            mlp=[dense[0]],
            length=dense[1] // widths[-1][0],
            kernel_size=widths[0][2],
            dropout=0.2,
            positional_encoding=False,
            zeros_where_invalid=True,
        )
    embed = [state['mlp1.0.lin.weight'].shape[1]]
    while f'mlp1.{len(embed) - 1}.lin.weight' in state:
        embed.append(state[f'mlp1.{len(embed) - 1}.lin.weight'].shape[0])
    if 'attention_heads.Q' in state:
        heads, d_k = state['attention_heads.Q'].shape
        d_model, length = state['inconv.1.weight'].shape
        return dict(
            type='SITSMoCoLTAE',
            in_channels=embed[0],
            embed_channels=embed[1:],
            n_head=heads,
            d_k=d_k,
            d_model=d_model,
            mlp=[state['mlp2.0.weight'].shape[0]],
            length=length,
            zeros_where_invalid=True,
        )
    first = state['transformerencoder.layers.0.linear1.weight']
    numbers = {key.split('.')[2] for key in state if key.startswith('transformerencoder.layers.')}
    return dict(
        type='STNet' if stnet else 'PostNormTransformer',
        in_channels=embed[0],
        embed_channels=embed[1:-1],
        d_model=embed[-1],
        n_head=min(16, embed[-1] // 2),
        num_layers=len(numbers),
        hidden_channels=first.shape[0],
        padding_in_norms=True,
    )


def _head_options(state: Mapping[str, Tensor]) -> dict[str, Any]:
    if 'decoder.weight' in state:
        classes, width = state['decoder.weight'].shape
        return dict(type='MLPHead', in_channels=width, hidden_channels=(), num_classes=classes)
    hidden = (state['decoder.0.weight'].shape[0], state['decoder.3.weight'].shape[0])
    return dict(
        type='MLPHead',
        in_channels=state['decoder.0.weight'].shape[1],
        hidden_channels=hidden,
        num_classes=state['decoder.6.weight'].shape[0],
        hidden_bias=True,
    )


def _moco_options(state_dict: Mapping[str, Tensor], backbone: dict[str, Any]) -> dict[str, Any]:
    dim, size = state_dict['queue'].shape
    return dict(
        type='SeriesMoCo', backbone=backbone, dim=dim, queue_size=size, mlp=f'{_QUERY}decoder.2.weight' in state_dict
    )


def _expected_shapes(options: Mapping[str, Any]) -> dict[str, torch.Size]:
    with torch.device('meta'):
        parts = {'': MODELS.build(options)} if 'type' in options else {k: MODELS.build(v) for k, v in options.items()}
    shapes = {
        f'{part}.{key}'.lstrip('.'): value.shape
        for part, module in parts.items()
        for key, value in module.state_dict().items()
    }
    return {key: shape for key, shape in shapes.items() if not key.startswith('data_preprocessor.')}
