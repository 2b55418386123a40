"""Regions exported from Earth Engine, with published masks, cut into patches."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from mmengine import fileio
from mmengine.logging import print_log

from ..composite_windows import WINDOWS
from ..errors import DataError
from ..scene.grid import Grid
from .masks import resize_mask
from .patches import (
    Limits,
    PatchGrid,
    clean_pixels,
    encode_raster,
    open_raster,
    patch_name,
    patch_windows,
    read_raster,
)

_SENSORS = ('s1', 's2')
_MARKED = 0.01
"""Share of a pixel from which a patch counts as marked, as in published training."""


def exported_regions(root: Path) -> list[str]:
    """Names of the regions of a root `crop_map/<name>.tif`, sorted.

    Raises:
        DataError: if there is none.
    """
    names = sorted(path.stem for path in (root / 'crop_map').glob('*.tif'))
    if not names:
        raise DataError('no mask crop_map/*.tif is there', path=root, hint='Give the root of one crop.')
    return names


def missing_windows(root: Path, name: str) -> dict[str, list[str]]:
    """The windows that a region has no image of, by sensor; sensors that have all are left out.

    Args:
        root: see `cut_exported`.
        name: of the region.

    Returns:
        sensor -> names of the folders, 1 … 6, or those there are where they are named otherwise, such as by dates.
    """
    found = {}
    for sensor in _SENSORS:
        folders = {path.name for path in (root / sensor).glob('*') if path.is_dir()}
        numbered = all(folder.isdigit() for folder in folders)
        wanted = {str(number) for number in range(1, WINDOWS + 1)} if numbered else folders
        held = {folder for folder in folders if (root / sensor / folder / f'{name}.tif').is_file()}
        if wanted - held:
            found[sensor] = sorted(wanted - held)
    return found


def cut_exported(
    root: Path,
    name: str,
    out: Path,
    size: int = 64,
    grid: PatchGrid = 'whole',
    limits: Limits | None = None,
    fill: float | None = None,
) -> int:
    """Cut the images and the mask of one region; the mask is brought to the size of the images.

    Windows without an image are named in a warning: the dataset takes them as not observed.

    Args:
        root: holds `{s1,s2}/<1..6>/<name>.tif`, of one size, and `crop_map/<name>.tif`, 0 and 255.
        name: of the region.
        out: root to write to: the same folders, `<name>_r<row>_c<column>.tif`; masks become shares 0 … 1. Patches
            without a marked pixel are left out; files that exist are left.
        size: of a patch.
        grid: see `patch_windows`.
        limits: see `clean_pixels`.
        fill: see `clean_pixels`.

    Returns:
        The number of patches.

    Raises:
        DataError: if there is no image, the images differ in size, the mask is no published one, or a file is damaged.
    """
    paths = sorted(path for sensor in _SENSORS for path in (root / sensor).glob(f'*/{name}.tif'))
    if not paths:
        raise DataError(f'the region {name} has no image s1 or s2', path=root, hint='Complete the export.')
    missing = missing_windows(root, name)
    if missing:
        listed = '; '.join(f'{sensor} {", ".join(windows)}' for sensor, windows in missing.items())
        print_log(
            f'{root}: region {name} has no image of the windows {listed}; these months count as not observed',
            'current',
            logging.WARNING,
        )
    with open_raster(paths[0]) as file:
        whole = Grid(file.crs, file.transform, file.height, file.width)
    share = _share(root / 'crop_map' / f'{name}.tif', whole.shape)
    windows = {
        patch_name(name, row, column): window
        for (row, column), window in patch_windows(whole.shape, size, grid).items()
        if (share[window.slices] > _MARKED).any()
    }
    for path in [*paths, root / 'crop_map' / f'{name}.tif']:
        folder = out / path.parent.relative_to(root)
        if all((folder / f'{patch}.tif').exists() for patch in windows):
            continue
        values = share[None] if path.parent.name == 'crop_map' else clean_pixels(read_raster(path), limits, fill)
        if values.shape[1:] != whole.shape:
            raise DataError(
                f'the image has {values.shape[1]} x {values.shape[2]} pixels, the first of its region {whole.height} x '
                f'{whole.width}',
                path=path,
                hint='Export it again with the same region and scale.',
            )
        for patch, window in windows.items():
            rows, columns = window.slices
            content = encode_raster(values[:, rows, columns], whole.part(window), None)
            fileio.put(content, folder / f'{patch}.tif')
    return len(windows)


def _share(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Marked share of each pixel of the images, (H, W) float32."""
    mask = read_raster(path)[0]
    if not np.isin(mask, (0, 255)).all():
        raise DataError(
            f'a published mask holds 0 and 255, this one {np.unique(mask)[:5].tolist()} …',
            path=path,
            hint='Masks of polygons.py are cut already, in patches/.',
        )
    return resize_mask(mask, shape).astype(np.float32)
