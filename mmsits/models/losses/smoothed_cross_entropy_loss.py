"""Cross-entropy with label smoothing (Szegedy et al., CVPR 2016, arXiv 1512.00567), which mmseg's has not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from .class_weighting import divisor, pixel_weights


@MODELS.register_module()
class SmoothedCrossEntropyLoss(nn.Module):
    """Cross-entropy, the mean over labelled pixels, against labels of which a small share goes to all classes alike.

    A network that is to be certain of few samples learns them by heart; where it may stay a little uncertain, it does
    better on others, and its probabilities say more.

    Args:
        label_smoothing: the share, 0 to below 1; 0 gives the plain cross-entropy.
        loss_weight: factor.
        loss_name: name in the log; with 'loss_' in front it is part of the sum.
        class_weight: weight of a pixel by its label; the mean is then divided by the labelled pixels' weights.

    Raises:
        ValueError: if the share is out of range.
    """

    def __init__(
        self,
        label_smoothing: float = 0.1,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_ce',
        class_weight: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise ValueError(f'label_smoothing must lie in [0, 1), got {label_smoothing}')
        self.label_smoothing, self.loss_weight, self.loss_name = label_smoothing, loss_weight, loss_name
        self.class_weight = class_weight

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
            A scalar; 0 where nothing is labelled.
        """
        # Half precision (AMP) is too coarse for a sum of logarithms.
        pred = pred.to(torch.promote_types(pred.dtype, torch.float32))
        loss = F.cross_entropy(
            pred, target, ignore_index=ignore_index, reduction='none', label_smoothing=self.label_smoothing
        )
        shares = pixel_weights(target, self.class_weight, ignore_index)
        if self.class_weight is not None:
            loss = loss * shares
        if weight is not None:
            loss = loss * weight
        return self.loss_weight * loss.sum() / divisor(shares)
