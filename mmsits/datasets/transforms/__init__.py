"""Transforms of image series, one concern per file."""

from .clouds import DropCloudyDates
from .formatting import PackSeriesInputs
from .indices import AddSpectralIndices
from .instances import LoadPASTISInstances
from .loading import LoadSeries, LoadSeriesLabels
from .missing import HandleMissingValues
from .pixels import SamplePixels
from .radar import ConvertBackscatter, FilterSpeckle, SimulateSpeckle
from .radiometric import DropChannels, JitterValues, ScaleReflectance
from .resampling import CompositeDates, InterpolateDates, interpolate_to_grid
from .resizing import SeriesRandomResize
from .spatial import (
    PadSeries,
    SeriesCenterCrop,
    SeriesRandomCrop,
    SeriesRandomFlip,
    SeriesRandomRotate90,
    SpatialTransform,
)
from .temporal import CropDays, DropDates, SampleDates, SelectDate, ShiftDays
from .whole_series import SeriesTransform

__all__ = [
    'AddSpectralIndices',
    'CompositeDates',
    'ConvertBackscatter',
    'CropDays',
    'DropChannels',
    'DropCloudyDates',
    'DropDates',
    'FilterSpeckle',
    'HandleMissingValues',
    'InterpolateDates',
    'JitterValues',
    'LoadPASTISInstances',
    'LoadSeries',
    'LoadSeriesLabels',
    'PackSeriesInputs',
    'PadSeries',
    'SampleDates',
    'SamplePixels',
    'ScaleReflectance',
    'SelectDate',
    'SeriesCenterCrop',
    'SeriesRandomCrop',
    'SeriesRandomFlip',
    'SeriesRandomResize',
    'SeriesRandomRotate90',
    'SeriesTransform',
    'ShiftDays',
    'SimulateSpeckle',
    'SpatialTransform',
    'interpolate_to_grid',
]
