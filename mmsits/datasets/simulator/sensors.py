"""Acquisitions of Sentinel-2 and Sentinel-1: when they happen and what the instrument makes of the ground."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from . import spectra
from .random_fields import Concern, smooth_field, stream
from .weather import Weather, draw_clouds, haze_layer

FloatArray = NDArray[np.float32]
Dates = NDArray[np.datetime64]

SENSORS = ('s2', 's1a', 's1d')
"""Sentinel-2, Sentinel-1 ascending and descending."""
CHANNELS: dict[str, tuple[str, ...]] = {
    's2': spectra.BANDS,
    's1a': ('VV', 'VH', 'VV-VH'),
    's1d': ('VV', 'VH', 'VV-VH'),
}
"""Channels by sensor; Sentinel-1 in dB, the third channel being the difference of the first two."""
DATA_TYPES: dict[str, type[np.generic]] = {'s2': np.int16, 's1a': np.float16, 's1d': np.float16}

S2_REVISIT, S1_REVISIT = 5, 6
"""Days between passes of the pair of satellites."""
DROPOUTS = {'s2': 0.08, 's1a': 0.03, 's1d': 0.03}
"""Share of passes without a product."""
REFLECTANCE_SCALE = 10_000
HIGHEST_VALUE = 16_000
S2_BLUR, S1_BLUR = 0.45, 0.75
"""Standard deviation of the point spread, pixels."""

_DATES_CONCERN = {'s2': Concern.S2_DATES, 's1a': Concern.S1A_DATES, 's1d': Concern.S1D_DATES}
_SPECKLE_CONCERN = {'s1a': Concern.S1A_SPECKLE, 's1d': Concern.S1D_SPECKLE}


def acquisition_dates(
    sensor: str,
    first_day: np.datetime64,
    last_day: np.datetime64,
    seed: int,
    weather: Weather,
    highest_cloud_cover: float,
    number: int | None,
) -> Dates:
    """Draw the dates of a sensor's acquisitions.

    Args:
        sensor: One of ``SENSORS``.
        first_day: First day of the season.
        last_day: Last day of the season.
        seed: Seed of the region.
        weather: The weather.
        highest_cloud_cover: Sentinel-2 products from skies with more cover than this are not kept.
        number: Most dates to keep, spread over the season, preferably clear ones; all where it is None.

    Returns:
        Dates in ascending order, datetime64[D], at least one.

    Raises:
        ValueError: If no pass is left.
    """
    random = stream(seed, _DATES_CONCERN[sensor])
    revisit = S2_REVISIT if sensor == 's2' else S1_REVISIT
    dates = np.arange(first_day + int(random.integers(revisit)), last_day + 1, revisit).astype('datetime64[D]')
    kept = random.random(len(dates)) >= DROPOUTS[sensor]
    if sensor == 's2':
        kept &= weather.cloud_cover[(dates - weather.first_day).astype(int)] <= highest_cloud_cover
    dates = dates[kept]
    if len(dates) == 0:
        raise ValueError(
            f'No {sensor} acquisition is left between {first_day} and {last_day}: make the season longer'
            ' or allow more cloud cover.'
        )
    if number is None or number >= len(dates):
        return dates
    # One of each of as many groups of consecutive passes: irregular, but without long gaps.
    chosen = []
    for group in np.array_split(dates, number):
        clear = np.ones(len(group))
        if sensor == 's2':
            clear = (1.02 - weather.cloud_cover[(group - weather.first_day).astype(int)]) ** 2
        chosen.append(random.choice(group, p=clear / clear.sum()))
    return np.array(chosen, dtype='datetime64[D]')


def observe_s2(
    ground: FloatArray,
    date: np.datetime64,
    weather: Weather,
    seed: int,
    latitude: float,
    pixel_noise: float,
    haze: float,
    registration_error: float,
) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """What Sentinel-2 makes of the ground: a surface reflectance product with its faults.

    In order: misregistration, point spread, shadows, clouds, haze left over by the atmospheric
    correction, noise (half of its variance is common to all bands), quantisation.

    Args:
        ground: Reflectance of the ground, 0 to 1, shape (10, H, W).
        date: Date, which also picks the random numbers.
        weather: The weather.
        seed: Seed of the region.
        latitude: Degrees.
        pixel_noise: Standard deviation of the noise relative to the signal; a tenth of it is added
            in reflectance.
        haze: Factor on the haze.
        registration_error: Standard deviation of the displacement along each axis, pixels.

    Returns:
        Reflectance times 10000, int16, 0 to 16000, shape (10, H, W), and the true cloud mask (0 clear, 1
        shadow, 2 cloud), uint8, shape (H, W).
    """
    shape = ground.shape[1:]
    day = int(date.astype('datetime64[D]').astype(int))
    random = stream(seed, Concern.S2_NOISE, day)
    sky = stream(seed, Concern.S2_CLOUDS, day)
    displacement = np.clip(random.standard_normal(2), -2, 2) * registration_error
    gain = 1.0 + 0.025 * random.standard_normal() + 0.01 * random.standard_normal(len(ground))
    clouds = draw_clouds((shape[0], shape[1]), float(weather.cloud_cover[weather.index(date)]), date, latitude, sky)
    veil = haze_layer((shape[0], shape[1]), haze * float(weather.haze[weather.index(date)]), sky)
    common = smooth_field((shape[0], shape[1]), 0.0, random)
    scale = np.float32(np.sqrt(0.5))
    image = np.empty(ground.shape, dtype=np.int16)
    for band in range(len(ground)):
        values = ndimage.shift(ground[band], displacement, order=1, mode='nearest')
        values = ndimage.gaussian_filter(values, S2_BLUR) * np.float32(gain[band])
        # Sky light still reaches a shadow, more of it at short wavelengths.
        values *= 1.0 - np.float32(0.78 - 0.9 * spectra.HAZE[band] / spectra.HAZE[0] * 0.35) * clouds.shadow
        values += clouds.opacity * (spectra.CLOUD[band] * clouds.brightness - values)
        values += (1.0 - clouds.opacity) * veil * spectra.HAZE[band]
        noise = scale * (common + random.standard_normal(values.shape, dtype=np.float32))
        values += np.float32(pixel_noise) * noise * (values + np.float32(0.1))
        np.clip(np.rint(values * REFLECTANCE_SCALE), 0, HIGHEST_VALUE, out=values)
        image[band] = values
    return image, clouds.mask


def multilook_speckle(shape: tuple[int, ...], looks: float, random: np.random.Generator) -> FloatArray:
    """Draw speckle: gamma distributed factors on intensity with mean 1 and variance ``1 / looks``.

    The standard model of multilook intensity (C. Oliver and S. Quegan, "Understanding Synthetic
    Aperture Radar Images", 2004, section 4.3).

    Args:
        shape: Shape of the result.
        looks: Equivalent number of looks, above 0.
        random: Source of the numbers.

    Returns:
        Factors, above 0.
    """
    return random.standard_gamma(looks, shape, dtype=np.float32) / np.float32(looks)


def observe_s1(ground: FloatArray, date: np.datetime64, sensor: str, seed: int, looks: float) -> NDArray[np.float16]:
    """What Sentinel-1 makes of the ground: blur, speckle and noise floor, in dB.

    Args:
        ground: Mean backscatter in VV and VH, power, shape (2, H, W).
        date: Date, which also picks the random numbers.
        sensor: 's1a' or 's1d'.
        seed: Seed of the region.
        looks: Equivalent number of looks; infinite for none of the speckle.

    Returns:
        VV, VH and their difference in dB, float16, shape (3, H, W).
    """
    day = int(date.astype('datetime64[D]').astype(int))
    random = stream(seed, _SPECKLE_CONCERN[sensor], day)
    # A pass as a whole is off by some tenths of a dB: calibration, dew, frost.
    offset = 0.35 * random.standard_normal(2)
    image = np.empty((3, *ground.shape[1:]), dtype=np.float16)
    decibel = []
    for i in range(2):
        # -30 dB is a cautious noise floor; it keeps the logarithm from running away over water.
        power = ndimage.gaussian_filter(ground[i], S1_BLUR) + np.float32(1e-3)
        if np.isfinite(looks):
            power = power * np.maximum(multilook_speckle(power.shape, looks, random), np.float32(1e-4))
        decibel.append(10.0 * np.log10(power) + offset[i])
        image[i] = decibel[i]
    image[2] = decibel[0] - decibel[1]
    return image
