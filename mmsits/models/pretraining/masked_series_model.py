"""`MaskedSeriesModel`: reconstruct hidden observations of a series (Qin et al., JAG 2025, doi
10.1016/j.jag.2025.104426)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import ImageSeries, SampleMeta

from ..segmentors.temporal_encoder_decoder import check_patch_size
from .features import Inputs, average_features, channels_of
from .reconstruction import DateConditionedDecoder, DatedDecoder
from .series_mask import VegetationGate, leave_something

_EVALUATION_SEED = 0


@MODELS.register_module()
class MaskedSeriesModel(BaseModel):
    """Learn a backbone without labels: a part of the observations is hidden, and is to be reconstructed from the rest.

    Any backbone will do. One that gives features per pixel and date (`dated_features`, as STCLN has) is decoded by a
    linear map. Of any other, the feature of a pixel is asked for the pixel's bands on a day, see
    `DateConditionedDecoder`. Hidden observations stand as a learnt number, the same in all bands, in the values that
    the backbone sees, and still count as dates; what was not observed is neither hidden nor reconstructed.

    The loss is the mean squared error of hidden values, in units of the normalisation, per sensor. Where nothing is
    hidden in a whole batch (no date passes the gate, say) it is zero, and so are its gradients.

    Parameters: `backbone.…`, which `WeightTransferHook` hands on, `decoders.…` and `mask_tokens.…`.

    Args:
        backbone: config of a network from a dict of `ImageSeries` to feature maps.
        mask: config of what is hidden; default `SeriesMask()`, and so is its `type`.
        vegetation_gate: arguments of `VegetationGate`, by which dates of the gate's sensor are chosen that may be
            hidden; None hides on all dates.
        reconstruct: sensor -> bands of what is to be reconstructed; default all that the backbone reads. A sensor that
            it does not read is reconstructed from those that it reads (not with features per date).
        hide_sensor: of samples with several sensors, share in which all dates of one of them, drawn, are hidden, so
            that it is reconstructed from the others.
        feature_index: which of the backbone's maps, 0 for the highest resolution; of no use with features per date.
        decoder: further arguments of `DateConditionedDecoder`.
        data_preprocessor: config of `SeriesDataPreprocessor`.
        init_cfg: mmengine's initialisation config.

    Attributes:
        mask: what draws in training; its `ratio` may be changed.
        fixed_mask: what draws in evaluation, always as configured, so that scores of all iterations compare.

    Raises:
        ValueError: for options that cannot work.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        mask: Mapping[str, Any] | None = None,
        vegetation_gate: Mapping[str, Any] | None = None,
        reconstruct: Mapping[str, int] | None = None,
        hide_sensor: float = 0.0,
        feature_index: int = 0,
        decoder: Mapping[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if not 0 <= hide_sensor <= 1:
            raise ValueError(f'hide_sensor={hide_sensor}: a share of the samples, from 0 to 1')
        self.backbone = MODELS.build(backbone)
        self.mask = MODELS.build({'type': 'SeriesMask', **(mask or {})})
        self.fixed_mask = MODELS.build({'type': 'SeriesMask', **(mask or {})})
        self.gate = None if vegetation_gate is None else VegetationGate(**vegetation_gate)
        self.hide_sensor, self.feature_index = hide_sensor, feature_index
        self.read = _sensors_of(self.backbone)
        self.reconstructed = dict(self.read if reconstruct is None else reconstruct)
        self.dated = hasattr(self.backbone, 'dated_features')
        self._check_sensors()
        self.decoders = nn.ModuleDict(
            {sensor: self._decoder(bands, dict(decoder or {})) for sensor, bands in self.reconstructed.items()}
        )
        self.mask_tokens = nn.ParameterDict({sensor: nn.Parameter(torch.zeros(1)) for sensor in self.read})

    def forward(
        self,
        inputs: Inputs,
        targets: Tensor | None = None,
        metas: Sequence[SampleMeta] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Run a step, evaluate, or compute features.

        Args:
            inputs: sensor -> series, batched and normalised.
            targets: labels; not used.
            metas: meta information; the gate looks for statistics of the samples' own in it.
            mode: 'loss' (dict of losses), 'predict' (a list with one dict, see `evaluate`) or 'tensor' (features
                (N, C')).

        Returns:
            Depends on the mode.

        Raises:
            ValueError: if the mode is unknown, or a sensor is missing.
        """
        if mode == 'loss':
            return self.loss(inputs, metas)
        if mode == 'predict':
            return [self.evaluate(inputs, metas)]
        if mode == 'tensor':
            return self.extract_features(inputs)
        raise ValueError(f"mode={mode!r}: expected 'loss', 'predict' or 'tensor'.")

    def extract_features(self, inputs: Inputs) -> Tensor:
        """Features (N, C') of the backbone with nothing hidden, averaged over the pixels that were observed."""
        return average_features(self.backbone, inputs, self.feature_index)

    def loss(self, inputs: Inputs, metas: Sequence[SampleMeta] | None = None) -> dict[str, Tensor]:
        """`loss_<sensor>` of each sensor, and `hidden`, the share of the observations that was hidden."""
        hidden = self.draw(inputs, metas=metas)
        errors = self.squared_errors(inputs, hidden)
        losses = {f'loss_{sensor}': total / count.clamp(min=1) for sensor, (total, count) in errors.items()}
        return {**losses, 'hidden': _hidden_share(inputs, hidden)}

    @torch.no_grad()
    def evaluate(self, inputs: Inputs, metas: Sequence[SampleMeta] | None = None) -> dict[str, Any]:
        """Sums of squared errors and numbers of hidden values, `errors[sensor] = (sum, number)`, with masks that are
        the same whenever the same batch comes."""
        hidden = self.draw_fixed(inputs, metas)
        errors = self.squared_errors(inputs, hidden)
        return dict(errors={sensor: (float(total), float(count)) for sensor, (total, count) in errors.items()})

    def draw_fixed(self, inputs: Inputs, metas: Sequence[SampleMeta] | None = None) -> dict[str, Tensor]:
        """What to hide in evaluation: the same whenever the same batch comes, whatever training has made of the
        ratio."""
        device = next(iter(inputs.values())).values.device
        generator = torch.Generator(device).manual_seed(_EVALUATION_SEED)
        return self.draw(inputs, generator, metas, self.fixed_mask)

    def draw(
        self,
        inputs: Inputs,
        generator: torch.Generator | None = None,
        metas: Sequence[SampleMeta] | None = None,
        mask: Any = None,
    ) -> dict[str, Tensor]:
        """What to hide: bool (N, T, H, W) by sensor.

        Args:
            inputs: sensor -> series.
            generator: of random numbers, on their device; default torch's own.
            metas: see `pass_gate`.
            mask: what draws; default that of training.

        Raises:
            ValueError: if a sensor is missing.
        """
        valid = {sensor: _valid_pixels(self._series(inputs, sensor)) for sensor in (*self.read, *self._only_targets())}
        drawing = self.mask if mask is None else mask
        hidden = {sensor: drawing.draw(seen, generator) for sensor, seen in valid.items()}
        hidden = self.pass_gate(inputs, hidden, metas)
        hidden = self._hide_sensors(hidden, valid, generator)
        read = leave_something({s: hidden[s] for s in self.read}, {s: valid[s] for s in self.read}, generator)
        return hidden | read

    def pass_gate(
        self, inputs: Inputs, hidden: Mapping[str, Tensor], metas: Sequence[SampleMeta] | None = None
    ) -> dict[str, Tensor]:
        """What stays hidden behind the vegetation gate; `metas` of the samples, where these bring statistics."""
        passed = dict(hidden)
        if self.gate is not None and self.gate.sensor in passed:
            sensor = self.gate.sensor
            dates = self.gate(self._series(inputs, sensor), self._statistics(sensor, metas))
            passed[sensor] = passed[sensor] & dates[:, :, None, None]
        return passed

    def cover(self, inputs: Inputs, hidden: Mapping[str, Tensor]) -> dict[str, ImageSeries]:
        """The inputs with the learnt number in place of what is hidden."""
        covered = dict(inputs)
        for sensor in self.read:
            series, token = inputs[sensor], self.mask_tokens[sensor]
            values = torch.where(hidden[sensor].unsqueeze(2), token.to(series.values.dtype), series.values)
            covered[sensor] = series._replace(values=values)
        return covered

    def squared_errors(self, inputs: Inputs, hidden: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Sum of the squared errors of hidden values and their number, by sensor."""
        features = self._features(self.cover(inputs, hidden))
        errors = {}
        for sensor, decoder in self.decoders.items():
            series = self._series(inputs, sensor)
            found = decoder(features[sensor], series.days, hidden[sensor])  # M, C
            wanted = series.values.permute(0, 1, 3, 4, 2)[hidden[sensor]]
            # In half precision the sum of many squares would overflow.
            errors[sensor] = ((found.float() - wanted.float()).square().sum(), torch.tensor(float(wanted.numel())))
        return {sensor: (total, count.to(total.device)) for sensor, (total, count) in errors.items()}

    @torch.no_grad()
    def reconstruct(self, inputs: Inputs, hidden: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All observations as the network reconstructs them from what is not hidden.

        Args:
            inputs: sensor -> series.
            hidden: see `draw`.

        Returns:
            (N, T, C, H, W) by sensor, normalised, zero where nothing was observed.
        """
        features = self._features(self.cover(inputs, hidden))
        found = {}
        for sensor, decoder in self.decoders.items():
            series = self._series(inputs, sensor)
            valid = _valid_pixels(series)
            values = torch.zeros_like(series.values).permute(0, 1, 3, 4, 2).contiguous()
            values[valid] = decoder(features[sensor], series.days, valid).to(values.dtype)
            found[sensor] = values.permute(0, 1, 4, 2, 3)
        return found

    def _features(self, inputs: Inputs) -> dict[str, Tensor]:
        check_patch_size(self.backbone, dict(inputs))
        if self.dated:
            return self.backbone.dated_features(dict(inputs))
        maps = self.backbone(dict(inputs))[self.feature_index]
        return dict.fromkeys(self.decoders, maps)

    def _hide_sensors(
        self, hidden: dict[str, Tensor], valid: Mapping[str, Tensor], generator: torch.Generator | None
    ) -> dict[str, Tensor]:
        """All of one sensor, in some of the samples that have several."""
        if not self.hide_sensor or len(self.read) < 2:
            return hidden
        held = torch.stack([valid[sensor].flatten(1).any(1) for sensor in self.read], 1).float()  # N, sensors
        some = torch.rand(len(held), generator=generator, device=held.device) < self.hide_sensor
        rows = torch.nonzero(some & (held.sum(1) > 1)).squeeze(1)
        if not len(rows):
            return hidden
        chosen = torch.multinomial(held[rows], 1, generator=generator).squeeze(1)
        result = dict(hidden)
        for number, sensor in enumerate(self.read):
            mask = hidden[sensor].clone()
            here = rows[chosen == number]
            mask[here] = valid[sensor][here]
            result[sensor] = mask
        return result

    def _series(self, inputs: Inputs, sensor: str) -> ImageSeries:
        if sensor not in inputs:
            raise ValueError(
                f'MaskedSeriesModel reads or reconstructs the sensor {sensor!r}, the batch holds {sorted(inputs)}: '
                "name it in the dataset's sensors"
            )
        return inputs[sensor]

    def _statistics(self, sensor: str, metas: Sequence[SampleMeta] | None) -> tuple[Tensor, Tensor] | None:
        own = [meta['statistics'][sensor] for meta in metas or () if sensor in (meta.get('statistics') or {})]
        # A batch of which only some samples bring them was refused by the preprocessor.
        if own:
            device = self.mask_tokens[next(iter(self.read))].device
            mean, std = (torch.tensor([one[name] for one in own], device=device) for name in ('mean', 'std'))
            return mean, std
        known = getattr(self.data_preprocessor, 'has_statistics', None)
        if known is None or sensor not in self.data_preprocessor.sensors or not known(sensor):
            return None
        return self.data_preprocessor.get_buffer(f'mean_{sensor}'), self.data_preprocessor.get_buffer(f'std_{sensor}')

    def _only_targets(self) -> tuple[str, ...]:
        return tuple(sensor for sensor in self.reconstructed if sensor not in self.read)

    def _check_sensors(self) -> None:
        if not self.reconstructed:
            raise ValueError('reconstruct: at least one sensor')
        if self.dated and self._only_targets():
            raise ValueError(
                f'reconstruct: {type(self.backbone).__name__} gives features per date of the sensors that it reads '
                f'({", ".join(self.read)}), hence none of {", ".join(self._only_targets())}: let it read them '
                '(further_sensors)'
            )
        if self.gate is not None and self.gate.sensor not in {**self.read, **self.reconstructed}:
            raise ValueError(f'vegetation_gate: no sensor {self.gate.sensor!r} is hidden')

    def _decoder(self, bands: int, options: dict[str, Any]) -> nn.Module:
        if self.dated:
            if options:
                raise ValueError(f'decoder={options}: features per date are decoded by a linear map without options')
            return DatedDecoder(self.backbone.dated_channels, bands)
        patch_size = getattr(self.backbone, 'patch_size', 1)
        return DateConditionedDecoder(
            channels_of(self.backbone, self.feature_index), bands, **{'patch_size': patch_size, **options}
        )


def _sensors_of(backbone: nn.Module) -> dict[str, int]:
    sensors = getattr(backbone, 'sensors', None)
    if sensors:
        return dict(sensors)
    try:
        return {str(backbone.sensor): int(backbone.in_channels)}  # type: ignore[arg-type]
    except AttributeError as error:
        raise ValueError(
            f'{type(backbone).__name__} does not say what it reads: it needs `sensor` and `in_channels`, or `sensors`'
        ) from error


def _valid_pixels(series: ImageSeries) -> Tensor:
    n, t, _, height, width = series.values.shape
    return series.valid.expand(n, t, height, width)


def _hidden_share(inputs: Inputs, hidden: Mapping[str, Tensor]) -> Tensor:
    covered = sum(mask.sum() for mask in hidden.values())
    seen = sum(_valid_pixels(inputs[sensor]).sum() for sensor in hidden)
    return torch.as_tensor(covered / torch.as_tensor(seen).clamp(min=1)).float()
