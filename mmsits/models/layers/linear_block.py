"""Linear map, batch norm, ReLU: the layer that pixel-set networks are made of (Garnot et al., CVPR 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LinearBlock(nn.Module):
    """Linear map, batch norm over all rows, ReLU.

    It takes rows that exist, one behind the other: pixels and dates that don't are left out before (`DatePacking`), so
    that they have no part in the norm's statistics.

    Args:
        in_channels, out_channels: widths.
        bias: give the linear map one. The norm takes it away again, but published weights have it.
    """

    def __init__(self, in_channels: int, out_channels: int, bias: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, out_channels, bias)
        self.norm = nn.BatchNorm1d(out_channels)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, rows: Tensor) -> Tensor:
        """(M, C) -> (M, C')."""
        if self.norm.training:
            return self.activation(self.norm(self.linear(rows)))
        return self.activation(F.linear(rows, *self._folded()))

    def _folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of linear map and norm in one, once the norm's statistics are fixed: half of the passes over
        the rows, which are many and narrow."""
        mean, variance = cast(Tensor, self.norm.running_mean), cast(Tensor, self.norm.running_var)
        scale = self.norm.weight * torch.rsqrt(variance + self.norm.eps)
        if self.linear.bias is not None:
            mean = mean - self.linear.bias
        return self.linear.weight * scale.unsqueeze(1), self.norm.bias - mean * scale


def linear_blocks(widths: Sequence[int], bias: bool = False) -> nn.Sequential:
    """One `LinearBlock` from each width to the next."""
    return nn.Sequential(*(LinearBlock(c_in, c_out, bias) for c_in, c_out in pairwise(widths)))
