"""Since when the class of a pixel has been what it is in the end: maps of the season at several lengths at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from mmsits.apis import map_writer
from mmsits.apis.domains import TrainedNetwork
from mmsits.apis.scene_inputs import NetworkRunner, prediction_transforms
from mmsits.apis.scene_tiles import Strip
from mmsits.datasets.errors import iso_day
from mmsits.datasets.transforms import AddSpectralIndices, ConvertBackscatter, CropDays, PackSeriesInputs
from mmsits.engine.errors import ConfigError
from mmsits.structures import ImageSeries

NEVER = 65535
"""Day where nothing was observed."""
_OF_EACH_DATE = (AddSpectralIndices, ConvertBackscatter, CropDays, PackSeriesInputs)


def last_days(days: Mapping[str, np.ndarray], season_start: int, every: int) -> list[int]:
    """The last acquisitions of the series that a season is looked at with.

    Args:
        days: sensor to the acquisitions, days since 1970-01-01.
        season_start: likewise.
        every: a series is longer than the one before by as many days at least.

    Returns:
        Days since the season start, ascending; the last is that of the whole series.

    Raises:
        ConfigError: if `every` is below 1, or no acquisition lies behind the season start.
    """
    if every < 1:
        raise ConfigError(f'dates of at least one day apart are needed, not {every}')
    found = np.unique(np.concatenate([np.asarray(part, np.int64) for part in days.values()])) - season_start
    chosen: list[int] = []
    # From the end: the whole series must be among them.
    for day in found[::-1].tolist():
        if not chosen or chosen[-1] - day >= every:
            chosen.append(day)
    chosen = [day for day in chosen[::-1] if day >= 0]
    if not chosen:
        raise ConfigError(f'no acquisition lies behind the season start, {iso_day(season_start)}')
    return chosen


class EarlyRunner(NetworkRunner):
    """Class probabilities of samples at several lengths of their series, one length after the other among the classes.

    Where nothing was observed up to a day, that day's probabilities are 0.

    Args:
        network: from `load_network`.
        days: last day of each length, days since the season start, ascending; the last length is the whole series.

    Attributes:
        classes: K classes of each of the D lengths: D·K.

    Raises:
        ConfigError: if transforms of the config's test data make an observation depend on later ones.
    """

    def __init__(self, network: TrainedNetwork, days: Sequence[int]) -> None:
        super().__init__(network)
        joining = [t for t in prediction_transforms(network.cfg) if type(t) not in _OF_EACH_DATE]
        if joining:
            raise ConfigError(
                f'{", ".join(map(repr, joining))} of the test pipeline may make an observation depend on later ones, '
                'so the season cannot be looked at from its middle: leave --early-every out, or the transform'
            )
        self.days = list(days)
        self.per_length = self.classes
        self.classes *= len(self.days)

    def _answer(self, inputs: dict[str, ImageSeries], metas: Any) -> tuple[torch.Tensor, torch.Tensor]:
        whole, observed = super()._answer(inputs, metas)
        parts = []
        for day in self.days[:-1]:
            found, seen = super()._answer(until(inputs, day), metas)
            parts.append(found * seen[:, None])
        return torch.cat([*parts, whole], 1), observed


def until(inputs: Mapping[str, ImageSeries], day: int) -> dict[str, ImageSeries]:
    """Series without the observations behind a day: these are not valid.

    Args:
        inputs: sensor to series (N,T,…), days since the season start.
        day: the last that counts.
    """
    return {
        sensor: series._replace(valid=series.valid & (series.days <= day)[:, :, None, None])
        for sensor, series in inputs.items()
    }


def at_lengths(strip: Strip, lengths: int) -> np.ndarray:
    """Probabilities (D,K,h,w) of a strip that an `EarlyRunner` predicted."""
    height, width = strip.observed.shape
    return strip.probabilities.reshape(lengths, -1, height, width)


def stable_since(classes: np.ndarray, known: np.ndarray) -> np.ndarray:
    """From which length on a pixel has its final class.

    Args:
        classes: (D,h,w) class at each length.
        known: (D,h,w) bool, whether anything was observed up to there.

    Returns:
        (h,w) int64: number of the first length such that this and all longer ones have the class of the last.
    """
    same = (classes == classes[-1]) & known
    same[-1] = True
    return np.logical_and.accumulate(same[::-1])[::-1].argmax(axis=0)


def early_arrays(strip: Strip, runner: EarlyRunner) -> dict[str, np.ndarray]:
    """Day since when the class of each pixel of a strip has not changed, and the confidence then.

    Returns:
        early_date: (h,w) uint16, days since the season start, `NEVER` where nothing was observed; early_confidence:
        (h,w) uint8, percent.
    """
    probabilities = at_lengths(strip, len(runner.days))
    classes = np.stack([runner.decide(part) for part in probabilities])
    first = stable_since(classes, probabilities.sum(axis=1) > 0)
    then = np.take_along_axis(probabilities, first[None, None], axis=0)[0]
    confidence = np.take_along_axis(then, classes[-1][None].astype(np.int64), axis=0)[0]
    day = np.asarray(runner.days, np.uint16)[first]
    return dict(
        early_date=np.where(strip.observed, day, np.uint16(NEVER)),
        early_confidence=map_writer.quantise(confidence, strip.observed),
    )
