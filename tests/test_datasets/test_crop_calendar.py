"""Crop calendars: dates of the Jalali calendar, seasons of a crop, gaps."""

import datetime
import itertools

import pytest

from mmsits.datasets.crop_calendar import CropCalendar, jalali_to_gregorian, read_calendar
from mmsits.datasets.errors import DataError

HEADING = 'crop,Province,Planting Start Date,Planting End Date,Harvest Start Date,Harvest End Date'
TEXT = f"""{HEADING}
Onion_Spring,Bushehr,08-01,09-30,01-01,02-31
Onion_Spring,Fars,08-01,09-30,-,-

{HEADING}
Onion_Winter,Bushehr,07-01,08-20,11-11,01-31
Canola,Mazandaran,07-11,09-10,02-11,05-31
"""


@pytest.fixture
def calendar(tmp_path):
    path = tmp_path / 'calendar.csv'
    path.write_text(TEXT)
    return read_calendar(path, 'jalali', 1400)


@pytest.mark.parametrize(
    ('jalali', 'gregorian'),
    [
        ((1357, 11, 22), '1979-02-11'),
        ((1399, 12, 30), '2021-03-20'),  # a leap year ends
        ((1400, 1, 1), '2021-03-21'),
        ((1403, 12, 30), '2025-03-20'),
        ((1404, 1, 1), '2025-03-21'),
        ((1408, 12, 30), '2030-03-20'),  # five years behind the leap year before
    ],
)
def test_known_days_agree(jalali, gregorian):
    assert jalali_to_gregorian(*jalali).isoformat() == gregorian


def test_days_follow_each_other_through_two_cycles():
    days = [
        jalali_to_gregorian(year, month, day)
        for year in range(1370, 1437)
        for month in range(1, 13)
        for day in range(1, 30)
    ]
    steps = {(after - before).days for before, after in itertools.pairwise(days)}
    assert steps == {1, 2, 3}
    assert (days[-1] - days[0]).days + 1 == pytest.approx(67 * 365.2422, abs=2)


@pytest.mark.parametrize('date', [(1400, 12, 30), (1400, 7, 31), (1400, 13, 1), (1400, 1, 0), (900, 1, 1)])
def test_days_that_do_not_exist_are_refused(date):
    with pytest.raises(ValueError, match=r'Jalali'):
        jalali_to_gregorian(*date)


def test_a_season_turns_the_year_where_months_go_back(calendar):
    dates = calendar.season('Canola', 'mazandaran')
    assert [date.isoformat() for date in dates] == ['2021-10-03', '2021-12-01', '2022-05-01', '2022-08-22']
    assert calendar.season('Onion_Winter', 'Bushehr').harvest_start == datetime.date(2022, 1, 31)


def test_seasons_are_found_by_the_crop(calendar):
    assert calendar.seasons_of('onion') == ['Onion_Spring', 'Onion_Winter']
    assert calendar.seasons_of('tomato') == []


def test_no_harvest_is_none_and_not_an_error(calendar):
    assert calendar.season('Onion_Spring', 'Fars') is None
    assert calendar.season('Onion_Spring', 'Tehran') is None
    assert calendar.season('Onion_Spring', None) is None


def test_an_unknown_season_lists_those_that_are_there(calendar):
    with pytest.raises(DataError, match='Onion_Spring'):
        calendar.season('Tomato', 'Fars')


def test_full_and_gregorian_dates_are_taken():
    full = CropCalendar({'maize': {'Kent': ['2020-04-20', '2020-05-10', '2020-09-20', '2020-10-20']}})
    assert full.season('maize', 'Kent').harvest_start == datetime.date(2020, 9, 20)
    plain = CropCalendar({'wheat': {'Kent': ['10-01', '11-15', '07-20', '08-20']}}, system='gregorian', start_year=2019)
    assert plain.season('wheat', 'Kent').harvest_start == datetime.date(2020, 7, 20)


def test_a_date_that_does_not_exist_names_season_and_province(tmp_path):
    path = tmp_path / 'calendar.csv'
    path.write_text(f'{HEADING}\nCanola,Fars,07-11,09-10,02-11,07-31\n')
    with pytest.raises(DataError, match=r'Canola in Fars: 1401-07-31.*calendar\.csv'):
        read_calendar(path, 'jalali', 1400).season('Canola', 'Fars')
    with pytest.raises(DataError, match='start_year'):
        read_calendar(path).season('Canola', 'Fars')


def test_a_missing_column_is_named(tmp_path):
    path = tmp_path / 'calendar.csv'
    path.write_text('crop,Province\nCanola,Fars\n')
    with pytest.raises(DataError, match='Harvest Start Date'):
        read_calendar(path)


def test_a_workbook_has_a_sheet_for_each_season(tmp_path):
    openpyxl = pytest.importorskip('openpyxl')
    book = openpyxl.Workbook()
    book.active.title = 'Canola'
    book.active.append(HEADING.split(',')[1:])
    book.active.append(['Mazandaran', '07-11', '09-10', '02-11', '05-31'])
    book.save(tmp_path / 'calendar.xlsx')
    calendar = read_calendar(tmp_path / 'calendar.xlsx', 'jalali', 1400)
    assert calendar.seasons == ['Canola']
    assert calendar.season('Canola', 'Mazandaran').harvest_start == datetime.date(2022, 5, 1)


def test_names_of_other_scripts_are_told_apart():
    wheat = {'فارس': ['07-11', '09-10', '02-11', '05-31'], 'کرمان': ['01-11', '02-10', '03-11', '05-31']}
    calendar = CropCalendar({'گندم': wheat, 'جو': {}}, system='jalali', start_year=1400)
    assert calendar.seasons_of('جو') == ['جو']
    assert calendar.season('گندم', 'فارس').harvest_start.isoformat() == '2022-05-01'
    assert calendar.season('گندم', 'کرمان').harvest_start.isoformat() == '2021-06-01'
    assert calendar.season('گندم', 'یزد') is None


@pytest.mark.parametrize('system', ['jalali', 'gregorian'])
def test_full_dates_are_of_the_calendar_that_their_years_tell(system):
    entries = {
        'canola': {
            'Fars': ['1400-07-11', '1400-09-10', '1401-02-31', '1401-05-31'],
            'Ilam': ['2021-10-03', '2021-12-01', '2022-05-21', '2022-08-22'],
        }
    }
    calendar = CropCalendar(entries, system=system)
    assert calendar.season('canola', 'Fars') == calendar.season('canola', 'Ilam')
