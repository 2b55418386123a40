"""ALDA: adversarial-learned loss for domain adaptation (Chen et al., AAAI 2020, arXiv 2001.01046)."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from ..layers.gradient_reversal import GradientReversal, ramp
from .base import DomainRows, FeatureAlignment
from .discriminators import ClassDiscriminator


class ALDATerms(NamedTuple):
    """The three parts of the loss, scalars.

    Attributes:
        adversarial: how well the discriminator corrects labels and pseudo labels.
        regulariser: cross-entropy of the discriminator's scores on the source.
        correct: the target's loss under the corrected pseudo labels, negative; 0 where nothing is confident.
    """

    adversarial: Tensor
    regulariser: Tensor
    correct: Tensor


def alda_terms(scores: Tensor, probabilities: Tensor, labels: Tensor, threshold: float) -> ALDATerms:
    """The losses of a batch whose first rows are the source's.

    The discriminator's confusion matrix says how likely label j is in truth k; applied to a one-hot prediction it gives
    the corrected prediction.

    Args:
        scores: discriminator's scores (n + m, K).
        probabilities: predictions (n + m, K).
        labels: of the n source rows.
        threshold: target rows take part where their largest probability exceeds it.
    """
    n, k = len(labels), scores.shape[1]
    confidence, predicted = probabilities.detach().max(1)
    kept = confidence > threshold
    kept[:n] = True
    one_hot = F.one_hot(predicted, k).to(scores.dtype) * kept[:, None]
    truth = F.one_hot(labels, k).to(scores.dtype)
    wanted = torch.cat([truth, (1 - one_hot[n:]) / (k - 1)])
    correction = _corrected(scores.sigmoid(), one_hot)
    adversarial = F.binary_cross_entropy(correction, wanted, reduction='none').sum(1)
    chosen = kept[n:, None].to(scores.dtype)
    agreement = (probabilities[n:] * correction[n:].detach() * chosen).sum()
    return ALDATerms(
        (adversarial * kept).sum() / kept.sum(),
        F.cross_entropy(scores[:n], labels),
        -agreement / (chosen.sum() * k).clamp(min=1),
    )


def _corrected(likelihood: Tensor, one_hot: Tensor) -> Tensor:
    """Confusion matrix times prediction without building the matrix: its diagonal is `likelihood` (n, K), the rest of
    a column shares what is left."""
    k = likelihood.shape[1]
    own = likelihood * one_hot
    left = (1 - likelihood) / (k - 1) * one_hot
    return own + left.sum(1, keepdim=True) - left


@MODELS.register_module()
class ALDA(FeatureAlignment):
    """Pseudo labels corrected by a discriminator that is trained against the features.

    Args:
        threshold: confidence above which target rows take part.
        hidden, dropout: of the discriminator.
        reversal: options of `GradientReversal`; by default it is 1 after some 500 steps.
        ramp_length: steps over which the weight of the corrected loss grows, see `ramp` (alpha 10).
        ramp_restarts_every: let that weight start from zero again every so many steps, as in published code, where it
            does so every epoch of 500 steps and never exceeds 0.245. None: it goes on growing.
        **kwargs: see `FeatureAlignment`.
    """

    joint_forward = False
    source_labels_needed = True
    steps: Tensor

    def __init__(
        self,
        threshold: float = 0.7,
        hidden: int = 1024,
        dropout: float = 0.5,
        reversal: dict[str, Any] | None = None,
        ramp_length: int = 10000,
        ramp_restarts_every: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold
        self.ramp_length = ramp_length
        self.ramp_restarts_every = ramp_restarts_every
        options = dict(alpha=10.0, counts_before_use=True)
        options.update(reversal or {})
        self.reversal = GradientReversal(**options)  # type: ignore[arg-type]
        self.discriminator = ClassDiscriminator(self.needed_channels(), self.num_classes, hidden, dropout)
        self.register_buffer('steps', torch.zeros((), dtype=torch.int64))

    def correct_weight(self) -> Tensor:
        """Weight of the corrected loss at the present step."""
        steps = self.steps if self.ramp_restarts_every is None else self.steps % self.ramp_restarts_every
        return ramp(steps, alpha=10.0, length=self.ramp_length)

    def alignment(self, source: DomainRows, target: DomainRows) -> dict[str, Tensor]:
        """See `FeatureAlignment.alignment`."""
        assert source.labels is not None
        features = torch.cat([source.features, target.features]).float()
        probabilities = torch.cat([source.logits, target.logits]).float().softmax(1)
        masks = self.discriminator.dropout_masks(features)
        scores = self.discriminator(self.reversal(features), masks).float()
        terms = alda_terms(scores, probabilities, source.labels, self.threshold)
        # The regulariser trains the discriminator only: the same pass once more, cut off from the features.
        regulariser = F.cross_entropy(
            self.discriminator(features.detach(), masks).float()[: len(source.labels)], source.labels
        )
        transfer = terms.adversarial + self.correct_weight().to(scores.dtype) * terms.correct
        if self.training:
            self.steps.copy_(self.steps + 1)
        return {
            'loss_transfer': self.trade_off * transfer,
            'loss_regulariser': regulariser,
            'adversarial': terms.adversarial.detach(),
            'correct': terms.correct.detach(),
        }
