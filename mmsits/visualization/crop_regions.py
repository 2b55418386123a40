"""Regions of interest as a picture: where they lie, their splits, and masks with their patches."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from geopandas import GeoDataFrame
    from matplotlib.axes import Axes

SPLIT_COLOURS = ('#1f6f8b', '#e08e0b', '#b3224a', '#5a8f29', '#7d5ba6')
_UNKNOWN, _OTHER, _CROP = (0.93, 0.93, 0.93), (0.62, 0.62, 0.62), (0.18, 0.49, 0.2)


class RegionExample(NamedTuple):
    """A mask to be shown.

    Attributes:
        title: above the panel.
        mask: (H, W) uint8: 1 the crop, 0 another crop, 255 not known.
        windows: rows and columns of its patches: first row, first column, height, width.
        outlines: outlines of the fields, each (V, 2): column and row in pixels.
    """

    title: str
    mask: np.ndarray
    windows: Sequence[tuple[int, int, int, int]]
    outlines: Sequence[np.ndarray]


def draw_crop_regions(
    regions: GeoDataFrame,
    examples: Sequence[RegionExample],
    provinces: GeoDataFrame | None = None,
    title: str = '',
) -> bytes:
    """Draw a map of the regions for each crop and some masks below.

    Args:
        regions: polygons with the columns `crop` and `split`.
        examples: masks for the lower panels.
        provinces: polygons drawn behind, in the CRS of the regions.
        title: above the picture.

    Returns:
        A PNG file's content.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    crops = sorted(set(regions['crop']))
    splits = list(dict.fromkeys(regions['split']))
    colours = {name: SPLIT_COLOURS[index % len(SPLIT_COLOURS)] for index, name in enumerate(splits)}
    columns = 4
    upper, lower = -(-len(crops) // columns), -(-len(examples) // columns)
    figure = Figure(figsize=(3.1 * columns, 2.7 * upper + 3.2 * lower), layout='constrained')
    axes = np.atleast_2d(figure.subplots(upper + lower, columns, height_ratios=[2.7] * upper + [3.2] * lower))
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, crop in zip(axes[:upper].flat, crops, strict=False):
        _draw_map(axis, regions[regions['crop'] == crop], colours, provinces, crop)
    for axis, example in zip(axes[upper:].flat, examples, strict=False):
        _draw_mask(axis, example)
    handles = [Patch(facecolor=colour, label=name) for name, colour in colours.items()]
    names = {'the crop': _CROP, 'another crop': _OTHER, 'not known': _UNKNOWN}
    handles += [Patch(facecolor=colour, edgecolor='0.5', label=name) for name, colour in names.items()]
    figure.legend(handles=handles, loc='outside lower center', ncols=len(handles), fontsize=8, frameon=False)
    if title:
        figure.suptitle(title, fontsize=10)
    content = BytesIO()
    figure.savefig(content, format='png', dpi=110)
    return content.getvalue()


def _draw_map(axis: Axes, regions: GeoDataFrame, colours: dict[str, Any], provinces: Any, crop: str) -> None:
    if provinces is not None:
        provinces.boundary.plot(ax=axis, color='0.75', linewidth=0.4)
    centres = regions.geometry.bounds
    for split, colour in colours.items():
        chosen = (regions['split'] == split).to_numpy()
        # Boxes of a kilometre are not seen on a country: a point each.
        axis.scatter(
            (centres['minx'] + centres['maxx'])[chosen] / 2,
            (centres['miny'] + centres['maxy'])[chosen] / 2,
            s=7,
            color=colour,
            linewidths=0,
        )
    counts = ', '.join(f'{(regions["split"] == split).sum()}' for split in colours)
    axis.set_title(f'{crop}: {len(regions)} regions ({counts})', fontsize=8)
    latitude = float(np.mean((centres['miny'] + centres['maxy']) / 2))
    axis.set_aspect(1 / np.cos(np.radians(min(abs(latitude), 80))))


def _draw_mask(axis: Axes, example: RegionExample) -> None:
    from matplotlib.patches import Rectangle

    image = np.empty((*example.mask.shape, 3))
    image[:] = _UNKNOWN
    image[example.mask == 0] = _OTHER
    image[example.mask == 1] = _CROP
    height, width = example.mask.shape
    axis.imshow(image, interpolation='nearest', extent=(0, width, height, 0))
    for outline in example.outlines:
        axis.plot(outline[:, 0], outline[:, 1], color='black', linewidth=0.5)
    for row, column, rows, columns in example.windows:
        axis.add_patch(Rectangle((column, row), columns, rows, fill=False, edgecolor='#b3224a', linewidth=0.8))
    axis.set_xlim(0, width)
    axis.set_ylim(height, 0)
    axis.set_title(example.title, fontsize=7)
