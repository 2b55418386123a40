"""Miniatures of MTS12 and Brandenburg in the published layouts, in either version of MATLAB's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mmsits.datasets.mat_files import write_mat

VERSIONS = ('v5', 'v73')


def write_mts12(
    root: Path,
    patches: Mapping[str, int] | None = None,
    size: tuple[int, int] = (12, 10),
    dates: int = 12,
    sensors: Sequence[str] = ('s1',),
    version: str = 'v5',
    seed: int = 0,
) -> Path:
    """Patches of random numbers whose labels have all codes 0 … 8."""
    rng = np.random.default_rng(seed)
    number = 0
    for split, count in (patches or dict(train=2, val=1, test=1)).items():
        for _ in range(count):
            name = f'eopatch_id_{number}_col_0_row_{number}'
            for sensor in sensors:
                bands = dict(s1=2, s2=6)[sensor]
                values = rng.integers(1, 256, (dates, *size, bands)).astype(np.uint8)
                write_mat(root / sensor / split / f'{name}.mat', 'band', values, version)
            labels = rng.integers(0, 9, size).astype(np.uint8)
            write_mat(root / 'label' / split / f'{name}_label.mat', 'label', labels, version)
            number += 1
    return root


def write_brandenburg(root: Path, dates: int = 41, size: tuple[int, int] = (8, 8), version: str = 'v5') -> Path:
    """Five patches to train and validate on, two to test on."""
    rng = np.random.default_rng(0)
    for part, numbers in (('trainval', range(5)), ('test', range(5, 7))):
        for number in numbers:
            values = rng.normal((-16, -10), 3, (dates, *size, 2)).astype(np.float32)
            write_mat(root / f'{part}_vhvv' / f'VHVV_{number:04d}.mat', 'data', values, version)
            labels = rng.integers(0, 16, size).astype(np.uint8)
            write_mat(root / f'{part}_label' / f'label_s1_{number:04d}.mat', 'label', labels, version)
    (root / 'split').mkdir()
    for split, lines in (('train', '3\n0\n4\n'), ('val', '1\n2\n'), ('test', '0\n1\n')):
        (root / 'split' / f'{split}.txt').write_text(lines)
    return root
