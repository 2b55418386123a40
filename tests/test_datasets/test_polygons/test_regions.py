"""Regions: clusters, boxes, provinces, dates, splits."""

import numpy as np
import pytest

geopandas = pytest.importorskip('geopandas')
pandas = pytest.importorskip('pandas')
shapely = pytest.importorskip('shapely')

from mmsits.datasets.crop_calendar import CropCalendar  # noqa: E402
from mmsits.datasets.errors import DataError  # noqa: E402
from mmsits.datasets.polygons import (  # noqa: E402
    RegionOptions,
    box_grid,
    cluster_plane,
    cluster_sphere,
    connected_regions,
    enlarged_box,
    make_regions,
    snapped_box,
    split_regions,
)

DATES = ['07-11', '09-10', '02-11', '05-31']
LATER = ['07-11', '09-10', '03-11', '05-31']
PROVINCES = geopandas.GeoDataFrame(
    {'province': ['West', 'East']},
    geometry=[shapely.box(47, 31, 48.5, 33), shapely.box(48.5, 31, 50, 33)],
    crs='EPSG:4326',
)


def fields(places, crops):
    shapes = [shapely.box(x, y, x + 0.002, y + 0.002) for x, y in places]
    return geopandas.GeoDataFrame({'crop': crops}, geometry=shapes, crs='EPSG:4326')


def calendar(**seasons):
    return CropCalendar(seasons, 'calendar.csv', start_year=1400)


def test_chains_of_neighbours_are_one_cluster_and_numbers_follow_the_order():
    points = np.array([[0.0, 0], [9000, 0], [2000, 0], [4000, 0], [9000, 2001]])
    assert cluster_plane(points, 2000).tolist() == [0, 1, 0, 0, 2]
    assert cluster_plane(points[::-1], 2000).tolist() == [0, 1, 1, 2, 1]


def test_distances_on_the_sphere_are_true_metres():
    # At 60 degrees north a degree of longitude is half as long.
    places = np.array([[10.0, 60.0], [10.035, 60.0], [10.0, 60.035]])
    assert cluster_sphere(places, 2000).tolist() == [0, 0, 1]


def test_small_boxes_grow_and_large_ones_stay():
    assert enlarged_box((0, 0, 100, 2000), 640) == (-270, 0, 370, 2000)
    assert snapped_box((3.0, 10.0, 641.0, 655.0), 10) == (0, 10, 650, 660)
    assert box_grid((3.0, 10.0, 642.99999999, 655.0), 'EPSG:3857', 10).shape == (64, 64)


def test_regions_lie_on_the_lattice_of_their_zone_and_hold_their_fields():
    known = fields([(48.1, 32.1), (48.105, 32.1), (53.9, 32.1)], ['pea'] * 3)
    regions, skipped = make_regions(known, RegionOptions())
    assert [region.crs for region in regions] == ['EPSG:32639', 'EPSG:32639']
    assert not skipped
    for region in regions:
        assert all(value % 10 == 0 for value in region.bounds)
        own = known.iloc[region.members].to_crs(region.crs).total_bounds
        assert (own[:2] >= region.bounds[:2]).all()
        assert (own[2:] <= region.bounds[2:]).all()
        assert min(box_grid(region.bounds, region.crs, 10).shape) >= 64
    again, _ = make_regions(known, RegionOptions())
    assert [region.uid for region in again] == [region.uid for region in regions]


def test_the_earliest_harvest_counts_or_every_one():
    known = fields([(48.1, 32.1)], ['pea'])
    dates = calendar(pea_late={'West': LATER}, pea_early={'West': DATES})
    regions, _ = make_regions(known, RegionOptions(), PROVINCES, dates)
    assert [(region.season, region.province) for region in regions] == [('pea_early', 'West')]
    every, _ = make_regions(known, RegionOptions(ambiguous='every'), PROVINCES, dates)
    assert [region.season for region in every] == ['pea_late', 'pea_early']
    assert len({region.uid for region in every}) == 2


def test_the_province_with_more_of_a_box_counts():
    across = fields([(48.4992, 32.1)], ['pea'])
    regions, _ = make_regions(across, RegionOptions(), PROVINCES)
    assert regions[0].province == 'East'
    outside, _ = make_regions(fields([(60, 40)], ['pea']), RegionOptions(), PROVINCES)
    assert outside[0].province is None


def test_a_region_without_a_harvest_is_skipped_and_said():
    known = fields([(48.1, 32.1), (48.9, 32.1), (60, 40)], ['pea'] * 3)
    regions, skipped = make_regions(known, RegionOptions(), PROVINCES, calendar(pea={'West': DATES}))
    assert [region.province for region in regions] == ['West']
    assert [(entry.crop, entry.provinces) for entry in skipped] == [('pea', ['East', None])]


def test_a_crop_that_the_calendar_does_not_know_is_refused():
    known = fields([(48.1, 32.1)], ['tomato'])
    with pytest.raises(DataError, match=r'no season of tomato.*--seasons tomato'):
        make_regions(known, RegionOptions(), PROVINCES, calendar(pea={'West': DATES}))
    with pytest.raises(DataError, match='tomato grows in West, the calendar has dates for North'):
        make_regions(known, RegionOptions(), PROVINCES, calendar(tomato={'North': DATES}))


@pytest.fixture(scope='module')
def many():
    random = np.random.default_rng(3)
    places = np.stack([random.uniform(48, 49.5, 300), random.uniform(31.5, 32.5, 300)], axis=1)
    crops = random.choice(['pea', 'maize', 'onion'], 300)
    known = fields(places, crops)
    regions, _ = make_regions(known, RegionOptions(), PROVINCES)
    return known, split_regions(regions, dict(train=0.6, val=0.2, test=0.2))


def test_no_ground_is_in_two_splits(many):
    known, regions = many
    boxes = geopandas.GeoDataFrame(
        {'split': [region.split for region in regions]},
        geometry=geopandas.GeoSeries(
            [geopandas.GeoSeries([shapely.box(*r.bounds)], crs=r.crs).to_crs(4326).iloc[0] for r in regions], crs=4326
        ),
    )
    for split, own in boxes.groupby('split'):
        others = boxes[boxes['split'] != split]
        assert not own.geometry.union_all().intersects(others.geometry.union_all())
    owners = {}
    for region in regions:
        for member in region.members:
            owners.setdefault(member, set()).add(region.split)
    assert len(owners) == len(known)
    assert all(len(splits) == 1 for splits in owners.values())


def test_every_crop_has_its_share_in_each_split(many):
    known, regions = many
    for crop in ('pea', 'maize', 'onion'):
        total = (known['crop'] == crop).sum()
        for split, share in dict(train=0.6, val=0.2, test=0.2).items():
            held = sum(len(region.members) for region in regions if (region.crop, region.split) == (crop, split))
            assert held / total == pytest.approx(share, abs=0.08)


def test_a_field_of_no_region_connects_the_boxes_that_it_reaches_into():
    known = fields([(48.1, 32.1), (48.12, 32.1), (48.3, 32.1)], ['pea', 'pea', 'pea'])
    between = geopandas.GeoDataFrame(
        {'crop': ['maize']}, geometry=[shapely.box(48.1025, 32.1, 48.1205, 32.101)], crs='EPSG:4326'
    )
    drawn = pandas.concat([known, between], ignore_index=True)
    dates = calendar(pea={'West': DATES}, maize={'East': DATES})
    regions, skipped = make_regions(drawn, RegionOptions(distance=1500), PROVINCES, dates)
    assert [entry.crop for entry in skipped] == ['maize']
    assert len(set(connected_regions(regions).tolist())) == 3
    groups = connected_regions(regions, drawn).tolist()
    assert groups[0] == groups[1] != groups[2]
    shares = dict(train=0.5, test=0.5)
    assert any(split_regions(regions, shares, s)[0].split != split_regions(regions, shares, s)[1].split for s in (0, 1))
    for seed in range(4):
        first, second, _ = split_regions(regions, shares, seed, drawn)
        assert first.split == second.split


def test_seasons_of_the_same_fields_stay_together():
    known = fields([(48.1, 32.1), (48.9, 32.1), (49.5, 32.1)], ['pea'] * 3)
    dates = calendar(pea_a={'West': DATES, 'East': DATES}, pea_b={'West': LATER, 'East': LATER})
    regions, _ = make_regions(known, RegionOptions(ambiguous='every'), PROVINCES, dates)
    groups = connected_regions(regions)
    assert groups[:3].tolist() == groups[3:].tolist()
    assert len(set(groups.tolist())) == 3


def test_shares_must_add_up():
    regions, _ = make_regions(fields([(48.1, 32.1)], ['pea']), RegionOptions())
    with pytest.raises(ValueError, match='sum up to 1'):
        split_regions(regions, dict(train=0.6, val=0.2))
