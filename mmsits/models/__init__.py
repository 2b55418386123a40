"""Networks for image time series."""

from .adaptation import ALDA, CDAN, DANN, JUMBOT, MMD, DomainAdaptor, FixMatch, TimeMatch
from .backbones import UTAE, PixelSetBackbone, PixelwiseBackbone
from .data_preprocessors import SeriesDataPreprocessor
from .decode_heads import MLPHead, UTAEHead
from .losses import SoftmaxFocalLoss
from .segmentors import TemporalEncoderDecoder
from .temporal_encoders import (
    LTAE,
    TAE,
    SeriesGRU,
    SeriesLSTM,
    SeriesTransformer,
    TempCNN,
    TemporalEncoder,
    TimeMatchLTAE,
)

__all__ = [
    'ALDA',
    'CDAN',
    'DANN',
    'JUMBOT',
    'LTAE',
    'MMD',
    'TAE',
    'UTAE',
    'DomainAdaptor',
    'FixMatch',
    'MLPHead',
    'PixelSetBackbone',
    'PixelwiseBackbone',
    'SeriesDataPreprocessor',
    'SeriesGRU',
    'SeriesLSTM',
    'SeriesTransformer',
    'SoftmaxFocalLoss',
    'TempCNN',
    'TemporalEncoder',
    'TemporalEncoderDecoder',
    'TimeMatch',
    'TimeMatchLTAE',
    'UTAEHead',
]
