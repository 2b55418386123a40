"""Batching and normalisation of image series, on the device."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor
from mmseg.registry import MODELS

from mmsits.structures import ImageSeries, SampleMeta

EPOCH = datetime.date(1970, 1, 1)


@MODELS.register_module()
class SeriesDataPreprocessor(BaseDataPreprocessor):
    """Turn what the loader hands over into a batch: cast, pad, normalise, count days from the reference date.

    Values travel as the integers of the files and become float32 here. Ragged series are padded at the end of time with
    invalid dates (value 0 after normalisation, day 0), ragged patches at the bottom and right with invalid pixels and
    label 255. Whatever is not valid becomes 0, the mean of the band.

    The statistics are buffers (`mean_<sensor>`, `std_<sensor>`), so the checkpoint holds the normalisation that its
    weights were trained with. Where the config gives none, `set_statistics` fills them in from the training dataset
    before training.

    Args:
        sensors: Number of bands per sensor: `dict(s2=10, s1a=3)`.
        statistics: Mean and standard deviation per band in the unit of the files: `dict(s2=dict(mean=[…], std=[…]))`.
        reference_date: A date 'YYYY-MM-DD' from which the days of all samples are counted. None: each sample's own
            season start, as its dataset says.
        nan_is_mean: Take NaN on a valid date, a band that a series lacks, for the band's mean.
        non_blocking: As in mmengine.

    Raises:
        ValueError: If statistics and number of bands do not agree, a standard deviation is not positive, a batch has
            another number of bands than the model, statistics are missing, or a series to train on has no valid date
            though it has a label, or there are no labels.
    """

    def __init__(
        self,
        sensors: Mapping[str, int],
        statistics: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
        reference_date: str | None = None,
        nan_is_mean: bool = False,
        non_blocking: bool = False,
    ) -> None:
        super().__init__(non_blocking=non_blocking)
        self.nan_is_mean = nan_is_mean
        self.sensors = dict(sensors)
        self.reference_day = None
        if reference_date is not None:
            self.reference_day = (datetime.date.fromisoformat(reference_date) - EPOCH).days
        self._ready: set[str] = set()
        for sensor, bands in self.sensors.items():
            self.register_buffer(f'mean_{sensor}', torch.full((bands,), torch.nan))
            self.register_buffer(f'std_{sensor}', torch.full((bands,), torch.nan))
        for sensor, values in (statistics or {}).items():
            self.set_statistics(sensor, values['mean'], values['std'])

    def has_statistics(self, sensor: str) -> bool:
        """Whether the normalisation of a sensor is known, from the config, a checkpoint or `set_statistics`."""
        mean, std = self.get_buffer(f'mean_{sensor}'), self.get_buffer(f'std_{sensor}')
        return bool((torch.isfinite(mean) & torch.isfinite(std)).all())

    def set_statistics(self, sensor: str, mean: Sequence[float], std: Sequence[float]) -> None:
        """Set the normalisation of one sensor.

        Args:
            sensor: Name of the sensor.
            mean: Mean per band, in the unit of the files.
            std: Standard deviation per band, in the unit of the files, > 0.

        Raises:
            ValueError: If the sensor is unknown, the number of bands differs or a value is not usable.
        """
        if sensor not in self.sensors:
            raise ValueError(f'Statistics for sensor {sensor!r}, but the model takes {sorted(self.sensors)}.')
        bands = self.sensors[sensor]
        if len(mean) != bands or len(std) != bands:
            raise ValueError(
                f'Sensor {sensor!r}: the model takes {bands} bands, the statistics have {len(mean)} means and '
                f'{len(std)} standard deviations.'
            )
        means, stds = torch.tensor(list(mean)), torch.tensor(list(std))
        if not (torch.isfinite(means).all() and torch.isfinite(stds).all() and (stds > 0).all()):
            raise ValueError(
                f'Sensor {sensor!r}: means must be finite, standard deviations > 0: {list(mean)}, {list(std)}.'
            )
        self.get_buffer(f'mean_{sensor}').copy_(means)
        self.get_buffer(f'std_{sensor}').copy_(stds)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Make a batch.

        Args:
            data: `inputs` (sensor -> ImageSeries of lists of N tensors, or of tensors with a leading N), `metas` (N
                `SampleMeta` with `season_start`), and where labels are known `targets` (list of N tensors (1, H, W)).
                Or several such batches by the name of their view.
            training: Whether the batch is trained on; then a series without any valid date is refused.

        Returns:
            `inputs` (sensor -> batched ImageSeries, float32), `metas`, and where given `targets` (N, 1, H, W) int64; of
            several views each by its name.
        """
        if 'inputs' not in data:
            return {name: self.forward(batch, training) for name, batch in data.items()}
        if training:
            self._refuse_unobserved(data)
        metas = list(data['metas'])
        # Plain values have no device; going through them one by one would take as long as all the rest.
        data = self.cast_data({name: part for name, part in data.items() if name != 'metas'})
        starts = self._reference_days(metas)
        inputs = {
            sensor: self._batch_series(sensor, series, starts, metas) for sensor, series in data['inputs'].items()
        }
        batch: dict[str, Any] = {'inputs': inputs, 'metas': metas}
        if 'targets' in data:
            batch['targets'] = stack_targets(data['targets'])
        return batch

    def _reference_days(self, metas: Sequence[SampleMeta]) -> torch.Tensor:
        if self.reference_day is not None:
            return torch.full((len(metas), 1), self.reference_day, dtype=torch.int32, device=self.device)
        starts = [[meta['season_start']] for meta in metas]
        return torch.tensor(starts, dtype=torch.int32, device=self.device)

    def _batch_series(
        self, sensor: str, series: ImageSeries, starts: torch.Tensor, metas: Sequence[SampleMeta]
    ) -> ImageSeries:
        if sensor not in self.sensors:
            raise ValueError(f'The model takes the sensors {sorted(self.sensors)}, the dataset gives {sensor!r} too.')
        stacked = stack_series(series)
        bands = stacked.values.shape[2]
        if bands != self.sensors[sensor]:
            raise ValueError(
                f'Sensor {sensor!r}: the model takes {self.sensors[sensor]} bands, the batch has {bands} '
                f'(first sample {metas[0].get("sample_id")!r}). Make the bands of the dataset and of the model agree.'
            )
        mean, std = self._statistics_of(sensor, metas)
        valid = stacked.valid
        values = ((stacked.values.float() - mean) / std).masked_fill_(~valid.unsqueeze(2), 0)
        if self.nan_is_mean:
            values.masked_fill_(values.isnan(), 0)
        # Padded dates get day 0; a date that exists but is wholly clouded keeps its day.
        days = torch.where(stacked.days == PADDED_DAY, 0, stacked.days - starts)
        return ImageSeries(values, days, valid)

    def _statistics_of(self, sensor: str, metas: Sequence[SampleMeta]) -> tuple[torch.Tensor, torch.Tensor]:
        own = [sensor in meta.get('statistics', ()) for meta in metas]
        if any(own):
            self._refuse_mixed_statistics(own, sensor, metas)
            mean = torch.tensor([meta['statistics'][sensor]['mean'] for meta in metas], device=self.device)
            std = torch.tensor([meta['statistics'][sensor]['std'] for meta in metas], device=self.device)
            return mean[:, None, :, None, None], std[:, None, :, None, None]
        if sensor not in self._ready:
            if not self.has_statistics(sensor):
                raise ValueError(
                    f'No mean and standard deviation for sensor {sensor!r}: they come from the config '
                    '(data_preprocessor.statistics), from the training dataset, or from a checkpoint. '
                    'tools/analysis_tools/dataset_stats.py computes them.'
                )
            self._ready.add(sensor)
        mean, std = self.get_buffer(f'mean_{sensor}'), self.get_buffer(f'std_{sensor}')
        return mean[:, None, None], std[:, None, None]

    @staticmethod
    def _refuse_mixed_statistics(own: Sequence[bool], sensor: str, metas: Sequence[SampleMeta]) -> None:
        if not all(own):
            raise ValueError(
                f'Of sensor {sensor!r}, sample {metas[own.index(True)].get("sample_id")!r} brings its own statistics, '
                f'sample {metas[own.index(False)].get("sample_id")!r} does not: set statistics_in_sample for all '
                'joined datasets or for none.'
            )

    @staticmethod
    def _refuse_unobserved(data: dict[str, Any]) -> None:
        # On the loader's tensors, before they move to the device: no synchronisation.
        seen = [
            valid.flatten(1).any(1).tolist() if isinstance(valid, torch.Tensor) else [bool(one.any()) for one in valid]
            for valid in (series.valid for series in data['inputs'].values())
        ]
        targets = data.get('targets')
        for row, (meta, of_sensors) in enumerate(zip(data['metas'], zip(*seen, strict=True), strict=True)):
            # A crop beyond the edge of the images, all of whose labels are ignored, does no harm.
            if not any(of_sensors) and (targets is None or bool((targets[row] != 255).any())):
                raise ValueError(
                    f'Sample {meta.get("sample_id")!r} has no valid observation on any date of any sensor, so nothing '
                    'can be learned from it. Remove it, or widen the window of days or the cloud threshold.'
                )


# No satellite flew then: marks padded dates while days still count from 1970.
PADDED_DAY = -(2**31)


def stack_series(series: ImageSeries) -> ImageSeries:
    """Stack N series of one sensor; shorter ones are padded at the end of time, smaller ones at the bottom and right.

    Args:
        series: Lists of N tensors: values (T, C, H, W), days (T,), valid (T, H, W) or (T, 1, 1); tensors that have a
            leading N already are returned as they are.

    Returns:
        values (N, T, C, H, W), days (N, T) with `PADDED_DAY` on padded dates, valid (N, T, H, W) or (N, T, 1, 1).
    """
    if isinstance(series.values, torch.Tensor):
        return series
    values, days, valid = list(series.values), list(series.days), list(series.valid)
    if len({v.shape[2:] for v in values}) > 1:
        values, valid = _without_unseen_sizes(values, valid)
    size = [max(v.shape[axis] for v in values) for axis in (0, 2, 3)]
    if any(list(v.shape[2:]) != size[1:] for v in values) or len({mask.shape[1:] for mask in valid}) > 1:
        # Padded pixels are not observed, and validity per date meets validity per pixel: all of them per pixel.
        valid = [mask.expand(v.shape[0], *v.shape[2:]) for mask, v in zip(valid, values, strict=True)]
    extent = [max(mask.shape[axis] for mask in valid) for axis in (1, 2)]
    return ImageSeries(
        torch.stack([_pad(v, (size[0], v.shape[1], *size[1:]), 0) for v in values]),
        torch.stack([_pad(d, (size[0],), PADDED_DAY) for d in days]),
        torch.stack([_pad(mask, (size[0], *extent), False) for mask in valid]),
    )


def _without_unseen_sizes(
    values: list[torch.Tensor], valid: list[torch.Tensor]
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Shrink series without any valid pixel to the largest size of the others.

    A sample that lacks a sensor has an empty series of its own size; a coarser sensor's real series, padded to that
    size, would no longer lie over the other sensors.
    """
    sizes = [v.shape[2:] for v, mask in zip(values, valid, strict=True) if mask.any()]
    if not sizes:
        return values, valid
    height, width = max(size[0] for size in sizes), max(size[1] for size in sizes)
    values = [v[..., :height, :width] for v in values]
    # A validity of 1×1 is not cut, as both sizes are 1 at least.
    return values, [mask[..., :height, :width] for mask in valid]


def stack_targets(targets: Sequence[torch.Tensor] | torch.Tensor) -> torch.Tensor:
    """Stack label maps of possibly different size; padding is 255.

    Args:
        targets: N tensors (1, H, W), or one of shape (N, 1, H, W).

    Returns:
        (N, 1, H, W) int64.
    """
    if isinstance(targets, torch.Tensor):
        return targets.long()
    size = tuple(max(target.shape[axis] for target in targets) for axis in range(3))
    return torch.stack([_pad(target, size, 255) for target in targets]).long()


def _pad(tensor: torch.Tensor, size: Sequence[int], value: float) -> torch.Tensor:
    if tuple(tensor.shape) == tuple(size):
        return tensor
    padding: list[int] = []
    for held, wanted in zip(reversed(tensor.shape), reversed(size), strict=True):
        padding += [0, wanted - held]
    return F.pad(tensor, padding, value=value)
