"""The score curve over candidate shifts as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO

import numpy as np


def draw_shift_scores(
    shifts: Sequence[int],
    curves: Mapping[str, Sequence[float]],
    chosen: int,
    title: str = '',
    true_shift: int | None = None,
) -> bytes:
    """Draw score curves, one panel each, with the chosen shift.

    Args:
        shifts: candidates, days.
        curves: name -> score of each candidate.
        chosen: the estimate, days.
        title: above the panels.
        true_shift: known shift, where there is one.

    Returns:
        A PNG file's content.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 0.6 + 1.7 * len(curves)), layout='constrained')
    panels = np.atleast_1d(figure.subplots(len(curves), 1, sharex=True))
    for axis, (name, scores) in zip(panels, curves.items(), strict=True):
        axis.plot(shifts, scores, color='#1f6f8b', linewidth=1.5, marker='.', markersize=3)
        axis.axvline(chosen, color='#c0392b', linewidth=1.2, label=f'estimate {chosen:+d} days')
        if true_shift is not None:
            axis.axvline(true_shift, color='#2c3e50', linewidth=1.2, linestyle='--', label=f'true {true_shift:+d} days')
        axis.set_ylabel(name, fontsize=8)
        axis.grid(alpha=0.3)
        axis.tick_params(labelsize=7)
    panels[0].legend(fontsize=7)
    panels[-1].set_xlabel('days added to the target', fontsize=8)
    if title:
        figure.suptitle(title, fontsize=9)
    content = BytesIO()
    figure.savefig(content, format='png', dpi=120)
    return content.getvalue()
