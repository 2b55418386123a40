"""The PASTIS dataset: protocol, dates, statistics, labels, sensors, reading only what is needed."""

import json
import pickle

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate

from mmsits.datasets import DataError, PASTISDataset
from mmsits.datasets.pastis import CLASSES, PALETTE, split_folds
from mmsits.datasets.transforms import LoadSeries, LoadSeriesLabels, PackSeriesInputs, SampleDates, SeriesRandomCrop
from mmsits.models.data_preprocessors import SeriesDataPreprocessor
from tests.helpers.pastis_miniature import write_pastis_miniature

PIPELINE = [LoadSeries(), LoadSeriesLabels(), PackSeriesInputs()]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_pastis_miniature(tmp_path_factory.mktemp('pastis'), patches=10, sensors=('s2', 's1a'))


@pytest.fixture
def copy(tmp_path):
    """A miniature that a test may damage."""
    return write_pastis_miniature(tmp_path / 'pastis', patches=5, sensors=('s2', 's1a'))


def edit_metadata(folder, change):
    path = folder / 'metadata.geojson'
    metadata = json.loads(path.read_text())
    for feature in metadata['features']:
        change(feature['properties'])
    path.write_text(json.dumps(metadata))


def ids(dataset):
    return [dataset.get_data_info(i)['sample_id'] for i in range(len(dataset))]


def test_five_fold_protocol_is_the_published_one():
    assert [split_folds(1, s) for s in ('train', 'val', 'test')] == [(1, 2, 3), (4,), (5,)]
    assert [split_folds(4, s) for s in ('train', 'val', 'test')] == [(4, 5, 1), (2,), (3,)]
    for fold in range(1, 6):
        assert sorted(sum((split_folds(fold, s) for s in ('train', 'val', 'test')), ())) == [1, 2, 3, 4, 5]


def test_folds_come_in_the_given_order_each_sorted_by_number(folder):
    # Patch 10001 is in fold 1, 10002 in fold 2, …, 10006 in fold 1 again.
    assert ids(PASTISDataset(folder, folds=[2, 1])) == ['10002', '10007', '10001', '10006']
    assert ids(PASTISDataset(folder, fold=4, split='val')) == ['10002', '10007']
    assert ids(PASTISDataset(folder)) == [str(number) for number in range(10001, 10011)]


def test_statistics_are_averages_over_the_own_folds_in_the_order_of_the_bands(folder):
    norm = json.loads((folder / 'NORM_S2_patch.json').read_text())
    dataset = PASTISDataset(folder, folds=[2, 4], bands=dict(s2=('B08', 'B02')))
    for name in ('mean', 'std'):
        expected = [(norm['Fold_2'][name][band] + norm['Fold_4'][name][band]) / 2 for band in (6, 0)]
        np.testing.assert_allclose(dataset.statistics['s2'][name], expected)
    assert dataset.metainfo['statistics'] == dataset.statistics
    pickle.loads(pickle.dumps(dataset.metainfo))


def test_without_a_norm_file_there_are_no_statistics_and_the_preprocessor_says_what_to_do(copy):
    (copy / 'NORM_S1A_patch.json').unlink()
    dataset = PASTISDataset(copy, sensors=('s2', 's1a'), pipeline=PIPELINE)
    assert list(dataset.statistics) == ['s2']
    preprocess = SeriesDataPreprocessor(sensors=dict(s2=10, s1a=3), statistics=dataset.statistics)
    with pytest.raises(ValueError, match=r"sensor 's1a'.*dataset_stats\.py"):
        preprocess(pseudo_collate([dataset[0]]))


def test_statistics_in_the_sample_normalise_with_the_own_folds(folder):
    dataset = PASTISDataset(folder, fold=1, split='val', pipeline=PIPELINE, statistics_in_sample=True)
    foreign = dict(s2=dict(mean=[0.0] * 10, std=[1.0] * 10))
    batch = SeriesDataPreprocessor(sensors=dict(s2=10), statistics=foreign)(pseudo_collate([dataset[0]]))
    own, raw = dataset.statistics['s2'], dataset[0]['inputs']['s2'].values.numpy()
    expected = (raw - np.reshape(own['mean'], (10, 1, 1))) / np.reshape(own['std'], (10, 1, 1))
    np.testing.assert_allclose(batch['inputs']['s2'].values[0].numpy(), expected, atol=1e-4)


def test_bands_are_chosen_by_name(folder):
    whole = PASTISDataset(folder, pipeline=PIPELINE)[0]['inputs']['s2'].values
    for bands in (('B04', 'B03', 'B02'), ('B02', 'B12'), ('B8A', 'B02', 'B05'), ('B12',)):
        index = [PASTISDataset.S2_BANDS.index(band) for band in bands]
        chosen = PASTISDataset(folder, bands=dict(s2=bands), pipeline=PIPELINE)
        assert chosen.metainfo['bands'] == {'s2': bands}
        np.testing.assert_array_equal(chosen[0]['inputs']['s2'].values, whole[:, index])


def test_void_is_ignored_background_is_a_class_unless_asked(folder):
    codes = np.load(folder / 'ANNOTATIONS' / 'TARGET_10001.npy')[0]
    targets = PASTISDataset(folder, pipeline=PIPELINE)[0]['targets'][0].numpy()
    np.testing.assert_array_equal(targets, np.where(codes == 19, 255, codes))
    dataset = PASTISDataset(folder, pipeline=PIPELINE, ignored_classes=('background', 3))
    np.testing.assert_array_equal(dataset[0]['targets'][0], np.where(np.isin(codes, (0, 3, 19)), 255, codes))
    assert len(CLASSES) == len(PALETTE) == len(set(PALETTE)) == 20


def test_label_map_merges_classes_and_ignores_the_rest(folder):
    codes = np.load(folder / 'ANNOTATIONS' / 'TARGET_10001.npy')[0]
    dataset = PASTISDataset(folder, pipeline=PIPELINE, label_map={'meadow': 0, 2: 1, 'corn': 1})
    targets = dataset[0]['targets'][0].numpy()
    np.testing.assert_array_equal(targets, np.select([codes == 1, codes == 2, codes == 3], [0, 1, 1], 255))
    assert dataset.metainfo['classes'] == ('meadow', 'soft winter wheat + corn')
    assert len(dataset.metainfo['palette']) == 2
    named = PASTISDataset(folder, label_map={1: 0}, metainfo=dict(classes=('grass',)), ignored_classes=('grass',))
    assert named.metainfo['classes'] == ('grass',)
    for wrong in ({'rice': 0}, {20: 0}, {1: 256}, {}):
        with pytest.raises(ValueError, match='label_map'):
            PASTISDataset(folder, label_map=wrong)


def test_dates_are_read_from_a_dict_or_its_text_in_numeric_order(copy):
    def disorder(properties):
        dates = {str(i): 20181001 + i for i in range(12)}
        properties['dates-S2'] = json.dumps({key: dates[key] for key in sorted(dates)})

    assert sorted(map(str, range(12))) != list(map(str, range(12)))
    edit_metadata(copy, disorder)
    days = PASTISDataset(copy).get_data_info(0)['series']['s2']['days']
    assert days.tolist() == list(range(days[0], days[0] + 12))
    assert days.dtype == np.int32
    assert str(np.datetime64(int(days[0]), 'D')) == '2018-10-01'


def test_season_start_recurs_or_is_fixed(folder):
    assert PASTISDataset(folder).get_data_info(0)['season_start'] == np.datetime64('2018-09-01').astype(int)
    fixed = PASTISDataset(folder, season_start='2017-01-15').get_data_info(0)['season_start']
    assert fixed == np.datetime64('2017-01-15').astype(int)


def test_a_sensor_without_dates_is_an_invalid_series(copy):
    edit_metadata(copy, lambda p: p.pop('dates-S1A') if p['ID_PATCH'] == 10002 else None)
    (copy / 'DATA_S1A' / 'S1A_10002.npy').unlink()
    dataset = PASTISDataset(copy, sensors=('s1a', 's2'), pipeline=PIPELINE)
    sample = dataset[1]
    assert list(sample['inputs']) == ['s1a', 's2']
    values, days, valid = sample['inputs']['s1a']
    assert values.shape == (1, 3, 16, 16)
    assert not values.any()
    assert not valid.any()
    assert valid.shape == (1, 1, 1)
    assert days.tolist() == [sample['metas']['season_start']]
    assert dataset[0]['inputs']['s1a'].valid.all()


def test_a_missing_file_is_an_error_unless_allowed(copy):
    (copy / 'DATA_S1A' / 'S1A_10003.npy').unlink()
    strict = PASTISDataset(copy, sensors=('s2', 's1a'), pipeline=PIPELINE)
    with pytest.raises(DataError, match=r'missing \[sample 10003, file .*S1A_10003.npy\]'):
        strict[2]
    lenient = PASTISDataset(copy, sensors=('s2', 's1a'), pipeline=PIPELINE, allow_missing=True)
    assert not lenient[2]['inputs']['s1a'].valid.any()
    assert lenient[2]['inputs']['s2'].valid.all()


def test_a_sample_that_lacks_all_sensors_has_the_size_of_its_labels(copy):
    (copy / 'DATA_S2' / 'S2_10003.npy').unlink()
    crop = [LoadSeries(), LoadSeriesLabels(), SeriesRandomCrop(8), PackSeriesInputs()]
    for pipeline, size in ((PIPELINE, (16, 16)), (crop, (8, 8))):
        sample = PASTISDataset(copy, sensors=('s2',), pipeline=pipeline, allow_missing=True)[2]
        assert sample['inputs']['s2'].values.shape == (1, 10, *size)
        assert not sample['inputs']['s2'].valid.any()
        assert sample['metas']['img_shape'] == size == tuple(sample['targets'].shape[1:])


def test_crops_and_dates_are_cut_before_the_file_is_read(folder):
    class Spy:
        def __call__(self, results):
            self.values = results['inputs']['s2'].values
            return results

    spies = [Spy(), Spy(), Spy()]
    steps = [LoadSeries(), spies[0], SeriesRandomCrop(4), spies[1], SampleDates(2, random=False), spies[2]]
    sample = PASTISDataset(folder, pipeline=[*steps, PackSeriesInputs()])[0]
    assert isinstance(spies[1].values, np.memmap)
    assert np.shares_memory(spies[0].values, spies[1].values)
    assert spies[2].values.shape == (2, 10, 4, 4)
    values = sample['inputs']['s2'].values
    assert values.untyped_storage().nbytes() == 2 * 10 * 4 * 4 * 2, 'int16, and no more than the window'


def test_the_same_draw_gives_the_same_sample(folder):
    pipeline = [LoadSeries(), LoadSeriesLabels(), SeriesRandomCrop(6), SampleDates(3), PackSeriesInputs()]
    datasets = [PASTISDataset(folder, pipeline=pipeline) for _ in range(2)]
    for index in range(4):
        first, second = (dataset[index] for dataset in datasets)
        np.testing.assert_array_equal(first['inputs']['s2'].values, second['inputs']['s2'].values)
        assert first['metas']['window'] == second['metas']['window']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(fold=1), 'go together'),
        (dict(split='val'), 'go together'),
        (dict(folds=[1], split='val'), 'not both'),
        (dict(fold=6, split='val'), 'one of'),
        (dict(fold=1, split='dev'), "'train', 'val' or 'test'"),
        (dict(folds=[]), 'different numbers'),
        (dict(folds=[1, 1]), 'different numbers'),
        (dict(folds=[0]), 'different numbers'),
    ],
)
def test_contradicting_folds_are_refused(folder, arguments, message):
    with pytest.raises(ValueError, match=message):
        PASTISDataset(folder, **arguments)
