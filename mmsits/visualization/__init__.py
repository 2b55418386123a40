"""Pictures of series, maps and results."""

from .index_curves import draw_index_curves, index_curves
from .prediction import draw_prediction
from .reconstruction import draw_reconstruction
from .region import assemble_patches, draw_region
from .series import clearest_date, composite, draw_sample, save_figure
from .shift_scores import draw_shift_scores

__all__ = [
    'assemble_patches',
    'clearest_date',
    'composite',
    'draw_index_curves',
    'draw_prediction',
    'draw_reconstruction',
    'draw_region',
    'draw_sample',
    'draw_shift_scores',
    'index_curves',
    'save_figure',
]
