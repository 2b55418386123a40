"""Logit adjustment for long tails (Menon et al., ICLR 2021, arXiv 2007.07314)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class LogitAdjustedLoss(nn.Module):
    """A loss of scores to which `tau` times the logarithm of each class's share is added.

    The network then need not learn the shares, and what it gives without the addition, in validation and test, is best
    for the mean of the classes' accuracies rather than for the overall accuracy (eq. 10, the loss; not the adjustment
    after training).

    The shares are those of the training data; `ClassPriorHook` counts them before training:
    `custom_hooks=[dict(type='ClassPriorHook')]`. They are no weights, and not in the state dict.

    Args:
        loss: config of the loss, such as `dict(type='CrossEntropyLoss', avg_non_ignore=True)`. It must be one of a
            softmax over the classes.
        tau: strength; 1 as derived, 0 gives the plain loss.
        prior: share of each class; None waits for the hook.

    Raises:
        ValueError: if shares are not positive, or none are known when the loss is computed.
    """

    log_prior: Tensor | None

    def __init__(self, loss: dict[str, Any], tau: float = 1.0, prior: Sequence[float] | None = None) -> None:
        super().__init__()
        self.loss = MODELS.build(loss)
        if getattr(self.loss, 'use_sigmoid', False):
            raise ValueError('LogitAdjustedLoss is for a softmax over the classes, not for a sigmoid of each')
        self.tau = tau
        self.register_buffer('log_prior', None, persistent=False)
        if prior is not None:
            self.set_class_counts(prior)

    @property
    def loss_name(self) -> str:
        """Name of the loss in the log."""
        return self.loss.loss_name

    def set_class_counts(self, counts: Sequence[float] | Tensor) -> None:
        """Take over how often each class occurs, (K,); a class that does not counts as one that did once."""
        counts = torch.as_tensor(counts, dtype=torch.float64)
        smallest = counts[counts > 0].min() if (counts > 0).any() else counts.new_tensor(0.0)
        if (counts < 0).any() or smallest == 0:
            raise ValueError(f'the shares of the classes must not be negative, and one at least positive: {counts}')
        counts = torch.where(counts > 0, counts, smallest.clamp(max=1.0))
        device = next((buffer.device for buffer in self.buffers()), torch.device('cpu'))
        self.log_prior = (counts / counts.sum()).log().float().to(device)

    def forward(self, pred: Tensor, target: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Compute the loss, as mmseg's heads call it.

        Args:
            pred: class scores (N, K, ...).
            target: labels, int64 (N, ...).
            *args: handed on.
            **kwargs: handed on.

        Returns:
            What the loss returns.
        """
        if self.log_prior is None:
            raise ValueError(
                'LogitAdjustedLoss does not know the shares of the classes: add dict(type="ClassPriorHook") to '
                'custom_hooks, or give prior'
            )
        if len(self.log_prior) != pred.shape[1]:
            raise ValueError(f'{len(self.log_prior)} shares of classes are known, the scores are of {pred.shape[1]}')
        adjustment = self.tau * self.log_prior.to(pred.device)
        return self.loss(pred + adjustment.view(-1, *[1] * (pred.dim() - 2)), target, *args, **kwargs)
