"""Bring your own data: dated rasters per sensor, labels, splits, and the samples made of them."""

from .grid import Grid, Window, block_windows, tile_windows
from .rasters import RasterSeries
from .scene import Scene, open_scene

__all__ = ['Grid', 'RasterSeries', 'Scene', 'Window', 'block_windows', 'open_scene', 'tile_windows']
