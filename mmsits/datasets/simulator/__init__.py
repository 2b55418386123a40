"""Simulator of satellite image time series of farmland with known truth.

See docs/simulator.md. It needs NumPy and SciPy only, the layout of GeoTIFFs rasterio and geopandas too,
and nothing else of mmsits.
"""

from .composites_layout import ISRC_CLASSES, season_of, write_eurocropmap, write_isrc
from .geotiff_layout import CLOUD_FILES, GeotiffOptions, write_geotiff
from .layouts import ProgressPrinter, is_finished, write_pastis
from .mtlcc_layout import write_mtlcc
from .mts12_layout import write_mts12
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
from .us_crops_layout import write_us_crops
from .weather import CLEAR, CLOUD_COVERED, SHADOW

LAYOUTS = {
    'eurocropmap': write_eurocropmap,
    'geotiff': write_geotiff,
    'isrc': write_isrc,
    'mtlcc': write_mtlcc,
    'mts12': write_mts12,
    'pastis': write_pastis,
    'timematch': write_timematch,
    'us-crops': write_us_crops,
}
"""Writers by the name of their layout."""

__all__ = [
    'BACKGROUND',
    'BANDS',
    'CHANNELS',
    'CLASS_NAMES',
    'CLEAR',
    'CLOUD_COVERED',
    'CLOUD_FILES',
    'CROPS',
    'DEFAULT_CLASSES',
    'ISRC_CLASSES',
    'LAYOUTS',
    'SENSORS',
    'SHADOW',
    'VOID',
    'GeotiffOptions',
    'GrowthCycle',
    'LandCover',
    'ProgressPrinter',
    'RegionConfig',
    'SimulatedRegion',
    'double_logistic',
    'draw_season',
    'is_finished',
    'multilook_speckle',
    'season_of',
    'simulate_region',
    'write_eurocropmap',
    'write_geotiff',
    'write_isrc',
    'write_mtlcc',
    'write_mts12',
    'write_pastis',
    'write_timematch',
    'write_us_crops',
]
