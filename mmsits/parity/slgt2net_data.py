"""Checks of the data of SL-GT2Net: items of Brandenburg, and the training transforms on a patch of Slovenia."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from scipy.io import savemat

from mmsits.datasets.base import SeriesDataset
from mmsits.datasets.brandenburg import BrandenburgDataset
from mmsits.datasets.slovenia import SloveniaDataset
from mmsits.datasets.transforms import (
    PackSeriesInputs,
    PadSeries,
    SeriesRandomCrop,
    SeriesRandomFlip,
    SeriesRandomResize,
)
from mmsits.datasets.transforms.resizing import fitted_size, resize_series
from mmsits.models.data_preprocessors import SeriesDataPreprocessor
from mmsits.models.layers.date_fitting import FitDates
from mmsits.structures import ImageSeries

from .golden import Comparer, GoldenFile, register_check


class PublishedDraws:
    """Random numbers of numpy's old global generator, of which the published transforms took theirs.

    Args:
        seed: what `numpy.random.seed` was given.
    """

    def __init__(self, seed: int) -> None:
        self._state = np.random.RandomState(seed)

    def random(self) -> float:
        """A number in [0, 1)."""
        return float(self._state.random_sample())

    def integers(self, high: int) -> int:
        """An integer in [0, high)."""
        return int(self._state.randint(0, high))


class _SetDraws:
    """A transform that makes those behind it draw as published."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, results: dict) -> dict:
        return {**results, 'rng': PublishedDraws(self.seed)}


def _network_input(sample: dict, norm: dict, steps: int) -> torch.Tensor:
    """A sample as the published network gets it, (C,T,H,W): normalised, and of so many steps."""
    statistics = dict(s1=dict(mean=norm['mean'], std=norm['std']))
    preprocess = SeriesDataPreprocessor(sensors=dict(s1=len(norm['mean'])), statistics=statistics)
    series = preprocess(pseudo_collate([sample]))['inputs']['s1']
    exists = series.valid.flatten(2).any(2)
    return FitDates(steps, 'reflect')(series.values, exists)[0].transpose(0, 1)


@register_check('slgt2_brandenburg_item')
def check_brandenburg(golden: GoldenFile, compare: Comparer) -> None:
    """Samples of the validation list: which files, normalised images of 48 steps, labels."""
    meta = golden.meta
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place in ('trainval_vhvv', 'trainval_label', 'split'):
            (folder / place).mkdir()
        for k, (data, label) in enumerate(zip(golden.arrays['in/data'], golden.arrays['in/label'], strict=True)):
            savemat(folder / 'trainval_vhvv' / f'VHVV_{k:04d}.mat', dict(data=data))
            savemat(folder / 'trainval_label' / f'label_s1_{k:04d}.mat', dict(label=label))
        (folder / 'split' / 'val.txt').write_text(str(golden.arrays['in/split_val']))
        dataset = BrandenburgDataset(str(folder), split='val', pipeline=[PackSeriesInputs()])
        infos = [dataset.get_data_info(index) for index in range(len(dataset))]
        compare('files', np.array([Path(info['image_paths']['s1']).name for info in infos]))
        compare('segs', np.array([Path(info['label_path']).name for info in infos]))
        for index in range(len(dataset)):
            sample = dataset[index]
            compare(f'item{index}_img', _network_input(sample, meta['norm'], meta['num_bands']))
            compare(f'gt{index}', sample['targets'][0])


@register_check('slgt2_transforms')
def check_transforms(golden: GoldenFile, compare: Comparer) -> None:
    """Every transform by itself, then the pipelines of training and validation."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place, variable, ending in (('s1', 'band', ''), ('label', 'label', '_label')):
            (folder / place / 'train').mkdir(parents=True)
            path = folder / place / 'train' / f'eopatch_id_0_col_0_row_19{ending}.mat'
            savemat(path, {variable: golden.arrays[f'in/{variable}']})
        # The numbers of the golden file have no unit.
        dataset = SloveniaDataset(str(folder), units=dict(s1='made up'))
        _check_steps(golden, compare, dataset)
        _check_pipelines(golden, compare, dataset)


def _check_steps(golden: GoldenFile, compare: Comparer, dataset: SeriesDataset) -> None:
    norm = golden.meta['norm']
    loaded = _run(dataset)
    compare('load_seg', loaded['targets'])
    _check_resizing(golden, compare, loaded['targets'])
    compare('random_scale_seed4', np.array(SeriesRandomResize((40, 40)).draw_scale(_draws(4))))
    for seed in range(4):
        cropped = _run(dataset, _SetDraws(seed), SeriesRandomCrop((16, 16), max_class_share=0.75))
        compare(f'crop_seed{seed}_seg', cropped['targets'])
        compare(f'crop_seed{seed}_img_t0', _frames(cropped)[0])
    flipped = _run(dataset, SeriesRandomFlip(1.0, ('horizontal',)))
    compare('flip_seg', flipped['targets'])
    compare('flip_img_t0', _frames(flipped)[0])
    compare('norm_img', _network_input(PackSeriesInputs()(loaded), norm, 12)[:, [0, 11]].permute(1, 2, 3, 0))
    padded = _run(dataset, PadSeries((44, 44)))
    compare('pad_seg', padded['targets'])
    compare('pad_img', _network_input(PackSeriesInputs()(padded), norm, 16)[:, ::5].permute(1, 2, 3, 0))
    for count, steps in ((41, 48), (12, 16)):
        order = torch.arange(count).float().view(1, count, 1)
        fitted = FitDates(steps, 'reflect')(order, torch.ones(1, count, dtype=torch.bool))
        compare(f'pad{count}_to{steps}_order', fitted.long().flatten())


def _check_resizing(golden: GoldenFile, compare: Comparer, targets: np.ndarray) -> None:
    size = (targets.shape[0], targets.shape[1])
    for kind, key in (('f32', 'in/band'), ('u8', 'in/band_uint8')):
        frames = golden.arrays[key][[0, 11]].transpose(0, 3, 1, 2)
        series = ImageSeries(frames, np.arange(2), np.ones((2, 1, 1), bool))
        for frame in ((60, 60), (25, 25), (50, 30)):
            new = fitted_size(size, frame)
            prefix = f'resize_{kind}_{frame[0]}x{frame[1]}'
            compare(f'{prefix}_img', resize_series(series, new).values.transpose(0, 2, 3, 1))
            resize = SeriesRandomResize(frame, (1.0, 1.0))
            sample = resize(dict(inputs=dict(s1=series), targets=targets, rng=_draws(0)))
            compare(f'{prefix}_seg', sample['targets'])
            compare(f'{prefix}_scale_factor', np.array([*sample['resized_by'][::-1]] * 2, np.float32))


def _check_pipelines(golden: GoldenFile, compare: Comparer, dataset: SeriesDataset) -> None:
    norm = golden.meta['norm']
    for seed in range(3):
        sample = _run(
            dataset,
            _SetDraws(seed),
            SeriesRandomResize((40, 40), (0.5, 2.0)),
            SeriesRandomCrop((32, 32), max_class_share=0.75),
            SeriesRandomFlip(0.5, ('horizontal',)),
            PadSeries((32, 32)),
            PackSeriesInputs(),
        )
        image = _network_input(sample, norm, 16)
        compare(f'train_seed{seed}_img', image[:, ::5])
        compare(f'train_seed{seed}_seg', sample['targets'].long())
        compare(f'train_seed{seed}_shape', np.array(image.shape))
    sample = _run(dataset, PadSeries((32, 32)), PackSeriesInputs())
    image = _network_input(sample, norm, 16)
    compare('val_img', image[:, ::5])
    compare('val_img_shape', np.array(image.shape))
    compare('val_gt', sample['targets'][0])


def _run(dataset: SeriesDataset, *steps: Any) -> dict:
    """The first sample after some transforms."""
    sample = dataset.load_sample({**dataset.label_info(0), 'sensors_info': dataset.sensors_info, 'rng': _draws(0)})
    for step in steps:
        sample = step(sample)
    return sample


def _draws(seed: int) -> Any:
    """Published random numbers in the place of a numpy generator."""
    return PublishedDraws(seed)


def _frames(sample: dict) -> np.ndarray:
    """Values as published, (T,H,W,C)."""
    return sample['inputs']['s1'].values.transpose(0, 2, 3, 1)
