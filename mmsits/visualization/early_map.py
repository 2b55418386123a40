"""When a map was settled: the earliest day of each pixel's final class, as a picture."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

from mmsits.datasets.errors import DataError

from .scene_map import LARGEST, read_class_map, read_on_grid
from .series import draw_label_map, draw_legend


def draw_early_map(folder: str | Path, path: str | Path, largest: int = LARGEST) -> None:
    """Draw the classes of a map, the day since which each pixel has its class, and the confidence on that day, as PNG.

    Args:
        folder: map of `tools/predict.py --early-every N`.
        path: PNG to write. White is what was never observed.
        largest: longest side of the maps in the picture, pixels.

    Raises:
        DataError: if the map has no early dates, or a file cannot be read.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    folder = Path(folder)
    dates, confidence = folder / 'early_date.tif', folder / 'early_confidence.tif'
    for file in (dates, confidence):
        if not file.is_file():
            raise DataError(
                'the map has no early dates', path=file, hint='Make it by tools/predict.py --early-every 10.'
            )
    shown = read_class_map(folder / 'classes.tif', largest)
    days = read_on_grid(dates, shown.grid, [1])[0] + _season_start(dates)
    percent = read_on_grid(confidence, shown.grid, [1])[0]
    height, width = shown.labels.shape
    figure = Figure(figsize=(10.4, 3.2 * min(height / width, 3) + 1.0), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 3)
    axes[0].imshow(draw_label_map(shown.labels, shown.palette), interpolation='nearest')
    _draw_days(figure, axes[1], days)
    bar = figure.colorbar(axes[2].imshow(percent, vmin=0, vmax=100, interpolation='nearest'), ax=axes[2], shrink=0.6)
    bar.ax.set_title('%', fontsize=8)
    for axis, name in zip(axes, ('class', 'settled from', 'confidence on that day'), strict=True):
        axis.set_title(name, fontsize=9)
        axis.set_axis_off()
    draw_legend(figure, set(np.unique(shown.labels).tolist()), dict(classes=shown.classes, palette=shown.palette))
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=110)
    # A palette of 256 colours makes noisy images a third of their size.
    Image.open(buffer).convert('RGB').quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def _draw_days(figure: Any, axis: Any, days: np.ma.MaskedArray) -> None:
    """A map of days since 1970-01-01 with dates at the colour bar: those of the map if they are few, else evenly."""
    found = np.unique(days.compressed()).astype(int)
    image = axis.imshow(days, cmap='viridis_r', interpolation='nearest')
    bar = figure.colorbar(image, ax=axis, shrink=0.6)
    if not len(found):
        return
    ticks = found[np.unique(np.linspace(0, len(found) - 1, min(len(found), 8)).astype(int))]
    bar.set_ticks(ticks, labels=[str(np.datetime64(int(tick), 'D')) for tick in ticks])
    bar.ax.tick_params(labelsize=7)


def _season_start(path: Path) -> int:
    """Day since 1970-01-01 that the days of a map count from."""
    import rasterio

    with rasterio.open(path) as file:
        start = file.tags().get('season_start')
    if start is None:
        raise DataError('the file does not say when the season starts', path=path, hint='Make the map again.')
    return int(np.datetime64(start, 'D').astype(int))
