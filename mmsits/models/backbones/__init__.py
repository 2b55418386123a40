"""Networks from a dict of `ImageSeries` to feature maps, highest resolution first."""

from .conv_recurrent import ConvRecurrentBackbone
from .fpn_convlstm import FPNConvLSTM
from .pixel_set import PixelSetBackbone
from .pixelwise import PixelwiseBackbone
from .slgt2net import SLGT2Net
from .stcln import STCLN, DatedFeatures
from .tsvit import STViT, TSViT
from .uconvlstm import UConvLSTM
from .unet3d import UNet3D
from .utae import UTAE

__all__ = [
    'STCLN',
    'UTAE',
    'ConvRecurrentBackbone',
    'DatedFeatures',
    'FPNConvLSTM',
    'PixelSetBackbone',
    'PixelwiseBackbone',
    'SLGT2Net',
    'STViT',
    'TSViT',
    'UConvLSTM',
    'UNet3D',
]
