"""Writing simulated regions in the layout of MTS12 (Slovenia): MATLAB files of monthly radar images with land cover."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..mat_files import write_mat
from .layouts import DESCRIPTION, SIMULATOR_VERSION, Progress, build_folder, patch_window, plan_patches, write_json
from .region import RegionConfig, SimulatedRegion, simulate_region
from .sensors import REFLECTANCE_SCALE
from .spectra import BANDS
from .surface import MARGIN, OTHER_COVERS, SETTLEMENT, WATER, WOODLAND

CULTIVATED, FOREST, GRASSLAND, WATER_CODE, ARTIFICIAL = 1, 2, 3, 5, 7
"""Codes of MTS12 that are simulated; shrubland, wetland and bare land do not occur."""
MEADOW = 1
"""The PASTIS number of the crop that is grassland."""
COVER_CODES = {MARGIN: 0, WOODLAND: FOREST, SETTLEMENT: ARTIFICIAL, WATER: WATER_CODE}
"""Code of each land cover that is not farmed; paths have no label."""

SPLIT_FOLDS = {'train': (1, 2, 3, 4), 'val': (5,), 'test': (6, 7)}
"""Folds, compact groups of patches, of each split: about the published shares of 54, 14 and 32 %."""
FOLDS = 7

DARKEST, BRIGHTEST = -30.0, 0.0
"""Decibels that become 0 and 255."""
S2_BANDS = ('B02', 'B03', 'B04', 'B08', 'B11', 'B12')


def write_mts12(
    regions: RegionConfig | SimulatedRegion | list[RegionConfig | SimulatedRegion],
    out_dir: str | os.PathLike[str],
    patch_size: int = 128,
    patches: int | None = None,
    mat_version: str = 'v5',
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a region in the layout of MTS12 (Zhao and Ji 2022).

    Files, for a patch ``eopatch_id_<n>_col_<c>_row_<r>`` of a split (train, val, test: compact groups of patches):

    - ``s1/<split>/<name>.mat``: ``band`` uint8 (12, H, W, 2), monthly means of VV and VH of the ascending pass, -30
      to 0 dB stretched to 0 to 255;
    - ``s2/<split>/<name>.mat``, if the region has Sentinel-2: ``band`` uint16 (12, H, W, 6), each month's image with
      the fewest clouds;
    - ``label/<split>/<name>_label.mat``: ``label`` uint8 (H, W), codes of MTS12, 0 without label;
    - ``SIMULATION/simulation.json``: the configuration; written last.

    Args:
        regions: The region; it must have the sensor 's1a' and span twelve calendar months.
        out_dir: Folder of the data set. If it holds one with the same configuration, nothing is done.
        patch_size: Side of the patches, pixels.
        patches: Most patches to write, 7 or more; None for as many as fit.
        mat_version: Version of the files, 'v5' or 'v73'.
        overwrite: Whether another simulated data set in ``out_dir`` is replaced.
        progress: Called during the work.

    Returns:
        The folder.

    Raises:
        ValueError: If there are several regions, or the region has no radar, no twelve months or too few patches.
        FileExistsError: If ``out_dir`` holds anything else.
    """
    items = [regions] if isinstance(regions, RegionConfig | SimulatedRegion) else list(regions)
    if len(items) != 1:
        raise ValueError(f'the layout of MTS12 takes one region, not {len(items)}.')
    config = items[0].config if isinstance(items[0], SimulatedRegion) else items[0]
    if 's1a' not in config.sensors:
        raise ValueError("the layout of MTS12 needs the sensor 's1a'.")
    months = np.arange(config.first_day.astype('datetime64[M]'), config.last_day.astype('datetime64[M]') + 1)
    if len(months) != 12:
        raise ValueError(f'the layout of MTS12 needs twelve calendar months, not {len(months)}.')
    plan = plan_patches([config], patch_size, FOLDS, patches)[0]
    description = {
        'simulator_version': SIMULATOR_VERSION,
        'layout': 'mts12',
        'patch_size': patch_size,
        'patches': patches,
        'mat_version': mat_version,
        'configs': [config.to_dict()],
    }

    def write(folder: Path) -> None:
        region = simulate_region(items[0]) if isinstance(items[0], RegionConfig) else items[0]
        tell = progress or (lambda what, done, total: None)
        images: dict[str, NDArray[Any]] = {'s1': _monthly_radar(region, months, tell)}
        if 's2' in config.sensors:
            images['s2'] = _monthly_optical(region, months, tell)
        labels = land_cover(region)
        for number, patch in enumerate(plan):
            tell('patches', number, len(plan))
            split = next(name for name, folds in SPLIT_FOLDS.items() if patch.fold in folds)
            name = f'eopatch_id_{number}_col_{patch.left // patch_size}_row_{patch.top // patch_size}'
            rows, columns = patch_window(patch, patch_size)
            for sensor, values in images.items():
                part = np.ascontiguousarray(values[:, rows, columns])
                write_mat(folder / sensor / split / f'{name}.mat', 'band', part, mat_version)
            part = np.ascontiguousarray(labels[rows, columns])
            write_mat(folder / 'label' / split / f'{name}_label.mat', 'label', part, mat_version)
        tell('patches', len(plan), len(plan))
        write_json(folder / DESCRIPTION, description, indent=2)

    return build_folder(out_dir, description, overwrite, write)


def land_cover(region: SimulatedRegion) -> NDArray[np.uint8]:
    """Return the land cover in codes of MTS12, 0 for paths and parcels that are not labelled, uint8, shape (H, W)."""
    crops = np.array([0, *(GRASSLAND if number == MEADOW else CULTIVATED for number in range(1, 19)), 0], np.uint8)
    covers = region.units.cover[region.landscape.dominant]
    other = np.array([COVER_CODES[cover] for cover in range(len(OTHER_COVERS))], np.uint8)
    farmed = region.parcel_ids > 0
    return np.where(farmed, crops[region.label], other[np.minimum(covers, len(OTHER_COVERS) - 1)])


def _of_month(region: SimulatedRegion, sensor: str, month: np.datetime64) -> NDArray[np.int64]:
    """Positions of the acquisitions of a month, or of the one nearest to its middle."""
    dates = region.dates[sensor]
    inside = np.flatnonzero(dates.astype('datetime64[M]') == month)
    if len(inside):
        return inside
    middle = month.astype('datetime64[D]') + 15
    return np.array([np.abs(dates - middle).argmin()])


def _monthly_radar(region: SimulatedRegion, months: NDArray[Any], tell: Progress) -> NDArray[np.uint8]:
    """Return means of the powers of each month, as stretched decibels, (12, H, W, 2)."""
    images = np.empty((len(months), *region.label.shape, 2), np.uint8)
    for number, month in enumerate(months):
        tell('s1', number, len(months))
        powers = [
            10 ** (region.acquisition('s1a', int(index))[:2].astype(np.float64) / 10)
            for index in _of_month(region, 's1a', month)
        ]
        decibels = 10 * np.log10(np.mean(powers, axis=0))
        stretched = (decibels - DARKEST) / (BRIGHTEST - DARKEST) * 255
        images[number] = np.moveaxis(np.clip(np.rint(stretched), 0, 255), 0, -1)
    tell('s1', len(months), len(months))
    return images


def _monthly_optical(region: SimulatedRegion, months: NDArray[Any], tell: Progress) -> NDArray[np.uint16]:
    """Return the image of each month with the fewest clouds and shadows, (12, H, W, 6)."""
    order = [BANDS.index(band) for band in S2_BANDS]
    images = np.empty((len(months), *region.label.shape, len(order)), np.uint16)
    for number, month in enumerate(months):
        tell('s2', number, len(months))
        found = [region.s2_acquisition(int(index)) for index in _of_month(region, 's2', month)]
        clearest = min(found, key=lambda image: float((image[1] > 0).mean()))[0]
        images[number] = np.moveaxis(np.clip(clearest[order], 0, 2 * REFLECTANCE_SCALE), 0, -1)
    tell('s2', len(months), len(months))
    return images
