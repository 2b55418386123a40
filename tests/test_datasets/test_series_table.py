"""Tables of series: npz, CSV and Parquet, missing values, conditions, classes, and what is said of bad tables."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from mmsits.datasets import DataError, DrawIndex, SeriesTableDataset, identity_collate, series_table
from mmsits.datasets.groups import sample_groups
from mmsits.datasets.series_table import read_series_table
from mmsits.models import SeriesDataPreprocessor

PACK = [dict(type='PackSeriesInputs')]
CSV = """field,date,ndvi,red,crop,region,cloud
a,2018-05-01,0.1,0.30,wheat,north,0.1
b,2018-05-03,0.2,,maize,south,0.2
a,2018-06-01,,0.20,wheat,north,0.3
b,2018-04-03,0.3,0.25,maize,south,0.4
a,2018-04-01,0.5,0.10,wheat,north,0.5
c,2018-04-05,0.6,0.15,rice,south,0.6
"""
COLUMNS = dict(id='field', label='crop')


@pytest.fixture
def folder(tmp_path):
    (tmp_path / 'fields.csv').write_text(CSV)
    rng = np.random.default_rng(0)
    values = rng.random((6, 5, 2)).astype(np.float32)
    values[1, 2, 0] = np.nan
    np.savez(
        tmp_path / 'fields.npz',
        x=values,
        doy=np.array([1, 17, 33, 49, 65]),
        year=np.array([2011, 2012, 2011, 2012, 2011, 2012]),
        y=np.array([0, 1, 2, 0, 1, 2], np.int16),
        classes=np.array(['cotton', 'wheat', 'rice']),
        region=np.array(['n', 's', 'n', 's', 'n', 's']),
        split=np.array(['train'] * 4 + ['test'] * 2),
    )
    return tmp_path


def open_csv(folder, **options):
    options = {'bands': ('ndvi', 'red'), 'columns': COLUMNS, 'pipeline': PACK, **options}
    return SeriesTableDataset(str(folder), table='fields.csv', **options)


def open_npz(folder, **options):
    return SeriesTableDataset(
        str(folder), table='fields.npz', **{'bands': ('ndvi', 'ndwi'), 'pipeline': PACK, **options}
    )


def dates(sample, sensor='s2'):
    series = sample['inputs'][sensor]
    return [str(np.datetime64(int(day), 'D')) for day in series.days[series.valid[:, 0, 0]]]


def test_rows_become_series_in_order_of_time_and_missing_values_are_not_valid(folder):
    dataset = open_csv(folder)
    assert dataset.metainfo['classes'] == ('maize', 'rice', 'wheat')
    assert [dataset.get_data_info(i)['sample_id'] for i in range(3)] == ['a', 'b', 'c']
    assert dataset.labels.tolist() == [2, 0, 1]
    assert [dates(dataset[i]) for i in range(3)] == [['2018-04-01', '2018-05-01'], ['2018-04-03'], ['2018-04-05']]
    series = dataset[0]['inputs']['s2']
    np.testing.assert_allclose(series.values[:2, :, 0, 0], [[0.5, 0.1], [0.1, 0.3]], rtol=1e-6)
    assert dataset[0]['targets'].shape == (1, 1, 1)


def test_parquet_holds_the_same(folder):
    pytest.importorskip('pyarrow')
    from pyarrow import csv, parquet

    parquet.write_table(csv.read_csv(folder / 'fields.csv'), folder / 'fields.parquet')
    one, other = open_csv(folder), open_csv(folder)
    other = SeriesTableDataset(
        str(folder), table='fields.parquet', bands=('ndvi', 'red'), columns=COLUMNS, pipeline=PACK
    )
    for i in range(3):
        for a, b in zip(one[i]['inputs']['s2'], other[i]['inputs']['s2'], strict=True):
            assert torch.equal(a, b)


def test_bands_that_are_not_named_are_the_numbers_that_change(folder):
    assert open_csv(folder, bands=None).metainfo['bands'] == {'s2': ('ndvi', 'red', 'cloud')}


def test_arrays_with_day_of_year(folder):
    dataset = open_npz(folder, sensor='index')
    sample = dataset[1]
    assert dataset.metainfo['classes'] == ('cotton', 'wheat', 'rice')
    assert sample['inputs']['index'].values.shape == (5, 2, 1, 1)
    assert dates(sample, 'index') == ['2012-01-01', '2012-01-17', '2012-02-18', '2012-03-05']
    assert str(np.datetime64(sample['metas']['season_start'], 'D')) == '2012-01-01'


def test_conditions_choose_series(folder):
    names = [
        [d.get_data_info(i)['sample_id'] for i in range(len(d))]
        for d in (open_npz(folder, where=dict(region='n', split='train')), open_npz(folder, where=dict(year=[2012])))
    ]
    assert names == [['0', '2'], ['1', '3', '5']]


def test_other_classes_are_left_out_or_ignored(folder):
    left_out = open_npz(folder, classes=('rice', 'cotton'))
    ignored = open_npz(folder, classes=('rice', 'cotton'), unlisted='ignore')
    assert left_out.labels.tolist() == [1, 0, 1, 0]
    assert ignored.labels.tolist() == [1, 255, 0, 1, 255, 0]


def test_statistics_are_those_of_the_observed_values(folder):
    dataset = open_npz(folder, where=dict(region='s'), bands=('ndvi', 'ndwi'))
    values = np.load(folder / 'fields.npz')['x'][[1, 3, 5]].reshape(-1, 2)
    values = values[np.isfinite(values).all(1)]
    np.testing.assert_allclose(dataset.statistics['s2']['mean'], values.mean(0), rtol=1e-5)
    np.testing.assert_allclose(dataset.statistics['s2']['std'], values.std(0, ddof=1), rtol=1e-5)


def test_statistics_see_only_the_series_that_are_chosen_by_number(folder):
    chosen, alone = open_npz(folder, indices=[0, 2]), open_npz(folder, where=dict(region='n', split='train'))
    assert len(chosen) == 2
    assert chosen.statistics == alone.statistics


def test_a_batch_holds_the_samples_that_single_reads_give(folder):
    pipeline = [dict(type='SampleDates', num_dates=3), dict(type='ShiftDays', days=(-5, 5)), *PACK]
    dataset = open_npz(folder, pipeline=pipeline)
    indices = [DrawIndex(i % 6, 10 + i, 2) for i in range(9)]
    preprocess = SeriesDataPreprocessor(sensors=dict(s2=2), statistics=dataset.statistics)
    together = preprocess(identity_collate(dataset.__getitems__(indices)))
    alone = preprocess(pseudo_collate([dataset[i] for i in indices]))
    for one, other in zip(together['inputs']['s2'], alone['inputs']['s2'], strict=True):
        assert torch.equal(one, other)
    assert torch.equal(together['targets'], alone['targets'])
    # Of series 1 one date is missing, and never chosen before an existing one.
    assert together['inputs']['s2'].valid.flatten(1).sum(1).tolist() == [3] * 9


def test_labels_can_be_withheld(folder):
    dataset = open_npz(folder, with_labels=False)
    assert dataset.labels is None
    assert 'targets' not in dataset[0]


@pytest.mark.parametrize(
    ('old', 'new', 'message'),
    [
        ('a,2018-06-01,,0.20,wheat', 'a,2018-06-01,,0.20,maize', r"label 'maize' is not that.*sample a"),
        ('b,2018-04-03', 'b,2018-05-03', r'occurs twice.*sample b.*2018-05-03'),
        ('c,2018-04-05', 'c,spring', r"'spring' is no date"),
        ('field,date', 'field,day', r"no column 'doy'.*'day'"),
        ('ndvi,red', 'ndvi,blue', r"no column 'red'"),
        (CSV.partition('\n')[2], '', r'no row'),
    ],
)
def test_a_bad_table_is_named(folder, old, new, message):
    path = folder / 'fields.csv'
    path.write_text(CSV.replace(old, new))
    with pytest.raises(DataError, match=message):
        open_csv(folder)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(y=np.array([0, 1, 9, 0, 1, 2])), r'label 9 is none of the 3 classes.*sample 2'),
        (dict(y=np.array([0, 1])), r'must hold 6 labels'),
        (dict(doy=np.array([1, 2])), r'the dates are \(6, 2\), the series \(6, 5\)'),
        (dict(doy=np.array([1, 17, 33, 17, 65])), r'the date occurs twice in a series; 6 such.*sample 0.*2011-01-17'),
        (dict(x=np.zeros(3)), r'must be \(N,T\)'),
        (dict(x=np.zeros((6, 5, 3))), r'2 bands are named, the file has 3'),
    ],
)
def test_bad_arrays_are_named(folder, changes, message):
    with np.load(folder / 'fields.npz') as held:
        arrays = {**held, **changes}
    np.savez(folder / 'fields.npz', **arrays)
    with pytest.raises(DataError, match=message):
        open_npz(folder)


@pytest.mark.parametrize('missing', ['mask', 'interpolate'])
def test_arrays_need_not_be_in_the_order_of_time(folder, missing):
    with np.load(folder / 'fields.npz') as held:
        arrays = dict(held)
    expected = open_npz(folder, missing=missing).table
    order = np.array([3, 0, 4, 1, 2])
    np.savez(folder / 'fields.npz', **{**arrays, 'x': arrays['x'][:, order], 'doy': arrays['doy'][order]})
    found = open_npz(folder, missing=missing).table
    for name in ('values', 'days', 'exists'):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_a_day_may_come_again_where_it_has_no_value(folder):
    with np.load(folder / 'fields.npz') as held:
        arrays = dict(held)
    arrays['x'][:, 3:] = np.nan
    arrays['doy'][3:] = arrays['doy'][2]
    np.savez(folder / 'fields.npz', **arrays)
    assert dates(open_npz(folder)[0]) == ['2011-01-01', '2011-01-17', '2011-02-02']


def test_missing_and_damaged_files_are_named(folder):
    with pytest.raises(DataError, match='table is missing'):
        SeriesTableDataset(str(folder), table='none.npz')
    (folder / 'fields.npz').write_bytes(b'PK\x03\x04')
    with pytest.raises(DataError, match='not a readable table'):
        open_npz(folder)
    (folder / 'fields.txt').write_text('a')
    with pytest.raises(DataError, match=r"'\.txt' is no table"):
        SeriesTableDataset(str(folder), table='fields.txt')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(classes=('barley',)), r"no class \['barley'\].*cotton"),
        (dict(where=dict(zone='n')), r"no column 'zone'.*region"),
        (dict(where=dict(region='east')), 'no series is left of 6'),
        (dict(columns=dict(name='id')), r"no columns \['name'\] are known"),
        (dict(unlisted='keep'), 'unlisted must be'),
    ],
)
def test_arguments_that_make_no_sense_are_refused(folder, options, message):
    with pytest.raises(ValueError, match=message):
        open_npz(folder, **options)


def write_ragged(folder, **changes):
    """Three series of 2, 4 and 3 dates one behind the other; dates of the second are not in order."""
    arrays = dict(
        x=np.arange(18, dtype=np.uint16).reshape(9, 2),
        doy=np.array([3, 50, 9, 4, 80, 40, 7, 8, 9], np.int16),
        offset=np.array([0, 2, 6, 9]),
        bands=np.array(['red', 'nir']),
        id=np.array(['p', 'q', 'r']),
        slope=np.array([1.5, 2.5, 3.5]),
        height=np.array([7, 8, 9]),
    )
    np.savez(folder / 'ragged.npz', **{**arrays, **changes})


def open_ragged(folder, **options):
    return SeriesTableDataset(str(folder), table='ragged.npz', **{'year': 2019, 'pipeline': PACK, **options})


def test_series_of_different_lengths_stand_one_behind_the_other(folder):
    write_ragged(folder)
    dataset = open_ragged(folder)
    assert dataset.metainfo['bands'] == {'s2': ('red', 'nir')}
    assert [dataset.get_data_info(i)['sample_id'] for i in range(3)] == ['p', 'q', 'r']
    assert dates(dataset[0]) == ['2019-01-03', '2019-02-19']
    assert dates(dataset[1]) == ['2019-01-04', '2019-01-09', '2019-02-09', '2019-03-21']
    observed = dataset[1]['inputs']['s2']
    assert observed.values[observed.valid[:, 0, 0], 0, 0, 0].tolist() == [6, 4, 10, 8]


def test_ragged_series_without_dates_get_regular_ones(folder):
    write_ragged(folder, doy=np.zeros(0))
    dataset = open_ragged(folder, columns=dict(day_of_year=None), regular_dates=dict(start='2006-01-01', step=8))
    assert dates(dataset[2]) == ['2006-01-01', '2006-01-09', '2006-01-17']


def test_bands_are_chosen_by_the_names_in_the_file(folder):
    write_ragged(folder)
    assert open_ragged(folder, bands=('nir', 'red'))[0]['inputs']['s2'].values[0, :, 0, 0].tolist() == [1, 0]
    with pytest.raises(DataError, match=r"no band \['blue'\]; there are \['red', 'nir'\]"):
        open_ragged(folder, bands=('blue', 'red'))


def test_columns_of_numbers_become_a_static_sensor(folder):
    write_ragged(folder)
    dataset = open_ragged(folder, static=dict(terrain=('height', 'slope')))
    series = dataset[1]['inputs']['terrain']
    assert series.values.flatten().tolist() == [8, 2.5]
    assert series.valid.all()
    assert dataset.statistics['terrain'] == dict(mean=[8.0, 2.5], std=[1.0, 1.0])
    with pytest.raises(DataError, match="no column 'aspect'"):
        open_ragged(folder, static=dict(terrain=('aspect',)))


def test_missing_values_are_interpolated_band_by_band(folder):
    values = np.array([[[9, 1], [2, 9], [9, 9], [6, 4]], [[1, 9], [1, 9], [1, 9], [1, 9]], [[9, 9]] * 4], np.uint16)
    np.savez(folder / 'gaps.npz', x=values, date=np.array(['2019-01-01', '2019-01-11', '2019-01-16', '2019-02-01']))
    options = dict(table='gaps.npz', missing_value=9, missing='interpolate', pipeline=PACK)
    dataset = SeriesTableDataset(str(folder), **options)
    series = dataset[0]['inputs']['s2']
    assert series.valid.all()
    np.testing.assert_allclose(series.values[:, 0, 0, 0], [2, 2, 2 + 4 * 5 / 21, 6], rtol=1e-6)
    np.testing.assert_allclose(series.values[:, 1, 0, 0], [1, 1 + 3 * 10 / 31, 1 + 3 * 15 / 31, 4], rtol=1e-6)
    # A band that a series lacks altogether stays unknown; a series without any value has no date.
    lacking = dataset[1]['inputs']['s2']
    assert lacking.valid.all()
    assert lacking.values[:, 1].isnan().all()
    assert not dataset[2]['inputs']['s2'].valid.any()
    preprocess = SeriesDataPreprocessor(sensors=dict(s2=2), statistics=dataset.statistics, nan_is_mean=True)
    normalised = preprocess(pseudo_collate([dataset[i] for i in range(3)]))['inputs']['s2'].values
    assert normalised.isfinite().all()
    assert not normalised[1, :, 1].any()


def test_interpolation_is_numpys_band_by_band(monkeypatch):
    monkeypatch.setattr(series_table, 'SERIES_AT_ONCE', 7)
    rng = np.random.default_rng(1)
    values = np.where(rng.random((20, 9, 3)) < 0.5, np.nan, rng.random((20, 9, 3)) * 4000).astype(np.float32)
    days = np.sort(rng.choice(365, (20, 9)), axis=1) + 17000 + np.arange(9)
    expected = values.copy()
    for series, band in np.argwhere(np.isfinite(values).any(axis=1)):
        there = np.isfinite(values[series, :, band])
        expected[series, :, band] = np.interp(days[series], days[series, there], values[series, there, band])
    found = series_table.interpolate_missing(values, days)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_array_equal(found[np.isfinite(values)], values[np.isfinite(values)])


def test_interpolation_does_not_reach_beyond_the_end_of_a_series(folder):
    write_ragged(folder)
    masked, filled = open_ragged(folder), open_ragged(folder, missing='interpolate')
    for i in range(3):
        for one, other in zip(masked[i]['inputs']['s2'], filled[i]['inputs']['s2'], strict=True):
            assert torch.equal(one, other)


@pytest.mark.parametrize(
    ('changes', 'options', 'message'),
    [
        (dict(offset=np.array([0, 2, 6, 8])), {}, 'offset must rise from 0 to 9'),
        (dict(offset=np.array([0, 6, 6, 9])), {}, 'one date at least'),
        (dict(doy=np.arange(4)), {}, r'the dates are \(4,\), the series \(9,\)'),
        (dict(doy=np.array([3, 3, 9, 4, 80, 40, 7, 8, 9])), {}, 'occurs twice'),
        (dict(x=np.zeros((9, 2, 2))), {}, r'must be \(P,\) or \(P,C\)'),
        (dict(bands=np.array(['red'])), {}, '1 names for 2 bands'),
        ({}, dict(year=None), "no column 'year'"),
        ({}, dict(columns=dict(day_of_year='t')), 'regular_dates='),
    ],
)
def test_bad_ragged_tables_are_named(folder, changes, options, message):
    write_ragged(folder, **changes)
    with pytest.raises(DataError, match=message):
        open_ragged(folder, **options)


def test_gaps_among_the_labels_are_no_class(tmp_path: Path) -> None:
    table = tmp_path / 'table.csv'
    rows = [('a', 3), ('b', ''), ('c', 1)]
    lines = [f'{name},2020-0{month}-01,0.{month},{month},{label}' for name, label in rows for month in (1, 2)]
    table.write_text('id,date,ndvi,clouds,label\n' + '\n'.join(lines) + '\n')
    dataset = SeriesTableDataset(str(tmp_path), 'table.csv', sensor='x', pipeline=[])
    assert dataset.metainfo['classes'] == ('1', '3')
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [1, 255, 0]
    # Whole numbers are a band like any other.
    assert dataset.metainfo['bands']['x'] == ('ndvi', 'clouds')


def test_names_are_what_the_file_says(tmp_path: Path) -> None:
    rows = ['01,2020-01-01,1', '01,2020-02-01,2', '1,2020-03-01,3', '1,2020-04-01,5']
    (tmp_path / 'fields.csv').write_text('id,date,ndvi\n' + '\n'.join(rows) + '\n')
    dataset = SeriesTableDataset(str(tmp_path), 'fields.csv', with_labels=False)
    assert dataset.table.ids == ['01', '1'], 'two fields became one'
    (tmp_path / 'valleys.csv').write_text('id,valley\n01,north\n1,south\n')
    assert sample_groups(dataset, 'valley', tmp_path / 'valleys.csv') == ['north', 'south']


@pytest.mark.parametrize(
    ('head', 'row', 'message'),
    [
        ('id,date,b', 'a,,2', "'' is no date"),
        ('id,doy,b', 'a,,2', r"1 rows have no entry in 'doy', the first is row 1"),
        ('id,date,b', ',2020-02-01,2', r"1 rows have no entry in 'id', the first is row 1"),
    ],
)
def test_rows_without_name_or_date_are_refused(tmp_path: Path, head: str, row: str, message: str) -> None:
    first = 'a,1,1' if 'doy' in head else 'a,2020-01-01,1'
    (tmp_path / 't.csv').write_text(f'{head}\n{first}\n{row}\n')
    with pytest.raises(DataError, match=message):
        read_series_table(tmp_path / 't.csv', year=2020)


def test_times_of_a_zone_are_days_of_that_zone(tmp_path: Path) -> None:
    import pandas

    (tmp_path / 't.csv').write_text('id,date,b\na,2020-05-01T00:00:00+02:00,1\na,2020-06-01T00:00:00+02:00,2\n')
    times = pandas.to_datetime(['2020-05-01', '2020-06-01']).tz_localize('Europe/Berlin')
    pandas.DataFrame(dict(id=['a', 'a'], date=times, b=[1.0, 2.0])).to_parquet(tmp_path / 't.parquet')
    for name in ('t.csv', 't.parquet'):
        days = read_series_table(tmp_path / name).days[0].astype('datetime64[D]')
        assert [str(day) for day in days] == ['2020-05-01', '2020-06-01']
    pandas.DataFrame(dict(id=['a', 'a'], date=[times[0], None], b=[1.0, 2.0])).to_parquet(tmp_path / 't.parquet')
    with pytest.raises(DataError, match="1 rows have no entry in 'date'"):
        read_series_table(tmp_path / 't.parquet')
