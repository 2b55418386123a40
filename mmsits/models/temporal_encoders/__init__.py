"""Networks from one pixel's series (N, T, C) to one feature vector (N, C')."""

from .base import TemporalEncoder
from .encoder_ensemble import EncoderEnsemble
from .ltae import LTAE
from .series_gru import SeriesGRU
from .series_lstm import SeriesLSTM
from .series_mlp import SeriesMLP
from .series_transformer import SeriesTransformer
from .tae import TAE
from .temp_cnn import TempCNN
from .timematch_ltae import TimeMatchLTAE

__all__ = [
    'LTAE',
    'TAE',
    'EncoderEnsemble',
    'SeriesGRU',
    'SeriesLSTM',
    'SeriesMLP',
    'SeriesTransformer',
    'TempCNN',
    'TemporalEncoder',
    'TimeMatchLTAE',
]
