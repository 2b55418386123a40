"""Maps as files: cloud-optimised GeoTIFFs with colours and class names, and styles for QGIS."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import quoteattr

import numpy as np

from mmsits.datasets.errors import iso_day
from mmsits.datasets.scene.grid import Grid, Window
from mmsits.datasets.scene.rasters import gdal_settings
from mmsits.engine.errors import DiskWriteError
from mmsits.engine.files import write_atomically

NODATA = 255
BLOCK = 512
"""Height and width of the blocks in a file."""

Colour = Sequence[int]
Part = tuple[Window, np.ndarray]
_RAMP = ((0, (68, 1, 84)), (25, (59, 82, 139)), (50, (33, 145, 140)), (75, (94, 201, 98)), (100, (253, 231, 37)))
"""Colours of percentages in QGIS: viridis."""


class RasterBand(NamedTuple):
    """A band of a map.

    Attributes:
        name: shown as the band's description.
        tags: further information, text by name.
    """

    name: str
    tags: dict[str, str]


def write_raster(
    path: str | Path,
    grid: Grid,
    bands: Sequence[RasterBand],
    parts: Iterable[Part],
    tags: dict[str, str],
    palette: Sequence[Colour] | None = None,
    nodata: int = NODATA,
) -> None:
    """Write a map of whole numbers as a cloud-optimised GeoTIFF (tiled, deflated, with overviews), part by part.

    The file appears under its name when it is complete. The same parts give the same bytes.

    Args:
        path: of the file.
        grid: its CRS, transform and size.
        bands: B of them.
        parts: windows that cover the grid, and (B,h,w) uint8, or uint16 if `nodata` is larger. Windows of whole blocks
            of 512 pixels make the smallest file in the shortest time.
        tags: text by name, for the whole file.
        palette: red, green and blue, 0 to 255, of each value; of a single band.
        nodata: value where nothing is known.

    Raises:
        DiskWriteError: if the disk is full or refuses.
    """
    import rasterio
    from rasterio import shutil

    path = Path(path)
    plain, optimised = (path.with_name(f'.{path.stem}.{kind}.tif') for kind in ('plain', 'cog'))
    profile = dict(
        driver='GTiff',
        crs=grid.crs,
        transform=grid.transform,
        height=grid.height,
        width=grid.width,
        count=len(bands),
        dtype='uint8' if nodata <= NODATA else 'uint16',
        nodata=nodata,
        tiled=True,
        blockxsize=BLOCK,
        blockysize=BLOCK,
        interleave='band',
        compress='deflate',
        zlevel=1,
        bigtiff='if_safer',
    )
    with _as_disk_error(path), without_leftovers(plain, optimised), gdal_settings():
        with rasterio.open(plain, 'w', **profile) as file:
            _describe(file, bands, tags, palette)
            for window, values in parts:
                file.write(values, window=_rasterio_window(window))
        shutil.copy(
            plain,
            optimised,
            driver='COG',
            compress='deflate',
            blocksize=BLOCK,
            overview_resampling='nearest' if palette is not None else 'average',
            bigtiff='if_safer',
        )
        take_name(optimised, path)


def _rasterio_window(window: Window) -> Any:
    from rasterio import windows

    return windows.Window(window.column, window.row, window.width, window.height)


def _describe(file: Any, bands: Sequence[RasterBand], tags: dict[str, str], palette: Sequence[Colour] | None) -> None:
    file.update_tags(**tags)
    for number, band in enumerate(bands, start=1):
        file.set_band_description(number, band.name)
        file.update_tags(number, **band.tags)
    if palette is not None:
        colours = {value: (*(int(part) for part in colour), 255) for value, colour in enumerate(palette)}
        file.write_colormap(1, colours | {NODATA: (0, 0, 0, 0)})


def take_name(temporary: Path, path: Path) -> None:
    """Flush a file to the disk and give it its name."""
    with open(temporary, 'rb+') as file:
        os.fsync(file.fileno())
    os.replace(temporary, path)


@contextlib.contextmanager
def without_leftovers(*paths: Path) -> Iterator[None]:
    """Remove temporary files, and what GDAL puts beside them, before and after: a killed run may have left some."""
    _remove(paths)
    try:
        yield
    finally:
        _remove(paths)


def _remove(paths: Iterable[Path]) -> None:
    for path in paths:
        for leftover in path.parent.glob(f'{path.name}*'):
            leftover.unlink()


@contextlib.contextmanager
def _as_disk_error(path: Path) -> Iterator[None]:
    from rasterio.errors import RasterioError

    try:
        yield
    except RasterioError as error:
        raise DiskWriteError(5, f'could not write the map: {error}', str(path)) from error


def read_raster(path: str | Path, window: Window) -> np.ndarray:
    """Values of a window of a map, (B,h,w) uint8."""
    import rasterio

    with rasterio.open(path) as file:
        return file.read(window=_rasterio_window(window))


def class_band(classes: Sequence[str]) -> RasterBand:
    """The band of a class map; tags `class_0` … name the classes, `classes` lists them as JSON."""
    tags = {f'class_{value}': name for value, name in enumerate(classes)}
    return RasterBand('class', {**tags, 'classes': json.dumps(list(classes), ensure_ascii=False)})


def percent_band(name: str) -> RasterBand:
    """A band of percentages."""
    return RasterBand(name, dict(unit='percent'))


def write_class_names(path: str | Path, classes: Sequence[str], palette: Sequence[Colour]) -> None:
    """Write GDAL's file beside a class map (`<name>.aux.xml`): category names and an attribute table with colours.

    Args:
        path: of the map.
        classes: K names.
        palette: K colours.
    """
    names = ''.join(f'<Category>{_text(name)}</Category>' for name in classes)
    # Types 0 integer and 2 text; usages 5 value, 2 name, 6 to 8 red, green, blue.
    fields = (('value', 0, 5), ('class', 2, 2), ('red', 0, 6), ('green', 0, 7), ('blue', 0, 8))
    columns = ''.join(
        f'<FieldDefn index="{index}"><Name>{name}</Name><Type>{kind}</Type><Usage>{usage}</Usage></FieldDefn>'
        for index, (name, kind, usage) in enumerate(fields)
    )
    cells = [(value, name, *map(int, palette[value])) for value, name in enumerate(classes)]
    rows = ''.join(
        f'<Row index="{row[0]}">{"".join(f"<F>{_text(str(cell))}</F>" for cell in row)}</Row>' for row in cells
    )
    xml = (
        f'<PAMDataset><PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames>'
        f'<GDALRasterAttributeTable tableType="thematic">{columns}{rows}</GDALRasterAttributeTable>'
        '</PAMRasterBand></PAMDataset>\n'
    )
    path = Path(path)
    write_atomically(path.with_name(f'{path.name}.aux.xml'), xml.encode())


def _text(value: str) -> str:
    from xml.sax.saxutils import escape

    return escape(value)


def _hex(colour: Colour) -> str:
    return '#' + ''.join(f'{int(part):02x}' for part in colour)


def write_class_style(path: str | Path, classes: Sequence[str], palette: Sequence[Colour]) -> None:
    """Write the QGIS style of a class map, in which each class has its name and colour.

    Args:
        path: of the map; the style has the suffix .qml.
        classes: K names.
        palette: K colours.
    """
    entries = ''.join(
        f'<paletteEntry value="{value}" label={quoteattr(name)} color="{_hex(colour)}" alpha="255"/>'
        for value, (name, colour) in enumerate(zip(classes, palette, strict=True))
    )
    _write_style(
        path,
        '<pipe><rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1" nodataColor="">'
        f'<rasterTransparency/><colorPalette>{entries}</colorPalette></rasterrenderer></pipe>',
    )


def write_percent_style(path: str | Path) -> None:
    """Write the QGIS style of a map of percentages: a ramp of colours from 0 to 100 for the first band."""
    _write_ramp(path, {value: f'{value} %' for value, _ in _RAMP})


def write_day_style(path: str | Path, days: Sequence[int], season_start: int) -> None:
    """Write the QGIS style of a map of days: a ramp of colours from the first to the last, with their dates.

    Args:
        path: of the map; the style has the suffix .qml.
        days: that occur, days since the season start, ascending.
        season_start: days since 1970-01-01.
    """
    shown = np.linspace(days[0], max(days[-1], days[0] + 1), len(_RAMP)).round().astype(int).tolist()
    _write_ramp(path, {day: iso_day(season_start + day) for day in shown})


def _write_ramp(path: str | Path, labels: Mapping[int, str]) -> None:
    """A style whose values have the colours of the ramp, in their order."""
    items = ''.join(
        f'<item value="{value}" label="{label}" color="{_hex(colour)}" alpha="255"/>'
        for (value, label), (_, colour) in zip(labels.items(), _RAMP, strict=False)
    )
    low, high = min(labels), max(labels)
    _write_style(
        path,
        '<pipe><rasterrenderer type="singlebandpseudocolor" band="1" opacity="1" alphaBand="-1" nodataColor="" '
        f'classificationMin="{low}" classificationMax="{high}"><rasterTransparency/><rastershader><colorrampshader '
        f'colorRampType="INTERPOLATED" classificationMode="1" minimumValue="{low}" maximumValue="{high}" clip="0">'
        f'{items}</colorrampshader></rastershader></rasterrenderer></pipe>',
    )


def write_parcel_style(path: str | Path, column: str, classes: Sequence[str], palette: Sequence[Colour]) -> None:
    """Write the QGIS style of a file of parcels: each class filled with its colour.

    Args:
        path: of the parcels; the style has the suffix .qml.
        column: holds the class names.
        classes: K names.
        palette: K colours.
    """
    categories = ''.join(
        f'<category value={quoteattr(name)} label={quoteattr(name)} symbol="{number}" render="true"/>'
        for number, name in enumerate(classes)
    )
    symbols = ''.join(
        f'<symbol type="fill" name="{number}" alpha="1" clip_to_extent="1"><layer class="SimpleFill" enabled="1">'
        f'<Option type="Map"><Option type="QString" name="color" value="{",".join(str(int(c)) for c in colour)},255"/>'
        '<Option type="QString" name="outline_color" value="60,60,60,255"/>'
        '<Option type="QString" name="outline_width" value="0.1"/></Option></layer></symbol>'
        for number, colour in enumerate(palette)
    )
    _write_style(
        path,
        f'<renderer-v2 type="categorizedSymbol" attr={quoteattr(column)} enableorderby="0">'
        f'<categories>{categories}</categories><symbols>{symbols}</symbols></renderer-v2>',
    )


def _write_style(path: str | Path, content: str) -> None:
    document = f"<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n<qgis version=\"3.22\">{content}</qgis>\n"
    write_atomically(Path(path).with_suffix('.qml'), document.encode())


def quantise(probabilities: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Percentages as bytes.

    Args:
        probabilities: (…,h,w) from 0 to 1.
        observed: (h,w) bool.

    Returns:
        (…,h,w) uint8: 0 to 100, 255 where not observed.
    """
    percent = np.floor(probabilities * 100 + 0.5).astype(np.uint8)
    percent[..., ~observed] = NODATA
    return percent
