"""Small GeoTIFFs for tests of scenes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine

CRS = 'EPSG:32631'
LEFT, TOP, PIXEL = 500_000.0, 5_000_000.0, 10.0
DATES = ('20210405', '20210420', '20210515')


def transform(row: int = 0, column: int = 0, pixel: float = PIXEL) -> Affine:
    """Transform of a raster whose first pixel is the scene's (row, column), counted in pixels of 10 m."""
    return Affine(pixel, 0, LEFT + column * PIXEL, 0, -pixel, TOP - row * PIXEL)


def write_raster(
    path: Path,
    values: np.ndarray,
    bands: Sequence[str] | None = None,
    crs: str | None = CRS,
    where: Affine | None = None,
    tags: dict[str, str] | None = None,
    **profile: Any,
) -> Path:
    """Write values (H,W) or (C,H,W) with names for the bands."""
    values = values if values.ndim == 3 else values[None]
    path.parent.mkdir(parents=True, exist_ok=True)
    shape = dict(count=values.shape[0], height=values.shape[1], width=values.shape[2], dtype=values.dtype)
    place = transform() if where is None else where
    with rasterio.open(path, 'w', driver='GTiff', crs=crs, transform=place, **shape, **profile) as file:
        file.write(values)
        if bands is not None:
            file.descriptions = tuple(bands)
        file.update_tags(**(tags or {}))
    return path


def write_series(
    folder: Path, values: np.ndarray, bands: Sequence[str] | None = None, dates: Sequence[str] = DATES, **options: Any
) -> list[Path]:
    """Write values (T,C,H,W) or (T,H,W), a file per date."""
    return [
        write_raster(folder / f'{folder.name.upper()}_{date}.tif', image, bands, **options)
        for date, image in zip(dates, values, strict=True)
    ]


def numbers(*shape: int, seed: int = 0, low: int = 1, high: int = 4000, dtype: str = 'int16') -> np.ndarray:
    """Random numbers, none of them 0."""
    return np.random.default_rng(seed).integers(low, high, shape).astype(dtype)
