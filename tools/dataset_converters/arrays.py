"""Write an image series held in arrays (.npz) as dated GeoTIFFs, which `SceneDataset` reads.

    python tools/dataset_converters/arrays.py cube.npz data/my_scene --values ndvi --bands NDVI --clouds clm \\
        --labels lulc --crs EPSG:32633 --bounds 465181.1 5079244.9 466180.5 5080254.6 --rows train=0:50 test=50:70

The file holds the values (T, H, W) or (T, C, H, W), their dates (T,) as 'YYYY-MM-DD', and, if there are, clouds
(T, H, W; 0 is clear), labels (H, W) and class names. Written are `<sensor>/<SENSOR>_<yyyymmdd>.tif`,
`<sensor>_clouds/CLOUDS_<yyyymmdd>.tif`, `labels.tif`, and `splits.gpkg` with the rows given. The folder appears
when it is complete.
"""

from __future__ import annotations

import argparse
import datetime
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

import mmsits  # noqa: F401 (silences what its dependencies print)
from mmsits.datasets.errors import DataError
from mmsits.engine.command_line import run_tool


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(description='Write an image series held in arrays as dated GeoTIFFs.')
    add = parser.add_argument
    add('file', type=Path, help='npz file')
    add('out', type=Path, help='folder of the scene, must not exist')
    add('--values', default='values', help='array of the values (default: %(default)s)')
    add('--dates', default='dates', help='array of the dates (default: %(default)s)')
    add('--bands', nargs='+', required=True, help='names of the bands, in their order')
    add('--sensor', default='s2', help='name of the sensor (default: %(default)s)')
    add('--nodata', type=float, help='number that stands for no value')
    add('--clouds', help='array of the clouds, 0 is clear')
    add('--labels', help='array of the labels')
    add('--labels-nodata', type=int, default=255, help='code that stands for no label (default: %(default)s)')
    add('--class-names', default='classes', help='array with the names of the codes 0, 1, … (default: %(default)s)')
    add('--crs', required=True, help='coordinate reference system, such as EPSG:32633')
    add('--bounds', nargs=4, type=float, required=True, metavar=('LEFT', 'BOTTOM', 'RIGHT', 'TOP'), help='in its units')
    add('--rows', nargs='+', default=[], metavar='SPLIT=FIRST:END', help='rows of each split, END not included')
    add('--traceback', action='store_true', help='show errors in full')
    return parser


def write_scene(options: argparse.Namespace) -> None:
    """Write the folder.

    Raises:
        DataError: If an array is missing or has another shape than it should, or the folder exists.
    """
    if options.out.exists():
        raise DataError('the folder exists already', path=options.out, hint='Choose another, or take it away.')
    arrays = _read(options)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f'.{options.out.name}-', dir=options.out.parent))
    try:
        _write(part, arrays, options)
        part.chmod(0o755)
        part.rename(options.out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _read(options: argparse.Namespace) -> dict[str, Any]:
    """The arrays of the file, checked: values (T, C, H, W), dates, and clouds and labels or None."""
    try:
        held = np.load(options.file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f'not a readable npz file ({error})', path=options.file, hint='Get it again.') from error

    def get(name: str | None) -> Any:
        if name is None:
            return None
        if name not in held:
            raise DataError(
                f'no array {name!r}, there are {held.files}', path=options.file, hint='Choose one of these.'
            )
        return held[name]

    values, dates = get(options.values), [str(date) for date in get(options.dates)]
    values = values[:, None] if values.ndim == 3 else values
    clouds, labels = get(options.clouds), get(options.labels)
    shape = (len(dates), len(options.bands))
    if values.ndim != 4 or values.shape[:2] != shape:
        raise DataError(
            f'{shape[0]} dates and {shape[1]} bands expected in {options.values!r}, found the shape {values.shape}',
            path=options.file,
            hint='Name all bands with --bands.',
        )
    for name, array, wanted in (
        (options.clouds, clouds, (len(dates), *values.shape[2:])),
        (options.labels, labels, values.shape[2:]),
    ):
        if array is not None and array.shape != wanted:
            raise DataError(
                f'{name!r} has the shape {array.shape}, expected is {wanted}', path=options.file, hint='Correct it.'
            )
    names = [str(name) for name in held[options.class_names]] if options.class_names in held else []
    days = [_compact(date, options.file) for date in dates]
    repeated = sorted({day for day in days if days.count(day) > 1})
    if repeated:
        raise DataError(
            f'{len(repeated)} dates occur more than once, the first is {repeated[0]}: files are named by their dates',
            path=options.file,
            hint='Merge the images of a day, or take one of them.',
        )
    return dict(values=values, days=days, clouds=clouds, labels=labels, names=names)


def _compact(date: str, path: Path) -> str:
    try:
        return datetime.date.fromisoformat(date).strftime('%Y%m%d')
    except ValueError as error:
        raise DataError(f'{date!r} is not a date (YYYY-MM-DD)', path=path, hint='Correct it.') from error


def _write(folder: Path, arrays: dict[str, Any], options: argparse.Namespace) -> None:
    values, sensor = arrays['values'], options.sensor
    days = track(arrays['days'], 'images', console=Console(stderr=True))
    for index, day in enumerate(days):
        path = folder / sensor / f'{sensor.upper()}_{day}.tif'
        _write_raster(path, values[index], options, options.nodata, options.bands)
        if arrays['clouds'] is not None:
            path = folder / f'{sensor}_clouds' / f'CLOUDS_{day}.tif'
            _write_raster(path, (arrays['clouds'][index] != 0).astype(np.uint8)[None], options, None, ['clouds'])
    if arrays['labels'] is not None:
        codes, names = arrays['labels'], arrays['names']
        tags = {f'class_{code}': name for code, name in enumerate(names)}
        _write_raster(folder / 'labels.tif', codes[None], options, options.labels_nodata, ['class'], tags)
    if options.rows:
        _write_splits(folder / 'splits.gpkg', options, values.shape[2])


def _transform(options: argparse.Namespace, height: int, width: int) -> Any:
    from rasterio.transform import from_bounds

    return from_bounds(*options.bounds, width, height)


def _write_raster(
    path: Path,
    values: np.ndarray,
    options: argparse.Namespace,
    nodata: float | None,
    bands: list[str],
    tags: dict[str, str] | None = None,
) -> None:
    import rasterio

    count, height, width = values.shape
    path.parent.mkdir(parents=True, exist_ok=True)
    transform = _transform(options, height, width)
    profile = dict(driver='GTiff', count=count, height=height, width=width, dtype=values.dtype, compress='deflate')
    with rasterio.open(path, 'w', **profile, crs=options.crs, transform=transform, nodata=nodata) as file:
        file.write(values)
        file.descriptions = tuple(bands)
        file.update_tags(1, **(tags or {}))


def _write_splits(path: Path, options: argparse.Namespace, height: int) -> None:
    """Write a rectangle for the rows of each split."""
    import geopandas
    from shapely.geometry import box

    left, bottom, right, top = options.bounds
    side = (top - bottom) / height
    names, shapes = [], []
    for text in options.rows:
        name, first, end = _parse_rows(text, height)
        names.append(name)
        shapes.append(box(left, top - end * side, right, top - first * side))
    table = geopandas.GeoDataFrame({'split': names}, geometry=shapes, crs=options.crs)
    table.to_file(path, layer='splits', driver='GPKG', engine='pyogrio')


def _parse_rows(text: str, height: int) -> tuple[str, int, int]:
    try:
        name, rows = text.split('=')
        first, end = map(int, rows.split(':'))
    except ValueError as error:
        raise DataError(f'--rows must be SPLIT=FIRST:END, not {text!r}', hint='For instance train=0:50.') from error
    if not 0 <= first < end <= height:
        raise DataError(f'--rows {text}: the image has rows 0 to {height - 1}', hint='Correct them.')
    return name, first, end


def main(options: argparse.Namespace) -> None:
    """Run the command."""
    write_scene(options)
    files = [path for path in options.out.rglob('*') if path.is_file()]
    print(f'{options.out}: {len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB')


if __name__ == '__main__':
    sys.exit(run_tool(main, make_parser().parse_args()))
