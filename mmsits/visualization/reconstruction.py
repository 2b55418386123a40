"""Dates as observed, masked and reconstructed."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from .series import composite, mark_unobserved

HIDDEN = (120, 120, 120)
"""Colour of what was hidden from the network."""

_ROWS = ('observed', 'masked', 'reconstructed')


def draw_reconstruction(
    observed: np.ndarray,
    reconstructed: np.ndarray,
    valid: np.ndarray,
    hidden: np.ndarray,
    bands: Sequence[str],
    unit: str = '',
    dates: Sequence[int] = (),
    titles: Sequence[str] = (),
) -> bytes:
    """Draw dates of one series side by side: as observed, with what was hidden in grey, and with the reconstruction in
    its place.

    Observed and reconstructed images of a date share their stretch, so that their tones compare.

    Args:
        observed: (T, C, H, W), in the unit of the files.
        reconstructed: likewise.
        valid: bool (T, H, W), what was observed.
        hidden: bool (T, H, W), what was hidden.
        bands: names of the C bands.
        unit: of the values, see `composite`.
        dates: positions of the dates to draw.
        titles: one above each.

    Returns:
        A PNG file.

    Raises:
        ValueError: if no date is given.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not len(dates):
        raise ValueError('at least one date is needed')
    height, width = observed.shape[-2:]
    figure = Figure(
        figsize=(1.9 * len(dates) + 0.6, 1.9 * len(_ROWS) * min(height / width, 3) + 0.6), layout='constrained'
    )
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(_ROWS), len(dates), squeeze=False)
    for column, date in enumerate(dates):
        filled = np.where(hidden[date], reconstructed[date], observed[date])
        # One image of double width: its percentiles are those of both.
        both = composite(np.concatenate([observed[date], filled], -1)[None], bands, 0, unit)
        before = mark_unobserved(both[:, :width], valid[date])
        after = mark_unobserved(both[:, width:], valid[date])
        masked = np.where(hidden[date][..., None], np.asarray(HIDDEN, np.uint8), before)
        for row, image in enumerate((before, masked, after)):
            axis = axes[row, column]
            axis.imshow(image, interpolation='nearest')
            axis.set_xticks([])
            axis.set_yticks([])
            if column == 0:
                axis.set_ylabel(_ROWS[row], fontsize=9)
        if column < len(titles):
            axes[0, column].set_title(titles[column], fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110)
    return buffer.getvalue()
