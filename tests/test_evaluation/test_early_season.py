"""Dates and configs of series that end early."""

import pytest

from mmsits.evaluation.early_season import cut_series, date_of, days_into_season, last_date


@pytest.mark.parametrize(
    ('date', 'start', 'days'),
    [
        ('01-01', '01-01', 1),
        ('02-01', '01-01', 32),
        ('09-01', '09-01', 1),
        ('08-31', '09-01', 365),
        ('2019-03-01', '2018-09-01', 182),
        ('120', '09-01', 120),
        (90, '01-01', 90),
        ('2016-03-01', '2016-01-01', 61),
        ('02-29', '2015-09-01', 182),
    ],
)
def test_dates_count_from_the_season_start(date: str | int, start: str, days: int) -> None:
    assert days_into_season(date, start) == days
    if isinstance(date, str) and '-' in date:
        assert date_of(days, start).endswith(date)


def test_a_season_without_a_date_is_cut_by_its_days() -> None:
    start = 'seven months before the harvest'
    assert days_into_season('92', start) == last_date(92, start) == 92
    assert date_of(92, start) == 'day 92'


def test_dates_of_every_year_stay_dates() -> None:
    assert last_date('07-01', '01-01') == '07-01'
    assert last_date('182', '01-01') == 182
    assert last_date('07-01', '2016-01-01') == last_date('2016-07-01', '2016-01-01') == 183


@pytest.mark.parametrize(
    ('date', 'start', 'words'),
    [
        ('soon', '01-01', 'not a date'),
        ('02-30', '01-01', 'not a date'),
        ('2019-03-01', '01-01', 'give 03-01'),
        ('2018-01-01', '2018-09-01', 'before the'),
        ('04-01', 'seven months before the harvest', 'give numbers of days'),
    ],
)
def test_other_dates_are_refused(date: str, start: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        days_into_season(date, start)


def test_series_end_before_anything_is_made_of_them() -> None:
    def pipeline() -> list[dict]:
        return [dict(type='LoadSeries'), dict(type='LoadSeriesLabels'), dict(type='SampleDates', num_dates=4)]

    plain = dict(type='RepeatDataset', dataset=dict(type='ConcatDataset', datasets=[dict(pipeline=pipeline())] * 1))
    cut = cut_series(plain, 90)
    names = [step['type'] for step in cut['dataset']['datasets'][0]['pipeline']]
    assert names == ['LoadSeries', 'LoadSeriesLabels', 'CropDays', 'SampleDates']
    assert len(plain['dataset']['datasets'][0]['pipeline']) == 3
    step = cut_series(dict(pipeline=pipeline()), '06-30')['pipeline'][2]
    assert step == dict(type='CropDays', until='06-30')
    domains = dict(domains=dict(source=dict(dataset=dict(type='X'), views=dict(weak=[dict(type='SamplePixels')]))))
    assert cut_series(domains, 90)['domains']['source']['views']['weak'][0] == dict(type='CropDays', end=90)
