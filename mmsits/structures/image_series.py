"""`ImageSeries`, the one structure that flows through datasets, models and tools."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

# numpy in a dataset's pipeline, torch from `PackSeriesInputs` on.
Array = Any


class ImageSeries(NamedTuple):
    """A satellite image time series of one sensor: a dense patch (H×W), a parcel's pixel set (S×1) or one pixel (1×1).

    A named tuple, because mmengine's collation, its copy to the device and its distributed wrapper pass one on
    unchanged. One sample has no leading N; the data preprocessor adds it.

    Attributes:
        values: Observations, shape (N, T, C, H, W). int16, uint16 or uint8 as read from the file; float32 behind the
            data preprocessor. Unspecified where not valid.
        days: Dates, shape (N, T), int32: days since 1970-01-01. Behind the data preprocessor days since the reference
            date (season start) of the sample.
        valid: Observed or not, shape (N, T, H, W) or (N, T, 1, 1), bool. False for padding, absent dates, clouds,
            nodata, swath edges, and pixels outside a parcel.
    """

    values: Array
    days: Array
    valid: Array


def dates_exist(valid: torch.Tensor) -> torch.Tensor:
    """Dates on which at least one pixel was observed.

    Args:
        valid: Shape (N, T, H, W) or (N, T, 1, 1), bool.

    Returns:
        Shape (N, T), bool.
    """
    return valid.flatten(2).any(-1)


def pixels_exist(valid: torch.Tensor) -> torch.Tensor:
    """Pixels that were observed on at least one date.

    Args:
        valid: Shape (N, T, H, W) or (N, T, 1, 1), bool.

    Returns:
        Shape (N, H, W) or (N, 1, 1), bool.
    """
    return valid.any(1)
