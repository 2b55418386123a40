"""Several temporal encoders side by side, whose class scores are averaged: an ensemble within one network."""

from __future__ import annotations

from collections.abc import Sequence
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
        members: configs of encoders that take the same number of channels.
        copies: how often each of them is there.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: if there is no member, or they take different numbers of channels.
    """

    def __init__(self, members: Sequence[dict[str, Any]], copies: int = 1, init_cfg: Any = None) -> None:
        encoders = [MODELS.build(member) for member in members for _ in range(copies)]
        widths = {encoder.in_channels for encoder in encoders}
        if len(widths) != 1:
            raise ValueError(f'members: at least one, all for the same number of channels; got {sorted(widths)}')
        super().__init__(widths.pop(), sum(encoder.out_channels for encoder in encoders), init_cfg)
        self.members = nn.ModuleList(encoders)

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """(N, T, C) -> (N, C'); see `TemporalEncoder.forward`."""
        return torch.cat([member(x, days, valid) for member in self.members], 1)
