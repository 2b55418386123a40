"""What adaptation does to batches: shift their dates, choose samples, join two domains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mmsits.structures import ImageSeries

Inputs = dict[str, ImageSeries]
# An ordinary batch: `inputs`, `metas`, and `targets` where labels are known.
Batch = Mapping[str, Any]


def shift_days(inputs: Mapping[str, ImageSeries], shift: int | Tensor) -> Inputs:
    """Move all series of a batch in time.

    Args:
        inputs: sensor -> series.
        shift: days to add, a number, a scalar tensor or one number per sample (N,).

    Returns:
        The same values with other days.
    """
    moved = {}
    for sensor, series in inputs.items():
        added = torch.as_tensor(shift, device=series.days.device).to(series.days.dtype)
        moved[sensor] = series._replace(days=series.days + (added[:, None] if added.ndim else added))
    return moved


def select_samples(inputs: Mapping[str, ImageSeries], chosen: Tensor) -> Inputs:
    """Some samples of a batch; `chosen` is bool (N,) or holds indices."""
    return {sensor: ImageSeries(*(part[chosen] for part in series)) for sensor, series in inputs.items()}


def join_inputs(first: Mapping[str, ImageSeries], second: Mapping[str, ImageSeries]) -> Inputs:
    """One batch of two; what is shorter or smaller is padded with dates and pixels that are not valid.

    Args:
        first: sensor -> series.
        second: of the same sensors and bands.

    Raises:
        ValueError: if the domains differ in sensors or bands.
    """
    if first.keys() != second.keys():
        raise ValueError(
            f'the domains have different sensors, {sorted(first)} and {sorted(second)}: let both datasets give the '
            'same ones'
        )
    return {sensor: _join_series(sensor, first[sensor], second[sensor]) for sensor in first}


def _join_series(sensor: str, first: ImageSeries, second: ImageSeries) -> ImageSeries:
    bands = [series.values.shape[2] for series in (first, second)]
    if bands[0] != bands[1]:
        raise ValueError(f'sensor {sensor!r} has {bands[0]} bands in one domain and {bands[1]} in the other')
    shapes = [series.values.shape for series in (first, second)]
    dates, height, width = (max(shape[axis] for shape in shapes) for axis in (1, 3, 4))
    extents = {tuple(series.valid.shape[2:]) for series in (first, second)}
    per_pixel = shapes[0][3:] != shapes[1][3:] or len(extents) > 1
    parts = []
    for series in (first, second):
        valid = series.valid
        if per_pixel:
            valid = valid.expand(*valid.shape[:2], *series.values.shape[3:])
        size = (height, width) if per_pixel else tuple(valid.shape[2:])
        parts.append(
            ImageSeries(
                _pad(series.values, (dates, bands[0], height, width)),
                _pad(series.days, (dates,)),
                _pad(valid, (dates, *size)),
            )
        )
    return ImageSeries(*(torch.cat(pair) for pair in zip(*parts, strict=True)))


def _pad(tensor: Tensor, size: Sequence[int]) -> Tensor:
    if tuple(tensor.shape[1:]) == tuple(size):
        return tensor
    padding: list[int] = []
    for held, wanted in zip(reversed(tensor.shape[1:]), reversed(size), strict=True):
        padding += [0, wanted - held]
    return F.pad(tensor, padding)
