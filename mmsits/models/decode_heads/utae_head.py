"""The last two convolutions of U-TAE (Garnot and Landrieu, ICCV 2021) as a decode head of mmseg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor

from ..layers.conv_blocks import ConvLayer, PaddingMode


@MODELS.register_module()
class UTAEHead(BaseDecodeHead):
    """Two 3x3 convolutions, each with batch norm and ReLU, the second one too: class scores are never negative.

    The published network hands these rectified scores to the cross-entropy, and its weights need them.

    Args:
        in_channels: channels of the map, `UTAE.out_channels[0]`.
        channels: width between the two convolutions.
        num_classes: number of classes.
        rectify_scores: False leaves out the last ReLU.
        padding_mode: of the convolutions.
        in_index: which of the backbone's maps, 0 for the highest resolution.
        init_cfg: mmengine's initialisation config.
        **kwargs: further arguments of `BaseDecodeHead`, such as `loss_decode` (default: cross-entropy over labelled
            pixels).
    """

    def __init__(
        self,
        in_channels: int = 32,
        channels: int = 32,
        *,
        num_classes: int,
        rectify_scores: bool = True,
        padding_mode: PaddingMode = 'reflect',
        in_index: int = 0,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault('dropout_ratio', 0)
        # The mean over labelled pixels only, which is not mmseg's default.
        kwargs.setdefault('loss_decode', dict(type='CrossEntropyLoss', avg_non_ignore=True))
        super().__init__(in_channels, channels, num_classes=num_classes, in_index=in_index, init_cfg=init_cfg, **kwargs)
        del self.conv_seg  # the base's 1x1 classifier has no place in this network
        self.out_conv = ConvLayer(
            [in_channels, channels, self.out_channels],
            norm='batch',
            last_relu=rectify_scores,
            padding_mode=padding_mode,
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Maps, highest resolution first -> class scores (N, K, H, W)."""
        x = self._transform_inputs(inputs)
        if self.dropout is not None:
            x = self.dropout(x)
        return self.out_conv(x)
