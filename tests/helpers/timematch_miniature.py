"""Write a miniature of TimeMatch's folders with numpy, json and pickle only: zarr arrays (format 2) and metadata.pkl.

A crop is a seasonal curve with its own height and peak; a domain may be late by some days.
"""

from __future__ import annotations

import json
import pickle
import zlib
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np

#: Crop codes of the three classes that occur, by country, and one that no table has.
CODES = {'denmark': (251, 5, 11, 999999), 'france': ('PPH', 'MIS', 'BTH', 'XYZ'), 'austria': (717, 105, 138, 4)}
CLASSES = ('meadow', 'corn', 'winter_wheat', 'unknown')


def write_timematch_miniature(
    folder: str | Path,
    domain: str = 'denmark/32VNH/2017',
    parcels: int = 20,
    dates: int = 8,
    seed: int = 0,
    shift_days: int = 0,
    pixels: Sequence[int] = (3, 30),
    crops: Sequence[int] = (0, 1, 2, 3),
    compressed: bool = True,
    chunk_dates: int | None = None,
) -> Path:
    """Write one domain.

    Args:
        folder: Data root; made if absent.
        domain: country/tile/year; the country determines the crop codes.
        parcels: Number of parcels; crops in turn.
        dates: Number of acquisitions, about evenly from January to December.
        seed: Same seed, same bytes.
        shift_days: Days by which vegetation is late.
        pixels: Least and most pixels of a parcel.
        crops: Which of `CLASSES` occur.
        compressed: zlib chunks, or raw ones.
        chunk_dates: Dates in a chunk; None for all.

    Returns:
        The data root.
    """
    folder = Path(folder)
    country, _, year = domain.split('/')
    rng = np.random.default_rng(seed)
    days = np.sort(rng.choice(360, dates, replace=False))
    (folder / domain / 'meta').mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(parcels):
        crop = crops[number % len(crops)]
        size = int(rng.integers(pixels[0], pixels[1] + 1))
        values = _series(rng, days - shift_days, crop, size)
        _write_zarr(folder / domain / 'data' / f'{number}.zarr', values, compressed, chunk_dates or dates)
        perimeter, area = 40.0 * np.sqrt(size), 100.0 * size
        rows.append(
            dict(
                id=1000 + number,
                label=CODES[country][crop],
                n_pixels=size,
                block=number % 5,
                geometric_features=[perimeter, area, perimeter / area, 0.7],
            )
        )
    first = date(int(year), 1, 1)
    metadata = dict(
        start_date=f'{year}0101',
        end_date=f'{year}1231',
        dates=[int((first + timedelta(days=int(day))).strftime('%Y%m%d')) for day in days],
        cloudy_pct=[10.0] * dates,
        parcels=rows,
    )
    (folder / domain / 'meta' / 'metadata.pkl').write_bytes(pickle.dumps(metadata))
    return folder


def change_metadata(folder: str | Path, domain: str, **changes: object) -> None:
    """Replace entries of a domain's metadata; a function gets the old value."""
    path = Path(folder) / domain / 'meta' / 'metadata.pkl'
    metadata = pickle.loads(path.read_bytes())
    for key, value in changes.items():
        metadata[key] = value(metadata[key]) if callable(value) else value
    path.write_bytes(pickle.dumps(metadata))


def _series(rng: np.random.Generator, days: np.ndarray, crop: int, size: int) -> np.ndarray:
    """(T, 10, S) uint16: near infrared rises and red falls in a season of the crop's own time."""
    peak, width = (150.0, 230.0, 130.0, 180.0)[crop], (90.0, 30.0, 25.0, 60.0)[crop]
    green = np.exp(-0.5 * ((days - peak) / width) ** 2)[:, None, None]
    bare, lush = np.linspace(900, 2600, 10), np.array([300, 700, 350, 4500, 1200, 3600, 4200, 4600, 2000, 1000.0])
    signal = bare[None, :, None] * (1 - green) + lush[None, :, None] * green
    return rng.normal(signal, 100, (len(days), 10, size)).clip(0, 65535).astype(np.uint16)


def _write_zarr(path: Path, values: np.ndarray, compressed: bool, chunk_dates: int) -> None:
    path.mkdir(parents=True, exist_ok=True)
    chunks = (chunk_dates, *values.shape[1:])
    description = dict(
        zarr_format=2,
        shape=values.shape,
        chunks=chunks,
        dtype='<u2',
        compressor=dict(id='zlib', level=1) if compressed else None,
        fill_value=0,
        filters=None,
        order='C',
    )
    (path / '.zarray').write_text(json.dumps(description))
    for index in range(-(-len(values) // chunk_dates)):
        chunk = np.zeros(chunks, np.uint16)
        part = values[index * chunk_dates : (index + 1) * chunk_dates]
        chunk[: len(part)] = part
        content = chunk.tobytes()
        (path / f'{index}.0.0').write_bytes(zlib.compress(content) if compressed else content)
