"""Samples whose values say where they come from: a transform's geometry and dates can be read off the result."""

from __future__ import annotations

import numpy as np

from mmsits.structures import ImageSeries

SENSORS_INFO = {
    's2': dict(bands=('row', 'column', 'date'), unit='reflectance x 10000'),
    's1': dict(bands=('row', 'column', 'date'), unit='dB'),
    'coarse': dict(bands=('row', 'column', 'date'), unit='reflectance x 10000'),
}


def coordinate_series(dates: int, height: int, width: int, step: int = 1, first_day: int = 17000) -> ImageSeries:
    """Bands: row and column of the pixel's upper left corner in the finest grid, and the number of the date."""
    rows, columns = np.mgrid[:height, :width] * step
    values = np.empty((dates, 3, height, width), np.int16)
    values[:, 0], values[:, 1] = rows, columns
    values[:, 2] = np.arange(dates)[:, None, None]
    days = (first_day + 10 * np.arange(dates)).astype(np.int32)
    return ImageSeries(values, days, np.ones((dates, 1, 1), bool))


def coordinate_sample(seed: int = 0, height: int = 12, width: int = 12) -> dict:
    """s2 (7 dates, 10 m), s1 (5 dates, 10 m), coarse (4 dates, 20 m), weather (1×1), targets = row * 16 + column."""
    rows, columns = np.mgrid[:height, :width]
    inputs = {
        's2': coordinate_series(7, height, width),
        's1': coordinate_series(5, height, width),
        'coarse': coordinate_series(4, height // 2, width // 2, step=2),
        'weather': coordinate_series(6, 1, 1),
    }
    inputs['s1'] = inputs['s1']._replace(valid=np.broadcast_to((rows + columns) % 2 == 0, (5, height, width)).copy())
    return dict(
        inputs=inputs,
        targets=(rows * 16 + columns).astype(np.uint8),
        sample_id='field',
        season_start=17000,
        paths={},
        date_index={sensor: np.arange(len(series.days)) for sensor, series in inputs.items()},
        sensors_info={**SENSORS_INFO, 'weather': dict(bands=('row', 'column', 'date'), unit='K')},
        rng=np.random.default_rng(seed),
    )
