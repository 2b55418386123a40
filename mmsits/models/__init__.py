"""Networks for image time series."""

from .backbones import UTAE, PixelwiseBackbone
from .data_preprocessors import SeriesDataPreprocessor
from .decode_heads import UTAEHead
from .segmentors import TemporalEncoderDecoder
from .temporal_encoders import LTAE, TemporalEncoder

__all__ = [
    'LTAE',
    'UTAE',
    'PixelwiseBackbone',
    'SeriesDataPreprocessor',
    'TemporalEncoder',
    'TemporalEncoderDecoder',
    'UTAEHead',
]
