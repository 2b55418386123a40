"""How good a contrastive representation is, without labels (Wang and Isola, ICML 2020, arXiv 2005.10242)."""

from __future__ import annotations

import torch
from torch import Tensor


def alignment(queries: Tensor, keys: Tensor) -> Tensor:
    """Mean squared distance between the two views of a sample.

    Args:
        queries: (N, D), of length 1.
        keys: likewise; row i of both are two views of sample i.

    Returns:
        Scalar, 0 (views coincide) to 4.
    """
    return (queries - keys).square().sum(1).mean()


def uniformity(features: Tensor) -> Tensor:
    """Logarithm of the mean, over pairs of samples, of exp(-2 squared distance).

    Args:
        features: (N, D), of length 1, N >= 2.

    Returns:
        Scalar: 0 if all samples have one feature; about -4 if they are spread evenly over a sphere of many dimensions.
    """
    similarity = features @ features.T
    # |a - b|^2 = 2 - 2 a b for vectors of length 1; a sample is no pair with itself.
    distances = (2 - 2 * similarity).clamp(min=0)
    pairs = ~torch.eye(len(features), dtype=torch.bool, device=features.device)
    return distances[pairs].mul(-2).exp().mean().log()


def spread(features: Tensor) -> Tensor:
    """Standard deviation of the features' elements over samples, times the root of their number.

    Args:
        features: (N, D), of length 1.

    Returns:
        Scalar: 0 if all samples have one feature, about 1 if they are spread evenly.
    """
    return features.std(0).mean() * features.shape[1] ** 0.5
