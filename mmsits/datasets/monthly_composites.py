"""What EuroCropMap and ISRC share: patches of monthly composites of Sentinel-1 and Sentinel-2, as CropMapping has them
(Rangzan and Ramezanpour)."""

from __future__ import annotations

import datetime
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from mmengine.logging import print_log

from mmsits.structures import ImageSeries

from .backscatter import check_backscatter
from .base import Sensor, SeriesDataset, day_number
from .composite_windows import monthly_windows, window_days
from .errors import DataError
from .polygons.patches import open_raster, read_raster
from .polygons.regions import Bounds, boxes_in_degrees
from .scene.splits import deal_out
from .transforms.common import empty_series
from .transforms.loading import select_bands

IGNORED = 255
S2_BANDS = ('B02', 'B03', 'B04', 'B05', 'B06', 'B07', 'B08', 'B8A', 'B11', 'B12')
LABELS = 'crop_map'
SPLITS = ('train', 'val', 'test')
HARVEST = 'seven months before the harvest'
"""The season start of all samples: the first day of their first window."""
_TABLES = ('regions.csv', 'regions.xlsx', 'regions.gpkg')
_PATCH = re.compile(r'(?P<region>.+)_r(?P<row>\d+)_c(?P<column>\d+)')
_TILE = re.compile(r'(?P<region>.+)_t\d+_\d+')
_NEAR = 2e-5
"""Degrees, some two metres: boxes so far apart touch, and those that overlap by no more do not overlap. A side that is
straight in one coordinate system is not quite so in another."""
SplitBy = Literal['region', 'tile', 'patch']


class MonthlyCompositeDataset(SeriesDataset):
    """Base: patches whose six composites end a month before the harvest of their region.

    Layout of a root: `s1/<1..6>/<name>.tif` (VV and VH, dB), `s2/<1..6>/<name>.tif` (ten bands, reflectance),
    `crop_map/<name>.tif`. Folder 1 is the oldest window (`composite_windows`); folders may be named by dates
    'YYYY-MM-DD' instead. A name `<region>_r<row>_c<column>` says which region a patch was cut from. The root of a split
    is `<data_root>/<split>`, if there is one; otherwise samples are divided here.

    Every composite has the middle day of its window and is there when the window is over (`known_days`). Days count
    from the first day of the first window, so that a day means the same before any harvest. A pixel with NaN is not
    valid, and neither is one with 0 in all bands, which is how published patches write what nobody saw. A composite
    without a file is a date that is not valid, and a sensor without any is an empty series; how many there are is in
    the log.

    Args:
        data_root: folder of the dataset.
        sensors: any of 's1', 's2'.
        split: 'train', 'val' or 'test'; None for all.
        shares: share of the patches in each split, where these are made here.
        split_by: 'region': all patches of a region, those of its tiles too, and regions whose boxes touch are in one
            split, so that no field is in two. 'tile': tiles of large regions, and regions side by side, are divided,
            and only what overlaps stays together: more even shares where regions are few, but the fields at the edges
            are in two splits. 'patch', as published: each patch by itself, so that neighbours of training patches are
            tested.
        split_seed: of the division.
        regions: table with the columns `uuid` and `harvest_date`, and `province` if it is known (.csv, .xlsx, .gpkg),
            relative to `data_root`; None looks for regions.csv, .xlsx, .gpkg there.
        harvest_date: of regions that no table has, 'YYYY-MM-DD'.
        only_annotated: leave out patches without any pixel of a crop.
        zeros_observed: take 0 in all bands for an observation, as published.
        with_labels: hand labels on.
        keep_in_memory: keep what was read: for datasets that fit, many times faster than opening thirteen files a
            sample.
        **kwargs: as in :class:`SeriesDataset`: bands, pipeline, ignored_classes, …

    Raises:
        DataError: if a folder or file is missing or wrong.
        ValueError: if arguments name what does not exist.
    """

    SENSORS = {'s1': Sensor(('VV', 'VH'), 'dB'), 's2': Sensor(S2_BANDS, 'reflectance')}
    NUM_CROPS: ClassVar[int]

    def __init__(
        self,
        data_root: str = '',
        sensors: Sequence[str] = ('s1', 's2'),
        split: str | None = None,
        shares: Mapping[str, float] | None = None,
        split_by: SplitBy = 'region',
        split_seed: int = 0,
        regions: str | None = None,
        harvest_date: str | None = None,
        only_annotated: bool = False,
        zeros_observed: bool = False,
        with_labels: bool = True,
        keep_in_memory: bool = False,
        season_start: str = HARVEST,
        **kwargs: Any,
    ) -> None:
        if split not in (None, *SPLITS):
            raise ValueError(f'split must be one of {SPLITS} or None, got {split!r}')
        if split_by not in get_args(SplitBy):
            raise ValueError(f'split_by must be one of {get_args(SplitBy)}, got {split_by!r}')
        if season_start != HARVEST:
            raise ValueError(f'season_start: days of these samples always count from {HARVEST}, got {season_start!r}')
        self.split, self.split_by, self.split_seed = split, split_by, split_seed
        self.shares = _checked_shares(dict(train=0.7, val=0.15, test=0.15) if shares is None else dict(shares))
        self.regions = regions
        self.harvest_date = None if harvest_date is None else _date(harvest_date)
        self.only_annotated, self.zeros_observed, self.with_labels = only_annotated, zeros_observed, with_labels
        self._memory: dict[str, np.ndarray] | None = {} if keep_in_memory else None
        self._annotated: np.ndarray | None = None
        super().__init__(data_root, sensors=sensors, season_start=season_start, **kwargs)

    def crop_roots(self, folder: Path) -> dict[str, Path]:
        """The roots below a folder, by the crop that their patches are about; '' if they are about all."""
        raise NotImplementedError

    def labels_of(self, held: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        """Labels of what is in a file of `crop_map`.

        Args:
            held: (H,W) as stored.
            info: the sample's entry, with `crop` and `label_path`.

        Returns:
            (H,W) uint8: 0 … K - 1 the crops, K none of them, 255 unknown.
        """
        raise NotImplementedError

    def load_data_list(self) -> list[dict]:
        """Find the patches of the split, in the order of crops and names.

        Raises:
            DataError: if there are none.
        """
        base = Path(self.data_root)
        if not base.is_dir():
            raise DataError('the folder of the dataset does not exist', path=base, hint='Give it as data_root.')
        made = self.split is not None and (base / self.split).is_dir()
        folder = base / str(self.split) if made else base
        table = self._table_of_regions(base)
        harvests = {} if table is None else read_harvest_dates(table)
        entries = [
            entry for crop, root in self.crop_roots(folder).items() for entry in self._entries(crop, root, harvests)
        ]
        if not entries:
            raise DataError(
                'no patches are there: <root>/crop_map/<name>.tif is expected, with s1 and s2 beside crop_map',
                path=folder,
                hint='Correct data_root, or cut patches: tools/dataset_converters/polygons.py.',
            )
        self._report_missing(entries)
        provinces = {} if table is None else read_provinces(table)
        for entry in entries:
            if entry['region'] in provinces:
                entry['province'] = provinces[entry['region']]
        if self.split is not None and not made:
            entries = self._divided(entries)
        if self.only_annotated:
            marked = self._marked(entries)
            entries = [entry for entry, any_crop in zip(entries, marked, strict=True) if any_crop]
            self._annotated = np.ones(len(entries), bool)
            if not entries:
                raise DataError('no patch of the split has a pixel of a crop', path=folder, hint='Check the masks.')
        return entries

    @property
    def annotated(self) -> np.ndarray:
        """Which samples have a pixel of a crop, (N,) bool; reads all masks when first asked."""
        if self._annotated is None:
            self._annotated = self._marked([self.get_data_info(index) for index in range(len(self))])
        return self._annotated

    def load_sample(self, info: dict[str, Any]) -> dict[str, Any]:
        """Read the composites and the labels of a sample.

        Returns:
            The entry with inputs, targets (unless without labels), paths, date_index and img_shape.

        Raises:
            DataError: if a file is damaged or has another size or other bands than expected.
        """
        found = {sensor: self._read_series(sensor, info) for sensor in self.sensors}
        sizes = {sensor: series.values.shape[-2:] for sensor, series in found.items() if series is not None}
        label = self._read_labels(info) if self.with_labels else None
        size = label.shape if label is not None else next(iter(sizes.values()), (1, 1))
        for sensor, held in sizes.items():
            if held != size:
                raise DataError(
                    f'{sensor} has {held[0]}×{held[1]} pixels, the patch {size[0]}×{size[1]}',
                    path=info['files'][sensor][0],
                    sample_id=info['sample_id'],
                    hint='Cut images and masks on one grid.',
                )
        info['inputs'] = {
            sensor: series or empty_series(len(self.sensors_info[sensor]['bands']), size, info['season_start'])
            for sensor, series in found.items()
        }
        info['paths'] = {sensor: next(filter(None, files), None) for sensor, files in info['files'].items()}
        info['date_index'] = {sensor: np.arange(len(series.days)) for sensor, series in info['inputs'].items()}
        info['img_shape'] = size
        if label is not None:
            info['targets'] = label
            info['paths']['targets'] = info['label_path']
        return info

    def label_map(self, index: int) -> np.ndarray:
        """Labels of a sample without its images, (H,W) uint8, 255 ignored."""
        return self._read_labels(self.label_info(index))

    def _entries(self, crop: str, root: Path, harvests: Mapping[str, datetime.date]) -> list[dict]:
        names = sorted(path.relative_to(root / LABELS) for path in (root / LABELS).rglob('*.tif'))
        folders = {sensor: _date_folders(root / sensor) for sensor in self.sensors}
        if not any(folders.values()):
            raise DataError(
                f'none of {list(self.sensors)} is there',
                path=root,
                hint='Folders s1/<1..6> and s2/<1..6> are expected.',
            )
        held = {
            folder: {path.relative_to(folder) for path in folder.rglob('*.tif')}
            for sensor_folders in folders.values()
            for folder in sensor_folders
        }
        entries = []
        for name in names:
            region = _region_of(name.stem)
            harvest = harvests.get(region, self.harvest_date)
            if harvest is None:
                raise DataError(
                    f'the harvest date of the region {region} is not known, so the dates of its composites are not',
                    path=root / LABELS / name,
                    hint=f'Name it in a table of regions ({", ".join(_TABLES)}), or give harvest_date for all of them.',
                )
            days = {sensor: [_day_of(folder, harvest) for folder in folders[sensor]] for sensor in self.sensors}
            known = {sensor: [_known_from(folder, harvest) for folder in folders[sensor]] for sensor in self.sensors}
            files = {
                sensor: [str(folder / name) if name in held[folder] else None for folder in folders[sensor]]
                for sensor in self.sensors
            }
            place = name.with_suffix('').as_posix()
            entries.append(
                dict(
                    sample_id=f'{crop}/{place}' if crop else place,
                    season_start=day_number(monthly_windows(harvest)[0][0]),
                    crop=crop,
                    region=region,
                    harvest_date=harvest.isoformat(),
                    known_days=known,
                    files=files,
                    series={
                        sensor: dict(
                            path=next(filter(None, files[sensor]), None), days=np.array(days[sensor], np.int32)
                        )
                        for sensor in self.sensors
                    },
                    label_path=str(root / LABELS / name),
                )
            )
        return entries

    def _table_of_regions(self, base: Path) -> Path | None:
        candidates = [base / self.regions] if self.regions else [base / name for name in _TABLES]
        path = next((path for path in candidates if path.is_file()), None)
        if path is None and self.regions:
            raise DataError('the table of regions is missing', path=candidates[0], hint='Correct `regions`.')
        return path

    def _report_missing(self, entries: Sequence[Mapping[str, Any]]) -> None:
        for sensor in self.sensors:
            lacking = sum(all(path is None for path in entry['files'][sensor]) for entry in entries)
            composites = sum(path is None for entry in entries for path in entry['files'][sensor])
            if lacking == len(entries):
                raise DataError(
                    f'none of the {lacking} patches has the sensor {sensor}',
                    path=self.data_root,
                    hint='Leave it out of `sensors`, or complete the download.',
                )
            if composites:
                print_log(
                    f'{self.data_root}: {lacking} of {len(entries)} patches lack {sensor}; in all {composites} of its '
                    'composites are missing. They count as not observed.',
                    'current',
                    logging.WARNING,
                )

    def _divided(self, entries: list[dict]) -> list[dict]:
        """The entries of this split."""
        if self.split_by == 'patch':
            groups = np.arange(len(entries))
        else:
            groups = _groups(entries, divide_regions=self.split_by == 'tile')
        crops = sorted({entry['crop'] for entry in entries})
        counts = np.zeros((groups.max() + 1, len(crops)), np.int64)
        np.add.at(counts, (groups, np.array([crops.index(entry['crop']) for entry in entries])), 1)
        names = list(self.shares)
        chosen = deal_out(counts, list(self.shares.values()), self.split_seed)[groups]
        if self.split not in names:
            raise ValueError(f'shares has no split {self.split!r}, it has {names}')
        kept = [entry for entry, number in zip(entries, chosen, strict=True) if names[number] == self.split]
        if not kept:
            raise DataError(
                f'the {len(set(groups.tolist()))} groups of regions leave none for the split {self.split!r}',
                path=self.data_root,
                hint="Give it a larger share, or other splits (shares); split_by='tile' divides large regions.",
            )
        return kept

    def _marked(self, entries: Iterable[dict]) -> np.ndarray:
        tables = dict(ignored_labels=())
        return np.array([bool((self._read_labels({**entry, **tables}) < self.NUM_CROPS).any()) for entry in entries])

    def _read(self, path: str) -> np.ndarray:
        if self._memory is None:
            return read_raster(path)
        if path not in self._memory:
            self._memory[path] = read_raster(path)
        return self._memory[path]

    def _read_labels(self, info: Mapping[str, Any]) -> np.ndarray:
        held = self._read(info['label_path'])
        if held.shape[0] != 1:
            raise DataError(
                f'a map of one channel is expected, found {held.shape[0]}',
                path=info['label_path'],
                sample_id=info['sample_id'],
                hint='Write the labels again.',
            )
        labels = self.labels_of(held[0], info)
        labels[np.isin(labels, info['ignored_labels'])] = IGNORED
        table = info.get('label_table')
        return labels if table is None else table[labels].astype(np.uint8)

    def _read_series(self, sensor: str, info: Mapping[str, Any]) -> ImageSeries | None:
        """The composites that are there; None if there are none."""
        about, files = self.sensors_info[sensor], info['files'][sensor]
        read = {index: self._read_composite(path, about, info) for index, path in enumerate(files) if path is not None}
        if not read:
            return None
        shapes = {values.shape for values in read.values()}
        if len(shapes) > 1:
            raise DataError(
                f'the composites differ in size: {sorted(shapes)}',
                path=next(filter(None, files)),
                sample_id=info['sample_id'],
                hint='Cut them on one grid.',
            )
        values = np.zeros((len(files), *shapes.pop()), np.float32)
        valid = np.zeros((len(files), *values.shape[-2:]), bool)
        for index, composite in read.items():
            values[index] = composite
            valid[index] = self._observed(composite)
        values[~np.isfinite(values)] = 0
        chosen = select_bands(values, about['file_bands'], about['bands'])
        if valid.all():
            valid = np.ones((len(files), 1, 1), bool)
        return ImageSeries(chosen, info['series'][sensor]['days'], valid)

    def _read_composite(self, path: str, about: Mapping[str, Any], info: Mapping[str, Any]) -> np.ndarray:
        values = self._read(path)
        where: dict[str, Any] = dict(path=path, sample_id=info['sample_id'])
        if len(values) != len(about['file_bands']):
            raise DataError(
                f'{len(about["file_bands"])} bands expected ({", ".join(about["file_bands"])}); {len(values)} found',
                hint='Write the file with these bands as channels.',
                **where,
            )
        check_backscatter(values, about['unit'], where)
        if about['unit'] == 'reflectance' and values[np.isfinite(values)].max(initial=0) > 100:
            raise DataError(
                f'reflectances from 0 to 1 are expected, these look like stored numbers up to {np.nanmax(values):.0f}',
                hint='Divide them by 10000.',
                **where,
            )
        return values

    def _observed(self, composite: np.ndarray) -> np.ndarray:
        seen = np.isfinite(composite).all(0)
        return seen if self.zeros_observed else seen & (composite != 0).any(0)


def read_harvest_dates(path: Path) -> dict[str, datetime.date]:
    """Harvest date by region, from a table with the columns `uuid` and `harvest_date`; rows without one are left out.

    Raises:
        DataError: if the table cannot be read, lacks a column, or holds what is no date.
    """
    table = _read_table(path)
    missing = [name for name in ('uuid', 'harvest_date') if name not in table]
    if missing:
        raise DataError(
            f'the table of regions has no column {", ".join(missing)}; it has {", ".join(map(str, table.columns))}',
            path=path,
            hint='Name the columns like this.',
        )
    known = table.dropna(subset=['uuid', 'harvest_date'])
    try:
        return {
            str(region): _date(str(date)[:10])
            for region, date in zip(known['uuid'], known['harvest_date'], strict=True)
        }
    except ValueError as error:
        raise DataError(f'harvest_date: {error}', path=path, hint='Write dates as YYYY-MM-DD.') from error


def read_provinces(path: Path) -> dict[str, str]:
    """Province by region, from a table with the columns `uuid` and `province`; none without the latter.

    Raises:
        DataError: if the table cannot be read.
    """
    table = _read_table(path)
    if 'province' not in table:
        return {}
    known = table.dropna(subset=['uuid', 'province'])
    return dict(zip(known['uuid'].astype(str), known['province'].astype(str), strict=True))


def _read_table(path: Path) -> Any:
    import pandas

    try:
        if path.suffix == '.csv':
            table = pandas.read_csv(path, dtype=str)
        elif path.suffix == '.xlsx':
            table = pandas.read_excel(path, dtype=str)
        else:
            import pyogrio

            table = pyogrio.read_dataframe(path, read_geometry=False)
    # pyogrio and zipfile have errors of their own for damaged files.
    except Exception as error:
        raise DataError(f'the table of regions cannot be read ({error})', path=path, hint='Write it again.') from error
    return table


def _date(text: str) -> datetime.date:
    try:
        return datetime.date.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is not a date 'YYYY-MM-DD'") from error


def _checked_shares(shares: dict[str, float]) -> dict[str, float]:
    if (
        not shares
        or min(shares.values()) <= 0
        or abs(sum(shares.values()) - 1) > 1e-6
        or not set(shares) <= set(SPLITS)
    ):
        raise ValueError(f'shares: positive shares of {SPLITS} that add up to 1 are expected, got {shares}')
    return shares


def _region_of(name: str) -> str:
    match = _PATCH.fullmatch(name)
    return match['region'] if match else name


def _place_of(name: str) -> tuple[int, int]:
    """Row and column of a patch."""
    match = _PATCH.fullmatch(name)
    return (int(match['row']), int(match['column'])) if match else (0, 0)


def _date_folders(folder: Path) -> list[Path]:
    """Folders of a sensor's dates, oldest first."""
    found = [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []
    return sorted(found, key=lambda path: (len(path.name), path.name))


def _day_of(folder: Path, harvest: datetime.date) -> int:
    days = window_days(harvest)
    if folder.name.isdigit() and 1 <= int(folder.name) <= len(days):
        return day_number(days[int(folder.name) - 1])
    try:
        return day_number(datetime.date.fromisoformat(folder.name))
    except ValueError as error:
        raise DataError(
            f'folders of dates are named 1 … {len(days)} or YYYY-MM-DD, this one {folder.name!r}',
            path=folder,
            hint='Rename it, or take it away.',
        ) from error


def _known_from(folder: Path, harvest: datetime.date) -> int:
    """Day on which the composite of a folder is there: when its window is over, or the date that the folder names."""
    if not folder.name.isdigit():
        return _day_of(folder, harvest)
    return day_number(monthly_windows(harvest)[int(folder.name) - 1][1])


def _groups(entries: Sequence[Mapping[str, Any]], divide_regions: bool = False) -> np.ndarray:
    """Number of the group of each entry, (N,): the tiles of a region, and regions whose boxes touch, are one group.

    Args:
        entries: of the dataset.
        divide_regions: only tiles and regions that overlap are.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    regions: dict[str, list[int]] = {}
    for index, entry in enumerate(entries):
        regions.setdefault(entry['region'], []).append(index)
    boxes = [_box([entries[index]['label_path'] for index in members]) for members in regions.values()]
    links = _neighbours(boxes, -_NEAR if divide_regions else _NEAR)
    if not divide_regions:
        owner: dict[str, int] = {}
        tiles = [(owner.setdefault(_whole_region(name), number), number) for number, name in enumerate(regions)]
        links = np.concatenate([links, tiles])
    graph = coo_matrix((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(len(boxes), len(boxes)))
    numbers = connected_components(graph, directed=False)[1]
    groups = np.empty(len(entries), np.int64)
    for number, members in zip(numbers, regions.values(), strict=True):
        groups[members] = number
    return groups


def _whole_region(name: str) -> str:
    """The region that a tile is of, or the region itself."""
    match = _TILE.fullmatch(name)
    return match['region'] if match else name


def _box(paths: Sequence[str]) -> tuple[str, Bounds] | None:
    """CRS and box of a region's patches: those of its first and last row and column; None without georeference."""
    corners = []
    # Not every place has a patch, so the patches of the outer rows and columns need not be the first and last by name.
    places = {path: _place_of(Path(path).stem) for path in paths}
    outer = {end(paths, key=lambda path: places[path][axis]) for axis in range(2) for end in (min, max)}
    for path in sorted(outer):
        with open_raster(path) as file:
            if file.crs is None:
                return None
            corners.append((file.crs.to_string(), tuple(file.bounds)))
    lefts, bottoms, rights, tops = zip(*(corner for _, corner in corners), strict=True)
    return corners[0][0], (min(lefts), min(bottoms), max(rights), max(tops))


def _neighbours(boxes: Sequence[tuple[str, Bounds] | None], distance: float) -> np.ndarray:
    """Pairs of boxes not farther apart than so many degrees, or that overlap by more if it is below 0, (P, 2)."""
    import shapely

    placed = [index for index, held in enumerate(boxes) if held is not None]
    if not placed:
        return np.empty((0, 2), np.int64)
    # In degrees: regions may lie in several zones.
    shapes = boxes_in_degrees([held for held in boxes if held is not None]).to_numpy()
    first, second = shapely.STRtree(shapes).query(shapely.buffer(shapes, distance), predicate='intersects')
    pairs = [(placed[a], placed[b]) for a, b in zip(first, second, strict=True) if a < b]
    return np.array(pairs, np.int64).reshape(-1, 2)
