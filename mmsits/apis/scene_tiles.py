"""How a scene is cut up for prediction: blocks that are read, overlapping windows that a network sees."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from mmsits.datasets.scene.grid import Window, block_windows


class Strip(NamedTuple):
    """Probabilities of some rows and columns of a scene, final.

    Attributes:
        window: where, in pixels of the scene.
        probabilities: (K,h,w) float32, summing to 1 over the K classes where observed, 0 elsewhere.
        observed: (h,w) bool, whether any sensor saw the pixel on any date.
    """

    window: Window
    probabilities: np.ndarray
    observed: np.ndarray


def blocks_of(tile: Window, size: int) -> list[Window]:
    """Squares that cover a tile without overlap; windows of the scene."""
    return [
        block._replace(row=block.row + tile.row, column=block.column + tile.column)
        for block in block_windows(tile.height, tile.width, size)
    ]


def window_starts(length: int, size: int, overlap: int, first: int, end: int) -> list[int]:
    """Where windows begin along one axis of a scene, of those that touch a part of it.

    They lie on one lattice over the whole scene, so what is seen of a pixel does not depend on how the scene is
    divided into tiles. The last window ends at the border instead of reaching over it.

    Args:
        length: of the axis, in pixels.
        size: of a window.
        overlap: of neighbouring windows, less than `size`.
        first: first pixel of the part.
        end: pixel behind its last one.

    Returns:
        Ascending positions.
    """
    last = max(length - size, 0)
    lattice = [*range(0, last, size - overlap), last]
    return [start for start in lattice if start < end and start + size > first]


def blending_weights(size: int) -> torch.Tensor:
    """Weight of each pixel of a window where windows overlap, (size,size) float32.

    1 in the centre, falling off linearly towards the edges, where a network sees least context, but never 0.
    """
    ramp = torch.arange(1, size + 1, dtype=torch.float32)
    along = torch.minimum(ramp, ramp.flip(0)) / ((size + 1) // 2)
    return along[:, None] * along[None, :]
