"""The dataset base: seasons, bands by name, ignored classes, seeding by draw."""

import datetime
import pickle

import numpy as np
import pytest
from mmengine.dataset import ConcatDataset, RepeatDataset

from mmsits.datasets import DrawIndex, Sensor, SeriesDataset
from mmsits.datasets.base import day_number, resolve_season_start


class TwoFields(SeriesDataset):
    """Two samples without files; the pipeline sees the data-list entry."""

    METAINFO = dict(classes=('background', 'wheat', 'void'), palette=[[0, 0, 0]] * 3)
    SENSORS = {'s2': Sensor(('B02', 'B03', 'B04'), 'reflectance x 10000'), 's1': Sensor(('VV', 'VH'), 'dB')}

    def load_data_list(self):
        return [dict(sample_id=name, season_start=0, series={}, label_path=None) for name in 'ab']


def draw_numbers(results):
    return results['rng'].random(3)


def days(*dates):
    return np.array([day_number(datetime.date.fromisoformat(date)) for date in dates])


@pytest.mark.parametrize(
    ('season_start', 'expected'),
    [('2018-09-01', '2018-09-01'), ('09-01', '2018-09-01'), ('01-01', '2019-01-01'), ('03-15', '2019-03-15')],
)
def test_season_start_is_the_latest_before_the_median_date(season_start, expected):
    series = days('2018-09-24', '2019-02-01', '2019-03-20', '2019-06-01', '2019-10-19')
    assert resolve_season_start(season_start, series) == days(expected)[0]


@pytest.mark.parametrize('nonsense', ['spring', '13-01', '02-30', '2018-13-01'])
def test_season_start_refuses_what_is_no_date(nonsense):
    with pytest.raises(ValueError, match='MM-DD'):
        resolve_season_start(nonsense, days('2019-03-20'))


def test_unknown_names_are_refused_with_those_that_exist():
    with pytest.raises(ValueError, match=r"no sensor \['s3'\].*'s1', 's2'"):
        TwoFields(sensors=('s3',))
    with pytest.raises(ValueError, match=r"no band \['B08'\].*B02"):
        TwoFields(bands=dict(s2=('B08',)))
    with pytest.raises(ValueError, match=r"no band of sensor 's2' is chosen.*B02"):
        TwoFields(bands=dict(s2=()))
    with pytest.raises(ValueError, match=r"no class 'maize'.*wheat"):
        TwoFields(ignored_classes=('maize',))


def test_bands_and_ignored_classes_are_resolved_by_name():
    dataset = TwoFields(sensors=('s2', 's1'), bands=dict(s2=('B04', 'B02')), ignored_classes=('void', 0))
    assert dataset.metainfo['bands'] == {'s2': ('B04', 'B02'), 's1': ('VV', 'VH')}
    assert dataset.metainfo['units'] == {'s2': 'reflectance x 10000', 's1': 'dB'}
    assert dataset.ignored_labels == (2, 0)


def test_a_draw_decides_the_random_numbers_not_the_order_of_reading():
    dataset = TwoFields(pipeline=[draw_numbers])
    first = dataset[DrawIndex(1, draw=5, seed=3)]
    dataset[DrawIndex(0, draw=6, seed=3)]
    np.testing.assert_array_equal(first, dataset[DrawIndex(1, draw=5, seed=3)])
    assert not np.array_equal(first, dataset[DrawIndex(1, draw=7, seed=3)])
    assert not np.array_equal(first, dataset[DrawIndex(1, draw=5, seed=4)])


def test_a_plain_index_is_seeded_by_the_dataset():
    np.testing.assert_array_equal(TwoFields(pipeline=[draw_numbers])[1], TwoFields(pipeline=[draw_numbers])[1])
    assert not np.array_equal(TwoFields(pipeline=[draw_numbers])[1], TwoFields(pipeline=[draw_numbers], seed=1)[1])


@pytest.mark.parametrize('wrap', [lambda parts: ConcatDataset(parts), lambda parts: RepeatDataset(parts[0], 2)])
@pytest.mark.parametrize('index', [0, 3])
def test_a_draw_keeps_its_number_in_wrapped_datasets(wrap, index):
    dataset = wrap([TwoFields(pipeline=[draw_numbers]) for _ in range(2)])
    first, again, other = (dataset[DrawIndex(index, draw=draw, seed=0)] for draw in (5, 5, 9))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_draw_index_survives_the_way_to_a_worker():
    index = pickle.loads(pickle.dumps(DrawIndex(4, draw=17, seed=2)))
    assert (index, index.draw, index.seed) == (4, 17, 2)
