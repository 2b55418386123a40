#!/usr/bin/env python3
"""What reading a training sample of MTS12 costs: MATLAB files of both versions, and the same packed.

Written to a temporary folder: one patch of twelve dates of VV and VH with the smooth fields and the speckle of a radar
image, uint8, in MATLAB 5, in MATLAB 7.3 and packed by `pack_mat`. Measured in one process and one thread with a warm
page cache: a random crop, which reads no more than it has to, and the released recipe, which resizes the patch by 0.5
to 2 before it crops.

    python benchmarks/mat_loading.py --repeats 20
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter

from mmsits.datasets import DrawIndex, PackedWindows, SloveniaDataset
from mmsits.datasets.mat_files import write_mat
from mmsits.datasets.packed_mat import pack_mat

DATES = 12
NAME = 'eopatch_id_0_col_0_row_0'
VERSIONS = {'MATLAB 5': 'v5', 'MATLAB 7.3': 'v73'}


def recipes(crop: int, side: int) -> dict[str, list[dict[str, Any]]]:
    """Pipelines by name."""
    cut = [dict(type='SeriesRandomCrop', crop_size=(crop, crop)), dict(type='PackSeriesInputs')]
    resize = dict(type='SeriesRandomResize', scale=(side, side), ratio_range=(0.5, 2.0))
    return {'crop': cut, 'resize, crop': [resize, *cut]}


def write_patch(root: Path, side: int, version: str, seed: int = 0) -> None:
    """One patch to train on in the published layout."""
    rng = np.random.default_rng(seed)
    scene = gaussian_filter(rng.standard_normal((DATES, side, side, 2)), (1, 5, 5, 0))
    values = 150 + 40 * scene / scene.std() + 15 * rng.standard_normal(scene.shape)
    write_mat(root / 's1' / 'train' / f'{NAME}.mat', 'band', values.clip(1, 255).astype(np.uint8), version)
    fields = rng.integers(0, 9, (-(-side // 20), -(-side // 20))).repeat(20, 0).repeat(20, 1)
    labels = fields[:side, :side].astype(np.uint8)
    write_mat(root / 'label' / 'train' / f'{NAME}_label.mat', 'label', labels, version)


def open_loaders(root: Path, side: int, crop: int) -> dict[str, dict[str, Callable[[int], dict]]]:
    """For each recipe and form of the files, a function from the number of a draw to its sample."""
    for name, version in VERSIONS.items():
        write_patch(root / name, side, version)
    pack_mat(SloveniaDataset(str(root / 'MATLAB 5')), root / 'packed' / 'train')
    found: dict[str, dict[str, Callable[[int], dict]]] = {}
    for recipe, pipeline in recipes(crop, side).items():
        datasets = {name: SloveniaDataset(str(root / name), pipeline=pipeline) for name in VERSIONS}
        datasets['packed'] = PackedWindows(str(root / 'packed'), 'train', pipeline=pipeline, code_list='slovenia')
        found[recipe] = {name: _reader(dataset) for name, dataset in datasets.items()}
    return found


def _reader(dataset: Any) -> Callable[[int], dict]:
    return lambda draw: dataset[DrawIndex(0, draw, 0)]


def measure(loaders: dict[str, Callable[[int], dict]], repeats: int) -> dict[str, float]:
    """Median seconds of a sample; the forms take turns, so that a machine that is busy slows down all of them."""
    times: dict[str, list[float]] = {name: [] for name in loaders}
    for draw in range(repeats + 1):
        for name, load in loaders.items():
            start = time.perf_counter()
            load(draw)
            if draw:  # the first round warms up
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--side', type=int, default=500, help='side of the patch, pixels')
    parser.add_argument('--crop', type=int, default=224, help='side of the crop, pixels')
    parser.add_argument('--repeats', type=int, default=20)
    args = parser.parse_args()
    table = Table('recipe', *VERSIONS, 'packed', title='milliseconds for a sample')
    with tempfile.TemporaryDirectory() as folder:
        for recipe, loaders in open_loaders(Path(folder), args.side, args.crop).items():
            found = measure(loaders, args.repeats)
            table.add_row(recipe, *(f'{1000 * seconds:.1f}' for seconds in found.values()))
        sizes = {
            name: sum(file.stat().st_size for file in (Path(folder) / name).rglob('*') if file.is_file())
            for name in (*VERSIONS, 'packed')
        }
    table.add_row('megabytes on disk', *(f'{size / 1e6:.1f}' for size in sizes.values()))
    Console().print(table)


if __name__ == '__main__':
    main()
