"""The two datasets of CropMapping (Rangzan and Ramezanpour): EUCROPMAP over Europe, and single crops of Iran."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.logging import print_log
from mmseg.registry import DATASETS

from mmsits.structures import NOT_THIS_CROP

from .errors import DataError
from .monthly_composites import IGNORED, LABELS, MonthlyCompositeDataset

OTHER = 'other'

EUCROPMAP_CODES = (
    211, 212, 213, 214, 215, 216, 217, 218, 219, 221, 222, 223, 230, 231, 232, 233, 240, 250, 290, 300, 500,
)  # fmt: skip
"""Values of the band `classification` of JRC/D5/EUCROPMAP/V1, in the order of the labels."""
EUCROPMAP_CLASSES = (
    'common wheat',
    'durum wheat',
    'barley',
    'rye',
    'oats',
    'maize',
    'rice',
    'triticale',
    'other cereals',
    'potatoes',
    'sugar beet',
    'other root crops',
    'other non-permanent industrial crops',
    'sunflower',
    'rapeseed and turnip rapeseed',
    'soya',
    'dry pulses',
    'fodder crops',
    'bare arable land',
    'woodland and shrubland',
    'grasslands',
    OTHER,
)
EUCROPMAP_PALETTE = (
    (165, 112, 0),
    (137, 96, 84),
    (226, 0, 124),
    (170, 0, 255),
    (150, 110, 60),
    (255, 211, 0),
    (0, 169, 230),
    (200, 130, 90),
    (214, 158, 188),
    (112, 38, 0),
    (168, 0, 230),
    (230, 160, 120),
    (0, 110, 120),
    (255, 255, 0),
    (210, 255, 0),
    (38, 115, 0),
    (85, 200, 85),
    (255, 166, 226),
    (191, 191, 122),
    (20, 84, 30),
    (147, 204, 147),
    (150, 150, 150),
)

ISRC_CROPS = ('canola', 'cotton', 'lentils', 'maize', 'onion', 'pea', 'sugarbeet', 'tomato')
ISRC_PALETTE = (
    (209, 255, 0),
    (255, 38, 38),
    (85, 170, 85),
    (255, 211, 0),
    (255, 102, 102),
    (80, 180, 160),
    (168, 0, 230),
    (228, 30, 60),
    (150, 150, 150),
)

ALL_CROPS = 'all_crops'
"""Root of patches whose maps tell all crops apart."""
NEGATIVES = ('none', 'other_fields', 'unmarked', 'all_crops')


@DATASETS.register_module()
class EuroCropMapDataset(MonthlyCompositeDataset):
    """Patches over Europe with EUCROPMAP 2018 (d'Andrimont et al., Remote Sensing of Environment 2021) as labels.

    `crop_map` holds the codes of EUCROPMAP: 21 classes; other codes (artificial land, water, …) are the class 'other',
    0 is no data, 255 here.

    Args:
        data_root: root with s1, s2 and crop_map, or a folder with such roots `train`, `val` and `test`.
        no_data_is_other: take 0 for 'other', as published.
        **kwargs: as in :class:`MonthlyCompositeDataset`.

    Raises:
        DataError: if a folder or file is missing or wrong.
    """

    METAINFO = dict(classes=EUCROPMAP_CLASSES, palette=EUCROPMAP_PALETTE)
    CODE_LIST = 'eucropmap'
    NUM_CROPS = len(EUCROPMAP_CODES)

    def __init__(self, data_root: str = '', no_data_is_other: bool = False, **kwargs: Any) -> None:
        self.no_data_is_other = no_data_is_other
        super().__init__(data_root, **kwargs)

    def crop_roots(self, folder: Path) -> dict[str, Path]:
        """See :class:`MonthlyCompositeDataset`."""
        return {'': folder}

    def labels_of(self, held: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        """See :class:`MonthlyCompositeDataset`."""
        if held.dtype.kind == 'f' and (held == np.rint(held)).all():
            held = held.astype(np.int64)
        if held.dtype.kind not in 'iu' or held.min(initial=0) < 0:
            raise DataError(
                f'codes of EUCROPMAP are integers from 0, found {held.dtype} from {held.min()} to {held.max()}',
                path=info['label_path'],
                sample_id=info['sample_id'],
                hint='Export the band `classification`, resampled by the nearest pixel.',
            )
        position = np.searchsorted(EUCROPMAP_CODES, held).clip(max=self.NUM_CROPS - 1)
        labels = np.where(np.array(EUCROPMAP_CODES)[position] == held, position, self.NUM_CROPS).astype(np.uint8)
        if not self.no_data_is_other:
            labels[held == 0] = IGNORED
        return labels


@DATASETS.register_module()
class ISRCDataset(MonthlyCompositeDataset):
    """Patches over Iran of which each shows the marked fields of one crop among many that are not marked.

    Each crop has a root of its own; crops may be absent. Masks of integers hold 1 for the crop, 0 for fields of other
    crops and 255 for what nobody knows; masks of fractions, as published, hold the marked share of each pixel.

    Patches on which every crop is known, such as those to test with, have the root `all_crops`; their maps hold 1 … 8
    for the crops in their order, 0 for none of them and 255 for what nobody knows.

    Args:
        data_root: folder with the roots, `<crop>` or `<split>/<crop>`.
        roots: crop -> root relative to the folder, or one for each of the eight crops in their order, '' for a crop
            that is not there. None takes what is there.
        marked_share: share from which a pixel of a mask of fractions is the crop; published is 0.01, which makes fields
            grow by a pixel.
        negatives: what pixels are that are not marked. 'none': unknown (255). 'other_fields': fields of other crops (0
            in a mask of integers) are not this crop. 'unmarked': all are not this crop. 'all_crops', as published: all
            are 'other', none of the eight crops, though many are. The second and third are for training a
            `MultiLabelHead`.
        **kwargs: as in :class:`MonthlyCompositeDataset`.

    Raises:
        DataError: if a folder or file is missing or wrong.
        ValueError: if a crop or an option is unknown.
    """

    METAINFO = dict(classes=(*ISRC_CROPS, OTHER), palette=ISRC_PALETTE)
    CODE_LIST = 'iran'
    NUM_CROPS = len(ISRC_CROPS)

    def __init__(
        self,
        data_root: str = '',
        roots: Mapping[str, str] | Sequence[str] | None = None,
        marked_share: float = 0.5,
        negatives: str = 'none',
        **kwargs: Any,
    ) -> None:
        if negatives not in NEGATIVES:
            raise ValueError(f'negatives must be one of {NEGATIVES}, got {negatives!r}')
        if not 0 <= marked_share < 1:
            raise ValueError(f'marked_share must lie from 0 to below 1, got {marked_share}')
        self.roots = _roots_by_crop(roots)
        self.marked_share, self.negatives = marked_share, negatives
        super().__init__(data_root, **kwargs)

    def crop_roots(self, folder: Path) -> dict[str, Path]:
        """See :class:`MonthlyCompositeDataset`."""
        if self.roots is None:
            self._report_other_crops(folder)
            return {crop: folder / crop for crop in (*ISRC_CROPS, ALL_CROPS) if (folder / crop / LABELS).is_dir()}
        chosen = {crop: folder / root for crop, root in self.roots.items()}
        for crop, root in chosen.items():
            if not (root / LABELS).is_dir():
                raise DataError(
                    f'the root of {crop} has no folder {LABELS}',
                    path=root,
                    hint="Correct it, or leave the crop out ('').",
                )
        return chosen

    def _report_other_crops(self, folder: Path) -> None:
        others = sorted(path.parent.name for path in folder.glob(f'*/{LABELS}'))
        others = [name for name in others if name not in (*ISRC_CROPS, ALL_CROPS)]
        if others:
            print_log(
                f'{folder}: {", ".join(others)} are none of the crops {", ".join(ISRC_CROPS)}; their patches are left '
                'out. If they are called otherwise here, name their folders in `roots`.',
                'current',
                logging.WARNING,
            )

    def labels_of(self, held: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        """See :class:`MonthlyCompositeDataset`."""
        if info['crop'] == ALL_CROPS:
            return self._read_map(held, info)
        number = ISRC_CROPS.index(info['crop'])
        marked, elsewhere = self._read_mask(held, info)
        labels = np.full(held.shape, IGNORED, np.uint8)
        if self.negatives == 'all_crops':
            labels[:] = self.NUM_CROPS
        elif self.negatives == 'unmarked':
            labels[:] = NOT_THIS_CROP + number
        elif self.negatives == 'other_fields':
            labels[elsewhere] = NOT_THIS_CROP + number
        labels[marked] = number
        return labels

    def _read_map(self, held: np.ndarray, info: Mapping[str, Any]) -> np.ndarray:
        """Labels of a map of all crops."""
        known = np.isin(held, np.arange(self.NUM_CROPS + 1)) | (held == IGNORED)
        if not known.all():
            raise DataError(
                f'maps of all crops hold 1 … {self.NUM_CROPS}, 0 (none of them) and 255 (unknown), found '
                f'{np.unique(held[~known])[:5].tolist()}',
                path=info['label_path'],
                sample_id=info['sample_id'],
                hint='Write the map again.',
            )
        labels = np.where(held == 0, self.NUM_CROPS + 1, held) - 1
        return np.where(held == IGNORED, IGNORED, labels).astype(np.uint8)

    def _read_mask(self, held: np.ndarray, info: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        """Marked pixels of the crop, and fields of other crops."""
        where: dict[str, Any] = dict(path=info['label_path'], sample_id=info['sample_id'])
        if held.dtype.kind == 'f':
            if not (np.isfinite(held).all() and held.min() >= 0 and held.max() <= 1):
                raise DataError('a mask of fractions holds shares from 0 to 1', hint='Write it again.', **where)
            return held > self.marked_share, np.zeros(held.shape, bool)
        unknown = np.setdiff1d(held, (0, 1, IGNORED))
        if unknown.size:
            raise DataError(
                f'masks hold 1 (the crop), 0 (another crop) and 255 (unknown), found {unknown[:5].tolist()}',
                hint='Write it again: tools/dataset_converters/polygons.py.',
                **where,
            )
        return held == 1, held == 0


def _roots_by_crop(roots: Mapping[str, str] | Sequence[str] | None) -> dict[str, str] | None:
    if roots is None:
        return None
    if not isinstance(roots, Mapping):
        if isinstance(roots, str) or len(roots) != len(ISRC_CROPS):
            raise ValueError(f"roots: one for each of {ISRC_CROPS} is expected ('' for none), got {roots!r}")
        roots = dict(zip(ISRC_CROPS, roots, strict=True))
    known = (*ISRC_CROPS, ALL_CROPS)
    unknown = [crop for crop in roots if crop not in known]
    if unknown:
        raise ValueError(f'roots: no crop {unknown}; the crops are {list(known)}')
    return {crop: str(roots[crop]) for crop in known if roots.get(crop)}
