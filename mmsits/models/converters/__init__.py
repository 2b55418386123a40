"""Published weights under the names of this library."""

from .timematch import convert_timematch, rename_timematch_key, timematch_options
from .utae import convert_utae, rename_utae_key, utae_options

__all__ = [
    'convert_timematch',
    'convert_utae',
    'rename_timematch_key',
    'rename_utae_key',
    'timematch_options',
    'utae_options',
]
