"""Writing simulated regions in the layout of SITS-MoCo: series of single pixels, by year, with classes of the Cropland
Data Layer."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .layouts import DESCRIPTION, SIMULATOR_VERSION, Progress, build_folder, write_json
from .random_fields import Concern, stream
from .region import VOID, RegionConfig, SimulatedRegion, simulate_region
from .surface import WOODLAND


class CdlClass(NamedTuple):
    """A class as the sample lists name it.

    Attributes:
        number: 0 to 20.
        code: of the Cropland Data Layer.
        name: in English.
    """

    number: int
    code: int
    name: str


OTHER = 20
CROP_CLASSES: dict[int, CdlClass] = {
    1: CdlClass(0, 176, 'Grass/Pasture'),
    2: CdlClass(3, 24, 'Winter Wheat'),
    3: CdlClass(2, 1, 'Corn'),
    4: CdlClass(OTHER, 21, 'Other'),
    5: CdlClass(10, 31, 'Canola'),
    6: CdlClass(OTHER, 21, 'Other'),
    7: CdlClass(11, 6, 'Sunflower'),
    8: CdlClass(OTHER, 69, 'Other'),
    9: CdlClass(OTHER, 41, 'Other'),
    10: CdlClass(OTHER, 205, 'Other'),
    13: CdlClass(OTHER, 43, 'Other'),
    15: CdlClass(1, 5, 'Soybeans'),
    18: CdlClass(17, 4, 'Sorghum'),
}
"""Class of each crop, by PASTIS number."""
FOREST = CdlClass(12, 141, 'Deciduous Forest')
CLASSES = (1, 2, 3, 4, 5, 7, 15, 18)
"""Crops where nothing else is asked for: seven classes, others and forest."""

SITES = ('Adams', 'Coahoma', 'Garfield', 'Harvey', 'Haskell', 'Randolph')
COLUMNS = ('id', 'code', 'path', 'sequencelength', 'classid', 'classname', 'region', 'mode')
NAMES = {'train': 'Train', 'valid': 'Valid', 'eval': 'Eval'}
SHARES = {'train': 2 / 3, 'valid': 1 / 6, 'eval': 1 / 6}
"""Shares of the blocks of each split."""
BLOCKS = 6
"""Blocks along each side of a region."""
LEAST_DATES = 10
"""Dates that an unlabelled series has at least."""
MISSED_CLOUDS = 0.1
"""Share of cloudy and shaded observations that the cloud mask does not find."""


def write_us_crops(
    regions: RegionConfig | SimulatedRegion | Sequence[RegionConfig | SimulatedRegion],
    out_dir: str | os.PathLike[str],
    pixels: int = 600,
    unlabelled: int = 1500,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Write regions in the layout of SITS-MoCo (Xu, Ma and Zhang 2024), each as one site in one year.

    Files:

    - ``<year>/train.csv``, ``valid.csv``, ``eval.csv``: the labelled pixels; ``classmapping20.csv``: the classes;
    - ``<year>/npy/Train_R<n>_Seed<seed>_Class20.npy`` etc.: object array (2, n) of series and classes; a series is
      int16 (T, 11), reflectance times 10000 of ten bands and the day of the year, without the dates under clouds, but
      for a tenth of these, which stands for what a cloud mask misses;
    - ``<year>/npy/Unsupervised_R<n>_Seed<seed>.npy``: object array (n,) of further series, of ten dates or more;
    - ``SIMULATION/simulation.json``: configurations; written last.

    Pixels at the edges of fields have no label. Blocks of each region are shared out to train, valid and eval;
    unlabelled pixels are of the blocks to train on. The same call gives the same bytes.

    Args:
        regions: What to write; of one year at most six, each with the sensor 's2' and a season that is a calendar year.
        out_dir: Folder of the data set. If it holds one with the same configuration, nothing is done.
        pixels: Most labelled pixels of each region.
        unlabelled: Most unlabelled pixels of each region.
        overwrite: Whether another simulated data set in ``out_dir`` is replaced.
        progress: Called during the work.

    Returns:
        The folder.

    Raises:
        ValueError: If a region does not fit the layout, or a year has no pixel for one of the splits.
        FileExistsError: If ``out_dir`` holds anything else.
    """
    regions = [regions] if isinstance(regions, RegionConfig | SimulatedRegion) else list(regions)
    configs = [region.config if isinstance(region, SimulatedRegion) else region for region in regions]
    sites = _name_sites(configs)
    if pixels < 3 or unlabelled < 1:
        raise ValueError(f'3 labelled pixels and 1 unlabelled one are the least, not {pixels} and {unlabelled}.')
    description = {
        'simulator_version': SIMULATOR_VERSION,
        'layout': 'us-crops',
        'pixels': pixels,
        'unlabelled': unlabelled,
        'sites': sites,
        'configs': [config.to_dict() for config in configs],
    }

    def write(folder: Path) -> None:
        found: dict[int, list[_Sampled]] = {}
        for item, site in zip(regions, sites, strict=True):
            region = simulate_region(item) if isinstance(item, RegionConfig) else item
            found.setdefault(_year(region.config), []).append(_sample(region, site, pixels, unlabelled, progress))
        for year, parts in found.items():
            _write_year(folder / str(year), parts, configs[0].seed)
        _write_classes(folder / 'classmapping20.csv')
        write_json(folder / DESCRIPTION, description, indent=2)

    return build_folder(out_dir, description, overwrite, write)


class _Sampled(NamedTuple):
    """Rows of the lists, and series beside them, by split; series without labels."""

    rows: dict[str, list[dict[str, Any]]]
    series: dict[str, list[NDArray[np.int16]]]
    unlabelled: list[NDArray[np.int16]]


def _year(config: RegionConfig) -> int:
    return int(str(config.first_day)[:4])


def _name_sites(configs: list[RegionConfig]) -> list[str]:
    """The site that each region stands for."""
    used: dict[int, int] = {}
    names = []
    for config in configs:
        year = _year(config)
        if config.first_day != np.datetime64(f'{year}-01-01') or config.last_day > np.datetime64(f'{year}-12-31'):
            raise ValueError(
                f'the layout of SITS-MoCo takes calendar years, not {config.first_day} to {config.last_day}.'
            )
        if 's2' not in config.sensors:
            raise ValueError("the layout of SITS-MoCo needs the sensor 's2'.")
        place = used.get(year, 0)
        if place == len(SITES):
            raise ValueError(f'the layout of SITS-MoCo has {len(SITES)} sites, and {year} has more regions.')
        used[year] = place + 1
        names.append(SITES[place])
    return names


def _sample(region: SimulatedRegion, site: str, pixels: int, unlabelled: int, progress: Progress | None) -> _Sampled:
    rng = stream(region.config.seed, Concern.PIXELS)
    classes, split = _pixel_classes(region), _pixel_splits(region.label.shape, rng)
    known = np.flatnonzero(classes >= 0)
    labelled = np.sort(rng.permutation(known)[:pixels])
    others = np.setdiff1d(np.flatnonzero(split == list(NAMES).index('train')), labelled)
    others = np.sort(rng.permutation(others)[:unlabelled])
    positions = np.concatenate([labelled, others])
    values, kept = _observe(region, positions, site, rng, progress)
    days = (region.dates['s2'] - region.config.first_day).astype(int) + 1
    tables = [
        np.column_stack([values[kept[:, number], :, number], days[kept[:, number]]]).astype(np.int16)
        for number in range(len(positions))
    ]
    by_code = {entry.code: entry for entry in (*CROP_CLASSES.values(), FOREST)}
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in NAMES}
    series: dict[str, list[NDArray[np.int16]]] = {name: [] for name in NAMES}
    for pixel, table in zip(labelled.tolist(), tables, strict=False):
        entry, mode = by_code[int(classes[pixel])], list(NAMES)[split[pixel]]
        if not len(table):
            continue
        name = f'{site}_{pixel}'
        path = f'{_year(region.config)}/{site}/{name}.csv'
        values_of_row = (name, entry.code, path, len(table), entry.number, f' {entry.name}', site, mode)
        rows[mode].append(dict(zip(COLUMNS, values_of_row, strict=True)))
        series[mode].append(table)
    return _Sampled(rows, series, [table for table in tables[len(labelled) :] if len(table) >= LEAST_DATES])


def _pixel_classes(region: SimulatedRegion) -> NDArray[np.int64]:
    """Code of the Cropland Data Layer of each pixel of one land unit alone, -1 where there is no label, (H*W,)."""
    codes = np.full(256, -1)
    for number, entry in CROP_CLASSES.items():
        codes[number] = entry.code
    codes[VOID] = -1
    labels = codes[region.label]
    wooded = region.units.cover[region.landscape.dominant] == WOODLAND
    labels = np.where(wooded, FOREST.code, labels)
    return np.where(region.purity >= 0.99, labels, -1).ravel()


def _pixel_splits(shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.int64]:
    """Number of the split of each pixel, by blocks, (H*W,)."""
    count = BLOCKS * BLOCKS
    ends = np.cumsum([round(share * count) for share in SHARES.values()])
    split_of_block = np.empty(count, np.int64)
    split_of_block[rng.permutation(count)] = np.searchsorted(ends, np.arange(count), side='right')
    rows, columns = (np.arange(size) * BLOCKS // size for size in shape)
    return split_of_block[rows[:, None] * BLOCKS + columns].ravel()


def _observe(
    region: SimulatedRegion,
    positions: NDArray[np.int64],
    site: str,
    rng: np.random.Generator,
    progress: Progress | None,
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Values (T, 10, P) of some pixels, and which of them are taken for clear (T, P)."""
    count = len(region.dates['s2'])
    values = np.empty((count, 10, len(positions)), np.int16)
    kept = np.empty((count, len(positions)), bool)
    for index in range(count):
        if progress is not None:
            progress(f'{site} {_year(region.config)}', index, count)
        image, mask = region.s2_acquisition(index)
        values[index] = image.reshape(len(image), -1)[:, positions]
        kept[index] = (mask.ravel()[positions] == 0) | (rng.random(len(positions)) < MISSED_CLOUDS)
    if progress is not None:
        progress(f'{site} {_year(region.config)}', count, count)
    return values, kept


def _write_year(folder: Path, parts: list[_Sampled], seed: int) -> None:
    (folder / 'npy').mkdir(parents=True)
    for split, name in NAMES.items():
        rows = [row for part in parts for row in part.rows[split]]
        series = [table for part in parts for table in part.series[split]]
        if not rows:
            raise ValueError(f'{folder.name} has no labelled pixel for {split}: make the regions larger.')
        with open(folder / f'{split}.csv', 'w', encoding='utf-8', newline='') as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
        both = np.empty((2, len(series)), object)
        for number, (table, row) in enumerate(zip(series, rows, strict=True)):
            both[0, number], both[1, number] = table, row['classid']
        np.save(folder / 'npy' / f'{name}_R{len(rows)}_Seed{seed}_Class20.npy', both, allow_pickle=True)
    unlabelled = [table for part in parts for table in part.unlabelled]
    alone = np.empty(len(unlabelled), object)
    for number, table in enumerate(unlabelled):
        alone[number] = table
    np.save(folder / 'npy' / f'Unsupervised_R{len(alone)}_Seed{seed}.npy', alone, allow_pickle=True)


def _write_classes(path: Path) -> None:
    """The classes that are simulated, in the authors' columns."""
    listed = sorted({entry for entry in (*CROP_CLASSES.values(), FOREST) if entry.number != OTHER})
    with open(path, 'w', encoding='utf-8-sig', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['', 'id', 'classname', 'code'])
        writer.writerows([index, entry.number, f' {entry.name}', entry.code] for index, entry in enumerate(listed, 1))
