"""Networks for image time series."""

from .backbones import UTAE, PixelSetBackbone, PixelwiseBackbone
from .data_preprocessors import SeriesDataPreprocessor
from .decode_heads import MLPHead, UTAEHead
from .losses import SoftmaxFocalLoss
from .segmentors import TemporalEncoderDecoder
from .temporal_encoders import LTAE, TAE, SeriesGRU, TempCNN, TemporalEncoder, TimeMatchLTAE

__all__ = [
    'LTAE',
    'TAE',
    'UTAE',
    'MLPHead',
    'PixelSetBackbone',
    'PixelwiseBackbone',
    'SeriesDataPreprocessor',
    'SeriesGRU',
    'SoftmaxFocalLoss',
    'TempCNN',
    'TemporalEncoder',
    'TemporalEncoderDecoder',
    'TimeMatchLTAE',
    'UTAEHead',
]
