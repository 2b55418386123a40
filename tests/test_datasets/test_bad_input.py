"""Bad files are named: file, date, band, what was expected and found, what to do."""

import json
import pickle

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate

from mmsits.datasets import DataError, PASTISDataset
from mmsits.datasets.transforms import LoadSeries, LoadSeriesLabels, PackSeriesInputs, SampleDates, SeriesCenterCrop
from mmsits.models.data_preprocessors import SeriesDataPreprocessor
from tests.helpers.pastis_miniature import write_pastis_miniature

PATCH = 10002
SENSORS = ('s2', 's1a')


@pytest.fixture
def folder(tmp_path):
    return write_pastis_miniature(tmp_path / 'pastis', patches=3, sensors=SENSORS)


def series_path(folder, sensor='S2'):
    return folder / f'DATA_{sensor}' / f'{sensor}_{PATCH}.npy'


def edit_dates(folder, change):
    path = folder / 'metadata.geojson'
    metadata = json.loads(path.read_text())
    properties = next(f['properties'] for f in metadata['features'] if f['properties']['ID_PATCH'] == PATCH)
    change(properties['dates-S2'])
    path.write_text(json.dumps(metadata))


def read(folder, *steps, **options):
    pipeline = [LoadSeries(**options), LoadSeriesLabels(), *steps, PackSeriesInputs()]
    return PASTISDataset(folder, sensors=SENSORS, pipeline=pipeline)[1]


def error_of(folder, *steps, **options):
    with pytest.raises(DataError) as caught:
        read(folder, *steps, **options)
    error = caught.value
    assert error.sample_id == str(PATCH)
    assert error.path in str(error)
    assert error.hint
    return error


def test_error_keeps_its_fields_between_processes():
    error = DataError('broken', path='a.npy', sample_id='7', day=17798, date_index=3, band='B02', hint='Mend it.')
    assert str(error) == 'broken [sample 7, file a.npy, date 2018-09-24 (index 3), band B02]. Mend it.'
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.date, again.band, again.path) == (str(error), '2018-09-24', 'B02', 'a.npy')


def test_truncated_file(folder):
    path = series_path(folder)
    whole = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-100])
    error = error_of(folder)
    assert error.path == str(path)
    assert f'truncated: {whole} bytes expected' in str(error)
    assert f'{whole - 100} found' in str(error)


@pytest.mark.parametrize('content', [b'', b'PK not numpy', b'\x93NUMPY'])
def test_file_that_is_no_array(folder, content):
    series_path(folder).write_bytes(content)
    assert 'not a readable .npy file' in str(error_of(folder))


def test_file_of_python_objects_is_not_executed(folder):
    np.save(series_path(folder), np.array([{'a': 1}], object), allow_pickle=True)
    assert series_path(folder).name in str(error_of(folder))


def test_wrong_number_of_bands(folder):
    np.save(series_path(folder), np.load(series_path(folder))[:, :9])
    error = error_of(folder)
    assert '10 bands expected (B02, B03, B04, B05, B06, B07, B08, B8A, B11, B12), 9 found' in str(error)


def test_wrong_number_of_dimensions(folder):
    np.save(series_path(folder), np.load(series_path(folder))[0])
    assert 'found 3 dimensions' in str(error_of(folder))


def test_text_instead_of_numbers(folder):
    np.save(series_path(folder), np.full((6, 10, 16, 16), 'a'))
    assert 'numbers are expected' in str(error_of(folder))


def test_number_of_dates_unlike_images(folder):
    edit_dates(folder, lambda dates: dates.popitem())
    assert '5 dates in the metadata, 6 images in the file (6, 10, 16, 16)' in str(error_of(folder))


def test_dates_out_of_order(folder):
    def swap(dates):
        dates['2'], dates['3'] = dates['3'], dates['2']
        swap.day = str(dates['3'])

    edit_dates(folder, swap)
    error = error_of(folder)
    assert error.date_index == 3
    assert error.date == f'{swap.day[:4]}-{swap.day[4:6]}-{swap.day[6:]}'
    assert 'ascend' in str(error)


def test_dates_twice_unless_allowed(folder):
    edit_dates(folder, lambda dates: dates.update({'4': dates['3']}))
    error = error_of(folder)
    assert error.date_index == 4
    assert 'occurs twice (index 3 and 4)' in str(error)
    assert len(read(folder, same_day=True)['inputs']['s2'].days) == 6


@pytest.mark.parametrize(
    'change',
    [
        dict.clear,
        lambda dates: dates.update({'0': 20181399}),
        lambda dates: dates.update(a=1),
        lambda dates: dates.pop('2'),
    ],
)
def test_dates_missing_or_impossible(folder, change):
    edit_dates(folder, change)
    with pytest.raises(DataError, match=rf'dates-S2 .*sample {PATCH}, file .*metadata\.geojson'):
        PASTISDataset(folder)


def test_images_without_dates_are_not_taken_for_a_missing_sensor(folder):
    path = folder / 'metadata.geojson'
    metadata = json.loads(path.read_text())
    del metadata['features'][1]['properties']['dates-S1A']
    path.write_text(json.dumps(metadata))
    with pytest.raises(DataError, match=rf'dates-S1A are missing .*S1A_{PATCH}.npy \[sample {PATCH}, .*geojson'):
        PASTISDataset(folder, sensors=SENSORS)


@pytest.mark.parametrize('name', ['ID_PATCH', 'Fold'])
@pytest.mark.parametrize('value', [None, 'x'])
def test_patch_without_number_or_fold(folder, name, value):
    path = folder / 'metadata.geojson'
    metadata = json.loads(path.read_text())
    metadata['features'][1]['properties'][name] = value
    path.write_text(json.dumps(metadata))
    with pytest.raises(DataError, match=rf'a number as {name}, found {value!r} .*metadata\.geojson'):
        PASTISDataset(folder)


def test_dates_as_a_list_are_refused(folder):
    path = folder / 'metadata.geojson'
    metadata = json.loads(path.read_text())
    metadata['features'][1]['properties']['dates-S2'] = [20180924, 20181004]
    path.write_text(json.dumps(metadata))
    with pytest.raises(DataError, match=rf'dates-S2 must map positions.*sample {PATCH}'):
        PASTISDataset(folder)


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(folder, value):
    path = series_path(folder, 'S1A')
    values = np.load(path)
    values[3, 1, 4:6, 7] = value
    values[5, 2, 0, 0] = value
    np.save(path, values)
    error = error_of(folder)
    assert (error.path, error.band, error.date_index) == (str(path), 'VH', 3)
    assert '2 of 256 values' in str(error)
    assert '2 dates' in str(error)
    days = PASTISDataset(folder, sensors=SENSORS).get_data_info(1)['series']['s1a']['days']
    assert error.day == days[3]


def test_position_of_a_bad_value_is_that_in_the_file_after_dates_were_chosen(folder):
    path = series_path(folder, 'S1A')
    values = np.load(path)
    values[5] = np.nan
    np.save(path, values)
    error = error_of(folder, SampleDates(2, random=False))
    assert error.date_index == 5


def test_what_is_cropped_away_is_not_looked_at(folder):
    path = series_path(folder, 'S1A')
    values = np.load(path)
    values[:, :, 0, 0] = np.nan
    np.save(path, values)
    assert read(folder, SeriesCenterCrop(8))['inputs']['s1a'].values.isfinite().all()


def test_not_finite_as_not_observed(folder):
    path = series_path(folder, 'S1A')
    values = np.load(path)
    values[3, 1, 4:6, 7] = np.nan
    np.save(path, values)
    series = read(folder, nonfinite='invalid')['inputs']['s1a']
    expected = np.ones((6, 16, 16), bool)
    expected[3, 4:6, 7] = False
    np.testing.assert_array_equal(series.valid, expected)
    assert series.values.isfinite().all()


def test_nodata_is_not_observed_where_all_bands_have_it(folder):
    path = series_path(folder)
    values = np.load(path)
    values[2, :, :4] = 0
    values[1, 0, 9, 9] = 0
    np.save(path, values)
    valid = read(folder, nodata=0)['inputs']['s2'].valid.numpy()
    assert not valid[2, :4].any()
    assert valid.sum() == valid.size - 4 * 16


def test_label_map_of_another_size(folder):
    path = folder / 'ANNOTATIONS' / f'TARGET_{PATCH}.npy'
    np.save(path, np.zeros((3, 16, 12), np.uint8))
    error = error_of(folder)
    assert error.path == str(path)
    assert 'label map has 16×12 pixels, the images have s2 16×16, s1a 16×16' in str(error)


def test_label_file_with_too_few_channels(folder):
    path = str(folder / 'ANNOTATIONS' / f'TARGET_{PATCH}.npy')
    with pytest.raises(DataError, match='labels are in channel 3, the file has 3') as caught:
        LoadSeriesLabels().transform(dict(label_path=path, label_channel=3, sample_id=str(PATCH)))
    assert caught.value.path == path


@pytest.mark.parametrize(('code', 'dtype'), [(20, np.uint8), (-3, np.int16), (999, np.int64)])
def test_unknown_class_code(folder, code, dtype):
    path = folder / 'ANNOTATIONS' / f'TARGET_{PATCH}.npy'
    codes = np.load(path).astype(dtype)
    codes[0, 3, 5:8] = code
    np.save(path, codes)
    error = error_of(folder)
    assert f'class code {code} at row 3, column 5' in str(error)
    assert '3 pixels' in str(error)


def test_labels_that_are_no_integers(folder):
    path = folder / 'ANNOTATIONS' / f'TARGET_{PATCH}.npy'
    np.save(path, np.load(path).astype(np.float32))
    assert 'must be integers, found float32' in str(error_of(folder))


def test_missing_label_file(folder):
    (folder / 'ANNOTATIONS' / f'TARGET_{PATCH}.npy').unlink()
    assert 'the file is missing' in str(error_of(folder))


def test_training_sample_without_any_valid_date(folder):
    np.save(series_path(folder), np.zeros((6, 10, 16, 16), np.int16))
    pipeline = [LoadSeries(nodata=0), LoadSeriesLabels(), PackSeriesInputs()]
    dataset = PASTISDataset(folder, pipeline=pipeline)
    preprocess = SeriesDataPreprocessor(sensors=dict(s2=10), statistics=dataset.statistics)
    with pytest.raises(ValueError, match=rf"'{PATCH}' has no valid observation"):
        preprocess(pseudo_collate([dataset[0], dataset[1]]), training=True)


def test_fold_without_patches(folder):
    with pytest.raises(DataError, match=r'no patch in fold 4; 3 patches of folds \[1, 2, 3\] are there'):
        PASTISDataset(folder, fold=1, split='val')


def test_sensor_that_no_patch_has(folder):
    with pytest.raises(DataError, match=r'none of the 3 patches has the sensor s1d .*PASTIS-R'):
        PASTISDataset(folder, sensors=('s2', 's1d'))
    with pytest.raises(DataError, match=r"no dates for any of the sensors \['s1d'\]"):
        PASTISDataset(folder, sensors=('s1d',))


def test_statistics_of_a_fold_missing_or_damaged(folder):
    path = folder / 'NORM_S2_patch.json'
    held = json.loads(path.read_text())
    path.write_text(json.dumps({'Fold_1': held['Fold_1']}))
    with pytest.raises(DataError, match=r'no statistics of Fold_2.*NORM_S2_patch.json.*dataset_stats.py'):
        PASTISDataset(folder, folds=[1, 2])
    for damaged in ('{', '{"Fold_1": {"mean": [1]}}', '[]'):
        path.write_text(damaged)
        with pytest.raises(DataError, match=r'NORM_S2_patch.json'):
            PASTISDataset(folder, folds=[1])


def test_folder_empty_missing_or_a_file(tmp_path):
    with pytest.raises(DataError, match=r'no metadata.geojson in the PASTIS folder, which holds nothing'):
        PASTISDataset(tmp_path)
    with pytest.raises(DataError, match=r'does not exist .*data_root'):
        PASTISDataset(tmp_path / 'absent')
    (tmp_path / 'PASTIS.zip').write_bytes(b'')
    with pytest.raises(DataError, match=r'must be a folder.*Unpack'):
        PASTISDataset(tmp_path / 'PASTIS.zip')
    (tmp_path / 'metadata.geojson').write_text('{"features": [{}]')
    with pytest.raises(DataError, match=r'not a GeoJSON feature collection'):
        PASTISDataset(tmp_path)
