"""Datasets of image time series, their transforms and samplers."""

from . import transforms
from .base import Sensor, SeriesDataset
from .collate import CollatedBatch, identity_collate
from .errors import DataError
from .parcel_dataset import ParcelSeriesDataset
from .pastis import PASTISDataset
from .samplers import DrawIndex, SeriesEvalSampler, SeriesSampler
from .timematch import TimeMatchDataset

__all__ = [
    'CollatedBatch',
    'DataError',
    'DrawIndex',
    'PASTISDataset',
    'ParcelSeriesDataset',
    'Sensor',
    'SeriesDataset',
    'SeriesEvalSampler',
    'SeriesSampler',
    'TimeMatchDataset',
    'identity_collate',
    'transforms',
]
