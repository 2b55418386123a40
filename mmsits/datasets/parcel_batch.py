"""A batch of parcels whose pixels are still on the disk, on which transforms work all at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from mmsits.structures import ImageSeries, SampleMeta

from .collate import CollatedBatch
from .counter_random import random_fractions, random_fractions_at
from .parcel_store import HeldParcels, ParcelStore


class SensorParcels:
    """What is wanted of one sensor: some pixels of B parcels, on some dates.

    Args:
        store: where the pixels are.
        parcels: (B,) numbers of the parcels in the store.
        bands: positions in the store of the bands wanted.
        pixels: (B,n) positions within the parcel.

    Attributes:
        dates: (B,L) positions on the time axis of the store.
        days: (B,L) int32, days since 1970-01-01.
        exists: (B,L) bool.
    """

    def __init__(self, store: ParcelStore, parcels: np.ndarray, bands: Sequence[int], pixels: np.ndarray) -> None:
        self.store, self.parcels, self.bands, self.pixels = store, parcels, list(bands), pixels
        self.days = np.array(store.days(parcels), np.int32)
        self.exists = np.array(store.exists(parcels), bool)
        self.dates = np.broadcast_to(np.arange(self.days.shape[1]), self.days.shape)

    def keep_dates(self, index: np.ndarray) -> None:
        """Keep the dates at positions (B,L') of the present ones, in that order."""
        self.dates, self.days, self.exists = (
            np.take_along_axis(array, index, axis=1) for array in (self.dates, self.days, self.exists)
        )

    def keep_pixels(self, index: np.ndarray, observed: np.ndarray) -> None:
        """Keep the pixels at positions (B,n') of the present ones; dates that none of them observed exist no more."""
        self.pixels = np.take_along_axis(self.pixels, index, axis=1)
        of_pixels = self.store.valid(self.parcels, self.dates, self.pixels)
        if of_pixels is not None:
            self.exists = self.exists & (of_pixels & observed[:, None]).any(axis=2)

    def read(self) -> np.ndarray:
        """The chosen pixels on the chosen dates, (B,L,n,C)."""
        values = self.store.gather(self.parcels, self.dates, self.pixels)
        whole = self.bands == list(range(self.store.bands))
        return values if whole else np.ascontiguousarray(values[..., self.bands])

    def valid(self, observed: np.ndarray) -> np.ndarray:
        """Which of them were observed, (B,L,n) bool; `observed` (B,n): which pixels there are."""
        valid = self.exists[:, :, None] & observed[:, None, :]
        of_pixels = self.store.valid(self.parcels, self.dates, self.pixels)
        return valid if of_pixels is None else valid & of_pixels

    def holding(self, series: ImageSeries, sizes: np.ndarray) -> SensorParcels:
        """The same with observations in memory; see :meth:`ParcelBatch.hold`."""
        count, dates, bands, pixels, _ = series.values.shape
        valid = np.broadcast_to(series.valid[..., 0], (count, dates, pixels))
        paths = self.store.paths_of(self.parcels)
        store = HeldParcels(np.moveaxis(series.values[..., 0], 2, 3), series.days, valid, sizes, paths)
        positions = np.broadcast_to(np.arange(pixels), (count, pixels))
        return SensorParcels(store, np.arange(count), range(bands), positions)


class ParcelBatch:
    """B parcels: which of their pixels and dates are wanted, not yet what these hold.

    A transform that has a method `transform_batch(batch) -> batch` changes which dates of a sensor are wanted, or their
    days (`batch.sensors`), or which pixels of all (:meth:`keep_pixels`); values are read once, at the end
    (:meth:`collate`), or where a transform that has none needs samples (:meth:`samples`). One that works on values
    takes them by :meth:`series` and gives them back by :meth:`hold`; those after it go on as before.

    Args:
        stores: where the pixels of each sensor that changes in time are. Parcels have the same number and pixels in
            all.
        bands: positions in each store of the bands wanted.
        parcels: (B,) numbers of the parcels in the stores.
        draws: (B,2) seed and number of each draw.
        targets: (B,) uint8 labels, 255 ignored; None without labels.
        season_starts: (B,) reference dates, days since 1970-01-01.
        static: sensors with one value per band and parcel: name -> (B,C).
        sample_ids: B names.
        infos: `sensors_info` of the dataset, `ignored_labels`, `statistics` and whatever goes into each sample.

    Attributes:
        sensors: what is wanted of each sensor that changes in time.
        sizes: (B,) number of the chosen pixels that are the parcel's own.
        observed: (B,n) bool; False where a parcel has fewer pixels than n.
        notes: what a transform leaves for others to know, by name, a row for each parcel.
    """

    def __init__(
        self,
        stores: Mapping[str, ParcelStore],
        bands: Mapping[str, Sequence[int]],
        parcels: np.ndarray,
        draws: Sequence[tuple[int, int]],
        targets: np.ndarray | None,
        season_starts: np.ndarray,
        static: Mapping[str, np.ndarray],
        sample_ids: Sequence[str],
        infos: Mapping[str, Any],
    ) -> None:
        self.draws, self.targets, self.season_starts = list(draws), targets, season_starts
        self.static, self.sample_ids, self.infos = dict(static), list(sample_ids), dict(infos)
        self.sizes = next(iter(stores.values())).sizes[parcels]
        most = int(self.sizes.max())
        order = np.broadcast_to(np.arange(most), (len(parcels), most))
        self.observed = order < self.sizes[:, None]
        # Pixel 0 stands in where a parcel has no more, as in the published code.
        pixels = np.where(self.observed, order, 0)
        self.sensors = {name: SensorParcels(store, parcels, bands[name], pixels) for name, store in stores.items()}
        mask = 2**64 - 1
        self._seeds = np.array([seed & mask for seed, _ in self.draws], np.uint64)
        self._numbers = np.array([number & mask for _, number in self.draws], np.uint64)
        self._streams = 0
        self.notes: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.sizes)

    def random(self, count: int) -> np.ndarray:
        """Uniform numbers 0 ≤ u < 1, (B,count): functions of each draw alone, new with every call."""
        self._streams += 1
        return random_fractions(self._seeds, self._numbers, self._streams, count)

    def random_at(self, rows: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
        """Uniform numbers for some places of some parcels, as of dates: functions of draw and place alone.

        Args:
            rows: (M,) positions of parcels in the batch.
            places: (M,) numbers of the places, 0 and up.
            count: numbers of each place.

        Returns:
            (M,count); new with every call.
        """
        self._streams += 1
        return random_fractions_at(self._seeds[rows], self._numbers[rows], self._streams, places, count)

    def generators(self) -> list[np.random.Generator]:
        """B generators, each a function of its draw alone, new with every call: for many numbers at once, beside which
        making them costs little."""
        self._streams += 1
        pairs = zip(self._seeds.tolist(), self._numbers.tolist(), strict=True)
        return [np.random.default_rng([seed, number, self._streams]) for seed, number in pairs]

    def chosen(self, names: str | Sequence[str] | None) -> dict[str, SensorParcels]:
        """Those of the sensors that change in time that a transform for `names` acts on; None for all."""
        if names is None:
            return self.sensors
        wanted = [names] if isinstance(names, str) else list(names)
        return {name: sensor for name, sensor in self.sensors.items() if name in wanted}

    def keep_pixels(self, index: np.ndarray, observed: np.ndarray) -> None:
        """Choose pixels, the same of all sensors.

        Args:
            index: (B,n') positions among the present pixels.
            observed: (B,n') bool; False where the parcel has no more, and the pixel stands for none.
        """
        self.observed, self.sizes = observed, observed.sum(axis=1)
        for sensor in self.sensors.values():
            sensor.keep_pixels(index, observed)

    def valid(self, sensor: str) -> np.ndarray:
        """Which of the chosen pixels of a sensor were observed on the chosen dates, (B,L,n) bool."""
        return self.sensors[sensor].valid(self.observed)

    def series(self, sensor: str) -> ImageSeries:
        """Read a sensor that changes in time: values (B,L,C,n,1), days (B,L), valid (B,L,n,1), as numpy arrays."""
        if sensor not in self.sensors:
            raise KeyError(f'no sensor {sensor!r} that changes in time in the batch, which has {list(self.sensors)}')
        wanted = self.sensors[sensor]
        return ImageSeries(np.moveaxis(wanted.read(), 3, 2)[..., None], wanted.days, self.valid(sensor)[..., None])

    def hold(self, sensor: str, series: ImageSeries) -> None:
        """Go on with these observations instead of those on the disk; arguments as :meth:`series` gives them.

        Dates and bands may be others than before, pixels not.
        """
        self.sizes = self.observed.sum(axis=1)
        self.sensors[sensor] = self.sensors[sensor].holding(series, self.sizes)

    def collate(self, meta_keys: Sequence[str]) -> CollatedBatch:
        """Read, and make the batch that the data preprocessor takes.

        Args:
            meta_keys: what goes into `metas`.

        Returns:
            inputs: sensor to ImageSeries: values (B,L,C,n,1) of the store's type, days (B,L), valid (B,L,n,1) bool;
            targets: (B,1,1,1) uint8, absent without labels; metas: B SampleMeta. Bands lie next to each other in
            memory: networks look at one pixel's bands together.
        """
        batch = CollatedBatch(inputs={})
        for name, sensor in self.sensors.items():
            values = torch.from_numpy(sensor.read()).transpose(2, 3).unsqueeze(-1)
            valid = torch.from_numpy(self.valid(name)).unsqueeze(-1)
            batch['inputs'][name] = ImageSeries(values, torch.from_numpy(sensor.days), valid)
        for name, numbers in self.static.items():
            batch['inputs'][name] = ImageSeries(
                torch.from_numpy(numbers.astype(np.float32))[:, None, :, None, None],
                torch.from_numpy(self.season_starts.astype(np.int32))[:, None],
                torch.from_numpy(np.isfinite(numbers).all(1))[:, None, None, None],
            )
        if self.targets is not None:
            batch['targets'] = torch.from_numpy(self.targets)[:, None, None, None]
        batch['metas'] = [SampleMeta(**meta) for meta in self._metas(meta_keys)]
        return batch

    def samples(self) -> list[dict[str, Any]]:
        """Read, and make the B samples that ordinary transforms take, each with a generator of its draw."""
        read = {name: self.series(name) for name in self.sensors}
        metas = list(self._metas())
        samples = []
        for row in range(len(self)):
            inputs = {name: ImageSeries(*(part[row] for part in series)) for name, series in read.items()}
            for name, numbers in self.static.items():
                inputs[name] = ImageSeries(
                    numbers[row].astype(np.float32)[None, :, None, None],
                    np.array([self.season_starts[row]], np.int32),
                    np.isfinite(numbers[row]).all().reshape(1, 1, 1),
                )
            sample = dict(
                self.infos,
                **metas[row],
                inputs=inputs,
                static_sensors=tuple(self.static),
                date_index={name: np.array(sensor.dates[row]) for name, sensor in self.sensors.items()},
                rng=np.random.default_rng(self.draws[row]),
            )
            if self.targets is not None:
                sample['targets'] = self.targets[row].reshape(1, 1)
            samples.append(sample)
        return samples

    def _metas(self, keys: Sequence[str] | None = None) -> Iterator[dict[str, Any]]:
        """Meta information of each parcel, all of it or that of some keys."""
        constant = dict(img_shape=(self.observed.shape[1], 1))
        if 'statistics' in self.infos:
            constant['statistics'] = self.infos['statistics']
        columns: dict[str, Sequence[Any]] = dict(
            sample_id=self.sample_ids, season_start=self.season_starts.tolist(), paths=self._paths()
        )
        if keys is not None:
            constant = {key: value for key, value in constant.items() if key in keys}
            columns = {key: values for key, values in columns.items() if key in keys}
        names, same = (*columns, *constant), tuple(constant.values())
        for row in zip(*columns.values(), strict=True) if columns else [()] * len(self):
            yield dict(zip(names, row + same, strict=True))

    def _paths(self) -> list[dict[str, str]]:
        """Sensor to the parcel's file, for each parcel; parcels of one file share the dict."""
        paths = [sensor.store.paths_of(sensor.parcels) for sensor in self.sensors.values()]
        named = dict.fromkeys(zip(*paths, strict=True))
        known = {row: dict(zip(self.sensors, row, strict=True)) for row in named}
        return [known[row] for row in zip(*paths, strict=True)]


def transformed(batch: ParcelBatch, transforms: Iterable[Any]) -> Any:
    """Send a batch through a pipeline: as a whole as far as the transforms can (`transform_batch`), from the first that
    cannot on sample by sample.

    Args:
        batch: of parcels.
        transforms: of the pipeline.

    Returns:
        A CollatedBatch if all could, and the last one packs; else B samples.
    """
    state: Any = batch
    for step in transforms:
        if isinstance(state, ParcelBatch) and hasattr(step, 'transform_batch'):
            state = step.transform_batch(state)
            continue
        samples = state.samples() if isinstance(state, ParcelBatch) else state
        state = [step(sample) for sample in samples]
    return state.samples() if isinstance(state, ParcelBatch) else state


def single_sample(batch: Mapping[str, Any]) -> dict[str, Any]:
    """The only sample of a batch of one, without the leading axis."""
    inputs = {sensor: ImageSeries(*(part[0] for part in series)) for sensor, series in batch['inputs'].items()}
    sample: dict[str, Any] = dict(inputs=inputs, metas=batch['metas'][0])
    if 'targets' in batch:
        sample['targets'] = batch['targets'][0]
    return sample
