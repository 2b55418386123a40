"""Transforms of image series, one concern per file."""

from .before_harvest import HideDaysBeforeHarvest
from .clouds import DropCloudyDates
from .formatting import PackSeriesInputs
from .indices import AddSpectralIndices
from .instances import LoadPASTISInstances
from .labelled_pixels import KeepLabelledPixels
from .loading import LoadSeries, LoadSeriesLabels
from .missing import HandleMissingValues, MaskNoData
from .pixels import SamplePixels
from .radar import ConvertBackscatter, FilterSpeckle, SimulateSpeckle
from .radiometric import DisturbDates, DropChannels, JitterValues, ReplaceBand, ScaleReflectance, SwapBands
from .resampling import CompositeDates, InterpolateDates, interpolate_to_grid
from .resizing import SeriesRandomResize
from .rotation import SeriesRandomRotate
from .spatial import (
    PadSeries,
    SeriesCenterCrop,
    SeriesRandomCrop,
    SeriesRandomFlip,
    SeriesRandomRotate90,
    SpatialTransform,
)
from .temporal import CropDays, DropDates, RollDates, SampleDates, SelectDate, ShiftDays, SwapDates, ThinDates
from .unit_range import StretchToUnit
from .whole_series import SeriesTransform

__all__ = [
    'AddSpectralIndices',
    'CompositeDates',
    'ConvertBackscatter',
    'CropDays',
    'DisturbDates',
    'DropChannels',
    'DropCloudyDates',
    'DropDates',
    'FilterSpeckle',
    'HandleMissingValues',
    'HideDaysBeforeHarvest',
    'InterpolateDates',
    'JitterValues',
    'KeepLabelledPixels',
    'LoadPASTISInstances',
    'LoadSeries',
    'LoadSeriesLabels',
    'MaskNoData',
    'PackSeriesInputs',
    'PadSeries',
    'ReplaceBand',
    'RollDates',
    'SampleDates',
    'SamplePixels',
    'ScaleReflectance',
    'SelectDate',
    'SeriesCenterCrop',
    'SeriesRandomCrop',
    'SeriesRandomFlip',
    'SeriesRandomResize',
    'SeriesRandomRotate',
    'SeriesRandomRotate90',
    'SeriesTransform',
    'ShiftDays',
    'SimulateSpeckle',
    'SpatialTransform',
    'StretchToUnit',
    'SwapBands',
    'SwapDates',
    'ThinDates',
    'interpolate_to_grid',
]
