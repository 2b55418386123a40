"""Monthly composites of Sentinel-1 and Sentinel-2 out of a SpatioTemporal Asset Catalog."""

from .catalogue import Catalogue, Scene
from .composites import OpticalComposites, RadarComposites, SourceError, choose_radar_scenes
from .series import DownloadOptions, DownloadReport, download_region, is_complete, tiles_of

__all__ = [
    'Catalogue',
    'DownloadOptions',
    'DownloadReport',
    'OpticalComposites',
    'RadarComposites',
    'Scene',
    'SourceError',
    'choose_radar_scenes',
    'download_region',
    'is_complete',
    'tiles_of',
]
