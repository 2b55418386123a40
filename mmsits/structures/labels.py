"""Label values that are no class, and crops that are asked for one by one."""

import math

import torch
from torch import Tensor

NOT_THIS_CROP = 128
"""Label 128 + k: not crop k, and nothing else is known. Only heads that ask for each crop by itself can be trained on
it; 255, which is ignored, leaves room for 127 crops."""


def crop_probabilities(scores: Tensor, threshold: float) -> Tensor:
    """Probability of each crop from the scores of a `MultiLabelHead`.

    Args:
        scores: (N, K + 1, ...), the last one for 'none of them'; a number added to all scores of a pixel, as logarithms
            of softmax probabilities have it, does not matter.
        threshold: of the head.

    Returns:
        (N, K, ...) from 0 to 1, independent of each other.
    """
    return (scores[:, :-1] - scores[:, -1:] + logit(threshold)).sigmoid()


def binary_maps(labels: Tensor, crops: int, ignore_index: int = 255) -> Tensor:
    """A map for each crop: 1 where it grows, 0 where not, `ignore_index` where nobody knows.

    Args:
        labels: (N, H, W) int64, 0 … K - 1 the crops, K none of them, 128 + k not crop k (of the others nobody knows),
            `ignore_index`.
        crops: K.
        ignore_index: label of unknown pixels.

    Returns:
        (N, K, H, W) int64.
    """
    classes = torch.arange(crops, device=labels.device)[:, None, None]
    held = labels.unsqueeze(1)
    maps = (held == classes).long()
    one_known = (held >= NOT_THIS_CROP) & (held != ignore_index)
    return maps.masked_fill((held == ignore_index) | (one_known & (held != NOT_THIS_CROP + classes)), ignore_index)


def logit(probability: float) -> float:
    """The number whose sigmoid is the probability."""
    return math.log(probability / (1 - probability))
