"""Networks from a dict of `ImageSeries` to feature maps, highest resolution first."""

from .collapsed_unet import CollapsedUNet
from .conv_recurrent import ConvRecurrentBackbone
from .fpn_convlstm import FPNConvLSTM
from .fusion import FusionBackbone
from .pixel_set import PixelSetBackbone
from .pixelwise import PixelwiseBackbone
from .siamese_unet3d import SiameseUNet3D
from .slgt2net import SLGT2Net
from .stcln import STCLN, DatedFeatures
from .tsvit import STViT, TSViT
from .uconvlstm import UConvLSTM
from .unet3d import UNet3D
from .utae import UTAE

__all__ = [
    'STCLN',
    'UTAE',
    'CollapsedUNet',
    'ConvRecurrentBackbone',
    'DatedFeatures',
    'FPNConvLSTM',
    'FusionBackbone',
    'PixelSetBackbone',
    'PixelwiseBackbone',
    'SLGT2Net',
    'STViT',
    'SiameseUNet3D',
    'TSViT',
    'UConvLSTM',
    'UNet3D',
]
