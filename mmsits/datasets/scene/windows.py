"""`SceneWindows`: dense samples of a scene, windows of its rasters with a map of labels."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from mmengine.logging import print_log

from mmsits.datasets.base import Sensor, SeriesDataset, resolve_season_start
from mmsits.datasets.data_card import RunningMoments
from mmsits.datasets.errors import DataError
from mmsits.datasets.transforms.loading import translate_labels

from .grid import Grid, Window
from .labels import IGNORED, ItemLabels, SceneLabels
from .progress import reading_progress
from .scene import Scene, open_scene
from .splits import open_labels, report_coverage

STATISTICS_WINDOWS, STATISTICS_SIDE = 48, 64
"""From how many windows of the training set mean and standard deviation are measured, and the side of the part read."""


def sample_windows(grid: Grid, size: int, stride: int | None = None) -> list[Window]:
    """Windows that cover a grid, row by row; those at the lower and right edges may be smaller.

    Args:
        grid: the grid.
        size: rows and columns of a window.
        stride: distance of neighbouring windows; None for `size`, so that they do not overlap.

    Returns:
        The windows; every pixel lies in at least one.

    Raises:
        ValueError: if size or stride is out of range.
    """
    stride = size if stride is None else stride
    if size < 1 or not 1 <= stride <= size:
        raise ValueError(f'1 ≤ window_stride ≤ window_size is needed, got size {size} and stride {stride}')
    rows, columns = (range(0, max(length - (size - stride), 1), stride) for length in grid.shape)
    return [Window(row, column, size, size).intersection(grid.window) for row in rows for column in columns]


class SceneWindows(SeriesDataset):
    """Windows of a scene: series of each sensor and a map of labels, read when they are asked for.

    Only windows with a labelled pixel are samples (all, without labels), and of these those of which a sensor saw
    something on some date. The pixels of other splits are ignored, label 255, so that windows need not lie wholly
    within one, and so are those that were never seen. The pipeline has nothing to load: a sample comes with `inputs`
    (values (T,C,h,w), days (T,), valid (T,h,w)), `targets` ((h,w) uint8, 255 ignored), and `window`, its first row and
    column in the scene, height and width.

    Args:
        data_root: folder that the paths start from.
        sensors: sensors and their files, see :func:`~mmsits.datasets.scene.scene.open_scene`.
        grid: likewise.
        labels: where the labels are, see :func:`~mmsits.datasets.scene.labels.read_labels`; None without labels.
        classes: names of the classes in their order; None for those that occur, in alphabetical order.
        split: part of the scene, or several; None for all of it.
        splits: how the scene is divided, see :func:`~mmsits.datasets.scene.splits.open_labels`.
        window_size: rows and columns of a window. Windows at the lower and right edges may be smaller.
        window_stride: distance of neighbouring windows; None: they do not overlap.
        with_labels: hand labels on. False for the unlabelled domain of an adaptation: all windows are samples.
        check: look at some pixels for wrong units, undeclared nodata and clouds everywhere when the scene is opened.
        **kwargs: as in :class:`SeriesDataset`: bands, season_start, pipeline, ignored_classes, …

    Attributes:
        scene: the rasters.
        scene_labels: the labels; None without.
        windows: window of each sample.

    Raises:
        DataError: see `open_scene` and `read_labels`; and if no window has a labelled pixel.
        ValueError: if an option is unknown or contradicts another.
    """

    SENSORS: ClassVar[dict[str, Sensor]] = {}

    def __init__(
        self,
        data_root: str = '',
        sensors: Mapping[str, Mapping[str, Any]] | None = None,
        grid: Any = None,
        labels: Mapping[str, Any] | None = None,
        classes: Sequence[str] | None = None,
        split: str | Sequence[str] | None = None,
        splits: Mapping[str, Any] | None = None,
        window_size: int = 128,
        window_stride: int | None = None,
        with_labels: bool = True,
        check: bool = True,
        **kwargs: Any,
    ) -> None:
        if with_labels and labels is None:
            raise ValueError(
                "SceneDataset: labels=dict(file='fields.gpkg', column='crop') are needed; for data without labels say "
                'with_labels=False'
            )
        if kwargs.get('test_mode') and window_stride is not None and window_stride < window_size:
            raise ValueError(
                f'window_stride={window_stride} is less than window_size={window_size}: pixels of test windows that '
                'overlap would be scored more than once'
            )
        self.scene: Scene = open_scene(dict(sensors=sensors, grid=grid), data_root, check)
        self.with_labels = with_labels
        self.label_options, self.chosen_classes, self.split, self.splits = labels, classes, split, splits
        self.window_size, self.window_stride = window_size, window_stride
        self.scene_labels: SceneLabels | None = None
        self.windows: list[Window] = []
        info = self.scene.sensors_info
        # What the files hold is known when they are opened: sensors are those of this dataset, not of its class.
        self.SENSORS = {  # type: ignore[misc]
            name: Sensor(values['bands'], values['unit']) for name, values in info.items()
        }
        super().__init__(data_root, sensors=tuple(info), **kwargs)

    def full_init(self) -> None:
        """Open the labels and choose the windows (mmengine calls it once)."""
        if self._fully_initialized:
            return
        if self.label_options is not None:
            self._open_labels(self.label_options)
        super().full_init()

    def _open_labels(self, options: Mapping[str, Any]) -> None:
        opened = open_labels(options, self.scene.grid, self.data_root, self.chosen_classes, self.splits)
        if self.with_labels and isinstance(opened, ItemLabels) and opened.unlabelled:
            raise ValueError('labels: name the column with the classes (column=…), or say with_labels=False')
        if self.with_labels and self.splits is not None:
            report_coverage(opened)
        self.scene_labels = opened
        self._metainfo['classes'] = tuple(opened.classes)
        self._metainfo.setdefault('palette', [list(colour) for colour in opened.palette])

    def load_data_list(self) -> list[dict]:
        """Entries of the windows that have a labelled pixel in the split, row by row.

        Raises:
            DataError: if there is none.
        """
        windows = sample_windows(self.scene.grid, self.window_size, self.window_stride)
        if self.with_labels:
            assert self.scene_labels is not None
            occupied = self.scene_labels.occupied(windows, self.split)
            windows = [window for window, labelled in zip(windows, occupied, strict=True) if labelled]
            if not windows:
                raise DataError(
                    f'no pixel is labelled (split={self.split!r}, classes={list(self.scene_labels.classes)})',
                    path=self.scene_labels.path,
                    hint='Look at splits and classes, and whether labels and rasters cover the same ground.',
                )
        self.windows = self._observed(windows)
        start = resolve_season_start(self.season_start, self.scene.days[self.sensors[0]])
        return [
            dict(sample_id=f'row {window.row} column {window.column}', season_start=start, window=tuple(window))
            for window in self.windows
        ]

    def _observed(self, windows: list[Window]) -> list[Window]:
        """The windows of which a sensor saw something: the others have nothing to learn from."""
        seen, lucky = [], dict.fromkeys(self.sensors, 0)
        with reading_progress('windows') as shown:
            for number, window in enumerate(windows, 1):
                seen.append(self._is_observed(window, lucky))
                shown(number, len(windows))
        kept = [window for window, saw in zip(windows, seen, strict=True) if saw]
        if not kept:
            raise DataError(
                f'none of the {len(windows)} windows was observed on any date by any sensor',
                path=self.scene.sensors[self.sensors[0]].folder,
                hint='Look at grid, nodata and clouds, and whether labels and rasters cover the same ground.',
            )
        if len(kept) < len(windows):
            print_log(
                f'{len(windows) - len(kept)} of {len(windows)} windows were observed on no date by any sensor and are '
                'left out',
                'current',
                logging.WARNING,
            )
        return kept

    def _is_observed(self, window: Window, lucky: dict[str, int]) -> bool:
        """Whether a sensor saw a pixel; `lucky` keeps the date that showed the last window, as it may show this too."""
        for name, date in lucky.items():
            bands = self.sensors_info[name]['bands']
            found = self.scene.sensors[name].first_observation(window, self.scene.grid, bands, date)
            if found is not None:
                lucky[name] = found
                return True
        return False

    def load_sample(self, info: dict[str, Any]) -> dict[str, Any]:
        """Read the window of a sample.

        Args:
            info: the sample's entry.

        Returns:
            The same with inputs, targets (unless without labels), paths, date_index and img_shape.
        """
        window = Window(*info['window'])
        info['inputs'] = self.scene.read(window, {name: self.sensors_info[name]['bands'] for name in self.sensors})
        info['paths'] = {name: str(series.folder) for name, series in self.scene.sensors.items()}
        info['date_index'] = {name: np.arange(len(series.days)) for name, series in info['inputs'].items()}
        info['img_shape'] = window.shape
        if self.with_labels:
            assert self.scene_labels is not None
            info['targets'] = self._read_labels(window, info)
            # What no sensor ever saw is neither to be learnt nor to be scored.
            seen = np.any([series.valid.any(axis=0) for series in info['inputs'].values()], axis=0)
            info['targets'][~seen] = IGNORED
            info['paths']['targets'] = str(self.scene_labels.path)
        return info

    def label_map(self, index: int) -> np.ndarray:
        """Labels of a sample without its images, (h,w) uint8, 255 ignored. Only the images tell which pixels no sensor
        ever saw; the labels of these are still there."""
        info = self.label_info(index)
        return self._read_labels(Window(*info['window']), info)

    def _read_labels(self, window: Window, info: Mapping[str, Any]) -> np.ndarray:
        assert self.scene_labels is not None
        codes = self.scene_labels.read(window, self.split)
        targets = translate_labels(codes, info.get('label_table'), str(self.scene_labels.path), info['sample_id'])
        targets[np.isin(targets, info['ignored_labels'])] = IGNORED
        return targets

    def load_statistics(self) -> dict[str, dict[str, list[float]]]:
        """Mean and standard deviation per band, measured on windows that are spread over the training set.

        Only pixels of the split count, labelled or not: what the model is to be held against is not looked at.

        Returns:
            For each sensor mean and std; empty for a test set, which is normalised with what the training set gave.
        """
        if self.test_mode:
            return {}
        chosen = np.unique(np.linspace(0, len(self.windows) - 1, STATISTICS_WINDOWS).astype(int))
        moments = {name: RunningMoments(len(self.sensors_info[name]['bands'])) for name in self.sensors}
        bands = {name: self.sensors_info[name]['bands'] for name in self.sensors}
        for position in chosen:
            window = self.windows[position]
            own = self._own_pixels(window)
            middle = _middle(own, STATISTICS_SIDE)
            rows, columns = middle.slices
            images = self.scene.read(middle.moved(window.row, window.column), bands)
            for name, series in images.items():
                moments[name].add(series.values.transpose(1, 0, 2, 3)[:, series.valid & own[rows, columns]])
        return {
            name: dict(mean=own.mean.tolist(), std=np.where(own.std > 0, own.std, 1.0).tolist())
            for name, own in moments.items()
            if own.count > 1
        }

    def _own_pixels(self, window: Window) -> np.ndarray:
        """Pixels of a window that belong to the split, (h,w) bool; without labels all."""
        if not self.with_labels:
            return np.ones(window.shape, bool)
        assert self.scene_labels is not None
        return self.scene_labels.part(window, self.split)


def _middle(own: np.ndarray, side: int) -> Window:
    """The part of a window, at most `side` pixels high and wide, around the pixel of `own` (h,w) nearest the middle."""
    height, width = (min(length, side) for length in own.shape)
    middle = np.array(own.shape) // 2
    places = np.argwhere(own) if own.any() else middle[None]
    row, column = places[((places - middle) ** 2).sum(axis=1).argmin()]
    rows, columns = own.shape
    first_row, first_column = np.clip((row - height // 2, column - width // 2), 0, (rows - height, columns - width))
    return Window(int(first_row), int(first_column), height, width)
