"""What was known before the harvest: later observations are not valid any more, and nothing else changes."""

import numpy as np
import pytest

from mmsits.datasets.base import day_to_date
from mmsits.datasets.errors import DataError
from mmsits.datasets.transforms import HideDaysBeforeHarvest
from tests.helpers.samples import coordinate_sample


def dated(sample, days_after_first):
    """The sample with a harvest so many days after its first image."""
    first = int(next(iter(sample['inputs'].values())).days[0])
    return {**sample, 'harvest_date': day_to_date(first + days_after_first).isoformat()}


def known(results):
    return {name: np.asarray(s.valid).reshape(len(s.days), -1).any(1) for name, s in results['inputs'].items()}


def test_only_what_was_there_in_time_stays_valid():
    sample = coordinate_sample()
    before = known(sample)
    for days, lag in ((0, 0), (30, 0), (30, 16)):
        results = HideDaysBeforeHarvest(days, lag=lag)(dated(coordinate_sample(), 60))
        first = int(next(iter(sample['inputs'].values())).days[0])
        for name, series in results['inputs'].items():
            expected = before[name] & (series.days <= first + 60 - days - lag)
            assert np.array_equal(known(results)[name], expected)
            assert np.array_equal(series.days, sample['inputs'][name].days)
            assert np.array_equal(series.values, sample['inputs'][name].values)


def test_long_before_the_harvest_nothing_is_known():
    results = HideDaysBeforeHarvest(400)(dated(coordinate_sample(), 60))
    assert not any(entry.any() for entry in known(results).values())


def test_a_composite_is_there_on_the_day_that_the_sample_names():
    sample = dated(coordinate_sample(), 60)
    series = sample['inputs']['s2']
    first = int(series.days[0])
    # Of eight files, the first was left out before; each is there on its own day.
    told = [0, *range(first + 1, first + 1 + len(series.days))]
    sample |= dict(known_days={'s2': told}, date_index={**sample['date_index'], 's2': np.arange(1, len(told))})
    found = known(HideDaysBeforeHarvest(57)(sample))
    assert np.array_equal(found['s2'], np.array(told[1:]) <= first + 3)
    # The others are there on their date, and so are all where a lag is given.
    assert np.array_equal(
        found['s1'], known(coordinate_sample())['s1'] & (coordinate_sample()['inputs']['s1'].days <= first + 3)
    )


def test_dates_made_anew_are_refused_where_the_sample_names_days():
    sample = dated(coordinate_sample(), 60) | dict(known_days={'s2': [0, 1]})
    del sample['date_index']['s2']
    with pytest.raises(DataError, match=r'dates of s2.*in front of what interpolates'):
        HideDaysBeforeHarvest(57)(sample)
    assert known(HideDaysBeforeHarvest(57, lag=0)(sample))['s2'].any()


def test_a_harvest_of_another_year_is_refused():
    last = max(int(series.days.max()) for series in coordinate_sample()['inputs'].values())
    near, far = (day_to_date(last + days).isoformat() for days in (366, 367))
    HideDaysBeforeHarvest(0)({**coordinate_sample(), 'harvest_date': near})
    with pytest.raises(DataError, match=f'more than a year before the harvest of {far}'):
        HideDaysBeforeHarvest(0)({**coordinate_sample(), 'harvest_date': far})


def test_the_calendar_goes_by_province_and_a_gap_is_named():
    last = max(int(series.days.max()) for series in coordinate_sample()['inputs'].values())
    later = day_to_date(last + 30).isoformat()
    day = {'Fars': later, '': '1971-01-01'}
    there = HideDaysBeforeHarvest(0, day)({**coordinate_sample(), 'province': 'FARS '})
    assert any(entry.any() for entry in known(there).values())
    nowhere = HideDaysBeforeHarvest(0, day)(coordinate_sample())
    assert not any(entry.any() for entry in known(nowhere).values())
    # Another province's harvest is not that of a province without one.
    with pytest.raises(DataError, match=r"province 'Qom'.*crop calendar"):
        HideDaysBeforeHarvest(0, day)({**coordinate_sample(), 'province': 'Qom'})
    with pytest.raises(DataError, match='harvest of this sample is not known'):
        HideDaysBeforeHarvest(0)(coordinate_sample())
    with pytest.raises(ValueError, match='YYYY-MM-DD'):
        HideDaysBeforeHarvest(0, {'': '05-31'})
