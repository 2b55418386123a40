"""How well a map agrees with labels, by the library's definition of the scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmsits.apis.map_writer import NODATA, read_raster
from mmsits.apis.scene_parcels import ParcelFile
from mmsits.datasets.errors import DataError
from mmsits.datasets.scene.grid import Window
from mmsits.datasets.scene.vectors import texts_of
from mmsits.evaluation import SeriesSegmentationMetric


def score_pixels(
    raster: str | Path,
    labels: Any,
    classes: Sequence[str],
    windows: Iterable[Window],
    out: str | Path,
    progress: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Compare a class map with labels, window by window; print the table and write it.

    Args:
        raster: the class map.
        labels: `mmsits.datasets.scene.labels.SceneLabels`.
        classes: K names.
        windows: of the scene, without overlap.
        out: JSON file for scores and confusion matrix.
        progress: called after each window.

    Returns:
        OA, mIoU, macro_F1 and so on, and `unobserved`: labelled pixels that the map says nothing of; they do
        not count.

    Raises:
        DataError: if no pixel has a label.
    """
    metric, labelled, unobserved = _metric(classes, out), 0, 0
    for window in windows:
        target = labels.read(window)
        if (target != NODATA).any():
            prediction = read_raster(raster, window)[0]
            unknown = (prediction == NODATA) & (target != NODATA)
            labelled, unobserved = labelled + int((target != NODATA).sum()), unobserved + int(unknown.sum())
            _count(metric, prediction, np.where(unknown, NODATA, target))
        progress()
    if not labelled:
        raise DataError('no pixel of the scene has a label', path=labels.path, hint='Check labels and scene.')
    return metric.evaluate(labelled) | dict(unobserved=unobserved)


def parcel_targets(parcels: ParcelFile, column: str, classes: Sequence[str]) -> np.ndarray:
    """Classes of parcels by a column of their file.

    Args:
        parcels: of the scene.
        column: holds class names.
        classes: K names.

    Returns:
        (N,) uint8 indices, 255 for parcels of other classes, or without one.

    Raises:
        DataError: if there is no such column, or it holds none of the classes.
    """
    if column not in parcels.frame.columns:
        held = [name for name in parcels.frame.columns if name != parcels.frame.geometry.name]
        raise DataError(f'no column {column!r}, there are {held}', path=parcels.path, hint='Choose one of these.')
    index = {name: number for number, name in enumerate(classes)}
    texts = texts_of(parcels.frame[column].tolist())
    target = np.array([NODATA if text is None else index.get(text, NODATA) for text in texts], np.uint8)
    if (target == NODATA).all():
        raise DataError(
            f'column {column!r} holds none of the classes {", ".join(classes)}; it has '
            f'{sorted({text for text in texts if text})[:12]}',
            path=parcels.path,
            hint='Choose another column, or bring its names to those of the network.',
        )
    return target


def score_parcels(
    parcels: ParcelFile, target: np.ndarray, predicted: Any, classes: Sequence[str], out: str | Path
) -> dict[str, float]:
    """Compare the classes of parcels with what they are; print the table and write it.

    Args:
        parcels: of the scene.
        target: from `parcel_targets`.
        predicted: (N,) class indices, a pandas series, null where unknown.
        classes: K names.
        out: JSON file for scores and confusion matrix.

    Returns:
        OA, mIoU, macro_F1 and so on, and `unobserved`: parcels in the scene with a label that the map says nothing of.
    """
    known = predicted.notna().to_numpy(bool)
    inside = np.zeros(len(parcels), bool)
    inside[parcels.inside] = True
    counted = known & (target != NODATA)
    metric = _metric(classes, out)
    _count(metric, predicted.to_numpy(na_value=0).astype(np.int64)[counted], target[counted])
    unobserved = int((inside & ~known & (target != NODATA)).sum())
    return metric.evaluate(1) | dict(unobserved=unobserved)


def _metric(classes: Sequence[str], out: str | Path) -> SeriesSegmentationMetric:
    metric = SeriesSegmentationMetric(out=str(out))
    metric.dataset_meta = dict(classes=tuple(classes))
    return metric


def _count(metric: SeriesSegmentationMetric, prediction: np.ndarray, target: np.ndarray) -> None:
    batch = dict(prediction=prediction[None].astype(np.int64), targets=target[None].astype(np.int64))
    metric.process(None, [batch])
