"""Layers that several networks share."""

from .attention_layer import AttentionLayer, PostNormAttentionLayer
from .conv_blocks import ConvLayer, DownConvBlock, UpConvBlock, build_norm
from .date_embedding import DayOfYearEmbedding, PlaceEmbedding, TrainingDaysEmbedding, cut_day_of_year, day_of_year
from .date_packing import DatePacking, shared_over_dates
from .dated_transformer import DatedTransformer, pool_dates
from .day_encoding import DayEncoding, OffsetDayEncoding, add_day_encoding
from .greenness import GreennessWeights, clear_greenness
from .initializers import KaimingNormalInit, XavierNormalInit
from .linear_block import LinearBlock, linear_blocks
from .masked_norm import TemporalGroupNorm
from .master_query import MasterQueryAttention, masked_softmax
from .temporal_aggregator import TemporalAggregator, resize_attention
from .valid_dates import ToFixedLength, ToLengthWithZeros, take_dates, valid_dates_first

__all__ = [
    'AttentionLayer',
    'ConvLayer',
    'DatePacking',
    'DatedTransformer',
    'DayEncoding',
    'DayOfYearEmbedding',
    'DownConvBlock',
    'GreennessWeights',
    'KaimingNormalInit',
    'LinearBlock',
    'MasterQueryAttention',
    'OffsetDayEncoding',
    'PlaceEmbedding',
    'PostNormAttentionLayer',
    'TemporalAggregator',
    'TemporalGroupNorm',
    'ToFixedLength',
    'ToLengthWithZeros',
    'TrainingDaysEmbedding',
    'UpConvBlock',
    'XavierNormalInit',
    'add_day_encoding',
    'build_norm',
    'clear_greenness',
    'cut_day_of_year',
    'day_of_year',
    'linear_blocks',
    'masked_softmax',
    'pool_dates',
    'resize_attention',
    'shared_over_dates',
    'take_dates',
    'valid_dates_first',
]
