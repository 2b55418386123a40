"""Random series as numpy arrays, as one sample of a pipeline and as a batch of parcels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmsits.datasets.parcel_batch import ParcelBatch
from mmsits.datasets.parcel_store import HeldParcels
from mmsits.structures import ImageSeries

SEASON = 17532  # 2018-01-01
BANDS = ('B02', 'B04', 'B08')


def series_of(
    rng: np.random.Generator,
    dates: int = 14,
    size: tuple[int, int] = (4, 4),
    valid: float = 0.7,
    dtype: Any = np.float32,
    bands: int = 3,
) -> ImageSeries:
    """Values from 1 to 5000 on different days of 2018, a share of them valid."""
    days = SEASON + np.sort(rng.choice(365, dates, replace=False))
    values = rng.uniform(1, 5000, (dates, bands, *size)).astype(dtype)
    return ImageSeries(values, days.astype(np.int32), rng.random((dates, *size)) < valid)


def info_of(bands: Sequence[str] = BANDS, unit: str = 'reflectance x 10000') -> dict[str, Any]:
    """What a dataset says of its sensor s2."""
    return {'s2': dict(bands=tuple(bands), file_bands=tuple(bands), unit=unit)}


def sample_of(series: ImageSeries, bands: Sequence[str] = BANDS, unit: str = 'reflectance x 10000') -> dict[str, Any]:
    """A sample as a pipeline gets it; the series is copied."""
    copied = ImageSeries(*(np.array(part) for part in series))
    return dict(
        inputs={'s2': copied},
        sensors_info=info_of(bands, unit),
        season_start=SEASON,
        date_index={'s2': np.arange(len(series.days))},
        rng=np.random.default_rng(0),
    )


def batch_of(rows: Sequence[ImageSeries], bands: Sequence[str] = BANDS) -> ParcelBatch:
    """A batch of pixel sets S×1 with the same number of dates and pixels."""
    values, days, valid = (np.stack(parts) for parts in zip(*rows, strict=True))
    sizes = np.full(len(rows), values.shape[3])
    store = HeldParcels(np.moveaxis(values[..., 0], 2, 3), days, valid[..., 0], sizes, [''] * len(rows))
    return ParcelBatch(
        stores={'s2': store},
        bands={'s2': list(range(values.shape[2]))},
        parcels=np.arange(len(rows)),
        draws=[(0, number) for number in range(len(rows))],
        targets=np.zeros(len(rows), np.uint8),
        season_starts=np.full(len(rows), SEASON),
        static={},
        sample_ids=[str(number) for number in range(len(rows))],
        infos=dict(sensors_info=info_of(bands), ignored_labels=()),
    )


def through_batch(steps: Sequence[Any], rows: Sequence[ImageSeries]) -> list[ImageSeries]:
    """The rows after transforms of a whole batch."""
    batch = batch_of(rows)
    for step in steps:
        batch = step.transform_batch(batch)
    return [sample['inputs']['s2'] for sample in batch.samples()]
