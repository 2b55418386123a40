"""Datasets of image time series, their transforms and samplers."""

from . import transforms
from .base import Sensor, SeriesDataset
from .collate import CollatedBatch, identity_collate
from .domain import DomainViews
from .errors import DataError
from .merged import MergedDataset
from .parcel_dataset import ParcelSeriesDataset
from .pastis import PASTISDataset
from .samplers import ClassBalancedSampler, DrawIndex, SeriesEvalSampler, SeriesSampler, SizeBatchSampler
from .scene import SceneDataset, SceneWindows
from .series_table import SeriesTableDataset
from .timematch import TimeMatchDataset

__all__ = [
    'ClassBalancedSampler',
    'CollatedBatch',
    'DataError',
    'DomainViews',
    'DrawIndex',
    'MergedDataset',
    'PASTISDataset',
    'ParcelSeriesDataset',
    'SceneDataset',
    'SceneWindows',
    'Sensor',
    'SeriesDataset',
    'SeriesEvalSampler',
    'SeriesSampler',
    'SeriesTableDataset',
    'SizeBatchSampler',
    'TimeMatchDataset',
    'identity_collate',
    'transforms',
]
