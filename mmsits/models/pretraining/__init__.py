"""Pre-training of backbones on series without labels."""

from .contrast import alignment, spread, uniformity
from .features import average_features
from .gathering import gather_inputs, gather_rows
from .masked_series_model import MaskedSeriesModel
from .reconstruction import DateConditionedDecoder, DatedDecoder
from .series_mask import SeriesMask, VegetationGate
from .series_moco import SeriesMoCo

__all__ = [
    'DateConditionedDecoder',
    'DatedDecoder',
    'MaskedSeriesModel',
    'SeriesMask',
    'SeriesMoCo',
    'VegetationGate',
    'alignment',
    'average_features',
    'gather_inputs',
    'gather_rows',
    'spread',
    'uniformity',
]
