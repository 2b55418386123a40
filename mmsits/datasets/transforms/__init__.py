"""Transforms of image series, one concern per file."""

from .formatting import PackSeriesInputs
from .instances import LoadPASTISInstances
from .loading import LoadSeries, LoadSeriesLabels
from .pixels import SamplePixels
from .radiometric import DropChannels, JitterValues, ScaleReflectance
from .spatial import SeriesCenterCrop, SeriesRandomCrop, SeriesRandomFlip, SeriesRandomRotate90, SpatialTransform
from .temporal import CropDays, DropDates, SampleDates, SelectDate, ShiftDays

__all__ = [
    'CropDays',
    'DropChannels',
    'DropDates',
    'JitterValues',
    'LoadPASTISInstances',
    'LoadSeries',
    'LoadSeriesLabels',
    'PackSeriesInputs',
    'SampleDates',
    'SamplePixels',
    'ScaleReflectance',
    'SelectDate',
    'SeriesCenterCrop',
    'SeriesRandomCrop',
    'SeriesRandomFlip',
    'SeriesRandomRotate90',
    'ShiftDays',
    'SpatialTransform',
]
