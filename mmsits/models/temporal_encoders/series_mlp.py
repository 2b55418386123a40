"""Perceptrons over all days and bands of a season: small, quick, and hard to beat where labels are few."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor, nn

from ..layers.member_linear import MemberLinear
from ..layers.regular_days import ToRegularDays
from .base import TemporalEncoder


@MODELS.register_module()
class SeriesMLP(TemporalEncoder):
    """Interpolation to regular days, standardisation of each day and band by itself, dense layers; of the latter
    several side by side, if asked for, which `EnsembleHead` classifies apart.

    What a linear model or a random forest is usually given, for a network: the standardisation (batch norm without
    learnt scale) lets the values of a winter day count as much as those of summer. As every day has weights of its own,
    dates in training and use must lie in the same season.

    Args:
        in_channels: C of the series.
        hidden_channels: widths of the layers.
        days: first and last day that series are interpolated to, from the model's reference date.
        length: number of days between them, both included.
        members: networks side by side; they share nothing behind the standardisation. C' is the last width times as
            many.
        input_dropout: share of the standardised values that are left out in training, for each member anew.
        dropout: after each layer.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: for options that cannot work.
    """

    def __init__(
        self,
        in_channels: int = 10,
        hidden_channels: Sequence[int] = (256, 256),
        days: tuple[float, float] = (0.0, 360.0),
        length: int = 37,
        members: int = 1,
        input_dropout: float = 0.2,
        dropout: float = 0.5,
        init_cfg: Any = None,
    ) -> None:
        if not hidden_channels or members < 1:
            raise ValueError(f'at least one width and one member; got {list(hidden_channels)} and {members}')
        super().__init__(in_channels, members * hidden_channels[-1], init_cfg)
        self.members = members
        self.to_regular_days = ToRegularDays(*days, length)
        self.norm = nn.BatchNorm1d(in_channels * length, affine=False)
        self.input_dropout = nn.Dropout(input_dropout)
        self.layers = nn.Sequential()
        for c_in, c_out in pairwise([in_channels * length, *hidden_channels]):
            self.layers.extend(
                [MemberLinear(members, c_in, c_out), MemberNorm(members, c_out), nn.ReLU(), nn.Dropout(dropout)]
            )

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """(N, T, C) -> (N, C'), the members one behind the other; see `TemporalEncoder.forward`."""
        x = self.norm(self.to_regular_days(x, days, valid).flatten(1))
        x = x.unsqueeze(1).expand(-1, self.members, -1)
        return self.layers(self.input_dropout(x)).flatten(1)


class MemberNorm(nn.BatchNorm1d):
    """Batch norm of (N, M, C), each of the M C channels by itself.

    Args:
        members: M.
        channels: C.
    """

    def __init__(self, members: int, channels: int) -> None:
        super().__init__(members * channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, M, C) -> (N, M, C)."""
        return super().forward(x.flatten(1)).view_as(x)
