"""What all temporal encoders have in common: they turn the series of one pixel into one feature vector."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor


class TemporalEncoder(BaseModule, metaclass=ABCMeta):
    """Base of networks from (N, T, C) to (N, C').

    A row is one series: a pixel of a patch, a parcel's mean, a pixel set's encoding. `encode_maps` runs the same
    network on every pixel of dense patches.

    Rows may share their dates: `days` may have B rows, B dividing N, and then belongs to N / B consecutive rows each.
    So the dates of a patch are encoded once, not once per pixel.

    Attributes:
        in_channels: C.
        out_channels: C'.
        num_heads: heads of the attention that `forward_with_attention` returns, 0 if the network has none.

    Args:
        in_channels, out_channels: C and C'.
        init_cfg: mmengine's initialisation config.
    """

    num_heads: int = 0

    def __init__(self, in_channels: int, out_channels: int, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.out_channels = out_channels

    @abstractmethod
    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """Encode series.

        Args:
            x: (N, T, C); what stands where not valid has no influence.
            days: (N, T) or (B, T) with B dividing N: days since the model's reference date.
            valid: bool (N, T).

        Returns:
            (N, C'), finite also for a series without any valid date.
        """

    def forward_with_attention(self, x: Tensor, days: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, and the attention (N, heads, T) that each date got.

        Raises:
            NotImplementedError: for a network without attention.
        """
        raise NotImplementedError(f'{type(self).__name__} has no attention over dates')

    def encode_shifts(self, x: Tensor, days: Tensor, valid: Tensor, shifts: Iterable[int]) -> Iterator[Tensor]:
        """As `forward`, for the days moved by each of several shifts: yields (N, C') per shift.

        Encoders that can do a part of the work once for all shifts override it.
        """
        for shift in shifts:
            yield self(x, days + shift, valid)

    def encode_maps(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """Encode every pixel of patches.

        Args:
            x: (N, T, C, H, W).
            days: (N, T).
            valid: bool (N, T), (N, T, 1, 1) or (N, T, H, W).

        Returns:
            (N, C', H, W).
        """
        height, width = x.shape[-2:]
        rows, row_valid = _pixels_to_rows(x, valid)
        features = self(rows, days, row_valid)
        return _rows_to_pixels(features, height, width)

    def encode_maps_with_attention(self, x: Tensor, days: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """As `encode_maps`, and the attention (N, heads, T, H, W)."""
        height, width = x.shape[-2:]
        rows, row_valid = _pixels_to_rows(x, valid)
        features, attention = self.forward_with_attention(rows, days, row_valid)
        return _rows_to_pixels(features, height, width), _rows_to_pixels(attention, height, width)


def _pixels_to_rows(x: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """(N, T, C, H, W) -> (N * H * W, T, C), and validity (N * H * W, T)."""
    n, t, _, height, width = x.shape
    valid = valid.reshape(n, t, *(valid.shape[2:] or (1, 1))).expand(n, t, height, width)
    return x.permute(0, 3, 4, 1, 2).flatten(0, 2), valid.permute(0, 2, 3, 1).reshape(-1, t)


def _rows_to_pixels(rows: Tensor, height: int, width: int) -> Tensor:
    """(N * H * W, ...) -> (N, ..., H, W)."""
    return rows.unflatten(0, (-1, height, width)).movedim((1, 2), (-2, -1))
