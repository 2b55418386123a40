"""Composites out of a catalogue of local files: what they hold, and what happens when things fail half way."""

import datetime
import json
import os
import runpy
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

rasterio = pytest.importorskip('rasterio')
shapely = pytest.importorskip('shapely')

from affine import Affine  # noqa: E402
from rasterio.crs import CRS  # noqa: E402
from rasterio.warp import transform_bounds  # noqa: E402

from mmsits.datasets.composite_windows import monthly_windows  # noqa: E402
from mmsits.datasets.download import (  # noqa: E402
    Catalogue,
    DownloadOptions,
    OpticalComposites,
    RadarComposites,
    Scene,
    choose_radar_scenes,
    download_region,
    is_complete,
    tiles_of,
)
from mmsits.datasets.download.catalogue import _scaling  # noqa: E402
from mmsits.datasets.download.composites import S2_BANDS, read_band, stored_offset  # noqa: E402
from mmsits.datasets.errors import DataError  # noqa: E402
from mmsits.datasets.monthly_composites import read_harvest_dates  # noqa: E402
from mmsits.datasets.polygons import RegionBox, encode_raster, read_raster  # noqa: E402
from mmsits.datasets.scene.grid import Grid  # noqa: E402

UTM = CRS.from_epsg(32639)
GRID = Grid(UTM, Affine(10, 0, 500000, 0, -10, 4000080), 8, 8)
HARVEST = datetime.date(2022, 5, 1)
REGION = RegionBox('u', 'pea', HARVEST, 'EPSG:32639', (500000, 4000000, 500080, 4000080))
PLACE = shapely.box(*transform_bounds(UTM, 'EPSG:4326', *REGION.bounds))
TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'dataset_converters' / 'download_series.py'


def write(path, values, nodata=None, grid=GRID):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_raster(np.broadcast_to(values, (1, *grid.shape)).copy(), grid, nodata))
    return str(path)


def radar(folder, name, powers, date=datetime.date(2021, 10, 5), direction='ascending', orbit=1, place=None):
    assets = {b: write(folder / f'{name}_{b}.tif', np.float32(p)) for b, p in zip(('vv', 'vh'), powers, strict=True)}
    properties = {'sar:instrument_mode': 'IW', 'sat:orbit_state': direction, 'sat:relative_orbit': orbit}
    return Scene(name, date, PLACE.buffer(0.1) if place is None else place, assets, properties)


def optical(folder, name, number, classes, date=datetime.date(2021, 10, 5), baseline='03.01'):
    assets = {band: write(folder / f'{name}_{band}.tif', np.uint16(number)) for band in S2_BANDS}
    assets['SCL'] = write(folder / f'{name}_SCL.tif', np.asarray(classes, np.uint8))
    properties = {'eo:cloud_cover': 10.0, 's2:processing_baseline': baseline}
    return Scene(name, date, PLACE.buffer(0.1), assets, properties)


class Shelf:
    """A catalogue of scenes in memory, which may fail a few times."""

    def __init__(self, failures=0, **collections):
        self.collections, self.failures, self.searches = collections, failures, 0

    def search(self, collection, place, start, end):
        self.searches += 1
        if self.failures:
            self.failures -= 1
            raise ConnectionError('the server is away')
        return [scene for scene in self.collections[collection] if start <= scene.date < end]


def test_radar_means_are_of_powers_and_gaps_come_from_the_orbit_below(tmp_path):
    holed = np.full((8, 8), 0.4, np.float32)
    holed[:, :4] = 0
    scenes = [
        radar(tmp_path, 'a', (0.1, 0.01)),
        radar(tmp_path, 'b', (0.3, 0.03)),
        radar(tmp_path, 'c', (holed, holed), orbit=2),
        radar(tmp_path, 'd', (holed, holed), orbit=2),
        radar(tmp_path, 'e', (holed, holed), orbit=2),
    ]
    composite = RadarComposites().compose(scenes, GRID)
    assert composite[0, :, 4:] == pytest.approx(10 * np.log10(0.4), abs=1e-4)
    assert composite[0, :, :4] == pytest.approx(10 * np.log10(0.2), abs=1e-4)
    assert composite[1, :, :4] == pytest.approx(10 * np.log10(0.02), abs=1e-4)
    nothing = RadarComposites().compose(scenes[2:], GRID)
    assert np.isnan(nothing[:, :, :4]).all()


def test_borders_of_radar_images_do_not_darken_their_neighbours(tmp_path):
    edge = np.full((8, 8), 0.1, np.float32)
    edge[:, :4] = 0
    scene = radar(tmp_path, 'a', (edge, edge))
    between = GRID._replace(transform=Affine(10, 0, 500005, 0, -10, 4000080))
    found = RadarComposites().compose([scene], between)
    assert np.isnan(found[:, :, :3]).all()
    assert found[:, :, 4:7] == pytest.approx(-10, abs=1e-4)
    assert found[np.isfinite(found)] == pytest.approx(-10, abs=1e-4)


def test_scenes_of_one_polarisation_are_left_out_and_unknown_directions_named(tmp_path):
    both, single = radar(tmp_path, 'a', (0.1, 0.1)), radar(tmp_path, 'b', (0.1, 0.1))
    single = single._replace(properties={**single.properties, 'sar:polarizations': ['VV']})
    assert choose_radar_scenes([both, single], PLACE) == [both]
    assert choose_radar_scenes([single], PLACE) == []
    mute = both._replace(properties={'sar:instrument_mode': 'IW'})
    with pytest.raises(DataError, match=r'sat:orbit_state.*sample a'):
        choose_radar_scenes([mute], PLACE)


def test_decibels_give_the_mean_of_powers_too(tmp_path):
    scenes = [radar(tmp_path, 'a', (-10, -20)), radar(tmp_path, 'b', (-20, -20))]
    composite = RadarComposites(unit='decibel').compose(scenes, GRID)
    assert composite[0] == pytest.approx(10 * np.log10(0.055), abs=1e-4)
    assert composite[1] == pytest.approx(-20, abs=1e-4)


def test_scenes_that_hold_the_place_come_before_those_that_touch_it():
    def scene(name, direction, place, mode='IW'):
        properties = {'sat:orbit_state': direction, 'sar:instrument_mode': mode}
        return Scene(name, HARVEST, place, {}, properties)

    whole, part = PLACE.buffer(0.1), shapely.box(*PLACE.bounds[:2], *PLACE.centroid.coords[0])
    scenes = [
        scene('1', 'descending', part),
        scene('2', 'ascending', part),
        scene('3', 'descending', whole),
        scene('4', 'ascending', whole),
        scene('5', 'ascending', whole, 'EW'),
    ]
    order = []
    while chosen := choose_radar_scenes(scenes, PLACE):
        order += [one.name for one in chosen]
        scenes = [one for one in scenes if one not in chosen]
    assert order == ['4', '3', '2', '1']


def test_the_median_leaves_out_clouds_and_takes_off_the_offset(tmp_path):
    cloudy = np.full((8, 8), 4)
    cloudy[0] = 9
    never = np.full((8, 8), 4)
    never[7] = 8
    scenes = [
        optical(tmp_path, 'a', 1000, np.where(never == 8, 8, cloudy)),
        optical(tmp_path, 'b', 3000, np.where(never == 8, 8, 4)),
        optical(tmp_path, 'c', 3000, np.where(never == 8, 8, 4), baseline='05.09'),
    ]
    composite = OpticalComposites().compose(scenes, GRID)
    assert composite.shape == (10, 8, 8)
    assert composite[:, 1:7] == pytest.approx(0.2)  # of 0.1, 0.3, 0.2
    assert composite[:, 0] == pytest.approx(0.25)
    assert np.isnan(composite[:, 7]).all()


NEW, OLD = datetime.date(2022, 6, 1), datetime.date(2021, 6, 1)


@pytest.mark.parametrize(
    ('date', 'properties', 'scaling', 'expected'),
    [
        (NEW, {'s2:processing_baseline': '04.00'}, None, 1000),  # Planetary Computer
        (OLD, {'s2:processing_baseline': '03.01'}, None, 0),
        (OLD, {'s2:processing_baseline': '05.00'}, None, 1000),  # processed again
        (NEW, {'s2:processing_baseline': '05.11', 'earthsearch:boa_offset_applied': True}, (1e-4, -0.1), 0),
        (NEW, {'s2:processing_baseline': '05.11', 'earthsearch:boa_offset_applied': False}, (1e-4, -0.1), 1000),
        (OLD, {'s2:processing_baseline': '02.08', 'earthsearch:boa_offset_applied': False}, (1e-4, -0.1), 0),
        (NEW, {'processing:version': '05.11'}, (1e-4, -0.1), 1000),  # Copernicus Data Space
        (NEW, {'s2:product_uri': 'S2A_MSIL2A_20220601T072621_N0400_R049_T39SVV_20220601.SAFE'}, None, 1000),
        (NEW, {}, (1e-4, 0.0), 0),
        (OLD, {}, None, 0),
    ],
)
def test_the_offset_of_stored_numbers_is_what_catalogues_tell(date, properties, scaling, expected):
    scalings = {} if scaling is None else {'red': scaling}
    assert stored_offset(Scene('a', date, PLACE, {'red': ''}, properties, scalings), 'red') == expected


@pytest.mark.parametrize(
    ('fields', 'expected'),
    [
        ({'raster:bands': [dict(data_type='uint16', scale=1.0, offset=0.0)]}, None),  # rio-stac, of files without any
        ({'bands': [{'raster:scale': 1, 'raster:offset': 0}]}, None),
        ({'raster:bands': [dict(data_type='float32', scale=1.0, offset=0.0)]}, (1, 0)),  # reflectances
        ({'data_type': 'float32', 'raster:scale': 1, 'raster:offset': 0}, (1, 0)),
        ({'raster:bands': [dict(data_type='uint16', scale=1e-4, offset=-0.1)]}, (1e-4, -0.1)),
        ({'raster:bands': [dict(scale=1e-4)]}, None),
    ],
)
def test_a_scale_of_one_says_nothing_of_integers(fields, expected):
    assert _scaling(fields) == expected


def test_an_offset_that_nobody_tells_is_asked_for(tmp_path):
    scene = optical(tmp_path, 'a', 3000, 4, NEW)._replace(properties={})
    with pytest.raises(DataError, match=r'processing baseline.*sample a.*--s2-offset'):
        OpticalComposites().compose([scene], GRID)
    assert OpticalComposites(offset=1000).compose([scene], GRID) == pytest.approx(0.2)


@pytest.mark.parametrize('kind', ['alpha', 'mask'])
def test_an_image_with_a_mask_of_its_own_is_read(tmp_path, kind):
    profile = dict(driver='GTiff', height=8, width=8, dtype='uint16', crs=UTM, transform=GRID.transform)
    seen = np.zeros((8, 8), bool)
    seen[:, 4:] = True
    more = dict(count=2, alpha='yes') if kind == 'alpha' else dict(count=1)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(tmp_path / 'a.tif', 'w', **profile, **more) as file:
        file.write(np.full((8, 8), 700, np.uint16), 1)
        if kind == 'alpha':
            file.write(np.where(seen, 65535, 0).astype(np.uint16), 2)
        else:
            file.write_mask(seen)
    for nodata in (None, 0):
        values = read_band((tmp_path / 'a.tif').as_uri(), GRID, nodata=nodata)
        assert np.array_equal(np.isfinite(values), seen)
        assert (values[seen] == 700).all()


@pytest.fixture(scope='module')
def shelf(tmp_path_factory):
    """A scene of each sensor in each window; the fourth window has no radar. Not to be changed."""
    files = tmp_path_factory.mktemp('files')
    dates = [start + datetime.timedelta(days=5) for start, _ in monthly_windows(HARVEST)]
    radars = [radar(files, f'r{i}', (0.1 * i, 0.01), date) for i, date in enumerate(dates, 1) if i != 4]
    opticals = [optical(files, f'o{i}', 1000 * i, 4, date) for i, date in enumerate(dates, 1)]
    return {'sentinel-1-rtc': radars, 'sentinel-2-l2a': opticals}


def options(tmp_path, **more):
    return DownloadOptions(tmp_path / 'regions', **more)


KINDS = (RadarComposites(), OpticalComposites())


def test_every_window_gets_its_month_and_none_is_an_image_of_gaps(tmp_path, shelf):
    report = download_region(REGION, Shelf(**shelf), KINDS, options(tmp_path))
    assert (report.written, report.kept, report.empty) == (12, 0, ['s1/4'])
    root = tmp_path / 'regions' / 'pea'
    for number in range(1, 7):
        assert read_raster(root / 's2' / str(number) / 'u.tif') == pytest.approx(0.1 * number)
    assert np.isnan(read_raster(root / 's1' / '4' / 'u.tif')).all()
    with rasterio.open(root / 's1' / '1' / 'u.tif') as file:
        assert file.descriptions == ('VV', 'VH')
        assert file.tags()['window'] == '2021-10-01/2021-11-01'


def test_complete_files_are_kept_and_one_cut_off_is_made_again(tmp_path, shelf):
    download_region(REGION, Shelf(**shelf), KINDS, options(tmp_path))
    damaged = tmp_path / 'regions' / 'pea' / 's2' / '3' / 'u.tif'
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[: len(whole) // 2])
    again = Shelf(**shelf)
    report = download_region(REGION, again, KINDS, options(tmp_path))
    assert (report.written, report.kept, report.repaired, report.empty) == (1, 11, [damaged], ['s1/4'])
    assert again.searches == 1
    assert damaged.read_bytes() == whole


def test_a_file_of_other_pixels_is_not_complete(tmp_path):
    path = tmp_path / 'a.tif'
    write(path, np.float32(1))
    assert is_complete(path, GRID, 1)
    assert not is_complete(path, GRID._replace(width=9), 1)
    assert not is_complete(path, GRID._replace(transform=Affine(10, 0, 500010, 0, -10, 4000080)), 1)
    assert not is_complete(path, GRID, 2)
    assert not is_complete(tmp_path / 'none.tif', GRID, 1)


def test_failures_are_tried_again_with_longer_waits(tmp_path, shelf):
    waits = []
    report = download_region(REGION, Shelf(failures=3, **shelf), KINDS, options(tmp_path), waits.append)
    assert report.written == 12
    assert waits == [2, 4, 8]


def with_band(shelf, number, band, address):
    """The shelf with another file for a band of an optical scene."""
    scenes = list(shelf['sentinel-2-l2a'])
    scenes[number] = scenes[number]._replace(assets={**scenes[number].assets, band: str(address)})
    return {**shelf, 'sentinel-2-l2a': scenes}


def test_a_source_cut_off_is_named_in_the_end_and_leaves_no_file(tmp_path, shelf):
    source = tmp_path / 'o2_B04.tif'
    source.write_bytes(Path(shelf['sentinel-2-l2a'][1].assets['B04']).read_bytes()[:100])
    broken, waits = with_band(shelf, 1, 'B04', source), []
    with pytest.raises(DataError, match=r'given up after 2 attempts.*o2_B04\.tif'):
        download_region(REGION, Shelf(**broken), KINDS, options(tmp_path, attempts=2), waits.append)
    assert len(waits) == 1
    assert not (tmp_path / 'regions' / 'pea' / 's2' / '2' / 'u.tif').exists()
    assert (tmp_path / 'regions' / 'pea' / 's2' / '1' / 'u.tif').exists()


def test_mistakes_are_not_tried_again(tmp_path, shelf):
    with pytest.raises(DataError, match=r'u \(pea\) has no harvest date'):
        download_region(REGION._replace(harvest=None), Shelf(**shelf), KINDS, options(tmp_path))
    scene = shelf['sentinel-2-l2a'][0]
    bare = scene._replace(assets={name: path for name, path in scene.assets.items() if name != 'B05'})
    waits, shelves = [], Shelf(**{**shelf, 'sentinel-2-l2a': [bare]})
    with pytest.raises(DataError, match=r'no asset B05 or B5 or rededge1.*o1'):
        download_region(REGION, shelves, KINDS[1:], options(tmp_path), waits.append)
    assert not waits


def test_codes_of_a_map_become_masks_and_images_lie_on_them(tmp_path, shelf):
    codes = np.full((8, 8), 216, np.uint16)
    codes[0] = 0
    source = write(tmp_path / 'eucropmap.tif', codes, 0)
    rules = options(tmp_path, by_crop=False, labels=source)
    download_region(REGION, Shelf(**shelf), KINDS, rules)
    mask = read_raster(tmp_path / 'regions' / 'crop_map' / 'u.tif')
    assert np.array_equal(mask[0], codes)
    assert (tmp_path / 'regions' / 's1' / '6' / 'u.tif').exists()


def test_tiles_divide_a_large_region():
    tiles = tiles_of(REGION, 10, 5)
    assert [tile.uid for tile in tiles] == ['u_t000_000', 'u_t000_001', 'u_t001_000', 'u_t001_001']
    assert sum((t.bounds[2] - t.bounds[0]) * (t.bounds[3] - t.bounds[1]) for t in tiles) == pytest.approx(6400)
    assert tiles_of(REGION, 10, 8) == [REGION]


def item_of(collection, scene, folder):
    """A scene as STAC writes it, with addresses relative to the folder."""
    return {
        'type': 'Feature',
        'stac_version': '1.0.0',
        'id': scene.name,
        'collection': collection,
        'geometry': shapely.geometry.mapping(scene.footprint),
        'bbox': list(scene.footprint.bounds),
        'properties': {**scene.properties, 'datetime': f'{scene.date}T10:00:00Z'},
        'assets': {key: {'href': os.path.relpath(path, folder)} for key, path in scene.assets.items()},
        'links': [{'rel': 'collection', 'href': f'./{collection}.json'}],
    }


def collection_of(name, links):
    extent = {'spatial': {'bbox': [[-180, -90, 180, 90]]}, 'temporal': {'interval': [[None, None]]}}
    about = {'type': 'Collection', 'stac_version': '1.0.0', 'id': name, 'description': name, 'license': 'other'}
    return {**about, 'extent': extent, 'links': links}


def write_catalogue(folder, collections):
    """The scenes as a static catalogue."""
    links = []
    for name, scenes in collections.items():
        for scene in scenes:
            (folder / f'{scene.name}.json').write_text(json.dumps(item_of(name, scene, folder)))
        items = [{'rel': 'item', 'href': f'./{scene.name}.json'} for scene in scenes]
        (folder / f'{name}.json').write_text(json.dumps(collection_of(name, items)))
        links.append({'rel': 'child', 'href': f'./{name}.json'})
    catalogue = {'type': 'Catalog', 'stac_version': '1.0.0', 'id': 'c', 'description': 'c', 'links': links}
    (folder / 'catalog.json').write_text(json.dumps(catalogue))
    return str(folder / 'catalog.json')


class Api(BaseHTTPRequestHandler):
    """A STAC API of one collection, two items a page."""

    items: ClassVar[list] = []

    def do_GET(self):
        root = f'http://{self.headers["Host"]}'
        if self.path == '/':
            classes = ('core', 'item-search', 'collections', 'ogcapi-features')
            search = dict(rel='search', href=f'{root}/search', type='application/geo+json', method='POST')
            links = [search, dict(rel='data', href=f'{root}/collections'), dict(rel='self', href=root)]
            about = dict(type='Catalog', stac_version='1.0.0', id='api', description='api', links=links)
            self.answer({**about, 'conformsTo': [f'https://api.stacspec.org/v1.0.0/{name}' for name in classes]})
        elif self.path == '/collections/sentinel-2-l2a':
            self.answer(collection_of('sentinel-2-l2a', []))
        else:
            self.send_error(404)

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        first = asked.get('token', 0)
        body = dict(asked, token=first + 2)
        more = dict(rel='next', href=f'http://{self.headers["Host"]}/search', method='POST', body=body)
        links = [more] if first + 2 < len(self.items) else []
        self.answer(dict(type='FeatureCollection', features=self.items[first : first + 2], links=links))

    def answer(self, content):
        self.send_response(200)
        self.send_header('Content-Type', 'application/json')
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_):
        """Nothing is printed."""


@pytest.fixture
def api(shelf):
    """Address of a server on this machine with the optical scenes, whose files are under lock."""
    items = [item_of('sentinel-2-l2a', scene, '/') for scene in shelf['sentinel-2-l2a']]
    for item, scene in zip(items, shelf['sentinel-2-l2a'], strict=True):
        item['assets'] = {
            key: {'href': f'{path}.locked', 'raster:bands': [{'scale': 0.0001, 'offset': 0}]}
            for key, path in scene.assets.items()
        }
    server = ThreadingHTTPServer(('127.0.0.1', 0), type('Served', (Api,), dict(items=items)))
    thread = threading.Thread(target=server.serve_forever, kwargs=dict(poll_interval=0.01))
    thread.start()
    yield f'http://127.0.0.1:{server.server_port}'
    server.shutdown()
    thread.join()
    server.server_close()


def test_all_pages_of_an_api_are_read_and_signed(api, monkeypatch):
    pytest.importorskip('pystac_client')

    def unlock(item):
        item = item.clone()
        for asset in item.assets.values():
            asset.href = asset.href.removesuffix('.locked')
        return item

    monkeypatch.setitem(sys.modules, 'keys', SimpleNamespace(unlock=unlock))
    catalogue = Catalogue(api, 'keys:unlock')
    first, last = monthly_windows(HARVEST)[0][0], monthly_windows(HARVEST)[-1][1]
    found = catalogue.search('sentinel-2-l2a', PLACE, first, last)
    assert [scene.name for scene in found] == ['o1', 'o2', 'o3', 'o4', 'o5', 'o6']
    assert found[0].scalings['B02'] == (0.0001, 0)
    assert OpticalComposites().compose(found[:1], GRID) == pytest.approx(0.1)
    assert catalogue.search('sentinel-2-l2a', shapely.box(0, 0, 1, 1), first, last) == []
    with pytest.raises(DataError, match=r"no collection 'sentinel-2-l2b'.*--s2-collection"):
        catalogue.search('sentinel-2-l2b', PLACE, first, last)


def run_tool(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(TOOL), run_name='__main__')
    return end.value.code


def test_the_tool_downloads_from_a_static_catalogue_and_cuts_patches(tmp_path, shelf, monkeypatch, capsys):
    pytest.importorskip('pystac')
    geopandas = pytest.importorskip('geopandas')
    (tmp_path / 'stac').mkdir()
    broken = tmp_path / 'o6_B11.tif'
    whole = Path(shelf['sentinel-2-l2a'][5].assets['B11']).read_bytes()
    broken.write_bytes(whole[:80])
    catalogue = write_catalogue(tmp_path / 'stac', with_band(shelf, 5, 'B11', broken))
    names = ('left', 'bottom', 'right', 'top')
    columns = dict(uuid=['u'], crop=['pea'], harvest_date=['2022-05-01'], crs=['EPSG:32639'])
    columns |= {name: [value] for name, value in zip(names, REGION.bounds, strict=True)}
    geopandas.GeoDataFrame(columns, geometry=[PLACE], crs=4326).to_file(tmp_path / 'regions.gpkg', layer='regions')
    mask = tmp_path / 'patches' / 'train' / 'pea' / 'crop_map' / 'u_r00_c00.tif'
    write(mask, np.uint8(1), 255)
    command = (tmp_path, '--stac', catalogue, '--first-wait', 0, '--attempts', 1)
    assert run_tool(monkeypatch, *command) == 1
    assert 'o6_B11.tif' in (tmp_path / 'download_failures.json').read_text()
    broken.write_bytes(whole)
    assert run_tool(monkeypatch, *command) == 0
    assert '1 images made' in ' '.join(capsys.readouterr().out.split())
    assert not (tmp_path / 'download_failures.json').exists()
    cut = read_raster(tmp_path / 'patches' / 'train' / 'pea' / 's2' / '6' / 'u_r00_c00.tif')
    assert cut == pytest.approx(0.6)


def test_the_harvest_of_every_tile_of_a_map_is_written_for_the_dataset(tmp_path, shelf, monkeypatch):
    pytest.importorskip('pystac')
    geopandas = pytest.importorskip('geopandas')
    (tmp_path / 'stac').mkdir()
    catalogue = write_catalogue(tmp_path / 'stac', shelf)
    columns = dict(uuid=['u'], crop=['Spain'], harvest_date=['2022-05-01'], crs=['EPSG:32639'])
    names = ('left', 'bottom', 'right', 'top')
    columns |= {name: [value] for name, value in zip(names, REGION.bounds, strict=True)}
    geopandas.GeoDataFrame(columns, geometry=[PLACE], crs=4326).to_file(tmp_path / 'regions.gpkg', layer='regions')
    source = write(tmp_path / 'eucropmap.tif', np.uint16(216), 0)
    command = (tmp_path, '--stac', catalogue, '--sensors', 's1', '--labels', source, '--largest', 5)
    assert run_tool(monkeypatch, *command) == 0
    found = read_harvest_dates(tmp_path / 'patches' / 'regions.csv')
    assert found == dict.fromkeys(['u_t000_000', 'u_t000_001', 'u_t001_000', 'u_t001_001'], HARVEST)
    assert (tmp_path / 'regions' / 'crop_map' / 'u_t001_001.tif').is_file()


def test_a_catalogue_that_is_none_and_an_unknown_collection_are_named(tmp_path, shelf):
    pytest.importorskip('pystac')
    (tmp_path / 'stac').mkdir()
    with pytest.raises(DataError, match=r'cannot be read.*none\.json'):
        Catalogue(str(tmp_path / 'none.json'))
    catalogue = Catalogue(write_catalogue(tmp_path / 'stac', shelf))
    with pytest.raises(DataError, match=r"no collection 'landsat'.*sentinel-1-rtc"):
        catalogue.search('landsat', PLACE, HARVEST, HARVEST)
    found = catalogue.search('sentinel-2-l2a', PLACE, datetime.date(2021, 10, 1), datetime.date(2021, 12, 1))
    assert [scene.name for scene in found] == ['o1', 'o2']
