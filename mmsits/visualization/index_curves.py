"""Seasonal curves of a normalised difference index (NDVI and its like) per class, as a dataset's pixels show them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset

from mmsits.datasets.base import day_to_date

_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_IGNORED = 255


class IndexCurve(NamedTuple):
    """The season of one class.

    Attributes:
        days: (D,) days since the season start, ascending.
        quantiles: (D, 5): 10, 25, 50, 75 and 90 % of the index over the pixels of the class on that day, -1 to 1.
    """

    days: np.ndarray
    quantiles: np.ndarray


def index_curves(
    dataset: BaseDataset,
    sensor: str = 's2',
    positive: str = 'B08',
    negative: str = 'B04',
    clear_below: tuple[str, float] | None = ('B02', 2000),
    min_pixels: int = 20,
) -> dict[int, IndexCurve]:
    """Quantiles per class and date of (positive - negative) / (positive + negative), NDVI by default.

    Args:
        dataset: Dataset whose samples are packed, in the unit of the files.
        sensor: Sensor to take.
        positive: Band that counts positive (near infrared for NDVI).
        negative: Band that counts negative (red for NDVI).
        clear_below: A band and the value above which a pixel is taken for cloud and left out: a blue reflectance of 0.2
            by default. None keeps all valid pixels.
        min_pixels: A class's date with fewer valid pixels than this over the whole dataset is left out.

    Returns:
        Class index -> its curve; classes without labelled pixels are absent.
    """
    bands = dataset.metainfo['bands'][sensor]
    gathered: dict[int, dict[int, list[np.ndarray]]] = {}
    for i in range(len(dataset)):
        sample = dataset[i]
        series, target = sample['inputs'][sensor], sample['targets'][0].numpy()
        values = {band: series.values[:, i].numpy().astype(np.float32) for i, band in enumerate(bands)}
        index = (values[positive] - values[negative]) / np.maximum(values[positive] + values[negative], 1)
        valid = np.broadcast_to(series.valid.numpy(), index.shape)
        if clear_below is not None:
            valid = valid & (values[clear_below[0]] < clear_below[1])
        days = series.days.numpy() - sample['metas']['season_start']
        for label in np.unique(target[target != _IGNORED]):
            by_day = gathered.setdefault(int(label), {})
            for t, day in enumerate(days):
                by_day.setdefault(int(day), []).append(index[t][(target == label) & valid[t]])
    return {label: _curve(by_day, min_pixels) for label, by_day in sorted(gathered.items())}


def _curve(by_day: dict[int, list[np.ndarray]], min_pixels: int) -> IndexCurve:
    pixels = {day: np.concatenate(parts) for day, parts in sorted(by_day.items())}
    kept = {day: values for day, values in pixels.items() if len(values) >= min_pixels}
    if not kept:
        return IndexCurve(np.zeros(0, int), np.zeros((0, len(_QUANTILES))))
    return IndexCurve(np.array(list(kept)), np.array([np.quantile(values, _QUANTILES) for values in kept.values()]))


def draw_index_curves(
    curves: dict[int, IndexCurve],
    classes: tuple[str, ...],
    palette: list[list[int]],
    season_start: int,
    path: str | Path,
    name: str = 'NDVI',
) -> None:
    """Draw one small panel per class: median, quartiles and 10-90 % against dates.

    Args:
        curves: From `index_curves`.
        classes: Names of all classes.
        palette: Colour of each, RGB 0 to 255.
        season_start: Days since 1970-01-01, for the axis of dates.
        path: PNG file to write.
        name: Name of the index, for the axis.
    """
    import matplotlib.dates as mdates
    from matplotlib.figure import Figure

    drawn = {label: curve for label, curve in curves.items() if len(curve.days)}
    columns = min(4, max(len(drawn), 1))
    rows = max(-(-len(drawn) // columns), 1)
    figure = Figure(figsize=(3.2 * columns, 2.3 * rows), layout='constrained')
    axes = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axis in axes[len(drawn) :]:
        axis.set_visible(False)
    for axis, (label, curve) in zip(axes, drawn.items(), strict=False):
        colour = [channel / 255 for channel in palette[label]]
        dates = [day_to_date(season_start + day) for day in curve.days]
        low, first, median, third, high = curve.quantiles.T
        axis.fill_between(dates, low, high, color=colour, alpha=0.2, linewidth=0)
        axis.fill_between(dates, first, third, color=colour, alpha=0.4, linewidth=0)
        axis.plot(dates, median, color=[0.7 * channel for channel in colour], marker='.', markersize=4, linewidth=1.5)
        axis.set_title(classes[label], fontsize=9)
        axis.set_ylim(-0.1, 1)
        axis.grid(alpha=0.3)
        axis.xaxis.set_major_locator(mdates.MonthLocator(interval=3))
        axis.xaxis.set_major_formatter(mdates.DateFormatter('%b %Y'))
        axis.tick_params(labelsize=7)
    axes[0].set_ylabel(f'{name} (median, quartiles, 10–90 %)', fontsize=7)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120)
