"""Write a miniature of the PASTIS and PASTIS-R folders with numpy and json only: tests read the real format offline.

Each patch is a field pattern of a few classes. A class is a seasonal curve with its own height and peak, so that a tiny
network learns to tell them apart within a dozen iterations.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np

_BANDS = {'s2': 10, 's1a': 3, 's1d': 3}
_FOLDER = {'s2': 'S2', 's1a': 'S1A', 's1d': 'S1D'}
#: Class codes that occur: background, three crops, void.
CLASSES_PRESENT = (0, 1, 2, 3, 19)


def write_pastis_miniature(
    folder: str | Path,
    patches: int = 6,
    size: int = 16,
    dates: int = 5,
    seed: int = 0,
    sensors: Sequence[str] = ('s2',),
    first_id: int = 10001,
) -> Path:
    """Write `patches` patches of `size` x `size` pixels in the layout of PASTIS.

    Patches differ in their number of dates (`dates` or `dates + 1`, alternating) so that padding is exercised, and go
    to folds 1 to 5 in turn. Sentinel-2 is int16 reflectance x 10000 (T, 10, H, W), radar is float32 dB
    (T, 3, H, W) as published. Targets are uint8 (3, H, W), whose first channel holds the codes 0 to 19.

    Args:
        folder: Made if absent.
        patches: Number of patches.
        size: Height and width in pixels.
        dates: Number of acquisition dates of the first patch, two weeks or so apart from 2018-09-20 on.
        seed: Same seed, same bytes.
        sensors: Any of 's2', 's1a', 's1d'.
        first_id: ID_PATCH of the first patch.

    Returns:
        The folder.
    """
    folder = Path(folder)
    rng = np.random.default_rng(seed)
    for sensor in sensors:
        (folder / f'DATA_{_FOLDER[sensor]}').mkdir(parents=True, exist_ok=True)
    (folder / 'ANNOTATIONS').mkdir(parents=True, exist_ok=True)
    features = []
    for index in range(patches):
        patch_id = first_id + index
        target = _fields(rng, size)
        properties: dict = {'ID_PATCH': patch_id, 'Fold': index % 5 + 1, 'TILE': 't31tfm', 'N_Parcel': 4}
        for sensor in sensors:
            count = dates + index % 2
            days = _days(rng, count)
            np.save(
                folder / f'DATA_{_FOLDER[sensor]}' / f'{_FOLDER[sensor]}_{patch_id}.npy',
                _observations(rng, target, days, sensor),
            )
            properties[f'dates-{_FOLDER[sensor]}'] = {str(i): _as_number(day) for i, day in enumerate(days)}
        layers = np.stack([target, np.zeros_like(target), np.zeros_like(target)])
        np.save(folder / 'ANNOTATIONS' / f'TARGET_{patch_id}.npy', layers)
        features.append(_feature(patch_id, index, size, properties))
    collection = {
        'type': 'FeatureCollection',
        'crs': {'type': 'name', 'properties': {'name': 'urn:ogc:def:crs:EPSG::2154'}},
        'features': features,
    }
    (folder / 'metadata.geojson').write_text(json.dumps(collection))
    for sensor in sensors:
        _write_statistics(folder, _FOLDER[sensor])
    return folder


def _fields(rng: np.random.Generator, size: int) -> np.ndarray:
    """Class codes (H, W) uint8: crop 1 to 3 by quadrant in random order, a background strip and one void corner."""
    half = size // 2
    codes = rng.permutation([1, 2, 3, rng.integers(1, 4)])
    target = np.zeros((size, size), np.uint8)
    target[:half, :half], target[:half, half:] = codes[0], codes[1]
    target[half:, :half], target[half:, half:] = codes[2], codes[3]
    target[half, :] = 0
    target[-2:, -2:] = 19
    return target


def _days(rng: np.random.Generator, count: int) -> list[date]:
    """Dates in ascending order, none twice."""
    gaps = rng.integers(9, 19, count)
    return [date(2018, 9, 20) + timedelta(days=int(days)) for days in np.cumsum(gaps)]


def _observations(rng: np.random.Generator, target: np.ndarray, days: Sequence[date], sensor: str) -> np.ndarray:
    """Series (T, C, H, W): per class a level and a seasonal swing that differ by band."""
    bands = _BANDS[sensor]
    time = np.array([(day - date(2018, 9, 1)).days for day in days], float)[:, None, None, None]
    band = np.arange(bands, dtype=float)[None, :, None, None]
    code = target.astype(float)[None, None]
    season = np.sin(2 * np.pi * time / 120 + code)
    signal = 0.12 + 0.08 * code.clip(max=4) * np.cos(0.7 * band + code) ** 2 + 0.05 * season
    signal = signal + rng.normal(0, 0.01, (len(days), bands, *target.shape))
    if sensor == 's2':
        return np.round(signal.clip(0, 1) * 10000).astype(np.int16)
    return (10 * np.log10(signal.clip(0.001)) - 5).astype(np.float32)


def _as_number(day: date) -> int:
    return day.year * 10000 + day.month * 100 + day.day


def _feature(patch_id: int, index: int, size: int, properties: dict) -> dict:
    left, bottom, side = 900000.0 + index * 10 * size, 6500000.0, 10.0 * size
    ring = [[left, bottom], [left + side, bottom], [left + side, bottom + side], [left, bottom + side], [left, bottom]]
    return {
        'id': str(patch_id),
        'type': 'Feature',
        'properties': properties,
        'geometry': {'type': 'MultiPolygon', 'coordinates': [[ring]]},
    }


def _write_statistics(folder: Path, name: str) -> None:
    """NORM_<sensor>_patch.json: per fold the mean over its patches of the per-patch, per-band mean and deviation."""
    metadata = json.loads((folder / 'metadata.geojson').read_text())
    sums: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    for feature in metadata['features']:
        properties = feature['properties']
        values = np.load(folder / f'DATA_{name}' / f'{name}_{properties["ID_PATCH"]}.npy').astype(np.float64)
        moments = values.mean((0, 2, 3)), values.std((0, 2, 3), ddof=1)
        sums.setdefault(properties['Fold'], []).append(moments)
    statistics = {
        f'Fold_{fold}': {
            'mean': np.mean([mean for mean, _ in moments], 0).tolist(),
            'std': np.mean([std for _, std in moments], 0).tolist(),
        }
        for fold, moments in sorted(sums.items())
    }
    (folder / f'NORM_{name}_patch.json').write_text(json.dumps(statistics))
