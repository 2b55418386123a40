"""Simulator of satellite image time series of farmland with known truth.

See docs/simulator.md. It needs NumPy and SciPy only, and nothing else of mmsits.
"""

from .layouts import ProgressPrinter, is_finished, write_pastis
from .phenology import CROPS, GrowthCycle, LandCover, double_logistic
from .picture import draw_season
from .region import (
    BACKGROUND,
    CLASS_NAMES,
    DEFAULT_CLASSES,
    VOID,
    RegionConfig,
    SimulatedRegion,
    simulate_region,
)
from .sensors import CHANNELS, SENSORS, multilook_speckle
from .spectra import BANDS
from .timematch_layout import write_timematch
from .weather import CLEAR, CLOUD_COVERED, SHADOW

LAYOUTS = {'pastis': write_pastis, 'timematch': write_timematch}
"""Writers by the name of their layout."""

__all__ = [
    'BACKGROUND',
    'BANDS',
    'CHANNELS',
    'CLASS_NAMES',
    'CLEAR',
    'CLOUD_COVERED',
    'CROPS',
    'DEFAULT_CLASSES',
    'LAYOUTS',
    'SENSORS',
    'SHADOW',
    'VOID',
    'GrowthCycle',
    'LandCover',
    'ProgressPrinter',
    'RegionConfig',
    'SimulatedRegion',
    'double_logistic',
    'draw_season',
    'is_finished',
    'multilook_speckle',
    'simulate_region',
    'write_pastis',
    'write_timematch',
]
