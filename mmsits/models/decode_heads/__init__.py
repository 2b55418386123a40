"""Decode heads beside those of mmseg."""

from .mlp_head import MLPHead
from .utae_head import UTAEHead

__all__ = ['MLPHead', 'UTAEHead']
