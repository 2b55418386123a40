"""Several sensors in one network: series, maps of all levels, or the last maps are joined.

The three places are those compared by Garnot, Landrieu and Chehata, Multi-modal temporal attention models for crop
mapping from satellite time series (ISPRS Journal 2022, arXiv 2112.07558), in a form that takes any backbone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import ImageSeries, dates_exist

from ..layers.series_joining import join_series
from .single_sensor import SingleSensorBackbone

FusionPlace = Literal['early', 'mid', 'late']
JOINED = 'joined'
"""Name of the series that early fusion makes."""


@MODELS.register_module()
class FusionBackbone(BaseModule):
    """Two or more sensors, each with dates of its own.

    - 'early': all bands in one series for one backbone. Its dates are those of all sensors together; each sensor is
      interpolated to the others' dates, pixel by pixel from what is valid.
    - 'mid': one backbone for each sensor; their maps are concatenated level by level and brought to the widths of the
      first backbone by 1x1 convolutions with batch norm and ReLU. Decode heads see mixed maps of all levels.
    - 'late': one backbone for each sensor; only their maps of the highest resolution are concatenated, as they are.

    A sensor that a sample lacks (no valid date) takes part with zeros: its backbone does not see the sample, so neither
    its batch norms nor the answer depend on what stands there. (With synchronised batch norms each process needs a
    sample of each sensor in every step.) Sensors of other resolutions are resized to the first.

    Args:
        backbones: sensor -> config of a backbone that reads one sensor (`sensor` is set here). With 'early', the
            sensors' names to None but for the first, whose config has the bands of all as `in_channels`.
        fusion: 'early', 'mid' or 'late'.
        sensor_dropout: in training with 'mid' or 'late', the probability that a sample loses one of its sensors (never
            the last one), drawn anew for each sample, so that the network learns to do without.
        init_cfg: mmengine's initialisation config.

    Attributes:
        out_channels: channels of the maps, highest resolution first.
        min_size: smallest height and width.
        pools_space: whether the backbones give one vector for all pixels, as those of parcels do.

    Raises:
        ValueError: for fewer than two sensors, an unknown place, backbones of different depth, some that pool all
            pixels among others that do not, or a dropout that is no probability.
    """

    def __init__(
        self,
        backbones: Mapping[str, Mapping[str, Any] | None],
        fusion: FusionPlace = 'late',
        sensor_dropout: float = 0.0,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        if fusion not in get_args(FusionPlace):
            raise ValueError(f'fusion={fusion!r}: expected one of {", ".join(get_args(FusionPlace))}')
        if len(backbones) < 2:
            raise ValueError(f'FusionBackbone joins two sensors at least, got {list(backbones)}')
        if not 0 <= sensor_dropout < 1:
            raise ValueError(f'sensor_dropout={sensor_dropout}: expected a probability below 1')
        if sensor_dropout and fusion == 'early':
            raise ValueError("sensor_dropout: with fusion='early' there is one series; use 'mid' or 'late'")
        self.sensors, self.fusion, self.sensor_dropout = tuple(backbones), fusion, sensor_dropout
        self.streams = nn.ModuleDict(_built(backbones, fusion))
        self.min_size = max(int(getattr(stream, 'min_size', 1)) for stream in self.streams.values())
        self.out_channels = self._widths()
        self.pools_space = self._pools_space()
        self._sizes: dict[tuple[str, int, int], list[tuple[int, int]]] = {}
        if fusion == 'mid':
            self.mixers = nn.ModuleList(self._mixer(level, width) for level, width in enumerate(self.out_channels))

    def forward(self, inputs: Mapping[str, ImageSeries]) -> tuple[Tensor, ...]:
        """Encode a batch.

        Args:
            inputs: sensor -> series, see `ImageSeries`; what stands where not valid has no influence.

        Returns:
            Maps, highest resolution first.

        Raises:
            KeyError: if a sensor is not among the inputs; one that a sample lacks is a series without a valid date.
            ValueError: if bands or sizes do not fit.
        """
        missing = [sensor for sensor in self.sensors if sensor not in inputs]
        if missing:
            raise KeyError(
                f'the network joins {list(self.sensors)}, the inputs hold {sorted(inputs)}: a sensor that a sample '
                'lacks is a series without a valid date'
            )
        if self.fusion == 'early':
            return self.streams[JOINED]({JOINED: join_series([inputs[sensor] for sensor in self.sensors])})
        present = self._present(inputs)
        maps = [self._maps_of(sensor, inputs[sensor], present[sensor]) for sensor in self.sensors]
        if self.fusion == 'late':
            return (torch.cat(_of_one_size([levels[0] for levels in maps]), 1),)
        return tuple(
            mixer(torch.cat(_of_one_size([levels[number] for levels in maps]), 1))
            for number, mixer in enumerate(self.mixers)
        )

    def _present(self, inputs: Mapping[str, ImageSeries]) -> dict[str, Tensor]:
        """Whether each sample has each sensor, bool (N,), after dropout."""
        present = torch.stack([dates_exist(inputs[sensor].valid).any(1) for sensor in self.sensors])  # S, N
        if self.training and self.sensor_dropout:
            order = torch.rand(present.shape, device=present.device).masked_fill(~present, 2.0)
            drop = torch.rand(present.shape[1], device=present.device) < self.sensor_dropout
            chosen = order == order.min(0, keepdim=True).values
            present = present & ~(chosen & drop & (present.sum(0) > 1))
        return dict(zip(self.sensors, present, strict=True))

    def _maps_of(self, sensor: str, series: ImageSeries, present: Tensor) -> list[Tensor]:
        """Maps of one sensor, zero for the samples that lack it."""
        stream = self.streams[sensor]
        if bool(present.all()):
            return list(stream({sensor: series}))
        if not bool(present.any()):
            return self._empty_maps(sensor, series)
        seen = stream({sensor: ImageSeries(*(part[present] for part in series))})
        rows = present.nonzero().squeeze(1)
        return [m.new_zeros((len(present), *m.shape[1:])).index_copy(0, rows, m) for m in seen]

    def _empty_maps(self, sensor: str, series: ImageSeries) -> list[Tensor]:
        stream, widths = self.streams[sensor], self._stream_widths()[sensor]
        maps = [
            series.values.new_zeros(len(series.values), channels, *size)
            for channels, size in zip(widths, self._sizes_of_maps(sensor, series), strict=True)
        ]
        if self.training and torch.is_grad_enabled():
            # All parameters stay part of the graph, as distributed training wants them.
            maps[0] = maps[0] + 0.0 * sum(parameter.sum() for parameter in stream.parameters())
        return maps

    @torch.no_grad()
    def _sizes_of_maps(self, sensor: str, series: ImageSeries) -> list[tuple[int, int]]:
        """Height and width of each map that a stream would give: what it gives of one sample of zeros."""
        height, width = series.values.shape[-2:]
        key = (sensor, int(height), int(width))
        if key not in self._sizes:
            stream = self.streams[sensor]
            one = ImageSeries(
                torch.zeros_like(series.values[:1]), series.days[:1], torch.ones_like(series.valid[:1, :, :1, :1])
            )
            modes = {module: module.training for module in stream.modules()}
            stream.eval()  # The sample that does not exist must leave no trace in batch norms.
            try:
                # Behind its maps a backbone may give other things, as STCLN gives features of single dates.
                maps = stream({sensor: one})[: len(self._stream_widths()[sensor])]
                self._sizes[key] = [(m.shape[-2], m.shape[-1]) for m in maps]
            finally:
                for module, mode in modes.items():
                    module.training = mode
        return self._sizes[key]

    def _pools_space(self) -> bool:
        pools = {sensor: bool(getattr(stream, 'pools_space', False)) for sensor, stream in self.streams.items()}
        if len(set(pools.values())) > 1:
            raise ValueError(
                f'the backbones of {[sensor for sensor, pooled in pools.items() if pooled]} give one vector for all '
                'pixels, the others maps: let all of them do the same'
            )
        return any(pools.values())

    def _stream_widths(self) -> dict[str, tuple[int, ...]]:
        streams: dict[str, Any] = dict(self.streams.items())
        return {sensor: tuple(stream.out_channels) for sensor, stream in streams.items()}

    def _widths(self) -> tuple[int, ...]:
        widths = list(self._stream_widths().values())
        if self.fusion == 'late':
            return (sum(levels[0] for levels in widths),)
        if len({len(levels) for levels in widths}) > 1:
            raise ValueError(
                f"fusion='mid' joins maps level by level, but the backbones have {[len(w) for w in widths]} levels: "
                "let them have equally many, or use fusion='late'"
            )
        return widths[0]

    def _mixer(self, level: int, width: int) -> nn.Sequential:
        held = sum(widths[level] for widths in self._stream_widths().values())
        return nn.Sequential(nn.Conv2d(held, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))


def _built(backbones: Mapping[str, Mapping[str, Any] | None], fusion: FusionPlace) -> dict[str, SingleSensorBackbone]:
    given = {sensor: config for sensor, config in backbones.items() if config is not None}
    if fusion == 'early':
        if list(given) != [next(iter(backbones))]:
            raise ValueError(
                "fusion='early' has one backbone: give its config, with the bands of all sensors as in_channels, to "
                f'the first sensor and None to the others; got configs for {list(given)} of {list(backbones)}'
            )
        (config,) = given.values()
        return {JOINED: MODELS.build({**config, 'sensor': JOINED})}
    if len(given) < len(backbones):
        raise ValueError(f'fusion={fusion!r} wants a config for each sensor, got some for {list(given)} only')
    return {sensor: MODELS.build({**config, 'sensor': sensor}) for sensor, config in given.items()}


def _of_one_size(maps: Sequence[Tensor]) -> list[Tensor]:
    """All maps at the size of the first."""
    size = maps[0].shape[-2:]
    return [m if m.shape[-2:] == size else F.interpolate(m, size, mode='bilinear', align_corners=False) for m in maps]
