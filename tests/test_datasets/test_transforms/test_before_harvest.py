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


def test_the_calendar_goes_by_province_and_a_gap_is_named():
    day = {'Fars': '2300-01-01', '': '1971-01-01'}
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
