"""Networks from one pixel's series (N, T, C) to one feature vector (N, C')."""

from .base import TemporalEncoder
from .ltae import LTAE

__all__ = ['LTAE', 'TemporalEncoder']
