"""Checks of STCLN's data, lists and scores: items of MTLCC and PASTIS, what was trained on, how it was scored."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import pseudo_collate

from mmsits.datasets.mtlcc import IGNORED, MTLCCDataset
from mmsits.datasets.pastis import VOID, PASTISDataset
from mmsits.datasets.published_lists import list_classes, published_list
from mmsits.datasets.tfrecord import parse_example, read_records
from mmsits.datasets.transforms import LoadSeries, LoadSeriesLabels, PackSeriesInputs
from mmsits.evaluation import confusion_matrix, scores
from mmsits.models.data_preprocessors import SeriesDataPreprocessor

from .golden import Comparer, GoldenFile, register_check


@register_check('stcln_mtlcc_item')
def check_mtlcc_item(golden: GoldenFile, compare: Comparer) -> None:
    """Tiles as GeoTIFFs and as a TFRecord: values, labels, dates, and which tiles have dates enough."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_mtlcc_tiles(golden, folder)
        for dates, output, labels in ((5, 'x', 'y'), (3, 'x_tile78_len3', None)):
            tiles = _tiles(folder / 'geotiff', dates)
            names = [tiles.get_data_info(index)['sample_id'] for index in range(len(tiles))]
            compare(f'samples_len{dates}', np.array(names))
            values, codes = _published_item(tiles, len(tiles) - 1)
            compare(output, values)
            if labels:
                compare(labels, codes)
        values, codes = _published_item(_tiles(folder / 'tfrecord', 5), 0)
        compare('x', values)
        compare('y', codes)
        path = folder / 'tfrecord' / 'data16' / '77.tfrecord.gz'
        example = parse_example(next(read_records(path)), path)
        for key in ('doy', 'year'):
            compare(f'tfrecord_{key}', np.frombuffer(example[f'dates/{key}'][0], '<i8'))


def write_mtlcc_tiles(golden: GoldenFile, folder: Path) -> None:
    """Write the tiles of a golden file: GeoTIFFs in `geotiff`, a TFRecord in `tfrecord`.

    Args:
        golden: arrays `in/…` by date and resolution, the bytes of a TFRecord, tiles and their dates.
        folder: where to.
    """
    from mmsits.datasets.simulator.mtlcc_layout import write_raster

    for form in ('geotiff', 'tfrecord'):
        (folder / form / 'tileids').mkdir(parents=True)
        (folder / form / 'classes.txt').write_text(str(golden.arrays['in/classes_txt']))
        (folder / form / 'tileids' / 'train_fold0.tileids').write_text('\n'.join(golden.meta['tile_list']))
    for tile, dates in golden.meta['tiles'].items():
        place = folder / 'geotiff' / 'data' / tile
        place.mkdir(parents=True)
        write_raster(place / 'y.tif', golden.arrays['in/y'])
        for index, date in enumerate(dates):
            for size in (10, 20, 60):
                write_raster(place / f'{date}_{size}m.tif', golden.arrays[f'in/x{size}'][index])
    (folder / 'tfrecord' / 'data16').mkdir()
    (folder / 'tfrecord' / 'data16' / '77.tfrecord.gz').write_bytes(golden.arrays['in/tfrecord_gz'].tobytes())


def _tiles(folder: Path, min_dates: int) -> MTLCCDataset:
    return MTLCCDataset(str(folder), min_dates=min_dates, absent_tiles='warn', pipeline=[PackSeriesInputs()])


def _published_item(dataset: MTLCCDataset, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Reflectances and class indices, unknown being 0, as the published loader gives them."""
    sample = dataset[index]
    scale = dict(s2=dict(mean=[0.0] * 13, std=[10000.0] * 13))
    preprocess = SeriesDataPreprocessor(sensors=dict(s2=13), statistics=scale)
    values = preprocess(pseudo_collate([sample]))['inputs']['s2'].values[0].numpy()
    labels = sample['targets'][0].numpy().astype(np.int64)
    return values, np.where(labels == IGNORED, 0, labels)


@register_check('stcln_pastis_item')
def check_pastis_item(golden: GoldenFile, compare: Comparer) -> None:
    """Patches of single folds: order, normalised values, dates, labels, and a padded batch."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _write_patches(golden, folder)
        first, both = (_patches(folder, folds) for folds in ([1], [2, 1]))
        compare('fold1_ids', _ids(first))
        compare('fold2_1_ids', _ids(both))
        for index in range(2):
            item = _batch(first, [index])
            compare(f'fold1_item{index}_data', item['data'][0])
            compare(f'fold1_item{index}_dates', item['dates'][0])
            compare(f'fold1_item{index}_target', item['target'][0])
        item = _batch(both, [0])
        compare('fold2_1_item0_data', item['data'][0])
        compare('fold2_1_item0_dates', item['dates'][0])
        compare('raw_fold2_item0_data', _batch(_patches(folder, [2]), [0], normalise=False)['data'][0])
        for output, values in _batch(first, [0, 1]).items():
            compare(f'batch_{output}', values)


def _write_patches(golden: GoldenFile, folder: Path) -> None:
    (folder / 'metadata.geojson').write_text(str(golden.arrays['in/metadata_geojson']))
    (folder / 'NORM_S2_patch.json').write_text(str(golden.arrays['in/norm_json']))
    places = {'S2': 'DATA_S2', 'TARGET': 'ANNOTATIONS'}
    for place in places.values():
        (folder / place).mkdir()
    for feature in json.loads(str(golden.arrays['in/metadata_geojson']))['features']:
        for kind, place in places.items():
            name = f'{kind}_{feature["properties"]["ID_PATCH"]}'
            np.save(folder / place / f'{name}.npy', golden.arrays[f'in/{name}'])


def _patches(folder: Path, folds: list[int]) -> PASTISDataset:
    pipeline = [LoadSeries(), LoadSeriesLabels(), PackSeriesInputs()]
    return PASTISDataset(str(folder), folds=folds, season_start='2018-09-01', pipeline=pipeline)


def _ids(dataset: PASTISDataset) -> np.ndarray:
    return np.array([int(dataset.get_data_info(index)['sample_id']) for index in range(len(dataset))])


def _batch(dataset: PASTISDataset, indices: list[int], normalise: bool = True) -> dict[str, Any]:
    identity = dict(s2=dict(mean=[0.0] * 10, std=[1.0] * 10))
    statistics = {**dataset.statistics} if normalise else identity
    preprocess = SeriesDataPreprocessor(sensors=dict(s2=10), statistics=statistics)
    batch = preprocess(pseudo_collate([dataset[index] for index in indices]))
    series, labels = batch['inputs']['s2'], batch['targets'][:, 0].numpy().astype(np.int64)
    return dict(
        data=series.values.numpy(),
        dates=series.days.numpy().astype(np.int64),
        target=np.where(labels == IGNORED, VOID, labels),
    )


@register_check('stcln_splits')
def check_splits(golden: GoldenFile, compare: Comparer) -> None:
    """Lists of patches and tiles; the first of each class of these make one percent."""
    for split in ('train', 'val'):
        compare(f'pastis_{split}', np.array(published_list(f'stcln_pastis_{split}')))
        tiles = np.array(published_list(f'stcln_mtlcc_{split}'))
        compare(f'mtlcc_{split}', tiles.reshape(len(golden.arrays['out/mtlcc_classes']), -1))
    compare('mtlcc_classes', np.array(list_classes('stcln_mtlcc_train')))


@register_check('stcln_metrics')
def check_metrics(golden: GoldenFile, compare: Comparer) -> None:
    """Both test scripts: background and void of PASTIS, unknown of MTLCC do not count, each in its own way."""
    for name, ignored, excluded, classes in (('pastis', (0, VOID), (), 20), ('mtlcc', (0,), (0,), 18)):
        truth, predicted = golden.arrays[f'in/{name}_true'], golden.arrays[f'in/{name}_pred']
        reference = np.where(np.isin(truth, ignored), IGNORED, truth)
        counts = confusion_matrix(predicted, reference, classes)
        found = scores(counts, excluded, 'reference_submatrix')
        labels = np.flatnonzero(found.support)
        compare(f'{name}_OA', found.overall['OA'])
        compare(f'{name}_mIoU', found.overall['mIoU'])
        compare(f'{name}_mF1', found.overall['macro_F1'])
        compare(f'{name}_labels', labels)
        compare(f'{name}_iou', found.per_class['IoU'][labels])
        if f'out/{name}_kappa' in golden:
            compare(f'{name}_kappa', found.overall['kappa'])
