"""Checks of CropMapping's data: normalisation, labels, an item, augmentation; what makes patches is compared by
`cropmapping_polygons`."""

from __future__ import annotations

import datetime
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate

from mmsits.datasets import EuroCropMapDataset, ISRCDataset
from mmsits.datasets.composite_windows import monthly_windows
from mmsits.datasets.transforms import PackSeriesInputs, StretchToUnit
from mmsits.datasets.transforms.rotation import rotate
from mmsits.models.data_preprocessors import SeriesDataPreprocessor
from mmsits.structures import ImageSeries, binary_maps

from .golden import Comparer, GoldenFile, register_check


@register_check('cropmapping_pipeline')
def check_pipeline(golden: GoldenFile, compare: Comparer) -> None:
    """Everything between the polygons and the network."""
    for sensor in ('s1', 's2'):
        values = golden.arrays[f'in/{sensor}']
        compare(f'{sensor}_norm', _stretched(sensor, values))
    _check_labels(golden, compare)
    _check_windows(golden, compare)
    _check_augmentation(golden, compare)
    _check_item(golden, compare)
    from .cropmapping_polygons import compare_polygon_outputs

    compare_polygon_outputs(golden, compare)


def _stretched(sensor: str, values: np.ndarray) -> np.ndarray:
    """One date (C,H,W) through the transform."""
    series = ImageSeries(values[None], np.zeros(1, np.int32), np.ones((1, 1, 1), bool))
    return StretchToUnit().transform(dict(inputs={sensor: series}))['inputs'][sensor].values[0]


def _as_published(labels: np.ndarray, crops: int) -> np.ndarray:
    """Published targets: a map for each crop."""
    return binary_maps(torch.from_numpy(labels.astype(np.int64))[None], crops)[0].numpy()


def _check_labels(golden: GoldenFile, compare: Comparer) -> None:
    about: dict[str, Any] = dict(crop='maize', label_path='golden', sample_id='golden')
    europe = EuroCropMapDataset(no_data_is_other=True, lazy_init=True)
    compare('eu_target', _as_published(europe.labels_of(golden.arrays['in/eu_map'][0], about), europe.NUM_CROPS))
    iran = ISRCDataset(marked_share=0.01, negatives='all_crops', lazy_init=True)
    held = golden.arrays['in/iran_map']
    target = _as_published(iran.labels_of(held, about), iran.NUM_CROPS).astype(np.float64)
    # Published: exactly the limit stays as it is. A label is 0 or 1 here.
    limit = np.isclose(held, 0.01, rtol=0, atol=1e-12)
    target[iran.METAINFO['classes'].index('maize'), limit] = 0.01
    compare('iran_target_maize', target)
    compare('iran_target_none', target[iran.METAINFO['classes'].index('maize')])


def _check_windows(golden: GoldenFile, compare: Comparer) -> None:
    for harvest, expected in golden.meta['windows'].items():
        ours = [[day.isoformat() for day in window] for window in monthly_windows(datetime.date.fromisoformat(harvest))]
        compare.figure(f'windows/{harvest}', float(ours == expected), 1.0)


def _check_augmentation(golden: GoldenFile, compare: Comparer) -> None:
    about, image = golden.meta['augmentation'], golden.arrays['in/aug_image']

    def turned(array: np.ndarray) -> np.ndarray:
        flips = tuple(axis for axis, name in ((-1, 'hflip'), (-2, 'vflip')) if about[name])
        return rotate(np.flip(array, flips), about['angle_degrees'])

    compare('aug_s1', turned(image))
    compare('aug_s2_minus_1', turned(image + 1) - 1)
    compare('aug_mask', turned((image[:1] > 0.5).astype(np.float32)))
    _check_seed_sequence(golden, compare)


def _check_seed_sequence(golden: GoldenFile, compare: Comparer) -> None:
    """The published way of giving all images of a sample one augmentation soon goes round in circles; ours draws once
    for a sample (`DrawIndex`), so only the procedure is repeated here."""
    expected = golden.meta['augmentation_seed_sequence_from_seed0']
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn: list[int] = []
        while len(drawn) <= expected['first_repeat_at']:
            drawn.append(int(torch.randint(1, 1000, (1,))))
            torch.manual_seed(drawn[-1])
            torch.rand(1), torch.rand(1), torch.empty(1).uniform_(0, 90)
    compare.figure('seeds', float(drawn[: len(expected['first'])] == expected['first']), 1.0)
    repeated = drawn[expected['first_repeat_at']] == drawn[expected['repeats_value_at']]
    compare.figure('seeds repeat', float(repeated), 1.0)


def _check_item(golden: GoldenFile, compare: Comparer) -> None:
    """An item from files, as published: stretched by the patch's extremes, unmarked pixels as negatives."""
    from rasterio.errors import NotGeoreferencedWarning

    name = golden.meta['dataset_item']['names_sorted'][0]
    # Published files need no georeference.
    with tempfile.TemporaryDirectory() as place, warnings.catch_warnings():
        warnings.simplefilter('ignore', NotGeoreferencedWarning)
        root = Path(place) / 'pea'
        _write_item(golden, root, name)
        # A mask in which the limit itself counted would differ by those pixels alone.
        dataset = ISRCDataset(
            place,
            marked_share=0.01,
            negatives='all_crops',
            harvest_date='2022-06-22',
            pipeline=[StretchToUnit(), PackSeriesInputs()],
        )
        batch = SeriesDataPreprocessor(
            sensors=dict(s1=2, s2=10),
            statistics=dict(s1=dict(mean=[0.0] * 2, std=[1.0] * 2), s2=dict(mean=[0.0] * 10, std=[1.0] * 10)),
        )(pseudo_collate([dataset[0]]))
    s1, s2 = (batch['inputs'][sensor].values[0].transpose(0, 1) for sensor in ('s1', 's2'))
    rows = golden.arrays['in/item_s1_date2'].shape[1]
    compare('item_s1_date2', s1[:, 1, :rows])
    compare('item_s2_date5', s2[:, 4, :rows])
    compare('item_shapes', np.array([s1.shape, s2.shape]))
    target = binary_maps(batch['targets'][0], dataset.NUM_CROPS)[0].float()
    compare('item_target', target.sum((1, 2)))
    compare('item_target_pea', target[dataset.METAINFO['classes'].index('pea')])


def _write_item(golden: GoldenFile, root: Path, name: str) -> None:
    """Files of a sample. Only some rows of two dates are known, and the extremes of Sentinel-1."""
    size = golden.arrays['in/item_crop_map'].shape[-1]
    for sensor, bands, known in (('s1', 2, 2), ('s2', 10, 5)):
        rows = golden.arrays[f'in/item_{sensor}_date{known}']
        for date in range(1, 7):
            values = np.full((bands, size, size), -12.0 if sensor == 's1' else 0.2, np.float32)
            if date == known:
                values[:, : rows.shape[1]] = rows
            if sensor == 's1':
                values[:, -1, 0] = golden.arrays['in/item_s1_min'][date - 1]
                values[:, -1, 1] = golden.arrays['in/item_s1_max'][date - 1]
            write_tif(root / sensor / str(date) / name, values)
    write_tif(root / 'crop_map' / name, golden.arrays['in/item_crop_map'])


def write_tif(path: Path, values: np.ndarray) -> None:
    """An image (C,H,W) without georeference."""
    import rasterio

    path.parent.mkdir(parents=True, exist_ok=True)
    count, height, width = values.shape
    with rasterio.open(path, 'w', driver='GTiff', count=count, height=height, width=width, dtype=values.dtype) as file:
        file.write(values)
