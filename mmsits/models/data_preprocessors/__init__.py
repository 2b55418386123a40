"""Batching and normalisation on the device."""

from .named_views_data_preprocessor import NamedViewsDataPreprocessor
from .series_data_preprocessor import SeriesDataPreprocessor

__all__ = ['NamedViewsDataPreprocessor', 'SeriesDataPreprocessor']
