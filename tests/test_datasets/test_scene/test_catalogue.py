import re
from pathlib import Path

import numpy as np
import pytest

from mmsits.datasets.errors import DataError, iso_day
from mmsits.datasets.scene.catalogue import list_layers, parse_day
from tests.helpers.scene_files import numbers, write_raster


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def dates(layers: list) -> list[str]:
    return [iso_day(layer.day) for layer in layers]


def test_dates_come_from_names_in_order(tmp_path: Path) -> None:
    touch(tmp_path, 'S2_20210515.tif', 'S2_2021-04-05.tif', 'deeper/x_2021_04_20_v2.TIFF', 'notes.txt')
    layers = list_layers(tmp_path)
    assert dates(layers) == ['2021-04-05', '2021-04-20', '2021-05-15']
    assert all(layer.band is None and layer.number is None for layer in layers)


@pytest.mark.parametrize(
    ('name', 'date'),
    [
        ('T31TCJ_20180405T105031_B02.tif', '2018-04-05'),
        ('MOD13Q1_20110914_subset_from_h12v10.tif', '2011-09-14'),
        ('TERRA_MODIS_012010_NDVI_2013-09-14.tif', '2013-09-14'),
        ('LC08_L2SP_198026_20200405_20200822_02_T1.tif', '2020-04-05'),
    ],
)
def test_usual_names_need_no_pattern(tmp_path: Path, name: str, date: str) -> None:
    touch(tmp_path, name)
    assert dates(list_layers(tmp_path)) == [date]


def test_pattern_gives_band_and_further_columns_and_tells_files_apart(tmp_path: Path) -> None:
    touch(tmp_path, 'a_20210405_B04_N0400.tif', 'a_20210405_B08_N0400.tif', 'mask_20210405.tif')
    layers = list_layers(tmp_path, pattern=r'a_(?P<date>\d{8})_(?P<band>B\w\w)_(?P<baseline>N\d+)')
    assert [layer.band for layer in layers] == ['B04', 'B08']
    assert [dict(layer.columns) for layer in layers] == [{'baseline': 'N0400'}] * 2


def test_a_table_lists_files_with_what_is_known_of_them(tmp_path: Path) -> None:
    touch(tmp_path, 'one.tif', 'two.tif', 'three.tif')
    (tmp_path / 's2.csv').write_text('file,date,offset,band\ntwo.tif,2022-02-01,-1000,\none.tif,2021-12-31,0,B04\n')
    layers = list_layers(tmp_path, table='s2.csv')
    assert [layer.path.name for layer in layers] == ['one.tif', 'two.tif']
    assert [layer.band for layer in layers] == ['B04', None]
    assert [layer.columns['offset'] for layer in layers] == ['0', '-1000']


def test_a_stack_has_its_dates_in_the_descriptions(tmp_path: Path) -> None:
    write_raster(
        tmp_path / 'stack.tif', numbers(4, 5, 6), ['20210405_NDVI', '20210405_EVI', '20210501_NDVI', '20210501_EVI']
    )
    layers = list_layers(tmp_path, file='stack.tif', pattern=r'(?P<date>\d{8})_(?P<band>\w+)')
    assert [(iso_day(layer.day), layer.band, layer.number) for layer in layers] == [
        ('2021-04-05', 'NDVI', 1),
        ('2021-04-05', 'EVI', 2),
        ('2021-05-01', 'NDVI', 3),
        ('2021-05-01', 'EVI', 4),
    ]
    write_raster(tmp_path / 'plain.tif', numbers(2, 5, 6), ['NDVI', 'EVI'])
    with pytest.raises(DataError, match="band 1 is described as 'NDVI'"):
        list_layers(tmp_path, file='plain.tif')


def test_a_raster_without_time_is_given_its_date(tmp_path: Path) -> None:
    touch(tmp_path, 'dem.tif', 'other.tif')
    assert dates(list_layers(tmp_path, file='dem.tif', date='2021-01-01')) == ['2021-01-01']


def test_a_period_keeps_its_dates(tmp_path: Path) -> None:
    touch(tmp_path, *(f'{year}0601.tif' for year in range(2015, 2020)))
    assert dates(list_layers(tmp_path, period=('2016-06-01', '2018-01-01'))) == ['2016-06-01', '2017-06-01']
    with pytest.raises(DataError, match='no date in the period'):
        list_layers(tmp_path, period=('2030-01-01', '2031-01-01'))


@pytest.mark.parametrize(
    ('text', 'form', 'date'),
    [
        ('2021095', None, '2021-04-05'),
        ('05.04.2021', '%d.%m.%Y', '2021-04-05'),
        ('2021-04-05T10:50:31', None, '2021-04-05'),
    ],
)
def test_forms_of_dates(text: str, form: str | None, date: str) -> None:
    assert iso_day(parse_day(text, form, Path('x.tif'))) == date


def test_what_is_no_date_is_named(tmp_path: Path) -> None:
    touch(tmp_path, 'S2_20211399.tif')
    with pytest.raises(DataError, match=re.escape("'20211399' is not a date") + '.*S2_20211399.tif'):
        list_layers(tmp_path)


def test_missing_folders_tables_and_matches_are_named(tmp_path: Path) -> None:
    touch(tmp_path, 's2/image.tif', 'empty/readme.txt')
    with pytest.raises(DataError, match=r"folder does not exist.*s3.*holds \['empty', 's2'\]"):
        list_layers(tmp_path / 's3')
    with pytest.raises(DataError, match=r"no raster.*'readme\.txt'"):
        list_layers(tmp_path / 'empty')
    with pytest.raises(DataError, match=r'none of the 1 rasters matches.*image\.tif'):
        list_layers(tmp_path / 's2')
    with pytest.raises(DataError, match='the table cannot be read'):
        list_layers(tmp_path / 's2', table='dates.csv')
    (tmp_path / 's2' / 'dates.csv').write_text('name,date\nimage.tif,2021-01-01\n')
    with pytest.raises(DataError, match=r"no column \['file'\]; it has \['name', 'date'\]"):
        list_layers(tmp_path / 's2', table='dates.csv')
    (tmp_path / 's2' / 'dates.csv').write_text('file,date\nimage.tif,2021-01-01\nlost.tif,2021-01-02\n')
    with pytest.raises(DataError, match=r'line 3 lists .*lost\.tif'):
        list_layers(tmp_path / 's2', table='dates.csv')
    with pytest.raises(ValueError, match='is not a regular expression: missing'):
        list_layers(tmp_path / 's2', pattern=r'(?P<date>\d{8}')
    with pytest.raises(ValueError, match='no group'):
        list_layers(tmp_path / 's2', pattern=r'\d{8}')


def test_days_count_from_1970(tmp_path: Path) -> None:
    touch(tmp_path, '19700102.tif')
    assert [layer.day for layer in list_layers(tmp_path)] == [1]
    assert np.datetime64(1, 'D') == np.datetime64('1970-01-02')


@pytest.mark.parametrize(
    ('text', 'date'),
    [
        ('2022-1-15', '2022-01-15'),
        ('2022-01-5', '2022-01-05'),
        ('2022/12/5', '2022-12-05'),
        ('2022-015', '2022-01-15'),
        ('2022-01-15T23:30:00+02:00', '2022-01-15'),
        ('20220115T103321', '2022-01-15'),
    ],
)
def test_days_without_a_leading_zero_are_no_days_of_the_year(text: str, date: str) -> None:
    assert iso_day(parse_day(text, None, Path('x.csv'))) == date


@pytest.mark.parametrize('text', ['2022-13-1', '202215', '2022-1', '2022-115-3', '15.1.2022', '2022-000'])
def test_what_might_be_several_dates_is_none(text: str) -> None:
    with pytest.raises(DataError, match='is not a date'):
        parse_day(text, None, Path('x.csv'))
