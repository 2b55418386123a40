"""Published state dicts of CropMapping are renamed completely, or refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mmsits.models.converters import convert_cropmapping, cropmapping_options


def published(width: int = 2, classes: int = 5, fine_tuned: bool = False) -> dict[str, Tensor]:
    """A state dict as the authors write it: names and shapes by their description."""
    state: dict[str, Tensor] = {}

    def norm(name: str, channels: int) -> None:
        for entry in ('weight', 'bias', 'running_mean', 'running_var'):
            state[f'{name}.{entry}'] = torch.rand(channels)
        state[f'{name}.num_batches_tracked'] = torch.tensor(0)

    def double(name: str, before: int, after: int) -> None:
        state[f'{name}.conv.0.weight'] = torch.rand(after, before, 3, 3)
        norm(f'{name}.conv.1', after)
        state[f'{name}.conv.3.weight'] = torch.rand(after, after, 3, 3)
        norm(f'{name}.conv.4', after)

    widths = [width * 2**level for level in range(4)]
    top = 'dualunet3d.' if fine_tuned else ''
    for sensor, bands in (('s1', 2), ('s2', 10)):
        stream = f'{top}unet3d_{sensor}'
        for index, before, kernel in ((0, bands, (3, 3, 3)), (3, 32, (6, 1, 1))):
            state[f'{stream}.conv3d.conv.{index}.weight'] = torch.rand(32, before, *kernel)
            state[f'{stream}.conv3d.conv.{index}.bias'] = torch.rand(32)
            norm(f'{stream}.conv3d.conv.{index + 1}', 32)
        for level, (before, after) in enumerate(zip([32, *widths], widths, strict=False)):
            double(f'{stream}.unet.downs.{level}', before, after)
            up = widths[3 - level]
            state[f'{stream}.unet.ups.{2 * level}.weight'] = torch.rand(2 * up, up, 2, 2)
            state[f'{stream}.unet.ups.{2 * level}.bias'] = torch.rand(up)
            double(f'{stream}.unet.ups.{2 * level + 1}', 2 * up, up)
        double(f'{stream}.unet.bottleneck', widths[-1], 2 * widths[-1])
    state[f'{top}final_conv.weight'] = torch.rand(classes, 2 * width, 1, 1)
    state[f'{top}final_conv.bias'] = torch.rand(classes)
    if fine_tuned:
        state['final_conv.conv.0.weight'], state['final_conv.conv.0.bias'] = (
            torch.rand(32, 2 * width, 3, 3),
            torch.rand(32),
        )
        norm('final_conv.conv.1', 32)
        state['final_conv.conv.3.weight'], state['final_conv.conv.3.bias'] = torch.rand(8, 32, 1, 1), torch.rand(8)
    return state


@pytest.mark.parametrize('fine_tuned', [False, True])
def test_every_weight_finds_its_place(fine_tuned: bool) -> None:
    state = published(fine_tuned=fine_tuned)
    converted = convert_cropmapping(state)
    options = cropmapping_options(state)
    assert options['decode_head']['num_classes'] == (9 if fine_tuned else 6)
    assert options['decode_head']['hidden_channels'] == (32 if fine_tuned else None)
    assert len(converted) == len(state) - (2 if fine_tuned else 0)
    top = 'dualunet3d.' if fine_tuned else ''
    assert (
        converted['backbone.streams.s2.unet.up_blocks.1.3.weight'] is state[f'{top}unet3d_s2.unet.ups.3.conv.3.weight']
    )
    assert converted['backbone.streams.s1.unet.up_convs.2.bias'] is state[f'{top}unet3d_s1.unet.ups.4.bias']


def test_what_is_missing_or_unknown_is_named() -> None:
    state = published()
    del state['unet3d_s2.unet.bottleneck.conv.0.weight']
    with pytest.raises(ValueError, match=r'bottleneck\.0\.weight'):
        convert_cropmapping(state)
    with pytest.raises(ValueError, match='final_layer'):
        convert_cropmapping({**published(), 'final_layer.weight': torch.zeros(1)})
    with pytest.raises(ValueError, match='not the weights'):
        convert_cropmapping({'conv.weight': torch.zeros(1)})
