"""MATLAB files packed into memory-mapped arrays, which `PackedWindows` reads: no decompression, no more than a crop."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from .errors import DataError
from .mat_series import MatSeriesDataset
from .packed_windows import VERSION, Progress, pack_folder, save_array


def pack_mat(
    dataset: MatSeriesDataset, folder: str | Path, progress: Progress | None = None, overwrite: bool = False
) -> Path:
    """Write the samples of a dataset; go on where an earlier call was stopped.

    Args:
        dataset: of MATLAB files, of one split, with labels.
        folder: where to; a folder for this split.
        progress: called after each sample.
        overwrite: make a complete folder anew.

    Returns:
        The folder.

    Raises:
        DataError: if a file cannot be used, files have different numbers of dates, or other packed samples are there.
        ValueError: if the dataset is without labels.
    """
    if not dataset.with_labels:
        raise ValueError('samples are packed with their labels: leave with_labels out')
    entries = [dataset.get_data_info(index) for index in range(len(dataset))]
    mark = _fingerprint(dataset, entries)
    days: dict[str, np.ndarray] = {}
    return pack_folder(
        folder,
        mark,
        len(entries),
        lambda part, number: _pack_sample(dataset, part, number, days),
        lambda: _describe(dataset, mark, entries, _known_days(dataset, days)),
        progress,
        overwrite,
    )


def _pack_sample(dataset: MatSeriesDataset, part: Path, number: int, days: dict[str, np.ndarray]) -> None:
    last = part / 'labels' / f'{number}.npy'
    if last.exists():
        return
    sample = dataset.load_sample(dataset.label_info(number))
    for sensor, series in sample['inputs'].items():
        first = _known_days(dataset, days) if number else days
        if sensor in first and len(series.days) != len(first[sensor]):
            raise DataError(
                f'{len(series.days)} images are in the file, {len(first[sensor])} in the first: packed samples share '
                'their dates',
                path=sample['paths'][sensor],
                sample_id=sample['sample_id'],
                hint='Read these files as they are, or leave this one out.',
            )
        days.setdefault(sensor, series.days)
        save_array(part / sensor / f'{number}.npy', np.asarray(series.values))
    # The last file of a sample says that it is complete.
    save_array(last, sample['targets'])


def _known_days(dataset: MatSeriesDataset, days: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Dates of the first sample, read again where a call went on with what an earlier one had written."""
    if not days:
        inputs = dataset.load_sample(dataset.label_info(0))['inputs']
        days.update({sensor: series.days for sensor, series in inputs.items()})
    return days


def _fingerprint(dataset: MatSeriesDataset, entries: list[dict[str, Any]]) -> str:
    """A digest of all that decides what the samples hold."""
    digest = hashlib.sha256()
    for entry in entries:
        for path in (*entry['image_paths'].values(), entry['label_path']):
            file = Path(path).stat()
            digest.update(f'{path} {file.st_size} {file.st_mtime_ns} '.encode())
    options = [dataset.sensors_info, dataset.metainfo['classes'], dataset.season_start, dataset.ignored_labels]
    digest.update(f'{options} {dataset.dates} {dataset.period}'.encode())
    return digest.hexdigest()


def _describe(
    dataset: MatSeriesDataset, mark: str, entries: list[dict[str, Any]], days: dict[str, np.ndarray]
) -> dict[str, Any]:
    sizes = [dataset.label_map(number).shape for number in range(len(entries))]
    return dict(
        version=VERSION,
        fingerprint=mark,
        sensors={
            name: dict(bands=info['bands'], unit=info['unit'], days=days[name].tolist())
            for name, info in dataset.sensors_info.items()
        },
        first_sensor=dataset.sensors[0],
        season_start=dataset.season_start,
        classes=list(dataset.metainfo['classes']),
        palette=[list(colour) for colour in dataset.metainfo['palette']],
        statistics=dataset.statistics,
        windows=[
            dict(sample_id=entry['sample_id'], window=[0, 0, *size]) for entry, size in zip(entries, sizes, strict=True)
        ],
    )
