"""MTS12: a year of Sentinel-1 and Sentinel-2 over Slovenia with eight classes of land cover.

Zhao & Ji, CNN, RNN, or ViT? An evaluation of different deep learning architectures for spatio-temporal representation
of Sentinel time series, IEEE JSTARS 2022; http://gpcv.whu.edu.cn/data/dataset12/dataset12.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from .backscatter import STRETCHED
from .base import Sensor
from .errors import DataError
from .mat_series import MatSeriesDataset

SPLITS = ('train', 'val', 'test')

CLASSES = (
    'cultivated land',
    'forest',
    'grassland',
    'shrubland',
    'water',
    'wetland',
    'artificial surface',
    'bare land',
)

PALETTE = (
    (255, 255, 0),
    (5, 73, 7),
    (255, 165, 0),
    (128, 96, 0),
    (6, 154, 243),
    (149, 208, 252),
    (220, 20, 60),
    (166, 166, 166),
)


@DATASETS.register_module()
class SloveniaDataset(MatSeriesDataset):
    """MTS12: 936 patches of 500×500 pixels at 10 m, one image for each month of 2019; any size is read.

    Sensors: `s1` (VV, VH; decibels of beta0, filtered by non-local means and stretched to 0..255 by its makers) and
    `s2` (B02, B03, B04, B08, B11, B12, level 1C). Folders: `<sensor>/<split>/<name>.mat` with the variable `band`
    (T,H,W,C) and `label/<split>/<name>_label.mat` with `label` (H,W), 0 no data, 1 … 8 the classes. Published are 509
    patches to train on, 130 to validate and 297 to test; samples come sorted by name, from subfolders too.

    Args:
        data_root: folder that holds `s1`, `s2` and `label`.
        sensors: any of 's1', 's2'.
        split: 'train', 'val', 'test', or several of them.
        **kwargs: as in :class:`MatSeriesDataset`: units, dates, period, with_labels, bands, pipeline, …

    Raises:
        DataError: if a folder or file is missing or wrong.
        ValueError: if arguments name what does not exist.
    """

    METAINFO = dict(classes=CLASSES, palette=PALETTE)
    CODE_LIST = 'slovenia'
    SENSORS = {
        's1': Sensor(bands=('VV', 'VH'), unit=STRETCHED),
        's2': Sensor(bands=('B02', 'B03', 'B04', 'B08', 'B11', 'B12'), unit='as stored in MTS12'),
    }
    IMAGE_VARIABLE = 'band'
    PUBLISHED_DATES = 12

    def __init__(
        self, data_root: str = '', sensors: Sequence[str] = ('s1',), split: str | Sequence[str] = 'train', **kwargs: Any
    ) -> None:
        self.splits = (split,) if isinstance(split, str) else tuple(split)
        unknown = [name for name in self.splits if name not in SPLITS]
        if unknown or not self.splits:
            raise ValueError(f'split must be one or several of {SPLITS}, got {split!r}')
        super().__init__(data_root, sensors=sensors, **kwargs)

    def list_files(self, root: Path) -> list[dict]:
        """See :class:`MatSeriesDataset`."""
        return [entry for split in self.splits for entry in self._list_split(root, split)]

    def _list_split(self, root: Path, split: str) -> list[dict]:
        first = root / self.sensors[0] / split
        names = sorted(path.relative_to(first) for path in first.rglob('*.mat')) if first.is_dir() else []
        if not names:
            there = sorted(path.name for path in first.parent.iterdir()) if first.parent.is_dir() else []
            raise DataError(
                f'no .mat files of the split {split!r}; {first.parent} holds {there or "nothing"}',
                path=first,
                hint='Give the folder that holds s1 and label as data_root, or choose another split.',
            )
        return [self._entry(root, split, name) for name in names]

    def _entry(self, root: Path, split: str, name: Path) -> dict:
        paths = {sensor: root / sensor / split / name for sensor in self.sensors}
        label = root / 'label' / split / name.with_name(f'{name.stem}_label.mat')
        for path in (*paths.values(), *((label,) if self.with_labels else ())):
            if not path.is_file():
                raise DataError(
                    f'the file that goes with {name} is missing',
                    path=path,
                    sample_id=name.stem,
                    hint='Complete the download, or remove the other files of this patch.',
                )
        image_paths = {sensor: str(path) for sensor, path in paths.items()}
        return dict(sample_id=name.with_suffix('').as_posix(), image_paths=image_paths, label_path=str(label))
