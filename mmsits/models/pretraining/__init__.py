"""Pre-training of backbones on series without labels."""

from .contrast import alignment, spread, uniformity
from .gathering import gather_inputs, gather_rows
from .series_moco import SeriesMoCo

__all__ = ['SeriesMoCo', 'alignment', 'gather_inputs', 'gather_rows', 'spread', 'uniformity']
