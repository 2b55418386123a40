"""Shares of the classes in a domain without labels, from the predictions of a network that was trained under others."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.dist import all_reduce
from torch import Tensor

TINY = 1e-12


def class_weights(shares: Tensor, training_shares: Tensor) -> Tensor:
    """Factors (K,) that turn predictions made under the training shares into ones made under others, see `reweighted`.

    A class that training never saw has factor 0.
    """
    known = training_shares > 0
    return torch.where(known, shares / training_shares.clamp(min=TINY), torch.zeros_like(shares))


def reweighted(probabilities: Tensor, weights: Tensor) -> Tensor:
    """Probabilities (…, K) by Bayes' rule for other class shares: times the weights (K,), and again with sum 1."""
    product = probabilities * weights.to(probabilities)
    return product / product.sum(-1, keepdim=True).clamp(min=TINY)


@torch.no_grad()
def estimate_shares(
    probabilities: Tensor,
    training_shares: Tensor,
    smoothing: float = 1.0,
    max_steps: int = 500,
    tolerance: float = 1e-6,
) -> Tensor:
    """The class shares under which predictions are most likely, by expectation and maximisation (Saerens, Latinne and
    Decaestecker, Neural Computation 14, 2002).

    It assumes that only the shares moved: pixels of a class look alike in both domains, and predictions are calibrated.
    Where that fails (at a wrong temporal shift, say) the shares are wrong too. All processes must call it together;
    they add their samples and get the same result.

    Args:
        probabilities: (n, K), predictions for samples of the domain, this process' part.
        training_shares: (K,), shares under which the network was trained; equal ones for classes drawn in balance.
        smoothing: imagined samples of every class, so that none can vanish for good.
        max_steps: at most so many steps.
        tolerance: stop where no share moves more.

    Returns:
        (K,) float64, with sum 1.

    Raises:
        ValueError: if no process has a sample.
    """
    p = probabilities.double()
    training = training_shares.to(p)
    imagined = smoothing * (training > 0).double()
    count = torch.tensor(float(len(p)), dtype=torch.float64, device=p.device)
    all_reduce(count)
    if not count:
        raise ValueError('class shares: no sample was predicted; the target domain gave no pixel with a valid date')
    shares = training / training.sum()
    for _ in range(max_steps):
        total = reweighted(p, class_weights(shares, training)).sum(0)
        all_reduce(total)
        total = total + imagined
        previous, shares = shares, total / total.sum()
        if float((shares - previous).abs().max()) < tolerance:
            break
    return shares


def checked_shares(shares: Sequence[float], num_classes: int, name: str) -> Tensor:
    """Given shares as a tensor (K,) float64.

    Raises:
        ValueError: if they are not K numbers, none negative, with sum 1.
    """
    if len(shares) != num_classes or min(shares) < 0 or abs(sum(shares) - 1) > 1e-3:
        raise ValueError(
            f'{name} needs {num_classes} shares, none negative, that add up to 1; got {len(shares)} with sum '
            f'{sum(shares):.4g}'
        )
    return torch.tensor(list(shares), dtype=torch.float64)
