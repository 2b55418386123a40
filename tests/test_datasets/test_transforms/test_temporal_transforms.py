"""Choosing, dropping and shifting dates."""

from types import SimpleNamespace

import numpy as np
import pytest

from mmsits.datasets import DataError
from mmsits.datasets.transforms import CropDays, DropDates, SampleDates, SelectDate, ShiftDays
from mmsits.datasets.transforms.temporal import days_until
from mmsits.structures import ImageSeries
from tests.helpers.samples import coordinate_sample


def dates_of(results, sensor):
    """Numbers of the dates, read from the values; days and date_index must tell the same."""
    series = results['inputs'][sensor]
    numbers = series.values[:, 2, 0, 0]
    np.testing.assert_array_equal(series.days, 17000 + 10 * numbers)
    np.testing.assert_array_equal(results['date_index'][sensor], numbers)
    assert len(series.valid) == len(numbers)
    return numbers.tolist()


def test_sample_dates_draws_different_dates_in_order():
    seen = set()
    for seed in range(200):
        dates = dates_of(SampleDates(3)(coordinate_sample(seed)), 's2')
        assert len(set(dates)) == 3
        assert dates == sorted(dates)
        seen.add(tuple(dates))
    assert len(seen) == 35, 'all 35 choices of 3 out of 7 dates come up'


@pytest.mark.parametrize('random', [True, False])
def test_sample_dates_keeps_all_where_there_are_fewer(random):
    results = SampleDates(6, random=random)(coordinate_sample())
    assert len(dates_of(results, 's2')) == 6
    assert dates_of(results, 's1') == [0, 1, 2, 3, 4]


def test_even_dates_hold_first_and_last_and_need_no_generator():
    results = coordinate_sample()
    del results['rng']
    assert dates_of(SampleDates(3, random=False)(results), 's2') == [0, 3, 6]


def test_dates_without_a_valid_pixel_are_not_chosen():
    results = coordinate_sample()
    valid = np.ones((7, 1, 1), bool)
    valid[[1, 3, 5, 6]] = False
    results['inputs']['s2'] = results['inputs']['s2']._replace(valid=valid)
    assert dates_of(SampleDates(3)(results), 's2') == [0, 2, 4]


def test_sample_dates_is_a_function_of_the_generator_and_of_nothing_else():
    np.random.seed(1)
    first = dates_of(SampleDates(3)(coordinate_sample(5)), 's2')
    np.random.seed(2)
    assert dates_of(SampleDates(3)(coordinate_sample(5)), 's2') == first


def test_drop_dates_drops_the_share_and_never_all():
    assert len(dates_of(DropDates(share=3 / 7)(coordinate_sample()), 's2')) == 4
    assert len(dates_of(DropDates(share=0.99)(coordinate_sample()), 's2')) == 1
    assert len(dates_of(DropDates(share=0.5, probability=0)(coordinate_sample()), 's2')) == 7
    dates = dates_of(DropDates(share=0.5)(coordinate_sample(3)), 's2')
    assert dates == sorted(dates)


def test_crop_days_keeps_the_window_start_included_end_not():
    results = CropDays(start=10, end=40)(coordinate_sample())
    assert dates_of(results, 's2') == [1, 2, 3]
    assert dates_of(results, 'coarse') == [1, 2, 3]


@pytest.mark.parametrize('year', [2015, 2016, 2017])
@pytest.mark.parametrize('season_start', ['01-01', '09-01'])
def test_crop_days_until_a_date_of_each_samples_own_season(year, season_start):
    start = np.datetime64(f'{year}-{season_start}', 'D')
    days = start + np.arange(400)
    for date in ('01-01', '02-28', '03-01', '06-30', '09-01'):
        sample = dict(
            inputs=dict(s2=ImageSeries(np.zeros((400, 1, 1, 1)), days.astype(np.int32), np.ones((400, 1, 1), bool))),
            season_start=int(start.astype(int)),
            date_index=dict(s2=np.arange(400)),
        )
        last = CropDays(until=date)(sample)['inputs']['s2'].days[-1]
        assert str(np.datetime64(int(last), 'D'))[5:] == date
        assert last - sample['season_start'] < 366


@pytest.mark.parametrize(
    ('season_start', 'last'), [('2018-03-01', '2019-03-01'), ('2019-03-01', '2020-02-29'), ('2020-03-01', '2021-03-01')]
)
def test_the_29th_of_february_is_at_the_end_of_seasons_from_march_on(season_start, last):
    start = int(np.datetime64(season_start, 'D').astype(int))
    assert str(np.datetime64(start + days_until('02-29', start), 'D')) == last
    assert days_until('03-01', start) == 0


def test_crop_days_cuts_parcels_of_several_years_at_their_own_date():
    starts = np.array([np.datetime64(f'{year}-01-01', 'D').astype(int) for year in (2015, 2016)])
    sensor = SimpleNamespace(days=starts[:, None] + np.arange(366), exists=np.ones((2, 366), bool))
    batch = SimpleNamespace(season_starts=starts, chosen=lambda sensors: dict(s2=sensor))
    CropDays(start=1, until='06-30').transform_batch(batch)
    assert sensor.exists.sum(1).tolist() == [180, 181]


def test_a_sensor_without_a_date_in_the_window_becomes_the_empty_series():
    results = CropDays(start=55)(coordinate_sample())
    assert dates_of(results, 's2') == [6]
    empty = results['inputs']['s1']
    assert empty.values.shape == (1, 3, 12, 12)
    assert not empty.values.any()
    assert not empty.valid.any()
    assert empty.days.tolist() == [results['season_start']]


def test_shift_moves_all_sensors_alike_and_can_be_undone():
    original = coordinate_sample()
    results = ShiftDays((-30, 30))(coordinate_sample(4))
    shift = results['day_shift']
    for sensor, series in original['inputs'].items():
        np.testing.assert_array_equal(results['inputs'][sensor].days, series.days + shift)
        assert results['inputs'][sensor].days.dtype == np.int32
    back = ShiftDays(-shift)(results)
    np.testing.assert_array_equal(back['inputs']['s2'].days, original['inputs']['s2'].days)
    drawn = {ShiftDays((-1, 1))(coordinate_sample(seed))['day_shift'] for seed in range(30)}
    assert drawn == {-1, 0, 1}


def test_select_date_takes_the_nearest_and_the_earlier_of_two():
    # 2016-07-18 is day 17000, dates are ten days apart: the 23rd lies between two.
    assert dates_of(SelectDate('2016-07-24')(coordinate_sample()), 's2') == [1]
    assert dates_of(SelectDate('2016-07-23')(coordinate_sample()), 's2') == [0]
    assert dates_of(SelectDate(-1)(coordinate_sample()), 's2') == [6]


def test_select_date_says_how_many_dates_there_are():
    with pytest.raises(DataError, match=r'date number 6 .* s1 series has 5 dates \(2016-07-18 to 2016-08-27\).*field'):
        SelectDate(6)(coordinate_sample())


def test_arguments_out_of_range_are_refused():
    for build in (
        lambda: SampleDates(0),
        lambda: DropDates(1.0),
        lambda: CropDays(5, 5),
        lambda: CropDays(end=5, until='06-30'),
        lambda: CropDays(until='02-30'),
        lambda: ShiftDays((3, 1)),
    ):
        with pytest.raises(ValueError, match=r'got|empty'):
            build()


def test_an_unknown_sensor_is_named():
    with pytest.raises(KeyError, match=r"no sensor \['s3'\]"):
        SampleDates(2, sensors='s3')(coordinate_sample())
