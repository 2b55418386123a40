"""Weather of a season: cloudiness, rain and soil moisture, haze, and the clouds of a single day."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtri

from .random_fields import Concern, smooth_field, stream

FloatArray = NDArray[np.float32]

CLEAR, SHADOW, CLOUD_COVERED = 0, 1, 2
"""Codes of the cloud mask."""

PERSISTENCE = 0.72
"""Correlation of cloudiness from one day to the next."""
COVER_CONTRAST = 2.6
"""How strongly cover turns to nearly clear or nearly overcast; typical of single scenes."""
CLOUD_SIZES = ((70.0, 0.85), (20.0, 0.45), (6.0, 0.28))
"""Length (pixels) and strength of the components of the cloud field."""


@dataclass(frozen=True)
class Weather:
    """Daily weather of a region; arrays over days (D).

    Attributes:
        first_day: Date of the first entry.
        cloud_cover: Share of the sky covered, 0 to 1, shape (D,).
        moisture: Moisture of the topsoil, 0 (dry) to 1 (saturated), shape (D,).
        haze: Amount of haze, 0 (none) to about 3, shape (D,).
    """

    first_day: np.datetime64
    cloud_cover: NDArray[np.float64]
    moisture: NDArray[np.float64]
    haze: NDArray[np.float64]

    def index(self, date: np.datetime64) -> int:
        """Return the position of a date in the arrays."""
        return int((date - self.first_day).astype(int))


def make_weather(first_day: np.datetime64, last_day: np.datetime64, seed: int, cloud_cover: float) -> Weather:
    """Draw the weather of a season.

    Cloudiness follows a first-order autoregressive series, seen through a steep logistic so that
    days are mostly clear or mostly overcast while the mean is ``cloud_cover``. It rains on cloudy
    days; the topsoil dries exponentially, faster in summer.

    Args:
        first_day: First day.
        last_day: Last day, included.
        seed: Seed of the region.
        cloud_cover: Mean share of the sky covered, 0 to 1.

    Returns:
        The weather.
    """
    random = stream(seed, Concern.WEATHER)
    days = int((last_day - first_day).astype(int)) + 1
    normal, uniform, amount = random.standard_normal(days), random.random(days), random.exponential(size=(2, days))
    latent = np.empty(days)
    latent[0] = normal[0]
    for i in range(1, days):
        latent[i] = PERSISTENCE * latent[i - 1] + np.sqrt(1 - PERSISTENCE**2) * normal[i]
    cover = _cover(latent, cloud_cover)
    rain = np.where(uniform < 0.65 * expit(2.0 * latent - 0.8), amount[0], 0.0)
    year_day = (first_day + np.arange(days) - (first_day + np.arange(days)).astype('datetime64[Y]')).astype(int)
    summer = 0.5 - 0.5 * np.cos(2 * np.pi * (year_day - 15) / 365.25)
    haze = 0.22 * amount[1] * (0.6 + 0.8 * expit(latent))
    return Weather(first_day, cover, _moisture(rain, summer), haze)


def _cover(latent: NDArray[np.float64], mean: float) -> NDArray[np.float64]:
    """Cloud cover of a standard normal latent series, with the mean asked for over all possible series."""
    if mean <= 0.0:
        return np.zeros_like(latent)
    if mean >= 1.0:
        return np.ones_like(latent)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    low, high = -30.0, 30.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if (weights * expit(middle + COVER_CONTRAST * nodes)).sum() / weights.sum() < mean:
            low = middle
        else:
            high = middle
    return expit(middle + COVER_CONTRAST * latent)


def _moisture(rain: NDArray[np.float64], summer: NDArray[np.float64]) -> NDArray[np.float64]:
    moisture = np.empty(len(rain))
    level = 0.4
    for i in range(len(rain)):
        level *= np.exp(-(0.05 + 0.16 * summer[i]))
        level = min(max(level + 0.30 * rain[i], 0.03), 1.0)
        moisture[i] = level
    return moisture


def sun_position(date: np.datetime64, latitude: float, hour: float = 10.6) -> tuple[float, float]:
    """Zenith and azimuth of the sun at a local solar time, by default that of Sentinel-2 overpasses.

    Declination after P. Cooper, "The absorption of radiation in solar stills", Solar Energy 12 (1969).

    Args:
        date: Date.
        latitude: Degrees, north positive.
        hour: Local solar time, hours.

    Returns:
        Zenith angle and azimuth clockwise from north, degrees.
    """
    year_day = int((date - date.astype('datetime64[Y]').astype('datetime64[D]')).astype(int)) + 1
    declination = np.radians(23.45) * np.sin(2 * np.pi * (284 + year_day) / 365)
    phi, angle = np.radians(latitude), np.radians(15.0 * (hour - 12.0))
    cosine = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(angle)
    east = -np.cos(declination) * np.sin(angle)
    north = np.cos(phi) * np.sin(declination) - np.sin(phi) * np.cos(declination) * np.cos(angle)
    return float(np.degrees(np.arccos(cosine))), float(np.degrees(np.arctan2(east, north)) % 360.0)


@dataclass(frozen=True)
class CloudLayer:
    """Clouds over a region at one moment.

    Attributes:
        opacity: Opacity of the clouds, 0 to 1, shape (H, W).
        shadow: Share of the direct light kept away by clouds, 0 to 1, shape (H, W).
        brightness: Relative brightness of the cloud tops, around 1, shape (H, W).
        mask: ``CLEAR``, ``SHADOW`` or ``CLOUD_COVERED``, shape (H, W).
    """

    opacity: FloatArray
    shadow: FloatArray
    brightness: FloatArray
    mask: NDArray[np.uint8]


def draw_clouds(
    shape: tuple[int, int], cover: float, date: np.datetime64, latitude: float, random: np.random.Generator
) -> CloudLayer:
    """Draw the clouds of an acquisition and their shadows.

    A sum of smooth random fields is thresholded so that the share ``cover`` of an endless sky is
    covered (a small region may well be clear under a half covered sky). Shadows are the same field
    displaced away from the sun by the height of the clouds.

    Args:
        shape: Rows and columns.
        cover: Share of the sky covered, 0 to 1.
        date: Date, for the position of the sun.
        latitude: Degrees.
        random: Source of the numbers.

    Returns:
        The clouds.
    """
    height = random.uniform(600.0, 1600.0)
    zenith, azimuth = sun_position(date, latitude)
    length = height * np.tan(np.radians(min(zenith, 75.0))) / 10.0
    # Rows grow southwards: the shadow lies opposite the sun.
    down = round(float(length * np.cos(np.radians(azimuth))))
    right = round(float(-length * np.sin(np.radians(azimuth))))
    canvas = (shape[0] + abs(down), shape[1] + abs(right))
    opacity = _opacity(canvas, cover, random)
    top, left = max(down, 0), max(right, 0)
    here = opacity[top : top + shape[0], left : left + shape[1]]
    shadow = opacity[top - down : top - down + shape[0], left - right : left - right + shape[1]]
    mask = np.full(shape, CLEAR, dtype=np.uint8)
    mask[shadow > 0.25] = SHADOW
    mask[here > 0.12] = CLOUD_COVERED
    brightness = 1.0 + 0.18 * smooth_field(shape, 12.0, random)
    return CloudLayer(here, shadow, np.clip(brightness, 0.5, 1.5).astype(np.float32), mask)


def _opacity(shape: tuple[int, int], cover: float, random: np.random.Generator) -> FloatArray:
    if cover < 0.005:
        return np.zeros(shape, dtype=np.float32)
    field = np.zeros(shape, dtype=np.float32)
    for length, strength in CLOUD_SIZES:
        field += np.float32(strength) * smooth_field(shape, length, random)
    field /= np.float32(np.sqrt(sum(strength**2 for _, strength in CLOUD_SIZES)))
    threshold = float(ndtri(1.0 - min(cover, 0.999)))
    rise = np.clip((field - threshold) / 0.45 + 0.3, 0.0, 1.0)
    return (rise * rise * (3.0 - 2.0 * rise)).astype(np.float32)


def haze_layer(shape: tuple[int, int], amount: float, random: np.random.Generator) -> FloatArray:
    """Draw the haze of an acquisition: a smooth field around ``amount``, 0 or more, of a shape (H, W)."""
    return np.float32(amount) * np.maximum(1.0 + 0.35 * smooth_field(shape, 60.0, random), 0.0)
