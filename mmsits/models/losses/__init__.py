"""Losses beside those of mmseg."""

from .focal_mixture_loss import FocalMixtureLoss
from .logit_adjusted_loss import LogitAdjustedLoss
from .smoothed_cross_entropy_loss import SmoothedCrossEntropyLoss
from .softmax_focal_loss import SoftmaxFocalLoss

__all__ = ['FocalMixtureLoss', 'LogitAdjustedLoss', 'SmoothedCrossEntropyLoss', 'SoftmaxFocalLoss']
