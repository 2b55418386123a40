"""The head of an ensemble within one network: one linear classifier per member, probabilities averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor

from ..layers.member_linear import MemberLinear


@MODELS.register_module()
class EnsembleHead(BaseDecodeHead):
    """Linear classifiers, each on its member's share of the channels (see `EncoderEnsemble`).

    In training each member has its own loss, and the mean of them is what is reported; so no member relies on the
    others. What is predicted is the mean of their probabilities, in logarithms.

    Args:
        in_channels: channels of the map.
        num_members: members, of which each has an equal share of the channels.
        num_classes: number of classes.
        in_index: which of the backbone's maps, 0 for the highest resolution.
        init_cfg: mmengine's initialisation config.
        **kwargs: further arguments of `BaseDecodeHead`, such as `loss_decode` (default: cross-entropy over labelled
            pixels).

    Raises:
        ValueError: if the members cannot share the channels equally.
    """

    def __init__(
        self,
        in_channels: int,
        num_members: int,
        *,
        num_classes: int,
        in_index: int = 0,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault('dropout_ratio', 0)
        # The mean over labelled pixels only, which is not mmseg's default.
        kwargs.setdefault('loss_decode', dict(type='CrossEntropyLoss', avg_non_ignore=True))
        if num_members < 1 or in_channels % num_members:
            raise ValueError(f'num_members: {num_members} do not share {in_channels} channels equally')
        super().__init__(
            in_channels, in_channels, num_classes=num_classes, in_index=in_index, init_cfg=init_cfg, **kwargs
        )
        del self.conv_seg  # the members' classifiers take its place
        self.num_members = num_members
        self.classifiers = MemberLinear(num_members, in_channels // num_members, self.out_channels)

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Maps, highest resolution first -> logarithms of mean probabilities (N, K, H, W), and the members' class
        scores (N, M, K, H, W)."""
        x = self._transform_inputs(inputs)
        if self.dropout is not None:
            x = self.dropout(x)
        height, width = x.shape[-2:]
        rows = x.permute(0, 2, 3, 1).flatten(0, 2).unflatten(1, (self.num_members, -1))  # N * H * W, M, C / M
        scores = self.classifiers(rows).unflatten(0, (-1, height, width)).permute(0, 3, 4, 1, 2)  # N, M, K, H, W
        mean = scores.log_softmax(2).logsumexp(1) - math.log(self.num_members)
        return mean, scores

    def loss_by_feat(self, seg_logits: tuple[Tensor, Tensor], batch_data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """The mean of the members' losses.

        Args:
            seg_logits: what `forward` returned.
            batch_data_samples: N labels, see mmseg.
        """
        scores = seg_logits[1]
        repeated = [sample for sample in batch_data_samples for _ in range(scores.shape[1])]
        return super().loss_by_feat(scores.flatten(0, 1), repeated)
