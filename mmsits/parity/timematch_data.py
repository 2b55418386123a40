"""TimeMatch's data against published values: sampling, padding, shifts, day positions, splits, batches, classes."""

from __future__ import annotations

import datetime
from collections import Counter

import numpy as np
import torch

from mmsits.datasets.base import day_number
from mmsits.datasets.parcel_batch import ParcelBatch
from mmsits.datasets.parcel_store import ArrayParcels, read_dates
from mmsits.datasets.samplers import balanced_batches, batches_of_similar_size
from mmsits.datasets.timematch import draw_splits
from mmsits.datasets.timematch_classes import CLASS_TABLES, UNKNOWN, class_names, label_codes, select_classes
from mmsits.datasets.transforms import PackSeriesInputs, SamplePixels, ShiftDays
from mmsits.models.data_preprocessors import SeriesDataPreprocessor

from .golden import Comparer, GoldenFile, register_check

NEW_YEAR = day_number(datetime.date(2017, 1, 1))
"""The published positions count from 1 January 2017."""

STATISTICS = dict(
    s2=dict(mean=[0.0] * 10, std=[65535.0] * 10),
    geometry=dict(mean=[0.0] * 4, std=[40000.0, 1e8, 40000.0, 1.0]),
)
"""The published normalisation: digital numbers by their largest value, geometry by that of a 10 km box."""


@register_check('timematch_transforms')
def check_transforms(golden: GoldenFile, compare: Comparer) -> None:
    """Pixels, dates and shift are given as drawn: published code draws them from Python's generator, ours by counters.

    Everything that follows from the draws is compared, and splits and batches, whose draws are made as published. The
    draws themselves (`drawn_…`) are inputs here.
    """
    compare.given('drawn_pixels_many', 'drawn_steps_many', 'drawn_shift_many')
    for case in ('many', 'few', 'equal'):
        _check_parcel(golden, compare, case)
    compare('day_positions', read_dates(golden.arrays['in/dates'], 'golden') - np.int64(NEW_YEAR))
    for name, domains in {'two': [('A', 57), ('B', 40)], 'same': [('A', 57), ('A', 57)]}.items():
        for fold, splits in enumerate(draw_splits(domains)):
            for domain, parts in splits.items():
                for part, parcels in parts.items():
                    compare(f'folds_{name}_{fold}_{domain}_{part}', parcels)
    shapes = golden.arrays['in/shapes'].tolist()
    for by_pixels in (1, 0):
        batches = batches_of_similar_size([shape[2 if by_pixels else 0] for shape in shapes], 4, same_size=True)
        compare(f'batches_by_pixels_{by_pixels}', np.concatenate(batches))
        compare(f'batch_sizes_by_pixels_{by_pixels}', np.array([len(batch) for batch in batches]))
    balanced = balanced_batches(golden.arrays['in/balanced_labels'], 6 // 3, np.random.RandomState(3).shuffle)
    compare('balanced_batches', np.stack([next(balanced) for _ in range(20 // 6)]))


def _check_parcel(golden: GoldenFile, compare: Comparer, case: str) -> None:
    """One parcel with more, fewer or as many pixels as are asked for (6), then 5 of its dates, then the shift."""
    given = {name: golden.arrays[f'in/{case}_{name}'] for name in ('pixels', 'positions', 'extra', 'label')}
    expected = {
        key.removeprefix(f'out/{case}_'): v for key, v in golden.arrays.items() if key.startswith('out/' + case)
    }
    batch = _open(given)
    if case == 'many':
        pixels = golden.arrays['out/drawn_pixels_many'][None]
        batch.keep_pixels(pixels, np.ones(pixels.shape, bool))
    else:
        batch = SamplePixels(6).transform_batch(batch)
    chosen = np.searchsorted(given['positions'], expected['positions_t5'])
    shift = int(expected['positions_shifted'][0] - expected['positions_t5'][0])
    found = {'6': _arrays(batch)}
    batch.sensors['s2'].keep_dates(chosen[None])
    found['6_t5'] = _arrays(batch)
    compare(f'{case}_positions_t5', batch.sensors['s2'].days[0].astype(np.int64) - NEW_YEAR)
    for suffix, (pixels, valid) in found.items():
        compare(f'{case}_pixels{suffix}', pixels.astype(expected[f'pixels{suffix}'].dtype))
        compare(f'{case}_valid{suffix}', valid)
    batch = ShiftDays(shift).transform_batch(batch)
    compare(f'{case}_positions_shifted', batch.sensors['s2'].days[0].astype(np.int64) - NEW_YEAR)
    _check_packed(batch, compare, case)


def _open(given: dict[str, np.ndarray]) -> ParcelBatch:
    values = given['pixels'].transpose(2, 0, 1)
    offsets = np.array([0, len(values)])
    return ParcelBatch(
        stores=dict(s2=ArrayParcels(values, offsets, given['positions'][None] + NEW_YEAR)),
        bands=dict(s2=range(values.shape[2])),
        parcels=np.array([0]),
        draws=[(0, 0)],
        targets=given['label'].reshape(1).astype(np.uint8),
        season_starts=np.array([NEW_YEAR]),
        static=dict(geometry=given['extra'][None]),
        sample_ids=['golden'],
        infos={},
    )


def _arrays(batch: ParcelBatch) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (T,C,n) and their mask (T,n) as published."""
    sensor = batch.sensors['s2']
    mask = sensor.exists[0][:, None] & batch.observed[0]
    return sensor.read()[0].swapaxes(1, 2), mask.astype(np.float32)


def _check_packed(batch: ParcelBatch, compare: Comparer, case: str) -> None:
    """What the network gets; padding, which ours masks, is filled with the first pixel again before comparing."""
    preprocess = SeriesDataPreprocessor(sensors=dict(s2=10, geometry=4), statistics=STATISTICS)
    ready = preprocess(PackSeriesInputs().transform_batch(batch))
    series, extra = ready['inputs']['s2'], ready['inputs']['geometry']
    valid = series.valid[0, :, :, 0]
    pixels = series.values[0, ..., 0]
    compare(f'{case}_final_pixels', torch.where(valid[:, None], pixels, pixels[:, :, :1]))
    compare(f'{case}_final_valid_pixels', valid.float())
    compare(f'{case}_final_positions', series.days[0].long())
    compare(f'{case}_final_extra', extra.values.flatten())


@register_check('timematch_classes')
def check_classes(golden: GoldenFile, compare: Comparer) -> None:
    """The three countries' tables, and which classes have enough parcels."""
    for country, table in CLASS_TABLES.items():
        compare(f'{country}_class_of_code', np.array(label_codes(golden.arrays[f'in/{country}_codes'].tolist(), table)))
        compare(f'{country}_classes', np.array(class_names(table)))
        compare(f'{country}_classes_combined', np.array(class_names(table, combine_seasons=True)))
    names = label_codes(golden.arrays['in/select_codes'].tolist(), CLASS_TABLES['denmark'])
    chosen = select_classes(names, class_names(CLASS_TABLES['denmark']), min_parcels=200)
    compare('select_classes', np.array(chosen))
    known = Counter(chosen)
    compare('select_labels', np.array([chosen.index(name if name in known else UNKNOWN) for name in names]))
