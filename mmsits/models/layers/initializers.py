"""Initialisations that published recipes use and mmengine lacks."""

from __future__ import annotations

import math

from mmengine.model import update_init_info
from mmengine.registry import WEIGHT_INITIALIZERS
from torch import nn

from .attention_layer import PackedProjection

_XAVIER = (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
_NORMAL = (nn.Conv1d, nn.ConvTranspose1d)
_BATCH_NORM = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_RECURRENT = (nn.LSTM, nn.LSTMCell, nn.GRU, nn.GRUCell)


@WEIGHT_INITIALIZERS.register_module()
class XavierNormalInit:
    """The initialisation of U-TAE and its baselines (Garnot and Landrieu, ICCV 2021, published code).

    | layer | weight | bias |
    |---|---|---|
    | convolutions in 2-D and 3-D, linear layers | Xavier normal | N(0, 1) |
    | convolutions in 1-D (the input projection of L-TAE) | N(0, 1) | N(0, 1) |
    | batch norm | N(0, 1) | 0 |
    | LSTM, GRU | matrices orthogonal | N(0, 1) |

    Group norm and the queries of the attention stay as they were made. Use: `init_cfg=dict(type='XavierNormalInit')`.
    """

    wholemodule = False  # set by mmengine's `override`

    def __call__(self, module: nn.Module) -> None:
        """Initialise a module and all its submodules."""
        module.apply(self._init_layer)
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=f'{type(self).__name__}: Xavier normal weights, N(0, 1) biases')

    @staticmethod
    def _init_layer(layer: nn.Module) -> None:
        if isinstance(layer, _XAVIER):
            nn.init.xavier_normal_(layer.weight)
        elif isinstance(layer, _NORMAL + _BATCH_NORM):
            if layer.weight is not None:
                nn.init.normal_(layer.weight)
        elif isinstance(layer, _RECURRENT):
            for parameter in layer.parameters():
                (nn.init.orthogonal_ if parameter.ndim >= 2 else nn.init.normal_)(parameter)
        if isinstance(layer, _XAVIER + _NORMAL) and layer.bias is not None:
            nn.init.normal_(layer.bias)
        if isinstance(layer, _BATCH_NORM) and layer.bias is not None:
            nn.init.zeros_(layer.bias)


@WEIGHT_INITIALIZERS.register_module()
class KaimingNormalInit:
    """The initialisation of STNet and its rivals before supervised training (Xu et al., ISPRS J. 2024, published code).

    | layer | weight | bias |
    |---|---|---|
    | linear layers | Kaiming normal (fan-in, ReLU) | N(0, 1) |
    | convolutions in 1-D | N(0, 1) | N(0, 1) |
    | batch norm in 1-D | N(0, 1) | 0 |
    | LSTM | matrices orthogonal | as it was |

    Layer norms, the query of L-TAE and the joint projection of query, key and value stay as they were made. Use:
    `init_cfg=dict(type='KaimingNormalInit')`. Before pre-training the authors leave everything as it was made.
    """

    wholemodule = False  # set by mmengine's `override`

    def __call__(self, module: nn.Module) -> None:
        """Initialise a module and all its submodules."""
        module.apply(self._init_layer)
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=f'{type(self).__name__}: Kaiming normal weights, N(0, 1) biases')

    @staticmethod
    def _init_layer(layer: nn.Module) -> None:
        if isinstance(layer, nn.Linear) and not isinstance(layer, PackedProjection):
            nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')
        elif isinstance(layer, nn.Conv1d) or (isinstance(layer, nn.BatchNorm1d) and layer.affine):
            nn.init.normal_(layer.weight)
        elif isinstance(layer, nn.LSTM):
            for parameter in layer.parameters():
                if parameter.ndim >= 2:
                    nn.init.orthogonal_(parameter)
        if isinstance(layer, nn.BatchNorm1d) and layer.affine:
            nn.init.zeros_(layer.bias)
        if isinstance(layer, nn.Linear | nn.Conv1d) and layer.bias is not None and type(layer) is not PackedProjection:
            nn.init.normal_(layer.bias)


@WEIGHT_INITIALIZERS.register_module()
class SLGT2NetInit:
    """The initialisation of SL-GT2Net (Ni et al., IEEE TAES 2025, published code).

    | layer | weight | bias |
    |---|---|---|
    | linear layers | normal, standard deviation 0.02, cut at 2 | 0 |
    | layer norm | 1 | 0 |
    | convolutions in 3-D | normal, standard deviation sqrt(2 g / (kernel volume x channels out)), g groups | 0 |

    Everything else stays as it was made.
    """

    wholemodule = False  # set by mmengine's `override`

    def __call__(self, module: nn.Module) -> None:
        """Initialise a module and all its submodules."""
        module.apply(self._init_layer)
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=f'{type(self).__name__}: normal weights, biases 0')

    @staticmethod
    def _init_layer(layer: nn.Module) -> None:
        if isinstance(layer, nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=0.02)
        elif isinstance(layer, nn.LayerNorm):
            nn.init.ones_(layer.weight)
        elif isinstance(layer, nn.Conv3d):
            fan_out = math.prod(layer.kernel_size) * layer.out_channels // layer.groups
            nn.init.normal_(layer.weight, std=math.sqrt(2 / fan_out))
        if isinstance(layer, nn.Linear | nn.LayerNorm | nn.Conv3d) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
