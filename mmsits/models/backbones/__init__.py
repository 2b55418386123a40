"""Networks from a dict of `ImageSeries` to feature maps, highest resolution first."""

from .utae import UTAE

__all__ = ['UTAE']
