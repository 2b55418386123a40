"""Collapse the dates of a skip map with the attention of a lower level (U-TAE, Garnot and Landrieu, ICCV 2021, section
3.1)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from .date_packing import DatePacking

AGGREGATION_MODES = ('att_group', 'att_mean', 'mean')


def resize_attention(attention: Tensor, size: tuple[int, int]) -> Tensor:
    """Bring attention maps (M, heads, h, w) to `size`: bilinear where that is larger, else the mean of whole
    windows."""
    height, width = attention.shape[-2:]
    if size == (height, width):
        return attention
    if size[1] > width:
        return F.interpolate(attention, size=size, mode='bilinear', align_corners=False)
    if width % size[1] or height % size[0]:
        raise ValueError(
            f'attention maps of {height} x {width} cannot be averaged to {size[0]} x {size[1]}: not a whole factor'
        )
    return F.avg_pool2d(attention, (height // size[0], width // size[1]))


class TemporalAggregator(nn.Module):
    """Weighted sum over the dates of a series of feature maps.

    Args:
        mode: 'att_group': channel group g is summed with the attention of head g; 'att_mean': all channels with the
            mean attention over heads; 'mean': plain mean over the existing dates, the attention is not used.
    """

    def __init__(self, mode: str = 'att_group') -> None:
        super().__init__()
        if mode not in AGGREGATION_MODES:
            raise ValueError(f'mode: expected one of {AGGREGATION_MODES}, got {mode!r}')
        self.mode = mode

    def forward(self, maps: Tensor, attention: Tensor, dates: DatePacking) -> Tensor:
        """Aggregate.

        Args:
            maps: (M, C, H, W), the existing dates; for 'att_group' the heads divide C.
            attention: (M, heads, h, w), the same dates.
            dates: which date belongs to which series.

        Returns:
            (N, C, H, W), zero for a series without any date.
        """
        if self.mode == 'mean':
            return dates.sum_dates(maps) / dates.counts.clamp(min=1).view(-1, 1, 1, 1)
        if self.mode == 'att_mean':
            attention = attention.mean(1, keepdim=True)  # M, 1, h, w
        weights = resize_attention(attention, (maps.shape[-2], maps.shape[-1]))  # M, heads, H, W
        groups = maps.unflatten(1, (weights.shape[1], -1))  # M, heads, C / heads, H, W
        return dates.sum_dates(groups * weights.unsqueeze(2)).flatten(1, 2)

    def extra_repr(self) -> str:
        """The mode, for `repr`."""
        return self.mode
