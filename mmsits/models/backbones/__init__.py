"""Networks from a dict of `ImageSeries` to feature maps, highest resolution first."""

from .pixel_set import PixelSetBackbone
from .pixelwise import PixelwiseBackbone
from .utae import UTAE

__all__ = ['UTAE', 'PixelSetBackbone', 'PixelwiseBackbone']
