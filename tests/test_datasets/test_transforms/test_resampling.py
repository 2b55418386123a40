"""Interpolation and composites: exact where the truth is known, and blind to what is not valid."""

import datetime
import warnings

import numpy as np
import pytest

from mmsits.datasets.base import day_number
from mmsits.datasets.transforms import CompositeDates, InterpolateDates
from mmsits.structures import ImageSeries
from tests.helpers.series_batches import SEASON, sample_of, series_of, through_batch

RNG = np.random.default_rng(0)


def _resamplers() -> list:
    return [
        InterpolateDates(step=15),
        InterpolateDates(step=7, start=20, end=200, max_gap=30),
        CompositeDates('month', 'median'),
        CompositeDates(40, 'mean', start=10, end=300),
        CompositeDates(30, 'max_ndvi'),
    ]


def _out(step, series: ImageSeries) -> ImageSeries:
    return step.transform(sample_of(series))['inputs']['s2']


@pytest.mark.parametrize('step', _resamplers(), ids=repr)
def test_a_constant_series_stays_constant(step) -> None:
    series = series_of(RNG, valid=0.6)
    constant = series._replace(values=np.broadcast_to(np.float32([3, 5, 9]).reshape(3, 1, 1), series.values.shape))
    out = _out(step, constant)
    assert out.valid.any()
    kept = np.broadcast_to(out.valid[:, None], out.values.shape)
    assert (out.values == np.broadcast_to(np.float32([3, 5, 9]).reshape(3, 1, 1), out.values.shape))[kept].all()


@pytest.mark.parametrize('step', _resamplers(), ids=repr)
def test_what_is_not_valid_has_no_influence(step) -> None:
    series = series_of(RNG, valid=0.5)
    spoilt = np.where(series.valid[:, None], series.values, np.float32(1e30))
    out, other = _out(step, series), _out(step, series._replace(values=spoilt))
    for part, same in zip(out, other, strict=True):
        np.testing.assert_array_equal(part, same)


@pytest.mark.parametrize('step', _resamplers(), ids=repr)
def test_padding_with_dates_that_do_not_exist_changes_nothing(step) -> None:
    series = series_of(RNG, valid=0.6)
    values, days, valid = (np.concatenate([part, part[-2:]]) for part in series)
    valid[-2:] = False
    days[-2:] = [-(2**31), 0]
    for part, same in zip(_out(step, series), _out(step, ImageSeries(values, days, valid)), strict=True):
        np.testing.assert_array_equal(part, same)


@pytest.mark.parametrize('dtype', [np.float32, np.int16])
@pytest.mark.parametrize('step', _resamplers(), ids=repr)
def test_a_batch_of_parcels_equals_its_samples_one_by_one(step, dtype) -> None:
    rows = [series_of(RNG, dates=9, size=(5, 1), valid=share, dtype=dtype) for share in (0.3, 0.9, 0.0, 1.0)]
    for row, out in zip(rows, through_batch([step], rows), strict=True):
        for part, same in zip(_out(step, row), out, strict=True):
            assert part.dtype == same.dtype
            np.testing.assert_array_equal(np.broadcast_to(part, same.shape), same)


def test_interpolation_is_exact_for_linear_series_and_holds_the_ends() -> None:
    series = series_of(RNG, dates=30, valid=0.4)
    slopes = np.float32([1, -2, 0.5]).reshape(3, 1, 1)
    linear = (series.days - SEASON).astype(np.float32)[:, None, None, None] * slopes + np.zeros((4, 4), np.float32)
    out = _out(InterpolateDates(step=5), series._replace(values=linear))
    days = series.days - SEASON
    for row, column in np.ndindex(4, 4):
        seen = days[series.valid[:, row, column]]
        held = np.clip(out.days - SEASON, seen.min(), seen.max())
        np.testing.assert_allclose(out.values[:, :, row, column], held[:, None] * slopes[:, 0, 0], rtol=1e-5, atol=1e-4)


def test_interpolation_gives_back_what_was_observed() -> None:
    series = series_of(RNG, dates=12, valid=1.0)
    series = series._replace(days=(SEASON + 10 * np.arange(12)).astype(np.int32))
    out = _out(InterpolateDates(step=10, end=110), series)
    np.testing.assert_array_equal(out.values, series.values)


def test_far_from_any_observation_is_not_valid() -> None:
    series = ImageSeries(
        np.ones((2, 3, 1, 1), np.float32), np.int32([SEASON + 50, SEASON + 150]), np.ones((2, 1, 1), bool)
    )
    out = _out(InterpolateDates(step=10, end=200, max_gap=20), series)
    days = out.days - SEASON
    expected = (abs(days - 50) <= 20) | (abs(days - 150) <= 20)
    np.testing.assert_array_equal(out.valid[:, 0, 0], expected)


def test_a_pixel_never_seen_is_not_valid_and_a_missing_sensor_stays_so() -> None:
    series = series_of(RNG, valid=0.8)
    series.valid[:, 1, 2] = False
    for step in _resamplers():
        assert not _out(step, series).valid[:, 1, 2].any()
    empty = ImageSeries(np.zeros((1, 3, 4, 4), np.float32), np.int32([SEASON]), np.zeros((1, 1, 1), bool))
    assert not _out(InterpolateDates(), empty).valid.any()
    assert not _out(CompositeDates(), empty).valid.any()


@pytest.mark.parametrize('method', ['median', 'mean', 'max_ndvi'])
def test_composites_do_not_depend_on_the_order_of_dates(method: str) -> None:
    series = series_of(RNG, dates=20, valid=0.7)
    order = RNG.permutation(20)
    turned = ImageSeries(*(part[order] for part in series))
    out, other = (_out(CompositeDates(60, method), one) for one in (series, turned))
    for part, same in zip(out, other, strict=True):
        np.testing.assert_allclose(part, same, rtol=1e-6)


def test_composites_equal_numpys_over_the_valid_dates() -> None:
    series = series_of(RNG, dates=25, valid=0.6)
    names = dict(median=np.nanmedian, mean=np.nanmean)
    missing = np.where(series.valid[:, None], series.values, np.nan)
    for name, function in names.items():
        out = _out(CompositeDates(50, name, end=350), series)
        for number in range(7):
            inside = (series.days - SEASON) // 50 == number
            with warnings.catch_warnings(action='ignore', category=RuntimeWarning):
                expected = function(missing[inside], axis=0)
            np.testing.assert_allclose(np.where(out.valid[number], out.values[number], np.nan), expected, rtol=1e-6)


def test_months_are_those_of_the_calendar_from_the_season_start() -> None:
    start = day_number(datetime.date(2018, 9, 1))
    days = [day_number(datetime.date(*day)) for day in ((2018, 9, 1), (2018, 9, 30), (2018, 10, 1), (2019, 8, 31))]
    series = ImageSeries(np.arange(4, dtype=np.float32).reshape(4, 1, 1, 1), np.int32(days), np.ones((4, 1, 1), bool))
    sample = sample_of(series, bands=('B08',))
    sample['season_start'] = start
    out = CompositeDates().transform(sample)['inputs']['s2']
    assert out.valid[:, 0, 0].nonzero()[0].tolist() == [0, 1, 11]
    assert out.values[[0, 1, 11], 0, 0, 0].tolist() == [0.5, 2, 3]
    assert out.days[0] == day_number(datetime.date(2018, 9, 15))


def test_the_greenest_observation_is_taken_whole() -> None:
    red, infrared = np.float32([[900, 300, 2000], [1000, 4000, 2500]])
    values = np.stack([np.arange(3), red, infrared], axis=1).astype(np.int16)[..., None, None]
    series = ImageSeries(values, np.int32(SEASON + np.arange(3)), np.ones((3, 1, 1), bool))
    sample = sample_of(series, bands=('B02', 'B04', 'B08'))
    out = CompositeDates(30, 'max_ndvi').transform(sample)['inputs']['s2']
    assert out.values.dtype == np.int16
    assert out.values[0, :, 0, 0].tolist() == [1, 300, 4000]


@pytest.mark.parametrize(
    'options',
    [dict(step=0), dict(start=10, end=5), dict(max_gap=-1)],
)
def test_grids_that_cannot_be_are_refused(options: dict) -> None:
    with pytest.raises(ValueError, match='cannot be'):
        InterpolateDates(**options)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(method='max'), 'one of'),
        (dict(period='week'), "'month' or a number"),
        (dict(period='month', start=5), 'twelve months'),
        (dict(period=10, start=5, end=5), 'number of days'),
    ],
)
def test_composites_that_cannot_be_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CompositeDates(**options)
