"""What a dataset holds, in one card: sensors, bands, units, dates, validity, classes and the range of the values.

The card is made from the samples as the pipeline delivers them, that is from what a model is about to see. So it also
tells whether the values suit the statistics that a model normalises with.
"""

from __future__ import annotations

import dataclasses
import io
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mmsits.structures import ImageSeries

from .errors import DataError, iso_day

if TYPE_CHECKING:
    from rich.console import Console

IGNORED = 255
QUANTILES = (0.0, 0.02, 0.16, 0.5, 0.84, 0.98, 1.0)
VALUES_PER_SAMPLE = 2000
"""How many values of a band each sample gives towards the quantiles."""

MAX_OFFSET, MAX_RATIO = 10.0, 50.0
"""Median further than this many standard deviations from the mean, or spread larger or smaller by this factor: the
statistics belong to other data (counts against reflectance, linear against decibels)."""

WARN_OFFSET, WARN_RATIO = 3.0, 10.0

LEAST_SCALED, MOST_SCALED = 1e-3, 10.0
"""Where one number divides all bands and nothing is subtracted (TimeMatch divides by 65535), the largest values in
ordinary use must end between these: statistics say more, but networks were published without."""


class RunningMoments:
    """Mean and standard deviation per band of values that arrive in parts (Chan, Golub & LeVeque 1983)."""

    def __init__(self, bands: int) -> None:
        self.count = 0
        self.mean = np.zeros(bands)
        self.squares = np.zeros(bands)

    def add(self, values: np.ndarray) -> None:
        """Take in more values, (C,n)."""
        count = values.shape[1]
        if count == 0:
            return
        mean = values.mean(axis=1, dtype=np.float64)
        squares = ((values - mean[:, None]) ** 2).sum(axis=1, dtype=np.float64)
        total = self.count + count
        step = mean - self.mean
        self.squares += squares + step**2 * self.count * count / total
        self.mean += step * count / total
        self.count = total

    @property
    def std(self) -> np.ndarray:
        """Standard deviation (unbiased) per band, NaN for fewer than two values."""
        if self.count < 2:
            return np.full_like(self.mean, np.nan)
        return np.sqrt(self.squares / (self.count - 1))


@dataclasses.dataclass
class SensorCard:
    """One sensor of a dataset. Values are in the unit of the files and only valid ones count.

    Attributes:
        bands: names in the order that the model sees.
        unit: unit of the values.
        dtype: type of the values.
        sizes: sizes H×W that occur, at most eight of them.
        dates: smallest, median and largest number of dates that a sample has.
        first, last: earliest and latest date, ``YYYY-MM-DD``; None where no sample has the sensor.
        missing: number of samples without a valid observation of the sensor.
        share_valid: share of the observations that are valid, in samples that have the sensor.
        mean, std: per band.
        quantiles: probability (as text) to a value per band, from a random part of the values.
    """

    bands: tuple[str, ...]
    unit: str
    dtype: str
    sizes: list[str]
    dates: tuple[int, float, int]
    first: str | None
    last: str | None
    missing: int
    share_valid: float
    mean: list[float]
    std: list[float]
    quantiles: dict[str, list[float]]

    def quantile(self, probability: float) -> np.ndarray:
        """Values at one of :data:`QUANTILES`, (C,)."""
        return np.array(self.quantiles[str(probability)])


@dataclasses.dataclass
class DataCard:
    """What a dataset holds.

    Attributes:
        dataset: name of the dataset's class.
        samples: number of samples.
        described: number of samples that the card was made from.
        sensors: one :class:`SensorCard` each.
        class_pixels: class name to number of labelled pixels.
        ignored_pixels: number of pixels with label 255.
        unlabelled: number of samples without labels.
        season_starts: reference dates that occur, ``YYYY-MM-DD``, with the number of samples.
    """

    dataset: str
    samples: int
    described: int
    sensors: dict[str, SensorCard]
    class_pixels: dict[str, int]
    ignored_pixels: int
    unlabelled: int
    season_starts: dict[str, int]

    def as_dict(self) -> dict[str, Any]:
        """Plain Python values, as they are saved."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        return self.text()

    def text(self, width: int = 120) -> str:
        """The card as plain text."""
        from rich.console import Console

        buffer = io.StringIO()
        self.print(Console(file=buffer, width=width, color_system=None))
        return buffer.getvalue()

    def print(self, console: Console | None = None) -> None:
        """Print the card as tables."""
        from rich.console import Console

        console = console or Console()
        part = '' if self.described == self.samples else f', {self.described} of them looked at'
        starts = ', '.join(f'{day} ({count})' for day, count in self.season_starts.items())
        console.print(f'{self.dataset}: {self.samples} samples{part}; season starts: {starts}', highlight=False)
        for name, sensor in self.sensors.items():
            console.print(_sensor_heading(name, sensor, self.described), highlight=False)
            console.print(_sensor_table(sensor))
        if self.class_pixels:
            unlabelled = f'; {self.unlabelled} samples without labels' if self.unlabelled else ''
            console.print(f'labels: {self.ignored_pixels} pixels ignored (255){unlabelled}', highlight=False)
            console.print(_class_table(self))

    def save(self, folder: str | Path) -> Path:
        """Write data_card.json and data_card.txt.

        Args:
            folder: made if needed.

        Returns:
            Path of the JSON file.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / 'data_card.json'
        path.write_text(json.dumps(self.as_dict(), indent=2) + '\n')
        (folder / 'data_card.txt').write_text(self.text())
        return path

    def statistics_problems(
        self, statistics: Mapping[str, Mapping[str, Sequence[float]]]
    ) -> tuple[list[str], list[str]]:
        """Compare the values with the statistics that a model normalises with.

        Args:
            statistics: sensor to mean and std per band.

        Returns:
            (errors, warnings), each a list of sentences. A median more than 10 standard deviations from the mean, or a
            spread 50 times larger or smaller, is an error; 3 and 10 are a warning. So is a band that is constant. Where
            the means are 0 and the deviations all the same, they only scale, and the scale is checked.
        """
        errors: list[str] = []
        doubts: list[str] = []
        for name, values in statistics.items():
            if name not in self.sensors:
                errors.append(f'the model takes the sensor {name}, the dataset has {list(self.sensors)}')
                continue
            sensor = self.sensors[name]
            mean, std = np.asarray(values['mean'], float), np.asarray(values['std'], float)
            if len(mean) != len(sensor.bands):
                errors.append(f'{name}: statistics of {len(mean)} bands, the dataset has {len(sensor.bands)}')
                continue
            compare = _compare_scale if not mean.any() and np.ptp(std) == 0 else _compare
            compare(name, sensor, mean, std, errors, doubts)
        return errors, doubts

    def check_statistics(self, statistics: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
        """Refuse statistics that belong to other data, such as those of reflectances for raw counts.

        Args:
            statistics: sensor to mean and std per band.

        Raises:
            DataError: names every band whose values do not suit; see :meth:`statistics_problems`.

        Warns:
            UserWarning: for bands that suit badly.
        """
        errors, doubts = self.statistics_problems(statistics)
        if doubts:
            warnings.warn('The data are unusual for the statistics of the model: ' + _listed(doubts), stacklevel=2)
        if errors:
            raise DataError(
                f'the data of {self.dataset} do not suit the statistics that the model normalises with: '
                + _listed(errors),
                hint='Bring the data to the unit of the statistics, or compute statistics of these data with '
                'tools/analysis_tools/dataset_stats.py.',
            )


def _listed(sentences: list[str]) -> str:
    more = f'; and {len(sentences) - 3} more' if len(sentences) > 3 else ''
    return '; '.join(sentences[:3]) + more


def _compare(
    name: str, sensor: SensorCard, mean: np.ndarray, std: np.ndarray, errors: list[str], doubts: list[str]
) -> None:
    median = sensor.quantile(0.5)
    # Half the range that holds 68 %: the standard deviation where the values are normal, and deaf to clouds.
    spread = (sensor.quantile(0.84) - sensor.quantile(0.16)) / 2
    for band, label in enumerate(sensor.bands):
        if not np.isfinite(median[band]):
            doubts.append(f'{name} {label} has no valid value')
            continue
        offset = abs(median[band] - mean[band]) / std[band]
        ratio = spread[band] / std[band]
        found = (
            f'{name} {label} has median {median[band]:.4g} and spread {spread[band]:.4g} {sensor.unit}, '
            f'the statistics mean {mean[band]:.4g} and std {std[band]:.4g}'
        )
        if offset > MAX_OFFSET or ratio > MAX_RATIO or 0 < ratio < 1 / MAX_RATIO:
            errors.append(found)
        elif offset > WARN_OFFSET or ratio > WARN_RATIO or ratio < 1 / WARN_RATIO:
            doubts.append(found)


def _compare_scale(
    name: str, sensor: SensorCard, mean: np.ndarray, std: np.ndarray, errors: list[str], doubts: list[str]
) -> None:
    largest = np.maximum(np.abs(sensor.quantile(0.02)), np.abs(sensor.quantile(0.98)))
    for band, label in enumerate(sensor.bands):
        if not np.isfinite(largest[band]):
            doubts.append(f'{name} {label} has no valid value')
        elif not LEAST_SCALED <= largest[band] / std[band] <= MOST_SCALED:
            errors.append(
                f'{name} {label} has values of up to {largest[band]:.4g} {sensor.unit}, which are divided by '
                f'{std[band]:.4g}'
            )


def _plain_table() -> Any:
    from rich import box
    from rich.table import Table

    return Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)


def _sensor_heading(name: str, sensor: SensorCard, described: int) -> str:
    fewest, median, most = sensor.dates
    missing = f', missing in {sensor.missing} of {described} samples' if sensor.missing else ''
    return (
        f'{name}: {sensor.unit}, {sensor.dtype}, {" ".join(sensor.sizes)} pixels, '
        f'{sensor.share_valid:.1%} valid{missing}; {fewest} to {most} dates (median {median:g}), '
        f'{sensor.first} to {sensor.last}'
    )


def _sensor_table(sensor: SensorCard) -> Any:
    table = _plain_table()
    table.add_column('band')
    shown = {name: values for name, values in sensor.quantiles.items() if name in ('0.0', '0.02', '0.5', '0.98', '1.0')}
    for column in ('mean', 'std', *(f'{float(p):.0%}' for p in shown)):
        table.add_column(column, justify='right', no_wrap=True)
    for band, label in enumerate(sensor.bands):
        numbers = (sensor.mean[band], sensor.std[band], *(values[band] for values in shown.values()))
        table.add_row(label, *(f'{number:.4g}' for number in numbers))
    return table


def _class_table(card: DataCard) -> Any:
    labelled = max(1, sum(card.class_pixels.values()))
    table = _plain_table()
    table.add_column('class')
    table.add_column('pixels', justify='right')
    table.add_column('share', justify='right')
    for name, pixels in card.class_pixels.items():
        table.add_row(name, str(pixels), f'{pixels / labelled:.2%}')
    return table


class _SensorTally:
    """Collects what a :class:`SensorCard` says, sample by sample."""

    def __init__(self, bands: tuple[str, ...], unit: str, rng: np.random.Generator) -> None:
        self.bands, self.unit, self.rng = bands, unit, rng
        self.moments = RunningMoments(len(bands))
        self.parts: list[np.ndarray] = []
        self.counts: list[int] = []
        self.sizes: dict[str, None] = {}
        self.dtype = ''
        self.first: int | None = None
        self.last: int | None = None
        self.missing = 0
        self.observed = 0
        self.observations = 0

    def add(self, series: ImageSeries) -> None:
        values, days, valid = (np.asarray(part) for part in series)
        exists = valid.reshape(len(valid), -1).any(1)
        if not exists.any():
            self.missing += 1
            self.counts.append(0)
            return
        self.dtype = str(values.dtype)
        self.sizes[f'{values.shape[-2]}×{values.shape[-1]}'] = None
        self.counts.append(int(exists.sum()))
        days = days[exists]
        self.first = int(days.min()) if self.first is None else min(self.first, int(days.min()))
        self.last = int(days.max()) if self.last is None else max(self.last, int(days.max()))
        mask = np.broadcast_to(valid, (len(values), *values.shape[-2:]))
        self.observed += int(mask.sum())
        self.observations += mask.size
        chosen = values.transpose(1, 0, 2, 3)[:, mask]
        self.moments.add(chosen)
        if chosen.shape[1] > VALUES_PER_SAMPLE:
            chosen = chosen[:, self.rng.choice(chosen.shape[1], VALUES_PER_SAMPLE, replace=False)]
        self.parts.append(chosen.astype(np.float32))

    def card(self) -> SensorCard:
        bands = len(self.bands)
        values = np.concatenate(self.parts, axis=1) if self.parts else np.full((bands, 1), np.nan, np.float32)
        quantiles = np.quantile(values.astype(np.float64), QUANTILES, axis=1)
        mean = self.moments.mean if self.moments.count else np.full(bands, np.nan)
        return SensorCard(
            bands=self.bands,
            unit=self.unit,
            dtype=self.dtype,
            sizes=list(self.sizes)[:8],
            dates=(min(self.counts), float(np.median(self.counts)), max(self.counts)),
            first=None if self.first is None else iso_day(self.first),
            last=None if self.last is None else iso_day(self.last),
            missing=self.missing,
            share_valid=self.observed / max(1, self.observations),
            mean=mean.tolist(),
            std=self.moments.std.tolist(),
            quantiles={str(p): row.tolist() for p, row in zip(QUANTILES, quantiles, strict=True)},
        )


def describe_dataset(dataset: Any, max_samples: int | None = 64, seed: int = 0) -> DataCard:
    """Look at samples as the dataset's pipeline delivers them.

    Args:
        dataset: a :class:`SeriesDataset` whose pipeline ends with PackSeriesInputs.
        max_samples: how many samples to look at, chosen at random; None for all. (A patch of PASTIS takes 0.1 s.)
        seed: of that choice.

    Returns:
        The card.

    Raises:
        DataError: if the dataset is empty, or a sample cannot be read.
    """
    size = len(dataset)
    if size == 0:
        raise DataError(f'{type(dataset).__name__} has no sample', hint='Check data_root, folds and filters.')
    rng = np.random.default_rng(seed)
    indices = np.arange(size)
    if max_samples is not None and max_samples < size:
        indices = np.sort(rng.choice(size, max_samples, replace=False))
    metainfo = dataset.metainfo
    tallies = {
        sensor: _SensorTally(tuple(bands), metainfo['units'][sensor], rng)
        for sensor, bands in metainfo['bands'].items()
    }
    classes = tuple(metainfo.get('classes', ()))
    pixels = np.zeros(256, np.int64)
    unlabelled = 0
    starts: dict[str, int] = {}
    for sample in _samples(dataset, indices):
        for sensor, series in sample['inputs'].items():
            tallies[sensor].add(series)
        start = iso_day(sample['metas']['season_start'])
        starts[start] = starts.get(start, 0) + 1
        if 'targets' in sample:
            pixels += torch.bincount(sample['targets'].flatten().long(), minlength=256).numpy()
        else:
            unlabelled += 1
    return DataCard(
        dataset=type(dataset).__name__,
        samples=size,
        described=len(indices),
        sensors={sensor: tally.card() for sensor, tally in tallies.items()},
        class_pixels={name: int(pixels[label]) for label, name in enumerate(classes)},
        ignored_pixels=int(pixels[IGNORED]),
        unlabelled=unlabelled,
        season_starts=dict(sorted(starts.items())),
    )


def _samples(dataset: Any, indices: Iterable[int]) -> Iterator[dict]:
    for index in indices:
        yield dataset[int(index)]


def sample_statistics(dataset: Any) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Statistics in the form of PASTIS' NORM files.

    Per sample and band the mean and unbiased standard deviation over dates and valid pixels, averaged over the samples
    of a fold (Garnot & Landrieu 2021).

    Args:
        dataset: a :class:`SeriesDataset` whose pipeline ends with PackSeriesInputs and changes no value.

    Returns:
        Sensor to fold ('Fold_1' …, or 'all' for a dataset without folds) to dict(mean=[C], std=[C]). Samples without a
        sensor are left out of its statistics.

    Raises:
        DataError: if a sample cannot be read.
    """
    moments: dict[str, dict[str, list[RunningMoments]]] = {}
    for index in range(len(dataset)):
        fold = dataset.get_data_info(index).get('fold')
        for sensor, series in dataset[index]['inputs'].items():
            values, valid = np.asarray(series.values), np.asarray(series.valid)
            mask = np.broadcast_to(valid, (len(values), *values.shape[-2:]))
            if mask.sum() < 2:
                continue
            own = RunningMoments(values.shape[1])
            own.add(values.transpose(1, 0, 2, 3)[:, mask])
            key = 'all' if fold is None else f'Fold_{fold}'
            moments.setdefault(sensor, {}).setdefault(key, []).append(own)
    return {
        sensor: {
            fold: dict(
                mean=np.mean([own.mean for own in samples], axis=0).tolist(),
                std=np.mean([own.std for own in samples], axis=0).tolist(),
            )
            for fold, samples in sorted(folds.items())
        }
        for sensor, folds in moments.items()
    }
