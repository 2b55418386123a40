"""`SeriesDataset`: what every dataset of satellite image time series shares."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.logging import print_log
from mmseg.registry import TRANSFORMS

from .label_fraction import keep_fraction
from .nomenclature import IGNORED, ClassCodes, ClassMatch, CropCode, match_classes, read_code_list
from .samplers import DrawIndex

EPOCH = datetime.date(1970, 1, 1)


class Sensor(NamedTuple):
    """What the files of one sensor hold.

    Attributes:
        bands: Band names in the order of the file.
        unit: Unit of the stored numbers, such as 'reflectance x 10000' or 'dB'.
    """

    bands: tuple[str, ...]
    unit: str


def day_number(date: datetime.date) -> int:
    """Days since 1970-01-01."""
    return (date - EPOCH).days


def day_to_date(day: int) -> datetime.date:
    """The date that lies `day` days after 1970-01-01."""
    return EPOCH + datetime.timedelta(days=int(day))


def resolve_season_start(season_start: str, days: np.ndarray) -> int:
    """The reference date of a sample.

    Args:
        season_start: A date 'YYYY-MM-DD', the same for all samples, or a recurring day 'MM-DD': then the latest such
            day that is not after the median date of the series, so that each sample is counted from its own season.
        days: The sample's dates, days since 1970-01-01, shape (T,), T ≥ 1.

    Returns:
        Days since 1970-01-01.

    Raises:
        ValueError: If `season_start` is neither form.
    """
    try:
        if len(season_start) == 10:
            return day_number(datetime.date.fromisoformat(season_start))
        median = day_to_date(int(np.median(days)))
        month, day = (int(part) for part in season_start.split('-'))
        start = datetime.date(median.year, month, day)
    except ValueError as error:
        raise ValueError(
            f"season_start={season_start!r} is not a date: give 'YYYY-MM-DD' (fixed) or 'MM-DD' (recurring, not 02-29)."
        ) from error
    if start > median:
        start = datetime.date(median.year - 1, month, day)
    return day_number(start)


def report_match(match: ClassMatch, lists: Sequence[ClassCodes], title: str) -> None:
    """Log what becomes of classes; a warning where some are lost because nobody said what they are."""
    unlisted = dict.fromkeys(name for codes in lists for name, code in codes.items() if not code.listed)
    print_log(f'Classes of {title}:\n{match.report()}', 'current', logging.INFO)
    if unlisted:
        print_log(
            f'{title}: nothing is known of the classes {", ".join(unlisted)}, so they are neither trained nor scored. '
            'Name a list with their codes (code_list of the dataset), or keep them by their names (keep).',
            'current',
            logging.WARNING,
        )


def _translated(table: np.ndarray | None, new_labels: np.ndarray) -> np.ndarray:
    """A table from codes to labels, (256,), -1 where a code does not exist, with other labels; None keeps the codes."""
    if table is None:
        return new_labels[: IGNORED + 1].astype(np.int16)
    return np.where(table < 0, table, new_labels[np.maximum(table, 0)]).astype(np.int16)


class SeriesDataset(BaseDataset):
    """Base of the datasets: a sample is a dict of sensors, each an `ImageSeries`, with one label map.

    A subclass sets `SENSORS`, `METAINFO` (`classes`, `palette`) and writes `load_data_list`, which returns for each
    sample a dict with `sample_id`, `season_start` (days since 1970-01-01), `series` (sensor -> dict with `path` and
    `days`) and `label_path`; and `load_statistics` where its files hold statistics.

    The pipeline receives this dict with three keys more: `sensors_info` (sensor -> dict with `bands`, `file_bands`,
    `unit`), `ignored_labels` (label values that become 255), and `rng`, the generator of this very draw, from which
    alone transforms take random numbers. It is seeded from the seed of the run and the number of the draw when the
    index is a `DrawIndex`, else from the dataset's own seed and the index, so a test set's random choices are the same
    in every run. A sample that is one view of several has `spatial_rng` too, equal in all of them: what flips and crops
    draw from.

    Args:
        data_root: Folder of the dataset.
        sensors: Sensors to load, keys of `SENSORS`.
        bands: Bands by name for some sensors, in the order the model wants: `dict(s2=('B04', 'B08'))`. The others give
            all bands of their files.
        season_start: Reference date, 'YYYY-MM-DD' or recurring 'MM-DD' (see `resolve_season_start`).
        ignored_classes: Classes, by name or index, that are neither trained nor scored (label 255).
        nomenclature: Put classes of HCAT, the crop nomenclature, in the place of the dataset's own, so that they are
            those of other datasets too: arguments `level`, `classes` and `keep` of `match_classes`, such as
            `dict(level=5)`, or `dict(classes=['cereal', 'potatoes'])`. Labels, classes and palette are translated; what
            was merged or dropped is in the log.
        code_list: Where the codes of the own classes are found, see `read_code_list`: name of a built-in list, CSV file
            or mapping. None takes the list of the dataset's kind (`CODE_LIST`), if it has one.
        statistics_in_sample: Hand the dataset's own statistics on with every sample, so that it is normalised with
            these instead of the model's (what the published PASTIS loader does with validation and test sets).
        label_fraction: Keep this share of the samples, as if no others were labelled, at least one; chosen at random,
            where each has one label, in proportion within each class (`stratified_share`). A smaller share is part of
            a larger one. Classes that disappear are named in a warning.
        label_seed: Seed of that choice.
        seed: Seed for samples that are asked for by a plain index.
        pipeline: Transforms.
        **kwargs: As in mmengine's `BaseDataset`; `max_refetch` is always 0: a bad sample raises and is never replaced.

    Raises:
        ValueError: If a sensor, band or class does not exist; the message lists those that do.
    """

    SENSORS: ClassVar[dict[str, Sensor]] = {}
    CODE_LIST: ClassVar[str | None] = None

    def __init__(
        self,
        data_root: str = '',
        sensors: Sequence[str] = ('s2',),
        bands: Mapping[str, Sequence[str]] | None = None,
        season_start: str = '01-01',
        ignored_classes: Sequence[str | int] = (),
        nomenclature: Mapping[str, Any] | None = None,
        code_list: str | Path | Mapping[str, Any] | None = None,
        statistics_in_sample: bool = False,
        label_fraction: float | None = None,
        label_seed: int = 0,
        seed: int = 0,
        pipeline: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:
        self.sensors = tuple(sensors)
        self.season_start = season_start
        self.statistics_in_sample = statistics_in_sample
        self.seed = seed
        if label_fraction is not None and not 0 < label_fraction <= 1:
            raise ValueError(f'label_fraction must lie in (0, 1], got {label_fraction}')
        self.label_fraction, self.label_seed = label_fraction, label_seed
        self.sensors_info = self._resolve_sensors(dict(bands or {}))
        kwargs['max_refetch'] = 0
        self._statistics: dict[str, dict[str, list[float]]] = {}
        self._ignored_classes = tuple(ignored_classes)
        self.nomenclature = None if nomenclature is None else dict(nomenclature)
        self._code_list = read_code_list(self.CODE_LIST if code_list is None else code_list)
        self._class_codes: dict[str, CropCode] | None = None
        self._new_labels: np.ndarray | None = None
        # From mmseg's registry, so that a dataset can be made in plain Python, where no default scope is set.
        transforms = [TRANSFORMS.build(step) if isinstance(step, dict) else step for step in pipeline]
        super().__init__(data_root=str(data_root), pipeline=transforms, **kwargs)

    def full_init(self) -> None:
        """Read the index of the dataset, its statistics and the class table (mmengine calls it once)."""
        if self._fully_initialized:
            return
        self.ignored_labels = self._resolve_ignored_classes()
        super().full_init()
        self._statistics = self.load_statistics()
        self._metainfo.update(season_start=self.season_start)
        self.describe_outputs()
        if self.nomenclature is not None:
            match = match_classes(self.class_codes(), names=[type(self).__name__], **self.nomenclature)
            report_match(match, [self.class_codes()], str(self.data_root))
            self._translate_labels(match, 0)
        if self.label_fraction is not None and self.label_fraction < 1:
            self._keep_labels(self.label_fraction)

    def _keep_labels(self, fraction: float) -> None:
        """Keep a share of the samples, whose labels are maps."""
        keep_fraction(self, fraction, self.label_seed)

    def describe_outputs(self) -> None:
        """Put into the metainfo what the pipeline gives: bands, units, and the statistics where these still hold.

        A transform that changes bands tells how by `changed_sensors_info(sensors_info) -> sensors_info`. The
        statistics of a sensor whose bands or unit it changed are left out: they are measured before training.

        Raises:
            ValueError: If samples are to bring the statistics of bands or units that the pipeline changes.
        """
        info = self.sensors_info
        for step in self.pipeline.transforms:
            if hasattr(step, 'changed_sensors_info'):
                info = step.changed_sensors_info(info)
        same = ('bands', 'unit')
        kept = [name for name in info if all(info[name][key] == self.sensors_info[name][key] for key in same)]
        changed = [sensor for sensor in info if sensor not in kept]
        if changed and self.statistics_in_sample:
            raise ValueError(
                f'{type(self).__name__}: statistics_in_sample hands on those of the bands in the files, but the '
                f'pipeline changes the bands or the unit of {", ".join(changed)}. Leave statistics_in_sample out.'
            )
        self._metainfo.update(
            bands={sensor: values['bands'] for sensor, values in info.items()},
            units={sensor: values['unit'] for sensor, values in info.items()},
            statistics={sensor: values for sensor, values in self._statistics.items() if sensor in kept},
        )

    def class_codes(self) -> dict[str, CropCode]:
        """Codes of HCAT of the classes, in the order of the labels."""
        if self._class_codes is not None:
            return self._class_codes
        return self._code_list.codes(self._metainfo.get('classes', ()))

    def translate_labels(self, match: ClassMatch, number: int) -> None:
        """Put other classes in the place of the present ones: in labels, `classes`, `palette` and `class_codes`.

        Args:
            match: What becomes of the present classes.
            number: Number of this dataset's classes in the match.

        Raises:
            ValueError: If the match is of other classes.
        """
        self.full_init()
        self._translate_labels(match, number)

    def _translate_labels(self, match: ClassMatch, number: int) -> None:
        present = tuple(self._metainfo.get('classes', ()))
        if tuple(match.fates[number]) != present:
            raise ValueError(
                f'the match is of the classes {list(match.fates[number])}, the dataset has {list(present)}'
            )
        new = np.full(max(IGNORED + 1, len(present)), IGNORED, np.uint8)
        new[: len(present)] = match.translation(number)
        if self._new_labels is None:
            new[list(self.ignored_labels)] = IGNORED
            self._new_labels = new
        else:
            self._new_labels = new[self._new_labels]
        self.ignored_labels = ()
        self._class_codes = match.class_codes()
        self._metainfo.update(classes=match.classes, palette=match.palette)

    def load_statistics(self) -> dict[str, dict[str, list[float]]]:
        """Mean and standard deviation per band, in the order and unit of the loaded bands, where the dataset has them.

        Returns:
            sensor -> dict(mean=[C], std=[C]); a sensor without known statistics is absent.
        """
        return {}

    @property
    def statistics(self) -> dict[str, dict[str, list[float]]]:
        """Statistics of this dataset, as `load_statistics` read them."""
        return self._statistics

    def prepare_data(self, idx: int) -> Any:
        """Read and transform one sample.

        Args:
            idx: A plain index or a `DrawIndex`.

        Returns:
            What the pipeline makes of the sample.
        """
        info = self.label_info(int(idx))
        seed, draw = (idx.seed, idx.draw) if isinstance(idx, DrawIndex) else (self.seed, int(idx))
        info['rng'] = np.random.default_rng([seed, draw])
        if isinstance(idx, DrawIndex) and idx.spatial_seed is not None:
            info['spatial_rng'] = np.random.default_rng([idx.spatial_seed, draw])
        info['sensors_info'] = self.sensors_info
        if self.statistics_in_sample:
            info['statistics'] = self._statistics
        return self.pipeline(self.load_sample(info))

    def label_info(self, index: int) -> dict[str, Any]:
        """Entry of a sample with what its labels are read by: `ignored_labels`, and the `label_table` into the classes
        of a nomenclature."""
        info = self.get_data_info(index)
        info['ignored_labels'] = self.ignored_labels
        if self._new_labels is not None:
            info['label_table'] = _translated(info.get('label_table'), self._new_labels)
        return info

    def load_sample(self, info: dict[str, Any]) -> dict[str, Any]:
        """Read what the pipeline has no transform for; a dataset whose pipelines start with loading has nothing to do.

        Args:
            info: What the pipeline would receive.

        Returns:
            The same, with `inputs` and `targets` where they are read here.
        """
        return info

    def _resolve_sensors(self, bands: dict[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
        unknown = [name for name in (*self.sensors, *bands) if name not in self.SENSORS]
        if unknown:
            raise ValueError(f'{type(self).__name__} has no sensor {unknown}; it has {sorted(self.SENSORS)}.')
        return {sensor: self._resolve_bands(sensor, bands.get(sensor)) for sensor in self.sensors}

    def _resolve_bands(self, sensor: str, wanted: Sequence[str] | None) -> dict[str, Any]:
        held = self.SENSORS[sensor]
        chosen = held.bands if wanted is None else tuple(wanted)
        unknown = [band for band in chosen if band not in held.bands]
        if not chosen:
            raise ValueError(f'{type(self).__name__}: no band of sensor {sensor!r} is chosen; it has {held.bands}.')
        if unknown:
            raise ValueError(f'{type(self).__name__}: sensor {sensor!r} has no band {unknown}; it has {held.bands}.')
        return {'bands': chosen, 'file_bands': held.bands, 'unit': held.unit}

    def _resolve_ignored_classes(self) -> tuple[int, ...]:
        classes = self._metainfo.get('classes', ())
        indices = []
        for name in self._ignored_classes:
            if isinstance(name, int) and 0 <= name < len(classes):
                indices.append(name)
            elif name in classes:
                indices.append(classes.index(name))
            else:
                raise ValueError(f'ignored_classes: no class {name!r}; the classes are {list(classes)}.')
        return tuple(indices)
