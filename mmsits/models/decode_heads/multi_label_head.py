"""A decode head that asks for each class by itself: sigmoid outputs, as in CropMapping (Rangzan and Ramezanpour)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import accuracy
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import NOT_THIS_CROP, binary_maps, crop_probabilities
from mmsits.structures.labels import logit


@MODELS.register_module()
class MultiLabelHead(BaseDecodeHead):
    """One sigmoid output for each crop; a pixel where none of them reaches the threshold is 'none of them'.

    Labels are class maps like everywhere: 0 … K - 1 for the crops, K for none of them (the last class of the dataset),
    128 + k for pixels of which only is known that they are not crop k, 255 where nobody knows. For the losses they
    become K maps of 0, 1 and 255.

    Scores are the K logits and, as the last class, the logit of the threshold, a constant. So the highest score is the
    most probable crop if its probability exceeds the threshold, and 'none of them' otherwise, for every tool that takes
    the highest score. `crop_probabilities` gives the probabilities back.

    Args:
        in_channels: channels of the map.
        num_classes: classes of the dataset, K crops and 'none of them'.
        hidden_channels: width of a 3x3 convolution with batch norm and ReLU in front of the 1x1 convolution; None for
            the latter alone.
        in_index: which of the backbone's maps, 0 for the highest resolution.
        threshold: probability from which a pixel is a crop, between 0 and 1; published for the fine-tuned network is
            0.35.
        prior: probability that the untrained head gives each crop, by the bias of its last layer; None leaves torch's
            initialisation.
        init_cfg: mmengine's initialisation config.
        **kwargs: further arguments of `BaseDecodeHead`, such as `loss_decode`, whose losses take logits (N, K, H, W)
            and as many maps of 0, 1 and 255 (default: binary cross-entropy over labelled pixels).

    Raises:
        ValueError: if there are fewer than two classes, or the threshold is no probability.
    """

    def __init__(
        self,
        in_channels: int,
        *,
        num_classes: int,
        hidden_channels: int | None = None,
        in_index: int = 0,
        threshold: float = 0.5,
        prior: float | None = None,
        init_cfg: Any = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault('dropout_ratio', 0)
        kwargs.setdefault('loss_decode', dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True))
        for name, value in (('threshold', threshold), ('prior', prior)):
            if value is not None and not 0 < value < 1:
                raise ValueError(f'MultiLabelHead: {name}={value}, expected a probability between 0 and 1')
        if num_classes < 2:
            raise ValueError(f"MultiLabelHead: a crop and 'none of them' are two classes at least, got {num_classes}")
        width = hidden_channels or in_channels
        # The threshold of mmseg's base is that of its own two-class heads with one output.
        super().__init__(in_channels, width, num_classes=num_classes, in_index=in_index, init_cfg=init_cfg, **kwargs)
        self.decision_threshold = float(threshold)
        self.num_crops = num_classes - 1
        self.hidden = nn.Identity() if hidden_channels is None else _convolution(in_channels, hidden_channels)
        # The base's own name, so that its dropout and its initialisation find it.
        self.conv_seg = nn.Conv2d(width, self.num_crops, 1)
        self.prior = prior

    def init_weights(self) -> None:
        """Initialise the weights as `init_cfg` says, then the last bias by the prior."""
        super().init_weights()
        if self.prior is not None:
            assert self.conv_seg.bias is not None
            nn.init.constant_(self.conv_seg.bias, logit(self.prior))

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Maps, highest resolution first -> scores (N, K + 1, H, W), the last one constant."""
        logits = self.cls_seg(self.hidden(self._transform_inputs(inputs)))
        rest = logits.new_full((len(logits), 1, *logits.shape[-2:]), logit(self.decision_threshold))
        return torch.cat([logits, rest], 1)

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: Sequence[Any]) -> dict[str, Tensor]:
        """The losses.

        Args:
            seg_logits: what `forward` returned.
            batch_data_samples: N labels, see mmseg.

        Returns:
            Each loss by its name, and 'acc_seg', percent of the labelled pixels.
        """
        labels = self._stack_batch_gt(batch_data_samples)  # N, 1, H, W
        scores = resize(seg_logits, size=labels.shape[2:], mode='bilinear', align_corners=self.align_corners)
        labels = labels.squeeze(1)
        maps = binary_maps(labels, self.num_crops, self.ignore_index)
        losses: dict[str, Tensor] = {}
        parts = self.loss_decode if isinstance(self.loss_decode, nn.ModuleList) else [self.loss_decode]
        for part in parts:
            value = part(scores[:, : self.num_crops], maps, ignore_index=self.ignore_index)
            name = str(part.loss_name)
            losses[name] = losses[name] + value if name in losses else value
        known = labels.masked_fill(labels >= NOT_THIS_CROP, self.ignore_index)
        losses['acc_seg'] = accuracy(scores, known, ignore_index=self.ignore_index)
        return losses

    def probabilities(self, scores: Tensor) -> Tensor:
        """Scores (N, K + 1, H, W) of this head, averaged or not -> probabilities (N, K, H, W)."""
        return crop_probabilities(scores, self.decision_threshold)


def _convolution(in_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)
    )
