"""Checks of the recurrent baselines of U-TAE: U-ConvLSTM, ConvLSTM, ConvGRU, FPN with ConvLSTM."""

from __future__ import annotations

import re
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmsits.models.backbones import ConvRecurrentBackbone, FPNConvLSTM, UConvLSTM
from mmsits.models.converters import rename_utae_key
from mmsits.models.decode_heads import ConvHead, UTAEHead
from mmsits.structures import ImageSeries

from .golden import Comparer, GoldenFile, register_check

_RECURRENCE = 'backbone.recurrence'
_NAMES = (
    # ConvLSTM and ConvGRU wherever they stand, of one direction or of two.
    (r'^(?:temporal_encoder|convlstm|convlstm_encoder|convgru_encoder)\.cell_list\.0\.', f'{_RECURRENCE}.ahead.'),
    (r'^(?:temporal_encoder\.)?convlstm_forward\.cell_list\.0\.', f'{_RECURRENCE}.ahead.'),
    (r'^(?:temporal_encoder\.)?convlstm_backward\.cell_list\.0\.', f'{_RECURRENCE}.back.'),
    (r'\.in_conv\.', '.gates.'),
    (r'\.out_conv\.', '.candidate.'),
    (r'^out_convlstm\.', 'backbone.out_conv.'),
    (r'^(?:classification_layer|outconv)\.', 'decode_head.conv_seg.'),
    (r'^inconv\.conv\.conv\.', 'backbone.in_conv.'),
    (r'^pyramid\.inconv\.', 'backbone.pyramid.in_conv.'),
    (r'^pyramid\.', 'backbone.pyramid.'),
    (r'^mid_conv\.conv\.conv\.', 'backbone.mid_conv.'),
)


def _rename(key: str) -> str:
    for pattern, replacement in _NAMES:
        key = re.sub(pattern, replacement, key)
    # What is left are the convolutions of the U-Net.
    return key if key.startswith(('backbone.', 'decode_head.')) else rename_utae_key(key)


class _Network(nn.Module):
    def __init__(self, backbone: BaseModule, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.decode_head = backbone, head

    def forward(self, series: ImageSeries) -> Tensor:
        return self.decode_head(self.backbone({'s2': series}))


def _build(golden: GoldenFile, name: str) -> _Network:
    arguments: dict[str, Any] = golden.meta['variants'][name]
    bands = arguments['input_dim']
    if 'temporal' in arguments:
        same = ('encoder_widths', 'decoder_widths', 'str_conv_k', 'str_conv_s', 'str_conv_p', 'encoder_norm')
        padding = arguments['padding_mode']
        backbone: BaseModule = UConvLSTM(
            bands,
            hidden_channels=arguments['hidden_dim'],
            temporal=arguments['temporal'],
            padding_mode=padding,
            runs_over_padding=True,
            **{option: arguments[option] for option in same},
        )
        hidden, classes = arguments['out_conv']
        head: nn.Module = UTAEHead(backbone.out_channels[0], hidden, num_classes=classes, padding_mode=padding)
    elif 'n_levels' in arguments:
        backbone = FPNConvLSTM(
            bands,
            arguments['inconv'],
            arguments['n_levels'],
            arguments['n_channels'],
            arguments['hidden_size'],
            arguments['mid_conv'],
            runs_over_padding=True,
        )
        head = ConvHead(arguments['hidden_size'], num_classes=arguments['num_classes'])
    else:
        kernel = arguments['kernel_size'][0]
        backbone = ConvRecurrentBackbone(
            bands,
            arguments['hidden_dim'],
            'gru' if name == 'convgru_seg' else 'lstm',
            kernel,
            bidirectional=name == 'bconvlstm_seg',
            runs_over_padding=True,
        )
        head = ConvHead(backbone.out_channels[0], num_classes=arguments['num_classes'], kernel_size=kernel)
    network = _Network(backbone, head).eval()
    # The main model of the file is the first variant.
    published = golden.parameters('' if name == 'lstm' else name)
    network.load_state_dict({_rename(key): value for key, value in published.items()})
    return network


@register_check('uconvlstm')
@torch.no_grad()
def check_recurrent_networks(golden: GoldenFile, compare: Comparer) -> None:
    """Class scores of each network, with a padded series and without, and maps of the U-Net's levels."""
    values = golden.tensor('in/x')
    exists = (values != 0).flatten(2).any(-1)
    series = ImageSeries(values, torch.zeros(exists.shape, dtype=torch.int32), exists[..., None, None])
    count = golden.meta['valid_dates'][0]
    alone = ImageSeries(*(part[:1, :count] for part in series))
    for name in golden.meta['variants']:
        network = _build(golden, name)
        compare(name, network(series))
        compare(f'{name}_nopad', network(alone))
        if name == 'lstm':
            maps = network.backbone({'s2': series})
            compare('lstm_feat', maps[0])
            compare('lstm_map0', maps[-1])
