"""Losses beside those of mmseg."""

from .focal_mixture_loss import FocalMixtureLoss
from .softmax_focal_loss import SoftmaxFocalLoss

__all__ = ['FocalMixtureLoss', 'SoftmaxFocalLoss']
