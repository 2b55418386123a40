"""Decode heads beside those of mmseg."""

from .conv_head import ConvHead
from .ensemble_head import EnsembleHead
from .mlp_head import MLPHead
from .multi_label_head import MultiLabelHead
from .stcln_head import STCLNHead
from .tsvit_head import TSViTHead
from .utae_head import UTAEHead

__all__ = [
    'ConvHead',
    'EnsembleHead',
    'MLPHead',
    'MultiLabelHead',
    'STCLNHead',
    'TSViTHead',
    'UTAEHead',
]
