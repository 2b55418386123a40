"""DANN: domain-adversarial training (Ganin et al., JMLR 2016, arXiv 1505.07818)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from ..layers.gradient_reversal import GradientReversal
from .base import DomainRows, FeatureAlignment
from .discriminators import DomainDiscriminator


def domain_loss(source_logits: Tensor, target_logits: Tensor) -> Tensor:
    """Half the sum of both domains' binary cross-entropies: source (n,) is 1, target (m,) is 0."""
    return 0.5 * (
        F.binary_cross_entropy_with_logits(source_logits, torch.ones_like(source_logits))
        + F.binary_cross_entropy_with_logits(target_logits, torch.zeros_like(target_logits))
    )


@torch.no_grad()
def domain_accuracy(source_logits: Tensor, target_logits: Tensor) -> Tensor:
    """How well the domains are told apart, in percent: mean of the two domains' accuracies. 50 means not at all."""
    return 50 * ((source_logits >= 0).float().mean() + (target_logits < 0).float().mean())


@MODELS.register_module()
class DANN(FeatureAlignment):
    """Train features that a discriminator cannot tell apart by domain, by reversing its gradient.

    Args:
        hidden: width of the discriminator.
        batch_norm: batch norm in the discriminator, else dropout.
        reversal: options of `GradientReversal`; by default its weight is 0.46 after 1000 steps and 0.99 after 5300.
        **kwargs: see `FeatureAlignment`.
    """

    joint_forward = True

    def __init__(
        self,
        hidden: int = 1024,
        batch_norm: bool = True,
        reversal: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.reversal = GradientReversal(**(reversal or {}))
        self.discriminator = DomainDiscriminator(self.needed_channels(), hidden, batch_norm)

    def alignment(self, source: DomainRows, target: DomainRows) -> dict[str, Tensor]:
        """See `FeatureAlignment.alignment`."""
        rows = self.reversal(torch.cat([source.features, target.features]))
        ours, theirs = self.discriminator(rows).float().split([len(source.features), len(target.features)])
        return {
            'loss_transfer': self.trade_off * domain_loss(ours, theirs),
            'domain_accuracy': domain_accuracy(ours, theirs),
        }
