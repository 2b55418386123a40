"""What flows through datasets, models and tools."""

from .image_series import ImageSeries, dates_exist, pixels_exist
from .labels import NOT_THIS_CROP, binary_maps, crop_probabilities
from .prediction import to_data_samples
from .sample_meta import SampleMeta

__all__ = [
    'NOT_THIS_CROP',
    'ImageSeries',
    'SampleMeta',
    'binary_maps',
    'crop_probabilities',
    'dates_exist',
    'pixels_exist',
    'to_data_samples',
]
