"""Decode heads beside those of mmseg."""

from .utae_head import UTAEHead

__all__ = ['UTAEHead']
