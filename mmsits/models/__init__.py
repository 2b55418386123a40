"""Networks for image time series."""

from .data_preprocessors import SeriesDataPreprocessor
from .segmentors import TemporalEncoderDecoder

__all__ = ['SeriesDataPreprocessor', 'TemporalEncoderDecoder']
