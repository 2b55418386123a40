"""What the ground looks like: land units, their state and their signatures put together.

Everything here is free of the sensor and of the atmosphere: reflectance and backscatter as they
are, averaged over each pixel.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from . import spectra
from .landscape import MARGIN_UNIT, Landscape, assign_classes
from .phenology import (
    CROPS,
    MARGIN_COVER,
    SETTLEMENT_COVER,
    WATER_COVER,
    WOODLAND_COVER,
    LandCover,
    SeasonTable,
    draw_parameters,
    season_table,
)
from .random_fields import Concern, smooth_field, stream

FloatArray = NDArray[np.float32]

NOMINAL_MOISTURE = 0.35
"""Soil moisture for which the noise-free NDVI is given, so that it shows the vegetation only."""

OTHER_COVERS: tuple[tuple[LandCover, spectra.Signature], ...] = (
    (MARGIN_COVER, spectra.MARGIN_SIGNATURE),
    (WOODLAND_COVER, spectra.WOODLAND_SIGNATURE),
    (SETTLEMENT_COVER, spectra.SETTLEMENT_SIGNATURE),
    (WATER_COVER, spectra.WATER_SIGNATURE),
)
"""Land covers of the background class, in the order of their cover numbers."""
MARGIN, WOODLAND, SETTLEMENT, WATER = range(4)
OTHER_PROPORTIONS = np.array([0.0, 0.62, 0.30, 0.08])
"""Shares of the background land outside paths."""


@dataclass(frozen=True)
class LandUnits:
    """Land cover of the units (U).

    Attributes:
        cover: Land cover; numbers below 4 are ``OTHER_COVERS``, others 4 plus the position of the
            class in ``classes``, shape (U,).
        classes: Classes of the region, PASTIS numbers.
        class_of_unit: Class, 0 for background, shape (U,).
        timing: Days by which each class of the region is late beyond the shift, shape (K,).
        peak: Factor on the leaf area of each class in the region, shape (K,).
    """

    cover: NDArray[np.int64]
    classes: tuple[int, ...]
    class_of_unit: NDArray[np.int64]
    timing: NDArray[np.float64]
    peak: NDArray[np.float64]


def assign_units(
    landscape: Landscape,
    seed: int,
    classes: tuple[int, ...],
    proportions: NDArray[np.float64],
    background_share: float,
    region_variation: float,
) -> LandUnits:
    """Decide what grows on each land unit.

    Args:
        landscape: The landscape.
        seed: Seed of the region.
        classes: Classes, PASTIS numbers.
        proportions: Share of the farmed area of each class, adding up to 1, shape (K,).
        background_share: Share of the area, paths aside, that is not farmed, 0 to 1.
        region_variation: Factor on the variation of classes between regions.

    Returns:
        The units.
    """
    random = stream(seed, Concern.CLASSES)
    count = len(landscape.area)
    units = np.setdiff1d(np.arange(count), [MARGIN_UNIT])
    shares = np.concatenate([background_share * OTHER_PROPORTIONS, (1.0 - background_share) * proportions])
    cover = np.full(count, MARGIN, dtype=np.int64)
    cover[units] = assign_classes(landscape.area[units], shares, random)
    other = len(OTHER_COVERS)
    class_of_unit = np.concatenate([np.zeros(other, dtype=np.int64), np.array(classes, dtype=np.int64)])[cover]
    region = stream(seed, Concern.REGION).standard_normal((2, max(CROPS) + 1))[:, list(classes)] * region_variation
    # Centred, so that the mean shift of the region remains the one asked for.
    timing = 2.0 * (region[0] - region[0].mean())
    return LandUnits(cover, classes, class_of_unit, timing, np.exp(0.06 * region[1]))


class Surface:
    """The ground of a region.

    Args:
        landscape: The landscape.
        units: What grows on its units.
        seed: Seed of the region.
        first_day: First day the surface is asked for, relative to 1 January of the harvest year.
        last_day: Last such day.
        shift: Days by which all vegetation is late.
        variation: Factor on the variation between parcels of a class.
        heterogeneity: Factor on the variation inside a parcel.
    """

    def __init__(
        self,
        landscape: Landscape,
        units: LandUnits,
        seed: int,
        first_day: int,
        last_day: int,
        shift: float,
        variation: float,
        heterogeneity: float,
    ) -> None:
        self.landscape = landscape
        self.units = units
        covers = [cover for cover, _ in OTHER_COVERS] + [CROPS[number] for number in units.classes]
        signatures = [signature for _, signature in OTHER_COVERS] + [spectra.SIGNATURES[n] for n in units.classes]
        none = np.zeros(len(OTHER_COVERS))
        parameters = draw_parameters(
            covers,
            units.cover,
            stream(seed, Concern.PHENOLOGY),
            variation,
            np.concatenate([none, units.timing]),
            np.concatenate([none + 1.0, units.peak]),
        )
        # Pixels of a field run up to a few days early or late.
        self.table: SeasonTable = season_table(parameters, first_day - 25, last_day + 25, shift)
        self._draw_signatures(signatures, seed, variation)
        self._draw_ground(seed, heterogeneity)
        shape = (landscape.height * landscape.width, len(landscape.pixel))
        rows = np.searchsorted(landscape.pixel, np.arange(shape[0] + 1))
        self._mixing = sparse.csr_array((landscape.weight, np.arange(shape[1]), rows), shape=shape)

    def _draw_signatures(self, signatures: list[spectra.Signature], seed: int, variation: float) -> None:
        cover = self.units.cover
        count = len(cover)
        normal = np.clip(stream(seed, Concern.OPTICAL).standard_normal((count, 3)), -2.5, 2.5) * variation
        leaf = np.array([spectra.green_endmember(s) for s in signatures])[cover]
        leaf[:, spectra.VISIBLE] *= np.exp(0.10 * normal[:, :1])
        leaf[:, spectra.PLATEAU] *= np.exp(0.05 * normal[:, 1:2])
        leaf[:, spectra.SHORTWAVE] *= np.exp(0.07 * normal[:, 2:3])
        self._leaf = leaf.astype(np.float32)
        names = ('vv', 'vh', 'attenuation_vv', 'attenuation_vh')
        table = np.array([[getattr(s, name) for name in names] for s in signatures])[cover]
        normal = np.clip(stream(seed, Concern.BACKSCATTER).standard_normal((count, 6)), -2.5, 2.5) * variation
        # Row direction and incidence make a parcel look different from the two passes.
        self._canopy_db = table[:, None, :2] + 0.7 * normal[:, None, :2] + 0.4 * normal[:, 2:4, None]
        self._attenuation = table[:, 2:].astype(np.float32)
        self._roughness = 0.9 * normal[:, 4]

    def _draw_ground(self, seed: int, heterogeneity: float) -> None:
        """Soil and growth, smooth over the fields with a fine grain; the soil also by unit."""
        land = self.landscape
        shape = (land.height, land.width)
        soil, growth = stream(seed, Concern.SOIL), stream(seed, Concern.GROWTH)
        texture = 0.12 * smooth_field(shape, 22.0, soil) + 0.07 * smooth_field(shape, 3.0, soil)
        texture += 0.05 * smooth_field(shape, 0.0, soil)
        tilth = np.clip(soil.standard_normal(len(land.area)), -2.5, 2.5).astype(np.float32)
        texture = texture.ravel()[land.pixel] * heterogeneity
        self._soil_brightness = np.exp(texture + 0.13 * tilth[land.unit])
        # Dark soils hold more organic matter and less bright iron: a little redder when bright.
        self._soil_redness = np.float32(0.25) * texture
        vigour = 0.13 * smooth_field(shape, 9.0, growth) + 0.11 * smooth_field(shape, 2.0, growth)
        vigour += 0.13 * smooth_field(shape, 0.0, growth)
        self._vigour = np.exp(heterogeneity * vigour.ravel()[land.pixel])
        delay = 2.2 * smooth_field(shape, 12.0, growth) + 1.6 * smooth_field(shape, 1.5, growth)
        self._delay = np.clip(heterogeneity * delay.ravel()[land.pixel], -20, 20)

    def state(self, day: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Green and senescent leaf area index (m2/m2) and share of flowers of all entries, each (N,)."""
        green, dry, flowers = self.table.at(day, self.landscape.unit, self._delay)
        return green * self._vigour, dry * self._vigour, flowers

    def _ground(self, band: int, moisture: float) -> FloatArray:
        """Reflectance of what lies below the vegetation, shape (N,)."""
        factor = spectra.soil_moisture_factor(band, moisture)
        redder = np.float32(min(band, 3) - 1.5) * self._soil_redness
        ground = np.float32(spectra.SOIL[band] * factor) * self._soil_brightness * (1.0 + redder)
        cover = self.units.cover[self.landscape.unit]
        ground = np.where(cover == SETTLEMENT, spectra.SEALED[band] * self._soil_brightness, ground)
        return np.where(cover == WATER, spectra.WATER[band], ground).astype(np.float32)

    def _mix(self, values: FloatArray) -> FloatArray:
        return (self._mixing @ values).reshape(self.landscape.height, self.landscape.width)

    def reflectance(self, day: float, moisture: float, bands: tuple[int, ...] = tuple(range(10))) -> FloatArray:
        """Reflectance on a day.

        Args:
            day: Day relative to 1 January of the harvest year.
            moisture: Moisture of the topsoil, 0 to 1.
            bands: Positions in ``BANDS``.

        Returns:
            Reflectance, 0 to 1, shape (number of bands, H, W).
        """
        green, dry, flowers = self.state(day)
        image = np.empty((len(bands), self.landscape.height, self.landscape.width), dtype=np.float32)
        for i, band in enumerate(bands):
            leaf = self._leaf[self.landscape.unit, band]
            ground = self._ground(band, moisture)
            image[i] = self._mix(spectra.canopy_reflectance(band, green, dry, flowers, leaf, ground))
        return image

    def ndvi(self, day: float) -> FloatArray:
        """Noise-free NDVI on a day for a soil of nominal moisture, -1 to 1, shape (H, W)."""
        red, near_infrared = self.reflectance(day, NOMINAL_MOISTURE, (spectra.RED, spectra.NIR))
        return spectra.ndvi(red, near_infrared)

    def backscatter(self, day: float, moisture: float, descending: bool) -> FloatArray:
        """Mean backscatter on a day.

        Args:
            day: Day relative to 1 January of the harvest year.
            moisture: Moisture of the topsoil, 0 to 1.
            descending: Whether it is seen from the descending pass.

        Returns:
            Backscatter in VV and VH, power, shape (2, H, W).
        """
        unit = self.landscape.unit
        green, dry, _ = self.state(day)
        # Dry straw hardly attenuates: it counts for its little remaining water.
        leaf_area = green + np.float32(0.35) * dry
        image = np.empty((2, self.landscape.height, self.landscape.width), dtype=np.float32)
        for i, (level, wetting, roughening) in enumerate(((-14.8, 6.5, 1.0), (-22.8, 5.0, 0.8))):
            soil_db = level - 0.4 * descending + wetting * moisture + roughening * self._roughness[unit]
            canopy_db = self._canopy_db[:, int(descending), i][unit] - 0.3 * descending
            special = np.isin(self.units.cover, (SETTLEMENT, WATER))[unit]
            soil = _power(np.where(special, canopy_db, soil_db))
            image[i] = self._mix(
                spectra.canopy_backscatter(leaf_area, _power(canopy_db), soil, self._attenuation[unit, i])
            )
        return image


def _power(decibel: NDArray[np.float64]) -> FloatArray:
    return np.power(10.0, 0.1 * decibel).astype(np.float32)
