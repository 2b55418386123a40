"""PASTIS items against golden values made with the published loader (Garnot & Landrieu, utae-paps)."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dataset import pseudo_collate

from mmsits.datasets.pastis import IGNORED, VOID, PASTISDataset
from mmsits.datasets.transforms import LoadPASTISInstances, LoadSeries, LoadSeriesLabels, PackSeriesInputs, SelectDate
from mmsits.models.data_preprocessors import SeriesDataPreprocessor

from .golden import Comparer, GoldenFile, register_check


@register_check('pastis_item')
def check_pastis_item(golden: GoldenFile, compare: Comparer) -> None:
    """Compare dataset, transforms and data preprocessor with the published PASTIS loader.

    The golden file holds a tiny PASTIS folder, the loader's constructor arguments and its items. Our label 255 is
    turned back into the published void code 19, and channels of the panoptic target are put last, before comparing.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_golden_folder(golden.arrays, golden.meta, folder)
        ours = _batch(folder, golden.meta)
        for prefix, arguments in golden.meta['items'].items():
            ours.update(_items(folder, prefix, arguments, golden.meta))
    for output in golden.outputs():
        compare(output, ours[output])


def write_golden_folder(arrays: Mapping[str, np.ndarray], meta: dict, folder: Path) -> None:
    """Write the tiny PASTIS folder that a golden file holds.

    Args:
        arrays: arrays of the file; ``in/<kind>/<patch>`` are the contents of .npy files.
        meta: its description: dates, folds and NORM table.
        folder: where to write.
    """
    places = {'DATA_S2': ('DATA_S2', 'S2'), 'TARGET': ('ANNOTATIONS', 'TARGET')}
    for key, array in arrays.items():
        if not key.startswith('in/'):
            continue
        _, kind, patch = key.split('/')
        place, name = places.get(kind, ('INSTANCE_ANNOTATIONS', kind))
        (folder / place).mkdir(exist_ok=True)
        np.save(folder / place / f'{name}_{patch}.npy', array)
    features = []
    for patch, dates in meta['dates'].items():
        positions = {str(position): date for position, date in enumerate(dates)}
        properties = {'ID_PATCH': int(patch), 'Fold': meta['folds'][patch], 'dates-S2': positions}
        features.append({'type': 'Feature', 'properties': properties, 'geometry': None})
    (folder / 'metadata.geojson').write_text(json.dumps({'type': 'FeatureCollection', 'features': features}))
    (folder / 'NORM_S2_patch.json').write_text(json.dumps(meta['norm']))


def _dataset(folder: Path, arguments: dict[str, Any], meta: dict) -> PASTISDataset:
    pipeline: list[Any] = [LoadSeries(), LoadSeriesLabels()]
    mono = arguments.get('mono_date')
    if mono is not None:
        pipeline.append(SelectDate(int(mono) if mono.isdigit() else mono))
    mapping = arguments.get('class_mapping')
    label_map: dict[int | str, int] | None = None
    if mapping is not None:
        label_map = {int(code): label for code, label in mapping.items()}
    return PASTISDataset(
        str(folder),
        folds=arguments['folds'],
        label_map=label_map,
        season_start=meta['reference_date'],
        pipeline=[*pipeline, PackSeriesInputs()],
    )


def _preprocessor(dataset: PASTISDataset, norm: bool = True) -> SeriesDataPreprocessor:
    bands = len(dataset.sensors_info['s2']['bands'])
    identity = dict(s2=dict(mean=[0.0] * bands, std=[1.0] * bands))
    return SeriesDataPreprocessor(sensors=dict(s2=bands), statistics=dataset.statistics if norm else identity)


def _items(folder: Path, prefix: str, arguments: dict[str, Any], meta: dict) -> dict[str, np.ndarray]:
    dataset = _dataset(folder, arguments, meta)
    preprocess = _preprocessor(dataset, arguments.get('norm', True))
    items = {}
    for index in range(len(dataset)):
        batch = preprocess(pseudo_collate([dataset[index]]))
        series = batch['inputs']['s2']
        items[f'{prefix}_{index}_data'] = series.values[0].numpy()
        items[f'{prefix}_{index}_dates'] = series.days[0].numpy()
        items[f'{prefix}_{index}_target'] = _published_codes(batch['targets'][0, 0].numpy())
        if arguments.get('target') == 'instance':
            instances = LoadPASTISInstances().transform(dataset.get_data_info(index))['instances']
            items[f'{prefix}_{index}_target'] = instances.transpose(1, 2, 0)
    return items


def _batch(folder: Path, meta: dict) -> dict[str, np.ndarray]:
    dataset = _dataset(folder, meta['items']['ds_f21'], meta)
    batch = _preprocessor(dataset)(pseudo_collate([dataset[index] for index in range(len(dataset))]))
    series = batch['inputs']['s2']
    return dict(
        batch_dates=series.days.numpy(),
        batch_target=_published_codes(batch['targets'][:, 0].numpy()),
        batch_shape=np.array(series.values.shape),
        batch_data_sample1=series.values[2].numpy(),
    )


def _published_codes(labels: np.ndarray) -> np.ndarray:
    return np.where(labels == IGNORED, VOID, labels)
