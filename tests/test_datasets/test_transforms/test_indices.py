"""Spectral indices: their values, their independence of the unit, and what the model is told of them."""

import numpy as np
import pytest

from mmsits.datasets.transforms import AddSpectralIndices, JitterValues, ScaleReflectance
from mmsits.datasets.transforms.indices import OPTICAL, spectral_index
from mmsits.structures import ImageSeries
from tests.helpers.series_batches import SEASON, sample_of, series_of, through_batch

BANDS = ('B02', 'B03', 'B04', 'B05', 'B08', 'B11')
REFLECTANCE = dict(B02=0.05, B03=0.08, B04=0.06, B05=0.12, B08=0.40, B11=0.20)
EXPECTED = dict(
    NDVI=0.34 / 0.46,
    NDWI_McFeeters=-0.32 / 0.48,
    NDWI_Gao=0.2 / 0.6,
    NDRE=0.28 / 0.52,
    EVI=2.5 * 0.34 / (0.40 + 0.36 - 0.375 + 1),
    RVI=0.40 / 0.06,
)


def _series(values: dict[str, float], factor: float = 1.0, dtype: type = np.float32) -> ImageSeries:
    array = np.rint(np.array(list(values.values())) * factor) if dtype == np.int16 else np.array(list(values.values()))
    array = array.astype(dtype).reshape(1, -1, 1, 1)
    return ImageSeries(array, np.int32([SEASON]), np.ones((1, 1, 1), bool))


@pytest.mark.parametrize('name', EXPECTED)
def test_values_do_not_depend_on_the_unit_of_the_file(name: str) -> None:
    for unit, series in [
        ('reflectance', _series(REFLECTANCE)),
        ('reflectance x 10000', _series(REFLECTANCE, 10000, np.int16)),
        ('digital numbers, reflectance x 10000', _series(REFLECTANCE, 10000, np.int16)),
    ]:
        sample = AddSpectralIndices({'s2': [name]}).transform(sample_of(series, BANDS, unit))
        assert sample['sensors_info']['s2']['bands'] == (*BANDS, name)
        np.testing.assert_allclose(sample['inputs']['s2'].values[0, -1, 0, 0], EXPECTED[name], rtol=1e-4)
        np.testing.assert_array_equal(sample['inputs']['s2'].values[:, :-1], series.values.astype(np.float32))


def test_all_optical_indices_are_tested() -> None:
    assert EXPECTED.keys() == OPTICAL.keys()


def test_radar_ratios_in_decibels_and_linear_agree() -> None:
    power = np.float32([0.1, 0.02]).reshape(1, 1, 2, 1, 1)
    decibels = 10 * np.log10(power)
    linear, db = dict(bands=('VV', 'VH'), unit='linear'), dict(bands=('VV', 'VH'), unit='dB')
    ratio = spectral_index('cross_ratio', power, linear)
    np.testing.assert_allclose(spectral_index('cross_ratio', decibels, db), 10 * np.log10(ratio), rtol=1e-5)
    sigma = dict(db, unit='sigma0 [dB]')
    np.testing.assert_array_equal(
        spectral_index('cross_ratio', decibels, sigma), spectral_index('cross_ratio', decibels, db)
    )
    for values, info in ((power, linear), (decibels, db), (decibels, sigma)):
        np.testing.assert_allclose(spectral_index('radar_RVI', values, info), 0.08 / 0.12, rtol=1e-5)


def test_dark_and_negative_pixels_stay_within_the_limits() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(0, 0.05, (2, 3, 6, 5, 5)).astype(np.float32)
    values[:, :, :, 0, 0] = 0
    for name, index in OPTICAL.items():
        computed = spectral_index(name, values, dict(bands=BANDS, unit='reflectance'))
        assert np.isfinite(computed).all()
        assert computed.min() >= index.limits[0]
        assert computed.max() <= index.limits[1]
        assert (computed[:, :, 0, 0] == 0).all()


def test_a_batch_of_parcels_equals_its_samples_one_by_one() -> None:
    rng = np.random.default_rng(1)
    step = AddSpectralIndices({'s2': ('NDVI', 'EVI')})
    rows = [series_of(rng, size=(5, 1), dtype=np.int16) for _ in range(3)]
    for row, out in zip(rows, through_batch([step], rows), strict=True):
        np.testing.assert_array_equal(step.transform(sample_of(row))['inputs']['s2'].values, out.values)


def test_bands_of_other_satellites_are_named() -> None:
    values = np.float32([0.1, 0.3]).reshape(1, 1, 2, 1, 1)
    info = dict(bands=('SR_B4', 'SR_B5'), unit='reflectance')
    with pytest.raises(ValueError, match=r"NDVI takes the band nir.*roles=dict\(nir='…'\)"):
        spectral_index('NDVI', values, info)
    roles = dict(red='SR_B4', nir='SR_B5')
    np.testing.assert_allclose(spectral_index('NDVI', values, info, roles), 0.5, rtol=1e-5)


@pytest.mark.parametrize(
    ('indices', 'message'),
    [
        (dict(s3=['NDVI']), r"no sensor \['s3'\]"),
        (dict(s2=['NDSI']), "no index 'NDSI'"),
        (dict(s2=['NDRE']), 'red_edge1'),
        (dict(s2=['NDVI', 'NDVI']), 'twice'),
        (dict(s2=['cross_ratio']), 'decibels'),
    ],
)
def test_what_cannot_be_computed_is_said_before_a_pixel_is_read(indices: dict, message: str) -> None:
    info = sample_of(series_of(np.random.default_rng(0)))['sensors_info']
    with pytest.raises(ValueError, match=message):
        AddSpectralIndices(indices).changed_sensors_info(info)
    with pytest.raises(ValueError, match='unit of the sensor'):
        spectral_index('NDVI', np.zeros((1, 1, 2, 1, 1)), dict(bands=('B04', 'B08'), unit='counts'))


@pytest.mark.parametrize('step', [ScaleReflectance(), JitterValues(dict(s2=10))], ids=repr)
def test_noise_belongs_before_the_indices(step) -> None:
    sample = AddSpectralIndices({'s2': ['NDVI']}).transform(sample_of(series_of(np.random.default_rng(0))))
    with pytest.raises(ValueError, match='NDVI'):
        step.transform(sample)
