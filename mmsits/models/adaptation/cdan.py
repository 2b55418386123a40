"""CDAN and CDAN+E: adversarial training conditioned on the prediction (Long et al., NeurIPS 2018, arXiv 1705.10667)."""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from ..layers.gradient_reversal import GradientReversal
from .base import DomainRows, FeatureAlignment
from .dann import domain_accuracy
from .discriminators import DomainDiscriminator

# Longer products of features and classes are replaced by random projections.
LONGEST_PRODUCT = 4096


def multilinear_map(features: Tensor, probabilities: Tensor) -> Tensor:
    """Products of each feature with each class' probability: (n, D), (n, K) -> (n, K D), class after class."""
    return torch.einsum('nk,nd->nkd', probabilities, features).flatten(1)


def randomized_map(features: Tensor, probabilities: Tensor, of_features: Tensor, of_classes: Tensor) -> Tensor:
    """A short stand-in for the multilinear map: product of two random projections.

    Args:
        features: (n, D).
        probabilities: (n, K).
        of_features: fixed standard normal matrix (D, R).
        of_classes: the same for classes, (K, R).

    Returns:
        (n, R).
    """
    return (features @ of_features) * (probabilities @ of_classes) / math.sqrt(of_features.shape[1])


def entropy(probabilities: Tensor) -> Tensor:
    """(n, K) -> (n,), in nats."""
    return -(probabilities * torch.log(probabilities + 1e-5)).sum(1)


def certainty_weights(probabilities: Tensor) -> Tensor:
    """Weight of each row, 1 + exp(-entropy), scaled to a mean of 1: (n, K) -> (n,)."""
    weights = 1 + torch.exp(-entropy(probabilities))
    return weights / weights.mean()


@MODELS.register_module()
class CDAN(FeatureAlignment):
    """Domain-adversarial training on the product of features and predictions.

    Predictions carry no gradient here, so the classifier learns from the source's labels alone.

    Args:
        weighted_by_entropy: CDAN+E: rows count the more, the surer their prediction.
        hidden, batch_norm: of the discriminator.
        randomized_dim: length of the random projections that stand in where features times classes exceed 4096.
        reversal: options of `GradientReversal`.
        **kwargs: see `FeatureAlignment`.
    """

    joint_forward = True
    of_features: Tensor
    of_classes: Tensor

    def __init__(
        self,
        weighted_by_entropy: bool = False,
        hidden: int = 1024,
        batch_norm: bool = True,
        randomized_dim: int = 1024,
        reversal: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.weighted_by_entropy = weighted_by_entropy
        self.reversal = GradientReversal(**(reversal or {}))
        channels, classes = self.needed_channels(), self.num_classes
        self.randomized = channels * classes > LONGEST_PRODUCT
        if self.randomized:
            self.register_buffer('of_features', torch.randn(channels, randomized_dim))
            self.register_buffer('of_classes', torch.randn(classes, randomized_dim))
        length = randomized_dim if self.randomized else channels * classes
        self.discriminator = DomainDiscriminator(length, hidden, batch_norm)

    def alignment(self, source: DomainRows, target: DomainRows) -> dict[str, Tensor]:
        """See `FeatureAlignment.alignment`."""
        features = torch.cat([source.features, target.features]).float()
        probabilities = torch.cat([source.logits, target.logits]).float().softmax(1).detach()
        logits = self.discriminator(self.reversal(self._product(features, probabilities))).float()
        is_source = torch.zeros_like(logits)
        is_source[: len(source.features)] = 1
        weights = certainty_weights(probabilities) if self.weighted_by_entropy else None
        loss = F.binary_cross_entropy_with_logits(logits, is_source, weights)
        ours, theirs = logits.split([len(source.features), len(target.features)])
        return {'loss_transfer': self.trade_off * loss, 'domain_accuracy': domain_accuracy(ours, theirs)}

    def _product(self, features: Tensor, probabilities: Tensor) -> Tensor:
        if self.randomized:
            return randomized_map(features, probabilities, self.of_features, self.of_classes)
        return multilinear_map(features, probabilities)
