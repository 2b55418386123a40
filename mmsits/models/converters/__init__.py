"""Published weights under the names of this library."""

from .cropmapping import convert_cropmapping, cropmapping_options, rename_cropmapping_key
from .sitsmoco import convert_sitsmoco, rename_sitsmoco_key, sitsmoco_options
from .slgt2net import convert_slgt2net, rename_slgt2net_key, slgt2net_options
from .timematch import convert_timematch, rename_timematch_key, timematch_options
from .utae import convert_utae, rename_utae_key, utae_options

__all__ = [
    'convert_cropmapping',
    'convert_sitsmoco',
    'convert_slgt2net',
    'convert_timematch',
    'convert_utae',
    'cropmapping_options',
    'rename_cropmapping_key',
    'rename_sitsmoco_key',
    'rename_slgt2net_key',
    'rename_timematch_key',
    'rename_utae_key',
    'sitsmoco_options',
    'slgt2net_options',
    'timematch_options',
    'utae_options',
]
