"""Neighbouring patches put together to one picture of their region."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset
from mmseg.structures import SegDataSample

from mmsits.datasets.base import day_to_date

from .prediction import draw_prediction
from .series import IGNORED, clearest_date, composite


class Region(NamedTuple):
    """Maps of a region of H×W pixels; where it has no patch, labels are 255 and the rest is 0.

    Attributes:
        values: (C, H, W), the bands on the greenest date, in the unit of the files.
        day: That date, days since 1970-01-01.
        observed: (H, W) bool, where there is a patch.
        reference: (H, W) uint8, labels.
        prediction: (H, W) uint8, classes.
        confidence: (H, W) float32, probability of the predicted class.
    """

    values: np.ndarray
    day: int
    observed: np.ndarray
    reference: np.ndarray
    prediction: np.ndarray
    confidence: np.ndarray


def patch_corners(metadata: str | Path) -> dict[str, tuple[float, float, float]]:
    """Where the patches of a folder in PASTIS layout lie.

    Args:
        metadata: Its metadata.geojson, patches as squares in a projected coordinate system.

    Returns:
        ID_PATCH as text -> left, top and width in metres.
    """
    corners = {}
    for feature in json.loads(Path(metadata).read_text())['features']:
        ring = np.asarray(feature['geometry']['coordinates'][0], float).reshape(-1, 2)
        left, top = float(ring[:, 0].min()), float(ring[:, 1].max())
        corners[str(feature['properties']['ID_PATCH'])] = (left, top, float(ring[:, 0].max()) - left)
    return corners


def assemble_patches(dataset: BaseDataset, predictions: Sequence[SegDataSample], sensor: str = 's2') -> Region:
    """Put the patches of a dataset and their predictions where they lie.

    Args:
        dataset: Dataset in PASTIS layout whose patches are squares of one size and share their dates.
        predictions: One per sample, in the dataset's order.
        sensor: Optical sensor with the bands B04 and B08.

    Raises:
        ValueError: If the patches differ in dates or size.
    """
    samples = [dataset[i] for i in range(len(dataset))]
    series = [sample['inputs'][sensor] for sample in samples]
    if any(s.values.shape != series[0].values.shape or not s.days.equal(series[0].days) for s in series):
        raise ValueError('Only patches of one size with the same dates can be put together to one picture.')
    corners = patch_corners(Path(dataset.data_root) / 'metadata.geojson')
    places = [corners[str(sample['metas']['sample_id'])] for sample in samples]
    left, top = min(place[0] for place in places), max(place[1] for place in places)
    size = series[0].values.shape[-1]
    offsets = [(round((top - y) / width * size), round((x - left) / width * size)) for x, y, width in places]
    height, width = max(row for row, _ in offsets) + size, max(column for _, column in offsets) + size
    whole = np.concatenate([s.values.numpy() for s in series], axis=3)  # T, C, H, patches * W
    date = clearest_date(whole, np.ones((len(whole), 1, 1), bool), dataset.metainfo['bands'][sensor])

    def place_all(tiles: Sequence[np.ndarray], fill: float) -> np.ndarray:
        canvas = np.full((*tiles[0].shape[:-2], height, width), fill, tiles[0].dtype)
        for (row, column), tile in zip(offsets, tiles, strict=True):
            canvas[..., row : row + size, column : column + size] = tile
        return canvas

    return Region(
        place_all([s.values[date].numpy() for s in series], 0),
        int(series[0].days[date]),
        place_all([np.ones((size, size), bool) for _ in series], 0),
        place_all([sample['targets'][0].numpy() for sample in samples], IGNORED),
        place_all([p.pred_sem_seg.data[0].numpy().astype(np.uint8) for p in predictions], IGNORED),
        place_all([p.seg_logits.data.softmax(0).amax(0).numpy() for p in predictions], 0),
    )


def draw_region(region: Region, metainfo: dict, path: str | Path, sensor: str = 's2') -> None:
    """Draw composite, reference, prediction and confidence of a region side by side as PNG.

    Args:
        region: From `assemble_patches`.
        metainfo: Meta information of the dataset: classes, palette, bands, units.
        path: PNG file to write.
        sensor: Sensor of the composite.
    """
    image = composite(region.values[None], metainfo['bands'][sensor], 0, metainfo['units'][sensor])
    image[~region.observed] = 255
    picture = draw_prediction(
        image,
        region.prediction,
        metainfo,
        reference=region.reference,
        confidence=np.where(region.observed, region.confidence, np.nan),
        title=f'True colour of {day_to_date(region.day)}, reference, prediction and its confidence',
    )
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(picture)
