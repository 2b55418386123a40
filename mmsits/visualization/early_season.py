"""Accuracy and calibration against the last date of the series, as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO

SHOWN = {'OA': 'overall accuracy', 'macro_F1': 'macro F1', 'ECE': 'calibration error (ECE)'}
"""Scores of the panels, from top to bottom."""
COLOURS = ('#1b6ca8', '#d1495b', '#3c896d', '#edae49', '#66439b')
MOST_DATES = 14
"""How many dates are written at the axis."""


def draw_early_season(curves: Mapping[str, Mapping[int, Mapping[str, float]]], dates: Mapping[int, str]) -> bytes:
    """Draw one panel for each score, one line for each way.

    Args:
        curves: name of the way to ends (days since the season start) to scores.
        dates: the date that stands for each end.

    Returns:
        A PNG file's content.

    Raises:
        ValueError: if there is nothing to draw.
    """
    from matplotlib.figure import Figure

    ends = sorted({end for points in curves.values() for end in points})
    if not ends:
        raise ValueError('no scores to draw')
    figure = Figure(figsize=(7, 6.2), layout='constrained')
    axes = figure.subplots(len(SHOWN), 1, sharex=True)
    for axis, (score, name) in zip(axes, SHOWN.items(), strict=True):
        for number, (way, points) in enumerate(curves.items()):
            days = sorted(points)
            values = [points[day][score] for day in days]
            colour = COLOURS[number % len(COLOURS)]
            axis.plot(days, values, marker='o', markersize=4, linewidth=1.6, color=colour, label=way)
        axis.set_ylabel(name)
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.spines[['top', 'right']].set_visible(False)
        axis.set_ylim(0, None if score == 'ECE' else 1)
    axes[0].legend(frameon=False, loc='lower right')
    shown = ends[:: -(-len(ends) // MOST_DATES)]
    axes[-1].set_xticks(shown, [dates[end] for end in shown], rotation=45, ha='right')
    axes[-1].set_xlabel('observations up to')
    buffer = BytesIO()
    figure.savefig(buffer, format='png', dpi=130)
    return buffer.getvalue()
