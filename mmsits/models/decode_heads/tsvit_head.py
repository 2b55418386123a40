"""The head of TSViT: from a token of a patch to the scores of its pixels (Tarasiou et al., CVPR 2023, arXiv
2301.04944)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class TSViTHead(BaseDecodeHead):
    """Layer norm and a linear map from a token to the pixels of its patch.

    Args:
        in_channels: width D of a token.
        num_classes: classes K.
        patch_size: side of a patch, in pixels; 1 behind a backbone with `whole_image`.
        class_tokens: the map holds a token per class, which gives that class's scores; False if it holds one token,
            which gives all.
        writes_patches_as_rows: as published, the scores of the first patch, then those of the second and so on are
            written one behind the other into the first row of the image, the second and so on, instead of into the
            place of the patch. The published weights were trained like this.
        in_index: which of the backbone's maps.
        init_cfg: mmengine's initialisation config.
        **kwargs: further arguments of `BaseDecodeHead`, such as `loss_decode` (default: cross-entropy over labelled
            pixels).
    """

    def __init__(
        self,
        in_channels: int = 128,
        *,
        num_classes: int,
        patch_size: int = 2,
        class_tokens: bool = True,
        writes_patches_as_rows: bool = False,
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
        del self.conv_seg  # the linear map to a patch takes its place
        self.patch_size, self.class_tokens = patch_size, class_tokens
        self.writes_patches_as_rows = writes_patches_as_rows
        self.norm = nn.LayerNorm(in_channels)
        self.classifier = nn.Linear(in_channels, patch_size**2 * (1 if class_tokens else self.out_channels))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Maps of tokens, (N, K D, h, w) or (N, D, h, w) -> class scores (N, K, h p, w p).

        Raises:
            ValueError: if the map has another number of channels.
        """
        x = inputs[self.in_index]
        tokens = self.out_channels if self.class_tokens else 1
        if x.shape[1] != tokens * self.in_channels:
            raise ValueError(
                f'TSViTHead expects {tokens} tokens of {self.in_channels} channels, the map has {x.shape[1]} channels: '
                "let num_classes and class_tokens agree with the backbone's"
            )
        height, width = x.shape[-2:]
        rows = x.unflatten(1, (tokens, self.in_channels)).permute(0, 1, 3, 4, 2)  # N, tokens, h, w, D
        if self.dropout is not None:
            rows = self.dropout(rows)
        scores = self.classifier(self.norm(rows))  # N, tokens, h, w, p * p or p * p * K
        if not self.class_tokens:
            scores = scores.squeeze(1).unflatten(-1, (self.patch_size**2, -1)).permute(0, 4, 1, 2, 3)
        p = self.patch_size
        if self.writes_patches_as_rows:
            return scores.flatten(2).unflatten(2, (height * p, width * p))
        return scores.unflatten(4, (p, p)).permute(0, 1, 2, 4, 3, 5).flatten(4).flatten(2, 3)
