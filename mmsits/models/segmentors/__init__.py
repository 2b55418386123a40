"""Segmentors for image time series."""

from .temporal_encoder_decoder import TemporalEncoderDecoder, first_output, observed_pixels

__all__ = ['TemporalEncoderDecoder', 'first_output', 'observed_pixels']
