"""Picture of a simulated season: images, reference map and NDVI curves by class."""

import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .region import CLASS_NAMES, VOID, SimulatedRegion
from .sensors import REFLECTANCE_SCALE
from .spectra import BANDS
from .weather import CLEAR

CLASS_COLOURS: dict[int, str] = {
    0: '#d9d9d2',
    1: '#7fb069',
    2: '#e3b23c',
    3: '#c8553d',
    4: '#f4e285',
    5: '#d4d400',
    6: '#a98743',
    7: '#f28f3b',
    8: '#6d3b7c',
    9: '#b05c8f',
    10: '#8c6d1f',
    13: '#5b8db8',
    15: '#2f7f79',
    18: '#7a3b2e',
    VOID: '#ffffff',
}
"""Colours of the classes on maps and curves."""

TRUE_COLOUR = tuple(BANDS.index(band) for band in ('B04', 'B03', 'B02'))


def true_colour(image: NDArray[np.int16]) -> NDArray[np.float32]:
    """Turn a Sentinel-2 image into a true-colour picture.

    Args:
        image: Reflectance times 10000, shape (10, H, W).

    Returns:
        Red, green, blue, 0 to 1, shape (H, W, 3).
    """
    colours = np.moveaxis(image[list(TRUE_COLOUR)], 0, -1).astype(np.float32) / REFLECTANCE_SCALE
    # Bends towards white, as film does, so that the ground is bright enough and clouds keep their relief.
    return np.clip(1.02 * (1.0 - np.exp(-np.maximum(colours - 0.008, 0.0) / 0.125)), 0.0, 1.0)


def draw_season(region: SimulatedRegion, path: str | os.PathLike[str], size: int = 160, images: int = 7) -> None:
    """Draw a season: true-colour images (one cloudy), the reference map and NDVI curves by class.

    The curves are the median and the range from the 10th to the 90th percentile of the noise-free
    NDVI over pure pixels of the whole region; ticks mark the dates of acquisition.

    Args:
        region: A region with Sentinel-2.
        path: File to write, for instance a PNG.
        size: Side of the part shown, from the upper left corner, pixels.
        images: Number of images, 2 or more.

    Raises:
        ValueError: If the region has no Sentinel-2.
        ImportError: If Matplotlib is not installed.
    """
    if 's2' not in region.dates:
        raise ValueError("The picture of a season needs the sensor 's2'.")
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from PIL import Image

    with matplotlib.rc_context({'font.size': 9, 'axes.titlesize': 9}):
        figure = Figure(figsize=(13.0, 6.2), layout='constrained')
        canvas = FigureCanvasAgg(figure)
        upper, lower = np.asarray(figure.subfigures(2, 1, squeeze=False, height_ratios=(1.0, 1.9))).ravel()
        _draw_images(upper, region, size, images)
        axes = lower.subplots(1, 2, width_ratios=(1.0, 1.75))
        _draw_map(axes[0], region, size)
        _draw_curves(axes[1], region)
        if not str(path).lower().endswith('.png'):
            figure.savefig(path)
            return
        figure.set_dpi(90)
        canvas.draw()
    # A palette of 256 colours makes the noisy images a third of their size.
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert('RGB')
    picture.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def _choose_dates(region: SimulatedRegion, size: int, images: int) -> list[int]:
    """Positions of dates spread over the season: the clearest nearby, but one half cloudy."""
    dates = region.dates['s2']
    window = (slice(0, size), slice(0, size))
    clear = np.array([(region.s2_acquisition(i)[1][window] == CLEAR).mean() for i in range(len(dates))])
    days = (dates - dates[0]).astype(int)
    count = min(images, len(dates))
    cloudy = int(np.abs(clear - 0.6).argmin())
    chosen = [cloudy]
    # Denser in the later part: most of the change in colour falls between spring and harvest.
    for wanted in (1.0 - (1.0 - np.linspace(0.06, 0.85, count - 1)) ** 1.7) * days[-1]:
        cost = np.abs(days - wanted) / max(days[-1], 1) + 0.6 * (1.0 - clear)
        cost[chosen] = np.inf
        chosen.append(int(cost.argmin()))
    return sorted(chosen)


def _draw_images(figure: Any, region: SimulatedRegion, size: int, images: int) -> None:
    chosen = _choose_dates(region, size, images)
    for axes, index in zip(np.atleast_1d(figure.subplots(1, len(chosen))), chosen, strict=True):
        image, mask = region.s2_acquisition(index)
        axes.imshow(true_colour(image[:, :size, :size]), interpolation='nearest')
        share = float((mask[:size, :size] != CLEAR).mean())
        axes.set_title(f'{region.dates["s2"][index]}' + (f', {share:.0%} hidden' if share > 0.15 else ''))
        axes.set_axis_off()


def _draw_map(axes: Any, region: SimulatedRegion, size: int) -> None:
    from matplotlib.colors import to_rgb
    from matplotlib.patches import Patch

    label = region.label[:size, :size]
    palette = np.ones((256, 3))
    for number, colour in CLASS_COLOURS.items():
        palette[number] = to_rgb(colour)
    axes.imshow(palette[label], interpolation='nearest')
    axes.set_axis_off()
    kilometres = min(region.label.shape[1], size) * 0.01
    axes.set_title(f'Reference ({kilometres:g} km wide)')
    handles = [
        Patch(facecolor=CLASS_COLOURS[int(n)], edgecolor='#555555', linewidth=0.5, label=CLASS_NAMES[int(n)])
        for n in np.unique(label)
    ]
    axes.legend(handles=handles, loc='center left', bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)


def _draw_curves(axes: Any, region: SimulatedRegion) -> None:
    config = region.config
    days = np.arange(config.first_day, config.last_day + 1, 4).astype('datetime64[D]')
    pure = (region.purity > 0.99) & (region.true_class > 0)
    curves = np.stack([region.ndvi(day)[0][pure] for day in days])
    classes = region.true_class[pure]
    times = days.astype('datetime64[ms]').astype(object)
    for number in np.unique(classes):
        low, median, high = np.percentile(curves[:, classes == number], (10, 50, 90), axis=1)
        colour = CLASS_COLOURS[int(number)]
        axes.fill_between(times, low, high, color=colour, alpha=0.13, linewidth=0)
        axes.plot(times, median, color=colour, linewidth=1.8, label=CLASS_NAMES[int(number)])
    for date in region.dates['s2'].astype('datetime64[ms]').astype(object):
        axes.axvline(date, ymax=0.03, color='black', linewidth=0.8)
    axes.set_ylim(0.0, 1.0)
    axes.set_xlim(times[0], times[-1])
    axes.set_ylabel('NDVI, noise-free')
    axes.set_title('Median and 10-90 % of the pixels of each class; ticks: Sentinel-2 dates')
    axes.grid(color='#dddddd', linewidth=0.6)
    axes.tick_params(axis='x', rotation=25)
    axes.spines[['top', 'right']].set_visible(False)
