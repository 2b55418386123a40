"""Writing simulated regions in the layouts of MTLCC (Munich): tiles of 13 bands as gzip TFRecords or as GeoTIFFs."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..mtlcc import CLASSES, CODES, RECORD_END, RESOLUTIONS, SPLIT_FILES
from ..tfrecord import encode_example, write_records
from .layouts import DESCRIPTION, SIMULATOR_VERSION, Progress, build_folder, patch_window, plan_patches, write_json
from .region import RegionConfig, SimulatedRegion, simulate_region
from .spectra import BANDS

CROP_CODES = {1: 3, 2: 22, 3: 26, 4: 23, 5: 5, 6: 25, 9: 1, 10: 12, 13: 16, 14: 13, 15: 17}
"""Code of MTLCC of the crops that it has, by their PASTIS numbers; the others are unknown, code 0."""

SPLIT_FOLDS = {'train': (1, 2, 3, 4), 'val': (5,), 'test': (6, 7)}
"""Folds, compact groups of tiles, of each split."""
FOLDS = 7
FIRST_TILE = 1

NOT_SIMULATED = {'B01': ('B02', 1.1), 'B09': ('B8A', 0.5), 'B10': ('B02', 0.02)}
"""Bands of 60 m that the simulator has no spectrum of: another band and the share of it that they are taken to be."""
PADDING = 2
"""Steps without a date behind those of a TFRecord; the download pads its series too."""


def write_mtlcc(
    regions: RegionConfig | SimulatedRegion | list[RegionConfig | SimulatedRegion],
    out_dir: str | os.PathLike[str],
    patch_size: int = 48,
    patches: int | None = None,
    form: str = 'tfrecord',
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a region in a layout of MTLCC (Rußwurm and Körner 2018).

    Files, with ``<yy>`` the last digits of the year:

    - ``classes.txt``: the published table of codes and names;
    - ``tileids/{train_fold0,test_fold0,eval}.tileids``: compact groups of tiles;
    - ``data<yy>/<tile>.tfrecord.gz``: images of 10, 20 and 60 m, dates and labels; or
    - ``data<yy>/<tile>/y.tif`` and ``<yyyymmdd>_{10,20,60}m.tif``;
    - ``SIMULATION/simulation.json``: the configuration; written last.

    Bands of 20 and 60 m are means of pixels of 10 m. Three bands of 60 m are not simulated but made up of others.

    Args:
        regions: The region; it must have the sensor 's2' and lie in one calendar year.
        out_dir: Folder of the data set. If it holds one with the same configuration, nothing is done.
        patch_size: Side of the tiles, pixels; a multiple of 6.
        patches: Most tiles to write, 7 or more; None for as many as fit.
        form: 'tfrecord' or 'geotiff'.
        overwrite: Whether another simulated data set in ``out_dir`` is replaced.
        progress: Called during the work.

    Returns:
        The folder.

    Raises:
        ValueError: If there are several regions, or the region has no Sentinel-2, spans two years or has too few tiles.
        FileExistsError: If ``out_dir`` holds anything else.
    """
    items = [regions] if isinstance(regions, RegionConfig | SimulatedRegion) else list(regions)
    if len(items) != 1:
        raise ValueError(f'the layout of MTLCC takes one region, not {len(items)}.')
    config = items[0].config if isinstance(items[0], SimulatedRegion) else items[0]
    if 's2' not in config.sensors:
        raise ValueError("the layout of MTLCC needs the sensor 's2'.")
    years = {int(str(day)[:4]) for day in (config.first_day, config.last_day)}
    if len(years) > 1:
        raise ValueError(f'the layout of MTLCC needs a season within one calendar year, not {sorted(years)}.')
    if patch_size % 6:
        raise ValueError(f'tiles of MTLCC have a multiple of 6 pixels, not {patch_size}: bands of 60 m must fit.')
    if form not in ('tfrecord', 'geotiff'):
        raise ValueError(f"form must be 'tfrecord' or 'geotiff', not {form!r}.")
    plan = plan_patches([config], patch_size, FOLDS, patches)[0]
    description = {
        'simulator_version': SIMULATOR_VERSION,
        'layout': 'mtlcc',
        'patch_size': patch_size,
        'patches': patches,
        'form': form,
        'configs': [config.to_dict()],
    }

    def write(folder: Path) -> None:
        region = simulate_region(items[0]) if isinstance(items[0], RegionConfig) else items[0]
        tell = progress or (lambda what, done, total: None)
        images = _all_images(region, tell)
        labels = crop_codes(region)
        place = folder / f'data{years.pop() % 100:02d}'
        place.mkdir()
        for number, patch in enumerate(plan):
            tell('tiles', number, len(plan))
            rows, columns = patch_window(patch, patch_size)
            stacks = by_resolution(images[:, :, rows, columns])
            write_tile = _write_record if form == 'tfrecord' else _write_rasters
            write_tile(place, str(FIRST_TILE + number), stacks, region.dates['s2'], labels[rows, columns])
        tell('tiles', len(plan), len(plan))
        _write_lists(folder, plan)
        write_json(folder / DESCRIPTION, description, indent=2)

    return build_folder(out_dir, description, overwrite, write)


def crop_codes(region: SimulatedRegion) -> NDArray[np.uint8]:
    """Return the labels in codes of MTLCC, 0 where unknown, uint8, shape (H, W)."""
    table = np.zeros(256, np.uint8)
    table[list(CROP_CODES)] = list(CROP_CODES.values())
    return table[region.label]


def by_resolution(images: NDArray[np.int16]) -> dict[int, NDArray[np.uint16]]:
    """Return the images of the bands of each resolution.

    Args:
        images: Simulated bands, reflectance times 10000, shape (T, 10, H, W).

    Returns:
        Metres to uint16 (T, C, h, w), means of the pixels of 10 m.
    """
    values = np.clip(images, 0, None).astype(np.float64)
    stacks = {}
    for size, bands in RESOLUTIONS.items():
        sources = [NOT_SIMULATED.get(band, (band, 1.0)) for band in bands]
        chosen = np.stack([values[:, BANDS.index(band)] * share for band, share in sources], axis=1)
        steps = size // 10
        dates, count, height, width = chosen.shape
        blocks = chosen.reshape(dates, count, height // steps, steps, width // steps, steps)
        stacks[size] = np.rint(blocks.mean(axis=(3, 5))).astype(np.uint16)
    return stacks


def write_raster(path: Path, values: NDArray[Any]) -> None:
    """Write a GeoTIFF without a place, shape (C, H, W)."""
    import warnings

    import rasterio
    from rasterio.errors import NotGeoreferencedWarning

    count, height, width = values.shape
    profile = dict(driver='GTiff', count=count, height=height, width=width, dtype=values.dtype)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        with rasterio.open(path, 'w', **profile) as file:
            file.write(values)


def _all_images(region: SimulatedRegion, tell: Progress) -> NDArray[np.int16]:
    count = len(region.dates['s2'])
    images = np.empty((count, len(BANDS), *region.label.shape), np.int16)
    for index in range(count):
        tell('s2', index, count)
        images[index] = region.s2_acquisition(index)[0]
    tell('s2', count, count)
    return images


def _write_rasters(
    folder: Path, tile: str, stacks: dict[int, NDArray], dates: NDArray[np.datetime64], codes: NDArray[np.uint8]
) -> None:
    place = folder / tile
    place.mkdir()
    write_raster(place / 'y.tif', codes[None])
    for size, images in stacks.items():
        for date, image in zip(dates, images, strict=True):
            write_raster(place / f'{str(date).replace("-", "")}_{size}m.tif', image)


def _write_record(
    folder: Path, tile: str, stacks: dict[int, NDArray], dates: NDArray[np.datetime64], codes: NDArray[np.uint8]
) -> None:
    years = dates.astype('datetime64[Y]')
    arrays = {
        **{f'x{size}': images.transpose(0, 2, 3, 1) for size, images in stacks.items()},
        'labels': np.repeat(codes[None], len(dates), axis=0),
    }
    padded = {name: _padded(values) for name, values in arrays.items()}
    features: dict[str, Any] = {}
    for name, values in padded.items():
        features[f'{name}/data'] = values.tobytes()
        features[f'{name}/shape'] = np.array(values.shape)
    features['dates/doy'] = _padded((dates - years.astype('datetime64[D]')).astype(np.int64) + 1).tobytes()
    features['dates/year'] = _padded(years.astype(np.int64) + 1970).tobytes()
    features['dates/shape'] = np.array([len(dates) + PADDING])
    write_records(folder / f'{tile}{RECORD_END}', [encode_example(features)])


def _padded(values: NDArray[Any]) -> NDArray[np.int64]:
    """The values as the download stores them, with steps without a date behind them."""
    by = [(0, PADDING)] + [(0, 0)] * (values.ndim - 1)
    return np.ascontiguousarray(np.pad(values.astype('<i8'), by))


def _write_lists(folder: Path, plan: list[Any]) -> None:
    table = ''.join(f'{code}|{name}\n' for code, name in zip(CODES, CLASSES, strict=True))
    (folder / 'classes.txt').write_text(table, encoding='utf-8')
    (folder / 'tileids').mkdir()
    for split, folds in SPLIT_FOLDS.items():
        tiles = [str(FIRST_TILE + number) for number, patch in enumerate(plan) if patch.fold in folds]
        name = SPLIT_FILES[split].format(fold=0)
        (folder / 'tileids' / f'{name}.tileids').write_text('\n'.join(tiles) + '\n', encoding='utf-8')
