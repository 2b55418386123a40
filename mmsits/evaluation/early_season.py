"""How well a network knows the crops before the season is over: scores of series that end on given days."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any

import numpy as np
import torch

from mmsits.datasets.base import EPOCH
from mmsits.datasets.transforms.temporal import days_until

from .calibration import Reliability
from .segmentation_metric import confusion_matrix, scores

IGNORED = 255

Predict = Callable[[dict[str, Any]], tuple[torch.Tensor, torch.Tensor]]
"""From a batch of a data loader to probabilities (N,K,H,W) and what was observed (N,H,W)."""


def days_into_season(date: str | int, season_start: str) -> int:
    """The end of a series that has the observations up to a date and of that day.

    Args:
        date: a number of days (90: the first 90 days of the season), 'MM-DD' (the first such day from the season start
            on), or 'YYYY-MM-DD' where the season start is one too.
        season_start: 'MM-DD', 'YYYY-MM-DD', or in words where it is another date for each sample: then only numbers of
            days mean something.

    Returns:
        Days from the season start to the day behind the date, what `CropDays(end=…)` takes. Where the season starts in
        every year, those of a year without 29 February: see `last_date`.

    Raises:
        ValueError: if it is no date, or lies before the season.
    """
    if _is_number(date):
        return int(date)
    if not _is_date(season_start):
        raise ValueError(f'days of these samples count from {season_start}: give numbers of days instead of {date}')
    fixed = len(season_start) == 10
    if len(str(date)) == 10 and not fixed:
        raise ValueError(f'the season starts on {season_start} of every year: give {str(date)[5:]} instead of {date}')
    try:
        start = _nominal_start(season_start)
        if len(str(date)) != 10:
            datetime.date.fromisoformat(f'2016-{date}')
            return days_until(str(date), (start - EPOCH).days) + 1
        day = datetime.date.fromisoformat(str(date))
    except ValueError as error:
        raise ValueError(f'{date!r} is not a date: give MM-DD, or the number of days since the season start') from error
    if day < start:
        raise ValueError(f'{date} lies before the season, which starts on {season_start}')
    return (day - start).days + 1


def last_date(date: str | int, season_start: str) -> int | str:
    """Where a series is cut: a date that comes every year stays one, as each sample's season has its own number of days
    up to it; of others the days since the season start.

    Args:
        date: as for `days_into_season`.
        season_start: likewise.

    Returns:
        'MM-DD', the last day, for `CropDays(until=…)`, or days for `CropDays(end=…)`.

    Raises:
        ValueError: likewise.
    """
    end = days_into_season(date, season_start)
    return end if _is_number(date) or len(season_start) == 10 else str(date)


def date_of(end: int, season_start: str) -> str:
    """The last date of a series that ends before so many days since the season start, 'MM-DD' (or as the start is);
    'day N' where the season starts on another date for each sample."""
    if not _is_date(season_start):
        return f'day {end}'
    fixed = len(season_start) == 10
    return (_nominal_start(season_start) + datetime.timedelta(days=end - 1)).isoformat()[0 if fixed else 5 :]


def _is_number(date: str | int) -> bool:
    return isinstance(date, int) or date.isdigit()


def _is_date(season_start: str) -> bool:
    try:
        _nominal_start(season_start)
    except ValueError:
        return False
    return True


def _nominal_start(season_start: str) -> datetime.date:
    """Of a season that starts in every year, one without 29 February."""
    return datetime.date.fromisoformat(season_start if len(season_start) == 10 else f'2018-{season_start}')


def cut_series(config: MutableMapping[str, Any], end: int | str) -> Any:
    """A dataset config whose samples end on a day.

    The dates go right behind reading: what is chosen or interpolated afterwards does not know of later ones.

    Args:
        config: of a dataset, one of several, or one that holds others. It stays as it is.
        end: days since the season start, or the last day 'MM-DD' (`end` and `until` of `CropDays`).

    Returns:
        The same with `CropDays` in all its pipelines.
    """
    cut = copy.deepcopy(config)
    _cut_below(cut, end)
    return cut


def _cut_below(node: Any, end: int | str) -> None:
    if isinstance(node, MutableMapping):
        for key, value in node.items():
            if key == 'pipeline':
                _insert(value, end)
            elif key == 'views' and isinstance(value, Mapping):
                for steps in value.values():
                    _insert(steps, end)
            else:
                _cut_below(value, end)
    elif isinstance(node, list | tuple):
        for item in node:
            _cut_below(item, end)


def _insert(steps: list, end: int | str) -> None:
    names = [step['type'] if isinstance(step['type'], str) else step['type'].__name__ for step in steps]
    place = next((number for number, name in enumerate(names) if not name.startswith('Load')), len(steps))
    steps.insert(place, {'type': 'CropDays', 'until' if isinstance(end, str) else 'end': end})


def score_batches(predict: Predict, batches: Iterable[dict[str, Any]], num_classes: int, bins: int = 15) -> dict:
    """Accuracy and calibration over labelled batches.

    Args:
        predict: the network.
        batches: of a data loader; `targets` are tensors (1,H,W) uint8, 255 ignored.
        num_classes: K.
        bins: of the calibration error.

    Returns:
        OA, mIoU, macro_F1, kappa … (see `scores`; means over the classes in the reference), ECE, mean confidence
        (`confidence`), the labelled pixels counted (`pixels`), and the share of them without an observation
        (`unobserved`), which count.

    Raises:
        ValueError: if a batch has no labels.
    """
    confusion = np.zeros((num_classes, num_classes), np.int64)
    reliability = Reliability(bins)
    unobserved = 0
    for batch in batches:
        if 'targets' not in batch:
            raise ValueError('these data have no labels to compare with: evaluate a labelled split')
        probabilities, observed = predict(batch)
        confidence, predicted = (part.cpu().numpy() for part in probabilities.max(1))
        seen = observed.cpu().numpy()
        target = _targets(batch['targets'], predicted.shape)
        confusion += confusion_matrix(predicted, target, num_classes, IGNORED)
        known = target != IGNORED
        reliability.add(confidence[known], predicted[known] == target[known])
        unobserved += int((known & ~seen).sum())
    pixels = int(confusion.sum())
    return {
        **scores(confusion).overall,
        'ECE': reliability.error,
        'confidence': float(reliability.confidence.sum() / pixels) if pixels else float('nan'),
        'pixels': pixels,
        'unobserved': unobserved / pixels if pixels else 0.0,
    }


def _targets(targets: torch.Tensor | Sequence[torch.Tensor], shape: tuple[int, ...]) -> np.ndarray:
    """Labels (N,H,W), padded with 255 to the size of the predictions."""
    out = np.full(shape, IGNORED, np.int64)
    for number, target in enumerate(targets):
        height, width = target.shape[-2:]
        out[number, :height, :width] = target.reshape(height, width).cpu().numpy()
    return out
