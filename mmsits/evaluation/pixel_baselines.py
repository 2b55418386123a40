"""What a study must beat: classifiers of single pixels' series, on the same pixels and dates as the model.

Each series is interpolated linearly to a regular grid of days within the season, from its valid dates only, and
flattened to one feature vector: the usual way to hand an irregular series to a random forest (Inglada et al., 2015).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset
from rich.progress import track

from .segmentation_metric import confusion_matrix

IGNORED = 255


class PixelTable(NamedTuple):
    """Labelled pixels of a dataset.

    Attributes:
        features: (n, F) float32, in the unit of the files; NaN for a pixel without any valid date.
        labels: (n,) int64.
    """

    features: np.ndarray
    labels: np.ndarray


def interpolate_to_grid(values: np.ndarray, days: np.ndarray, valid: np.ndarray, grid: np.ndarray) -> np.ndarray:
    """Linear interpolation in time from valid dates; before the first and after the last one the nearest is held.

    Args:
        values: (T, C, P), observations of P pixels.
        days: (T,), dates in ascending order.
        valid: (T, P) or (T, 1) bool.
        grid: (G,), days to interpolate to.

    Returns:
        (G, C, P) float32; NaN where a pixel has no valid date.
    """
    pixels = values.shape[2]
    valid = np.broadcast_to(valid, (len(days), pixels))
    index = np.arange(len(days))[:, None]
    # Position of the last valid date up to each date, and of the first valid one from it on; -1 and T if there is none.
    last = np.maximum.accumulate(np.where(valid, index, -1), axis=0)
    following = np.minimum.accumulate(np.where(valid, index, len(days))[::-1], axis=0)[::-1]
    last = np.concatenate([np.full((1, pixels), -1), last])
    following = np.concatenate([following, np.full((1, pixels), len(days))])
    position = np.searchsorted(days, grid, side='right')
    before, after = last[position], following[position]
    before, after = np.where(before < 0, after, before), np.where(after == len(days), before, after)
    unseen = (before < 0) | (before == len(days))
    before, after = np.where(unseen, 0, before), np.where(unseen, 0, after)
    span = (days[after] - days[before]).astype(np.float32)
    share = np.where(span > 0, (grid[:, None] - days[before]) / np.maximum(span, 1), 0).astype(np.float32)
    start = _at(values, before)
    filled = start + share[:, None] * (_at(values, after) - start)
    return np.where(unseen[:, None], np.float32('nan'), filled)


def _at(values: np.ndarray, dates: np.ndarray) -> np.ndarray:
    # (T, C, P) and positions (G, P) -> (G, C, P): pixel p at its own date.
    return np.take_along_axis(values, dates[:, None, :], axis=0).astype(np.float32)


def season_grid(dataset: BaseDataset, step: int = 15) -> np.ndarray:
    """Every `step`-th day of the season from the earliest to the latest valid date of a dataset, (G,)."""
    days = [
        series.days[series.valid.flatten(1).any(1)] - sample['metas']['season_start']
        for sample in (dataset[i] for i in range(len(dataset)))
        for series in sample['inputs'].values()
    ]
    observed = [d for d in days if len(d)]
    return np.arange(min(int(d.min()) for d in observed), max(int(d.max()) for d in observed) + 1, step)


def pixel_table(dataset: BaseDataset, grid: np.ndarray, max_pixels: int | None = None, seed: int = 0) -> PixelTable:
    """The labelled pixels of a dataset as a table.

    Args:
        dataset: Any dataset of the library whose pipeline ends with `PackSeriesInputs` and neither crops nor drops
            dates at random.
        grid: Days of the season to interpolate to, (G,).
        max_pixels: At most so many labelled pixels, drawn at random and evenly over the samples. None: all.
        seed: Seed of that draw.

    Returns:
        Features of all sensors side by side, and labels; pixels labelled 255 are left out.
    """
    rng = np.random.default_rng(seed)
    share = None if max_pixels is None else -(-max_pixels // max(len(dataset), 1))
    features, labels = [], []
    for i in track(range(len(dataset)), description='reading pixels'):
        sample = dataset[i]
        target = sample['targets'].numpy().reshape(-1)
        chosen = np.flatnonzero(target != IGNORED)
        if share is not None and len(chosen) > share:
            chosen = np.sort(rng.choice(chosen, share, replace=False))
        features.append(_sample_features(sample, grid)[chosen])
        labels.append(target[chosen].astype(np.int64))
    return PixelTable(np.concatenate(features), np.concatenate(labels))


def _sample_features(sample: dict[str, Any], grid: np.ndarray) -> np.ndarray:
    columns = []
    for series in sample['inputs'].values():
        values = series.values.numpy()
        filled = interpolate_to_grid(
            values.reshape(*values.shape[:2], -1),
            series.days.numpy() - sample['metas']['season_start'],
            series.valid.numpy().reshape(len(series.days), -1),
            grid,
        )
        columns.append(filled.reshape(-1, filled.shape[-1]).T)
    return np.concatenate(columns, axis=1)


def majority_confusion(train: PixelTable, test: PixelTable, num_classes: int) -> np.ndarray:
    """Confusion matrix (K, K) of giving every pixel the most frequent class of the training pixels."""
    most = np.bincount(train.labels, minlength=num_classes).argmax()
    return confusion_matrix(np.full_like(test.labels, most), test.labels, num_classes)


def classifier_confusion(classifier: Any, train: PixelTable, test: PixelTable, num_classes: int) -> np.ndarray:
    """Fit a classifier of scikit-learn and count its test results.

    Args:
        classifier: Anything with `fit` and `predict`.
        train: Pixels to fit to.
        test: Pixels to score.
        num_classes: K.

    Returns:
        (K, K) int64, rows reference, columns prediction.
    """
    classifier.fit(train.features, train.labels)
    return confusion_matrix(classifier.predict(test.features), test.labels, num_classes)


def random_forest(trees: int = 300, seed: int = 0, jobs: int | None = None) -> Any:
    """scikit-learn's random forest with its default options, `trees` trees."""
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(n_estimators=trees, random_state=seed, n_jobs=jobs)
