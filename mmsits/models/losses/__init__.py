"""Losses beside those of mmseg."""

from .binary_losses import BinaryFocalLoss, MaskedBinaryLoss, MaskedDiceLoss
from .focal_mixture_loss import FocalMixtureLoss
from .logit_adjusted_loss import LogitAdjustedLoss
from .positive_unlabelled_loss import PositiveUnlabelledLoss
from .smoothed_cross_entropy_loss import SmoothedCrossEntropyLoss
from .softmax_focal_loss import SoftmaxFocalLoss

__all__ = [
    'BinaryFocalLoss',
    'FocalMixtureLoss',
    'LogitAdjustedLoss',
    'MaskedBinaryLoss',
    'MaskedDiceLoss',
    'PositiveUnlabelledLoss',
    'SmoothedCrossEntropyLoss',
    'SoftmaxFocalLoss',
]
