"""Recipes for missing values, and cloudy dates."""

import numpy as np
import pytest

from mmsits.datasets.transforms import DropCloudyDates, HandleMissingValues, MaskNoData
from mmsits.structures import ImageSeries
from tests.helpers.series_batches import SEASON, sample_of, series_of, through_batch

RECIPES = [
    HandleMissingValues('mask'),
    HandleMissingValues('interpolate'),
    HandleMissingValues('constant', value=-5),
    HandleMissingValues('interpolate', mask_band=True, sensors='s2'),
]


def _out(step, series: ImageSeries) -> ImageSeries:
    return step.transform(sample_of(series))['inputs']['s2']


@pytest.mark.parametrize('step', RECIPES, ids=repr)
def test_what_was_observed_stays(step) -> None:
    series = series_of(np.random.default_rng(0), valid=0.5)
    out = _out(step, series)
    observed = np.broadcast_to(series.valid[:, None], series.values.shape)
    np.testing.assert_array_equal(out.values[:, :3][observed], series.values[observed])
    assert (out.valid | ~series.valid).all()


def test_mask_changes_nothing_and_the_others_fill_every_pixel_ever_seen() -> None:
    series = series_of(np.random.default_rng(1), valid=0.4)
    series.valid[3], series.valid[:, 0, 0] = False, False
    out = _out(HandleMissingValues(), series)
    np.testing.assert_array_equal(out.valid, series.valid)
    seen = series.valid.any(axis=0)
    for step in RECIPES[1:]:
        np.testing.assert_array_equal(_out(step, series).valid, np.broadcast_to(seen, series.valid.shape))


def test_linear_series_are_restored() -> None:
    series = series_of(np.random.default_rng(2), dates=20, valid=0.6)
    series.valid[[0, -1]] = True
    ramp = (series.days - SEASON).astype(np.float32)[:, None, None, None]
    truth = ramp * np.float32([1, 2, 3]).reshape(3, 1, 1) + np.zeros((4, 4), np.float32)
    spoilt = np.where(series.valid[:, None], truth, np.float32(-1e9))
    out = _out(HandleMissingValues('interpolate'), series._replace(values=spoilt))
    np.testing.assert_allclose(out.values, truth, rtol=1e-5, atol=1e-3)


def test_a_constant_and_the_mask_band_tell_what_was_filled() -> None:
    series = series_of(np.random.default_rng(3), valid=0.5, dtype=np.int16)
    sample = HandleMissingValues('constant', value=-7, mask_band=True, sensors='s2').transform(sample_of(series))
    out = sample['inputs']['s2']
    assert sample['sensors_info']['s2']['bands'][-1] == 'observed'
    assert out.values.dtype == np.int16
    np.testing.assert_array_equal(out.values[:, 3].astype(bool), series.valid)
    assert (out.values[:, :3][np.broadcast_to(~series.valid[:, None], series.values.shape)] == -7).all()


@pytest.mark.parametrize('step', RECIPES, ids=repr)
def test_padding_is_not_filled(step) -> None:
    series = series_of(np.random.default_rng(4), valid=0.7)
    values, days, valid = (np.concatenate([part, part[-1:], part[-1:]]) for part in series)
    valid[-2:] = False
    days[-1] = 0
    padded = _out(step, ImageSeries(values, days, valid))
    assert not padded.valid[-2:].any()
    for part, same in zip(padded, _out(step, series), strict=True):
        np.testing.assert_array_equal(part[:-2], same)


@pytest.mark.parametrize('step', [*RECIPES, DropCloudyDates(0.6)], ids=repr)
def test_a_batch_of_parcels_gives_the_observations_of_its_samples(step) -> None:
    rng = np.random.default_rng(5)
    rows = [series_of(rng, dates=9, size=(6, 1), valid=share) for share in (0.6, 0.9, 0.0, 1.0)]
    for row, out in zip(rows, through_batch([step], rows), strict=True):
        single = _out(step, row)
        # A batch keeps a date that it drops from one parcel, as one that does not exist.
        kept = out.valid.any(axis=(1, 2)) if isinstance(step, DropCloudyDates) and row.valid.any() else slice(None)
        np.testing.assert_array_equal(out.days[kept], single.days)
        np.testing.assert_array_equal(out.valid[kept], np.broadcast_to(single.valid, out.valid[kept].shape))
        mask = np.broadcast_to(single.valid[:, None], single.values.shape)
        np.testing.assert_array_equal(out.values[kept][mask], single.values[mask])


def test_cloudy_dates_are_dropped_by_the_share_of_pixels_that_belong() -> None:
    series = series_of(np.random.default_rng(6), dates=3, size=(4, 4), valid=1.0)
    series.valid[:, :2] = False  # beyond the edge of the scene
    series.valid[0, 2] = False  # half of the others
    series.valid[1, 2:, :1] = False  # a quarter of them
    assert _out(DropCloudyDates(0.75), series).days.tolist() == series.days[1:].tolist()
    assert _out(DropCloudyDates(1.0), series).days.tolist() == series.days[2:].tolist()


def test_of_a_series_cloudy_throughout_the_clearest_date_stays() -> None:
    series = series_of(np.random.default_rng(7), dates=3, valid=1.0)
    series.valid[0, 0], series.valid[1, :3], series.valid[2, 1:] = False, False, False
    assert _out(DropCloudyDates(1.0), series).days.tolist() == series.days[:1].tolist()
    series.valid[:] = False
    assert len(_out(DropCloudyDates(0.5), series).days) == 3


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(recipe='drop'), 'one of'),
        (dict(mask_band=True, sensors='s2'), 'fills nothing'),
        (dict(recipe='interpolate', mask_band=True), 'name its sensors'),
        (dict(recipe='interpolate', value=3), "for recipe='constant'"),
    ],
)
def test_options_that_contradict_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HandleMissingValues(**options)
    with pytest.raises(ValueError, match='min_valid'):
        DropCloudyDates(0)


def test_a_number_for_nothing_counts_where_all_bands_have_it() -> None:
    series = series_of(np.random.default_rng(5), valid=0.8)
    values = np.abs(series.values) + 1
    values[1, :, 2, 3] = 0
    values[2, 0, 1, 1] = 0
    expected = series.valid.copy()
    expected[1, 2, 3] = False
    out = _out(MaskNoData(), series._replace(values=values))
    np.testing.assert_array_equal(out.valid, expected)
    np.testing.assert_array_equal(out.values, values)
    # A series without gaps keeps its compact mask.
    compact = series._replace(values=np.abs(series.values) + 1, valid=np.ones((len(series.days), 1, 1), bool))
    assert _out(MaskNoData(), compact).valid.shape == (len(series.days), 1, 1)


def test_labels_where_no_sensor_saw_anything_are_ignored() -> None:
    fine, coarse = np.ones((3, 2, 4, 6), np.uint8), np.ones((2, 1, 2, 3), np.uint8)
    fine[:, :, :, 3:] = 0
    fine[0, :, 0, 0] = 0  # another date saw it
    coarse[:, :, 0, 2] = 0
    coarse[:, :, 1, 1] = 0
    sample = dict(
        inputs={
            name: ImageSeries(values, np.arange(len(values), dtype=np.int32), np.ones((len(values), 1, 1), bool))
            for name, values in dict(s1=fine, s2=coarse).items()
        },
        targets=np.ones((4, 6), np.uint8),
        sensors_info=dict(s1=dict(bands=('VV', 'VH'), unit='dB'), s2=dict(bands=('B11',), unit='')),
    )
    found = MaskNoData()(sample)['targets']
    assert found.dtype == np.uint8
    expected = np.ones((4, 6))
    expected[:2, 4:] = 255
    expected[2:, 3] = 255
    np.testing.assert_array_equal(found, expected)
