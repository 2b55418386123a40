"""What several transforms share: the generator of the draw, choosing dates, the empty series."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from mmsits.datasets.errors import DataError
from mmsits.structures import ImageSeries

SensorNames = str | Sequence[str] | None


def generator_of(results: dict) -> np.random.Generator:
    """The generator of this very draw, the only source of randomness in a transform.

    Raises:
        KeyError: if the dataset put no ``rng`` into the sample.
    """
    if 'rng' not in results:
        raise KeyError("a random transform needs results['rng'], a numpy Generator; every SeriesDataset provides it")
    return results['rng']


def spatial_generator_of(results: dict) -> np.random.Generator:
    """The generator for what happens in the image plane: the same in all views of a sample (``spatial_rng``), so that a
    pixel of one view is that pixel of the others; of a sample with a single view simply its generator.

    Raises:
        KeyError: if the dataset put no generator into the sample.
    """
    return results['spatial_rng'] if 'spatial_rng' in results else generator_of(results)


def chosen_sensors(results: dict, sensors: SensorNames) -> Iterable[str]:
    """The sensors a transform acts on: all of the sample's, or the named ones.

    Raises:
        KeyError: if a named sensor is not in the sample.
    """
    present = results['inputs']
    if sensors is None:
        return list(present)
    names = [sensors] if isinstance(sensors, str) else list(sensors)
    unknown = [name for name in names if name not in present]
    if unknown:
        raise KeyError(f'no sensor {unknown} in the sample, which has {list(present)}')
    return names


def existing_dates(series: ImageSeries) -> np.ndarray:
    """Which dates have at least one valid pixel, (T,) bool."""
    return series.valid.any(axis=(1, 2))


def cut_cell(array: np.ndarray, results: dict, path: str) -> np.ndarray:
    """The part of an array that the sample's cell says, as a view; all of it where the sample has none.

    Args:
        array: (..., H, W).
        results: the sample; ``cell`` holds row and column of the cell and the number of rows and columns of the grid.
        path: named in errors.

    Raises:
        DataError: if the grid does not divide the image.
    """
    if results.get('cell') is None:
        return array
    row, column, rows, columns = results['cell']
    height, width = array.shape[-2:]
    if height % rows or width % columns:
        raise DataError(
            f'{height}×{width} pixels cannot be cut into {rows}×{columns} cells of one size',
            path=path,
            sample_id=results.get('sample_id'),
            hint='Choose another grid.',
        )
    height, width = height // rows, width // columns
    return array[..., row * height : (row + 1) * height, column * width : (column + 1) * width]


def keep_dates(results: dict, sensor: str, index: np.ndarray) -> None:
    """Keep the dates at the given positions of one sensor, in that order.

    A run of neighbouring dates stays a view, so that nothing is read from a memory-mapped file.
    """
    series = results['inputs'][sensor]
    key: slice | np.ndarray = index
    if len(index) and np.array_equal(index, np.arange(index[0], index[0] + len(index))):
        key = slice(int(index[0]), int(index[0]) + len(index))
    results['inputs'][sensor] = ImageSeries(series.values[key], series.days[key], series.valid[key])
    positions = results.get('date_index', {})
    if sensor in positions:
        positions[sensor] = positions[sensor][key]


def empty_series(bands: int, size: tuple[int, int], day: int, dtype: np.dtype | type = np.float32) -> ImageSeries:
    """The series of a sensor that a sample lacks: one date without a valid pixel.

    Args:
        bands: number of bands C.
        size: H and W.
        day: the date, days since 1970-01-01 (the sample's season start).
        dtype: type of the values.

    Returns:
        values zeros (1,C,H,W), days (1,), valid False (1,1,1).
    """
    values = np.zeros((1, bands, *size), dtype)
    return ImageSeries(values, np.array([day], np.int32), np.zeros((1, 1, 1), bool))


def remove_all_dates(results: dict, sensor: str) -> None:
    """Replace a sensor's series by the empty one: no date was left."""
    values = results['inputs'][sensor].values
    size = (int(values.shape[-2]), int(values.shape[-1]))
    results['inputs'][sensor] = empty_series(values.shape[1], size, results['season_start'], values.dtype)
    if sensor in results.get('date_index', {}):
        results['date_index'][sensor] = np.array([-1])
