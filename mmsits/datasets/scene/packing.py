"""Parcels of a scene as a domain of TimeMatch: one packed store with crops, spatial blocks and geometry."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from ..base import Sensor
from ..errors import DataError
from ..packed_parcels import DomainParcels, Progress, pack_parcels
from ..parcel_store import DomainTable
from .labels import ItemLabels
from .parcels import SceneParcels, ScenePixels, parcel_geometry
from .splits import metres_per_pixel


class SceneDomain(DomainParcels):
    """Samples of a scene's dataset, of all splits, with the table that a domain of TimeMatch has.

    Crops are the names of the classes. `block_size` divides the scene as TimeMatch's preparation does (blocks of
    10 980 m, ten by ten in a tile; Nyborg et al. 2022): parcels that do not lie wholly within a block are left out.

    Args:
        dataset: parcels, or pixels, each of which then is a parcel of one.
        sensor: name of the sensor; None for the first.
        block_size: side of a block, metres, counted from the upper left corner; None: no blocks.

    Raises:
        DataError: if no parcel lies within a block.
        ValueError: if the sensor does not exist.
    """

    def __init__(
        self, dataset: SceneParcels | ScenePixels, sensor: str | None = None, block_size: float | None = None
    ) -> None:
        name = dataset.SENSOR if sensor is None else sensor
        if name not in dataset.stores:
            raise ValueError(f'there is no sensor {name!r}; there are {list(dataset.stores)}')
        self.inner = dataset.stores[name]
        self.sensor = Sensor(tuple(dataset.sensors_info[name]['bands']), dataset.sensors_info[name]['unit'])
        self.path, self.bands, self.dtype = self.inner.path, self.inner.bands, self.inner.dtype
        blocks = np.full(len(self.inner.sizes), -1)
        if block_size is not None:
            blocks = _blocks(dataset, block_size)
            _report_crossing(int((blocks < 0).sum()), len(blocks), block_size, dataset.scene_labels.path)
        self.parcels = np.arange(len(blocks)) if block_size is None else np.flatnonzero(blocks >= 0)
        self.sizes = self.inner.sizes[self.parcels]
        group = _groups(dataset)[self.parcels]
        classes = np.array([*dataset.scene_labels.classes, ''])
        labels = dataset.pixels.labels[group].astype(np.int64)
        days = dataset.scene.days[name]
        self.table = DomainTable(
            path=dataset.scene_labels.path,
            days=days,
            cloud_percent=np.full(len(days), np.nan),
            codes=classes[np.minimum(labels, len(classes) - 1)].tolist(),
            sizes=self.sizes,
            ids=[dataset.table.ids[parcel] for parcel in self.parcels],
            blocks=blocks[self.parcels].astype(np.int64),
            geometry=_geometry(dataset)[group],
        )

    def days(self, parcels: np.ndarray) -> np.ndarray:
        """See :class:`ParcelStore`."""
        return self.inner.days(self.parcels[parcels])

    def exists(self, parcels: np.ndarray) -> np.ndarray:
        """See :class:`ParcelStore`."""
        return self.inner.exists(self.parcels[parcels])

    def gather(self, parcels: np.ndarray, dates: np.ndarray, pixels: np.ndarray) -> np.ndarray:
        """See :class:`ParcelStore`."""
        return self.inner.gather(self.parcels[parcels], dates, pixels)

    def valid(self, parcels: np.ndarray, dates: np.ndarray, pixels: np.ndarray) -> np.ndarray | None:
        """See :class:`ParcelStore`."""
        return self.inner.valid(self.parcels[parcels], dates, pixels)


def _groups(dataset: SceneParcels | ScenePixels) -> np.ndarray:
    """Group of labelled pixels that each sample in the store comes from."""
    if isinstance(dataset, SceneParcels):
        return np.arange(len(dataset.pixels.features))
    return np.repeat(np.arange(len(dataset.pixels.features)), np.diff(dataset.pixels.offsets))


def _geometry(dataset: SceneParcels | ScenePixels) -> np.ndarray:
    """Geometry of each group, (N,4), NaN where it has none."""
    labels = dataset.scene_labels
    if isinstance(dataset, SceneParcels) and isinstance(labels, ItemLabels) and labels.kind == 'polygons':
        return parcel_geometry(labels, dataset.pixels)
    return np.full((len(dataset.pixels.features), 4), np.nan)


def _blocks(dataset: SceneParcels | ScenePixels, size: float) -> np.ndarray:
    """Block of each sample in the store, row by row; -1 for those that do not lie wholly within one."""
    across, along = metres_per_pixel(dataset.scene.grid)
    per_row = int(np.ceil(dataset.scene.grid.width * across / size))
    left, top, right, bottom = _extents(dataset).T
    columns, rows = (np.floor(edge * pixel / size) for edge, pixel in ((left, across), (top, along)))
    # An edge on a border belongs to the block before it.
    last_columns, last_rows = (np.ceil(edge * pixel / size) - 1 for edge, pixel in ((right, across), (bottom, along)))
    within = (columns == last_columns) & (rows == last_rows)
    return np.where(within, rows * per_row + columns, -1).astype(np.int64)


def _extents(dataset: SceneParcels | ScenePixels) -> np.ndarray:
    """Left, top, right and bottom of the samples in pixel coordinates: of polygons, or of the pixels themselves."""
    pixels, labels = dataset.pixels, dataset.scene_labels
    if isinstance(dataset, SceneParcels) and isinstance(labels, ItemLabels) and labels.kind == 'polygons':
        import shapely

        from .vectors import to_pixels

        return shapely.bounds(to_pixels(labels.frame.geometry.to_numpy()[pixels.features], labels.grid))
    return np.stack([pixels.columns, pixels.rows, pixels.columns + 1, pixels.rows + 1], axis=1).astype(np.float64)


def _report_crossing(count: int, total: int, size: float, path: Path) -> None:
    if count == total:
        raise DataError(
            f'no parcel lies wholly within a block of {size:g} m', path=path, hint='Choose a larger block size.'
        )
    if count:
        print_log(
            f'{path.name}: {count} of {total} parcels cross the border of a block of {size:g} m and are left out',
            'current',
            logging.INFO,
        )


def pack_domain(
    dataset: SceneParcels | ScenePixels,
    folder: str | Path,
    sensor: str | None = None,
    block_size: float | None = None,
    progress: Progress | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a scene's parcels as the packed store of a domain, which `TimeMatchDataset` reads.

    Args:
        dataset: parcels (or pixels) of the scene, with the inner buffer and least area that its labels ask for.
        folder: folder of the domain, `<data_root>/<country>/<tile>/<year>`; the store is its `packed`.
        sensor: see :class:`SceneDomain`.
        block_size: see :class:`SceneDomain`.
        progress: called after each parcel.
        overwrite: make a complete store anew.

    Returns:
        Path of the store.

    Raises:
        DataError: if no parcel lies within a block, or the store of other data is there.
        ValueError: if the sensor does not exist.
    """
    domain = SceneDomain(dataset, sensor, block_size)
    Path(folder).mkdir(parents=True, exist_ok=True)
    origin = domain.path.parent.name
    return pack_parcels(domain, folder, progress, overwrite, domain.sensor, origin)


def class_table(classes: Sequence[str]) -> str:
    """YAML text that says which crop code is which class, for `TimeMatchDataset(class_tables=…)`; codes are names."""
    import yaml

    return yaml.safe_dump({str(name): [str(name)] for name in classes}, allow_unicode=True, sort_keys=False)
