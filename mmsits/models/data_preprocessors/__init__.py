"""Batching and normalisation on the device."""

from .series_data_preprocessor import SeriesDataPreprocessor

__all__ = ['SeriesDataPreprocessor']
