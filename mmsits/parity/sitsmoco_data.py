"""SITS-MoCo's data against published values: sample preparation, augmentations, both views, metrics."""

from __future__ import annotations

import datetime
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from mmsits.datasets.base import day_number
from mmsits.datasets.contrastive import share_noise
from mmsits.datasets.parcel_batch import ParcelBatch
from mmsits.datasets.parcel_store import ArrayParcels
from mmsits.datasets.transforms import (
    DisturbDates,
    PackSeriesInputs,
    ReplaceBand,
    RollDates,
    SampleDates,
    SwapBands,
    SwapDates,
    ThinDates,
    interpolate_to_grid,
)
from mmsits.evaluation import confusion_matrix, scores
from mmsits.models.converters.sitsmoco import MEAN, STD
from mmsits.models.data_preprocessors import SeriesDataPreprocessor
from mmsits.models.layers import GreennessWeights, ToLengthWithZeros, clear_greenness
from mmsits.structures import ImageSeries

from .golden import Comparer, GoldenFile, register_check

NEW_YEAR = day_number(datetime.date(2019, 1, 1))
FILE_MEAN, FILE_STD = [1e4 * value for value in MEAN], [1e4 * value for value in STD]
NOISE = 0.5
BANDS = 10


class ReplayedBatch(ParcelBatch):
    """One series whose transforms get given numbers in the place of random ones.

    Args:
        values: (T,C).
        days_of_year: (T,), 1 for 1 January.
    """

    def __init__(self, values: np.ndarray, days_of_year: np.ndarray) -> None:
        super().__init__(
            stores=dict(s2=ArrayParcels(values[None], np.array([0, 1]), days_of_year[None].astype(int) - 1 + NEW_YEAR)),
            bands=dict(s2=range(values.shape[1])),
            parcels=np.array([0]),
            draws=[(0, 0)],
            targets=None,
            season_starts=np.array([NEW_YEAR]),
            static={},
            sample_ids=['golden'],
            infos=dict(sensors_info=dict(s2=dict(bands=tuple('abcdefghij'), unit='1'))),
        )
        self._given: list[np.ndarray] = []

    def given(self, *numbers: Any) -> ReplayedBatch:
        """Have these numbers ready for the next transform."""
        self._given.append(np.concatenate([np.ravel(number) for number in numbers])[None])
        return self

    def given_noise(self, chosen: np.ndarray, size: np.ndarray) -> ReplayedBatch:
        """Have numbers ready for `DisturbDates`: (T,) which dates, and (T,C) how much."""
        self._given += [chosen[None], size]
        return self

    def random_at(self, rows: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
        """See `ParcelBatch`."""
        numbers = self._given.pop(0)
        if numbers.shape[1] != count:
            raise ValueError(f'{count} numbers of each place are asked for, {numbers.shape[1]} are given')
        return numbers[places]

    def random(self, count: int) -> np.ndarray:
        """See `ParcelBatch`."""
        numbers = self._given.pop(0)
        if numbers.shape[1] != count:
            raise ValueError(f'{count} numbers are asked for, {numbers.shape[1]} are given')
        return numbers


def fraction_of(normal: Any) -> np.ndarray:
    """The uniform number from which a transform makes a normal one."""
    from scipy.special import ndtr

    return ndtr(np.asarray(normal))


class PublishedDraws:
    """The random numbers of the published code, from its two global generators, in its order.

    Args:
        seed: of numpy's.
        python_seed: of Python's; None if it is not used.
    """

    def __init__(self, seed: int, python_seed: int | None = None) -> None:
        self.numpy = np.random.RandomState(seed)
        self.python = random.Random(python_seed)

    def roll(self) -> list[float]:
        """For `RollDates`: whether, and how far."""
        whether = self.numpy.rand()
        # The normal number is drawn only then; else it has no influence.
        return [whether, float(fraction_of(self.numpy.randn())) if whether < 0.5 else 0.5]

    def noise(self, dates: int, bands: int = BANDS) -> list[np.ndarray]:
        """For `DisturbDates`: which dates and in which direction, and how much."""
        chosen, size = np.empty(dates), np.full((dates, bands), 0.5)
        for date in range(dates):
            chosen[date] = self.numpy.rand()
            if chosen[date] < 0.15:
                size[date] = fraction_of(self.numpy.randn(bands))
        return [chosen, size]

    def thin(self, dates: int) -> list[float]:
        """For `ThinDates`."""
        return [self.python.random() for _ in range(dates)]

    def sample(self, dates: int, exists: np.ndarray, wanted: int, repeat: bool) -> list[np.ndarray]:
        """For `SampleDates` with `repeat`: numbers that lead to the dates that are drawn among the existing ones.

        Args:
            dates: length T of the time axis.
            exists: (T,) bool.
            wanted: number of dates drawn.
            repeat: draw with replacement where there are too few; else these are all kept.
        """
        positions = np.flatnonzero(exists)
        numbers = np.full(max(dates, wanted), 0.9)
        if len(positions) < wanted:
            index = np.arange(len(positions))
            if repeat:
                index = np.sort(self.numpy.choice(len(positions), wanted, replace=True))
                numbers[:wanted] = (index + 0.5) / len(positions)
            return [numbers]
        if len(positions) > wanted or repeat:
            index = np.sort(self.numpy.choice(len(positions), wanted, replace=False))
        else:
            index = np.arange(wanted)
        numbers[positions[index]] = 0.1
        return [numbers]

    def pair(self, count: int) -> list[float]:
        """For transforms of two bands or dates: whether, and which."""
        whether = self.numpy.rand()
        first, second = self.python.sample(range(count), 2) if whether < 0.5 else (0, 1)
        return [whether, (first + 0.5) / count, (second - (second > first) + 0.5) / (count - 1)]


def choose_dates(batch: ReplayedBatch, draws: PublishedDraws, length: int, mode: str) -> ReplayedBatch:
    """Bring a batch to `length` dates as the published modes 'pad' and 'rc' do."""
    exists = batch.sensors['s2'].exists[0]
    repeat = mode == 'rc'
    if not repeat and exists.sum() <= length:
        return batch
    batch.given(*draws.sample(len(exists), exists, length, repeat))
    return SampleDates(length, repeat=True).transform_batch(batch)  # type: ignore[return-value]


def as_published(batch: ParcelBatch, length: int, normalised: bool) -> tuple[dict[str, np.ndarray], Any]:
    """A batch as the network gets it: x (length, C), mask, doy, and weights of dates.

    Args:
        batch: of one series.
        length: that shorter series are filled up to.
        normalised: whether values are normalised already, so that there are no weights.
    """
    mean, std = ([0.0] * BANDS, [1.0] * BANDS) if normalised else (FILE_MEAN, FILE_STD)
    preprocess = SeriesDataPreprocessor(sensors=dict(s2=BANDS), statistics=dict(s2=dict(mean=mean, std=std)))
    series: ImageSeries = preprocess(PackSeriesInputs().transform_batch(batch))['inputs']['s2']
    exists = series.valid[..., 0, 0]
    packed = exists[0]
    x, days, valid = series.values[:, packed, :, 0, 0], series.days[:, packed], exists[:, packed]
    filled, filled_days = ToLengthWithZeros(length)(x, days + 1, valid)
    mask = torch.arange(length) >= packed.sum()
    arrays = dict(x=filled[0].numpy(), mask=mask.numpy(), doy=filled_days[0].long().numpy())
    if not normalised:
        weight = GreennessWeights(mean, std)(x, valid)
        arrays['weight'] = torch.nn.functional.pad(weight, (0, length - weight.shape[1]))[0].numpy()
    return arrays, packed


@register_check('sitsmoco_pipeline')
def check_pipeline(golden: GoldenFile, compare: Comparer) -> None:
    """One series shorter than the network's length: weights, normalisation, padding."""
    raw = golden.arrays['in/raw']
    weight = torch.from_numpy(raw[:, :BANDS] * 1e-4)
    compare('weight', clear_greenness(weight).softmax(0))
    compare_arrays(compare, 'pad_', as_published(ReplayedBatch(raw[:, :BANDS], raw[:, -1]), 20, normalised=False)[0])


def compare_arrays(compare: Comparer, prefix: str, arrays: dict[str, np.ndarray], names: Sequence[str] = ()) -> None:
    """Compare arrays by their names behind a prefix."""
    for name in names or arrays:
        compare(prefix + name, arrays[name])


@register_check('sitsmoco_transforms')
def check_transforms(golden: GoldenFile, compare: Comparer) -> None:
    """Samples in the three modes, with and without rolling; single augmentations; both views, sharing noise.

    Random numbers are drawn as published and handed to our transforms.
    """
    length = golden.meta['hparams']['sequencelength']
    for series in ('short', 'long'):
        raw = golden.arrays[f'in/{series}']
        compare(f'weight_{series}', clear_greenness(torch.from_numpy(raw[:, :BANDS] * 1e-4)).softmax(0))
        for rolls in ('plain', 'aug'):
            for mode in ('pad', 'rc', 'interp'):
                _check_sample(golden, compare, f'{rolls}_{mode}_{series}', length)
    _check_single(golden, compare)
    for mode in ('pad', 'rc'):
        for case in ('unrolled', 'rolled'):
            _check_views(golden, compare, mode, case, length)


def _check_sample(golden: GoldenFile, compare: Comparer, name: str, length: int) -> None:
    rolls, mode, series = name.split('_')
    raw, draws = golden.arrays[f'in/{series}'], PublishedDraws(5)
    batch: Any = ReplayedBatch(raw[:, :BANDS], raw[:, -1])
    if rolls == 'aug':
        batch = RollDates().transform_batch(batch.given(draws.roll()))
    if mode == 'interp':
        values, days = batch.sensors['s2'].read()[0, :, 0], raw[:, -1]
        grid = np.linspace(0, 366, length).astype(int)
        valid = np.ones((len(days), 1), bool)
        filled = interpolate_to_grid(values[..., None], days, valid, grid)[..., 0]
        # Day 0 is before 1 January; the network is told so, hence no padding.
        batch = ReplayedBatch(filled, grid)
    else:
        batch = choose_dates(batch, draws, length, mode)
    if f'out/{name}_indices' in golden:
        compare(f'{name}_indices', batch.sensors['s2'].dates[0])
    compare_arrays(compare, f'{name}_', as_published(batch, length, normalised=False)[0])


def _check_single(golden: GoldenFile, compare: Comparer) -> None:
    x, doy = golden.arrays['in/norm_x'], golden.arrays['in/norm_doy']

    def batch() -> ReplayedBatch:
        return ReplayedBatch(x, doy)

    def values(changed: ParcelBatch) -> np.ndarray:
        sensor = changed.sensors['s2']
        return sensor.read()[0, sensor.exists[0], 0]

    drawn = [PublishedDraws(int(seed)).roll() for seed in golden.arrays['in/shift_seeds']]
    shifts = [int(RollDates().shifts(np.array(u))) if whether < 0.5 else -99 for whether, u in drawn]
    compare('shift_drawn', np.array(shifts))
    draws = PublishedDraws(int(golden.arrays['in/shift_seed']))
    compare('shifted_x', values(RollDates().transform_batch(batch().given(draws.roll()))))
    noisy = batch().given_noise(*PublishedDraws(2).noise(len(x)))
    compare('noise_seed2_x', values(DisturbDates(dict(s2=NOISE)).transform_batch(noisy)))
    thinned = ThinDates().transform_batch(batch().given(PublishedDraws(0, 4).thin(len(x))))
    compare('removal_seed4_x', values(thinned))
    compare('removal_seed4_doy', doy[thinned.sensors['s2'].exists[0]])
    for name, transform, count in (
        ('chan_swap', SwapBands(), BANDS),
        ('chan_removal', ReplaceBand(), BANDS),
        ('temp_swap', SwapDates(), len(x)),
    ):
        draws = PublishedDraws(int(golden.arrays[f'in/{name}_np_seed']), 3)
        compare(f'{name}_x', values(transform.transform_batch(batch().given(draws.pair(count)))))


def _check_views(golden: GoldenFile, compare: Comparer, mode: str, case: str, length: int) -> None:
    """The query view, and then the key view out of the same dict, which is not always what it was."""
    x, doy = golden.arrays['in/norm_x'], golden.arrays['in/norm_doy']
    name = f'view_{mode}_{case}'
    seed = int(golden.arrays[f'in/{name}_seed'])
    draws = PublishedDraws(seed, seed)
    batch, behind_noise = _augment(ReplayedBatch(x, doy), draws)
    query = choose_dates(batch, draws, length, mode)
    compare_arrays(compare, f'{name}_q_', as_published(query, length, normalised=True)[0])
    key = ReplayedBatch(x, doy)
    share_noise(behind_noise, key)
    compare(f'{name}_source_modified', np.array(not np.array_equal(key.sensors['s2'].read()[0, :, 0], x)))
    batch, _ = _augment(key, draws)
    key = choose_dates(batch, draws, length, mode)
    compare_arrays(compare, f'{name}_k_', as_published(key, length, normalised=True)[0])


def _augment(batch: ReplayedBatch, draws: PublishedDraws) -> tuple[Any, ReplayedBatch]:
    """A batch with all augmentations but the choice of dates, and as it was behind the noise."""
    dates = batch.sensors['s2'].days.shape[1]
    rolled: Any = RollDates().transform_batch(batch.given(draws.roll()))
    noisy: Any = DisturbDates(dict(s2=NOISE)).transform_batch(rolled.given_noise(*draws.noise(dates)))
    sensor = noisy.sensors['s2']
    behind_noise = ReplayedBatch(sensor.read()[0, :, 0], sensor.days[0] - NEW_YEAR + 1)
    behind_noise.notes = noisy.notes
    return ThinDates().transform_batch(noisy.given(draws.thin(dates))), behind_noise


@register_check('sitsmoco_bert_masking')
def check_masking(golden: GoldenFile, compare: Comparer) -> None:
    """Disturbed dates of series whose undisturbed values are to be told, padded or chosen at random."""
    x, doy, options = golden.arrays['in/x'], golden.arrays['in/doy'], golden.meta['hparams']
    for mode, length in (('pad', options['pad_length']), ('rc', options['rc_length'])):
        draws = PublishedDraws(options['seed'], options['seed'])
        batch: Any = ReplayedBatch(x, doy)
        if mode == 'rc':
            batch = choose_dates(batch, draws, length, mode)
        sensor = batch.sensors['s2']
        target, count = sensor.read()[0, :, 0], sensor.days.shape[1]
        chosen, size = _masking_draws(draws, count, options)
        disturb = DisturbDates(dict(s2=options['noise']), options['p'], 'uniform')
        disturbed = disturb.transform_batch(batch.given_noise(chosen, size)).sensors['s2'].read()[0, :, 0]
        missing = length - count
        found = dict(
            bert_input=np.pad(disturbed, ((0, missing), (0, 0))),
            bert_target=np.pad(target, ((0, missing), (0, 0))),
            bert_mask=np.pad(np.ones(count), (0, missing)),
            loss_mask=np.pad((chosen < options['p']).astype(float), (0, missing)),
            time=np.pad(sensor.days[0] - NEW_YEAR + 1.0, (0, missing)),
        )
        for name, array in found.items():
            expected = golden.arrays[f'out/{mode}_{name}']
            compare(f'{mode}_{name}', array.astype(expected.dtype))


def _masking_draws(draws: PublishedDraws, dates: int, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """For `DisturbDates` with uniform noise; the published numbers of a darkened date count from the other end."""
    chosen, size = np.empty(dates), np.zeros((dates, BANDS))
    for date in range(dates):
        chosen[date] = draws.python.random()
        if chosen[date] < options['p']:
            drawn = draws.numpy.random_sample(BANDS)
            size[date] = 1 - drawn if chosen[date] / options['p'] < 0.5 else drawn
    return chosen, size


@register_check('sitsmoco_metrics')
def check_metrics(golden: GoldenFile, compare: Comparer) -> None:
    """Accuracy, kappa and F1. The published weighted F1 takes the classes' shares of the prediction for weights, its
    macro F1 counts classes that occur nowhere as 0."""
    truth, predicted = golden.tensor('in/y_true'), golden.tensor('in/y_pred')
    matrix = confusion_matrix(predicted, truth, int(golden.arrays['in/num_classes']))
    found = scores(matrix)
    f1 = np.nan_to_num(found.per_class['F1'])
    compare('confusion_matrix', matrix)
    compare('oa', found.overall['OA'])
    compare('kappa', found.overall['kappa'])
    compare('class_f1', f1)
    compare('macro_f1', f1.mean())
    predictions = np.asarray(matrix).sum(0)
    compare('weighted_f1', f1 @ predictions / predictions.sum())
