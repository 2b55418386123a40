"""Sinusoidal encoding of dates (Garnot et al., CVPR 2020, equation 5, after Vaswani et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DayEncoding(nn.Module):
    """Encode day numbers by sines and cosines; no parameters, any real day number, negative ones too.

    Element i of the encoding of day t is sin(t / r_i) for even i and cos(t / r_i) for odd i, with r_i = period ** (2 *
    floor((offset + i) / 2) / dim).

    Args:
        dim: length of the encoding.
        period: the largest r_i, in days / (2 pi), is just below this.
        offset: shifts the wavelengths only.
    """

    divisor: Tensor

    def __init__(self, dim: int, period: float = 1000.0, offset: int = 0) -> None:
        super().__init__()
        exponent = 2 * torch.div(torch.arange(offset, offset + dim).float(), 2, rounding_mode='floor') / dim
        # Made from the arguments, hence not in the checkpoint.
        self.register_buffer('divisor', torch.pow(float(period), exponent), persistent=False)
        self.dim = dim

    def forward(self, days: Tensor) -> Tensor:
        """Days (...), relative to the model's reference date -> (..., dim)."""
        angle = days.unsqueeze(-1) / self.divisor
        encoding = torch.empty_like(angle)
        encoding[..., 0::2] = angle[..., 0::2].sin()
        encoding[..., 1::2] = angle[..., 1::2].cos()
        return encoding
