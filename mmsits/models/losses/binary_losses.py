"""Losses of heads that ask for each class by itself (`MultiLabelHead`), over what is labelled and nothing else.

All take logits (N, K, H, W) and as many maps of 1 (the crop), 0 (not the crop) and `ignore_index` (nobody knows), as
`MultiLabelHead` hands them on. Where nothing is labelled they are 0, and part of the graph.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn


class BinaryMapsLoss(nn.Module, metaclass=ABCMeta):
    """Base: takes ignored pixels out.

    Args:
        loss_weight: factor.
        loss_name: name in the log; with 'loss_' in front it is part of the sum.
    """

    def __init__(self, loss_weight: float, loss_name: str) -> None:
        super().__init__()
        self.loss_weight, self.loss_name = loss_weight, loss_name

    def forward(self, pred: Tensor, target: Tensor, *_: Any, ignore_index: int = 255, **__: Any) -> Tensor:
        """Compute the loss, as `MultiLabelHead` calls it.

        Args:
            pred: logits (N, K, H, W).
            target: 0, 1 or `ignore_index`, of the same shape.
            ignore_index: label without loss.

        Returns:
            A scalar.

        Raises:
            ValueError: if the shapes differ.
        """
        if pred.shape != target.shape:
            raise ValueError(
                f'{type(self).__name__} takes a map for each class {tuple(pred.shape)}, got labels '
                f'{tuple(target.shape)}: use it in MultiLabelHead'
            )
        pred = pred.to(torch.promote_types(pred.dtype, torch.float32))
        known = target != ignore_index
        return self.loss_weight * self.compute(pred, target.masked_fill(~known, 0).to(pred.dtype), known)

    @abstractmethod
    def compute(self, logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """The loss, a scalar.

        Args:
            logits: (N, K, H, W), floats of 32 bits at least.
            target: 0 or 1, of the same type; 0 where not known.
            known: bool.
        """


@MODELS.register_module()
class MaskedBinaryLoss(BinaryMapsLoss):
    """Binary cross-entropy with a weight for each crop and one for negatives, the mean over what is labelled.

    Without weights it is mmseg's `CrossEntropyLoss(use_sigmoid=True, avg_non_ignore=True)`; that one's `class_weight`
    is laid along the columns of the image instead of the classes.

    Args:
        class_weight: of the positive pixels of each crop, (K,); None for 1.
        negative_weight: of all negative pixels: below 1 where unmarked fields of a crop are among them.
        loss_weight: factor.
        loss_name: name in the log.

    Raises:
        ValueError: for a negative weight, or when the loss is computed, if there are not as many weights as crops.
    """

    def __init__(
        self,
        class_weight: Sequence[float] | None = None,
        negative_weight: float = 1.0,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_bce',
    ) -> None:
        super().__init__(loss_weight, loss_name)
        if negative_weight < 0 or min(class_weight or (0,)) < 0:
            raise ValueError(f'weights must not be negative, got {class_weight} and {negative_weight}')
        self.class_weight = None if class_weight is None else [float(weight) for weight in class_weight]
        self.negative_weight = negative_weight

    def compute(self, logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """See `BinaryMapsLoss`."""
        if self.class_weight is not None and len(self.class_weight) != logits.shape[1]:
            raise ValueError(
                f'class_weight: {len(self.class_weight)} weights were given for {logits.shape[1]} crops (what is none '
                'of them has no weight: negative_weight)'
            )
        positive = logits.new_ones(1) if self.class_weight is None else logits.new_tensor(self.class_weight)
        weights = torch.where(target > 0, positive.view(-1, 1, 1), self.negative_weight) * known
        entropy = F.binary_cross_entropy_with_logits(logits, target, weights, reduction='sum')
        return entropy / known.sum().clamp(min=1)


@MODELS.register_module()
class BinaryFocalLoss(BinaryMapsLoss):
    """The sigmoid focal loss (Lin et al., ICCV 2017, arXiv 1708.02002): alpha_t (1 - p_t) ** gamma * cross-entropy, the
    mean over what is labelled.

    Args:
        gamma: exponent, 0 or more.
        alpha: weight of positives, 1 - alpha that of negatives; None for 1 and 1.
        loss_weight: factor.
        loss_name: name in the log.

    Raises:
        ValueError: for a negative gamma, or an alpha outside 0 to 1.
    """

    def __init__(
        self,
        gamma: float = 2.0,
        alpha: float | None = None,
        loss_weight: float = 1.0,
        loss_name: str = 'loss_binary_focal',
    ) -> None:
        super().__init__(loss_weight, loss_name)
        if gamma < 0 or not (alpha is None or 0 <= alpha <= 1):
            raise ValueError(f'expected gamma >= 0 and alpha from 0 to 1, got {gamma} and {alpha}')
        self.gamma, self.alpha = gamma, alpha

    def compute(self, logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """See `BinaryMapsLoss`."""
        entropy = F.binary_cross_entropy_with_logits(logits, target, reduction='none')
        # 1 - p_t without cancellation; above 0, where the power has a slope.
        rest = torch.where(target > 0, -logits, logits).sigmoid().clamp(min=torch.finfo(logits.dtype).tiny)
        loss = rest**self.gamma * entropy
        if self.alpha is not None:
            loss = loss * torch.where(target > 0, self.alpha, 1 - self.alpha)
        return (loss * known).sum() / known.sum().clamp(min=1)


@MODELS.register_module()
class MaskedDiceLoss(BinaryMapsLoss):
    """1 - 2 sum(p y) / (sum(p) + sum(y)) over the labelled pixels of the batch, the mean over the crops that occur.

    mmseg's `DiceLoss` counts what is predicted on ignored pixels as wrong. A crop without a labelled positive pixel in
    the batch is left out: its loss would be 1 whatever is predicted.

    Args:
        smooth: added to numerator and denominator, in pixels.
        loss_weight: factor.
        loss_name: name in the log.
    """

    def __init__(self, smooth: float = 1.0, loss_weight: float = 1.0, loss_name: str = 'loss_masked_dice') -> None:
        super().__init__(loss_weight, loss_name)
        self.smooth = smooth

    def compute(self, logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """See `BinaryMapsLoss`."""
        probabilities = logits.sigmoid() * known
        common, predicted, marked = (part.sum((0, 2, 3)) for part in (probabilities * target, probabilities, target))
        dice = (2 * common + self.smooth) / (predicted + marked + self.smooth)
        occurs = marked > 0
        return ((1 - dice) * occurs).sum() / occurs.sum().clamp(min=1)
