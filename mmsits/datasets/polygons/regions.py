"""Regions of interest: boxes around fields that lie near each other, with province, dates and split.

The procedure is that of CropMapping (Rangzan and Ramezanpour; see docs/cropmapping.md): centroids are clustered with
DBSCAN, each cluster's bounding box is enlarged to at least a patch, and the crop calendar of the province that the box
lies in tells the harvest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from ..crop_calendar import CropCalendar, Season
from ..errors import DataError
from ..scene.grid import Grid
from ..scene.splits import deal_out

if TYPE_CHECKING:
    from geopandas import GeoDataFrame, GeoSeries

EARTH_RADIUS = 6_371_008.8
"""Mean radius, metres."""
Bounds = tuple[float, float, float, float]
"""Left, bottom, right, top."""
Ambiguous = Literal['earliest', 'every']


@dataclass(frozen=True)
class RegionOptions:
    """How fields become regions.

    Args:
        distance: metres between the centroids of fields that belong together.
        crs: 'utm' for the UTM zone of each region, whose metres are true, with distances along the sphere; or one CRS
            for everything, with distances in its units ('EPSG:3857' as published, whose metres are longer than true
            ones by 1 / cos(latitude)).
        pixel: side of a pixel, in units of the CRS.
        smallest: pixels that a region measures at least on either side.
        snap: put the corners on multiples of the pixel, as the pixels of Sentinel-2 lie in their UTM zone, so that
            images are not resampled. Without, the box starts where the fields do and the broken pixel is dropped, as
            published.
        ambiguous: where the calendar has several seasons of a crop in a province: one region with the 'earliest'
            harvest, so that a window before the harvest lies before each of them; or one for 'every' season, as
            published, where the same fields occur several times with different dates.
    """

    distance: float = 2000.0
    crs: str = 'utm'
    pixel: float = 10.0
    smallest: int = 64
    snap: bool = True
    ambiguous: Ambiguous = 'earliest'


@dataclass(frozen=True)
class Region:
    """A box around fields of one crop.

    Attributes:
        uid: 32 hexadecimal digits, the same for the same fields and options.
        crop: name.
        season: of the calendar; '' where there is none.
        cluster: number among those of the crop.
        province: None where no province holds it.
        dates: None where the calendar has none.
        crs: of the box, as text.
        bounds: of the box.
        members: numbers of its fields in the table of all fields.
        split: part of the data.
    """

    uid: str
    crop: str
    season: str
    cluster: int
    province: str | None
    dates: Season | None
    crs: str
    bounds: Bounds
    members: np.ndarray = field(repr=False)
    split: str = ''


class SkippedRegions(NamedTuple):
    """Clusters of a crop that got no region because nothing tells their harvest.

    Attributes:
        crop: name.
        season: of the calendar, or the seasons that were tried, with commas between.
        provinces: of the clusters, None where no province holds them.
    """

    crop: str
    season: str
    provinces: list[str | None]


def cluster_plane(points: np.ndarray, distance: float) -> np.ndarray:
    """Number of the cluster of each point; points within `distance` of each other belong together, chains of them too.

    Args:
        points: (N, 2), N of at least 1, in a plane.
        distance: in its units.

    Returns:
        (N,) int64, numbered in the order of the first member.
    """
    from sklearn.cluster import DBSCAN

    return DBSCAN(eps=distance, min_samples=1).fit_predict(points).astype(np.int64)


def cluster_sphere(places: np.ndarray, distance: float) -> np.ndarray:
    """Like `cluster_plane` for longitudes and latitudes in degrees, (N, 2), and metres along the sphere."""
    from sklearn.cluster import DBSCAN

    radians = np.radians(places[:, ::-1])
    clusters = DBSCAN(eps=distance / EARTH_RADIUS, min_samples=1, metric='haversine', algorithm='ball_tree')
    return clusters.fit_predict(radians).astype(np.int64)


def enlarged_box(bounds: Sequence[float], smallest: float) -> Bounds:
    """A box with sides of at least `smallest`, enlarged equally on both ends."""
    left, bottom, right, top = (float(value) for value in bounds)
    if right - left < smallest:
        middle = (smallest - (right - left)) / 2
        left, right = left - middle, right + middle
    if top - bottom < smallest:
        middle = (smallest - (top - bottom)) / 2
        bottom, top = bottom - middle, top + middle
    return left, bottom, right, top


def snapped_box(bounds: Bounds, pixel: float) -> Bounds:
    """The smallest box around another whose corners are multiples of a pixel."""
    left, bottom, right, top = bounds
    # A corner on the lattice stays there though its number is not exact.
    down, up = (lambda x: np.floor(x / pixel + 1e-6) * pixel), (lambda x: np.ceil(x / pixel - 1e-6) * pixel)
    return float(down(left)), float(down(bottom)), float(up(right)), float(up(top))


def box_grid(bounds: Bounds, crs: str, pixel: float) -> Grid:
    """The pixels of a box, from its upper left corner; a broken pixel at the right and the bottom is dropped."""
    from affine import Affine
    from rasterio.crs import CRS

    left, bottom, right, top = bounds
    # A box of 64 pixels may measure 63.999999 of them in floating point.
    width, height = (int(round(side / pixel, 6)) for side in (right - left, top - bottom))
    return Grid(CRS.from_user_input(crs), Affine(pixel, 0.0, left, 0.0, -pixel, top), height, width)


def make_regions(
    fields: GeoDataFrame,
    options: RegionOptions,
    provinces: GeoDataFrame | None = None,
    calendar: CropCalendar | None = None,
    seasons: Mapping[str, Sequence[str]] | None = None,
) -> tuple[list[Region], list[SkippedRegions]]:
    """Make the regions of all crops.

    Args:
        fields: as `read_fields` gives them.
        options: how.
        provinces: polygons with the column `province`.
        calendar: of the crops; None for regions without dates.
        seasons: crop -> its seasons in the calendar; others have those of `CropCalendar.seasons_of`.

    Returns:
        The regions, crops in the order of the alphabet, and those skipped because their harvest is not known.

    Raises:
        DataError: if the calendar knows nothing of a crop, or no crop has a harvest.
    """
    regions: list[Region] = []
    skipped: list[SkippedRegions] = []
    places = _Provinces(provinces)
    for crop in sorted(set(fields['crop'])):
        clusters = list(_clusters(fields, crop, options, places))
        if calendar is None:
            regions += [_region(crop, '', cluster, None, options) for cluster in clusters]
            continue
        names = list((seasons or {}).get(crop, calendar.seasons_of(crop)))
        if not names:
            raise DataError(
                f'the calendar has no season of {crop}, there are {calendar.seasons}',
                path=calendar.path,
                hint=f'Add its dates, or name its seasons: --seasons {crop}=….',
            )
        made, without = _dated(crop, clusters, names, calendar, options)
        regions += made
        skipped += without
    if not regions and calendar is not None:
        raise _no_harvest(skipped, calendar)
    return regions, skipped


def _no_harvest(skipped: Sequence[SkippedRegions], calendar: CropCalendar) -> DataError:
    listed = []
    for entry in skipped:
        places = sorted({'no province' if place is None else place for place in entry.provinces})
        dated = {
            place
            for season in entry.season.split(', ')
            for place in calendar.entries[season]
            if calendar.season(season, place) is not None
        }
        known = ', '.join(sorted(dated)) or 'none'
        listed.append(f'{entry.crop} grows in {", ".join(places)}, the calendar has dates for {known}')
    return DataError(
        f'no harvest is known for any region: {"; ".join(listed)}',
        path=calendar.path,
        hint='Complete the calendar; its provinces must be named as in the file of the provinces.',
    )


class _Cluster(NamedTuple):
    number: int
    members: np.ndarray
    bounds: Bounds
    crs: str
    province: str | None


def _clusters(fields: GeoDataFrame, crop: str, options: RegionOptions, provinces: _Provinces) -> list[_Cluster]:
    rows = np.flatnonzero(fields['crop'].to_numpy() == crop)
    own = fields.geometry.iloc[rows]
    if options.crs == 'utm':
        centres = _centres(own)
        numbers = cluster_sphere(centres, options.distance)
    else:
        own = own.to_crs(options.crs)
        centroids = own.centroid
        numbers = cluster_plane(np.stack([centroids.x, centroids.y], axis=1), options.distance)
    found = []
    for number in range(int(numbers.max()) + 1):
        inside = numbers == number
        shapes, crs = own[inside], options.crs
        if crs == 'utm':
            crs = utm_zone(*centres[inside].mean(axis=0))
            shapes = shapes.to_crs(crs)
        left, bottom, right, top = (float(value) for value in shapes.total_bounds)
        bounds = (left, bottom, right, top)
        found.append(_Cluster(number, rows[inside], bounds, crs, provinces.of(bounds, crs)))
    return found


def _centres(shapes: GeoDataFrame) -> np.ndarray:
    """Middle of each shape's extent, degrees: centroids in degrees would not be those on the ground."""
    bounds = shapes.bounds.to_numpy()
    return (bounds[:, :2] + bounds[:, 2:]) / 2


def utm_zone(longitude: float, latitude: float) -> str:
    """The UTM zone of a place, WGS 84, as 'EPSG:…'."""
    zone = min(int((longitude + 180) // 6), 59) + 1
    return f'EPSG:{(32600 if latitude >= 0 else 32700) + zone}'


class _Provinces:
    """Finds the province of a box; keeps the polygons in each CRS that is asked for."""

    def __init__(self, provinces: GeoDataFrame | None) -> None:
        self._original = provinces
        self._by_crs: dict[str, GeoDataFrame] = {}

    def of(self, bounds: Bounds, crs: str) -> str | None:
        """The first province that holds a box, else the one that it shares most area with; None if none does."""
        from shapely.geometry import box

        if self._original is None:
            return None
        if crs not in self._by_crs:
            original = self._original
            if original.crs.is_geographic:
                # A long side that is straight in degrees is curved elsewhere: hundreds of metres on two degrees.
                original = original.assign(geometry=original.geometry.segmentize(0.05))
            projected = original.to_crs(crs)
            # Simplified borders may cross themselves.
            self._by_crs[crs] = projected.assign(geometry=projected.geometry.make_valid())
        frame, place = self._by_crs[crs], box(*bounds)
        near = np.sort(frame.sindex.query(place))
        shapes = frame.geometry.iloc[near]
        holding = near[shapes.contains(place).to_numpy()]
        if len(holding):
            return str(frame['province'].iloc[holding[0]])
        shared = shapes.intersection(place).area.to_numpy()
        return str(frame['province'].iloc[near[shared.argmax()]]) if len(near) and shared.max() > 0 else None


def _dated(
    crop: str, clusters: list[_Cluster], seasons: list[str], calendar: CropCalendar, options: RegionOptions
) -> tuple[list[Region], list[SkippedRegions]]:
    """Regions with dates: of every season in turn, or of the earliest harvest."""
    groups = [[season] for season in seasons] if options.ambiguous == 'every' else [seasons]
    made, skipped = [], []
    for group in groups:
        without = []
        for cluster in clusters:
            dated = [(season, calendar.season(season, cluster.province)) for season in group]
            known = [(season, dates) for season, dates in dated if dates is not None]
            if not known:
                without.append(cluster.province)
                continue
            season, dates = min(known, key=lambda entry: entry[1].harvest_start)
            made.append(_region(crop, season, cluster, dates, options))
        if without:
            skipped.append(SkippedRegions(crop, ', '.join(group), without))
    return made, skipped


def _region(crop: str, season: str, cluster: _Cluster, dates: Season | None, options: RegionOptions) -> Region:
    bounds = enlarged_box(cluster.bounds, options.smallest * options.pixel)
    if options.snap:
        bounds = snapped_box(bounds, options.pixel)
    name = f'{crop}/{season}/{cluster.crs}/{options.pixel:g}/' + '/'.join(f'{value:.3f}' for value in bounds)
    # Not for safety: a name that is the same when the tool runs again.
    uid = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return Region(uid, crop, season, cluster.number, cluster.province, dates, cluster.crs, bounds, cluster.members)


def split_regions(
    regions: Sequence[Region], shares: Mapping[str, float], seed: int = 0, fields: GeoDataFrame | None = None
) -> list[Region]:
    """Divide regions so that no ground, and so no field, is in two splits.

    Regions whose boxes touch, of whatever crop and season, go to the same split; so do regions that a field connects.
    These groups are shared out so that every split has its share of the fields of each crop, as far as they allow it.

    Args:
        regions: all of them.
        shares: split -> its share of the fields of each crop; they sum up to 1.
        seed: of the draw.
        fields: all fields whose polygons are drawn, also those of no region (without a harvest date): one that reaches
            into two boxes connects them. None for the regions' own fields alone.

    Returns:
        The regions in their order, with their split.

    Raises:
        ValueError: if the shares are not positive or do not sum up to 1.
    """
    if not shares or min(shares.values()) <= 0 or abs(sum(shares.values()) - 1) > 1e-6:
        raise ValueError(f'the shares of the splits must be above 0 and sum up to 1, got {dict(shares)}')
    groups = connected_regions(regions, fields)
    crops = sorted({region.crop for region in regions})
    counts = np.zeros((int(groups.max()) + 1, len(crops)), np.int64)
    for group, region in zip(groups, regions, strict=True):
        counts[group, crops.index(region.crop)] += len(region.members)
    chosen = deal_out(counts, list(shares.values()), seed)
    names = list(shares)
    return [replace(region, split=names[chosen[group]]) for group, region in zip(groups, regions, strict=True)]


def connected_regions(regions: Sequence[Region], fields: GeoDataFrame | None = None) -> np.ndarray:
    """Number of the group of each region, (N,): regions are of one group if their boxes touch, or if a field is of both
    or, where the `fields` are given, reaches into both boxes."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    boxes = boxes_of(regions)
    first, second = boxes.sindex.query(boxes.geometry, predicate='intersects')
    holding = [(int(member), index) for index, region in enumerate(regions) for member in region.members]
    if fields is not None:
        places = fields.geometry.to_crs(boxes.crs)
        holding += np.stack(boxes.sindex.query(places, predicate='intersects'), axis=1).tolist()
    owner: dict[int, int] = {}
    shared = [(index, owner.setdefault(member, index)) for member, index in holding]
    rows = np.concatenate([first, [pair[0] for pair in shared]]).astype(np.int64)
    columns = np.concatenate([second, [pair[1] for pair in shared]]).astype(np.int64)
    links = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(len(regions), len(regions)))
    return connected_components(links, directed=False)[1].astype(np.int64)


def boxes_of(regions: Sequence[Region]) -> GeoDataFrame:
    """The boxes of regions as polygons in EPSG:4326, in their order."""
    import geopandas

    return geopandas.GeoDataFrame(geometry=boxes_in_degrees([(region.crs, region.bounds) for region in regions]))


def boxes_in_degrees(boxes: Sequence[tuple[str, Bounds]]) -> GeoSeries:
    """Boxes (CRS, bounds) of any coordinate systems as polygons in EPSG:4326, in their order."""
    import geopandas
    import pandas
    from shapely.geometry import box

    shapes = pandas.Series([box(*bounds) for _, bounds in boxes], dtype=object)
    systems = np.array([crs for crs, _ in boxes])
    placed = pandas.Series([None] * len(boxes), dtype=object)
    for crs in sorted(set(systems.tolist())):
        inside = systems == crs
        # A straight side in one projection is a curve in another; a few points more keep the box true.
        dense = geopandas.GeoSeries(shapes[inside], crs=crs).segmentize(5000)
        placed[inside] = dense.to_crs('EPSG:4326').to_numpy()
    return geopandas.GeoSeries(placed, crs='EPSG:4326')
