"""Published state dicts of CropMapping are renamed completely, or refused."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from mmsits.models.converters import convert_cropmapping, cropmapping_options
from mmsits.structures import ImageSeries


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


def norm_relu(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    weights = [state[f'{name}.{entry}'] for entry in ('running_mean', 'running_var', 'weight', 'bias')]
    return F.relu(F.batch_norm(x, *weights))


def double(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    for conv, norm in ((0, 1), (3, 4)):
        x = norm_relu(state, f'{name}.conv.{norm}', F.conv2d(x, state[f'{name}.conv.{conv}.weight'], padding=1))
    return x


def stream(state: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    """One branch as published, (N, C, T, H, W) -> (N, width, H, W)."""
    conv = f'{name}.conv3d.conv'
    x = norm_relu(state, f'{conv}.1', F.conv3d(x, state[f'{conv}.0.weight'], state[f'{conv}.0.bias'], padding=1))
    x = norm_relu(state, f'{conv}.4', F.conv3d(x, state[f'{conv}.3.weight'], state[f'{conv}.3.bias'])).squeeze(2)
    skips = []
    for level in range(4):
        skips.append(double(state, f'{name}.unet.downs.{level}', x))
        x = F.max_pool2d(skips[-1], 2)
    x = double(state, f'{name}.unet.bottleneck', x)
    for level in range(4):
        up = f'{name}.unet.ups.{2 * level}'
        x = F.conv_transpose2d(x, state[f'{up}.weight'], state[f'{up}.bias'], stride=2)
        skip = skips[3 - level]
        if x.shape != skip.shape:
            x = F.interpolate(x, skip.shape[-2:], mode='bilinear', align_corners=False)
        x = double(state, f'{name}.unet.ups.{2 * level + 1}', torch.cat([skip, x], 1))
    return x


@pytest.mark.parametrize('fine_tuned', [False, True])
@pytest.mark.parametrize('size', [(16, 16), (20, 28)])
@torch.no_grad()
def test_converted_weights_give_the_published_scores(fine_tuned: bool, size: tuple[int, int]) -> None:
    """The published network written plainly on its own state dict, against ours with the converted one."""
    torch.manual_seed(0)
    state = published(fine_tuned=fine_tuned)
    for key, value in state.items():
        if value.ndim > 1:
            value.sub_(0.5).mul_(2 / value[0].numel() ** 0.5)
        elif key.endswith('.bias') or key.endswith('running_mean'):
            value.sub_(0.5)
    options = cropmapping_options(state)
    parts = {name: MODELS.build(config).eval() for name, config in options.items()}
    for name, part in parts.items():
        weights = convert_cropmapping(state).items()
        part.load_state_dict({key.removeprefix(f'{name}.'): v for key, v in weights if key.startswith(name)})
    x = {sensor: torch.randn(2, bands, 6, *size) for sensor, bands in (('s1', 2), ('s2', 10))}
    exists = torch.ones(2, 6, 1, 1, dtype=torch.bool)
    days = torch.arange(6, dtype=torch.int32).expand(2, -1)
    inputs = {sensor: ImageSeries(values.transpose(1, 2), days, exists) for sensor, values in x.items()}
    top = 'dualunet3d.' if fine_tuned else ''
    features = torch.cat([stream(state, f'{top}unet3d_{sensor}', values) for sensor, values in x.items()], 1)
    if fine_tuned:
        head = 'final_conv.conv'
        features = F.conv2d(features, state[f'{head}.0.weight'], state[f'{head}.0.bias'], padding=1)
        features = norm_relu(state, f'{head}.1', features)
        expected = F.conv2d(features, state[f'{head}.3.weight'], state[f'{head}.3.bias'])
    else:
        expected = F.conv2d(features, state['final_conv.weight'], state['final_conv.bias'])
    scores = parts['decode_head'](parts['backbone'](inputs))
    assert expected.std() > 1e-3
    torch.testing.assert_close(scores[:, :-1], expected, rtol=1e-4, atol=1e-4)
