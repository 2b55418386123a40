"""Precision against recall, F1 against the threshold, and scores against the days before the harvest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mmsits.evaluation.one_versus_rest import BinaryScores


def draw_threshold_curves(
    thresholds: Sequence[float] | np.ndarray, curves: Mapping[str, Sequence[BinaryScores]], chosen: float
) -> bytes:
    """Draw precision over recall, and F1 over the threshold, of each crop.

    Args:
        thresholds: that were counted.
        curves: crop -> scores at each of them.
        chosen: threshold that is marked.

    Returns:
        A PNG file's content.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), layout='constrained')
    left, right = figure.subplots(1, 2)
    at = int(np.abs(np.asarray(thresholds) - chosen).argmin())
    for name, curve in curves.items():
        recall, precision, f1 = (np.array([getattr(s, key) for s in curve]) for key in ('recall', 'precision', 'f1'))
        [line] = left.plot(recall, precision, linewidth=1.3, label=name)
        left.plot(recall[at], precision[at], 'o', color=line.get_color(), markersize=4)
        right.plot(thresholds, f1, linewidth=1.3, color=line.get_color())
    right.axvline(chosen, color='0.4', linestyle='--', linewidth=1)
    left.set(xlabel='recall', ylabel='precision', title=f'dots: threshold {chosen:g}')
    right.set(xlabel='threshold', ylabel='F1', title='each crop against all else')
    for axis in (left, right):
        axis.set_xlim(0, 1)
        axis.set_ylim(0, 1.02)
        axis.grid(alpha=0.3)
        axis.title.set_fontsize(9)
    figure.legend(loc='outside lower center', ncols=min(len(curves), 6), fontsize=8, frameon=False)
    return _png(figure)


def draw_before_harvest(
    days: Sequence[int], curves: Mapping[str, Sequence[float]], score: str = 'F1', marked: int = 30
) -> bytes:
    """Draw a score against the days before the harvest that its predictions were made.

    Args:
        days: before the harvest.
        curves: crop -> score at each of them, NaN where undefined.
        score: its name.
        marked: days that are marked by a line.

    Returns:
        A PNG file's content.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.8), layout='constrained')
    axis = figure.subplots()
    order = np.argsort(days)[::-1]
    for name, values in curves.items():
        mean = name == 'mean'
        style = dict(color='black', linewidth=2.2) if mean else dict(linewidth=1.2)
        axis.plot(np.asarray(days)[order], np.asarray(values)[order], marker='.', label=name, **style)
    axis.axvline(marked, color='0.4', linestyle='--', linewidth=1, label=f'{marked} days')
    axis.set(xlabel='days before the harvest', ylabel=score, ylim=(0, 1.02))
    axis.invert_xaxis()
    axis.grid(alpha=0.3)
    figure.legend(loc='outside right upper', fontsize=8, frameon=False)
    return _png(figure)


def _png(figure: object) -> bytes:
    content = BytesIO()
    figure.savefig(content, format='png', dpi=110)  # type: ignore[attr-defined]
    return content.getvalue()
