"""Cross-entropy and focal loss in one sum (the losses of SL-GT2Net's published code, Ni et al., IEEE TAES 2025)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class FocalMixtureLoss(nn.Module):
    """share * ce + (1 - share) * alpha * (1 - p) ** gamma * ce of each pixel, with p = exp(-ce).

    ce is the cross-entropy, weighted by class if there are weights; so p is the probability of the label only where its
    class has weight 1. Published are the cross-entropy (`share=1`, the default), a focal loss (`share=0, alpha=0.5,
    gamma=1`) and both together (`share=0.5, alpha=0.25, gamma=2`).

    Args:
        share: of the plain cross-entropy, from 0 to 1.
        alpha: factor of the focal part.
        gamma: exponent of the focal part.
        class_weight: one weight for each class; None for 1.
        avg_non_ignore: True divides by the labelled pixels, False, as published, by all. Class weights are never
            divided by.
        loss_weight: factor.
        loss_name: name in the log; with 'loss_' in front it is part of the sum.

    Raises:
        ValueError: for a share outside 0 to 1 or a negative gamma.
    """

    def __init__(
        self,
        share: float = 1.0,
        alpha: float = 1.0,
        gamma: float = 0.0,
        class_weight: Sequence[float] | None = None,
        avg_non_ignore: bool = True,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_focal_mixture',
    ) -> None:
        super().__init__()
        if not 0 <= share <= 1 or gamma < 0:
            raise ValueError(f'expected a share from 0 to 1 and gamma >= 0; got {share} and {gamma}')
        self.share, self.alpha, self.gamma = share, alpha, gamma
        self.class_weight = None if class_weight is None else [float(weight) for weight in class_weight]
        self.avg_non_ignore = avg_non_ignore
        self.loss_weight, self.loss_name = loss_weight, loss_name

    def forward(
        self, pred: Tensor, target: Tensor, weight: Tensor | None = None, ignore_index: int = 255, **_: Any
    ) -> Tensor:
        """Compute the loss, as mmseg's heads call it.

        Args:
            pred: class scores (N, K, ...).
            target: labels, int64 (N, ...).
            weight: of each pixel, (N, ...).
            ignore_index: label without loss.

        Returns:
            A scalar, 0 if no pixel is labelled.
        """
        pred = pred.to(torch.promote_types(pred.dtype, torch.float32))
        class_weight = None if self.class_weight is None else pred.new_tensor(self.class_weight)
        entropy = F.cross_entropy(pred, target, class_weight, ignore_index=ignore_index, reduction='none')
        loss = self.share * entropy
        if self.share < 1:
            # 1 - p without cancellation; above 0, where the power has a slope.
            rest = (-torch.expm1(-entropy)).clamp(min=torch.finfo(entropy.dtype).tiny)
            loss = loss + (1 - self.share) * self.alpha * rest**self.gamma * entropy
        if weight is not None:
            loss = loss * weight
        count = (target != ignore_index).sum().clamp(min=1) if self.avg_non_ignore else target.numel()
        return self.loss_weight * loss.sum() / count
