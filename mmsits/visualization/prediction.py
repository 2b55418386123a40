"""A prediction beside what it was made from: composite, reference, prediction, confidence."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from mmsits.structures import ImageSeries

_UNLABELLED = (255, 255, 255)


def colour_composite(
    series: ImageSeries, band_names: Sequence[str], wanted: Sequence[str] = ('B04', 'B03', 'B02')
) -> tuple[np.ndarray, int]:
    """An RGB image of the date of a series that shows most.

    Args:
        series: One sample, arrays or tensors: values (T, C, H, W), days (T,), valid (T, H, W) or (T, 1, 1).
        band_names: Names of the C bands.
        wanted: Red, green and blue band; where the sensor lacks one, its first band is shown in grey.

    Returns:
        (H, W, 3) uint8, stretched from the 2nd to the 98th percentile of the valid pixels, invalid pixels black; and
        the index of the date, the middle one of those with most valid pixels.
    """
    values, valid = np.asarray(series.values), np.asarray(series.valid)
    share = valid.reshape(len(valid), -1).mean(1)
    best = np.flatnonzero(share == share.max())
    date = int(best[len(best) // 2])
    names = list(band_names)
    bands = [names.index(name) for name in wanted] if set(wanted) <= set(names) else [0, 0, 0]
    image = values[date][bands].transpose(1, 2, 0).astype(np.float32)
    seen = np.broadcast_to(valid[date], image.shape[:2])
    if not seen.any():
        return np.zeros(image.shape, np.uint8), date
    low, high = np.percentile(image[seen], (2, 98))
    stretched = (image - low) / max(float(high - low), 1e-6)
    return (np.clip(stretched, 0, 1) * 255 * seen[..., None]).astype(np.uint8), date


def draw_prediction(
    composite: np.ndarray,
    prediction: np.ndarray,
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
    reference: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
    title: str = '',
    ignore_index: int = 255,
) -> bytes:
    """Draw the maps side by side, with a legend of the classes that occur.

    Args:
        composite: (H, W, 3) uint8.
        prediction: (H, W) class indices.
        classes: K names.
        palette: K colours, 0 to 255.
        reference: (H, W) class indices, `ignore_index` where unlabelled (white); None for unlabelled data.
        confidence: (H, W) from 0 to 1.
        title: Above the pictures.
        ignore_index: Value of unlabelled pixels.

    Returns:
        A PNG file.

    Raises:
        ValueError: If the maps differ in size.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    panels: list[tuple[str, np.ndarray]] = [('composite', composite)]
    if reference is not None:
        panels.append(('reference', _coloured(reference, palette, ignore_index)))
    panels.append(('prediction', _coloured(prediction, palette, ignore_index)))
    if confidence is not None:
        panels.append(('confidence', confidence))
    sizes = {name: panel.shape[:2] for name, panel in panels}
    if len(set(sizes.values())) > 1:
        raise ValueError(f'the maps differ in size: {sizes}')
    figure = Figure(figsize=(3.2 * len(panels), 4.2), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (name, panel) in zip(axes, panels, strict=True):
        shown = axis.imshow(panel, interpolation='nearest', **({} if panel.ndim == 3 else dict(vmin=0, vmax=1)))
        axis.set_title(name, fontsize=9)
        axis.set_axis_off()
        if panel.ndim == 2:
            figure.colorbar(shown, ax=axis, shrink=0.6)
    present = set(np.unique(prediction).tolist()) | (set() if reference is None else set(np.unique(reference).tolist()))
    handles = [
        Patch(
            facecolor=tuple(part / 255 for part in palette[index]),
            edgecolor='0.5',
            label=classes[index],
        )
        for index in sorted(present - {ignore_index})
    ]
    if ignore_index in present:
        handles.append(Patch(facecolor='white', edgecolor='0.5', label='not labelled'))
    figure.legend(handles=handles, loc='outside lower center', ncols=min(len(handles), 6), fontsize=7, frameon=False)
    if title:
        figure.suptitle(title, fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=120)
    return buffer.getvalue()


def _coloured(labels: np.ndarray, palette: Sequence[Sequence[int]], ignore_index: int) -> np.ndarray:
    table = np.full((max(256, len(palette)), 3), _UNLABELLED, np.uint8)
    table[: len(palette)] = np.asarray(palette, np.uint8)
    if ignore_index < len(table):
        table[ignore_index] = _UNLABELLED
    return table[np.asarray(labels, np.int64)]
