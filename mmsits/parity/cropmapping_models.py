"""Checks of CropMapping's networks: the pre-trained one at a small width, the fine-tuned one at full size."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.models.backbones import SiameseUNet3D
from mmsits.models.converters import convert_cropmapping, cropmapping_options
from mmsits.models.decode_heads import MultiLabelHead
from mmsits.structures import ImageSeries

from .golden import Comparer, GoldenFile, register_check


class _Network(nn.Module):
    """Backbone and head under the names that `convert_cropmapping` gives their weights."""

    def __init__(self, state: dict[str, Tensor]) -> None:
        super().__init__()
        options = cropmapping_options(state)
        self.backbone: SiameseUNet3D = MODELS.build(options['backbone'])
        self.decode_head: MultiLabelHead = MODELS.build(options['decode_head'])
        self.load_state_dict(convert_cropmapping(state))
        self.eval()

    def logits(self, inputs: dict[str, ImageSeries]) -> Tensor:
        """Of the crops alone, (N, K, H, W)."""
        return self.decode_head(self.backbone(inputs))[:, :-1]


def _inputs(golden: GoldenFile, suffix: str = '') -> dict[str, ImageSeries]:
    return {sensor: _series(golden.tensor(f'in/{sensor}{suffix}')) for sensor in ('s1', 's2')}


def _series(published: Tensor) -> ImageSeries:
    """Published values (N, C, T, H, W) as a series."""
    values = published.transpose(1, 2)
    exists = torch.ones(values.shape[:2], dtype=torch.bool)
    return ImageSeries(values, exists.cumsum(1).int(), exists[..., None, None])


@register_check('cropmapping_siamese3dunet')
@torch.no_grad()
def check_pretrained(golden: GoldenFile, compare: Comparer) -> None:
    """Logits and probabilities, sizes that poolings do not divide, maps of the streams, and the loss."""
    network, inputs = _Network(golden.parameters()), _inputs(golden)
    scores = network.decode_head(network.backbone(inputs))
    compare('logits', scores[:, :-1])
    compare('out', network.decode_head.probabilities(scores))
    compare('out_softmax', scores[:, :-1].softmax(1))
    compare(
        'out_odd', network.decode_head.probabilities(network.decode_head(network.backbone(_inputs(golden, '_odd'))))
    )
    for sensor, each in network.backbone.streams.items():
        compare(f'{sensor}_features', each(inputs)[0])
    stream: Any = network.backbone.streams['s1']
    compare('s1_conv3d', stream.collapsed(inputs))
    loss = MODELS.build(dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True))
    compare('bce', loss(scores[:, :-1], golden.tensor('in/target').long(), ignore_index=255))


@register_check('cropmapping_irancrop')
@torch.no_grad()
def check_fine_tuned(golden: GoldenFile, compare: Comparer) -> None:
    """The full-size network with parameters by a rule: both heads, the S1 stream, and the rule itself."""
    state = hashed_parameters(golden.meta['state_dict'])
    for name in golden.outputs():
        if name.startswith('fill_first16/'):
            compare(name, state[name.removeprefix('fill_first16/')].flatten()[:16])
    compare('hash_uniform_k3_first8', hash_uniform(3, 8))
    inputs = _inputs(golden)
    network = _Network(state)
    maps = network.backbone(inputs)
    scores = network.decode_head(maps)
    compare('logits', scores[:, :-1])
    compare('out', network.decode_head.probabilities(scores))
    width = maps[0].shape[1] // 2
    chosen = torch.linspace(0, width, 1 + len(golden.arrays['out/s1_feature_channels']))[:-1].long()
    compare('s1_feature_channels', maps[0][0, chosen])
    old = {key.removeprefix('dualunet3d.'): value for key, value in state.items() if key.startswith('dualunet3d.')}
    weight, bias = old['final_conv.weight'], old['final_conv.bias']
    compare('dual_out', torch.nn.functional.conv2d(maps[0], weight, bias).sigmoid())


def hash_uniform(number: int, count: int) -> np.ndarray:
    """Numbers from -0.5 to 0.5 by a hash of parameter number and position, (count,) float64."""
    x = np.arange(count, dtype=np.uint32)
    x *= np.uint32(2654435761)
    x += np.uint32((number * 40503 + 1) % 2**32)
    for shift, factor in ((15, 2246822519), (13, 3266489917), (16, 1)):
        x ^= x >> np.uint32(shift)
        x *= np.uint32(factor)
    return x / 2**32 - 0.5


def hashed_parameters(entries: list[Any]) -> dict[str, Tensor]:
    """The parameters of a golden file that stores the closed form of `cropmapping_irancrop`.

    Args:
        entries: [name, shape] in the order of the state dict.

    Returns:
        Parameters by their published names.
    """
    return {name: torch.from_numpy(_hashed(name, shape, number)) for number, (name, shape) in enumerate(entries)}


def _hashed(name: str, shape: list[int], number: int) -> np.ndarray:
    if name.endswith('num_batches_tracked'):
        return np.zeros(shape, np.int64)
    count = int(np.prod(shape))
    u = hash_uniform(number, count)
    if len(shape) >= 2:
        u *= 2 * np.sqrt(6 / (count / shape[0]))
    elif name.endswith('running_var') or name.endswith('weight'):
        u = 1 + 0.4 * u
    else:
        u *= 0.1
    return u.reshape(shape).astype(np.float32)
