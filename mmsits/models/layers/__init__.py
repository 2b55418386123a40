"""Layers that several networks share."""

from .conv_blocks import ConvLayer, DownConvBlock, UpConvBlock, build_norm
from .date_packing import DatePacking, shared_over_dates
from .day_encoding import DayEncoding, OffsetDayEncoding, add_day_encoding
from .initializers import XavierNormalInit
from .linear_block import LinearBlock, linear_blocks
from .masked_norm import TemporalGroupNorm
from .master_query import MasterQueryAttention, masked_softmax
from .temporal_aggregator import TemporalAggregator, resize_attention
from .valid_dates import ToFixedLength, take_dates, valid_dates_first

__all__ = [
    'ConvLayer',
    'DatePacking',
    'DayEncoding',
    'DownConvBlock',
    'LinearBlock',
    'MasterQueryAttention',
    'OffsetDayEncoding',
    'TemporalAggregator',
    'TemporalGroupNorm',
    'ToFixedLength',
    'UpConvBlock',
    'XavierNormalInit',
    'add_day_encoding',
    'build_norm',
    'linear_blocks',
    'masked_softmax',
    'resize_attention',
    'shared_over_dates',
    'take_dates',
    'valid_dates_first',
]
