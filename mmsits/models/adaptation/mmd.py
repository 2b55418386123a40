"""DAN: align domains by the maximum mean discrepancy of their features (Long et al., ICML 2015, arXiv 1502.02791)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor

from .base import DomainRows, FeatureAlignment

# Factors of the mean squared distance: the variances of the five kernels.
BANDWIDTHS = (0.125, 0.25, 0.5, 1.0, 2.0)


def kernel_variances(distances: Tensor, factors: Sequence[float] = BANDWIDTHS) -> Tensor:
    """Variances of the kernels: `factors` times the mean of the squared distances (n, n); without gradient."""
    # Rows that are all the same have no spread: any positive variance gives kernels of 1.
    mean = distances.mean().detach().clamp(min=torch.finfo(distances.dtype).tiny)
    return distances.new_tensor(list(factors)) * mean


def squared_distances(rows: Tensor) -> Tensor:
    """(n, D) -> (n, n)."""
    return (rows[:, None] - rows[None]).square().sum(-1)


def kernel_sum(rows: Tensor, factors: Sequence[float] = BANDWIDTHS) -> Tensor:
    """Sum of Gaussian kernels between all pairs of rows (n, D) -> (n, n); their variances carry no gradient."""
    distances = squared_distances(rows)
    variances = kernel_variances(distances, factors)
    return sum((torch.exp(-distances / (2 * variance)) for variance in variances), torch.zeros_like(distances))


def pair_weights(n: int, linear: bool, like: Tensor) -> Tensor:
    """Weights (2n, 2n) with which the kernel's entries enter the discrepancy of n rows and n rows.

    Args:
        n: rows per domain.
        linear: the estimate in linear time, which looks at neighbouring rows only; else all pairs.
        like: gives type and device.

    Raises:
        ValueError: if there are fewer than two rows per domain.
    """
    if n < 2:
        raise ValueError(f'the maximum mean discrepancy needs two samples per domain, the batch has {n}')
    weights = like.new_zeros(2 * n, 2 * n)
    if linear:
        i = torch.arange(n, device=like.device)
        j = (i + 1) % n
        weights[i, j] = weights[n + i, n + j] = 1 / n
        weights[i, n + j] = weights[j, n + i] = -1 / n
        return weights
    within = (1 - torch.eye(n, device=like.device, dtype=like.dtype)) / (n * (n - 1))
    weights[:n, :n] = weights[n:, n:] = within
    weights[:n, n:] = weights[n:, :n] = -1 / n**2
    return weights


def mmd_loss(source: Tensor, target: Tensor, linear: bool = True, factors: Sequence[float] = BANDWIDTHS) -> Tensor:
    """Discrepancy of two sets of rows, plus the constant 2 / (n - 1) that published code adds to both variants.

    Args:
        source: features (n, D).
        target: features (n, D), equally many.
        linear: estimate in linear time, as published code trains with; else over all pairs.
        factors: of the kernels' variances.

    Returns:
        Scalar.
    """
    n = len(source)
    weights = pair_weights(n, linear, source)
    return (kernel_sum(torch.cat([source, target]), factors) * weights).sum() + 2 / (n - 1)


@MODELS.register_module()
class MMD(FeatureAlignment):
    """Multi-kernel maximum mean discrepancy between the features of both domains (DAN).

    Args:
        linear: see `mmd_loss`.
        bandwidths: factors of the mean squared distance that are the kernels' variances.
        **kwargs: see `FeatureAlignment`.
    """

    joint_forward = True
    equal_rows = True

    def __init__(self, linear: bool = True, bandwidths: Sequence[float] = BANDWIDTHS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.linear = linear
        self.bandwidths = tuple(bandwidths)

    def alignment(self, source: DomainRows, target: DomainRows) -> dict[str, Tensor]:
        """See `FeatureAlignment.alignment`."""
        loss = mmd_loss(source.features.float(), target.features.float(), self.linear, self.bandwidths)
        return {'loss_transfer': self.trade_off * loss}
