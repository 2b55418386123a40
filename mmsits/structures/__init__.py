"""What flows through datasets, models and tools."""

from .image_series import ImageSeries, dates_exist, pixels_exist
from .prediction import to_data_samples
from .sample_meta import SampleMeta

__all__ = ['ImageSeries', 'SampleMeta', 'dates_exist', 'pixels_exist', 'to_data_samples']
