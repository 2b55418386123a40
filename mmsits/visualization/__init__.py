"""Pictures of series, maps and results."""

from mmsits.visualization.prediction import colour_composite, draw_prediction

__all__ = ['colour_composite', 'draw_prediction']
