"""Bring maps to a size that a network divides."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def pad_to_multiple(maps: Tensor, multiple: int, at_least: int = 1) -> Tensor:
    """Pad height and width at their ends, so that what counts keeps its place and is cut out again by its size.

    Pixels are mirrored at the border; where a map is too small for that, its last row or column is repeated.

    Args:
        maps: (N, C, H, W).
        multiple: what height and width are to be multiples of.
        at_least: smallest height and width wanted, itself a multiple.

    Returns:
        (N, C, H', W'); `maps` itself where nothing is missing.
    """
    for dim in (-2, -1):
        length = maps.shape[dim]
        missing = max(-(-length // multiple) * multiple, at_least) - length
        if missing:
            mode = 'reflect' if missing < length else 'replicate'
            maps = F.pad(maps, (0, missing, 0, 0) if dim == -1 else (0, 0, 0, missing), mode=mode)
    return maps
