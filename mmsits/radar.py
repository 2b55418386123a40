"""Radar backscatter in torch: units, the multi-temporal speckle filter of Quegan, simulated speckle.

One code for CPU and GPU. Every function takes torch tensors and gives them back on the same device; other arrays, such
as numpy's and CuPy's, come in and go out through DLPack, without a copy where their library allows it.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

LOWEST_POWER = 1e-10
"""What powers are taken to be at least before their logarithm, -100 dB: noise-corrected powers may be 0 or below."""


def on_any_array(function: Callable[..., Tensor]) -> Callable[..., Any]:
    """Let a function of tensors take arrays of other libraries: they are exchanged through DLPack.

    The result is an array of the library that the first argument came from.
    """

    @functools.wraps(function)
    def exchanged(values: Any, *arguments: Any, **options: Any) -> Any:
        tensors = [_to_tensor(argument) for argument in arguments]
        named = {name: _to_tensor(argument) for name, argument in options.items()}
        found = function(_to_tensor(values), *tensors, **named)
        return found if isinstance(values, Tensor) else _library_of(values).from_dlpack(found)

    return exchanged


def _to_tensor(value: Any) -> Any:
    if isinstance(value, Tensor | torch.Generator) or not hasattr(value, '__dlpack__'):
        return value
    if getattr(getattr(value, 'flags', None), 'writeable', True) is False:
        value = value.copy()  # numpy hands out nothing that must not be written to
    return torch.from_dlpack(value)


def _library_of(array: Any) -> Any:
    """The module that an array's type comes from: numpy, cupy, …"""
    return sys.modules[type(array).__module__.partition('.')[0]]


@on_any_array
def to_decibel(power: Tensor) -> Tensor:
    """10 log10 of powers, at least -100 dB; float32 unless given in higher precision."""
    return 10 * torch.log10(_floating(power).clamp_min(LOWEST_POWER))


@on_any_array
def to_linear(decibel: Tensor) -> Tensor:
    """Powers of decibels; float32 unless given in higher precision."""
    return torch.pow(10.0, _floating(decibel) / 10)


def _floating(values: Tensor) -> Tensor:
    return values if values.dtype in (torch.float32, torch.float64) else values.float()


@on_any_array
def filter_speckle(power: Tensor, valid: Tensor, window: int = 7) -> Tensor:
    """Multi-temporal speckle filter (Quegan & Yu, IEEE TGRS 39 (2001) 2373, for uncorrelated images of one look).

    J_t = E_t / M · Σ_s I_s / E_s, where E_t is the local mean of image t and the sum goes over the M images that saw
    the pixel: details that all dates share stay sharp, speckle, which changes from date to date, is averaged over M
    dates, and changes of the local mean in time stay. Each band is filtered by itself.

    Args:
        power: (..., T, C, H, W), linear.
        valid: bool, (..., T, H, W) or (..., T, 1, 1).
        window: side of the window of the local mean, odd, pixels.

    Returns:
        Of the shape and precision of `power` (float32 at least); what is not valid stays as it was.

    Raises:
        ValueError: if the window is not odd.
    """
    if window < 1 or window % 2 == 0:
        raise ValueError(f'the window of the speckle filter must be odd, got {window}')
    power = _floating(power)
    seen = valid.unsqueeze(-3).expand(power.shape)
    # What was not observed may be any number, NaN too.
    observed = torch.where(seen, power, torch.zeros_like(power)).clamp_min(0)
    mean = _box_sum(observed, window) / _box_sum(seen.to(power.dtype), window).clamp_min(1)
    mean = mean.clamp_min(LOWEST_POWER)
    dates = -4
    ratio = torch.where(seen, observed / mean, torch.zeros_like(mean)).sum(dates, keepdim=True)
    count = seen.sum(dates, keepdim=True).clamp_min(1)
    return torch.where(seen, mean * ratio / count, power)


def _box_sum(values: Tensor, window: int) -> Tensor:
    """Sum over a square window around each pixel, of what lies within the image."""
    images = values.reshape(-1, 1, *values.shape[-2:])
    summed = F.avg_pool2d(images, window, 1, window // 2, count_include_pad=True) * window**2
    return summed.reshape(values.shape)


@on_any_array
def simulate_speckle(power: Tensor, looks: int = 4, generator: torch.Generator | None = None) -> Tensor:
    """Multiply powers by speckle: independent numbers of mean 1 and variance 1 / looks (gamma distributed).

    Args:
        power: any shape, linear.
        looks: number of independent looks that are averaged, at least 1; fewer is more speckle.
        generator: source of the random numbers, on the device of `power`; None for torch's own.

    Raises:
        ValueError: if looks is below 1.
    """
    if looks < 1:
        raise ValueError(f'looks must be at least 1, got {looks}')
    power = _floating(power)
    total = torch.zeros_like(power)
    for _ in range(looks):  # the intensity of one look is exponentially distributed
        total += torch.empty_like(power).exponential_(generator=generator)
    return power * total / looks
