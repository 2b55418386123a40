"""Layers that several networks share."""

from .conv_blocks import ConvLayer, DownConvBlock, UpConvBlock, build_norm
from .date_packing import DatePacking, shared_over_dates
from .day_encoding import DayEncoding
from .initializers import XavierNormalInit
from .masked_norm import TemporalGroupNorm
from .master_query import MasterQueryAttention, masked_softmax
from .temporal_aggregator import TemporalAggregator, resize_attention

__all__ = [
    'ConvLayer',
    'DatePacking',
    'DayEncoding',
    'DownConvBlock',
    'MasterQueryAttention',
    'TemporalAggregator',
    'TemporalGroupNorm',
    'UpConvBlock',
    'XavierNormalInit',
    'build_norm',
    'masked_softmax',
    'resize_attention',
    'shared_over_dates',
]
