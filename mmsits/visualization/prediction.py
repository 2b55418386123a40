"""A prediction beside what it was made from: composite, reference, prediction, confidence."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from .series import draw_label_map, draw_legend


def draw_prediction(
    composite: np.ndarray | None,
    prediction: np.ndarray,
    metainfo: Mapping[str, Any],
    reference: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
    title: str = '',
) -> bytes:
    """Draw the maps side by side, with a legend of the classes that occur.

    Args:
        composite: (H, W, 3) uint8; None for the maps alone.
        prediction: (H, W) class indices.
        metainfo: Of the dataset: `classes` (K names) and `palette` (K colours, 0 to 255).
        reference: (H, W) class indices, 255 where unlabelled (white); None for unlabelled data.
        confidence: (H, W) from 0 to 1.
        title: Above the pictures.

    Returns:
        A PNG file.

    Raises:
        ValueError: If the maps differ in size.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    palette = metainfo['palette']
    panels: list[tuple[str, np.ndarray]] = [] if composite is None else [('composite', composite)]
    if reference is not None:
        panels.append(('reference', draw_label_map(reference, palette)))
    panels.append(('prediction', draw_label_map(prediction, palette)))
    if confidence is not None:
        panels.append(('confidence', confidence))
    sizes = {name: panel.shape[:2] for name, panel in panels}
    if len(set(sizes.values())) > 1:
        raise ValueError(f'the maps differ in size: {sizes}')
    height, width = prediction.shape
    # Room for titles and legend beside maps of whatever shape.
    figure = Figure(figsize=(3.2 * len(panels), 3.2 * min(height / width, 3) + 1.0), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (name, panel) in zip(axes, panels, strict=True):
        shown = axis.imshow(panel, interpolation='nearest', **({} if panel.ndim == 3 else dict(vmin=0, vmax=1)))
        axis.set_title(name, fontsize=9)
        axis.set_axis_off()
        if panel.ndim == 2:
            figure.colorbar(shown, ax=axis, shrink=0.6)
    present = set(np.unique(prediction).tolist()) | (set() if reference is None else set(np.unique(reference).tolist()))
    draw_legend(figure, present, metainfo)
    if title:
        figure.suptitle(title, fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=120)
    return buffer.getvalue()
