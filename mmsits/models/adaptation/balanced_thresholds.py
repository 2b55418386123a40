"""Thresholds of pseudo labels, one per class, so that the labels kept have given class shares."""

from __future__ import annotations

import torch
from mmengine.dist import all_reduce
from torch import Tensor, nn

# Confidences are counted by -log10(1 - confidence): what matters are the ones near 1, where a softmax crowds.
BINS_PER_DECADE, DECADES = 20, 6
BINS = BINS_PER_DECADE * DECADES


class BalancedThresholds(nn.Module):
    """Deals out by class as many labels as one common threshold would keep.

    That threshold keeps mostly classes that a network is sure of, whatever their share. Here a class gets its share of
    the same number of labels: its most confident ones, above a threshold of its own (the idea of class-balanced
    self-training, Zou et al., ECCV 2018, with shares that are given). Where a class has too few confident
    predictions, fewer are kept in all.

    Args:
        num_classes: K.
        threshold: the common one, which says how many labels are kept.
        lowest: no class gets a lower threshold than this.
        decay: share of the counts that is kept from step to step.

    Attributes:
        counts: (K, bins) float64 buffer, predictions of the last steps by class and confidence, over all processes.

    Raises:
        ValueError: if the thresholds are no probabilities in this order, or `decay` is not below 1.
    """

    counts: Tensor

    def __init__(self, num_classes: int, threshold: float, lowest: float = 0.5, decay: float = 0.99) -> None:
        super().__init__()
        if not 0 <= lowest <= threshold < 1:
            raise ValueError(f'balanced pseudo labels: expected 0 ≤ lowest={lowest} ≤ threshold={threshold} < 1')
        if not 0 <= decay < 1:
            raise ValueError(f'balanced pseudo labels: decay={decay}, expected 0 or more and below 1')
        self.threshold, self.lowest, self.decay = threshold, lowest, decay
        self.register_buffer('counts', torch.zeros(num_classes, BINS, dtype=torch.float64))

    @torch.no_grad()
    def update(self, predicted: Tensor, confidence: Tensor) -> None:
        """Count a step's predictions: classes (n,) and their probabilities (n,). All processes call it together."""
        new = torch.zeros_like(self.counts)
        place = predicted * BINS + _bin_of(confidence)
        new.view(-1).index_add_(0, place, torch.ones_like(place, dtype=new.dtype))
        all_reduce(new)
        self.counts.copy_(self.decay * self.counts + new)

    @torch.no_grad()
    def thresholds(self, shares: Tensor) -> Tensor:
        """The threshold of each class, (K,) float64, that probabilities must exceed.

        Args:
            shares: wanted shares of the classes, (K,) with sum 1.
        """
        edges = _edges(self.counts.device)
        above = self.counts.flip(1).cumsum(1).flip(1)  # K, bins: predictions at least as confident as a bin's edge
        common = int(_bin_of(torch.tensor([self.threshold])))
        quotas = above[:, common].sum() * shares.to(above)
        # The lowest bin from which on there are no more than the quota; the last bin where even that holds more.
        first = (above > quotas[:, None]).sum(1).clamp(max=BINS - 1)
        own = edges[first].clamp(min=self.lowest)
        return own if self.counts.sum() else torch.full_like(own, self.threshold)


def _bin_of(confidence: Tensor) -> Tensor:
    decades = -torch.log10((1 - confidence.double()).clamp(min=10.0**-DECADES))
    # A confidence that lies on an edge belongs to the bin above it, in spite of rounding.
    return (decades * BINS_PER_DECADE + 1e-9).long().clamp(0, BINS - 1)


def _edges(device: torch.device) -> Tensor:
    """Lower edge of each bin, (bins,)."""
    return 1 - 10.0 ** -(torch.arange(BINS, dtype=torch.float64, device=device) / BINS_PER_DECADE)
