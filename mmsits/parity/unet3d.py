"""Checks of the 3D U-Net."""

from __future__ import annotations

import re

import torch
from torch import Tensor, nn

from mmsits.models.backbones import UNet3D
from mmsits.models.decode_heads import ConvHead
from mmsits.structures import ImageSeries

from .golden import Comparer, GoldenFile, register_check

_BLOCKS = {'en3': 'encoder1', 'en4': 'encoder2', 'dc4': 'decoder2', 'dc3': 'decoder1'}
# Published module -> ours.
_MODULES = {
    **{
        f'{block}.{index}': f'{ours}.{layer}'
        for block, ours in _BLOCKS.items()
        for index, layer in ((0, 'conv1'), (1, 'norm1.norm'), (3, 'conv2'), (4, 'norm2.norm'))
    },
    'center_in.0': 'center.conv1',
    'center_in.1': 'center.norm1.norm',
    'center_out.0': 'center.conv2',
    'center_out.1': 'center.norm2.norm',
    'center_out.3': 'up2',
    'trans3.0': 'up1',
    'trans3.1': 'up1_norm.norm',
}


class _Network(nn.Module):
    def __init__(self, golden: GoldenFile) -> None:
        super().__init__()
        arguments = golden.meta['constructor']
        self.backbone = UNet3D(arguments['in_channel'], arguments['feats'], runs_over_padding=True)
        self.decode_head = ConvHead(self.backbone.out_channels[0], num_classes=arguments['n_classes'], kernel_size=3)
        self.load_state_dict(_renamed(golden.parameters()))

    def forward(self, values: Tensor, pad_value: float | None) -> Tensor:
        """(N, T, C, H, W); a date exists unless all its values are the pad value."""
        exists = torch.ones(values.shape[:2], dtype=torch.bool)
        if pad_value is not None:
            exists = (values != pad_value).flatten(2).any(-1)
        days = torch.zeros(values.shape[:2], dtype=torch.int32)
        return self.decode_head(self.backbone({'s2': ImageSeries(values, days, exists[..., None, None])}))


def _renamed(published: dict[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for key, value in published.items():
        module, _, name = key.rpartition('.')
        if module != 'final':
            renamed[f'backbone.{_MODULES[module]}.{name}'] = value
        elif name == 'bias':
            renamed['decode_head.conv_seg.bias'] = value
        else:  # K, C, dates, height, width: one convolution of the maps of three neighbouring dates
            renamed['decode_head.conv_seg.weight'] = value.transpose(1, 2).flatten(1, 2)
    return renamed


@register_check('unet3d')
@torch.no_grad()
def check_unet3d(golden: GoldenFile, compare: Comparer) -> None:
    """Class scores with padding, without, and with padding taken for dates."""
    network, pad_value = _Network(golden).eval(), golden.meta['constructor']['pad_value']
    compare('out', network(golden.tensor('in/x'), pad_value))
    compare('out_padvalue_none', network(golden.tensor('in/x'), None))
    for key in golden.arrays:
        if match := re.fullmatch(r'in/x(\d+)', key):
            compare(f'out{match[1]}', network(golden.tensor(key), pad_value))
