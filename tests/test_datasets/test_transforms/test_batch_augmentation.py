"""Random transforms of whole batches of parcels: each draw by itself, and only what is valid."""

import numpy as np
import pytest

from mmsits.datasets.transforms import AddSpectralIndices, DropChannels, DropDates, JitterValues, ScaleReflectance
from mmsits.structures import ImageSeries
from tests.helpers.series_batches import batch_of, series_of

STEPS = [
    DropDates((0.2, 0.6)),
    ScaleReflectance(0.2, per='date_and_band'),
    ScaleReflectance(0.2, per='sample'),
    JitterValues(dict(s2=40)),
    DropChannels(0.5),
]


def _rows(count: int, dtype: type = np.float32, pixels: int = 6, valid: float = 0.8) -> list[ImageSeries]:
    rng = np.random.default_rng(7)
    return [series_of(rng, dates=20, size=(pixels, 1), valid=valid, dtype=dtype) for _ in range(count)]


def _series(step, rows: list[ImageSeries]) -> ImageSeries:
    return step.transform_batch(batch_of(rows)).series('s2')


@pytest.mark.parametrize('step', STEPS, ids=repr)
def test_a_draw_does_not_depend_on_its_neighbours(step) -> None:
    rows = _rows(5)
    whole, part = _series(step, rows), _series(step, rows[:2])
    for one, other in zip(whole, part, strict=True):
        np.testing.assert_array_equal(one[:2], other)
    untouched = batch_of(rows).series('s2')
    assert (whole.values != untouched.values).any() or (whole.valid != untouched.valid).any()


@pytest.mark.parametrize('dtype', [np.float32, np.int16])
@pytest.mark.parametrize('step', STEPS[1:], ids=repr)
def test_only_valid_values_change_and_their_type_stays(step, dtype: type) -> None:
    rows = _rows(4, dtype)
    series = _series(step, rows)
    before = np.stack([row.values for row in rows])
    assert series.values.dtype == dtype
    hidden = np.broadcast_to(~series.valid[:, :, None], before.shape)
    np.testing.assert_array_equal(series.values[hidden], before[hidden])
    assert (series.values != before).any()


def test_the_noise_of_a_pixel_does_not_depend_on_how_many_there_are() -> None:
    few, many = _rows(1, pixels=3, valid=1.0), _rows(1, pixels=9, valid=1.0)
    many[0] = many[0]._replace(values=np.concatenate([few[0].values] * 3, axis=2), days=few[0].days)
    step = JitterValues(dict(s2=40))
    np.testing.assert_array_equal(_series(step, few).values, _series(step, many).values[:, :, :, :3])


def test_noise_has_the_asked_deviation() -> None:
    rows = _rows(40, valid=1.0)
    noise = _series(JitterValues(dict(s2=40)), rows).values - np.stack([row.values for row in rows])
    assert noise.std() == pytest.approx(40, rel=0.03)
    assert abs(noise.mean()) < 1


@pytest.mark.parametrize(
    ('per', 'varying'), [('sample', ()), ('date', (1,)), ('band', (2,)), ('date_and_band', (1, 2))]
)
def test_factors_are_drawn_for_what_was_said(per: str, varying: tuple[int, ...]) -> None:
    rows = _rows(3, valid=1.0)
    factors = _series(ScaleReflectance(0.2, per=per), rows).values / np.stack([row.values for row in rows])
    assert factors.min() >= 0.8 - 1e-5
    assert factors.max() <= 1.2 + 1e-5
    for axis in (1, 2, 3):
        assert (np.ptp(factors, axis=axis).max() > 1e-4) == (axis in varying)


def test_the_wanted_share_of_existing_dates_goes_and_one_stays() -> None:
    rows = _rows(6)
    rows[0].valid[1:] = False
    before = np.stack([row.valid.any(axis=(1, 2)) for row in rows])
    kept = _series(DropDates(0.9), rows).valid.any(axis=(2, 3))
    assert (kept <= before).all()
    expected = np.maximum(1, before.sum(1) - np.rint(0.9 * before.sum(1)))
    np.testing.assert_array_equal(kept.sum(1), expected)
    untouched = _series(DropDates(0.9, probability=0), rows).valid.any(axis=(2, 3))
    np.testing.assert_array_equal(untouched, before)


def test_a_band_that_lost_its_information_holds_its_mean_and_one_keeps_it() -> None:
    rows = _rows(30)
    series = _series(DropChannels(0.9), rows)
    for values, valid, row in zip(series.values, series.valid, rows, strict=True):
        kept = []
        for band in range(3):
            seen, before = values[:, band][valid], row.values[:, band][row.valid]
            kept.append(np.array_equal(seen, before))
            if not kept[-1]:
                np.testing.assert_allclose(seen, before.mean(), rtol=1e-5)
        assert any(kept)


@pytest.mark.parametrize('step', [ScaleReflectance(), JitterValues(dict(s2=10))], ids=repr)
def test_noise_belongs_before_the_indices(step) -> None:
    batch = AddSpectralIndices({'s2': ['NDVI']}).transform_batch(batch_of(_rows(2)))
    with pytest.raises(ValueError, match='NDVI'):
        step.transform_batch(batch)
