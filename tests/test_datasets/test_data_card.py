"""The data card tells what is there, and whether it suits a model's statistics."""

import json
import warnings

import numpy as np
import pytest

from mmsits.datasets import DataError, PASTISDataset
from mmsits.datasets.data_card import RunningMoments, describe_dataset, sample_statistics
from mmsits.datasets.transforms import LoadSeries, LoadSeriesLabels, PackSeriesInputs
from tests.helpers.pastis_miniature import write_pastis_miniature


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    return write_pastis_miniature(tmp_path_factory.mktemp('pastis'), patches=6, sensors=('s2', 's1a'))


def make(folder, **options):
    pipeline = [LoadSeries(nodata=options.pop('nodata', None)), LoadSeriesLabels(), PackSeriesInputs()]
    return PASTISDataset(folder, sensors=('s2', 's1a'), pipeline=pipeline, **options)


def test_moments_in_parts_are_those_of_the_whole():
    values = np.random.default_rng(0).normal(3000, 2, (3, 1000))
    moments = RunningMoments(3)
    for part in np.split(values, [1, 1, 400], axis=1):
        moments.add(part)
    np.testing.assert_allclose(moments.mean, values.mean(1))
    np.testing.assert_allclose(moments.std, values.std(1, ddof=1))


def test_card_counts_what_is_in_the_files(folder):
    dataset = make(folder)
    card = describe_dataset(dataset)
    values = [np.load(folder / 'DATA_S2' / f'S2_{10001 + i}.npy') for i in range(6)]
    pixels = np.concatenate([array.transpose(1, 0, 2, 3).reshape(10, -1) for array in values], axis=1)
    s2 = card.sensors['s2']
    np.testing.assert_allclose(s2.mean, pixels.mean(1))
    np.testing.assert_allclose(s2.std, pixels.std(1, ddof=1))
    np.testing.assert_array_equal(s2.quantile(0.5), np.median(pixels, 1))
    assert (s2.dates, s2.sizes, s2.dtype, s2.unit) == ((5, 5.5, 6), ['16×16'], 'int16', 'reflectance x 10000')
    assert (s2.share_valid, s2.missing) == (1.0, 0)
    days = np.concatenate([dataset.get_data_info(i)['series']['s2']['days'] for i in range(6)])
    assert s2.first == str(np.datetime64(int(days.min()), 'D'))
    assert s2.last == str(np.datetime64(int(days.max()), 'D'))
    codes = np.stack([np.load(folder / 'ANNOTATIONS' / f'TARGET_{10001 + i}.npy')[0] for i in range(6)])
    assert card.class_pixels['corn'] == (codes == 3).sum()
    assert card.ignored_pixels == (codes == 19).sum()
    assert card.season_starts == {'2018-09-01': 6}


def test_invalid_pixels_do_not_count(folder, tmp_path):
    copy = write_pastis_miniature(tmp_path / 'clouded', patches=1)
    path = copy / 'DATA_S2' / 'S2_10001.npy'
    values = np.load(path)
    values[:, :, :8] = -1
    np.save(path, values)
    pipeline = [LoadSeries(nodata=-1), LoadSeriesLabels(), PackSeriesInputs()]
    card = describe_dataset(PASTISDataset(copy, pipeline=pipeline))
    assert card.sensors['s2'].share_valid == 0.5
    np.testing.assert_allclose(card.sensors['s2'].mean, values[:, :, 8:].mean((0, 2, 3)))


def test_card_of_some_samples_says_so_and_repeats(folder):
    first, second = (describe_dataset(make(folder), max_samples=3, seed=1) for _ in range(2))
    assert first == second
    assert '6 samples, 3 of them looked at' in first.text()


def test_saved_card_is_plain_json_and_text(folder, tmp_path):
    card = describe_dataset(make(folder))
    saved = json.loads(card.save(tmp_path / 'card').read_text())
    assert saved['sensors']['s1a']['bands'] == ['VV', 'VH', 'VV-VH']
    text = (tmp_path / 'card' / 'data_card.txt').read_text()
    assert text == str(card)
    for word in ('B8A', 'soft winter wheat', 'reflectance x 10000', 'dB'):
        assert word in text


def test_own_statistics_suit(folder):
    dataset = make(folder)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        describe_dataset(dataset).check_statistics(dataset.statistics)


@pytest.mark.parametrize('factor', [1e-4, 1e4])
def test_counts_against_reflectance_are_refused_either_way(folder, factor):
    dataset = make(folder)
    own = dataset.statistics['s2']
    other = {name: (np.array(own[name]) * factor).tolist() for name in own}
    with pytest.raises(DataError, match=r'do not suit .* s2 B02 has median .* and 7 more.*dataset_stats'):
        describe_dataset(dataset).check_statistics(dict(s2=other))


def test_unusual_but_possible_statistics_are_a_warning(folder):
    dataset = make(folder)
    own = dataset.statistics['s2']
    moved = dict(mean=(np.array(own['mean']) + 5 * np.array(own['std'])).tolist(), std=own['std'])
    with pytest.warns(UserWarning, match='unusual for the statistics of the model: s2 B02'):
        describe_dataset(dataset).check_statistics(dict(s2=moved))


def test_a_mere_scale_is_checked_as_such(folder):
    card = describe_dataset(make(folder))
    bands = len(card.sensors['s2'].bands)
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        card.check_statistics(dict(s2=dict(mean=[0.0] * bands, std=[65535.0] * bands)))
    for scale in (1.0, 1e9):
        with pytest.raises(DataError, match=r's2 B02 has values of up to .* which are divided by'):
            card.check_statistics(dict(s2=dict(mean=[0.0] * bands, std=[scale] * bands)))


def test_other_sensors_or_bands_are_refused(folder):
    card = describe_dataset(make(folder))
    with pytest.raises(DataError, match='the model takes the sensor s3'):
        card.check_statistics(dict(s3=dict(mean=[0], std=[1])))
    with pytest.raises(DataError, match='s1a: statistics of 2 bands, the dataset has 3'):
        card.check_statistics(dict(s1a=dict(mean=[0, 0], std=[1, 1])))


def test_computed_statistics_are_the_published_definition(folder):
    computed = sample_statistics(make(folder))
    for sensor, name in (('s2', 'S2'), ('s1a', 'S1A')):
        written = json.loads((folder / f'NORM_{name}_patch.json').read_text())
        assert set(computed[sensor]) == set(written)
        for fold in written:
            for key in ('mean', 'std'):
                np.testing.assert_allclose(computed[sensor][fold][key], written[fold][key], rtol=1e-6)
