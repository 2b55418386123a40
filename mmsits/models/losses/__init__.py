"""Losses beside those of mmseg."""

from .smoothed_cross_entropy_loss import SmoothedCrossEntropyLoss
from .softmax_focal_loss import SoftmaxFocalLoss

__all__ = ['SmoothedCrossEntropyLoss', 'SoftmaxFocalLoss']
