"""Writing simulated regions in the layout of CropMapping: monthly composites of Sentinel-1 and Sentinel-2 before the
harvest, with EUCROPMAP's codes, or with a few marked fields of one crop at a time."""

import csv
import datetime
import hashlib
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..composite_windows import monthly_windows
from ..cropmapping import EUCROPMAP_CLASSES, EUCROPMAP_CODES, ISRC_CROPS
from .landscape import PIXEL_SIZE
from .layouts import (
    COORDINATES,
    DESCRIPTION,
    ORIGIN,
    SIMULATOR_VERSION,
    Progress,
    build_folder,
    patch_window,
    plan_patches,
    write_json,
)
from .phenology import CROPS, NEVER
from .region import VOID, RegionConfig, SimulatedRegion, simulate_region
from .sensors import REFLECTANCE_SCALE
from .surface import OTHER_COVERS, SETTLEMENT, WATER, WOODLAND

EUCROPMAP_OF_CROP = {1: 500, 2: 211, 3: 216, 4: 213, 5: 232, 6: 213, 7: 231, 9: 222, 10: 218, 13: 221, 15: 233, 18: 219}
"""Code of EUCROPMAP of each simulated crop, by its PASTIS number; grapevine has none."""
EUCROPMAP_OF_COVER = {WOODLAND: 300, SETTLEMENT: 100, WATER: 700}
ISRC_OF_CROP = {5: 1, 3: 4, 15: 6, 9: 7, 13: 8}
"""Number, from 1, of the Iranian crop that each simulated crop stands for: rapeseed for canola, maize, soybeans for
peas, beet for sugar beet, potatoes for tomatoes. Cotton, lentils and onions are absent."""
ISRC_CLASSES = (1, 2, 3, 5, 7, 9, 13, 15)
"""Simulated crops where none are asked for; those without an Iranian crop are never marked."""
UNKNOWN = 255

SPLIT_FOLDS = {'train': (1, 2, 3, 4), 'val': (5,), 'test': (6, 7)}
"""Folds, compact groups of patches, of each split; each fold is a region of the table."""
FOLDS = 7
PROVINCE = 'Simulated'
"""Of all regions, in their table and in the calendar."""
HARVEST = '2018-08-01'


def season_of(harvest: str = HARVEST) -> tuple[str, str]:
    """First and last day that the composites of a harvest need."""
    windows = monthly_windows(datetime.date.fromisoformat(harvest))
    return windows[0][0].isoformat(), (windows[-1][1] - datetime.timedelta(1)).isoformat()


def write_eurocropmap(
    regions: RegionConfig | SimulatedRegion | list[RegionConfig | SimulatedRegion],
    out_dir: str | os.PathLike[str],
    harvest_date: str = HARVEST,
    patch_size: int = 64,
    patches: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a region in the layout of `EuroCropMapDataset`.

    Files, of each split (train, val, test: compact groups of patches; a field that lies in two has no label in the
    later):

    - ``<split>/s1/<1..6>/<name>.tif``: float32 (2, H, W), monthly means of VV and VH in dB;
    - ``<split>/s2/<1..6>/<name>.tif``: float32 (10, H, W), monthly medians of clear reflectances, NaN where all was
      clouded;
    - ``<split>/crop_map/<name>.tif``: int16 (1, H, W), codes of EUCROPMAP, 0 where there is no label;
    - ``regions.csv``: region (uuid), harvest date, split, province;
    - ``calendar.csv``: planting and harvest of the simulated crops, under the names of their classes;
    - ``SIMULATION/simulation.json``: the configuration; written last.

    Args:
        regions: The region, with the sensors 's2' and 's1a' and a season as `season_of` says.
        out_dir: Folder of the data set. If it holds one with the same configuration, nothing is done.
        harvest_date: 'YYYY-MM-DD'.
        patch_size: Side of the patches, pixels.
        patches: Most patches to write, 7 or more; None for as many as fit.
        overwrite: Whether another simulated data set in ``out_dir`` is replaced.
        progress: Called during the work.

    Returns:
        The folder.

    Raises:
        ValueError: If there are several regions, or the region lacks a sensor, days or patches.
        FileExistsError: If ``out_dir`` holds anything else.
    """
    return _Layout('eurocropmap', harvest_date, patch_size, patches).write(regions, out_dir, overwrite, progress)


def write_isrc(
    regions: RegionConfig | SimulatedRegion | list[RegionConfig | SimulatedRegion],
    out_dir: str | os.PathLike[str],
    harvest_date: str = HARVEST,
    patch_size: int = 64,
    patches: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write a region in the layout of `ISRCDataset`, partially labelled.

    As `write_eurocropmap`, but training patches are in a folder for each crop, ``train/<crop>/…``, with masks of 1 (a
    marked field of the crop), 0 (a marked field of another crop) and 255; a patch occurs once for each crop that is
    marked on it. Patches to validate and test with are fully known: ``<split>/all_crops/…``, with maps of 0 (none of
    the eight crops) to 8. `RegionConfig.annotated_share` is the share of the fields that are marked.

    Arguments, return value and errors are those of `write_eurocropmap`.
    """
    return _Layout('isrc', harvest_date, patch_size, patches).write(regions, out_dir, overwrite, progress)


class _Layout:
    """What both layouts share, and what tells them apart."""

    def __init__(self, name: str, harvest_date: str, patch_size: int, patches: int | None) -> None:
        self.name, self.harvest_date, self.patch_size, self.patches = name, harvest_date, patch_size, patches

    def write(
        self,
        regions: RegionConfig | SimulatedRegion | list[RegionConfig | SimulatedRegion],
        out_dir: str | os.PathLike[str],
        overwrite: bool,
        progress: Progress | None,
    ) -> Path:
        items = [regions] if isinstance(regions, RegionConfig | SimulatedRegion) else list(regions)
        if len(items) != 1:
            raise ValueError(f'the layout of CropMapping takes one region, not {len(items)}.')
        config = items[0].config if isinstance(items[0], SimulatedRegion) else items[0]
        self._check(config)
        plan = plan_patches([config], self.patch_size, FOLDS, self.patches)[0]
        description = {
            'simulator_version': SIMULATOR_VERSION,
            'layout': self.name,
            'harvest_date': self.harvest_date,
            'patch_size': self.patch_size,
            'patches': self.patches,
            'configs': [config.to_dict()],
        }

        def write(folder: Path) -> None:
            region = simulate_region(items[0]) if isinstance(items[0], RegionConfig) else items[0]
            self._write(folder, region, plan, progress or (lambda what, done, total: None))
            write_json(folder / DESCRIPTION, description, indent=2)

        return build_folder(out_dir, description, overwrite, write)

    def _check(self, config: RegionConfig) -> None:
        lacking = {'s2', 's1a'} - set(config.sensors)
        if lacking:
            raise ValueError(
                f'the layout of CropMapping needs the sensors s2 and s1a, {", ".join(lacking)} is missing.'
            )
        first, last = (np.datetime64(day) for day in season_of(self.harvest_date))
        if config.first_day > first or config.last_day < last:
            raise ValueError(
                f'composites before a harvest on {self.harvest_date} need the days from {first} to {last}; the season '
                f'is {config.first_day} to {config.last_day}.'
            )

    def _write(self, folder: Path, region: SimulatedRegion, plan: Sequence[Any], tell: Progress) -> None:
        split_of_fold = {fold: split for split, folds in SPLIT_FOLDS.items() for fold in folds}
        names = _names(region.config.seed, plan)
        targets = [list(self._labels(region, plan, patch, split_of_fold)) for patch in plan]
        windows = monthly_windows(datetime.date.fromisoformat(self.harvest_date))
        for number, (start, end) in enumerate(windows):
            tell('composites', number, len(windows))
            for sensor, values in (('s1', _radar(region, start, end)), ('s2', _optical(region, start, end))):
                for patch, name, roots in zip(plan, names, targets, strict=True):
                    content = self._encoded(values, patch, np.nan) if roots else b''
                    for root, _ in roots:
                        _write_file(folder / root / sensor / str(number + 1) / f'{name}.tif', content)
        tell('composites', len(windows), len(windows))
        for patch, name, roots in zip(plan, names, targets, strict=True):
            for root, labels in roots:
                _write_file(folder / root / 'crop_map' / f'{name}.tif', self._encoded(labels[None], patch, None))
        folds = {(name.rsplit('_', 2)[0], patch.fold) for patch, name in zip(plan, names, strict=True)}
        self._write_tables(folder, region.config, sorted(folds))

    def _labels(self, region: SimulatedRegion, plan: Sequence[Any], patch: Any, splits: dict[int, str]) -> Any:
        """Root and label map, of the whole region, of each copy of a patch."""
        split = splits[patch.fold]
        earlier = list(SPLIT_FOLDS)[: list(SPLIT_FOLDS).index(split)]
        seen = [region.parcel_ids[patch_window(p, self.patch_size)] for p in plan if splits[p.fold] in earlier]
        known_before = np.isin(region.parcel_ids, np.unique(seen)) & (region.parcel_ids > 0) if seen else None
        if self.name == 'eurocropmap':
            labels = _eurocropmap_codes(region)
            yield split, labels if known_before is None else np.where(known_before, 0, labels).astype(np.int16)
            return
        crops = np.zeros(256, np.uint8)
        for pastis, number in ISRC_OF_CROP.items():
            crops[pastis] = number
        if split != 'train':
            truth = crops[region.true_class]
            yield f'{split}/all_crops', np.where(False if known_before is None else known_before, UNKNOWN, truth)
            return
        marked = (region.label != VOID) & (region.parcel_ids > 0)
        held = np.where(marked, crops[region.true_class], UNKNOWN).astype(np.uint8)
        inside = held[patch_window(patch, self.patch_size)]
        for number in np.setdiff1d(inside, (0, UNKNOWN)).tolist():
            mask = np.where(held == UNKNOWN, UNKNOWN, held == number).astype(np.uint8)
            yield f'train/{ISRC_CROPS[number - 1]}', mask

    def _encoded(self, values: NDArray[Any], patch: Any, nodata: float | None) -> bytes:
        from affine import Affine
        from rasterio.crs import CRS

        from ..polygons.patches import encode_raster
        from ..scene.grid import Grid

        size = self.patch_size
        rows, columns = patch_window(patch, size)
        west, north = ORIGIN[0] + PIXEL_SIZE * patch.left, ORIGIN[1] - PIXEL_SIZE * patch.top
        transform = Affine(PIXEL_SIZE, 0, west, 0, -PIXEL_SIZE, north)
        grid = Grid(CRS.from_epsg(int(COORDINATES.rsplit(':', 1)[1])), transform, size, size)
        return encode_raster(np.ascontiguousarray(values[:, rows, columns]), grid, nodata)

    def _write_tables(self, folder: Path, config: RegionConfig, regions: Sequence[tuple[str, int]]) -> None:
        split_of_fold = {fold: split for split, folds in SPLIT_FOLDS.items() for fold in folds}
        rows = [(uid, self.harvest_date, 'Simulated', split_of_fold[fold], PROVINCE) for uid, fold in regions]
        _write_csv(folder / 'regions.csv', ('uuid', 'harvest_date', 'country', 'split', 'province'), rows)
        dates = ('Planting Start Date', 'Planting End Date', 'Harvest Start Date', 'Harvest End Date')
        calendar = [(_season_name(self.name, crop), PROVINCE, *_season(config, crop)) for crop in config.classes]
        _write_csv(folder / 'calendar.csv', ('crop', 'Province', *dates), [row for row in calendar if row[0]])


def _names(seed: int, plan: Sequence[Any]) -> list[str]:
    """Names of patches: the region is the fold, rows and columns count from its upper left corner."""
    names = []
    for patch in plan:
        fold = [other for other in plan if other.fold == patch.fold]
        tops, lefts = sorted({p.top for p in fold}), sorted({p.left for p in fold})
        uid = hashlib.md5(f'{seed} {patch.fold}'.encode(), usedforsecurity=False).hexdigest()
        names.append(f'{uid}_r{tops.index(patch.top):02d}_c{lefts.index(patch.left):02d}')
    return names


def _eurocropmap_codes(region: SimulatedRegion) -> NDArray[np.int16]:
    """Codes of EUCROPMAP, 0 without label, int16, shape (H, W)."""
    crops = np.zeros(256, np.int16)
    for pastis, code in EUCROPMAP_OF_CROP.items():
        crops[pastis] = code
    covers = region.units.cover[region.landscape.dominant]
    other = np.array([EUCROPMAP_OF_COVER.get(cover, 0) for cover in range(len(OTHER_COVERS))], np.int16)
    return np.where(
        region.parcel_ids > 0, crops[region.label], other[np.minimum(covers, len(OTHER_COVERS) - 1)]
    ).astype(np.int16)


def _inside(dates: NDArray[Any], start: datetime.date, end: datetime.date) -> list[int]:
    """Positions of the acquisitions of a window."""
    chosen = (dates >= np.datetime64(start)) & (dates < np.datetime64(end))
    return [int(index) for index in np.flatnonzero(chosen)]


def _radar(region: SimulatedRegion, start: datetime.date, end: datetime.date) -> NDArray[np.float32]:
    """VV and VH in dB, the means of the powers of a window, (2, H, W); NaN where nothing was acquired."""
    powers = [
        10 ** (region.acquisition('s1a', index)[:2].astype(np.float64) / 10)
        for index in _inside(region.dates['s1a'], start, end)
    ]
    if not powers:
        return np.full((2, *region.label.shape), np.nan, np.float32)
    return (10 * np.log10(np.mean(powers, axis=0))).astype(np.float32)


def _optical(region: SimulatedRegion, start: datetime.date, end: datetime.date) -> NDArray[np.float32]:
    """Reflectances, the medians of the clear acquisitions of a window, (10, H, W); NaN where none is clear."""
    found = [region.s2_acquisition(index) for index in _inside(region.dates['s2'], start, end)]
    if not found:
        return np.full((10, *region.label.shape), np.nan, np.float32)
    clear = np.stack([mask == 0 for _, mask in found])
    values = np.stack([image for image, _ in found]).astype(np.float32) / REFLECTANCE_SCALE
    values[np.broadcast_to(~clear[:, None], values.shape)] = np.nan
    median = np.full(values.shape[1:], np.nan, np.float32)
    seen = clear.any(0)
    median[:, seen] = np.nanmedian(values[:, :, seen], axis=0)
    return median


def _season_name(layout: str, crop: int) -> str:
    """Name of a crop's season in the calendar: its class, with the crop behind where a class may stand for two; empty
    for crops that are no class."""
    if layout == 'isrc':
        return ISRC_CROPS[ISRC_OF_CROP[crop] - 1] if crop in ISRC_OF_CROP else ''
    if crop not in EUCROPMAP_OF_CROP:
        return ''
    return f'{EUCROPMAP_CLASSES[EUCROPMAP_CODES.index(EUCROPMAP_OF_CROP[crop])]}_{CROPS[crop].name}'


def _season(config: RegionConfig, crop: int) -> tuple[str, str, str, str]:
    """Planting and harvest as full dates, '-' for crops that are not harvested."""
    harvest, spread = CROPS[crop].harvest, CROPS[crop].harvest_spread
    if harvest == NEVER:
        return '-', '-', '-', '-'
    sown = min(cycle.start for cycle in CROPS[crop].cycles)
    days = np.array([sown - 45, sown - 15, harvest - spread, harvest + spread]).astype(int)
    shifted = config.harvest_year_start + days + round(config.temporal_shift_days)
    return tuple(str(day) for day in shifted)  # type: ignore[return-value]


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(header)
    writer.writerows(rows)
    _write_file(path, text.getvalue().encode())


def _write_file(path: Path, content: bytes) -> None:
    # The whole folder takes its place at the end (`build_folder`).
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
