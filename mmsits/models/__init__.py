"""Networks for image time series."""

from .adaptation import ALDA, CDAN, DANN, JUMBOT, MMD, DomainAdaptor, FixMatch, TimeMatch
from .backbones import (
    STCLN,
    UTAE,
    ConvRecurrentBackbone,
    FPNConvLSTM,
    PixelSetBackbone,
    PixelwiseBackbone,
    SLGT2Net,
    UConvLSTM,
    UNet3D,
)
from .data_preprocessors import SeriesDataPreprocessor
from .decode_heads import ConvHead, EnsembleHead, MLPHead, STCLNHead, UTAEHead
from .losses import FocalMixtureLoss, SmoothedCrossEntropyLoss, SoftmaxFocalLoss
from .pretraining import SeriesMoCo
from .segmentors import TemporalEncoderDecoder
from .temporal_encoders import (
    LTAE,
    TAE,
    EncoderEnsemble,
    PostNormTransformer,
    SeriesGRU,
    SeriesLSTM,
    SeriesMLP,
    SeriesTransformer,
    SITSMoCoLTAE,
    STNet,
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
    'STCLN',
    'TAE',
    'UTAE',
    'ConvHead',
    'ConvRecurrentBackbone',
    'DomainAdaptor',
    'EncoderEnsemble',
    'EnsembleHead',
    'FPNConvLSTM',
    'FixMatch',
    'FocalMixtureLoss',
    'MLPHead',
    'PixelSetBackbone',
    'PixelwiseBackbone',
    'PostNormTransformer',
    'SITSMoCoLTAE',
    'SLGT2Net',
    'STCLNHead',
    'STNet',
    'SeriesDataPreprocessor',
    'SeriesGRU',
    'SeriesLSTM',
    'SeriesMLP',
    'SeriesMoCo',
    'SeriesTransformer',
    'SmoothedCrossEntropyLoss',
    'SoftmaxFocalLoss',
    'TempCNN',
    'TemporalEncoder',
    'TemporalEncoderDecoder',
    'TimeMatch',
    'TimeMatchLTAE',
    'UConvLSTM',
    'UNet3D',
    'UTAEHead',
]
