"""Brandenburg: Sentinel-1 series of farmland in two seasons, with fifteen classes of crops.

Han et al., ISPRS Journal 2023 ('STMA'), in the form in which SL-GT2Net was trained on it. Its two sets are both of
Sentinel-1; 's1' and 's2' in the names of its folders count the sets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from .base import Sensor
from .errors import DataError
from .mat_series import MatSeriesDataset

SPLITS = ('train', 'val', 'test')
COMPARED = 8
"""Characters at the end of the names in which images and labels agree, '0001.mat'."""

CLASSES = (
    'Maize',
    'Wheat',
    'Grassland',
    'Peanut',
    'Potato',
    'Residue',
    'Fallow',
    'Rapeseed',
    'Vegetable',
    'Legume',
    'Herb',
    'Orchard',
    'Flower',
    'Sugar beet',
    'Other',
)

PALETTE = (
    (243, 173, 61),
    (209, 124, 248),
    (170, 226, 71),
    (235, 50, 35),
    (196, 140, 108),
    (198, 231, 253),
    (106, 43, 14),
    (42, 114, 246),
    (168, 167, 53),
    (204, 204, 204),
    (255, 253, 84),
    (209, 177, 161),
    (141, 221, 251),
    (188, 160, 211),
    (245, 193, 230),
)


@DATASETS.register_module()
class BrandenburgDataset(MatSeriesDataset):
    """One of the two sets of Brandenburg: patches of 224×224 pixels, 41 images of VH and VV in decibels; any size.

    Folders: `trainval_vhvv` and `test_vhvv` with images (variable `data`, (T,H,W,2)), `trainval_label` and `test_label`
    (variable `label`, (H,W), 0 background, 1 … 15 the classes), and `split/{train,val,test}.txt` with one number for
    each sample: the position, from 0, of its files among those of their folders, sorted by name. The last eight
    characters of the two names must agree.

    Args:
        data_root: folder of the set, such as `brandenburg/s1_2017_2018`.
        split: 'train', 'val' or 'test'.
        period: first and last day of the series, which its authors do not name: an assumption, and without influence on
            networks that do not read days.
        season_start: as in :class:`SeriesDataset`.
        **kwargs: as in :class:`MatSeriesDataset`: dates, with_labels, bands, pipeline, …

    Raises:
        DataError: if a folder, a file or a list is missing or wrong.
        ValueError: if arguments name what does not exist.
    """

    METAINFO = dict(classes=CLASSES, palette=PALETTE)
    CODE_LIST = 'brandenburg'
    SENSORS = {'s1': Sensor(bands=('VH', 'VV'), unit='dB')}
    IMAGE_VARIABLE = 'data'
    PUBLISHED_DATES = 41

    def __init__(
        self,
        data_root: str = '',
        split: str = 'train',
        period: tuple[str, str] = ('2017-10-01', '2018-09-30'),
        season_start: str = '10-01',
        **kwargs: Any,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f'split must be one of {SPLITS}, got {split!r}')
        self.split = split
        super().__init__(data_root, period=period, season_start=season_start, **kwargs)

    def list_files(self, root: Path) -> list[dict]:
        """See :class:`MatSeriesDataset`."""
        part = 'test' if self.split == 'test' else 'trainval'
        images = _sorted_files(root / f'{part}_vhvv')
        if not self.with_labels:
            return [self._entry(images[i], None) for i in self._positions(root, len(images))]
        labels = _sorted_files(root / f'{part}_label')
        if len(images) != len(labels):
            raise DataError(
                f'{len(images)} files of images, {len(labels)} of labels: they go together by their order',
                path=root / f'{part}_label',
                hint='Complete the download.',
            )
        return [self._entry(images[i], labels[i]) for i in self._positions(root, len(images))]

    def _positions(self, root: Path, count: int) -> list[int]:
        path = root / 'split' / f'{self.split}.txt'
        try:
            words = path.read_text(encoding='utf-8').split()
            positions = [int(word) for word in words]
        except (OSError, ValueError) as error:
            raise DataError(
                f'one number for each sample is expected ({error})', path=path, hint='Get the list again.'
            ) from error
        wrong = [position for position in positions if not 0 <= position < count]
        if wrong or not positions:
            raise DataError(
                f'numbers from 0 to {count - 1} are expected, as there are {count} files; '
                + (f'found {wrong[:5]}' if wrong else 'the list is empty'),
                path=path,
                hint='The list counts all files of the folder, sorted by name: complete the download.',
            )
        return positions

    def _entry(self, image: Path, label: Path | None) -> dict:
        if label is not None and image.name[-COMPARED:] != label.name[-COMPARED:]:
            raise DataError(
                f'images {image.name} and labels {label.name} stand at the same place of their sorted folders, but '
                'their names do not end alike',
                path=label,
                sample_id=image.stem,
                hint='A file is missing or spare in one of the folders.',
            )
        return dict(
            sample_id=image.stem, image_paths={'s1': str(image)}, label_path=None if label is None else str(label)
        )


def _sorted_files(folder: Path) -> list[Path]:
    files = sorted(folder.glob('*.mat')) if folder.is_dir() else []
    if not files:
        raise DataError(
            'no .mat files are there',
            path=folder,
            hint='Give the folder that holds trainval_vhvv, test_vhvv and split as data_root.',
        )
    return files
