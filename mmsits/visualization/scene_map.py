"""A map of a scene, read from its files, as a picture with a legend."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmsits.datasets.errors import DataError

from .prediction import draw_prediction
from .series import TRUE_COLOUR, between, stretch

LARGEST = 1000
"""Longest side of a picture's maps, pixels; larger ones are thinned out."""
NODATA = 255


class ClassMap(NamedTuple):
    """A map of classes, thinned out where it is large.

    Attributes:
        grid: `mmsits.datasets.scene.Grid` of the thinned map.
        labels: (H, W) uint8, 255 where unknown.
        classes: K names.
        palette: K colours, 0 to 255.
    """

    grid: Any
    labels: np.ndarray
    classes: tuple[str, ...]
    palette: list[list[int]]


def draw_map(
    map_file: str | Path,
    path: str | Path,
    image: str | Path | None = None,
    bands: Sequence[str] = TRUE_COLOUR,
    labels: str | Path | None = None,
    label_column: str | None = None,
    confidence: str | Path | None = None,
    largest: int = LARGEST,
) -> None:
    """Draw a class map as PNG, on demand beside an image, a reference and its confidence.

    Args:
        map_file: class map of `tools/predict.py`.
        path: PNG to write.
        image: raster of one date, in whatever projection.
        bands: three of its bands, by name or number from 1, as red, green and blue; or one, in grey.
        labels: raster, polygons or points of the reference; of a raster code i is class i of the map.
        label_column: column of the class in a vector file.
        confidence: map of percentages.
        largest: longest side of the maps in the picture, pixels.

    Raises:
        DataError: if a file cannot be read, a band does not exist, or the map does not name its classes.
    """
    from PIL import Image

    from mmsits.datasets.scene.labels import read_labels

    shown = read_class_map(map_file, largest)
    reference = None
    if labels is not None:
        options = dict(column=label_column) if label_column is not None else {}
        reference = read_labels(labels, shown.grid, classes=shown.classes, **options).read(shown.grid.window)  # type: ignore[arg-type]
    percent = None
    if confidence is not None:
        percent = read_on_grid(confidence, shown.grid, [1])[0].filled(np.nan) / 100
    picture = draw_prediction(
        None if image is None else _colours(image, shown.grid, bands),
        shown.labels,
        dict(classes=shown.classes, palette=shown.palette),
        reference=reference,
        confidence=percent,
    )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    # A palette of 256 colours makes noisy images a third of their size.
    Image.open(io.BytesIO(picture)).convert('RGB').quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def read_class_map(path: str | Path, largest: int = LARGEST) -> ClassMap:
    """Read a class map with the names and colours that it brings along.

    Args:
        path: class map of `tools/predict.py`.
        largest: longest side, pixels; of a larger map every n-th pixel is read.

    Raises:
        DataError: if it cannot be read or does not name its classes.
    """
    import rasterio
    from affine import Affine
    from rasterio.errors import RasterioError

    from mmsits.datasets.scene import Grid

    try:
        with rasterio.open(path) as file:
            step = max(1, -(-max(file.shape) // largest))
            height, width = (-(-length // step) for length in file.shape)
            labels = file.read(1, out_shape=(height, width))
            tags = file.tags(1)
            colours = file.colormap(1)
            thinned = file.transform @ Affine.scale(file.width / width, file.height / height)
            grid = Grid(file.crs, thinned, height, width)
    except (RasterioError, ValueError) as error:
        raise DataError(f'not a class map ({error})', path=path, hint='Give classes.tif of a map.') from error
    names = [tags.get(f'class_{value}') for value in range(NODATA)]
    classes = tuple(name for name in names if name is not None)
    if not classes or names[: len(classes)] != list(classes):
        raise DataError('the map does not name its classes', path=path, hint='Give classes.tif of tools/predict.py.')
    return ClassMap(grid, labels, classes, [list(colours[value][:3]) for value in range(len(classes))])


def read_on_grid(path: str | Path, grid: Any, bands: Sequence[int]) -> np.ma.MaskedArray:
    """Read bands of a raster on a grid.

    Args:
        path: raster in whatever projection.
        grid: `mmsits.datasets.scene.Grid`.
        bands: numbers from 1.

    Returns:
        (B, H, W) float32, masked where nothing was observed.
    """
    import rasterio
    from rasterio.vrt import WarpedVRT

    options = dict(crs=grid.crs, transform=grid.transform, height=grid.height, width=grid.width)
    with rasterio.open(path) as file, WarpedVRT(file, **options) as warped:
        values = warped.read(list(bands), masked=True).astype(np.float32)
    return np.ma.masked_invalid(values)


def _colours(path: str | Path, grid: Any, bands: Sequence[str]) -> np.ndarray:
    """A raster as a colour image (H, W, 3) uint8, white where nothing was observed."""
    values = read_on_grid(path, grid, _numbers(path, bands))
    seen = ~np.any(np.ma.getmaskarray(values), axis=0)
    if not seen.any():
        return np.full((*seen.shape, 3), NODATA, np.uint8)
    filled = values.filled(0)
    if tuple(bands) == TRUE_COLOUR:
        # One scale for all three, so that colours stay true.
        high = float(np.percentile(filled[:, seen], 98))
        channels = [between(channel, float(np.percentile(filled[:, seen], 0.5)), high, gamma=1.4) for channel in filled]
    else:
        channels = [_stretched(channel, seen) for channel in filled]
    image = np.stack(channels if len(channels) == 3 else [channels[0]] * 3, axis=-1)
    image[~seen] = NODATA
    return image


def _stretched(channel: np.ndarray, seen: np.ndarray) -> np.ndarray:
    image = np.zeros(channel.shape, np.uint8)
    image[seen] = stretch(channel[seen])
    return image


def _numbers(path: str | Path, bands: Sequence[str]) -> list[int]:
    """Numbers, from 1, of bands that are given by name or number."""
    import rasterio
    from rasterio.errors import RasterioError

    try:
        with rasterio.open(path) as file:
            names = [name or str(number) for number, name in enumerate(file.descriptions, 1)]
    except RasterioError as error:
        raise DataError(f'not a readable raster ({error})', path=path, hint='Give another image.') from error
    known = {str(number): number for number in range(1, len(names) + 1)} | {name: i for i, name in enumerate(names, 1)}
    absent = [band for band in bands if band not in known]
    if absent or len(bands) not in (1, 3):
        raise DataError(
            f'one band or three are drawn, got {list(bands)}; the image has {names}',
            path=path,
            hint='Choose among these, by name or number.',
        )
    return [known[band] for band in bands]
