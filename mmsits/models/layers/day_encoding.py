"""Sinusoidal encoding of dates (Garnot et al., CVPR 2020, equation 5, after Vaswani et al. 2017)."""

from __future__ import annotations

import math

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
        double: compute angles in float64; in float32 their rounding shows as 3e-5 in the encoding of a year's last day.
    """

    divisor: Tensor

    def __init__(self, dim: int, period: float = 1000.0, offset: int = 0, double: bool = False) -> None:
        super().__init__()
        index = torch.arange(offset, offset + dim, dtype=torch.float64 if double else torch.float32)
        exponent = 2 * torch.div(index, 2, rounding_mode='floor') / dim
        # Made from the arguments, hence not in the checkpoint.
        self.register_buffer('divisor', torch.pow(float(period), exponent), persistent=False)
        self.dim, self.double_angles = dim, double

    def forward(self, days: Tensor) -> Tensor:
        """Days (...), relative to the model's reference date -> (..., dim)."""
        angle = days.unsqueeze(-1) / self.divisor
        encoding = torch.empty_like(angle)
        encoding[..., 0::2] = angle[..., 0::2].sin()
        encoding[..., 1::2] = angle[..., 1::2].cos()
        return encoding.float() if self.double_angles else encoding


class OffsetDayEncoding(nn.Module):
    """The encoding of TimeMatch (Nyborg et al., 2022): sines and cosines of (day + offset), over the full width.

    The published code looks rows up in a table from day -offset on. Computing them instead gives the same numbers, and
    takes any day: no shift, however large, falls out of the table, and fractions of days are fine.

    Elements 2 j and 2 j + 1 are sine and cosine of (day + offset) * w_j, w_j = exp(-2 j ln(period) / dim). It differs
    from `DayEncoding(dim, period)` of (day + offset) by the rounding of w_j, which 500 days amplify to 3e-5.

    Args:
        dim: length of the encoding, even.
        period: 1 / w_j stays below this, in days.
        offset: added to the days.

    Raises:
        ValueError: if `dim` is odd.
    """

    frequency: Tensor

    def __init__(self, dim: int, period: float = 1000.0, offset: float = 100.0) -> None:
        super().__init__()
        if dim % 2:
            raise ValueError(f'dim: sines and cosines take an even length, got {dim}')
        frequency = torch.exp(torch.arange(0, dim, 2).float() * -(math.log(period) / dim))
        # Made from the arguments, hence not in the checkpoint.
        self.register_buffer('frequency', frequency, persistent=False)
        self.dim, self.period, self.offset = dim, period, offset

    def forward(self, days: Tensor) -> Tensor:
        """Days (...), relative to the model's reference date -> (..., dim)."""
        angle = (days + self.offset).to(self.frequency.dtype).unsqueeze(-1) * self.frequency  # ..., dim / 2
        return torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(-2)


def add_day_encoding(x: Tensor, encoding: Tensor) -> Tensor:
    """Add to rows (N, T, C) the encoding (B, T, C) of their dates, which N / B consecutive rows share."""
    if len(encoding) == len(x):
        return x + encoding
    return (x.unflatten(0, (len(encoding), -1)) + encoding.unsqueeze(1)).flatten(0, 1)
