"""JUMBOT: unbalanced optimal transport between mini-batches (Fatras et al., ICML 2021, arXiv 2103.03606)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from .base import DomainRows, FeatureAlignment

KERNEL_TYPES = {'float64': torch.float64, 'float32': torch.float32}
SOLVERS = ('log', *KERNEL_TYPES)


class TransportPlan(NamedTuple):
    """Result of the Sinkhorn iterations.

    Attributes:
        plan: (n, m) float64, how much of each source row goes to each target row.
        iterations: how many were made, the one that stopped included.
        broke_down: True if the kernel under- or overflowed, and the plan is that of the iteration before; never of
            `log_sinkhorn`.
    """

    plan: Tensor
    iterations: int
    broke_down: bool


def label_cost(labels: Tensor, logits: Tensor) -> Tensor:
    """Cross-entropy of each target prediction (m, K) under each source label (n,): (n, m)."""
    return -F.log_softmax(logits, 1)[:, labels].T


def feature_cost(source: Tensor, target: Tensor) -> Tensor:
    """Squared distances between features (n, D) and (m, D): (n, m)."""
    return (source[:, None] - target[None]).square().sum(-1)


@torch.no_grad()
def unbalanced_sinkhorn(
    cost: Tensor,
    epsilon: float,
    tau: float,
    kernel_type: str = 'float64',
    prior: bool = False,
    tolerance: float = 1e-6,
    max_iterations: int = 1000,
) -> TransportPlan:
    """Transport between uniform marginals that need only nearly be met (Chizat et al., 2018), as published.

    A row of the kernel that underflows as a whole ends the iterations: with confident predictions that is the rule in
    float32, and in float64 it takes one source class that the target's batch does not have. `log_sinkhorn` solves the
    same problem without.

    Args:
        cost: (n, m).
        epsilon: weight of the entropy.
        tau: weight of the Kullback-Leibler divergence of the marginals.
        kernel_type: 'float64', or 'float32' as in published code, whose kernel exp(-cost / epsilon) underflows as soon
            as costs exceed some 100 epsilon (745 epsilon in float64), leaving a plan that is zero.
        prior: regularise by the divergence from the product of the marginals, as newer solvers do, instead of by the
            entropy.
        tolerance: relative change of the scalings at which to stop.
        max_iterations: at most.

    Raises:
        ValueError: if `kernel_type` is unknown.
    """
    if kernel_type not in KERNEL_TYPES:
        raise ValueError(f'kernel_type={kernel_type!r}: expected one of {sorted(KERNEL_TYPES)}')
    n, m = cost.shape
    kernel = torch.exp(-cost.to(KERNEL_TYPES[kernel_type]) / epsilon).double()
    if prior:
        kernel = kernel / (n * m)
    exponent = tau / (tau + epsilon)
    u, v = kernel.new_full((n,), 1 / n), kernel.new_full((m,), 1 / m)
    iterations, broke_down = 0, False
    while iterations < max_iterations:
        iterations += 1
        before = u, v
        rows = kernel @ v
        u = (1 / n / rows) ** exponent
        columns = kernel.T @ u
        v = (1 / m / columns) ** exponent
        sound = (rows != 0).all() & (columns != 0).all() & torch.isfinite(u).all() & torch.isfinite(v).all()
        if not sound:
            (u, v), broke_down = before, True
            break
        if 0.5 * (_change(u, before[0]) + _change(v, before[1])) < tolerance:
            break
    return TransportPlan(u[:, None] * kernel * v[None], iterations, broke_down)


@torch.no_grad()
def log_sinkhorn(
    cost: Tensor, epsilon: float, tau: float, tolerance: float = 1e-6, max_iterations: int = 1000
) -> TransportPlan:
    """The plan of `unbalanced_sinkhorn` by its logarithms, in which nothing under- or overflows (Schmitzer, 2019).

    Args:
        cost: (n, m).
        epsilon: weight of the entropy.
        tau: weight of the Kullback-Leibler divergence of the marginals.
        tolerance: change of the scalings' logarithms at which to stop.
        max_iterations: at most.
    """
    kernel = -cost.double() / epsilon
    exponent = tau / (tau + epsilon)
    n, m = cost.shape
    u, v = kernel.new_full((n,), -math.log(n)), kernel.new_full((m,), -math.log(m))
    iterations, change = 0, math.inf
    while iterations < max_iterations and change >= tolerance:
        iterations += 1
        before = u, v
        u = -exponent * (math.log(n) + torch.logsumexp(kernel + v, 1))
        v = -exponent * (math.log(m) + torch.logsumexp(kernel + u[:, None], 0))
        change = max(float((u - before[0]).abs().max()), float((v - before[1]).abs().max()))
    return TransportPlan(torch.exp(u[:, None] + kernel + v), iterations, False)


def _change(now: Tensor, before: Tensor) -> Tensor:
    scale = torch.maximum(now.abs().max(), before.abs().max()).clamp(min=1)
    return (now - before).abs().max() / scale


@MODELS.register_module()
class JUMBOT(FeatureAlignment):
    """Move source rows to target rows at least cost, in features and in agreement of label and prediction.

    Args:
        eta1, eta2: weights of the squared feature distance and of the label cost.
        epsilon, tau: see `unbalanced_sinkhorn`.
        solver: 'log' (`log_sinkhorn`); 'float32', the kernel of published code, or 'float64' (`unbalanced_sinkhorn`).
        **kwargs: see `FeatureAlignment`.
    """

    joint_forward = False
    source_labels_needed = True

    def __init__(
        self,
        eta1: float = 0.01,
        eta2: float = 1.0,
        epsilon: float = 0.01,
        tau: float = 0.5,
        solver: str = 'log',
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if solver not in SOLVERS:
            raise ValueError(f'JUMBOT: solver={solver!r}, expected one of {", ".join(SOLVERS)}')
        self.eta1, self.eta2 = eta1, eta2
        self.epsilon, self.tau = epsilon, tau
        self.solver = solver

    def alignment(self, source: DomainRows, target: DomainRows) -> dict[str, Tensor]:
        """See `FeatureAlignment.alignment`."""
        assert source.labels is not None
        cost = self.eta1 * feature_cost(source.features.float(), target.features.float())
        cost = cost + self.eta2 * label_cost(source.labels, target.logits.float())
        if self.solver == 'log':
            solution = log_sinkhorn(cost, self.epsilon, self.tau)
        else:
            solution = unbalanced_sinkhorn(cost, self.epsilon, self.tau, self.solver)
        return {
            'loss_transfer': self.trade_off * (solution.plan.to(cost.dtype) * cost).sum(),
            'transported_mass': solution.plan.sum(),
            'sinkhorn_broke_down': cost.new_tensor(float(solution.broke_down)),
        }
