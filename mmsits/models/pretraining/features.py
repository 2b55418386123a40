"""What pre-training models ask of a backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from mmsits.structures import ImageSeries

from ..segmentors.temporal_encoder_decoder import check_patch_size, observed_pixels

Inputs = Mapping[str, ImageSeries]


def average_features(backbone: nn.Module, inputs: Inputs, index: int = 0) -> Tensor:
    """One vector (N, C') per sample: a feature map, averaged over the pixels that were observed.

    Args:
        backbone: network from a dict of `ImageSeries` to feature maps.
        inputs: sensor -> series.
        index: which of the maps, 0 for the highest resolution.
    """
    check_patch_size(backbone, dict(inputs))
    maps = backbone(dict(inputs))[index]  # N, C', H, W
    size = maps.shape[-2:]
    if tuple(size) == (1, 1):
        return maps.flatten(1)
    weight = observed_pixels(dict(inputs), size).unsqueeze(1).to(maps.dtype)
    return (maps * weight).sum((2, 3)) / weight.sum((2, 3)).clamp(min=1)


def channels_of(backbone: nn.Module, index: int = 0) -> int:
    """Channels of one of a backbone's maps.

    Raises:
        ValueError: if it does not say.
    """
    channels: Any = getattr(backbone, 'out_channels', None)
    if isinstance(channels, int):
        return channels
    if channels is None:
        raise ValueError(f'{type(backbone).__name__} does not say how many channels its maps have (out_channels)')
    return int(channels[index])
