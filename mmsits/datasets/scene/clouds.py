"""Where clouds hide the ground: from a scene classification, a cloud probability or a mask, per pixel and date."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from mmsits.datasets.errors import DataError, iso_day

from .grid import Grid, Window

if TYPE_CHECKING:
    from .rasters import RasterSeries

SCL_CLASSES = (0, 1, 3, 8, 9, 10)
"""Classes of Sentinel-2's scene classification that count as hidden: no data, defective, cloud shadow, cloud of medium
and high probability, thin cirrus."""

KINDS = ('scl', 'probability', 'mask')
MISSING = ('refuse', 'clear', 'hidden')


class CloudMasks:
    """Cloud rasters of a sensor.

    Args:
        rasters: their series; one band.
        kind: 'scl' (scene classification), 'probability' or 'mask'.
        classes: numbers that count as hidden. None: for 'scl' :data:`SCL_CLASSES`, for 'mask' everything but 0.
        threshold: from this probability on, in the unit of the raster, a pixel is hidden.
        dilation: every pixel within this many pixels of the scene's grid of a hidden one is hidden too.
        missing: a date without cloud raster: 'refuse' it, call it 'clear', or 'hidden'.

    Raises:
        ValueError: if an option is unknown or missing.
    """

    def __init__(
        self,
        rasters: RasterSeries,
        kind: str,
        classes: Sequence[int] | None = None,
        threshold: float | None = None,
        dilation: int = 0,
        missing: str = 'refuse',
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f'clouds: type must be one of {KINDS}, got {kind!r}')
        if missing not in MISSING:
            raise ValueError(f'clouds: missing must be one of {MISSING}, got {missing!r}')
        if (kind == 'probability') != (threshold is not None):
            raise ValueError(f"clouds: a threshold goes with type='probability' and only there; got {kind!r}")
        if dilation < 0:
            raise ValueError(f'clouds: dilation must be 0 or more pixels, got {dilation}')
        self.rasters, self.kind, self.threshold = rasters, kind, threshold
        self.classes = SCL_CLASSES if classes is None and kind == 'scl' else classes
        self.dilation, self.missing = dilation, missing

    @property
    def description(self) -> str:
        """What counts as hidden."""
        if self.threshold is not None:
            return f'from {self.threshold} on, dilated by {self.dilation} pixels'
        classes = 'all but 0' if self.classes is None else f'classes {tuple(self.classes)}'
        return f'{classes}, dilated by {self.dilation} pixels'

    def check_days(self, days: np.ndarray, sensor: str) -> None:
        """Refuse dates without cloud raster, unless `missing` says what they are.

        Args:
            days: the sensor's dates, (T,).
            sensor: its name.

        Raises:
            DataError: names the first such date.
        """
        absent = np.setdiff1d(days, self.rasters.days)
        if self.missing == 'refuse' and len(absent):
            raise DataError(
                f'{sensor}: {len(absent)} of {len(days)} dates have no cloud raster; there are some from '
                f'{iso_day(self.rasters.days[0])} to {iso_day(self.rasters.days[-1])}',
                path=self.rasters.folder,
                day=int(absent[0]),
                hint="Get it, take the date away, or say clouds=dict(missing='clear') or 'hidden'.",
            )

    def clear(self, days: np.ndarray, window: Window, grid: Grid) -> np.ndarray:
        """Where the ground is seen.

        Args:
            days: dates, (T,).
            window: of the grid.
            grid: the scene's grid.

        Returns:
            (T,h,w) bool. Where the cloud raster has no number (nodata, beyond its edge), the sky is unknown and the
            pixel is not clear.

        Raises:
            DataError: if a raster cannot be read.
        """
        margin = self.dilation
        # Clouds beyond the window's edge reach into it.
        wide = window.grown(margin)
        positions = np.searchsorted(self.rasters.days, days)
        known = np.isin(days, self.rasters.days)
        clear = np.full((len(days), *window.shape), self.missing == 'clear')
        if not known.any():
            return clear
        codes, _, valid = self.rasters.read(wide, grid, dates=positions[known])
        hidden = dilate(self._hidden(codes[:, 0]) & valid, margin)
        rows, columns = window.within(wide).slices
        clear[known] = (~hidden & valid)[:, rows, columns]
        return clear

    def _hidden(self, codes: np.ndarray) -> np.ndarray:
        if self.threshold is not None:
            return codes >= self.threshold
        if self.classes is None:
            return codes != 0
        return np.isin(codes, self.classes)


def dilate(hidden: np.ndarray, distance: int) -> np.ndarray:
    """Hide what lies near to what is hidden.

    Args:
        hidden: (T,h,w) bool.
        distance: pixels, as the crow flies.

    Returns:
        (T,h,w) bool.
    """
    if distance == 0 or not hidden.any():
        return hidden
    from scipy import ndimage

    reach = np.arange(-distance, distance + 1)
    disc = reach[:, None] ** 2 + reach**2 <= distance**2
    return np.stack([ndimage.binary_dilation(date, disc) for date in hidden])
