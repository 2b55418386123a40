"""Gradient reversal with a ramp (Ganin and Lempitsky, ICML 2015, arXiv 1409.7495)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(weight)
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        (weight,) = ctx.saved_tensors
        (gradient,) = gradients
        return -weight.to(gradient.dtype) * gradient, None


def reverse_gradient(x: Tensor, weight: Tensor | float) -> Tensor:
    """Hand `x` on unchanged; on the way back multiply its gradient by -`weight` (a number or a scalar tensor)."""
    return _Reverse.apply(x, torch.as_tensor(weight, device=x.device))


def ramp(count: Tensor | float, alpha: float = 1.0, length: float = 1000.0, low: float = 0.0, high: float = 1.0) -> Any:
    """A weight that grows from `low` at count 0 towards `high`: 2 (high - low) / (1 + exp(-alpha count / length)) -
    (high - low) + low.

    Args:
        count: number of steps made, a number or a tensor.
        alpha: steepness.
        length: counts per unit of `alpha`.
        low: the weight at the start.
        high: its limit.

    Returns:
        The weight, of the kind of `count` (float64 for a tensor of integers).
    """
    count = torch.as_tensor(count, dtype=torch.float64) if not isinstance(count, Tensor) else count.double()
    return 2 * (high - low) / (1 + torch.exp(-alpha * count / length)) - (high - low) + low


class GradientReversal(nn.Module):
    """Reverse gradients by a weight that grows with the number of forward passes in training mode.

    The count is a buffer, so a resumed run goes on where it stopped. In evaluation mode the reversal keeps the weight
    that it has reached.

    Args:
        alpha, length, low, high: of the `ramp`.
        counts_before_use: the first pass uses count 1 instead of 0.
    """

    count: Tensor

    def __init__(
        self,
        alpha: float = 1.0,
        length: float = 1000.0,
        low: float = 0.0,
        high: float = 1.0,
        counts_before_use: bool = False,
    ) -> None:
        super().__init__()
        self.options = dict(alpha=alpha, length=length, low=low, high=high)
        self.counts_before_use = counts_before_use
        self.register_buffer('count', torch.zeros((), dtype=torch.int64))

    def weight(self) -> Tensor:
        """The weight of the next pass, float64 scalar."""
        ahead = int(self.counts_before_use and self.training)
        return ramp(self.count + ahead, **self.options)

    def forward(self, x: Tensor) -> Tensor:
        """(…) -> the same, with the gradient reversed."""
        reversed_x = reverse_gradient(x, self.weight())
        if self.training:
            # Not in place: the graph of an earlier pass may still hold the old count.
            self.count.copy_(self.count + 1)
        return reversed_x
