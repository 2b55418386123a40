"""The published regions of Iran come out of the real polygons: as many, with the same harvest dates."""

import os
from collections import Counter
from pathlib import Path

import pytest

geopandas = pytest.importorskip('geopandas')

from mmsits.datasets.crop_calendar import read_calendar  # noqa: E402
from mmsits.datasets.polygons import RegionOptions, make_regions, read_fields  # noqa: E402

FOLDER = Path(os.environ.get('MMSITS_DATA', 'data')) / 'iran-crop-polygons'
PUBLISHED = {
    'canola': {'2022-03-31': 95, '2022-05-01': 15, '2022-05-11': 101, '2022-06-01': 9},
    'cotton': {'2021-09-06': 8, '2021-09-23': 15, '2021-10-07': 62, '2021-10-23': 34},
    'lentils': {'2022-06-11': 89, '2022-06-22': 71},
    'maize': {'2021-09-12': 28, '2021-09-23': 51, '2021-11-02': 24, '2021-11-22': 5},
    'onion': {'2021-08-23': 23, '2022-01-01': 70, '2022-01-21': 23, '2022-03-31': 70, '2022-06-22': 23},
    'pea': {'2022-06-11': 173, '2022-06-22': 121, '2022-07-02': 194},
    # Two more are autumn beets, which this copy of the polygons does not tell apart.
    'sugarbeet': {'2022-09-23': 46},
    'tomato': {'2021-06-22': 43, '2021-11-22': 43, '2021-12-12': 11},
}


@pytest.mark.real_data
@pytest.mark.slow
@pytest.mark.skipif(not FOLDER.is_dir(), reason='the polygons of Iran are not under MMSITS_DATA')
def test_regions_and_harvests_are_the_published_ones() -> None:
    fields = read_fields(FOLDER / 'crop_polygons_2021-22.gpkg', aliases={'SugerBeet': 'sugarbeet'})
    regions, skipped = make_regions(
        fields,
        RegionOptions(crs='EPSG:3857', snap=False, ambiguous='every'),
        geopandas.read_file(FOLDER / 'provinces.gpkg'),
        read_calendar(FOLDER / 'crop_calendar.csv', 'jalali', 1400),
        {'sugarbeet': ['SugarBeet_Spring']},
    )
    found: dict[str, Counter] = {}
    for region in regions:
        assert region.dates is not None
        found.setdefault(region.crop, Counter())[region.dates.harvest_start.isoformat()] += 1
    assert found == PUBLISHED
    without = {entry.crop: len(entry.provinces) for entry in skipped}
    assert without['canola'] == 24
    assert len({region.cluster for region in regions if region.crop == 'tomato'}) == 54
