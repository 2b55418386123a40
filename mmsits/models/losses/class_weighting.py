"""Weights of pixels by the class of their label."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pixel_weights(target: Tensor, class_weight: Sequence[float] | None, ignore_index: int) -> Tensor:
    """Weight of each pixel: that of its class, and 0 where the label is ignored.

    Args:
        target: labels, int64 (N, ...).
        class_weight: (K,); None gives labelled pixels 1, or rather True.
        ignore_index: label without weight.

    Returns:
        (N, ...) float32, bool without class weights.
    """
    labelled = target != ignore_index
    if class_weight is None:
        return labelled
    weights = target.new_tensor(class_weight, dtype=torch.float32)
    return weights[target.masked_fill(~labelled, 0)].masked_fill(~labelled, 0)


def divisor(weights: Tensor) -> Tensor:
    """What a weighted sum is divided by for the mean: the sum of the weights, 1 where nothing has any."""
    total = weights.sum()
    return total.masked_fill(total == 0, 1)
