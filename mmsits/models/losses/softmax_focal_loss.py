"""Focal loss over a softmax (Lin et al., ICCV 2017, arXiv 1708.02002; TimeMatch's form without class weights)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from .class_weighting import divisor, pixel_weights

_REDUCTIONS = ('mean', 'sum', 'none')


def softmax_focal_loss(logits: Tensor, target: Tensor, gamma: float = 1.0, ignore_index: int = 255) -> Tensor:
    """-(1 - p) ** gamma * ln(p) of each pixel, p being the softmax at its label; 0 where the label is ignored.

    Args:
        logits: (N, K, ...).
        target: int64 (N, ...).
        gamma: 0 gives the cross-entropy.
        ignore_index: label without loss.

    Returns:
        (N, ...), in float32 at least.
    """
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    labelled = target != ignore_index
    chosen = target.masked_fill(~labelled, 0).unsqueeze(1)
    log_p = logits.log_softmax(1).gather(1, chosen).squeeze(1)
    # 1 - p without cancellation; above 0, where the power has a slope.
    rest = (-torch.expm1(log_p)).clamp(min=torch.finfo(log_p.dtype).tiny)
    return (-log_p * rest**gamma).masked_fill(~labelled, 0.0)


@MODELS.register_module()
class SoftmaxFocalLoss(nn.Module):
    """Focal loss for one class per pixel: what is predicted well already counts less.

    mmseg's `FocalLoss` is another one, a sigmoid per class.

    Args:
        gamma: exponent, 0 for the cross-entropy.
        reduction: 'mean' over labelled pixels (0 if there are none), 'sum' or 'none'.
        loss_weight: factor.
        loss_name: name in the log; with 'loss_' in front it is part of the sum.
        class_weight: weight of each class; the mean is then divided by the labelled pixels' weights.

    Raises:
        ValueError: for a negative gamma or an unknown reduction.
    """

    def __init__(
        self,
        gamma: float = 1.0,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
        loss_name: str = 'loss_focal',
        class_weight: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if gamma < 0 or reduction not in _REDUCTIONS:
            raise ValueError(
                f'expected gamma >= 0 and a reduction of {", ".join(_REDUCTIONS)}; got {gamma} and {reduction!r}'
            )
        self.gamma = gamma
        self.reduction = reduction
        self.loss_weight = loss_weight
        self.loss_name = loss_name
        self.class_weight = class_weight

    def forward(
        self,
        pred: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
        ignore_index: int = 255,
        **_: Any,
    ) -> Tensor:
        """Compute the loss, as mmseg's heads call it.

        Args:
            pred: class scores (N, K, ...).
            target: labels, int64 (N, ...).
            weight: of each pixel, (N, ...).
            avg_factor: divisor of the mean instead of the number of labelled pixels.
            reduction_override: reduction for this call.
            ignore_index: label without loss.

        Returns:
            A scalar, or (N, ...) with reduction 'none'.
        """
        loss = softmax_focal_loss(pred, target, self.gamma, ignore_index)
        shares = pixel_weights(target, self.class_weight, ignore_index)
        if self.class_weight is not None:
            loss = loss * shares
        if weight is not None:
            loss = loss * weight
        reduction = reduction_override or self.reduction
        if reduction == 'mean':
            loss = loss.sum() / (divisor(shares) if avg_factor is None else avg_factor)
        elif reduction == 'sum':
            loss = loss.sum()
        return self.loss_weight * loss
