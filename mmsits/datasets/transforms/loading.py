"""Open the files of a sample: series (memory-mapped) and label map, with the checks that need no pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmsits.datasets.errors import DataError
from mmsits.datasets.transforms.common import cut_cell, empty_series
from mmsits.datasets.transforms.spatial import reference_size
from mmsits.structures import ImageSeries

IGNORED = 255


def open_array(path: str, sample_id: str | None = None, mmap: bool = True) -> np.ndarray:
    """Open a .npy file.

    Args:
        path: the file.
        sample_id: named in errors.
        mmap: map it into memory, so that only what is used is read.

    Returns:
        A read-only memory map, or an array.

    Raises:
        DataError: if the file is missing, truncated, or not a plain numpy array.
    """
    try:
        return np.load(path, mmap_mode='r' if mmap else None, allow_pickle=False)
    except FileNotFoundError as error:
        raise DataError(
            'the file is missing',
            path=path,
            sample_id=sample_id,
            hint='Complete the download, or leave the sample out.',
        ) from error
    except (ValueError, EOFError, OSError) as error:
        raise DataError(
            _explain_unreadable(path, error), path=path, sample_id=sample_id, hint='Download or write the file again.'
        ) from error


def _explain_unreadable(path: str, error: Exception) -> str:
    """Expected and found number of bytes where the header can be read, else numpy's own words."""
    try:
        with open(path, 'rb') as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = read(file)
            expected = file.tell() + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
            found = file.seek(0, 2)
    except (ValueError, EOFError, OSError):
        return f'not a readable .npy file ({error})'
    if found < expected:
        return f'the file is truncated: {expected} bytes expected for {dtype} {shape}, {found} found'
    return f'the array cannot be read ({error})'


def check_days(days: np.ndarray, path: str, sample_id: str | None, same_day: bool = False) -> None:
    """Refuse dates that are not in ascending order, or of which two are the same.

    Args:
        days: (T,) days since 1970-01-01.
        path: named in errors.
        sample_id: named in errors.
        same_day: allow several acquisitions on one day.

    Raises:
        DataError: at the first date out of order.
    """
    steps = np.diff(days.astype(np.int64))
    backward = np.flatnonzero(steps < 0)
    if len(backward):
        index = int(backward[0]) + 1
        raise DataError(
            'dates must ascend, this one is earlier than the one before',
            path=path,
            sample_id=sample_id,
            day=days[index],
            date_index=index,
            hint='Sort the dates in the metadata together with the images.',
        )
    repeated = np.flatnonzero(steps == 0)
    if len(repeated) and not same_day:
        index = int(repeated[0]) + 1
        raise DataError(
            f'the date occurs twice (index {index - 1} and {index}); {len(repeated)} such pairs in the series',
            path=path,
            sample_id=sample_id,
            day=days[index],
            date_index=index,
            hint='Merge the acquisitions of a day, or allow them with LoadSeries(same_day=True).',
        )


@TRANSFORMS.register_module()
class LoadSeries(BaseTransform):
    """Open the series of all sensors and check them against their dates and bands.

    Files are memory-mapped and stay unread: crops and date choices that follow cut views. Bands are chosen by name, as
    the dataset's ``bands`` says; a choice that is not a run of neighbouring bands (or its reverse) has to copy, and
    reads the chosen bands whole. Values that are not finite are found when the sample is packed (what was cropped away
    is not looked at), unless ``nonfinite='invalid'``.

    Required keys: series (sensor to path and days; path None for a sensor that the sample lacks), sensors_info,
    season_start, sample_id. Optional keys: cell (row, column, rows and columns: the sample is this cell of a grid over
    the image). Added keys: inputs, paths, date_index (sensor to the position in the file of each date), img_shape,
    window (of a cell).

    Args:
        nonfinite: 'raise': NaN and infinity are an error, raised by :class:`PackSeriesInputs`. 'invalid': a pixel with
            one in any band is not valid on that date and becomes 0; reads the whole file.
        nodata: stored number that stands for 'not observed'; a pixel that has it in all bands is not valid on that
            date. Reads the whole file. None: everything in the file was observed.
        same_day: allow several acquisitions of a sensor on one day.

    Raises:
        DataError: if a file is missing or truncated, is not (T,C,H,W), or has other dates or bands than expected.
        ValueError: if ``nonfinite`` is unknown.
    """

    def __init__(self, nonfinite: str = 'raise', nodata: float | None = None, same_day: bool = False) -> None:
        if nonfinite not in ('raise', 'invalid'):
            raise ValueError(f"nonfinite must be 'raise' or 'invalid', got {nonfinite!r}")
        self.nonfinite = nonfinite
        self.nodata = nodata
        self.same_day = same_day

    def transform(self, results: dict) -> dict:
        """Open the series of every sensor."""
        entries = results['series']
        present = {sensor: entry for sensor, entry in entries.items() if entry['path'] is not None}
        results['inputs'] = {sensor: self._open(results, sensor, entry) for sensor, entry in present.items()}
        results['paths'] = {**results.get('paths', {}), **{s: entry['path'] for s, entry in present.items()}}
        results['date_index'] = {s: np.arange(len(series.days)) for s, series in results['inputs'].items()}
        results['img_shape'] = reference_size(results) if present else (1, 1)
        if present and results.get('cell') is not None:
            (height, width), (row, column) = results['img_shape'], results['cell'][:2]
            results['window'] = (row * height, column * width, height, width)
        for sensor in entries:
            if sensor not in present:
                bands = len(results['sensors_info'][sensor]['bands'])
                series = empty_series(bands, results['img_shape'], results['season_start'])
                results['inputs'][sensor] = series
                results['date_index'][sensor] = np.array([-1])
        # The order of the sensors is the dataset's, whether or not one is missing.
        results['inputs'] = {sensor: results['inputs'][sensor] for sensor in entries}
        return results

    def _open(self, results: dict, sensor: str, entry: dict) -> ImageSeries:
        info, sample_id, path = results['sensors_info'][sensor], results['sample_id'], entry['path']
        values = open_array(path, sample_id)
        self._check(values, entry, info, sample_id)
        values = cut_cell(select_bands(values, info['file_bands'], info['bands']), results, path)
        valid = np.ones((len(values), 1, 1), bool)
        if self.nodata is not None:
            valid = ~np.all(values == self.nodata, axis=1)
        if self.nonfinite == 'invalid' and values.dtype.kind == 'f':
            finite = np.isfinite(values)
            valid = valid & finite.all(axis=1)
            values = np.where(finite, values, 0).astype(values.dtype, copy=False)
        return ImageSeries(values, np.asarray(entry['days'], np.int32), valid)

    def _check(self, values: np.ndarray, entry: dict, info: dict[str, Any], sample_id: str) -> None:
        path, days = entry['path'], np.asarray(entry['days'])
        where = dict(path=path, sample_id=sample_id)
        if values.ndim != 4:
            raise DataError(
                f'a series (T, C, H, W) is expected, found {values.ndim} dimensions {values.shape}',
                hint='Write the file again.',
                **where,
            )
        if values.dtype.kind not in 'iuf':
            raise DataError(f'numbers are expected, found {values.dtype}', hint='Write the file again.', **where)
        file_bands = info['file_bands']
        if values.shape[1] != len(file_bands):
            raise DataError(
                f'{len(file_bands)} bands expected ({", ".join(file_bands)}), '
                f'{values.shape[1]} found in {values.shape}',
                hint='Write the file with these bands in this order.',
                **where,
            )
        if len(days) != len(values):
            raise DataError(
                f'{len(days)} dates in the metadata, {len(values)} images in the file {values.shape}',
                hint='Correct the dates of this sample, or write the file again.',
                **where,
            )
        if len(values) == 0:
            raise DataError('the series has no date', hint='Leave the sample out.', **where)
        check_days(days, path, sample_id, self.same_day)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(nonfinite={self.nonfinite!r}, nodata={self.nodata}, same_day={self.same_day})'


def select_bands(values: np.ndarray, held: tuple[str, ...], wanted: tuple[str, ...]) -> np.ndarray:
    """Choose bands by name, as a view where the choice is a run of neighbours at an even distance.

    Args:
        values: (T,C,H,W).
        held: names of the C bands.
        wanted: names in the order wanted.

    Returns:
        (T,len(wanted),H,W).
    """
    index = [held.index(band) for band in wanted]
    if index == list(range(len(held))):
        return values
    step = index[1] - index[0] if len(index) > 1 else 1
    if step and index == list(range(index[0], index[0] + step * len(index), step)):
        stop: int | None = index[0] + step * len(index)
        return values[:, index[0] : None if stop is not None and stop < 0 else stop : step]
    return values[:, index]


@TRANSFORMS.register_module()
class LoadSeriesLabels(BaseTransform):
    """Read the label map and translate its codes into labels.

    Required keys: label_path (a .npy of (H,W), or (K,H,W) whose channel ``label_channel`` holds the codes; None for a
    sample without labels), sample_id. Optional keys: label_table ((256,) label of each code, -1 where it does not
    exist), label_channel (default 0), cell, ignored_labels, inputs (then the size is checked; a sample that lacks all
    its sensors gets that of its labels). Added keys: targets ((H,W) uint8, 255 ignored), paths['targets'].

    Raises:
        DataError: if the file is missing or damaged, a code is not in the table, or the size is not that of the images.
    """

    def transform(self, results: dict) -> dict:
        """Read and translate."""
        path = results.get('label_path')
        if path is None:
            return results
        codes = open_array(path, results['sample_id'], mmap=False)
        codes = cut_cell(self._channel(codes, results, path) if codes.ndim == 3 else codes, results, path)
        self._check_size(codes, results, path)
        _size_empty_series(results, (codes.shape[0], codes.shape[1]))
        targets = translate_labels(codes, results.get('label_table'), path, results['sample_id'])
        for label in results.get('ignored_labels', ()):
            targets[targets == label] = IGNORED
        results['targets'] = targets
        results['paths'] = {**results.get('paths', {}), 'targets': path}
        return results

    @staticmethod
    def _channel(codes: np.ndarray, results: dict, path: str) -> np.ndarray:
        channel = results.get('label_channel', 0)
        if channel >= len(codes):
            raise DataError(
                f'labels are in channel {channel}, the file has {len(codes)}, counted from 0',
                path=path,
                sample_id=results['sample_id'],
                hint='Choose another label_channel.',
            )
        return codes[channel]

    @staticmethod
    def _check_size(codes: np.ndarray, results: dict, path: str) -> None:
        where = dict(path=path, sample_id=results['sample_id'])
        if codes.ndim != 2:
            raise DataError(f'a label map (H, W) is expected, found {codes.shape}', hint='Write it again.', **where)
        loaded = [sensor for sensor in results.get('inputs', {}) if sensor in results['paths']]
        sizes = {sensor: results['inputs'][sensor].values.shape[-2:] for sensor in loaded}
        if sizes and codes.shape not in sizes.values():
            found = ', '.join(f'{sensor} {h}×{w}' for sensor, (h, w) in sizes.items())
            raise DataError(
                f'the label map has {codes.shape[0]}×{codes.shape[1]} pixels, the images have {found}',
                hint='Bring labels and images to one grid.',
                **where,
            )

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def _size_empty_series(results: dict, size: tuple[int, int]) -> None:
    """Give a sample that lacks all its sensors the size of its labels: nothing else tells how large it is."""
    series = results.get('inputs', {})
    if not series or any(sensor in results['paths'] for sensor in series):
        return
    for sensor, empty in series.items():
        series[sensor] = empty_series(empty.values.shape[1], size, empty.days[0], empty.values.dtype)
    results['img_shape'] = size


def translate_labels(codes: np.ndarray, table: np.ndarray | None, path: str, sample_id: str) -> np.ndarray:
    """Labels of a map of codes.

    Args:
        codes: (H,W) integers.
        table: (256,) label of each code, -1 where the code does not exist; None keeps the codes.
        path: named in errors.
        sample_id: named in errors.

    Returns:
        (H,W) uint8, a copy.

    Raises:
        DataError: if a code does not exist; names the first such pixel and the number of them.
    """
    if codes.dtype.kind not in 'iu':
        raise DataError(
            f'class codes must be integers, found {codes.dtype}', path=path, sample_id=sample_id, hint='Write it again.'
        )
    inside = (codes >= 0) & (codes <= 255)
    labels = np.where(inside, codes, 0).astype(np.int16)
    if table is not None:
        labels = table[labels]
    unknown = ~inside | (labels < 0)
    if unknown.any():
        row, col = np.argwhere(unknown)[0]
        found = np.unique(codes[unknown])
        raise DataError(
            f'class code {codes[row, col]} at row {row}, column {col} is not in the class table; '
            f'{unknown.sum()} pixels have unknown codes {found[:8].tolist()}',
            path=path,
            sample_id=sample_id,
            hint='Correct the labels, or give these codes a label (label_map).',
        )
    return labels.astype(np.uint8)
