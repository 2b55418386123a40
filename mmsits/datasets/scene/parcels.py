"""Samples of a scene that are not windows: parcels as pixel sets, and single pixels or points as series."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from mmengine.logging import print_log

from ..base import Sensor, resolve_season_start
from ..data_card import RunningMoments
from ..errors import DataError
from ..parcel_dataset import ParcelSeriesDataset
from ..parcel_store import ParcelStore
from .labels import ItemLabels, LabelPixels, RasterLabels, split_numbers
from .parcel_cache import CachedParcels, open_cache
from .progress import reading_progress
from .scene import Scene, open_scene
from .splits import open_labels, report_coverage

STATISTICS_PIXELS = 100_000
"""From how many pixels of the training set mean and standard deviation are measured."""
MANY_PIXELS = 2_000_000
"""From how many single pixels on a dataset warns: each costs about a kilobyte of memory and some microseconds."""
GEOMETRY = Sensor(('perimeter', 'area', 'perimeter/area', 'cover'), 'm, m², 1/m, share')


class SampleTable(NamedTuple):
    """What the label file says of the samples in a store.

    Attributes:
        path: the label file.
        ids: names of the parcels in the file, N texts; of pixels their row and column.
        columns: further columns of the file, and row and column of pixels, (N,) each.
    """

    path: Path
    ids: list[str]
    columns: dict[str, np.ndarray]


class _SceneSeries(ParcelSeriesDataset):
    """What parcels and pixels of a scene share; see these."""

    SENSORS: ClassVar[dict[str, Sensor]] = {}

    def __init__(
        self,
        data_root: str = '',
        sensors: Mapping[str, Mapping[str, Any]] | None = None,
        grid: Any = None,
        labels: Mapping[str, Any] | None = None,
        classes: Sequence[str] | None = None,
        split: str | Sequence[str] | None = None,
        splits: Mapping[str, Any] | None = None,
        cache: str | Path | None = None,
        check: bool = True,
        **kwargs: Any,
    ) -> None:
        if labels is None:
            raise ValueError(
                "SceneDataset: labels=dict(file='fields.gpkg', column='crop') are needed to know where parcels and "
                'pixels lie; for data without labels leave the column out and say with_labels=False'
            )
        self.scene: Scene = open_scene(dict(sensors=sensors, grid=grid), data_root, check)
        self.label_options, self.chosen_classes, self.split, self.splits = labels, classes, split, splits
        self.cache = cache
        info = self.scene.sensors_info
        # What the files hold is known when they are opened: sensors are those of this dataset, not of its class.
        self.SENSORS = {  # type: ignore[misc]
            name: Sensor(values['bands'], values['unit']) for name, values in info.items()
        }
        self.SENSORS.update(self.static_sensors())
        self.SENSOR = next(iter(info))
        self.scene_labels: ItemLabels | RasterLabels
        self.pixels: LabelPixels
        self.table: SampleTable
        super().__init__(data_root, sensors=tuple(self.SENSORS), **kwargs)

    def static_sensors(self) -> dict[str, Sensor]:
        """Sensors that do not change in time."""
        return {}

    def choose_pixels(self, pixels: LabelPixels) -> LabelPixels:
        """Which of the labelled pixels go into the cache, whatever their split."""
        return pixels

    def open_stores(self) -> dict[str, ParcelStore]:
        """Find the labelled pixels, and read their series unless a cache has them."""
        self.scene_labels = open_labels(
            self.label_options, self.scene.grid, self.data_root, self.chosen_classes, self.splits
        )
        if self.with_labels and isinstance(self.scene_labels, ItemLabels) and self.scene_labels.unlabelled:
            raise ValueError('labels: name the column with the classes (column=…), or say with_labels=False')
        self._metainfo['classes'] = tuple(self.scene_labels.classes)
        self._metainfo.setdefault('palette', [list(colour) for colour in self.scene_labels.palette])
        with reading_progress('labels') as shown:
            found = self.scene_labels.pixels(shown)
        if self.with_labels:
            report_coverage(self.scene_labels, found)
        self.pixels = self.choose_pixels(found)
        if not len(self.pixels.rows):
            raise DataError(
                'no pixel of the scene lies in a labelled feature',
                path=self.scene_labels.path,
                hint='Look at inner_buffer and min_area, and whether labels and rasters cover the same ground.',
            )
        bands = {name: self.sensors_info[name]['bands'] for name in self.scene.sensors}
        with reading_progress('scene') as shown:
            folder = open_cache(self.scene, bands, self.pixels, self.cache, shown)
        offsets = self.sample_offsets()
        return {
            name: CachedParcels(folder / name, series.days, offsets, len(bands[name]))
            for name, series in self.scene.sensors.items()
        }

    def sample_offsets(self) -> np.ndarray:
        """First pixel of each sample in the cache, and the number of all pixels."""
        return self.pixels.offsets

    def _band_positions(self, sensor: str) -> list[int]:
        # The cache holds the chosen bands in the chosen order.
        if sensor in self.scene.sensors:
            return list(range(len(self.sensors_info[sensor]['bands'])))
        return super()._band_positions(sensor)

    def _chosen(self, labels: np.ndarray, splits: np.ndarray) -> np.ndarray:
        """Samples of the split that were observed at all, in ascending order.

        Args:
            labels: of the samples in the store, (N,).
            splits: likewise.
        """
        chosen = np.ones(len(labels), bool)
        if self.split is not None:
            chosen &= np.isin(splits, split_numbers(self.split, self.scene_labels.split_names))
        samples = np.flatnonzero(chosen)
        seen = np.zeros(len(samples), bool)
        for store in self.stores.values():
            seen |= store.exists(samples).any(axis=1)
        if not seen.all():
            names = [self.table.ids[sample] for sample in samples[~seen][:5]]
            print_log(
                f'{(~seen).sum()} of {len(samples)} samples were observed on no date by any sensor and are left out: '
                f'{", ".join(names)}{" …" if (~seen).sum() > 5 else ""}',
                'current',
                logging.WARNING,
            )
        if not seen.any():
            raise DataError(
                f'no sample is left (split={self.split!r}, classes={list(self.metainfo["classes"])})',
                path=self.scene_labels.path,
                hint='Look at splits and classes, and whether labels and rasters cover the same ground.',
            )
        return samples[seen]

    def _entries(self, samples: np.ndarray, labels: np.ndarray) -> list[dict]:
        start = resolve_season_start(self.season_start, self.scene.days[self.SENSOR])
        return [
            dict(
                sample_id=self.table.ids[sample],
                season_start=start,
                parcel=sample,
                label=label if self.with_labels else None,
            )
            for sample, label in zip(samples.tolist(), labels[samples].tolist(), strict=True)
        ]

    def load_statistics(self) -> dict[str, dict[str, list[float]]]:
        """Mean and standard deviation per band, measured on pixels that are spread over the training set.

        Returns:
            For each sensor mean and std; empty for a test set, which is normalised with what the training set gave.
        """
        if self.test_mode:
            return {}
        samples = np.array([self.get_data_info(index)['parcel'] for index in range(len(self))])
        offsets = self.store.offsets  # type: ignore[attr-defined]
        rows = np.concatenate([np.arange(offsets[sample], offsets[sample + 1]) for sample in samples])
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, STATISTICS_PIXELS).astype(np.int64))]
        statistics = {}
        for name, store in self.stores.items():
            moments = RunningMoments(store.bands)
            for part in np.array_split(rows, max(1, len(rows) // 4096)):
                moments.add(store.observed(part))  # type: ignore[attr-defined]
            statistics[name] = moments
        for name in self.static_sensors():
            values = self.static_values(name, samples)[:, self._band_positions(name)]
            statistics[name] = RunningMoments(values.shape[1])
            statistics[name].add(values[np.isfinite(values).all(axis=1)].T)
        return {
            name: dict(mean=own.mean.tolist(), std=np.where(own.std > 0, own.std, 1.0).tolist())
            for name, own in statistics.items()
            if own.count > 1
        }


class SceneParcels(_SceneSeries):
    """Parcels of a scene: pixel sets S×1 with one label (of points, S = 1).

    The pixels of all polygons are read from the rasters once, into a cache that all splits, later runs and other
    datasets of the same scene and labels use (:mod:`~mmsits.datasets.scene.parcel_cache`).

    Args:
        data_root: folder that the paths start from.
        sensors: sensors and their files, see :func:`~mmsits.datasets.scene.scene.open_scene`.
        grid: likewise.
        labels: where the labels are, see :func:`~mmsits.datasets.scene.labels.read_labels`.
        classes: names of the classes in their order; None for those that occur, in alphabetical order.
        split: part of the scene, or several; None for all of it.
        splits: how the scene is divided, see :func:`~mmsits.datasets.scene.splits.open_labels`.
        cache: folder of the caches; None for one in the system's folder for temporary files.
        check: look at some pixels for wrong units, undeclared nodata and clouds everywhere when the scene is opened.
        geometry: hand a sensor `geometry` on, (1,4,1,1): perimeter m, area m², their quotient, and the share of the
            bounding box's pixels that are the parcel's, as TimeMatch has it.
        min_pixels: parcels with fewer are left out.
        **kwargs: as in :class:`ParcelSeriesDataset`: bands, season_start, pipeline, with_labels, ignored_classes, …

    Attributes:
        scene: the rasters.
        scene_labels: the labels, of all splits.
        pixels: the labelled pixels; number n in the stores is group n.
        table: names and columns of the features.

    Raises:
        DataError: see `open_scene` and `read_labels`; and if no parcel is left, or the labels are a raster.
        ValueError: if an option is unknown or contradicts another.
    """

    def __init__(self, *args: Any, geometry: bool = False, min_pixels: int = 1, **kwargs: Any) -> None:
        self.geometry, self.min_pixels = geometry, min_pixels
        self._geometry = np.zeros((0, len(GEOMETRY.bands)))
        super().__init__(*args, **kwargs)

    def static_sensors(self) -> dict[str, Sensor]:
        """The geometry, if it is asked for."""
        return {'geometry': GEOMETRY} if self.geometry else {}

    def choose_pixels(self, pixels: LabelPixels) -> LabelPixels:
        """All pixels of parcels that are large enough."""
        labels = self.scene_labels
        if isinstance(labels, RasterLabels):
            raise DataError(
                'a label raster does not say where parcels end',
                path=labels.path,
                hint="Give polygons, or take samples='windows' or 'pixels'.",
            )
        if self.geometry and labels.kind == 'points':
            raise DataError('points have no geometry', path=labels.path, hint='Leave geometry=True out.')
        small = np.diff(pixels.offsets) < self.min_pixels
        without = int(labels.members().sum()) - len(pixels.features)
        if small.any() or without:
            print_log(
                f'{labels.path.name}: {without} features have no pixel of their own and {small.sum()} fewer than '
                f'min_pixels={self.min_pixels}; they are left out',
                'current',
                logging.INFO,
            )
        return pixels.take(np.flatnonzero(~small))

    def load_data_list(self) -> list[dict]:
        """Entries of the split's parcels, in the order of the file."""
        labels = self.scene_labels
        assert isinstance(labels, ItemLabels)
        features = self.pixels.features
        frame = labels.frame.iloc[features]
        columns = {name: frame[name].to_numpy() for name in frame.columns if name not in ('geometry', 'feature_id')}
        self.table = SampleTable(labels.path, frame['feature_id'].tolist(), columns)
        if self.geometry:
            self._geometry = parcel_geometry(labels, self.pixels)
        return self._entries(self._chosen(self.pixels.labels, self.pixels.splits), self.pixels.labels)

    def static_values(self, sensor: str, parcels: np.ndarray) -> np.ndarray:
        """Geometry of parcels, (B,4); see :class:`ParcelSeriesDataset`."""
        return self._geometry[parcels]


class ScenePixels(_SceneSeries):
    """Single labelled pixels of a scene, each a series of 1×1 pixel: those of polygons, points, or of a raster.

    Args:
        data_root: see :class:`SceneParcels`, as for the next eight.
        sensors: likewise.
        grid: likewise.
        labels: likewise.
        classes: likewise.
        split: likewise.
        splits: likewise.
        cache: likewise.
        check: likewise.
        pixels_per_parcel: of polygons with more, so many at even distances in the order of rows and columns.
        pixels_per_class: of classes with more pixels in a split, so many at even distances.
        **kwargs: as in :class:`ParcelSeriesDataset`.

    Raises:
        DataError: see `open_scene` and `read_labels`; and if no pixel is left.
        ValueError: if an option is unknown or contradicts another.
    """

    def __init__(
        self, *args: Any, pixels_per_parcel: int | None = None, pixels_per_class: int | None = None, **kwargs: Any
    ) -> None:
        for name, limit in (('pixels_per_parcel', pixels_per_parcel), ('pixels_per_class', pixels_per_class)):
            if limit is not None and limit < 1:
                raise ValueError(f'{name} must be at least 1, got {limit}')
        self.pixels_per_parcel, self.pixels_per_class = pixels_per_parcel, pixels_per_class
        super().__init__(*args, **kwargs)

    def choose_pixels(self, pixels: LabelPixels) -> LabelPixels:
        """At most so many pixels of each parcel and class as are asked for."""
        sizes = np.diff(pixels.offsets)
        group = np.repeat(np.arange(len(sizes)), sizes)
        kept = np.arange(len(group))
        if self.pixels_per_parcel is not None:
            kept = kept[_spread(group[kept], self.pixels_per_parcel)]
        if self.pixels_per_class is not None:
            kinds = pixels.splits.astype(np.int64) * 256 + pixels.labels
            kept = kept[_spread(kinds[group[kept]], self.pixels_per_class)]
        if len(kept) > MANY_PIXELS:
            print_log(
                f'{len(kept)} labelled pixels are very many samples, and neighbours are alike: take some of them with '
                'pixels_per_parcel=… or pixels_per_class=…',
                'current',
                logging.WARNING,
            )
        if len(kept) == len(group):
            return pixels
        present, counts = np.unique(group[kept], return_counts=True)
        return LabelPixels(
            pixels.features[present],
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            pixels.rows[kept],
            pixels.columns[kept],
            pixels.labels[present],
            pixels.splits[present],
        )

    def sample_offsets(self) -> np.ndarray:
        """Each pixel is a sample."""
        return np.arange(len(self.pixels.rows) + 1)

    def load_data_list(self) -> list[dict]:
        """Entries of the split's pixels, those of a feature together."""
        pixels, labels = self.pixels, self.scene_labels
        group = np.repeat(np.arange(len(pixels.features)), np.diff(pixels.offsets))
        columns = {'row': pixels.rows, 'column': pixels.columns}
        ids = [f'row {row} column {column}' for row, column in zip(pixels.rows, pixels.columns, strict=True)]
        if isinstance(labels, ItemLabels):
            columns['feature'] = labels.frame['feature_id'].to_numpy()[pixels.features][group]
            ids = [f'{feature} ({name})' for feature, name in zip(columns['feature'], ids, strict=True)]
        self.table = SampleTable(labels.path, ids, columns)
        of_samples = pixels.labels[group]
        return self._entries(self._chosen(of_samples, pixels.splits[group]), of_samples)


def _spread(kinds: np.ndarray, limit: int) -> np.ndarray:
    """Positions, ascending, of at most `limit` members of each kind, at even distances."""
    order = np.argsort(kinds, kind='stable')
    kept = []
    for members in np.split(order, np.flatnonzero(np.diff(kinds[order])) + 1):
        count = min(len(members), limit)
        kept.append(members[np.arange(count) * len(members) // max(count, 1)])
    return np.sort(np.concatenate(kept))


def parcel_geometry(labels: ItemLabels, pixels: LabelPixels) -> np.ndarray:
    """What a parcel's shape is, as in TimeMatch.

    Args:
        labels: polygons.
        pixels: their pixels.

    Returns:
        (N,4) float64 for the N groups of pixels: perimeter m and area m² behind the inner buffer, their quotient, and
        the number of pixels by that of the bounding box.
    """
    first = pixels.offsets[:-1]
    sides = []
    for array in (pixels.rows, pixels.columns):
        sides.append(np.maximum.reduceat(array, first) - np.minimum.reduceat(array, first) + 1)
    cover = np.diff(pixels.offsets) / (sides[0].astype(np.int64) * sides[1])
    return np.concatenate([labels.geometry[pixels.features], cover[:, None]], axis=1)
