"""Published weights under the names of this library."""

from .cropmapping import convert_cropmapping, cropmapping_options, rename_cropmapping_key
from .sitsmoco import convert_sitsmoco, rename_sitsmoco_key, sitsmoco_options
from .slgt2net import convert_slgt2net, rename_slgt2net_key, slgt2net_options
from .stcln import convert_stcln, rename_stcln_key, stcln_options, unused_stcln_keys
from .timematch import convert_timematch, rename_timematch_key, timematch_options
from .tsvit import convert_tsvit, rename_tsvit_key, tsvit_options
from .utae import convert_utae, rename_utae_key, utae_options

__all__ = [
    'convert_cropmapping',
    'convert_sitsmoco',
    'convert_slgt2net',
    'convert_stcln',
    'convert_timematch',
    'convert_tsvit',
    'convert_utae',
    'cropmapping_options',
    'rename_cropmapping_key',
    'rename_sitsmoco_key',
    'rename_slgt2net_key',
    'rename_stcln_key',
    'rename_timematch_key',
    'rename_tsvit_key',
    'rename_utae_key',
    'sitsmoco_options',
    'slgt2net_options',
    'stcln_options',
    'timematch_options',
    'tsvit_options',
    'unused_stcln_keys',
    'utae_options',
]
