"""Pictures of a sample: composites of its dates, what was observed, the label map with its classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mmsits.datasets.backscatter import STRETCHED, unit_kind
from mmsits.structures import ImageSeries

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

IGNORED = 255
TRUE_COLOUR = ('B04', 'B03', 'B02')
RADAR = ('VV', 'VH')
UNOBSERVED = (255, 0, 255)
"""Colour of pixels that were not observed: one that neither fields nor clouds have."""

UNLABELLED = (255, 255, 255)


RADAR_LIMITS = ((-20.0, 0.0), (-27.0, -7.0), (2.0, 16.0))
"""Decibels that are drawn black and white: VV, VH, VV − VH. The same for all dates, so that they can be compared."""


def stretch(image: np.ndarray, percentiles: tuple[float, float] = (2, 98)) -> np.ndarray:
    """Spread values over 0..255 between two percentiles.

    Args:
        image: (H,W) or (H,W,3); the channels of a colour image share their limits, so that colours stay true.
        percentiles: lower and upper one.

    Returns:
        uint8 of the same shape.
    """
    low, high = np.percentile(image, percentiles)
    return between(image, float(low), float(high))


def between(image: np.ndarray, low: float, high: float, gamma: float = 1.0) -> np.ndarray:
    """Spread the values from ``low`` to ``high`` over 0..255, darker tones wider with ``gamma`` above 1; uint8."""
    share = np.clip((image - low) / max(high - low, 1e-6), 0, 1)
    return (255 * share ** (1 / gamma)).astype(np.uint8)


def composite(values: np.ndarray, bands: Sequence[str], date_index: int, unit: str = '') -> np.ndarray:
    """One date as a colour image.

    Optical sensors in true colour (B04, B03, B02): reflectances from 0 to the 98th percentile, others between the 2nd
    and 98th. Radar as VV, VH and their ratio: decibels between :data:`RADAR_LIMITS`, stretched decibels and powers
    between the percentiles. Any other sensor by its first three bands, or its only one in grey, each stretched by
    itself.

    Args:
        values: (T,C,H,W).
        bands: names of the C bands.
        date_index: position of the date.
        unit: unit of the values, 'reflectance …', 'dB', 'dB stretched to 0..255' or another.

    Returns:
        (H,W,3) uint8.
    """
    image = np.asarray(values[date_index], np.float32)
    names = list(bands)
    if set(TRUE_COLOUR) <= set(names):
        rgb = np.stack([image[names.index(band)] for band in TRUE_COLOUR], axis=-1)
        if unit.startswith('reflectance'):
            return between(rgb, 0.0, float(np.percentile(rgb, 98)), gamma=1.4)
        return stretch(rgb)
    if set(RADAR) <= set(names):
        vv, vh = (image[names.index(band)] for band in RADAR)
        if unit_kind(unit) == 'decibel':
            channels = [vv, vh, vv - vh]
            limited = [between(channel, *limits) for channel, limits in zip(channels, RADAR_LIMITS, strict=True)]
            return np.stack(limited, axis=-1)
        # A ratio of powers is a difference of their logarithms.
        channels = [vv, vh, vv - vh if unit == STRETCHED else vv / np.maximum(vh, 1e-6)]
    else:
        channels = [image[min(band, len(names) - 1)] for band in range(3)]
    return np.stack([stretch(channel) for channel in channels], axis=-1)


def clearest_date(values: np.ndarray, valid: np.ndarray, bands: Sequence[str]) -> int:
    """The date that shows most of a place: of those with most valid pixels the greenest.

    Clouds, snow and bare soil all lower the mean NDVI, so the greenest date is clear and in season. Without red and
    near infrared (B04, B08) it is the middle one of the dates with most valid pixels.

    Args:
        values: (T,C,H,W).
        valid: (T,H,W) or (T,1,1) bool.
        bands: names of the C bands.

    Returns:
        Position of the date.
    """
    share = valid.reshape(len(valid), -1).mean(1)
    candidates = np.flatnonzero(share == share.max())
    names = list(bands)
    if not {'B04', 'B08'} <= set(names) or not share.any():
        return int(candidates[len(candidates) // 2])
    infrared, red = (values[candidates, names.index(band)].astype(np.float32) for band in ('B08', 'B04'))
    ndvi = (infrared - red) / np.maximum(infrared + red, 1e-6)
    seen = np.broadcast_to(valid[candidates], ndvi.shape)
    return int(candidates[np.mean(ndvi, axis=(1, 2), where=seen).argmax()])


def mark_unobserved(image: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Paint pixels that were not observed.

    Args:
        image: (H,W,3) uint8.
        valid: (H,W) or (1,1) bool.

    Returns:
        A copy.
    """
    marked = image.copy()
    marked[~np.broadcast_to(valid, image.shape[:2])] = UNOBSERVED
    return marked


def draw_label_map(labels: np.ndarray, palette: Sequence[Sequence[int]], ignore_index: int = IGNORED) -> np.ndarray:
    """A label map in the colours of its classes.

    Args:
        labels: (H,W) class indices.
        palette: K colours, 0..255.
        ignore_index: label that is drawn white.

    Returns:
        (H,W,3) uint8.
    """
    table = np.full((max(ignore_index, len(palette)) + 1, 3), UNLABELLED, np.uint8)
    table[: len(palette)] = np.asarray(palette, np.uint8)
    table[ignore_index] = UNLABELLED
    return table[np.asarray(labels, np.int64)]


def chosen_dates(valid: np.ndarray, count: int) -> np.ndarray:
    """Positions of at most ``count`` existing dates at even distances, first and last included.

    Args:
        valid: (T,H,W) or (T,1,1) bool.
        count: how many.

    Returns:
        Ascending positions; the first date where none exists.
    """
    existing = np.flatnonzero(valid.reshape(len(valid), -1).any(1))
    if len(existing) == 0:
        return np.array([0])
    picked = np.linspace(0, len(existing) - 1, min(count, len(existing)))
    return existing[np.round(picked).astype(int)]


def draw_series(
    axes: Sequence[Axes], series: ImageSeries, bands: Sequence[str], unit: str, name: str, season_start: int
) -> None:
    """Draw dates of one sensor, one per axis; unobserved pixels are magenta.

    Args:
        axes: one for each date to draw; those left over are hidden.
        series: arrays or tensors of one sample, (T,C,H,W), (T,), (T,H,W) or (T,1,1).
        bands: names of the C bands.
        unit: of the values.
        name: of the sensor, for the titles.
        season_start: days since 1970-01-01, for the titles.
    """
    values, days, valid = (np.asarray(part) for part in series)
    dates = chosen_dates(valid, len(axes))
    for axis, date in zip(axes, dates, strict=False):
        axis.imshow(mark_unobserved(composite(values, bands, date, unit), valid[date]), interpolation='nearest')
        after = int(days[date]) - season_start
        axis.set_title(f'{name} {np.datetime64(int(days[date]), "D")} (day {after})', fontsize=7)
    for axis in axes[len(dates) :]:
        axis.set_visible(False)


def draw_sample(
    stages: Mapping[str, Mapping[str, Any]],
    metainfo: Mapping[str, Any],
    num_dates: int = 5,
    title: str = '',
) -> Figure:
    """Draw a sample at one or more stages of its pipeline: dates, share observed, labels, legend.

    Args:
        stages: name of the stage ('as loaded', 'augmented') to a packed sample: inputs, metas, maybe targets.
        metainfo: of the dataset: bands, units, classes, palette.
        num_dates: how many dates of each sensor.
        title: above everything.

    Returns:
        A figure; :func:`save_figure` writes it.
    """
    from matplotlib.figure import Figure

    sensors = list(metainfo['bands'])
    rows, columns = len(stages) * len(sensors), num_dates + 2
    figure = Figure(figsize=(1.9 * columns, 2.1 * rows + 0.9), layout='constrained')
    grid = figure.subplots(rows, columns, squeeze=False)
    for axis in grid.ravel():
        axis.set_xticks([])
        axis.set_yticks([])
    present: set[int] = set()
    for number, (stage, sample) in enumerate(stages.items()):
        first = grid[number * len(sensors)]
        for axes, sensor in zip(grid[number * len(sensors) :], sensors, strict=False):
            series = sample['inputs'][sensor]
            start = sample['metas']['season_start']
            draw_series(axes[:num_dates], series, metainfo['bands'][sensor], metainfo['units'][sensor], sensor, start)
            _draw_observed(axes[num_dates], series)
            axes[num_dates + 1].set_visible(False)
        first[0].set_ylabel(stage, fontsize=9)
        if 'targets' in sample:
            labels = np.asarray(sample['targets'][0])
            present |= set(np.unique(labels).tolist())
            first[-1].set_visible(True)
            first[-1].imshow(draw_label_map(labels, metainfo['palette']), interpolation='nearest')
            first[-1].set_title('labels', fontsize=7)
    draw_legend(figure, present, metainfo, {'not observed': UNOBSERVED})
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def _draw_observed(axis: Axes, series: ImageSeries) -> None:
    valid = np.asarray(series.valid)
    share = np.broadcast_to(valid.mean(axis=0), tuple(series.values.shape[-2:]))
    axis.imshow(share, vmin=0, vmax=1, cmap='gray', interpolation='nearest')
    axis.set_title(f'observed, {len(valid)} dates\n{share.min():.0%} to {share.max():.0%}', fontsize=7)


def draw_legend(
    figure: Figure, present: set[int], metainfo: Mapping[str, Any], further: Mapping[str, Sequence[int]] | None = None
) -> None:
    """Name the classes of a picture below it.

    Args:
        figure: figure with constrained layout.
        present: labels that occur, 255 for pixels without label.
        metainfo: of the dataset: classes, palette.
        further: other entries, name to colour 0..255.
    """
    from matplotlib.patches import Patch

    colours = {metainfo['classes'][label]: metainfo['palette'][label] for label in sorted(present - {IGNORED})}
    if IGNORED in present:
        colours['not labelled'] = UNLABELLED
    colours.update(further or {})
    handles = [
        Patch(facecolor=(red / 255, green / 255, blue / 255), edgecolor='0.5', label=name)
        for name, (red, green, blue) in colours.items()
    ]
    figure.legend(handles=handles, loc='outside lower center', ncols=min(len(handles), 6), fontsize=7, frameon=False)


def save_figure(figure: Figure, path: str | Path, dpi: int = 110) -> None:
    """Write a figure as PNG; the folder is made if needed."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=dpi)
