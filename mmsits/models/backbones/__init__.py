"""Networks from a dict of `ImageSeries` to feature maps, highest resolution first."""

from .pixel_set import PixelSetBackbone
from .pixelwise import PixelwiseBackbone
from .slgt2net import SLGT2Net
from .utae import UTAE

__all__ = ['UTAE', 'PixelSetBackbone', 'PixelwiseBackbone', 'SLGT2Net']
