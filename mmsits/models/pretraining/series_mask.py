"""Which observations of a series are hidden in masked pre-training (Qin et al., JAG 2025, doi
10.1016/j.jag.2025.104426)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import ImageSeries

OVER = ('dates_and_space', 'dates', 'space')


@MODELS.register_module()
class SeriesMask:
    """Draws what to hide: each cell of time and space with the same probability, by itself.

    Args:
        ratio: probability that a cell is hidden, between 0 and 1, both excluded: hiding everything would leave nothing
            to reconstruct from. `MaskRatioHook` changes it while training goes on.
        over: what a cell is. 'dates_and_space': a block of pixels on one date, as published with blocks of one pixel.
            'dates': a whole date. 'space': a block of pixels on all dates.
        block_size: side of a block, in pixels. The grid of blocks has another place for each series.
        same_in_batch: draw once for all series of a batch (of their first dates, second dates …).
        fixed_grid: blocks begin at the upper left corner of every series. Where bands of larger pixels were repeated,
            blocks of the size of these hide them as a whole; of a pixel that is hidden in part, the rest tells its
            value. (Crops must begin where such a pixel does.)

    Raises:
        ValueError: for options that cannot work.
    """

    def __init__(
        self,
        ratio: float = 0.4,
        over: str = 'dates_and_space',
        block_size: int = 1,
        same_in_batch: bool = False,
        fixed_grid: bool = False,
    ) -> None:
        if over not in OVER:
            raise ValueError(f'over={over!r}: expected one of {OVER}')
        if block_size < 1:
            raise ValueError(f'block_size={block_size}: at least one pixel')
        self.ratio = ratio
        self.over, self.block_size, self.same_in_batch = over, block_size, same_in_batch
        self.fixed_grid = fixed_grid

    @property
    def ratio(self) -> float:
        """Probability that a cell is hidden."""
        return self._ratio

    @ratio.setter
    def ratio(self, value: float) -> None:
        if not 0 < value < 1:
            raise ValueError(
                f'ratio={value}: a mask hides more than nothing and less than everything, 0 < ratio < 1; a network '
                'cannot reconstruct from nothing'
            )
        self._ratio = value

    def draw(self, valid: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """Draw for a batch.

        Args:
            valid: bool (N, T, H, W), what was observed.
            generator: of random numbers, on the same device; default torch's own.

        Returns:
            Bool (N, T, H, W), what to hide; only what was observed.
        """
        n, t, height, width = valid.shape
        n = 1 if self.same_in_batch else n
        random: dict = dict(generator=generator, device=valid.device)
        if self.over == 'dates':
            cells = torch.rand((n, t, 1, 1), **random) < self.ratio
            return cells & valid
        dates = 1 if self.over == 'space' else t
        size = self.block_size
        rows, columns = (-(-(length + size - 1) // size) for length in (height, width))
        cells = torch.rand((n, dates, rows, columns), **random) < self.ratio
        if size == 1:
            return cells & valid
        offsets = torch.randint(1 if self.fixed_grid else size, (n, 2), **random)
        row = (torch.arange(height, device=valid.device) + offsets[:, :1]) // size  # n, H
        column = (torch.arange(width, device=valid.device) + offsets[:, 1:]) // size  # n, W
        series = torch.arange(n, device=valid.device)[:, None, None]
        blocks = cells.permute(0, 2, 3, 1)[series, row[:, :, None], column[:, None, :]]  # n, H, W, dates
        return blocks.permute(0, 3, 1, 2) & valid


class VegetationGate(nn.Module):
    """Lets only those dates be masked on which (almost) all of a patch is green.

    Clouds, snow and bare soil are not worth reconstructing. A pixel is green if its NDVI, (nir - red) / (nir + red), is
    above `threshold`; a date passes if more than `share` of its observed pixels are.

    Args:
        red, nir: bands, by their names in the dataset or by position. `DatasetContractHook` looks the names up in the
            training dataset.
        sensor: that has these bands.
        threshold: of the NDVI.
        share: of the observed pixels, from 0 to 1.
        of_normalised_values: take the NDVI of the values as the network sees them, as published for PASTIS, instead of
            reflectances.

    Raises:
        ValueError: for a share that cannot be.
    """

    def __init__(
        self,
        red: str | int = 'B04',
        nir: str | int = 'B08',
        sensor: str = 's2',
        threshold: float = 0.2,
        share: float = 0.9,
        of_normalised_values: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= share < 1:
            raise ValueError(f'share={share}: a share of the pixels, 0 <= share < 1')
        self.red, self.nir, self.sensor = red, nir, sensor
        self.threshold, self.share, self.of_normalised_values = threshold, share, of_normalised_values
        self._positions = (red, nir) if isinstance(red, int) and isinstance(nir, int) else None

    def set_bands(self, bands: Mapping[str, Sequence[str]]) -> None:
        """Look the bands up in what a dataset says of its sensors.

        Raises:
            ValueError: if it has no such band.
        """
        held = list(bands.get(self.sensor) or ())
        missing = [band for band in (self.red, self.nir) if isinstance(band, str) and band not in held]
        if missing:
            raise ValueError(
                f'vegetation_gate: the dataset has no band {" and no ".join(missing)} of sensor {self.sensor!r}; it '
                f'has {", ".join(held) or "none"}. Name its red and near infrared, or leave the gate out'
            )
        red, nir = (held.index(band) if isinstance(band, str) else band for band in (self.red, self.nir))
        self._positions = (red, nir)

    def forward(self, series: ImageSeries, statistics: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Which dates may be masked.

        Args:
            series: of the sensor, normalised.
            statistics: mean and standard deviation (C,), or (N, C) of each sample, that it was normalised by; not
                needed with `of_normalised_values`.

        Returns:
            Bool (N, T).

        Raises:
            ValueError: if bands or statistics are unknown.
        """
        green = self.greenness(series, statistics) > self.threshold
        valid = series.valid.expand(green.shape)
        counted = valid.flatten(2).sum(-1)
        return (green & valid).flatten(2).sum(-1) > self.share * counted

    def greenness(self, series: ImageSeries, statistics: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """The NDVI (N, T, H, W); arguments and errors as for `forward`."""
        if self._positions is None:
            raise ValueError(
                f'vegetation_gate: where {self.red} and {self.nir} are is known from the training dataset '
                '(DatasetContractHook); give their positions as numbers where there is none'
            )
        red, nir = (series.values[:, :, position] for position in self._positions)
        if not self.of_normalised_values:
            if statistics is None:
                raise ValueError(
                    f'vegetation_gate: reflectances need the normalisation of {self.sensor!r}; give statistics to the '
                    'data preprocessor, or set of_normalised_values=True'
                )
            mean, std = statistics
            places = zip((red, nir), self._positions, strict=True)
            red, nir = (band * _of_band(std, position) + _of_band(mean, position) for band, position in places)
        return (nir - red) / (nir + red + 1e-20)


def _of_band(statistics: Tensor, position: int) -> Tensor:
    """Of (C,) or (N, C), what goes with a band (N, T, H, W)."""
    return statistics[..., position].reshape(-1, 1, 1, 1)


def leave_something(
    hidden: Mapping[str, Tensor], valid: Mapping[str, Tensor], generator: torch.Generator | None = None
) -> dict[str, Tensor]:
    """Uncover one date of every sample of which all that was observed is hidden.

    Args:
        hidden: bool (N, T, H, W) by sensor, what is to be hidden; only what was observed.
        valid: likewise, what was observed.
        generator: of random numbers.

    Returns:
        `hidden`, where necessary less one date, drawn among all dates of all sensors of that sample. A sample with one
        observed date is then not hidden at all.
    """
    visible = sum((valid[sensor] & ~hidden[sensor]).flatten(1).any(1).int() for sensor in hidden)
    nothing = torch.as_tensor(visible == 0)
    result = dict(hidden)
    if not bool(nothing.any()):
        return result
    exists = torch.cat([valid[sensor].flatten(2).any(-1) for sensor in hidden], 1).float()  # N, all dates
    rows = torch.nonzero(nothing & exists.any(1)).squeeze(1)
    if not len(rows):
        return result
    chosen = torch.multinomial(exists[rows], 1, generator=generator).squeeze(1)
    start = 0
    for sensor, mask in hidden.items():
        dates = mask.shape[1]
        here = (chosen >= start) & (chosen < start + dates)
        mask = mask.clone()
        mask[rows[here], chosen[here] - start] = False
        result[sensor] = mask
        start += dates
    return result
