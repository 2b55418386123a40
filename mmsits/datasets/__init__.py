"""Datasets of image time series, their transforms and samplers."""

from . import transforms
from .base import Sensor, SeriesDataset
from .errors import DataError
from .pastis import PASTISDataset
from .samplers import DrawIndex, SeriesEvalSampler, SeriesSampler

__all__ = [
    'DataError',
    'DrawIndex',
    'PASTISDataset',
    'Sensor',
    'SeriesDataset',
    'SeriesEvalSampler',
    'SeriesSampler',
    'transforms',
]
