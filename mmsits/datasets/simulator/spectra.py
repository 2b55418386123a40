"""Optical and radar signatures of soil, vegetation and water.

The endmembers are typical figures written down for this simulator from general knowledge of
spectral libraries, not copies of a measured spectrum. Reflectances are between 0 and 1.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

BANDS = ('B02', 'B03', 'B04', 'B05', 'B06', 'B07', 'B08', 'B8A', 'B11', 'B12')
"""Sentinel-2 bands at 10 and 20 m, in the order of PASTIS."""

RED, NIR = BANDS.index('B04'), BANDS.index('B08')


def _spectrum(*values: float) -> FloatArray:
    return np.array(values, dtype=np.float32)


GREEN = _spectrum(0.024, 0.055, 0.025, 0.085, 0.310, 0.410, 0.440, 0.460, 0.200, 0.090)
"""Reflectance of an infinitely deep green canopy."""
SENESCENT = _spectrum(0.060, 0.098, 0.145, 0.185, 0.225, 0.255, 0.285, 0.310, 0.350, 0.245)
"""Reflectance of an infinitely deep layer of straw."""
FLOWER = _spectrum(0.040, 0.190, 0.170, 0.210, 0.390, 0.440, 0.460, 0.480, 0.230, 0.120)
"""Reflectance of a canopy in yellow flower."""
SOIL = _spectrum(0.090, 0.117, 0.146, 0.170, 0.190, 0.210, 0.230, 0.250, 0.320, 0.285)
"""Reflectance of dry loam."""
WATER = _spectrum(0.045, 0.050, 0.035, 0.030, 0.025, 0.022, 0.020, 0.018, 0.010, 0.008)
"""Reflectance of a pond."""
SEALED = _spectrum(0.110, 0.130, 0.145, 0.155, 0.165, 0.175, 0.190, 0.200, 0.220, 0.205)
"""Reflectance of roofs and roads."""
CLOUD = _spectrum(0.660, 0.640, 0.640, 0.650, 0.660, 0.665, 0.665, 0.670, 0.460, 0.360)
"""Reflectance of a thick water cloud."""
HAZE = _spectrum(0.060, 0.042, 0.030, 0.025, 0.019, 0.016, 0.014, 0.012, 0.004, 0.002)
"""Reflectance added by one unit of haze: scattering falls steeply with wavelength."""

GREEN_EXTINCTION = _spectrum(0.75, 0.68, 0.75, 0.64, 0.46, 0.42, 0.40, 0.39, 0.50, 0.62)
"""Extinction per unit of green leaf area: small in the near infrared, where leaves scatter."""
SENESCENT_EXTINCTION = _spectrum(0.60, 0.58, 0.55, 0.54, 0.52, 0.51, 0.50, 0.50, 0.52, 0.55)
"""Extinction per unit of senescent leaf area."""
WET_SOIL_FACTOR = _spectrum(0.62, 0.60, 0.58, 0.58, 0.58, 0.57, 0.57, 0.57, 0.50, 0.42)
"""Reflectance of saturated over that of dry soil."""

VISIBLE = slice(0, 4)
PLATEAU = slice(4, 8)
SHORTWAVE = slice(8, 10)


@dataclass(frozen=True)
class Signature:
    """How a land cover differs from the common endmembers, and its radar backscatter.

    Attributes:
        visible: Factor on the green endmember in B02 to B05 (less chlorophyll: larger).
        plateau: Factor in B06 to B8A (leaf angle and structure).
        shortwave: Factor in B11 and B12 (less water: larger).
        vv: Backscatter of an infinitely deep canopy in VV, dB.
        vh: The same in VH, dB.
        attenuation_vv: Two-way attenuation per unit of leaf area in VV.
        attenuation_vh: The same in VH.
    """

    visible: float
    plateau: float
    shortwave: float
    vv: float
    vh: float
    attenuation_vv: float = 0.30
    attenuation_vh: float = 0.35


SIGNATURES: dict[int, Signature] = {
    1: Signature(1.15, 0.92, 1.05, -11.8, -18.2, 0.35, 0.35),
    2: Signature(1.00, 0.93, 0.95, -15.0, -20.0, 0.40, 0.25),
    3: Signature(1.00, 0.95, 0.95, -9.6, -15.4),
    4: Signature(1.05, 0.95, 1.00, -14.4, -19.2, 0.40, 0.25),
    5: Signature(1.00, 1.02, 0.92, -10.0, -14.6, 0.30, 0.40),
    6: Signature(1.08, 0.95, 1.00, -14.2, -19.4, 0.40, 0.25),
    7: Signature(1.05, 1.08, 0.98, -9.0, -14.6),
    8: Signature(1.15, 0.85, 1.10, -10.5, -17.0),
    9: Signature(1.05, 1.12, 0.88, -9.2, -15.2, 0.35, 0.35),
    10: Signature(1.03, 0.93, 0.98, -14.7, -19.6, 0.40, 0.25),
    13: Signature(1.05, 1.10, 0.92, -8.8, -14.8, 0.35, 0.40),
    15: Signature(1.02, 1.10, 0.95, -9.6, -16.0),
    18: Signature(1.05, 0.95, 1.00, -9.8, -15.8),
}
"""Signatures of the crops, by their index in the PASTIS nomenclature."""

MARGIN_SIGNATURE = Signature(1.20, 0.88, 1.10, -11.5, -17.8)
WOODLAND_SIGNATURE = Signature(0.72, 0.72, 0.62, -9.0, -14.6)
SETTLEMENT_SIGNATURE = Signature(1.00, 0.85, 1.00, -5.0, -13.0)
WATER_SIGNATURE = Signature(1.00, 1.00, 1.00, -20.0, -27.0)


def green_endmember(signature: Signature) -> FloatArray:
    """Reflectance of an infinitely deep green canopy of one land cover, shape (10,), 0 to 1."""
    spectrum = GREEN.copy()
    spectrum[VISIBLE] *= signature.visible
    spectrum[PLATEAU] *= signature.plateau
    spectrum[SHORTWAVE] *= signature.shortwave
    return spectrum


def soil_moisture_factor(band: int, moisture: float) -> float:
    """Factor on the reflectance of dry soil at a moisture of 0 (dry) to 1 (saturated).

    Wetting darkens soil exponentially (Lobell and Asner, Soil Science Society of America Journal
    66, 2002); the decay constant, 3 per unit of saturation, is our own round figure.
    """
    wet = float(WET_SOIL_FACTOR[band])
    return wet + (1.0 - wet) * float(np.exp(-3.0 * moisture))


def canopy_reflectance(
    band: int,
    green: FloatArray,
    dry: FloatArray,
    flowers: FloatArray,
    leaf: FloatArray,
    soil: FloatArray,
) -> FloatArray:
    """Reflectance of a canopy of green and senescent leaves above a soil.

    ``rho = rho_inf + (rho_soil - rho_inf) exp(-k L)``, the exponential law with a different
    extinction in each band of F. Baret and G. Guyot, "Potentials and limits of vegetation indices
    for LAI and APAR assessment", Remote Sensing of Environment 35 (1991), with ``rho_inf`` the mean
    of the green and the senescent endmember weighted by their optical depths.

    Args:
        band: Index into ``BANDS``.
        green: Green leaf area index, shape (N,), m2/m2.
        dry: Senescent leaf area index, shape (N,), m2/m2.
        flowers: Share of flowers, shape (N,), 0 to 1.
        leaf: Green endmember in this band, shape (N,), 0 to 1.
        soil: Reflectance of the ground below, shape (N,), 0 to 1.

    Returns:
        Reflectance, shape (N,), 0 to 1.
    """
    depth_green = GREEN_EXTINCTION[band] * green
    depth_dry = SENESCENT_EXTINCTION[band] * dry
    depth = depth_green + depth_dry
    canopy = leaf + flowers * (FLOWER[band] - leaf)
    # The small constant only avoids 0 / 0 where nothing grows; the gap is then 1.
    deep = (canopy * depth_green + SENESCENT[band] * depth_dry) / (depth + np.float32(1e-9))
    return deep + (soil - deep) * np.exp(-depth)


def canopy_backscatter(
    leaf_area: FloatArray, canopy: FloatArray, soil: FloatArray, attenuation: FloatArray
) -> FloatArray:
    """Mean backscatter of a canopy above a soil, as power (not dB).

    Water cloud model of E. Attema and F. Ulaby, "Vegetation modeled as a water cloud", Radio
    Science 13 (1978): the canopy fills in as the soil is attenuated.

    Args:
        leaf_area: Leaf area index that stands for the vegetation's water, shape (N,).
        canopy: Backscatter of an infinitely deep canopy, power, shape (N,).
        soil: Backscatter of the soil, power, shape (N,).
        attenuation: Two-way attenuation per unit of leaf area, shape (N,).

    Returns:
        Backscatter, power, shape (N,).
    """
    transmitted = np.exp(-attenuation * leaf_area)
    return canopy * (1.0 - transmitted) + soil * transmitted


def ndvi(red: FloatArray, near_infrared: FloatArray) -> FloatArray:
    """Normalised difference vegetation index (Rouse et al. 1974), -1 to 1, of reflectances."""
    return (near_infrared - red) / np.maximum(near_infrared + red, np.float32(1e-6))
