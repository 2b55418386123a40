"""Networks for image time series."""

from .adaptation import ALDA, CDAN, DANN, JUMBOT, MMD, DomainAdaptor, FixMatch, TimeMatch
from .backbones import UTAE, PixelSetBackbone, PixelwiseBackbone
from .data_preprocessors import SeriesDataPreprocessor
from .decode_heads import EnsembleHead, MLPHead, UTAEHead
from .losses import SmoothedCrossEntropyLoss, SoftmaxFocalLoss
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
    'TAE',
    'UTAE',
    'DomainAdaptor',
    'EncoderEnsemble',
    'EnsembleHead',
    'FixMatch',
    'MLPHead',
    'PixelSetBackbone',
    'PixelwiseBackbone',
    'PostNormTransformer',
    'SITSMoCoLTAE',
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
    'UTAEHead',
]
