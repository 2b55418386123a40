"""A perceptron as decode head: the classifier of pixel-set networks (Garnot et al., CVPR 2020; TimeMatch, 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..layers.linear_block import linear_blocks


@MODELS.register_module()
class MLPHead(BaseDecodeHead):
    """Linear layers with batch norm and ReLU, then a linear classifier: on a parcel's 1 x 1 map, or on every pixel of a
    larger one by itself.

    Args:
        in_channels: channels of the map.
        hidden_channels: widths of the hidden layers; none leaves a linear classifier.
        num_classes: number of classes.
        in_index: which of the backbone's maps, 0 for the highest resolution.
        hidden_bias: give the hidden layers a bias in front of their batch norms, as published weights of STNet have it.
        init_cfg: mmengine's initialisation config.
        **kwargs: further arguments of `BaseDecodeHead`, such as `loss_decode` (default: cross-entropy over labelled
            pixels).
    """

    def __init__(
        self,
        in_channels: int = 128,
        hidden_channels: Sequence[int] = (64, 32),
        *,
        num_classes: int,
        in_index: int = 0,
        hidden_bias: bool = False,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault('dropout_ratio', 0)
        # The mean over labelled pixels only, which is not mmseg's default.
        kwargs.setdefault('loss_decode', dict(type='CrossEntropyLoss', avg_non_ignore=True))
        widths = [in_channels, *hidden_channels]
        super().__init__(
            in_channels, widths[-1], num_classes=num_classes, in_index=in_index, init_cfg=init_cfg, **kwargs
        )
        del self.conv_seg  # the linear classifier takes its place
        self.layers = linear_blocks(widths, hidden_bias)
        self.classifier = nn.Linear(widths[-1], self.out_channels)

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Maps, highest resolution first -> class scores (N, K, H, W)."""
        x = self._transform_inputs(inputs)
        if self.dropout is not None:
            x = self.dropout(x)
        height, width = x.shape[-2:]
        scores = self.classify_rows(x.permute(0, 2, 3, 1).flatten(0, 2))  # N * H * W, K
        return scores.unflatten(0, (-1, height, width)).permute(0, 3, 1, 2)

    def classify_rows(self, rows: Tensor) -> Tensor:
        """Feature vectors (M, C) -> class scores (M, K)."""
        return self.classifier(self.layers(rows))
