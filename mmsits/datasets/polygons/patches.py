"""Square patches cut out of a region's mask and images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from mmengine import fileio

from ..errors import DataError
from ..scene.grid import Grid, Window

PatchGrid = Literal['whole', 'published', 'disjoint']
Limits = tuple[float, float]


class PatchSteps(NamedTuple):
    """Where patches start along one side.

    Attributes:
        step: pixels from one start to the next.
        patches: how many there are.
        overlap: pixels that neighbours share.
    """

    step: int
    patches: int
    overlap: int

    @property
    def starts(self) -> list[int]:
        """First pixel of each patch."""
        return [index * self.step for index in range(self.patches)]


def published_steps(length: int, size: int = 64, overlapping: bool = True) -> PatchSteps:
    """The published grid: the overlap up to half a patch that leaves the fewest pixels over, the smallest of equals.

    What is left over at the end is dropped.

    Args:
        length: of the side, pixels.
        size: of a patch, pixels.
        overlapping: False for patches side by side.

    Returns:
        The steps; the number of patches is 0 or less for a side shorter than a patch.
    """
    if not overlapping:
        return PatchSteps(size, length // size, 0)
    remainders = [(length - size) % (size - overlap) for overlap in range(size // 2 + 1)]
    # Only an overlap that leaves less than the largest possible remainder counts.
    overlap = int(np.argmin(remainders)) if min(remainders) < size - 1 else 0
    step = size - overlap
    return PatchSteps(step, (length - size) // step + 1, overlap)


def whole_starts(length: int, size: int = 64) -> list[int]:
    """Starts of the fewest patches that hold every pixel, evenly spread; none for a side shorter than a patch."""
    if length < size:
        return []
    count = -(-length // size)
    return [round(index * (length - size) / max(count - 1, 1)) for index in range(count)]


def patch_windows(shape: tuple[int, int], size: int = 64, grid: PatchGrid = 'whole') -> dict[tuple[int, int], Window]:
    """The patches of an image.

    Args:
        shape: height and width.
        size: of a patch.
        grid: 'whole' covers every pixel; 'published' and 'disjoint' drop what is left over, see `published_steps`.

    Returns:
        (row, column) of the patch -> its pixels; empty where the image is smaller than a patch.

    Raises:
        ValueError: if the grid is unknown.
    """
    if grid not in ('whole', 'published', 'disjoint'):
        raise ValueError(f"the patch grid must be 'whole', 'published' or 'disjoint', not {grid!r}")
    starts = [
        whole_starts(length, size) if grid == 'whole' else published_steps(length, size, grid == 'published').starts
        for length in shape
    ]
    return {
        (row, column): Window(top, left, size, size)
        for row, top in enumerate(starts[0])
        for column, left in enumerate(starts[1])
    }


def patch_name(uid: str, row: int, column: int) -> str:
    """Name of a patch's files without ending, as published."""
    return f'{uid}_r{row:02d}_c{column:02d}'


def tile_name(uid: str, row: int, column: int) -> str:
    """Name of a tile of a region that is too large to be one image."""
    return f'{uid}_t{row:03d}_{column:03d}'


def clean_pixels(values: np.ndarray, limits: Limits | None = None, fill: float | None = None) -> np.ndarray:
    """What the published patcher does to images: clip, then put a number in the place of NaN.

    Args:
        values: any shape, floating.
        limits: lowest and highest; published (-25, 15) for both sensors.
        fill: published 0, which for decibels is a bright value; None keeps NaN, the mark of what was not observed.
    """
    if limits is not None:
        values = np.clip(values, *limits)
    return values if fill is None else np.where(np.isnan(values), np.asarray(fill, values.dtype), values)


def encode_raster(
    values: np.ndarray, grid: Grid, nodata: float | None, bands: Sequence[str] = (), **tags: str
) -> bytes:
    """A GeoTIFF, compressed.

    Args:
        values: (C, H, W).
        grid: its pixels.
        nodata: the number that stands for no value.
        bands: their names.
        **tags: written into the file.
    """
    from rasterio.io import MemoryFile

    count, height, width = values.shape
    # Predictors: whole numbers as differences; floating ones compress worse with any of them.
    profile = dict(driver='GTiff', count=count, height=height, width=width, dtype=values.dtype, compress='deflate')
    with MemoryFile() as memory:
        with memory.open(**profile, crs=grid.crs, transform=grid.transform, nodata=nodata) as file:
            file.write(values)
            if bands:
                file.descriptions = tuple(bands)
            file.update_tags(**tags)
        return bytes(memory.read())


def open_raster(path: str | Path) -> Any:
    """Open a raster with rasterio.

    Raises:
        DataError: if it is not readable.
    """
    import rasterio
    from rasterio.errors import RasterioError

    try:
        return rasterio.open(path)
    except (RasterioError, OSError) as error:
        raise DataError(f'not a readable image ({error})', path=path, hint='Get it again.') from error


def read_raster(path: str | Path, window: Window | None = None) -> np.ndarray:
    """Values of a raster, or of a window of it, (C, H, W).

    Raises:
        DataError: if the file is not readable, or ends too early.
    """
    from rasterio.errors import RasterioError

    with open_raster(path) as file:
        area = None if window is None else tuple((part.start, part.stop) for part in window.slices)
        try:
            return file.read(window=area)
        except (RasterioError, OSError) as error:
            raise DataError(
                f'the image cannot be read to its end ({error})', path=path, hint='It was cut off: get it again.'
            ) from error


def cut_image(
    path: Path, folder: Path, masks: Sequence[Path], limits: Limits | None = None, fill: float | None = None
) -> int:
    """Cut an image where the patches of its region's mask lie.

    Args:
        path: the image, on the lattice of the mask.
        folder: to write to; the files are named as the masks.
        masks: patches of the mask.
        limits: see `clean_pixels`.
        fill: see `clean_pixels`.

    Returns:
        How many patches were written; those that exist already are left.

    Raises:
        DataError: if the image is damaged, or lies on other pixels.
    """
    missing = [mask for mask in masks if not (folder / mask.name).exists()]
    if not missing:
        return 0
    values = read_raster(path)
    with open_raster(path) as file:
        grid = Grid(file.crs, file.transform, file.height, file.width)
        bands, nodata = [name or '' for name in file.descriptions], file.nodata
    for mask in missing:
        with open_raster(mask) as file:
            patch = Grid(file.crs, file.transform, file.height, file.width)
        place = grid.offset_of(patch)
        inside = place is not None and grid.window.intersection(Window(*place, *patch.shape)).shape == patch.shape
        if place is None or not inside:
            raise DataError(
                f'the image lies on other pixels than the mask {mask.name}, or does not hold it',
                path=path,
                hint='Download it again with the table of regions that the masks were made with.',
            )
        rows, columns = Window(*place, *patch.shape).slices
        content = encode_raster(clean_pixels(values[:, rows, columns], limits, fill), patch, nodata, bands)
        fileio.put(content, folder / mask.name)
    return len(missing)


def cut_region(
    regions: Path, patches: Path, crop: str, uid: str, limits: Limits | None = None, fill: float | None = None
) -> int:
    """Cut all images of a region into the patches of its mask.

    Args:
        regions: folder of the regions; the images are `<crop>/<sensor>/<number>/<uid>.tif` in it.
        patches: folder of the patches, `<split>/<crop>/crop_map/<uid>_r…_c….tif`.
        crop: of the region; '' where folders are not made by crop nor by split.
        uid: of the region.
        limits: see `clean_pixels`.
        fill: see `clean_pixels`.

    Returns:
        How many patches were written.
    """
    written = 0
    for root in [patches] if not crop else sorted(patches.glob(f'*/{crop}')):
        masks = sorted((root / 'crop_map').glob(f'{uid}_r*_c*.tif'))
        if not masks:
            continue
        for path in _images_of(regions / crop, uid):
            written += cut_image(path, root / path.parent.relative_to(regions / crop), masks, limits, fill)
    return written


def cut_labels(path: Path, folder: Path, size: int = 64, grid: PatchGrid = 'whole') -> int:
    """Cut a map of labels into patches; those without any label (0 alone) are left out.

    Args:
        path: the map, one band of codes, 0 for none.
        folder: to write to.
        size: of a patch.
        grid: see `patch_windows`.

    Returns:
        How many patches were written; those that exist already are left.
    """
    codes = read_raster(path)
    with open_raster(path) as file:
        whole = Grid(file.crs, file.transform, file.height, file.width)
    written = 0
    for (row, column), window in patch_windows(whole.shape, size, grid).items():
        target = folder / f'{patch_name(path.stem, row, column)}.tif'
        rows, columns = window.slices
        part = codes[:, rows, columns]
        if part.any() and not target.exists():
            fileio.put(encode_raster(part, whole.part(window), 0, ['classification']), target)
            written += 1
    return written


def _images_of(root: Path, uid: str) -> Iterator[Path]:
    for sensor in ('s1', 's2'):
        yield from sorted((root / sensor).glob(f'*/{uid}.tif'))
