"""Averaging what a network predicts for several versions of its input, and what several networks predict.

It is part of the segmentor, because test loop, pictures and maps of scenes then get it without knowing of it. mmseg's
`SegTTAModel` cannot be used: it wants each version of a sample read and transformed by the data pipeline, as a data
sample of its own with a flag for flips; it does not turn, knows neither dates nor other networks, and its data samples
cost more than a network on pixels or parcels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mmsits.structures import ImageSeries, SampleMeta, dates_exist

Inputs = dict[str, ImageSeries]
Scale = tuple[Tensor, Tensor]

_DAYS = 4096
"""Days after which the random numbers of dates repeat: more than eleven years."""


class DateDropout(NamedTuple):
    """Random subsets of the dates.

    Attributes:
        share: of all dates that is left out on average, between 0 and 1; of a series one date at least stays.
        repeats: number of subsets, besides the whole series.
        seed: of the subsets. Whether a date is left out depends on it, on the day and on nothing else.
    """

    share: float = 0.2
    repeats: int = 4
    seed: int = 0


class View(NamedTuple):
    """A position of the image: mirrored left to right, or not, then turned by quarters anticlockwise."""

    mirrored: bool = False
    turns: int = 0

    def of(self, plane: Tensor) -> Tensor:
        """Bring (..., H, W) to this position."""
        if plane.shape[-2:] == (1, 1):
            return plane
        return torch.rot90(plane.flip(-1) if self.mirrored else plane, self.turns, (-2, -1))

    def back(self, plane: Tensor) -> Tensor:
        """Bring (..., H, W) back from this position."""
        if plane.shape[-2:] == (1, 1):
            return plane
        turned = torch.rot90(plane, -self.turns, (-2, -1))
        return turned.flip(-1) if self.mirrored else turned


class PredictionAveraging:
    """What `test_cfg['test_time']` asks for: the mean of the probabilities of all versions.

    Everything asked for is combined: 8 views, 5 sets of dates and 3 networks are 120 forward passes.

    Args:
        flips: the image as it is and mirrored along either axis or both: 4 views.
        rotations: the image in its 4 quarter turns. With flips all 8 positions of a square: the prediction for a
            turned or mirrored image is then the turned or mirrored prediction, up to rounding.
        date_dropout: options of `DateDropout`.
        checkpoints: those of further networks of the same architecture (other folds or seeds). They are read by
            `mmsits.engine.load_ensemble`, which `init_model` and `tools/test.py` call.

    Raises:
        ValueError: if an option is unknown or out of range.

    Attributes:
        views: positions of the image.
        members: further networks, each with the factor and offset per sensor that bring values normalised for the
            first network to its own normalisation.
    """

    def __init__(
        self,
        flips: bool = False,
        rotations: bool = False,
        date_dropout: Mapping[str, Any] | None = None,
        checkpoints: Sequence[str] = (),
    ) -> None:
        mirrored = (False, True) if flips else (False,)
        # Mirrored along both axes is turned by half.
        turns = range(4) if rotations else (0, 2) if flips else (0,)
        self.views = [View(flip, turn) for turn in turns for flip in mirrored]
        self.date_dropout = None if date_dropout is None else _checked_dropout(date_dropout)
        self.checkpoints = [checkpoints] if isinstance(checkpoints, str) else list(checkpoints)
        self.members: list[tuple[nn.Module, dict[str, Scale]]] = []

    @property
    def moves_pixels(self) -> bool:
        """Whether images are mirrored or turned."""
        return len(self.views) > 1

    def add_member(self, network: nn.Module, scales: dict[str, Scale]) -> None:
        """Take in a further network; see `members`."""
        self.members.append((network.eval().requires_grad_(False), scales))

    def scores(
        self,
        network: nn.Module,
        inputs: Inputs,
        metas: Sequence[SampleMeta] | None,
        infer: Callable[[nn.Module, Inputs], Tensor],
    ) -> Tensor:
        """Class scores whose softmax (with one channel: sigmoid) is the mean of the probabilities.

        Args:
            network: the first network.
            inputs: sensor -> ImageSeries, normalised for it.
            metas: tell whether samples were normalised by statistics of their own.
            infer: a network's class scores (N, K, H, W) for one version.

        Returns:
            (N, K, H, W) float32 at least.

        Raises:
            RuntimeError: if the checkpoints were not read.
        """
        if len(self.members) < len(self.checkpoints):
            raise RuntimeError(
                f'test_cfg.test_time names {len(self.checkpoints)} checkpoints, of which {len(self.members)} were '
                'read: call mmsits.engine.load_ensemble(model) after the weights of the model have been loaded'
            )
        total: Tensor | None = None
        count = 0
        for member, own_inputs in self._networks(network, inputs, metas):
            for series in self._sets_of_dates(own_inputs):
                for view in self._views_of(inputs):
                    probabilities = _probabilities(view.back(infer(member, _moved(series, view))))
                    total = probabilities if total is None else total + probabilities
                    count += 1
        assert total is not None
        return _scores(total / count)

    def _networks(
        self, network: nn.Module, inputs: Inputs, metas: Sequence[SampleMeta] | None
    ) -> Iterator[tuple[nn.Module, Inputs]]:
        yield network, inputs
        for member, scales in self.members:
            device = next(iter(inputs.values())).values.device
            if next(member.parameters()).device != device:
                member.to(device)
            yield member, _rescaled(inputs, scales, metas)

    def _sets_of_dates(self, inputs: Inputs) -> Iterator[Inputs]:
        yield inputs
        if self.date_dropout is None:
            return
        for repeat in range(self.date_dropout.repeats):
            yield {sensor: _without_dates(series, self.date_dropout, repeat) for sensor, series in inputs.items()}

    def _views_of(self, inputs: Inputs) -> list[View]:
        # A single pixel looks the same from everywhere.
        single = all(series.values.shape[-2:] == (1, 1) for series in inputs.values())
        return self.views[:1] if single else self.views


def _checked_dropout(options: Mapping[str, Any]) -> DateDropout:
    unknown = set(options) - set(DateDropout._fields)
    if unknown:
        raise ValueError(f'date_dropout: unknown {sorted(unknown)}; there are {list(DateDropout._fields)}')
    dropout = DateDropout(**options)
    if not 0 < dropout.share < 1 or dropout.repeats < 1:
        raise ValueError(f'date_dropout: share must lie between 0 and 1, repeats be at least 1; got {dropout}')
    return dropout


def _without_dates(series: ImageSeries, dropout: DateDropout, repeat: int) -> ImageSeries:
    """A series some of whose dates do not exist any more.

    Each day has a random number, and dates whose number is below the share are left out: the same ones whatever else is
    in the batch, however it is padded, and in neighbouring windows of a map, though these have other clouds.
    """
    table = np.random.default_rng([dropout.seed, repeat]).random(_DAYS, np.float32)
    exists = dates_exist(series.valid)
    numbers = torch.from_numpy(table).to(series.days.device)[series.days.long() % _DAYS].masked_fill(~exists, -1)
    last = numbers == numbers.amax(1, keepdim=True)
    kept = ((numbers >= dropout.share) | last)[:, :, None, None]
    return series._replace(values=series.values * kept[:, :, None], valid=series.valid & kept)


def _rescaled(inputs: Inputs, scales: Mapping[str, Scale], metas: Sequence[SampleMeta] | None) -> Inputs:
    """Inputs as another network's data preprocessor would have normalised them."""

    def rescale(sensor: str, series: ImageSeries) -> ImageSeries:
        # Statistics that a sample brings hold for every network.
        of_samples = any(sensor in meta.get('statistics', ()) for meta in metas or ())
        if sensor not in scales or of_samples:
            return series
        factor, offset = (part.to(series.values.device)[:, None, None] for part in scales[sensor])
        values = (series.values * factor + offset).masked_fill(~series.valid.unsqueeze(2), 0)
        return series._replace(values=values)

    return {sensor: rescale(sensor, series) for sensor, series in inputs.items()}


def _moved(inputs: Inputs, view: View) -> Inputs:
    return {
        sensor: series._replace(values=view.of(series.values), valid=view.of(series.valid))
        for sensor, series in inputs.items()
    }


def _probabilities(scores: Tensor) -> Tensor:
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    return scores.softmax(1) if scores.shape[1] > 1 else scores.sigmoid()


def _scores(probabilities: Tensor) -> Tensor:
    tiny = torch.finfo(probabilities.dtype).tiny
    if probabilities.shape[1] > 1:
        return probabilities.clamp(min=tiny).log()
    return probabilities.clamp(min=tiny).log() - (1 - probabilities).clamp(min=tiny).log()
