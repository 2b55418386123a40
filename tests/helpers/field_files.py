"""A scene of 40×60 pixels with two sensors, and label files of all kinds, whose fields are easy to reason about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import rasterio
from affine import Affine
from rasterio.crs import CRS
from shapely.geometry import box

from mmsits.datasets.scene.grid import Grid

HEIGHT, WIDTH, PIXEL = 40, 60, 10.0
GRID = Grid(CRS.from_epsg(32631), Affine(PIXEL, 0, 500_000, 0, -PIXEL, 5_000_000), HEIGHT, WIDTH)
CROPS = ('wheat', 'maize', 'grass')
S2_DAYS = ('20180401', '20180421', '20180511', '20180610', '20180720')
S1_DAYS = ('20180405', '20180505', '20180604')


def area(row: float, column: float, height: float, width: float) -> Any:
    """A rectangle on the map from pixel coordinates."""
    (left, top), (right, bottom) = (GRID.transform @ place for place in ((column, row), (column + width, row + height)))
    return box(left, bottom, right, top)


def place(row: float, column: float) -> Any:
    """A point on the map from pixel coordinates."""
    from shapely.geometry import Point

    return Point(*(GRID.transform @ (column, row)))


def fields(size: int = 8, gap: int = 2) -> tuple[list[Any], list[dict[str, Any]]]:
    """Square fields on a lattice, crops in turn, with a column for the split; geometries and properties."""
    shapes, rows = [], []
    for i, row in enumerate(range(1, HEIGHT - size, size + gap)):
        for j, column in enumerate(range(1, WIDTH - size, size + gap)):
            shapes.append(area(row, column, size, size))
            part = ('train', 'test', 'val')[(i + 2 * j) % 3]
            rows.append(dict(id=f'f{i}{j}', crop=CROPS[(i + j) % 3], split=part))
    return shapes, rows


def write_vector(
    path: Path, shapes: Sequence[Any], rows: Sequence[Mapping[str, Any]], crs: Any = 32631, to: Any = None
) -> Path:
    """Write features; `to`: in another CRS."""
    path.parent.mkdir(parents=True, exist_ok=True)
    frame = geopandas.GeoDataFrame(list(rows), geometry=list(shapes), crs=crs)
    if to is not None:
        frame = frame.to_crs(to)
    if path.suffix == '.parquet':
        frame.to_parquet(path)
    else:
        frame.to_file(path)
    return path


def write_raster(path: Path, values: np.ndarray, grid: Grid = GRID, nodata: float | None = None, **tags: Any) -> Path:
    """Write bands (C,H,W) or one (H,W)."""
    values = values[None] if values.ndim == 2 else values
    path.parent.mkdir(parents=True, exist_ok=True)
    profile = dict(driver='GTiff', height=grid.height, width=grid.width, count=len(values), dtype=values.dtype)
    with rasterio.open(path, 'w', crs=grid.crs, transform=grid.transform, nodata=nodata, **profile) as file:
        file.write(values)
        for number, name in enumerate(tags.get('bands', ()), start=1):
            file.set_band_description(number, name)
        if 'colours' in tags:
            file.write_colormap(1, tags['colours'])
    return path


def write_scene(root: Path, seed: int = 0) -> Path:
    """Sensor s2 (4 bands int16, nodata, cloud masks) and s1 (2 bands float32, other dates), and fields.gpkg.

    The values of a field's pixels follow its crop, so that a network can learn them.
    """
    rng = np.random.default_rng(seed)
    shapes, rows = fields()
    write_vector(root / 'fields.gpkg', shapes, rows)
    crop = np.zeros((HEIGHT, WIDTH), int)
    for shape, row in zip(shapes, rows, strict=True):
        left, _, _, top = shape.bounds
        column, line = (int(round(number)) for number in ~GRID.transform @ (left, top))
        crop[line : line + 8, column : column + 8] = CROPS.index(row['crop']) + 1
    for number, day in enumerate(S2_DAYS):
        level = 500 + 300 * crop + 200 * number * (crop == 1) + rng.normal(0, 20, (4, HEIGHT, WIDTH))
        values = (level * np.array([1.0, 1.2, 0.8, 2.0])[:, None, None]).astype(np.int16)
        values[:, :2, 50:] = -1
        write_raster(root / 's2' / f'S2_{day}.tif', values, nodata=-1, bands=('B02', 'B03', 'B04', 'B08'))
        clouds = np.zeros((HEIGHT, WIDTH), np.uint8)
        first = 10 * number
        clouds[5:20, first : first + 12] = 1
        write_raster(root / 's2_clouds' / f'CLOUDS_{day}.tif', clouds)
    for number, day in enumerate(S1_DAYS):
        values = (-15 + 2 * crop + number + rng.normal(0, 0.3, (2, HEIGHT, WIDTH))).astype(np.float32)
        write_raster(root / 's1' / f'S1_{day}.tif', values, bands=('VV', 'VH'))
    return root


def scene_options(root: Path, *sensors: str) -> dict[str, Any]:
    """Options of a `SceneDataset` of what :func:`write_scene` writes."""
    known = dict(
        s2=dict(folder='s2', unit='reflectance x 10000', scale=1, offset=0, clouds=dict(folder='s2_clouds')),
        s1=dict(folder='s1', unit='dB', nodata='none'),
    )
    return dict(
        data_root=str(root),
        sensors={name: known[name] for name in sensors or ('s2',)},
        labels=dict(file='fields.gpkg', column='crop'),
        splits=dict(type='column'),
        season_start='01-01',
    )
