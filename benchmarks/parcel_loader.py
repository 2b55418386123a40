#!/usr/bin/env python3
"""How many parcels per second a loader makes ready for training, and how many in a unit that compares between machines.

Written to a temporary folder: parcels of 10 to 2000 pixels, 52 dates and 10 bands of random uint16, one zarr array each
(Blosc, as the published data). Measured, each in one process and one thread with a warm page cache, batches of 128
parcels, 64 pixels and 30 dates drawn at random, days shifted by up to 60:

- `one by one`: the scheme of published code: a parcel is read, sampled, divided by 65535 and turned into tensors by
  itself, and the batch stacked by torch;
- `zarr`: `TimeMatchDataset` on the same arrays;
- `packed`: `TimeMatchDataset` on the store that tools/dataset_converters/timematch.py makes of them;
- `packed, ready`: the same, and through the data preprocessor on the CPU: cast and normalised;
- `packed, pairs`: `DomainViews` with two views of each parcel (weak: all dates), counted as one parcel.

A unit is a million additions in a plain Python loop and 2000 copies of a small array, the work that loading is made of;
it is timed in turn with the loaders.

    python benchmarks/parcel_loader.py --parcels 512 --repeats 5
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numcodecs
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import default_collate

from mmsits.datasets import DomainViews, DrawIndex, TimeMatchDataset
from mmsits.datasets.packed_parcels import pack_parcels
from mmsits.datasets.zarr_parcels import read_zarr
from mmsits.models import SeriesDataPreprocessor

DOMAIN = 'denmark/32VNH/2017'
DATES, BANDS, BATCH, PIXELS, CHOSEN = 52, 10, 128, 64, 30
WEAK = [dict(type='SamplePixels', num_pixels=PIXELS), dict(type='PackSeriesInputs')]
STRONG = [
    WEAK[0],
    dict(type='SampleDates', num_dates=CHOSEN),
    dict(type='ShiftDays', days=(-60, 60)),
    WEAK[1],
]


def write_domain(root: Path, parcels: int, seed: int = 0) -> None:
    """Random parcels in the published layout."""
    rng = np.random.default_rng(seed)
    codec = numcodecs.Blosc('lz4', 5, numcodecs.Blosc.SHUFFLE)
    rows = []
    for number in range(parcels):
        size = int(rng.integers(10, 2001))
        values = rng.integers(0, 10000, (DATES, BANDS, size)).astype(np.uint16)
        path = root / DOMAIN / 'data' / f'{number}.zarr'
        path.mkdir(parents=True)
        description = dict(zarr_format=2, shape=values.shape, chunks=values.shape, dtype='<u2', order='C')
        description |= dict(compressor=codec.get_config(), fill_value=0, filters=None)
        (path / '.zarray').write_text(json.dumps(description))
        (path / '0.0.0').write_bytes(codec.encode(values))
        rows.append(dict(id=number, label=251, n_pixels=size, block=0, geometric_features=[1.0] * 4))
    dates = [int(str(day).replace('-', '')) for day in np.datetime64('2017-01-03') + np.arange(DATES) * 7]
    (root / DOMAIN / 'meta').mkdir()
    metadata = dict(start_date='20170101', end_date='20171231', dates=dates, parcels=rows)
    (root / DOMAIN / 'meta' / 'metadata.pkl').write_bytes(pickle.dumps(metadata))


class OneByOne:
    """The published scheme: every parcel by itself."""

    def __init__(self, root: Path) -> None:
        self.folder = root / DOMAIN / 'data'
        self.positions = np.arange(DATES) * 7

    def sample(self, parcel: int) -> dict:
        pixels, positions = read_zarr(self.folder / f'{parcel}.zarr'), self.positions
        size = pixels.shape[-1]
        if size > PIXELS:
            pixels = pixels[:, :, random.sample(range(size), PIXELS)]
            valid = np.ones((DATES, PIXELS), np.float32)
        else:
            padded = np.zeros((DATES, BANDS, PIXELS))
            padded[..., :size], padded[..., size:] = pixels, pixels[..., :1]
            valid = np.repeat((np.arange(PIXELS) < size)[None].astype(np.float32), DATES, axis=0)
            pixels = padded
        dates = sorted(random.sample(range(DATES), CHOSEN))
        pixels, valid, positions = pixels[dates], valid[dates], positions[dates] + random.randint(-60, 60)
        pixels = np.clip(pixels, 0, 65535).astype(np.float32) / 65535
        return dict(
            pixels=torch.from_numpy(pixels),
            valid=torch.from_numpy(valid),
            positions=torch.from_numpy(positions),
            label=torch.tensor(0),
        )

    def batch(self, indices: list[int]) -> dict:
        return default_collate([self.sample(int(index)) for index in indices])


def loader_work(fetch: Callable[[list], object], parcels: int) -> Callable[[], int]:
    """A pass over all parcels in random order, in batches; returns how many there were."""
    passes = [0]

    def work() -> int:
        passes[0] += 1
        order = np.random.default_rng(passes[0]).permutation(parcels)
        draws = [DrawIndex(int(index), passes[0] * parcels + position, 0) for position, index in enumerate(order)]
        batches = [draws[first : first + BATCH] for first in range(0, parcels - BATCH + 1, BATCH)]
        for batch in batches:
            fetch(batch)
        return len(batches) * BATCH

    return work


def unit_work() -> int:
    """The unit; see the top of the file."""
    block, total = np.zeros((64, 64), np.int16), 0
    for i in range(1_000_000):
        total += i
    for _ in range(2000):
        block.copy()
    return 1


def open_loaders(root: Path) -> dict[str, Callable[[list], object]]:
    """Name to the function that makes a batch of some draws."""

    def dataset(storage: str, pipeline: list) -> TimeMatchDataset:
        return TimeMatchDataset(str(root), source=DOMAIN, min_parcels=1, storage=storage, pipeline=pipeline)

    zarr = dataset('zarr', STRONG)
    pack_parcels(zarr.store, root / DOMAIN)
    packed = dataset('packed', STRONG)
    views = dict(target_weak=WEAK, target_strong=STRONG)
    pairs = DomainViews(dict(target=dict(dataset=packed, views=views)))
    preprocess = SeriesDataPreprocessor(
        sensors=dict(s2=BANDS), statistics=dict(s2=dict(mean=[0.0] * BANDS, std=[65535.0] * BANDS))
    )
    return {
        'one by one': OneByOne(root).batch,
        'zarr': zarr.__getitems__,
        'packed': packed.__getitems__,
        'packed, ready': lambda draws: preprocess(packed.__getitems__(draws)),
        'packed, pairs': pairs.__getitems__,
    }


def measure(loaders: dict[str, Callable[[list], object]], parcels: int, repeats: int) -> tuple[dict, float]:
    """Median seconds per parcel of each loader, and of the unit."""
    works = {'unit': unit_work} | {name: loader_work(fetch, parcels) for name, fetch in loaders.items()}
    times: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(repeats + 1):
        for name, work in works.items():
            start = time.perf_counter()
            count = work()
            if round_:  # the first round warms up
                times[name].append((time.perf_counter() - start) / count)
    medians = {name: statistics.median(spent) for name, spent in times.items()}
    return medians, medians.pop('unit')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--parcels', type=int, default=512, help='number of parcels, at least 128')
    parser.add_argument('--repeats', type=int, default=5)
    args = parser.parse_args()
    if args.parcels < BATCH:
        parser.error(f'--parcels must be at least {BATCH}')
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write_domain(Path(folder), args.parcels)
        seconds, unit = measure(open_loaders(Path(folder)), args.parcels, args.repeats)
    table = Table('loader', 'parcels per second', 'parcels per unit', 'times as fast as one by one')
    for name, spent in seconds.items():
        table.add_row(name, f'{1 / spent:,.0f}', f'{unit / spent:,.0f}', f'{seconds["one by one"] / spent:.1f}')
    Console(width=100).print(table)
    print(f'unit {unit:.4f} s, torch {torch.__version__}, numpy {np.__version__}')


if __name__ == '__main__':
    main()
