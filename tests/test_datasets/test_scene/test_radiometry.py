from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmsits.datasets.errors import DataError
from mmsits.datasets.scene import open_scene
from mmsits.datasets.scene.radiometry import Radiometry, apply, baseline_offset, common_type
from tests.helpers.scene_files import numbers, write_raster

PLACE = Path('x.tif')
CHANGE = ('20220105', '20220120', '20220204', '20220219')
"""Dates around the 25th of January 2022."""


def season(
    folder: Path, ground: np.ndarray, tags: list[dict[str, str]] | None = None, names: str = 'S2_{}.tif'
) -> None:
    """Write one ground as ESA does: 1000 higher from 25 January 2022 on."""
    for i, date in enumerate(CHANGE):
        stored = (ground + 1000 * (date > '20220125')).astype('uint16')
        write_raster(folder / names.format(date), stored, ['B04', 'B08'], tags=tags[i] if tags else None, nodata=0)


def read(folder: Path, **options: object) -> tuple[np.ndarray, np.ndarray]:
    scene = open_scene(dict(sensors=dict(s2=dict(unit='reflectance x 10000', **options))), folder)
    values, _, valid = scene.read(scene.grid.window)['s2']
    return values, valid


BASELINES = [{'PROCESSING_BASELINE': name} for name in ('03.01', '03.01', '04.00', '05.10')]
OFFSETS = [{'BOA_ADD_OFFSET_B4': str(offset)} for offset in (0, 0, -1000, -1000)]


@pytest.mark.parametrize('rule', ['baseline', 'baseline_metadata', 'baseline_column', 'baseline_date'])
@pytest.mark.parametrize('tags', [BASELINES, OFFSETS])
def test_a_season_across_the_change_is_continuous(tmp_path: Path, rule: str, tags: list) -> None:
    ground = numbers(2, 12, 13, dtype='int32')
    season(tmp_path, ground, tags)
    table = ''.join(
        f'S2_{date}.tif,{date},{tag.get("PROCESSING_BASELINE", "N0400")}\n'
        for date, tag in zip(CHANGE, BASELINES, strict=True)
    )
    (tmp_path / 'dates.csv').write_text(f'file,date,baseline\n{table}')
    values, valid = read(tmp_path, offset=rule, table='dates.csv')
    assert valid.all()
    assert values.dtype.kind == 'i'
    for date in values:
        np.testing.assert_array_equal(date, ground)


def test_an_offset_that_the_provider_has_subtracted_is_not_subtracted_again(tmp_path: Path) -> None:
    ground = numbers(12, 13)
    tags = dict(PROCESSING_BASELINE='05.10', BOA_ADD_OFFSET='0')
    write_raster(tmp_path / 'S2_20220204.tif', ground, ['B04'], tags=tags)
    np.testing.assert_array_equal(read(tmp_path, offset='baseline')[0][0, 0], ground)
    tags['BOA_ADD_OFFSET_B8'] = '-1000'
    write_raster(tmp_path / 'S2_20220204.tif', ground, ['B04'], tags=tags)
    with pytest.raises(DataError, match=r"its tags declare several offsets \['-1000', '0'\].*S2_20220204\.tif"):
        read(tmp_path, offset='baseline')


def test_the_baseline_may_stand_in_the_name(tmp_path: Path) -> None:
    ground = numbers(2, 12, 13, dtype='int32')
    for date, tag in zip(CHANGE, ('N0301', 'N0301', 'N0400', 'N0510'), strict=True):
        stored = (ground + 1000 * (tag >= 'N0400')).astype('uint16')
        write_raster(tmp_path / f'S2A_MSIL2A_{date}T105031_{tag}_R051.tif', stored, ['B04', 'B08'], nodata=0)
    values, _ = read(tmp_path, offset='baseline', pattern=r'_(?P<date>\d{8})T\d{6}_(?P<baseline>N\d{4})_')
    np.testing.assert_array_equal(values, np.broadcast_to(ground, values.shape))


def test_without_a_rule_the_step_stays_and_a_rule_that_knows_nothing_is_an_error(tmp_path: Path) -> None:
    season(tmp_path, numbers(2, 12, 13, dtype='int32'))
    values, _ = read(tmp_path)
    assert (values[2] - values[1].astype(int) == 1000).all()
    for rule in ('baseline', 'baseline_metadata', 'baseline_column'):
        with pytest.raises(
            DataError, match=r"nothing tells the processing baseline.*S2_20220105\.tif.*'baseline_date'"
        ):
            read(tmp_path, offset=rule)


def test_nodata_stays_nodata_below_the_offset(tmp_path: Path) -> None:
    ground = numbers(2, 12, 13, dtype='int32')
    season(tmp_path, ground, BASELINES)
    hole = np.zeros((2, 12, 13), 'uint16')
    hole[:, 3:] = 1500
    write_raster(tmp_path / 'S2_20220301.tif', hole, ['B04', 'B08'], tags=BASELINES[3], nodata=0)
    values, valid = read(tmp_path, offset='baseline')
    assert not valid[4, :3].any()
    assert valid[4, 3:].all()
    assert (values[4, :, 3:] == 500).all()
    assert (values[4, :, :3] == 0).all()


def test_scale_offset_and_nodata_by_date(tmp_path: Path) -> None:
    rows = []
    for date, gain, add, missing in (('20210405', 0.5, 10, 7), ('20210415', 2.0, -3, 9)):
        image = np.full((1, 6, 6), 4, 'uint8')
        image[0, 0, 0] = missing
        image[0, 0, 1] = 16 - missing
        write_raster(tmp_path / f'{date}.tif', image, ['VV'])
        rows.append(f'{date}.tif,{date},{gain},{add},{missing}\n')
    (tmp_path / 'table.csv').write_text('file,date,gain,add,missing\n' + ''.join(rows))
    columns = {
        name: dict(column=column) for name, column in (('scale', 'gain'), ('offset', 'add'), ('nodata', 'missing'))
    }
    values, valid = read(tmp_path, table='table.csv', **columns)
    assert values.dtype == np.float32
    assert values[:, 0, 3, 3].tolist() == [12, 5]
    assert (~valid).nonzero()[1:] == (pytest.approx([0, 0]), pytest.approx([0, 0]))
    with pytest.raises(DataError, match=r"a number is expected in column 'lost', found nothing.*20210405\.tif"):
        read(tmp_path, table='table.csv', scale=dict(column='lost'))


def test_what_the_file_declares_is_applied_when_asked_for(tmp_path: Path) -> None:
    import rasterio

    path = write_raster(tmp_path / '20210405.tif', numbers(2, 12, 12, dtype='uint16'), ['B04', 'B08'])
    with rasterio.open(path, 'r+') as file:
        file.scales, file.offsets = (0.5, 0.5), (-10.0, -10.0)
        stored = file.read()
    values, _ = read(tmp_path, scale='file', offset='file')
    np.testing.assert_allclose(values[0], stored * 0.5 - 10)
    np.testing.assert_array_equal(read(tmp_path)[0][0], stored)


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(['uint8', 'int16', 'uint16', 'int32', 'float32']),
    st.sampled_from([1, 0.5, 1e-4]),
    st.sampled_from([0, -1000, 7, 0.25]),
    st.integers(0, 250),
)
def test_integers_stay_integers_where_that_is_exact(stored: str, scale: float, offset: float, value: int) -> None:
    radiometry = Radiometry(scale, offset, None)
    dtype = common_type([np.dtype(stored)], [radiometry])
    exact = stored != 'float32' and scale == 1 and offset == int(offset)
    assert (dtype.kind in 'iu') == exact
    result = apply(np.array([value], stored), radiometry, dtype, PLACE, 0)
    assert result.dtype == dtype
    np.testing.assert_allclose(result.astype(float), value * scale + offset, rtol=1e-6)


def test_types_are_no_larger_than_needed() -> None:
    def held(stored: str, offset: float) -> np.dtype:
        return common_type([np.dtype(stored)], [Radiometry(1, offset, None)])

    assert [held(name, 0) for name in ('uint8', 'int16', 'uint16')] == ['uint8', 'int16', 'uint16']
    assert [held(name, -1000) for name in ('uint8', 'int16', 'uint16')] == ['int16', 'int16', 'int32']


def test_what_does_not_fit_is_refused_not_wrapped() -> None:
    with pytest.raises(DataError, match=r'-32000 to -32000 with offset -1000 do not fit int16.*2022-01-01'):
        apply(np.array([-32000], 'int16'), Radiometry(1, -1000, None), np.dtype('int16'), PLACE, 18993)


def test_a_baseline_that_is_no_number_is_named(tmp_path: Path) -> None:
    season(tmp_path, numbers(2, 12, 13, dtype='int32'), [{'PROCESSING_BASELINE': 'latest'}] * 4)
    with pytest.raises(DataError, match=r"found 'latest'.*S2_20220105\.tif"):
        read(tmp_path, offset='baseline')


def test_unknown_rules_and_impossible_nodata_are_refused(tmp_path: Path) -> None:
    season(tmp_path, numbers(2, 12, 13, dtype='int32'))
    with pytest.raises(ValueError, match=r"offset='basline' is unknown.*'baseline_date'"):
        read(tmp_path, offset='basline')
    with pytest.raises(DataError, match=r'nodata=-9999 cannot be in the file, whose numbers are uint16'):
        read(tmp_path, nodata=-9999)
    assert read(tmp_path, nodata='none')[1].all()


@pytest.mark.parametrize(
    ('text', 'offset'), [('04.00', -1000), ('N0400', -1000), ('5.11', -1000), ('03.01', 0), ('0214', 0)]
)
def test_baselines_as_they_are_written(text: str, offset: int) -> None:
    from mmsits.datasets.scene.catalogue import Layer

    layer = Layer(PLACE, 0, None, None, {'processing_baseline': text})
    assert baseline_offset('baseline_column', layer, None) == offset  # type: ignore[arg-type]
