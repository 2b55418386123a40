"""Small roots of monthly composites with random values, as CropMapping's datasets read them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin

SIZE = 16


def write_tif(path: Path, values: np.ndarray, corner: tuple[float, float] = (0, 0), crs: str = 'EPSG:3857') -> None:
    """An image (C,H,W) with 10 m pixels whose upper left corner is at (x, y)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    profile = dict(driver='GTiff', count=count, height=height, width=width, dtype=values.dtype, crs=crs)
    with rasterio.open(path, 'w', **profile, transform=from_origin(*corner, 10, 10)) as file:
        file.write(values)


def write_root(
    root: Path,
    names: Sequence[str],
    codes: Sequence[float],
    dtype: type = np.uint8,
    apart: float = 1000,
    seed: int = 0,
    radar_only: bool = False,
) -> None:
    """Patches of 16×16 pixels with six composites of both sensors.

    Args:
        root: folder.
        names: of the patches, without ending; they lie side by side.
        codes: what the label maps hold; each code in equally many rows.
        dtype: of the label maps.
        apart: metres from one patch to the next.
        seed: of the values.
        radar_only: one composite of Sentinel-1 and none of Sentinel-2, which is quicker to write.
    """
    rng = np.random.default_rng(seed)
    for number, name in enumerate(names):
        corner = (apart * number, 0.0)
        for date in range(1, 2 if radar_only else 7):
            s1 = rng.uniform(-20, -5, (2, SIZE, SIZE)).astype(np.float32)
            s2 = rng.uniform(0.05, 0.5, (10, SIZE, SIZE)).astype(np.float32)
            write_tif(root / 's1' / str(date) / f'{name}.tif', s1, corner)
            if radar_only:
                continue
            write_tif(root / 's2' / str(date) / f'{name}.tif', s2, corner)
        labels = np.repeat(np.resize(codes, SIZE), SIZE).reshape(1, SIZE, SIZE).astype(dtype)
        write_tif(root / 'crop_map' / f'{name}.tif', labels, corner)
