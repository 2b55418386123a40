"""Windows of a scene in memory-mapped files: dense samples that cost no raster reading, warping or cloud masking.

Layout of the folder of one dataset (a split):

- `<sensor>/<number>.npy`: (T,C,h,w) in the type and unit that the scene gives;
- `<sensor>/<number>_valid.npy`: (T,h,w) bool; absent where everything was observed;
- `labels/<number>.npy`: (h,w) uint8, 255 ignored; absent without labels;
- `labels/<number>_seen.npy`: (h,w) bool, where any sensor saw anything on any date; absent where that is everywhere;
- `index.json`: sensors with bands, unit and dates, classes, statistics, and the windows, with dates of their own where
  these differ; written last.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from mmseg.registry import DATASETS

from mmsits.structures import ImageSeries

from .base import Sensor, SeriesDataset, resolve_season_start
from .errors import DataError
from .packed_parcels import refuse_foreign
from .transforms.loading import open_array, select_bands, translate_labels

if TYPE_CHECKING:
    from .scene import SceneWindows

INDEX = 'index.json'
VERSION = 1
_LAYOUT = 2
"""Of windows of scenes: 2 since they say where nothing was ever seen. Older ones are packed again."""
_MARKS = {INDEX: 'fingerprint'}
_REPACK = 'Remove the folder and pack again (tools/dataset_converters/pack.py).'

Progress = Callable[[int, int], None]
"""Called with the number of windows done and in all."""


def read_index(folder: str | Path) -> dict[str, Any]:
    """What a folder of packed windows says of itself.

    Raises:
        DataError: if there is none, or it is damaged or of another version.
    """
    path = Path(folder) / INDEX
    try:
        index = json.loads(path.read_text(encoding='utf-8'))
        version = index['version']
    except FileNotFoundError as error:
        raise DataError(
            'no packed windows are there',
            path=path,
            hint='Correct the folder, or pack the scene: tools/dataset_converters/pack.py.',
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f'the index cannot be read ({error!r})', path=path, hint=_REPACK) from error
    if version != VERSION:
        raise DataError(f'version {version} is not {VERSION}', path=path, hint=_REPACK)
    return index


@DATASETS.register_module()
class PackedWindows(SeriesDataset):
    """Windows that tools/dataset_converters/pack.py has written: the same samples as those of `SceneWindows`.

    A sample comes with `inputs` (values (T,C,h,w), days (T,), valid (T,h,w) or (T,1,1)), memory-mapped, so that crops
    and choices of dates that follow read no more than they need; `targets` ((h,w) uint8, 255 ignored), and `window`.

    Args:
        data_root: folder that was given as --out.
        split: folder in it, of one data loader: 'train', 'val' or 'test'.
        sensors: which sensors; None for all.
        with_labels: hand labels on.
        **kwargs: as in :class:`SeriesDataset`: bands, season_start (None: that of the scene's config), pipeline, …

    Raises:
        DataError: if the folder is incomplete or damaged.
    """

    SENSORS: ClassVar[dict[str, Sensor]] = {}

    def __init__(
        self,
        data_root: str = '',
        split: str = 'train',
        sensors: tuple[str, ...] | None = None,
        with_labels: bool = True,
        season_start: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.folder = Path(data_root) / split
        self.index = read_index(self.folder)
        self.with_labels = with_labels
        held = self.index['sensors']
        # What the files hold is known when the index is read: sensors are those of this dataset, not of its class.
        self.SENSORS = {  # type: ignore[misc]
            name: Sensor(tuple(values['bands']), values['unit']) for name, values in held.items()
        }
        self._days = {name: np.array(values['days'], np.int32) for name, values in held.items()}
        chosen = tuple(held) if sensors is None else tuple(sensors)
        start = self.index['season_start'] if season_start is None else season_start
        super().__init__(data_root, sensors=chosen, season_start=start, **kwargs)

    def full_init(self) -> None:
        """Read classes and palette from the index (mmengine calls it once)."""
        if self._fully_initialized:
            return
        self._metainfo['classes'] = tuple(self.index['classes'])
        self._metainfo.setdefault('palette', self.index['palette'])
        super().full_init()

    def load_data_list(self) -> list[dict]:
        """Entries of the windows, in the order in which they were packed."""
        return [self._entry(number, entry) for number, entry in enumerate(self.index['windows'])]

    def _entry(self, number: int, entry: dict[str, Any]) -> dict[str, Any]:
        # Windows of one scene share their dates; tiles with dates of their own say them.
        days = {name: np.array(own, np.int32) for name, own in entry.get('days', {}).items()} or self._days
        start = resolve_season_start(self.season_start, days[self.index['first_sensor']])
        window = tuple(entry['window'])
        return dict(sample_id=entry['sample_id'], season_start=start, window=window, number=number, days=days)

    def load_sample(self, info: dict[str, Any]) -> dict[str, Any]:
        """Open the files of a sample.

        Args:
            info: the sample's entry.

        Returns:
            The same with inputs, targets (unless without labels), paths, date_index and img_shape.

        Raises:
            DataError: if a file is missing or damaged.
        """
        number, sample_id = info['number'], info['sample_id']
        info['paths'] = {name: str(self.folder / name / f'{number}.npy') for name in self.sensors}
        days = info['days']
        info['inputs'] = {name: self._open(name, info['paths'][name], sample_id, days[name]) for name in self.sensors}
        info['date_index'] = {name: np.arange(len(days[name])) for name in self.sensors}
        info['img_shape'] = tuple(info['window'][2:])
        if self.with_labels:
            info['targets'] = self._read_labels(info)
            info['paths']['targets'] = str(self._label_path(number))
        return info

    def label_map(self, index: int) -> np.ndarray:
        """Labels of a sample without its images, (h,w) uint8; 255 is ignored, or was never seen."""
        return self._read_labels(self.label_info(index))

    def _label_path(self, number: int) -> Path:
        return self.folder / 'labels' / f'{number}.npy'

    def _read_labels(self, info: dict[str, Any]) -> np.ndarray:
        path = str(self._label_path(info['number']))
        codes = open_array(path, info['sample_id'], mmap=False)
        targets = translate_labels(codes, info.get('label_table'), path, info['sample_id'])
        targets[np.isin(targets, info['ignored_labels'])] = 255
        # What no sensor ever saw is neither to be learnt nor to be scored, nor counted among a class.
        if (mask := Path(path).with_name(f'{info["number"]}_seen.npy')).exists():
            targets[~open_array(str(mask), info['sample_id'], mmap=False)] = 255
        return targets

    def _open(self, name: str, path: str, sample_id: str, days: np.ndarray) -> ImageSeries:
        values = open_array(path, sample_id)
        info = self.sensors_info[name]
        if values.shape[:2] != (len(days), len(info['file_bands'])):
            raise DataError(
                f'{len(days)} dates and {len(info["file_bands"])} bands are expected, found {values.shape}',
                path=path,
                sample_id=sample_id,
                hint=_REPACK,
            )
        mask = Path(path).with_name(Path(path).stem + '_valid.npy')
        valid = open_array(str(mask), sample_id) if mask.exists() else np.ones((len(days), 1, 1), bool)
        return ImageSeries(select_bands(values, info['file_bands'], info['bands']), days, valid)

    def load_statistics(self) -> dict[str, dict[str, list[float]]]:
        """Those of the scene's dataset, for the chosen bands."""
        found = {}
        for name, values in self.index['statistics'].items():
            if name in self.sensors:
                order = [self.SENSORS[name].bands.index(band) for band in self.sensors_info[name]['bands']]
                found[name] = {key: [numbers[position] for position in order] for key, numbers in values.items()}
        return found


def pack_windows(
    dataset: SceneWindows, folder: str | Path, progress: Progress | None = None, overwrite: bool = False
) -> Path:
    """Write the windows of a scene's dataset; go on where an earlier call was stopped.

    The folder appears under its name when it is complete, and not before; an unfinished one lies beside it (`.part`)
    and is taken up again, if it was made from the same scene and labels.

    Args:
        dataset: the scene's windows.
        folder: where to; a folder for this split.
        progress: called after each window.
        overwrite: make a complete folder anew.

    Returns:
        The folder.

    Raises:
        DataError: if a raster cannot be read, or other packed windows are there, or a folder that holds none.
    """
    mark = _fingerprint(dataset)
    return pack_folder(
        folder,
        mark,
        len(dataset.windows),
        lambda part, number: _pack_window(dataset, part, number),
        lambda: _describe(dataset, mark),
        progress,
        overwrite,
    )


def pack_folder(
    folder: str | Path,
    mark: str,
    total: int,
    pack_one: Callable[[Path, int], None],
    describe: Callable[[], dict[str, Any]],
    progress: Progress | None = None,
    overwrite: bool = False,
) -> Path:
    """Write a folder of samples that appears under its name when it is complete, and goes on where it was stopped.

    Args:
        folder: where to.
        mark: tells the source of the samples from any other.
        total: number of samples.
        pack_one: called with the unfinished folder and the number of a sample; leaves one that is there.
        describe: makes the index, of this `VERSION` and with `fingerprint`; called last.
        progress: called after each sample.
        overwrite: make a complete folder anew.

    Returns:
        The folder.

    Raises:
        DataError: if other packed samples are there.
    """
    final = Path(folder)
    refuse_foreign(final, _MARKS)
    if (final / INDEX).is_file() and not overwrite:
        if read_index(final)['fingerprint'] != mark:
            raise DataError('windows of other data are there', path=final, hint='Remove them, or give --overwrite.')
        return final
    part = final.with_name(final.name + '.part')
    _begin(part, mark)
    for number in range(total):
        pack_one(part, number)
        if progress is not None:
            progress(number + 1, total)
    _save(part / INDEX, json.dumps(describe(), indent=1).encode())
    (part / 'fingerprint').unlink()
    if final.exists():
        shutil.rmtree(final)
    part.rename(final)
    return final


def _begin(part: Path, mark: str) -> None:
    """Make the unfinished folder, empty unless it is of the same data."""
    note = part / 'fingerprint'
    if note.is_file() and note.read_text(encoding='utf-8') == mark:
        return
    if not note.is_file():
        refuse_foreign(part, _MARKS, ('fingerprint.tmp',))
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    _save(note, mark.encode())


def _pack_window(dataset: SceneWindows, part: Path, number: int) -> None:
    last = part / 'labels' / f'{number}.npy' if dataset.with_labels else part / 'done' / str(number)
    if last.exists():
        return
    window = dataset.windows[number]
    bands = {name: dataset.sensors_info[name]['bands'] for name in dataset.sensors}
    seen = np.zeros(window.shape, bool)
    for name, series in dataset.scene.read(window, bands).items():
        seen |= series.valid.any(axis=0)
        valid = np.broadcast_to(series.valid, (len(series.days), *window.shape))
        if not valid.all():
            save_array(part / name / f'{number}_valid.npy', valid)
        save_array(part / name / f'{number}.npy', series.values)
    # The last file of a window says that it is complete.
    if dataset.with_labels:
        assert dataset.scene_labels is not None
        if not seen.all():
            save_array(last.with_name(f'{number}_seen.npy'), seen)
        save_array(last, dataset.scene_labels.read(window, dataset.split))
    else:
        _save(last, b'')


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an array so that its name always stands for a complete file."""
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(path.name + '.tmp')
    with open(temporary, 'wb') as file:
        np.save(file, np.ascontiguousarray(array))
    os.replace(temporary, path)


def _save(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(path.name + '.tmp')
    temporary.write_bytes(content)
    os.replace(temporary, path)


def _fingerprint(dataset: SceneWindows) -> str:
    """A digest of all that decides what the windows hold."""
    from .scene.parcel_cache import describe_scene

    bands = {name: dataset.sensors_info[name]['bands'] for name in dataset.sensors}
    digest = hashlib.sha256(describe_scene(dataset.scene, bands).encode())
    labels = None
    if dataset.with_labels and dataset.scene_labels is not None:
        file = dataset.scene_labels.path.stat()
        options = sorted(dict(dataset.label_options or {}).items())
        labels = f'{options} {file.st_size} {file.st_mtime_ns} {dataset.splits} {dataset.split} {_split_files(dataset)}'
    digest.update(f'{_LAYOUT} {dataset.windows} {labels} {dataset.metainfo["classes"]} {dataset.season_start}'.encode())
    return digest.hexdigest()


def _split_files(dataset: SceneWindows) -> list[tuple[str, int, int]]:
    """Files that divide the scene: names, sizes, times of change."""
    options = dict(dataset.splits or {})
    named = [options.get('file'), *dict(options.get('files') or {}).values()]
    paths = [Path(dataset.data_root) / name for name in named if name is not None]
    return [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths]


def _describe(dataset: SceneWindows, mark: str) -> dict[str, Any]:
    days = dataset.scene.days
    return dict(
        version=VERSION,
        fingerprint=mark,
        sensors={
            name: dict(
                bands=dataset.sensors_info[name]['bands'],
                unit=dataset.sensors_info[name]['unit'],
                days=days[name].tolist(),
            )
            for name in dataset.sensors
        },
        first_sensor=dataset.sensors[0],
        season_start=dataset.season_start,
        classes=list(dataset.scene_labels.classes) if dataset.scene_labels is not None else [],
        palette=[list(colour) for colour in dataset.scene_labels.palette] if dataset.scene_labels is not None else [],
        statistics=dataset.statistics,
        windows=[
            dict(sample_id=dataset.get_data_info(number)['sample_id'], window=list(window))
            for number, window in enumerate(dataset.windows)
        ],
    )
