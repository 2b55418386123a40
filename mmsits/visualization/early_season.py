"""Accuracy and calibration against the last date of the series."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmsits.engine.files import write_atomically

SHOWN = {'OA': 'overall accuracy', 'macro_F1': 'macro F1', 'ECE': 'calibration error (ECE)'}
"""Scores of the panels, from top to bottom."""
COLOURS = ('#1b6ca8', '#d1495b', '#3c896d', '#edae49', '#66439b')


def draw_early_season(
    path: str | Path, curves: Mapping[str, Mapping[int, Mapping[str, float]]], dates: Mapping[int, str]
) -> None:
    """Draw one panel for each score, one line for each way.

    Args:
        path: picture to write, .png, .svg or .pdf.
        curves: name of the way to ends (days since the season start) to scores.
        dates: the date that stands for each end.

    Raises:
        ValueError: if there is nothing to draw.
    """
    if not any(curves.values()):
        raise ValueError('no scores to draw')
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(len(SHOWN), 1, figsize=(7, 6.2), sharex=True, layout='constrained')
    for axis, (score, name) in zip(axes, SHOWN.items(), strict=True):
        for colour, (way, points) in zip(COLOURS, curves.items(), strict=False):
            ends = sorted(points)
            values = [points[end][score] for end in ends]
            axis.plot(ends, values, marker='o', markersize=4, linewidth=1.6, color=colour, label=way)
        axis.set_ylabel(name)
        axis.grid(alpha=0.25, linewidth=0.6)
        axis.spines[['top', 'right']].set_visible(False)
        axis.set_ylim(0, None if score == 'ECE' else 1)
    axes[0].legend(frameon=False, loc='lower right')
    shown = _spread(sorted({end for points in curves.values() for end in points}), 14)
    axes[-1].set_xticks(shown, [dates[end] for end in shown], rotation=45, ha='right')
    axes[-1].set_xlabel('observations up to')
    buffer = io.BytesIO()
    figure.savefig(buffer, format=Path(path).suffix.lstrip('.') or 'png', dpi=130)
    pyplot.close(figure)
    write_atomically(path, buffer.getvalue())


def _spread(values: Sequence[int], most: int) -> list[int]:
    step = -(-len(values) // most)
    return list(values[::step])
