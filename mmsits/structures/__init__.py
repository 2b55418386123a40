"""What flows through datasets, models and tools."""

from .image_series import ImageSeries, dates_exist, pixels_exist, select_dates
from .prediction import to_data_samples

__all__ = ['ImageSeries', 'dates_exist', 'pixels_exist', 'select_dates', 'to_data_samples']
