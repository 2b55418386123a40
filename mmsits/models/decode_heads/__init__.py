"""Decode heads beside those of mmseg."""

from .ensemble_head import EnsembleHead
from .mlp_head import MLPHead
from .utae_head import UTAEHead

__all__ = ['EnsembleHead', 'MLPHead', 'UTAEHead']
