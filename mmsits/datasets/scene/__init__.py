"""Bring your own data: dated rasters per sensor, labels, splits, and the samples made of them."""

from .dataset import SceneDataset
from .grid import Grid, Window, block_windows
from .parcels import SceneParcels, ScenePixels
from .rasters import RasterSeries
from .scene import Scene, open_scene
from .windows import SceneWindows

__all__ = [
    'Grid',
    'RasterSeries',
    'Scene',
    'SceneDataset',
    'SceneParcels',
    'ScenePixels',
    'SceneWindows',
    'Window',
    'block_windows',
    'open_scene',
]
