"""What datasets of image series in MATLAB files share: MTS12 (Slovenia) and Brandenburg."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mmengine.logging import print_log

from mmsits.structures import ImageSeries

from .backscatter import check_backscatter
from .base import Sensor, SeriesDataset, day_number, resolve_season_start
from .errors import DataError
from .mat_files import HDF5Array, open_mat
from .transforms.loading import check_days, select_bands, translate_labels

IGNORED = 255
_PROBE = 64
"""Side of the corner of an image whose values are compared with the unit, pixels."""


class MatSeriesDataset(SeriesDataset):
    """Base of datasets whose samples are MATLAB files: one with the images, one with the labels.

    Images are an array (T,H,W,C), labels (H,W) with 0 for pixels that are ignored; of both, files of version 5 to 7.2
    and of 7.3 are read. Of a file of version 7.3 only what crops leave is read; one of version 5 has to be read whole,
    which tools/dataset_converters/pack.py does once and for all.

    The files hold no dates. Where none are given, as many as there are images are spread evenly over `period`; a file
    with another number of them than published is told of in the log, once.

    A sample comes with `inputs`, `targets` ((H,W) uint8, 255 ignored), `paths`, `date_index` and `img_shape`, so
    pipelines have no transform for loading.

    Args:
        data_root: folder of the dataset.
        sensors: sensors to load, keys of `SENSORS`.
        units: units of some sensors where the files differ from what was published: dict(s1='dB').
        dates: dates 'YYYY-MM-DD' of the images, the same for all samples; None spreads them over `period`.
        period: first and last day, 'YYYY-MM-DD', of what the images show; None for that of the dataset.
        with_labels: hand labels on.
        **kwargs: as in :class:`SeriesDataset`: bands, pipeline, ignored_classes, …

    Raises:
        DataError: if the folder or a file is missing or wrong.
        ValueError: if arguments name what does not exist, or dates are none.
    """

    SENSORS: ClassVar[dict[str, Sensor]] = {}
    IMAGE_VARIABLE: ClassVar[str]
    LABEL_VARIABLE: ClassVar[str] = 'label'
    PUBLISHED_DATES: ClassVar[int]

    def __init__(
        self,
        data_root: str = '',
        sensors: Sequence[str] = ('s1',),
        units: Mapping[str, str] | None = None,
        dates: Sequence[str] | None = None,
        period: tuple[str, str] = ('2019-01-01', '2019-12-31'),
        with_labels: bool = True,
        **kwargs: Any,
    ) -> None:
        unknown = [sensor for sensor in units or {} if sensor not in self.SENSORS]
        if unknown:
            raise ValueError(f'units: no sensor {unknown}; {type(self).__name__} has {sorted(self.SENSORS)}.')
        # Units belong to the files at hand: they are those of this dataset, not of its class.
        self.SENSORS = {  # type: ignore[misc]
            name: held._replace(unit=(units or {}).get(name, held.unit)) for name, held in self.SENSORS.items()
        }
        self.dates = None if dates is None else np.array([_day(date) for date in dates], np.int32)
        self.period = (_day(period[0]), _day(period[1]))
        if self.period[1] <= self.period[0]:
            raise ValueError(f'period: the last day must lie behind the first, got {tuple(period)}')
        self.with_labels = with_labels
        self.label_table = label_table(len(self.METAINFO['classes']))
        self._told: set[str] = set()
        super().__init__(data_root, sensors=sensors, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Files of each sample, as `list_files` finds them, with the season start."""
        days = self.days_of(self.PUBLISHED_DATES) if self.dates is None else self.dates
        start = resolve_season_start(self.season_start, days)
        return [dict(entry, season_start=start) for entry in self.list_files(self._root())]

    def list_files(self, root: Path) -> list[dict]:
        """Find the files.

        Args:
            root: folder of the dataset.

        Returns:
            For each sample `sample_id`, `image_paths` (sensor -> path) and `label_path`.

        Raises:
            DataError: if a folder or file is missing.
        """
        raise NotImplementedError

    def days_of(self, count: int) -> np.ndarray:
        """Dates of a series of so many images, days since 1970-01-01, (T,) int32.

        Spread evenly: each is the middle of its part of the period; twelve of a calendar year are the middles of its
        months, near enough.
        """
        if self.dates is not None and len(self.dates) == count:
            return self.dates
        first, last = self.period
        edges = np.linspace(first, last + 1, count + 1)
        return np.floor((edges[:-1] + edges[1:]) / 2).astype(np.int32)

    def load_sample(self, info: dict[str, Any]) -> dict[str, Any]:
        """Open the files of a sample.

        Args:
            info: the sample's entry.

        Returns:
            The same with inputs, targets (unless without labels), paths, date_index and img_shape.

        Raises:
            DataError: if a file is missing, damaged, or not what is expected.
        """
        info['paths'] = {sensor: info['image_paths'][sensor] for sensor in self.sensors}
        info['inputs'] = {sensor: self._open_series(sensor, info) for sensor in self.sensors}
        info['date_index'] = {sensor: np.arange(len(series.days)) for sensor, series in info['inputs'].items()}
        shapes = {sensor: series.values.shape[-2:] for sensor, series in info['inputs'].items()}
        info['img_shape'] = shapes[self.sensors[0]]
        if self.with_labels:
            info['targets'] = self._read_labels(info, shapes)
            info['paths']['targets'] = info['label_path']
        return info

    def label_map(self, index: int) -> np.ndarray:
        """Labels of a sample without its images, (H,W) uint8, 255 ignored."""
        return self._read_labels(self.label_info(index), {})

    def get_data_info(self, idx: int) -> dict:
        """The entry of one sample, with the table from codes to labels."""
        info = super().get_data_info(idx)
        info['label_table'] = self.label_table
        return info

    def _root(self) -> Path:
        root = Path(self.data_root)
        if not root.is_dir():
            raise DataError(
                f'the folder of {type(self).__name__} does not exist',
                path=root,
                hint='Give it as data_root (docs/slgt2net.md says where to get the data).',
            )
        return root

    def _open_series(self, sensor: str, info: dict[str, Any]) -> ImageSeries:
        about, path, sample_id = self.sensors_info[sensor], info['image_paths'][sensor], info['sample_id']
        held = open_mat(path, self.IMAGE_VARIABLE, sample_id)
        values = series_axes(held, about['file_bands'], path, sample_id)
        days = self._dates_of(len(values), path, sample_id)
        # One date and a corner: of a file that is read in parts, no more than a few parts.
        probe = np.asarray(values[len(values) // 2 : len(values) // 2 + 1, :, :_PROBE, :_PROBE])
        check_backscatter(probe, about['unit'], dict(path=path, sample_id=sample_id))
        chosen = select_bands(values, about['file_bands'], about['bands'])
        return ImageSeries(chosen, days, np.ones((len(days), 1, 1), bool))

    def _dates_of(self, count: int, path: str, sample_id: str) -> np.ndarray:
        if self.dates is not None:
            if count != len(self.dates):
                raise DataError(
                    f'{len(self.dates)} dates are given, {count} images are in the file',
                    path=path,
                    sample_id=sample_id,
                    hint='Give the dates of these files (dates), or none, to spread them over the period.',
                )
            check_days(self.dates, path, sample_id)
        elif count != self.PUBLISHED_DATES and str(count) not in self._told:
            self._told.add(str(count))
            print_log(
                f'{path} holds {count} images, published are {self.PUBLISHED_DATES}: their dates are taken to be '
                'spread evenly over the period. Name them (dates) if you know them.',
                'current',
                logging.WARNING,
            )
        return self.days_of(count)

    def _read_labels(self, info: dict[str, Any], shapes: Mapping[str, tuple[int, ...]]) -> np.ndarray:
        path, sample_id = info['label_path'], info['sample_id']
        codes = np.asarray(open_mat(path, self.LABEL_VARIABLE, sample_id))
        _check_labels(codes, shapes, path, sample_id)
        if codes.dtype.kind == 'f' and (codes == np.rint(codes)).all():
            codes = codes.astype(np.int64)  # MATLAB's numbers are doubles unless asked for
        targets = translate_labels(codes, info['label_table'], path, sample_id)
        targets[np.isin(targets, info['ignored_labels'])] = IGNORED
        return targets


def label_table(classes: int) -> np.ndarray:
    """The published rule `reduce_zero_label`: code 0 and 255 are ignored, codes 1 … K become labels 0 … K - 1.

    Args:
        classes: their number K.

    Returns:
        (256,) int16 label of each code, -1 where the code does not exist.
    """
    table = np.full(256, -1, np.int16)
    table[[0, IGNORED]] = IGNORED
    table[1 : classes + 1] = np.arange(classes)
    return table


def series_axes(array: np.ndarray | HDF5Array, bands: tuple[str, ...], path: str, sample_id: str | None = None) -> Any:
    """Images as they are in the files, (T,H,W,C), as a view (T,C,H,W); a part of a file stays unread.

    Raises:
        DataError: if the array has other dimensions, or its last one is not that of the bands.
    """
    where: dict[str, Any] = dict(path=path, sample_id=sample_id)
    if array.ndim != 4:
        raise DataError(
            f'a series (dates, height, width, bands) is expected, found {array.ndim} dimensions {array.shape}',
            hint='Write the file with these four axes in this order.',
            **where,
        )
    if array.shape[3] == len(bands):
        if 0 in array.shape:
            raise DataError(f'the series {array.shape} is empty', hint='Leave the sample out.', **where)
        return array.transpose(0, 3, 1, 2)
    elsewhere = [axis for axis, size in enumerate(array.shape) if size == len(bands)]
    guess = f': the axes seem to be in another order, axis {elsewhere[0]} has that size' if elsewhere else ''
    raise DataError(
        f'(dates, height, width, bands) with {len(bands)} bands ({", ".join(bands)}) last is expected, '
        f'found {array.shape}{guess}',
        hint='Write the file with the axes in this order.' if elsewhere else 'Write the file with these bands.',
        **where,
    )


def _check_labels(codes: np.ndarray, shapes: Mapping[str, tuple[int, ...]], path: str, sample_id: str) -> None:
    where: dict[str, Any] = dict(path=path, sample_id=sample_id)
    if codes.ndim != 2:
        raise DataError(f'a label map (H, W) is expected, found {codes.shape}', hint='Write it again.', **where)
    other = {sensor: shape for sensor, shape in shapes.items() if shape != codes.shape}
    if not other:
        return
    sensor, (height, width) = next(iter(other.items()))
    turned = (height, width) == codes.shape[::-1]
    raise DataError(
        f'the label map has {codes.shape[0]}×{codes.shape[1]} pixels, the images of {sensor} have {height}×{width}'
        + (': one of them seems to be transposed' if turned else ''),
        hint='Bring labels and images to one grid.',
        **where,
    )


def _day(date: str) -> int:
    try:
        return day_number(datetime.date.fromisoformat(str(date)))
    except ValueError as error:
        raise ValueError(f"{date!r} is not a date 'YYYY-MM-DD'") from error
