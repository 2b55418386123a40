"""Random numbers of the simulator: one stream per concern, and smooth random fields."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


class Concern(IntEnum):
    """What a random stream is for.

    Every concern draws from a stream of its own, so that switching one on or off, or drawing more
    from it, leaves the values of all others as they were. Numbers must never be reused.
    """

    FIELDS = 1
    CLASSES = 2
    PHENOLOGY = 3
    REGION = 4
    OPTICAL = 5
    SOIL = 6
    GROWTH = 7
    WEATHER = 8
    LABEL_NOISE = 9
    ANNOTATION = 10
    S2_DATES = 11
    S2_CLOUDS = 12
    S2_NOISE = 13
    S1A_DATES = 14
    S1A_SPECKLE = 15
    S1D_DATES = 16
    S1D_SPECKLE = 17
    BACKSCATTER = 18
    SWATH = 19
    POINTS = 20
    PIXELS = 21


def stream(seed: int, concern: Concern, *keys: int) -> np.random.Generator:
    """Return the random generator of one concern.

    Args:
        seed: Seed of the region, 0 or more.
        concern: What the numbers are for.
        keys: Further whole numbers (0 or more), for instance the day of an acquisition, so that any
            one acquisition can be drawn without drawing those before it.

    Returns:
        A generator that depends on the arguments only.
    """
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(int(concern), *keys)))


def smooth_field(shape: tuple[int, int], length: float, random: np.random.Generator) -> NDArray[np.float32]:
    """Draw a stationary Gaussian random field with mean 0 and variance 1.

    White noise is filtered with a Gaussian kernel on a grid no finer than needed, then interpolated:
    the cost hardly depends on ``length``. The variance is normalised by its theoretical value, not
    by that of the sample, so that a field much smaller than ``length`` is rightly almost constant.

    Args:
        shape: Rows and columns.
        length: Standard deviation of the kernel in pixels; 0 gives white noise.
        random: Source of the numbers.

    Returns:
        Field of the given shape.
    """
    if length <= 0:
        return random.standard_normal(shape, dtype=np.float32)
    step = max(length / 3.0, 1.0)
    sigma = length / step
    margin = int(np.ceil(4 * sigma))
    coarse = tuple(int(np.ceil(n / step)) + 2 + 2 * margin for n in shape)
    field = ndimage.gaussian_filter(random.standard_normal(coarse, dtype=np.float32), sigma, truncate=4.0)
    # The sum of squares of a two-dimensional Gaussian kernel is 1 / (4 pi sigma^2).
    field *= np.float32(2.0 * sigma * np.sqrt(np.pi))
    if step > 1.0:
        matrix = np.array([1.0 / step, 1.0 / step])
        return ndimage.affine_transform(field, matrix, offset=float(margin), output_shape=shape, order=1)
    return field[margin : margin + shape[0], margin : margin + shape[1]].copy()
