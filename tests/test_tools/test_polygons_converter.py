"""From a file of fields to a dataset that can be trained on, as a user runs it."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

geopandas = pytest.importorskip('geopandas')
rasterio = pytest.importorskip('rasterio')
shapely = pytest.importorskip('shapely')

from mmsits.datasets import ISRCDataset  # noqa: E402
from mmsits.datasets.composite_windows import window_days  # noqa: E402
from mmsits.datasets.polygons import cut_region, encode_raster, read_raster, read_regions  # noqa: E402
from mmsits.datasets.scene.grid import Grid  # noqa: E402
from mmsits.datasets.transforms import PackSeriesInputs  # noqa: E402

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'dataset_converters' / 'polygons.py'
CALENDAR = """crop,Province,Planting Start Date,Planting End Date,Harvest Start Date,Harvest End Date
Canola,West,07-11,09-10,02-11,05-31
Canola,East,07-11,09-10,-,-
Pea_Early,West,12-11,02-20,03-21,06-10
Pea_Late,West,12-11,02-20,04-21,06-10
"""


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', [str(TOOL), *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(TOOL), run_name='__main__')
    return end.value.code


@pytest.fixture(scope='module')
def sources(tmp_path_factory):
    """Twelve groups of two fields far from each other, the last in a province without harvest dates."""
    folder = tmp_path_factory.mktemp('sources')
    shapes, crops = [], []
    for number in range(12):
        x, y = 48 + 0.1 * number, 32 + 0.05 * (number % 3)
        for step in (0, 0.004):
            shapes.append(shapely.box(x + step, y, x + step + 0.002, y + 0.002))
            crops.append('Canola' if number % 2 else 'Pea')
    geopandas.GeoDataFrame({'crop': crops}, geometry=shapes, crs=4326).to_file(folder / 'fields.gpkg')
    boxes = [shapely.box(47, 31, 49.05, 33), shapely.box(49.05, 31, 50, 33)]
    provinces = geopandas.GeoDataFrame({'province': ['West', 'East']}, geometry=boxes, crs=4326)
    provinces.to_file(folder / 'provinces.gpkg')
    (folder / 'calendar.csv').write_text(CALENDAR)
    return folder


def dated(sources):
    return '--provinces', sources / 'provinces.gpkg', '--calendar', sources / 'calendar.csv', '--start-year', 1400


def test_one_command_makes_what_a_dataset_reads(sources, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'crops'
    shares = ('train=0.6', 'val=0.2', 'test=0.2')
    assert run(monkeypatch, sources / 'fields.gpkg', out, *dated(sources), '--splits', *shares) == 0
    said = ' '.join(capsys.readouterr().out.split())
    assert 'canola, Canola: no harvest date for 1 regions, in East (1)' in said
    summary = json.loads((out / 'summary.json').read_text())
    assert summary['canola']['harvests'] == {'2022-05-01': 5}
    assert summary['pea']['harvests'] == {'2022-06-11': 6}  # the earlier season
    assert (out / 'regions.png').read_bytes().startswith(b'\x89PNG')
    regions = read_regions(out / 'regions.gpkg')
    assert len(regions) == 11
    for region in regions:
        mask = read_raster(out / 'regions' / region.crop / 'crop_map' / f'{region.uid}.tif')[0]
        assert set(np.unique(mask)) == {1, 255}
    held = {
        split: {p.stem[:32] for p in (out / 'patches' / split).rglob('*.tif')} for split in ('train', 'val', 'test')
    }
    assert all(held.values())
    assert sum(map(len, held.values())) == len(set.union(*held.values())) == 11

    # The patches of a region come first in the order of their names.
    uid = min(region.uid for region in regions if region.crop == 'pea' and region.uid in held['train'])
    write_images(out / 'regions' / 'pea', uid)
    assert cut_region(out / 'regions', out / 'patches', 'pea', uid) >= 12
    patches = str(out / 'patches')
    dataset = ISRCDataset(patches, roots=dict(pea='pea'), split='train', pipeline=[PackSeriesInputs()])
    assert {dataset.get_data_info(i)['region'] for i in range(len(dataset))} <= held['train']
    info, sample = dataset.get_data_info(0), dataset[0]
    harvest = {region.uid: region.harvest for region in regions}[info['region']]
    assert info['harvest_date'] == harvest.isoformat()
    days = np.array([np.datetime64(day) for day in window_days(harvest)]).astype(np.int64)
    assert sample['inputs']['s2'].days.tolist() == days.tolist()
    crop = dataset.metainfo['classes'].index(info['crop'])
    assert set(sample['targets'].unique().tolist()) == {crop, 255}


def write_images(root, uid):
    with rasterio.open(root / 'crop_map' / f'{uid}.tif') as file:
        grid = Grid(file.crs, file.transform, file.height, file.width)
    for sensor, bands, value in (('s1', 2, -12.0), ('s2', 10, 0.2)):
        for number in range(1, 7):
            path = root / sensor / str(number) / f'{uid}.tif'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encode_raster(np.full((bands, *grid.shape), value, np.float32), grid, np.nan))


def test_the_published_rules_are_one_option(sources, tmp_path, monkeypatch):
    out = tmp_path / 'published'
    assert run(monkeypatch, sources / 'fields.gpkg', out, *dated(sources), '--as-published', '--inner-buffer', 5) == 0
    regions = read_regions(out / 'regions.gpkg')
    assert {region.crs for region in regions} == {'EPSG:3857'}
    assert sum(region.crop == 'pea' for region in regions) == 12  # each with either season
    mask = read_raster(next((out / 'regions' / 'pea' / 'crop_map').glob('*.tif')))
    assert set(np.unique(mask)) == {0, 1}


def test_mistakes_are_sentences_and_leave_nothing(sources, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'out'
    fields = sources / 'fields.gpkg'
    for arguments, status, words in (
        ((fields, out, '--calendar', sources / 'calendar.csv'), 2, 'give --provinces too'),
        ((fields, out, '--assume-crs', 'EPSG:99999'), 2, "no coordinate reference system 'EPSG:99999'"),
        ((fields, out, '--assume-crs', 'utm'), 2, "no coordinate reference system 'utm'"),
        ((fields, out, '--splits', 'train'), 2, 'takes NAME=VALUE'),
        ((fields, out, '--splits', 'train=0.5'), 1, 'sum up to 1'),
        ((fields, out, *dated(sources), '--seasons', 'wheat=Pea_Early'), 2, "no fields of ['wheat']"),
        ((fields, out, *dated(sources), '--seasons', 'pea=Pea'), 1, "no season 'Pea'"),
        ((fields, tmp_path), 1, 'exists already'),
    ):
        assert run(monkeypatch, *arguments) == status
        assert words in ' '.join(capsys.readouterr().err.split())
        assert [path.name for path in tmp_path.iterdir()] == []
