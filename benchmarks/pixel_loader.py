#!/usr/bin/env python3
"""How many series of single pixels per second a loader makes ready for training, and how many in a unit that compares
between machines.

Written to a temporary folder: series of 23 to 92 dates of ten bands with random numbers and labels, in the layout of
SITS-MoCo. Measured, each in one process and one thread with everything in memory, batches of 512 in random order,
labels included, values rolled along time in half of the cases, 70 dates drawn at random:

- `one by one`: the scheme of published code: a series is scaled, rolled, weighted by greenness, normalised, brought to
  70 dates, and turned into tensors by itself, and the batch stacked by torch;
- `batched`: `USCropsDataset`;
- `batched, ready`: the same, and through the data preprocessor on the CPU: cast and normalised;
- `batched, weighted`: the same, and the weights by greenness, which here are the network's business;
- `two views`: `ContrastiveViews` of it with noise and thinned dates, counted as one series; beside
- `two views, one by one`: the published scheme of that.

A unit is a million additions in a plain Python loop and 2000 copies of a small array, the work that loading is made of;
it is timed in turn with the loaders.

    python benchmarks/pixel_loader.py --series 4096 --repeats 5
"""

from __future__ import annotations

import argparse
import csv
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch.utils.data import default_collate

from mmsits.datasets import ContrastiveViews, DrawIndex, USCropsDataset
from mmsits.datasets.us_crops import MEAN, STD
from mmsits.models import SeriesDataPreprocessor
from mmsits.models.layers.greenness import GreennessWeights

DATES, BATCH, YEAR = 70, 512, 2019
SCALED_MEAN, SCALED_STD = np.array(MEAN) * 1e-4, np.array(STD) * 1e-4
ROLL = dict(type='RollDates')
DISTURB = dict(type='DisturbDates', amount=dict(s2=[0.5 * std for std in STD]))
THIN = dict(type='ThinDates')
SAMPLE = dict(type='SampleDates', num_dates=DATES)
PACK = dict(type='PackSeriesInputs')
Loader = Callable[[list], Any]


def write_series(root: Path, count: int, seed: int = 0) -> None:
    """Random series in the published layout."""
    rng = np.random.default_rng(seed)
    folder = root / str(YEAR)
    (folder / 'npy').mkdir(parents=True)
    both = np.empty((2, count), object)
    with open(folder / 'train.csv', 'w', encoding='utf-8', newline='') as file:
        writer = csv.writer(file)
        writer.writerow(['id', 'code', 'path', 'sequencelength', 'classid', 'classname', 'region', 'mode'])
        for number in range(count):
            length, label = int(rng.integers(23, 93)), int(rng.integers(21))
            days = np.sort(rng.choice(np.arange(1, 366), length, replace=False))
            both[0, number] = np.column_stack([rng.integers(1, 6000, (length, 10)), days]).astype(float)
            both[1, number] = label
            writer.writerow([number, 1, '', length, label, '', 'Adams', 'train'])
    np.save(folder / 'npy' / f'Train_R{count}_Seed111_Class20.npy', both, allow_pickle=True)


class OneByOne:
    """The published scheme: every series by itself.

    Args:
        series: tables (T,11) of float64.
        labels: their classes.
    """

    def __init__(self, series: list[np.ndarray], labels: np.ndarray) -> None:
        self.series, self.labels = series, labels

    def supervised(self, number: int) -> tuple:
        """Input and label of one series."""
        table = self.series[number]
        x, days = table[:, :10] * 1e-4, table[:, -1]
        x = roll(x)
        weight = greenness_weight(x)
        x = (x - SCALED_MEAN) / SCALED_STD
        if len(x) <= DATES:
            missing = DATES - len(x)
            mask = np.arange(DATES) >= len(x)
            x = np.concatenate([x, np.zeros((missing, 10))])
            days, weight = (np.concatenate([part, np.zeros(missing)]) for part in (days, weight))
        else:
            chosen = np.sort(np.random.choice(len(x), DATES, replace=False))
            x, days, weight, mask = x[chosen], days[chosen], weight[chosen], np.zeros(DATES, bool)
        inputs = (
            torch.from_numpy(x).float(),
            torch.from_numpy(mask),
            torch.from_numpy(days).long(),
            torch.from_numpy(weight / weight.sum()).float(),
        )
        return inputs, torch.tensor(self.labels[number], dtype=torch.long)

    def view(self, x: np.ndarray, days: np.ndarray) -> tuple:
        """One augmented view."""
        x = roll(x)
        x = x.copy()
        for date in range(len(x)):
            fraction = np.random.rand()
            if fraction < 0.15:
                noise = np.abs(np.random.randn(10) * 0.5)
                x[date] += -noise if fraction < 0.075 else noise
        kept = np.random.rand(len(x)) >= 0.15
        x, days = x[kept], days[kept]
        if len(x) <= DATES:
            mask = np.arange(DATES) >= len(x)
            x = np.concatenate([x, np.zeros((DATES - len(x), 10))])
            days = np.concatenate([days, np.zeros(DATES - len(days))])
        else:
            chosen = np.sort(np.random.choice(len(x), DATES, replace=False))
            x, days, mask = x[chosen], days[chosen], np.zeros(DATES, bool)
        return torch.from_numpy(x).float(), torch.from_numpy(mask), torch.from_numpy(days).long()

    def views(self, number: int) -> tuple:
        """Both views of one series."""
        table = self.series[number]
        x = (table[:, :10] * 1e-4 - SCALED_MEAN) / SCALED_STD
        return self.view(x, table[:, -1]), self.view(x, table[:, -1])

    def batch(self, indices: list[int]) -> Any:
        """A training batch."""
        return default_collate([self.supervised(int(index)) for index in indices])

    def pairs(self, indices: list[int]) -> Any:
        """A batch of two views."""
        return default_collate([self.views(int(index)) for index in indices])


def roll(x: np.ndarray) -> np.ndarray:
    """Values moved along time by up to six dates, in half of the cases."""
    if np.random.rand() >= 0.5:
        return x
    return np.roll(x, int(np.clip(np.random.randn() * 0.3, -1, 1) * 6), axis=0)


def greenness_weight(x: np.ndarray) -> np.ndarray:
    """Weights of dates by NDVI, -1 where cloudy or dark."""
    visible = np.minimum((x[:, 0] + x[:, 1] + x[:, 2] - 0.2) / 0.6, 1.0)
    dark = x[:, 6] + x[:, 8] + x[:, 9] < 0.35
    ndvi = (x[:, 6] - x[:, 2]) / (x[:, 6] + x[:, 2] + 1e-8)
    ndvi[(100 * visible > 20) | dark] = -1
    weight = np.exp(np.clip(ndvi, -1, 1))
    return weight / weight.sum()


def loader_work(fetch: Loader, count: int) -> Callable[[], int]:
    """A pass over all series in random order, in batches; returns how many there were."""
    passes = [0]

    def work() -> int:
        passes[0] += 1
        order = np.random.default_rng(passes[0]).permutation(count)
        draws = [DrawIndex(int(index), passes[0] * count + position, 0) for position, index in enumerate(order)]
        batches = [draws[first : first + BATCH] for first in range(0, count - BATCH + 1, BATCH)]
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


def open_loaders(root: Path) -> dict[str, Loader]:
    """Name to the function that makes a batch of some draws."""
    batched = USCropsDataset(str(root), YEAR, pipeline=[ROLL, SAMPLE, PACK])
    views = ContrastiveViews(
        dict(type='USCropsDataset', data_root=str(root), year=YEAR), [ROLL, DISTURB, THIN, SAMPLE, PACK]
    )
    series = [
        np.column_stack([batched.series.values[first:end], batched.series.day_of_year[first:end]]).astype(float)
        for first, end in zip(batched.series.offset[:-1], batched.series.offset[1:], strict=True)
    ]
    one_by_one = OneByOne(series, batched.series.labels)
    preprocess = SeriesDataPreprocessor(sensors=dict(s2=10), statistics=dict(s2=dict(mean=list(MEAN), std=list(STD))))
    weights = GreennessWeights(MEAN, STD)

    def weighted(draws: list) -> Any:
        data = preprocess(batched.__getitems__(draws))
        inputs = data['inputs']['s2']
        return weights(inputs.values[..., 0, 0], inputs.valid[..., 0, 0])

    return {
        'one by one': one_by_one.batch,
        'batched': batched.__getitems__,
        'batched, ready': lambda draws: preprocess(batched.__getitems__(draws)),
        'batched, weighted': weighted,
        'two views, one by one': one_by_one.pairs,
        'two views': views.__getitems__,
    }


def measure(loaders: dict[str, Loader], count: int, repeats: int) -> tuple[dict[str, float], float]:
    """Median seconds per series of each loader, and of the unit; seconds of the processor, not of the clock."""
    works = {'unit': unit_work} | {name: loader_work(fetch, count) for name, fetch in loaders.items()}
    times: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(repeats + 1):
        for name, work in works.items():
            start = time.process_time()
            done = work()
            if round_:  # the first round warms up
                times[name].append((time.process_time() - start) / done)
    medians = {name: statistics.median(spent) for name, spent in times.items()}
    return medians, medians.pop('unit')


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--series', type=int, default=4096, help='number of series, at least 512')
    parser.add_argument('--repeats', type=int, default=5)
    args = parser.parse_args()
    if args.series < BATCH:
        parser.error(f'--series must be at least {BATCH}')
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        write_series(Path(folder), args.series)
        seconds, unit = measure(open_loaders(Path(folder)), args.series, args.repeats)
    table = Table('loader', 'series per second', 'series per unit', 'times as fast as one by one')
    for name, spent in seconds.items():
        base = seconds['two views, one by one' if name.startswith('two') else 'one by one']
        table.add_row(name, f'{1 / spent:,.0f}', f'{unit / spent:,.0f}', f'{base / spent:.1f}')
    Console(width=100).print(table)
    print(f'unit {unit:.4f} s, torch {torch.__version__}, numpy {np.__version__}')


if __name__ == '__main__':
    main()
