"""Datasets of image time series, their transforms and samplers."""

from .base import Sensor, SeriesDataset
from .samplers import DrawIndex, SeriesEvalSampler, SeriesSampler

__all__ = ['DrawIndex', 'Sensor', 'SeriesDataset', 'SeriesEvalSampler', 'SeriesSampler']
