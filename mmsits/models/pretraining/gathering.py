"""Batches of all processes of a distributed run, for what must be the same in all of them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, broadcast, get_rank, get_world_size
from torch import Tensor

from mmsits.structures import ImageSeries

Inputs = dict[str, ImageSeries]


@torch.no_grad()
def gather_rows(rows: Tensor) -> Tensor:
    """(N, ...) of each process -> (W N, ...), those of the first process first; without gradient.

    Raises:
        ValueError: if processes have different numbers of rows.
    """
    if get_world_size() == 1:
        return rows
    sizes = [int(size) for size in all_gather(torch.tensor([len(rows)], device=rows.device))]
    if len(set(sizes)) > 1:
        raise ValueError(f'processes have batches of {sizes} samples: give all the same number (drop_last=True)')
    return torch.cat(all_gather(rows.contiguous()))


@torch.no_grad()
def gather_inputs(inputs: Mapping[str, ImageSeries]) -> Inputs:
    """The inputs of all processes as one batch; what is shorter or smaller is padded with what is not valid.

    Raises:
        ValueError: if processes have different numbers of samples.
    """
    if get_world_size() == 1:
        return dict(inputs)
    return {sensor: _gather_series(inputs[sensor]) for sensor in sorted(inputs)}


def _gather_series(series: ImageSeries) -> ImageSeries:
    values, days, valid = series
    own = torch.tensor([values.shape[1], *values.shape[-2:], *valid.shape[-2:]], device=values.device)
    shapes = torch.stack(all_gather(own)).cpu()
    dates, height, width = shapes[:, :3].amax(0).tolist()
    if len(shapes[:, 1:].unique(dim=0)) > 1:
        valid = valid.expand(*valid.shape[:2], *values.shape[-2:])
    padding = (0, width - values.shape[-1], 0, height - values.shape[-2])
    later = dates - values.shape[1]
    of_valid = padding if tuple(valid.shape[-2:]) == tuple(values.shape[-2:]) else (0, 0, 0, 0)
    padded = ImageSeries(
        F.pad(values, (*padding, 0, 0, 0, later)),
        F.pad(days, (0, later)),
        F.pad(valid.to(torch.uint8), (*of_valid, 0, later)),
    )
    gathered = [gather_rows(part) for part in padded]
    return ImageSeries(gathered[0], gathered[1], gathered[2].bool())


def common_permutation(count: int, device: torch.device) -> Tensor:
    """A permutation of 0 … count - 1 that the first process draws for all."""
    permutation = torch.randperm(count, device=device)
    broadcast(permutation)
    return permutation


def own_share(rows: Tensor) -> Tensor:
    """The rows of this process out of (W N, ...)."""
    count = len(rows) // get_world_size()
    return rows[get_rank() * count : (get_rank() + 1) * count]
