"""Learning a crop from fields that are marked and pixels of which nothing is known (Kiryo et al., NeurIPS 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from .binary_losses import BinaryMapsLoss


@MODELS.register_module()
class PositiveUnlabelledLoss(BinaryMapsLoss):
    """Non-negative positive-unlabelled risk of each crop (nnPU, Kiryo et al. 2017, arXiv 1703.00593, equation 6).

    With the share pi of the crop among unlabelled pixels, and the mean losses P+ (positives taken for the crop), P-
    (positives taken for something else) and U- (unlabelled taken for something else), the risk is

        pi P+ + max(0, U- - pi P-).

    What is inside the maximum is an unbiased estimate of what negatives lose. It falls below 0 when a flexible network
    learns the marked pixels by heart; as published, the step then goes the other way (`gamma` times the gradient of
    what is inside), so that the network unlearns.

    Pixels of other crops, if their fields are marked in the same map, are known negatives N. With them the risk of the
    negatives is the mean of the estimate and the mean loss of N, weighted by `negative_share`. Without an unlabelled
    pixel in the batch there is no estimate, and N alone counts.

    Unlabelled are all pixels with label 255, so data with pixels of which nothing shall be learned (padding, no data)
    need patches of one size.

    Args:
        prior: share of each crop among unlabelled pixels, a number for all crops or (K,), above 0 and below 1. The
            agency's statistics of areas know it.
        beta: how far below 0 the estimate may fall, 0 or more.
        gamma: factor of the step back, 0 to 1.
        negative_share: weight of known negatives, 0 to 1; 0 leaves them out.
        surrogate: 'logistic', the binary cross-entropy, or 'sigmoid', bounded, as published.
        loss_weight: factor.
        loss_name: name in the log.

    Raises:
        ValueError: for an argument out of its range.
    """

    def __init__(
        self,
        prior: float | Sequence[float],
        beta: float = 0.0,
        gamma: float = 1.0,
        negative_share: float = 0.5,
        surrogate: str = 'logistic',
        loss_weight: float = 1.0,
        loss_name: str = 'loss_positive_unlabelled',
    ) -> None:
        super().__init__(loss_weight, loss_name)
        self.prior = [float(prior)] if isinstance(prior, int | float) else [float(share) for share in prior]
        if not all(0 < share < 1 for share in self.prior):
            raise ValueError(f'prior: shares above 0 and below 1 are expected, got {prior}')
        if beta < 0 or not 0 <= gamma <= 1 or not 0 <= negative_share <= 1:
            raise ValueError(
                f'expected beta >= 0, gamma and negative_share from 0 to 1; got {beta}, {gamma}, {negative_share}'
            )
        if surrogate not in ('logistic', 'sigmoid'):
            raise ValueError(f"surrogate={surrogate!r}: expected 'logistic' or 'sigmoid'")
        self.beta, self.gamma, self.negative_share, self.surrogate = beta, gamma, negative_share, surrogate

    def compute(self, logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
        """See `BinaryMapsLoss`; the mean over the crops with positive pixels in the batch."""
        crops = logits.shape[1]
        if len(self.prior) not in (1, crops):
            raise ValueError(f'prior: {len(self.prior)} shares were given for {crops} crops')
        prior = logits.new_tensor(self.prior).expand(crops)
        positive, negative = known & (target > 0), known & (target == 0)
        as_crop, as_other = self._loss(logits), self._loss(-logits)
        positives_lost = _mean(as_crop, positive)
        estimate = _mean(as_other, ~known) - prior * _mean(as_other, positive)  # K: what negatives lose, (1 - pi) N-
        known_lost = (1 - prior) * _mean(as_other, negative)
        # Of an estimate that does not count, the step back would make the network unlearn the crop.
        contested = negative.sum((0, 2, 3)) > 0
        trust = (1 - self.negative_share * contested.to(prior.dtype)) * ((~known).sum((0, 2, 3)) > 0)
        fallen = (trust > 0) & (estimate < -self.beta)
        risk = prior * positives_lost + torch.lerp(known_lost, estimate.clamp(min=-self.beta), trust)
        # The value stays that of the risk; only the direction of the step changes.
        step_back = -self.gamma * estimate
        risk = torch.where(fallen, step_back + (risk - step_back).detach(), risk)
        occurs = positive.sum((0, 2, 3)) > 0
        return (risk * occurs).sum() / occurs.sum().clamp(min=1)

    def _loss(self, margin: Tensor) -> Tensor:
        return F.softplus(-margin) if self.surrogate == 'logistic' else torch.sigmoid(-margin)


def _mean(values: Tensor, chosen: Tensor) -> Tensor:
    """Mean of each class over the chosen pixels, (K,); 0 where there are none."""
    return (values * chosen).sum((0, 2, 3)) / chosen.sum((0, 2, 3)).clamp(min=1)
