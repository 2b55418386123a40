"""Adaptation of a segmentor from a labelled source domain to an unlabelled target domain.

`DomainAdaptor` wraps a segmentor and one of the methods here.
"""

from .alda import ALDA
from .balanced_thresholds import BalancedThresholds
from .base import AdaptationMethod, DomainRows, FeatureAlignment
from .cdan import CDAN
from .class_shares import class_weights, estimate_shares, reweighted
from .dann import DANN
from .domain_adaptor import DomainAdaptor, adaptor_of, source_weights_as_adaptor
from .fixmatch import FixMatch
from .jumbot import JUMBOT
from .mean_teacher import copy_student, update_teacher
from .mmd import MMD
from .self_training import PseudoLabels, SelfTraining, pseudo_labels
from .timematch import TimeMatch
from .views import join_inputs, select_samples, shift_days

__all__ = [
    'ALDA',
    'CDAN',
    'DANN',
    'JUMBOT',
    'MMD',
    'AdaptationMethod',
    'BalancedThresholds',
    'DomainAdaptor',
    'DomainRows',
    'FeatureAlignment',
    'FixMatch',
    'PseudoLabels',
    'SelfTraining',
    'TimeMatch',
    'adaptor_of',
    'class_weights',
    'copy_student',
    'estimate_shares',
    'join_inputs',
    'pseudo_labels',
    'reweighted',
    'select_samples',
    'shift_days',
    'source_weights_as_adaptor',
    'update_teacher',
]
