"""The head of STCLN: attention among the pixels of a patch, from their whole series (Qin et al., JAG 2025, doi
10.1016/j.jag.2025.104426)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from torch import Tensor, nn

_LARGEST_SCORES = 2**24
"""So many scores of attention are kept at once where no gradient is wanted: 64 MiB."""
SCORE_SCALES = ('channels', 'channels_and_dates')


@MODELS.register_module()
class STCLNHead(BaseDecodeHead):
    """Each pixel takes in what other pixels with a similar series hold, by a gate that begins shut; then a linear
    classifier.

    Queries are linear maps of the temporally encoded features of a pixel on all dates, keys those of the convolutional
    features, values those of the maximum over dates: scores = softmax(Q K / sqrt(D)) V, added to V with a learnable
    factor that begins at 0. The attention grows with the square of the number of pixels: test with sliding windows of
    32 to 48 pixels. Two pixels are compared on the dates that are valid for both; pixels without any valid date are not
    attended to.

    Args:
        in_channels: D of the backbone.
        num_classes: number of classes.
        score_scale: scores are divided by the root of 'channels', as published, or of 'channels_and_dates': the number
            of channels times that of the pixel's valid dates, so that series of other length have scores of like size.
        init_cfg: mmengine's initialisation config.
        **kwargs: further arguments of `BaseDecodeHead`, such as `loss_decode` (default: cross-entropy over labelled
            pixels).

    Raises:
        ValueError: for an unknown `score_scale`.
    """

    def __init__(
        self,
        in_channels: int = 256,
        *,
        num_classes: int,
        score_scale: str = 'channels',
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        if score_scale not in SCORE_SCALES:
            raise ValueError(f'score_scale={score_scale!r}: expected one of {SCORE_SCALES}')
        kwargs.setdefault('dropout_ratio', 0)
        # The mean over labelled pixels only, which is not mmseg's default.
        kwargs.setdefault('loss_decode', dict(type='CrossEntropyLoss', avg_non_ignore=True))
        super().__init__(in_channels, in_channels, num_classes=num_classes, init_cfg=init_cfg, **kwargs)
        self.score_scale = score_scale
        self.query = nn.Linear(in_channels, in_channels, bias=False)
        self.key = nn.Linear(in_channels, in_channels, bias=False)
        self.value = nn.Linear(in_channels, in_channels, bias=False)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Classify.

        Args:
            inputs: `DatedFeatures`, or its four tensors in their order.

        Returns:
            Class scores (N, K, H, W).

        Raises:
            ValueError: if the backbone gives something else.
        """
        if len(inputs) != 4 or inputs[1].ndim != 5:
            raise ValueError(
                'STCLNHead takes features per pixel and date, as the backbone STCLN gives them (DatedFeatures); got '
                f'{[tuple(part.shape) for part in inputs]}. Use another head, such as ConvHead, behind this backbone.'
            )
        pooled, dated, spatial, valid = inputs
        n, height, width = dated.shape[:3]
        values = self.value(pooled.flatten(2).transpose(1, 2))  # N, P, D
        attended = self._attend(dated.flatten(1, 2), spatial.flatten(1, 2), values, valid.flatten(1, 2))
        mixed = torch.addcmul(values, self.gate.to(values.dtype), attended)
        return self.cls_seg(mixed.transpose(1, 2).unflatten(2, (height, width)).reshape(n, -1, height, width))

    def _attend(self, dated: Tensor, spatial: Tensor, values: Tensor, valid: Tensor) -> Tensor:
        """Features (N, P, T, D), values (N, P, D) and bool (N, P, T) -> (N, P, D)."""
        # Q K = x Wq (y Wk)^T = x (Wq Wk^T) y^T: one product of the size of the features instead of two.
        queries = nn.functional.linear(dated, self.key.weight.T @ self.query.weight) / self.in_channels**0.5
        if self.score_scale == 'channels_and_dates':
            queries = queries / valid.sum(-1).clamp(min=1).to(queries.dtype).sqrt()[..., None, None]
        complete = bool(valid.all())
        if not complete:
            # Convolutions have features of a clouded pixel too, made of its neighbours and of zeros.
            spatial = spatial.masked_fill(~valid.unsqueeze(-1), 0.0)
        queries, keys = queries.flatten(2), spatial.flatten(2).transpose(1, 2)  # N, P, T * D and N, T * D, P
        seen = valid.any(-1)  # N, P
        # A patch without any observed pixel attends to all of its zeros.
        hidden = (
            None if complete or bool(seen.all()) else (~(seen | ~seen.any(1, keepdim=True))).unsqueeze(1)
        )  # N, 1, P
        rows = queries.shape[1]
        if not torch.is_grad_enabled():
            rows = max(1, _LARGEST_SCORES // (queries.shape[0] * keys.shape[2]))
        parts = []
        for some in queries.split(rows, 1):
            scores = torch.bmm(some, keys)  # N, p, P
            if hidden is not None:
                scores = scores.masked_fill(hidden, float('-inf'))
            parts.append(torch.bmm(scores.softmax(-1), values))
        return parts[0] if len(parts) == 1 else torch.cat(parts, 1)
