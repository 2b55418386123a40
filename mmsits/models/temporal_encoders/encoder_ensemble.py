"""Several temporal encoders side by side, whose class scores are averaged: an ensemble within one network."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from .base import TemporalEncoder


@MODELS.register_module()
class EncoderEnsemble(TemporalEncoder):
    """The features of several encoders one behind the other, for `EnsembleHead`.

    All members learn from the same batches; they differ in kind, or only in how their weights begin and what dropout
    leaves out. One checkpoint holds them all.

    Args:
        in_channels: C of the series.
        members: name to config of an encoder; its `in_channels` and what is `shared` are filled in.
        copies: how often each of them is there.
        shared: further arguments that all members get, such as the days of the season.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: if there is no member.
    """

    def __init__(
        self,
        in_channels: int,
        members: Mapping[str, dict[str, Any]],
        copies: int = 1,
        shared: Mapping[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        if not members or copies < 1:
            raise ValueError(f'one member at least is needed, got {list(members)}, each {copies} times')
        common = dict(shared or {}, in_channels=in_channels)
        encoders = {
            f'{name}_{number}': MODELS.build(dict(common, **member))
            for number in range(copies)
            for name, member in members.items()
        }
        super().__init__(in_channels, sum(encoder.out_channels for encoder in encoders.values()), init_cfg)
        self.members = nn.ModuleDict(encoders)

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """(N, T, C) -> (N, C'); see `TemporalEncoder.forward`."""
        return torch.cat([member(x, days, valid) for member in self.members.values()], 1)
