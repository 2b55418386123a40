"""What a study must beat: classifiers of single series, on the same pixels or parcels and dates as the model.

Each series is interpolated linearly to one grid of days within the season, from its valid dates only, and flattened to
one feature vector: the usual way to hand an irregular series to a random forest (Inglada et al., 2015). A parcel with
one label is the mean over its pixels on each date.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset
from rich.progress import track

from mmsits.datasets.transforms import interpolate_to_grid

from .segmentation_metric import confusion_matrix

IGNORED = 255


class PixelTable(NamedTuple):
    """Labelled pixels of a dataset.

    Attributes:
        features: (n, F) float32, in the unit of the files; NaN for a pixel without any valid date, and for a band
            without any value.
        labels: (n,) int64.
    """

    features: np.ndarray
    labels: np.ndarray


def fitted_dataset(train: Mapping[str, Any], test: Mapping[str, Any]) -> dict[str, Any]:
    """Config of the data that a classifier is fitted on: the training dataset, not augmented.

    Args:
        train: config of the training dataset.
        test: config of the test dataset.

    Returns:
        The training dataset with the test pipeline; what `KeepLabelledPixels` hides in training stays hidden.
    """
    hiding = [step for step in train.get('pipeline', ()) if step['type'] == 'KeepLabelledPixels']
    *reading, packing = test['pipeline']
    return {**train, 'pipeline': [*reading, *hiding, packing]}


def season_grid(dataset: BaseDataset, step: int = 15) -> np.ndarray:
    """Every `step`-th day of the season from the earliest to the latest valid date of a dataset, (G,)."""
    days = [
        series.days[series.valid.flatten(1).any(1)] - sample['metas']['season_start']
        for sample in (dataset[i] for i in range(len(dataset)))
        for series in sample['inputs'].values()
    ]
    observed = [d for d in days if len(d)]
    return np.arange(min(int(d.min()) for d in observed), max(int(d.max()) for d in observed) + 1, step)


def share_dates(*datasets: BaseDataset, tolerance: int = 3) -> bool:
    """Whether all samples of some datasets have the same days of the season, of one sensor (others may be static).

    Args:
        *datasets: see `pixel_table`.
        tolerance: days by which samples may differ; leap years shift dates by one.
    """
    days: list[np.ndarray] = []
    for sample in (dataset[i] for dataset in datasets for i in range(len(dataset))):
        dated = [series.days.numpy() for series in sample['inputs'].values() if len(series.days) > 1]
        if len(dated) != 1 or (days and len(dated[0]) != len(days[0])):
            return False
        days.append(dated[0] - sample['metas']['season_start'])
    return bool(days) and bool((np.ptp(days, axis=0) <= tolerance).all())


def pixel_table(
    dataset: BaseDataset, grid: np.ndarray | None, max_pixels: int | None = None, seed: int = 0
) -> PixelTable:
    """The labelled pixels of a dataset as a table.

    Args:
        dataset: Any dataset of the library whose pipeline ends with `PackSeriesInputs` and neither crops nor drops
            dates at random.
        grid: Days of the season to interpolate to, (G,); None for each sample's own dates, of which all have the same
            number.
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
        rows = _sample_features(sample, grid, of_parcel=target.size == 1)
        features.append(rows[chosen])
        labels.append(target[chosen].astype(np.int64))
    return PixelTable(np.concatenate(features), np.concatenate(labels))


def _sample_features(sample: dict[str, Any], grid: np.ndarray | None, of_parcel: bool) -> np.ndarray:
    """Features of the pixels of a sample (P,F), or of all of them together (1,F)."""
    columns = []
    for series in sample['inputs'].values():
        values = series.values.numpy()
        values = values.reshape(*values.shape[:2], -1)
        valid = np.broadcast_to(series.valid.numpy().reshape(len(values), -1), (len(values), values.shape[2]))
        if of_parcel and values.shape[2] > 1:
            values, valid = _mean_over_pixels(values, valid)
        # A sensor without time has one value per band, not one per day of the grid.
        days = series.days.numpy() - sample['metas']['season_start']
        filled = interpolate_to_grid(values, days, valid, days if grid is None or len(days) == 1 else grid)
        columns.append(filled.reshape(-1, filled.shape[-1]).T)
    return np.concatenate(columns, axis=1)


def _mean_over_pixels(values: np.ndarray, valid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(T, C, P) and (T, P) -> the mean over the valid pixels of each date (T, C, 1), and (T, 1)."""
    count = valid.sum(axis=1)
    total = np.where(valid[:, None], values, 0).sum(axis=2, dtype=np.float64)
    mean = total / np.maximum(count, 1)[:, None]
    return mean.astype(np.float32)[..., None], (count > 0)[:, None]


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


def linear_model() -> Any:
    """scikit-learn's logistic regression (C = 1) on standardised features; missing ones are the mean."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    # A feature without any value keeps its place, so that new data have as many.
    filled = SimpleImputer(keep_empty_features=True)
    return make_pipeline(filled, StandardScaler(), LogisticRegression(C=1.0, max_iter=3000))
