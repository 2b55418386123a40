"""Linear layers of several networks side by side, computed in one step."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class MemberLinear(nn.Module):
    """M linear layers of the same size, each with weights of its own, initialised like torch's.

    Args:
        members: M.
        in_channels, out_channels: of each.
    """

    def __init__(self, members: int, in_channels: int, out_channels: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(in_channels)
        self.weight = nn.Parameter(torch.empty(members, in_channels, out_channels).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(members, out_channels).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """(N, M, C) -> (N, M, C')."""
        return torch.baddbmm(self.bias.unsqueeze(1), x.transpose(0, 1), self.weight).transpose(0, 1)
