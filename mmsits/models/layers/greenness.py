"""How green a clear date is, from reflectances: the weights that STNet sums dates with (Xu et al., ISPRS J. 2024, doi
10.1016/j.isprsjprs.2023.12.005)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from .master_query import masked_softmax

SENTINEL2 = dict(blue=0, green=1, red=2, nir=6, swir1=8, swir2=9)
"""Positions among the ten bands of 10 m and 20 m, in the order of their numbers: B02, B03, …, B8A, B11, B12."""


def clear_greenness(reflectance: Tensor, bands: Mapping[str, int] | None = None) -> Tensor:
    """NDVI of the dates that are neither cloudy nor dark, -1 of the others.

    Cloudy: blue, green and red together above 0.32. Dark: nir, swir1 and swir2 together below 0.35.

    Args:
        reflectance: (..., C), 0 to 1.
        bands: positions of blue, green, red, nir, swir1 and swir2; default those of `SENTINEL2`.

    Returns:
        (...), -1 to 1.
    """
    named = {name: reflectance[..., position] for name, position in (bands or SENTINEL2).items()}
    visible = named['blue'] + named['green'] + named['red']
    cloudy = 100 * ((visible - 0.2) / 0.6).clamp(max=1) > 20
    dark = named['nir'] + named['swir1'] + named['swir2'] < 0.35
    ndvi = (named['nir'] - named['red']) / (named['nir'] + named['red'] + 1e-8)
    return ndvi.masked_fill(cloudy | dark, -1.0).clamp(-1.0, 1.0)


@MODELS.register_module()
class GreennessWeights(nn.Module):
    """Weights of dates that sum to 1: softmax, over valid dates, of `clear_greenness`.

    A network sees normalised values, so the layer undoes the normalisation first. It keeps mean and standard deviation
    as buffers, hence in the checkpoint; where the config gives none, `DatasetContractHook` takes them from the data
    preprocessor before training.

    Args:
        mean, std: of the normalisation, C each, in the unit of the files.
        scale: reflectance (0 to 1) of one unit of the files.
        bands: see `clear_greenness`.
        in_channels: C where `mean` is not given.
        sensor: of the data preprocessor whose statistics are taken.

    Attributes:
        configured: whether the config gives them.

    Raises:
        ValueError: if bands are missing or statistics have another length.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        scale: float = 1e-4,
        bands: Mapping[str, int] | None = None,
        in_channels: int = 10,
        sensor: str = 's2',
    ) -> None:
        super().__init__()
        self.bands = dict(bands or SENTINEL2)
        count = in_channels if mean is None else len(mean)
        if self.bands.keys() != SENTINEL2.keys() or max(self.bands.values()) >= count or min(self.bands.values()) < 0:
            raise ValueError(
                f'GreennessWeights: expected positions below {count}, the number of bands, for {", ".join(SENTINEL2)}; '
                f'got {self.bands}'
            )
        self.scale, self.sensor = scale, sensor
        self.register_buffer('mean', torch.full((count,), torch.nan))
        self.register_buffer('std', torch.full((count,), torch.nan))
        self._known = False
        self.configured = mean is not None and std is not None
        if mean is not None and std is not None:
            self.set_statistics(mean, std)

    def has_statistics(self) -> bool:
        """Whether mean and standard deviation are known."""
        # Looked at until they are: on a GPU this waits for the device.
        self._known = self._known or bool((self.mean.isfinite() & self.std.isfinite()).all())
        return self._known

    def set_statistics(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Set mean and standard deviation, in the unit of the files.

        Raises:
            ValueError: if there are not as many as bands.
        """
        if len(mean) != len(self.mean) or len(std) != len(self.std):
            raise ValueError(
                f'GreennessWeights was built for {len(self.mean)} bands, there are {len(mean)} means and {len(std)} '
                'standard deviations'
            )
        self.mean.copy_(torch.tensor(list(mean)))
        self.std.copy_(torch.tensor(list(std)))

    def forward(self, x: Tensor, valid: Tensor) -> Tensor:
        """Normalised values (N, T, C) and bool (N, T) -> weights (N, T), 0 where not valid.

        Raises:
            ValueError: if mean and standard deviation are not known.
        """
        if not self.has_statistics():
            raise ValueError(
                'GreennessWeights does not know how the values were normalised: give mean and std in the config, load '
                'a checkpoint, or train with DatasetContractHook'
            )
        reflectance = (x.float() * self.std + self.mean) * self.scale
        return masked_softmax(clear_greenness(reflectance, self.bands), valid)
