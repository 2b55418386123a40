"""Tiles of MTLCC packed into memory-mapped arrays, which `PackedWindows` reads: only the dates that are asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .mtlcc import MTLCCDataset
from .packed_windows import VERSION, Progress, pack_folder, save_array

SENSOR = 's2'


def pack_mtlcc(
    dataset: MTLCCDataset, folder: str | Path, progress: Progress | None = None, overwrite: bool = False
) -> Path:
    """Write the tiles of a dataset, each with all its dates; go on where an earlier call was stopped.

    Args:
        dataset: of one split, with labels. A tile that its list repeats is packed as often.
        folder: where to; a folder for this split.
        progress: called after each tile.
        overwrite: make a complete folder anew.

    Returns:
        The folder.

    Raises:
        DataError: if a file cannot be used, or other packed samples are there.
        ValueError: if the dataset is without labels.
    """
    if not dataset.with_labels:
        raise ValueError('samples are packed with their labels: leave with_labels out')
    entries = [dataset.get_data_info(index) for index in range(len(dataset))]
    mark = _fingerprint(dataset, entries)
    final = Path(folder)
    part = final.with_name(final.name + '.part')
    return pack_folder(
        final,
        mark,
        len(entries),
        lambda place, number: _pack_tile(dataset, place, number),
        lambda: _describe(dataset, mark, entries, part),
        progress,
        overwrite,
    )


def _pack_tile(dataset: MTLCCDataset, part: Path, number: int) -> None:
    last = part / 'labels' / f'{number}.npy'
    if last.exists():
        return
    sample = dataset.load_sample(dataset.label_info(number))
    series = sample['inputs'][SENSOR]
    save_array(part / SENSOR / f'{number}.npy', series.values)
    save_array(part / SENSOR / f'{number}_days.npy', series.days)
    # The last file of a tile says that it is complete.
    save_array(last, sample['targets'])


def _fingerprint(dataset: MTLCCDataset, entries: Sequence[dict[str, Any]]) -> str:
    """A digest of all that decides what the samples hold."""
    digest = hashlib.sha256()
    for entry in entries:
        path = Path(entry['path'])
        for file in sorted(path.glob('*.tif')) if path.is_dir() else [path]:
            state = file.stat()
            digest.update(f'{file} {state.st_size} {state.st_mtime_ns} '.encode())
    options = [dataset.sensors_info, dataset.metainfo['classes'], dataset.season_start, dataset.ignored_labels]
    digest.update(f'{options} {dataset.label_table.tolist()} {dataset.upsampling} {dataset.nomenclature}'.encode())
    return digest.hexdigest()


def _describe(dataset: MTLCCDataset, mark: str, entries: Sequence[dict[str, Any]], part: Path) -> dict[str, Any]:
    info = dataset.sensors_info[SENSOR]
    windows = []
    for number, entry in enumerate(entries):
        size = np.load(part / 'labels' / f'{number}.npy', mmap_mode='r').shape
        days = np.load(part / SENSOR / f'{number}_days.npy').tolist()
        windows.append(dict(sample_id=entry['sample_id'], window=[0, 0, *size], days={SENSOR: days}))
    return dict(
        version=VERSION,
        fingerprint=mark,
        sensors={SENSOR: dict(bands=info['bands'], unit=info['unit'], days=[])},
        first_sensor=SENSOR,
        season_start=dataset.season_start,
        classes=list(dataset.metainfo['classes']),
        palette=[list(colour) for colour in dataset.metainfo['palette']],
        statistics=dataset.statistics,
        windows=windows,
    )
