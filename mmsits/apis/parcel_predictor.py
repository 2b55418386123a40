"""Networks that classify sets of pixels, on the parcels of a scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from mmsits.apis.scene_inputs import NetworkRunner, Sample, SceneReader, gather_pixels, observed_pixels
from mmsits.apis.scene_parcels import ParcelFile
from mmsits.apis.scene_tiles import blocks_of
from mmsits.datasets.samplers import batches_of_similar_size
from mmsits.datasets.scene.grid import Window
from mmsits.datasets.scene.labels import ItemLabels, LabelPixels, shape_features
from mmsits.datasets.scene.parcels import parcel_geometry
from mmsits.datasets.scene.vectors import metric_crs
from mmsits.structures import ImageSeries


class _Parcels(NamedTuple):
    """Parcels of a tile: their numbers, samples and numbers of observed pixels."""

    numbers: np.ndarray
    samples: list[Sample]
    sizes: list[int]


class ParcelPredictor:
    """Classify parcels from their pixels, those whose centre lies within; of a parcel without any, the pixel in its
    middle.

    A parcel belongs to the tile that its middle lies in, wherever its pixels are. What is held in memory are the pixels
    of a tile's parcels.

    Args:
        reader: windows of the scene.
        runner: the network.
        parcels: of the scene.
        rules: how pixels are found, `inner_buffer` in metres and `all_touched`, as in the labels of a `SceneDataset`.
        pixels_per_parcel: so many at most; of a larger parcel every second, third … pixel.
        batch_size: parcels in a batch.
        max_pixels: pixels in a batch, padding included; a larger parcel is a batch of its own.
        block_size: height and width of what is read at once.
    """

    def __init__(
        self,
        reader: SceneReader,
        runner: NetworkRunner,
        parcels: ParcelFile,
        rules: Mapping[str, Any] | None = None,
        pixels_per_parcel: int = 4096,
        batch_size: int = 128,
        max_pixels: int = 2**13,
        block_size: int = 256,
    ) -> None:
        self.reader, self.runner, self.parcels = reader, runner, parcels
        self.pixels_per_parcel, self.batch_size, self.max_pixels = pixels_per_parcel, batch_size, max_pixels
        self.block_size = block_size
        self._labels = _owners_of(parcels, dict(rules or {}))
        height, width = parcels.grid.shape
        # A parcel at the edge may have its middle outside.
        self._middles = np.clip(np.floor(self._labels.positions[:, ::-1]).astype(np.int64), 0, [height - 1, width - 1])
        backbone = runner.network.segmentor.backbone
        self._geometry_sensor = backbone.geometry_sensor if getattr(backbone, 'geometry_channels', 0) else None

    def steps(self, tile: Window) -> int:
        """One for each tile."""
        return 1

    def prepare(self, tile: Window) -> Iterator[_Parcels]:
        """Read the pixels of the parcels whose middle lies in a tile."""
        own = np.flatnonzero(
            ((self._middles >= [tile.row, tile.column]) & (self._middles < np.add(tile[:2], tile[2:]))).all(axis=1)
        )
        owners, rows, columns = self._pixels(own)
        geometry = self._geometry(own, owners, rows, columns)
        kept = _evenly(owners, self.pixels_per_parcel)
        owners, rows, columns = owners[kept], rows[kept], columns[kept]
        pixels = self._read(rows, columns)
        samples, sizes = [], []
        ends = np.searchsorted(owners, own, side='right')
        for number, (first, end) in enumerate(zip(np.searchsorted(owners, own), ends, strict=True)):
            series = {name: _take(part, slice(first, end)) for name, part in pixels.items()}
            sizes.append(int(observed_pixels(series).sum()))
            name = f'parcel {self.parcels.inside[own[number]]}'
            samples.append(self._sample(series, name, None if geometry is None else geometry[number]))
        yield _Parcels(self.parcels.inside[own], samples, sizes)

    def arrays(self, tile: Window, parts: Iterator[_Parcels]) -> dict[str, np.ndarray]:
        """Classify the parcels of a tile.

        Returns:
            `parcel` (n,) int64, `parcel_sums` (n,K+1) float64: observed pixels, then probabilities times these.
        """
        found = next(parts)
        sums = np.zeros((len(found.numbers), self.runner.classes + 1))
        observed = [number for number, size in enumerate(found.sizes) if size]
        lengths = [found.samples[number]['metas']['img_shape'][0] for number in observed]
        for batch in batches_of_similar_size(lengths, self.batch_size, self.max_pixels):
            chosen = [observed[position] for position in batch]
            probabilities, seen = self.runner([found.samples[number] for number in chosen])
            sizes = np.array([found.sizes[number] for number in chosen]) * seen[:, 0, 0].cpu().numpy()
            sums[chosen, 0] = sizes
            sums[chosen, 1:] = probabilities[:, :, 0, 0].double().cpu().numpy() * sizes[:, None]
        return dict(parcel=found.numbers, parcel_sums=sums)

    def _pixels(self, own: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Owner, row and column of the pixels of some parcels, sorted by these."""
        if not len(own):
            return (np.zeros(0, np.int64),) * 3
        mine = np.zeros(len(self._middles) + 1, bool)
        mine[own] = True
        found = [(own[:0], own[:0], own[:0])]
        for block in blocks_of(self._region(own), self.block_size):
            owners = self._labels.owners(block)
            rows, columns = np.nonzero(mine[np.maximum(owners, -1)])
            found.append((owners[rows, columns].astype(np.int64), rows + block.row, columns + block.column))
        owners, rows, columns = (np.concatenate(parts) for parts in zip(*found, strict=True))
        empty = np.setdiff1d(own, owners)
        owners, rows, columns = (
            np.concatenate([part, added])
            for part, added in zip((owners, rows, columns), (empty, *self._middles[empty].T), strict=True)
        )
        order = np.lexsort((columns, rows, owners))
        return owners[order], rows[order], columns[order]

    def _geometry(
        self, own: np.ndarray, owners: np.ndarray, rows: np.ndarray, columns: np.ndarray
    ) -> np.ndarray | None:
        """Features of the shapes of some parcels, (n,4), where the network takes them."""
        if self._geometry_sensor is None:
            return None
        if not len(own):
            return np.zeros((0, 4))
        offsets = np.append(np.searchsorted(owners, own), len(owners))
        nothing = np.zeros(len(own), np.uint8), np.full(len(own), -1, np.int8)
        return parcel_geometry(self._labels, LabelPixels(own, offsets, rows, columns, *nothing))

    def _region(self, own: np.ndarray) -> Window:
        """The part of the scene that parcels reach."""
        import shapely

        left, top, right, bottom = shapely.total_bounds(self.parcels.shapes[self.parcels.inside[own]])
        row, column = int(np.floor(top)), int(np.floor(left))
        wanted = Window(row, column, int(np.ceil(bottom)) - row, int(np.ceil(right)) - column)
        return wanted.intersection(self.parcels.grid.window)

    def _read(self, rows: np.ndarray, columns: np.ndarray) -> dict[str, ImageSeries]:
        """Series of chosen pixels, values (T,C,P,1), block by block."""
        blocks = rows // self.block_size, columns // self.block_size
        order = np.lexsort(blocks[::-1])
        bounds = np.flatnonzero(np.diff(blocks[0][order]) | np.diff(blocks[1][order])) + 1
        parts = []
        for chosen in np.split(order, bounds) if len(order) else ():
            row, column = int(rows[chosen].min()), int(columns[chosen].min())
            height, width = int(rows[chosen].max()) - row + 1, int(columns[chosen].max()) - column + 1
            series = self.reader.read(Window(row, column, height, width))
            parts.append(gather_pixels(series, rows[chosen] - row, columns[chosen] - column))
        back = np.argsort(order, kind='stable')
        return {name: _joined([part[name] for part in parts], back) for name in (parts[0] if parts else ())}

    def _sample(self, series: dict[str, ImageSeries], name: str, geometry: np.ndarray | None) -> Sample:
        sample = self.reader.sample(series, name)
        if geometry is not None:
            values = torch.from_numpy(geometry.astype(np.float32))[None, :, None, None]
            days = torch.tensor([self.reader.season_start], dtype=torch.int32)
            sample['inputs'][self._geometry_sensor] = ImageSeries(values, days, torch.ones(1, 1, 1, dtype=torch.bool))
        return sample


def _owners_of(parcels: ParcelFile, rules: dict[str, Any]) -> ItemLabels:
    """Which parcel of those in the scene each pixel belongs to."""
    import geopandas

    frame = geopandas.GeoDataFrame(
        dict(feature_id=[str(number) for number in parcels.inside]),
        geometry=parcels.geometries[parcels.inside],
        crs=parcels.grid.crs.to_wkt(),
    )
    labels = ItemLabels(parcels.path, parcels.grid, frame, ['parcel'] * len(frame), **rules)
    gone = ~np.isfinite(labels.geometry).all(axis=1)
    if gone.any():
        # Nothing is left of them behind the inner buffer; what is classified is their middle, and the shape their own.
        outlines = frame.geometry[gone].to_crs(metric_crs(frame).to_wkt())
        labels.geometry[gone] = shape_features(outlines)
    return labels


def _evenly(owners: np.ndarray, most: int) -> np.ndarray:
    """Positions to keep so that no owner has more than `most`, evenly spread; owners are sorted."""
    starts = np.searchsorted(owners, owners)
    rank = np.arange(len(owners)) - starts
    sizes = np.searchsorted(owners, owners, side='right') - starts
    # Of n pixels in order, those where rank · most / n passes a whole number.
    kept = (sizes <= most) | ((rank * most) // sizes != ((rank + 1) * most) // sizes)
    return np.flatnonzero(kept)


def _take(series: ImageSeries, pixels: slice) -> ImageSeries:
    return ImageSeries(series.values[:, :, pixels], series.days, series.valid[:, pixels])


def _joined(parts: list[ImageSeries], order: np.ndarray) -> ImageSeries:
    """Pixels of several blocks, in another order."""
    values = np.concatenate([part.values for part in parts], axis=2)[:, :, order]
    valid = np.concatenate([part.valid for part in parts], axis=1)[:, order]
    return ImageSeries(values, parts[0].days, valid)
