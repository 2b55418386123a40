"""Bring your own data: dated rasters per sensor, labels, splits, and the samples made of them."""

from .grid import Grid, Window, block_windows, tile_windows

__all__ = ['Grid', 'Window', 'block_windows', 'tile_windows']
