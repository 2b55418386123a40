"""Datasets of image time series, their transforms and samplers."""

from . import transforms
from .base import Sensor, SeriesDataset
from .brandenburg import BrandenburgDataset
from .class_counts import count_classes
from .class_weights import class_weights
from .collate import CollatedBatch, identity_collate
from .contrastive import ContrastiveViews
from .cropmapping import EuroCropMapDataset, ISRCDataset
from .domain import DomainViews
from .errors import DataError
from .merged import MergedDataset, UnlabelledUnion
from .mtlcc import MTLCCDataset
from .packed_windows import PackedWindows
from .parcel_dataset import ParcelSeriesDataset
from .pastis import PASTISDataset
from .samplers import (
    AnnotatedSampler,
    ClassBalancedSampler,
    ClassWeightedSampler,
    DrawIndex,
    MixtureSampler,
    SeriesEvalSampler,
    SeriesSampler,
    SizeBatchSampler,
)
from .scene import SceneDataset, SceneWindows
from .series_table import SeriesTableDataset
from .slovenia import SloveniaDataset
from .timematch import TimeMatchDataset
from .us_crops import USCropsDataset

__all__ = [
    'AnnotatedSampler',
    'BrandenburgDataset',
    'ClassBalancedSampler',
    'ClassWeightedSampler',
    'CollatedBatch',
    'ContrastiveViews',
    'DataError',
    'DomainViews',
    'DrawIndex',
    'EuroCropMapDataset',
    'ISRCDataset',
    'MTLCCDataset',
    'MergedDataset',
    'MixtureSampler',
    'PASTISDataset',
    'PackedWindows',
    'ParcelSeriesDataset',
    'SceneDataset',
    'SceneWindows',
    'Sensor',
    'SeriesDataset',
    'SeriesEvalSampler',
    'SeriesSampler',
    'SeriesTableDataset',
    'SizeBatchSampler',
    'SloveniaDataset',
    'TimeMatchDataset',
    'USCropsDataset',
    'UnlabelledUnion',
    'class_weights',
    'count_classes',
    'identity_collate',
    'transforms',
]
