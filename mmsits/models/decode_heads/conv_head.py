"""One convolution as decode head: the classifier of networks that have decoded already."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class ConvHead(BaseDecodeHead):
    """A single convolution from a map to class scores.

    Args:
        in_channels: channels of the map.
        num_classes: number of classes.
        kernel_size: of the convolution, odd; borders are padded with zeros.
        in_index: which of the backbone's maps, 0 for the highest resolution.
        init_cfg: mmengine's initialisation config.
        **kwargs: further arguments of `BaseDecodeHead`, such as `loss_decode` (default: cross-entropy over labelled
            pixels).
    """

    def __init__(
        self,
        in_channels: int,
        *,
        num_classes: int,
        kernel_size: int = 1,
        in_index: int = 0,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault('dropout_ratio', 0)
        # The mean over labelled pixels only, which is not mmseg's default.
        kwargs.setdefault('loss_decode', dict(type='CrossEntropyLoss', avg_non_ignore=True))
        super().__init__(
            in_channels, in_channels, num_classes=num_classes, in_index=in_index, init_cfg=init_cfg, **kwargs
        )
        # The base's own name, so that its dropout and its initialisation find it.
        self.conv_seg = nn.Conv2d(in_channels, self.out_channels, kernel_size, padding=kernel_size // 2)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Maps, highest resolution first -> class scores (N, K, H, W)."""
        return self.cls_seg(self._transform_inputs(inputs))
