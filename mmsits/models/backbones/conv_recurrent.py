"""ConvLSTM and ConvGRU on the images themselves (baselines of U-TAE, Garnot and Landrieu, ICCV 2021)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor

from mmsits.structures import ImageSeries, dates_exist

from ..layers.conv_recurrent import Cell, ConvRecurrence
from ..layers.date_packing import DatePacking
from .single_sensor import SingleSensorBackbone, existing_images


@MODELS.register_module()
class ConvRecurrentBackbone(SingleSensorBackbone):
    """A convolutional recurrent layer over the dates, at full resolution; its last state is the map.

    The published classifier behind it is `ConvHead(kernel_size=3)`.

    Args:
        in_channels: bands of the series.
        hidden_channels: channels of the state; published 180 with 'gru', 160 with 'lstm'.
        cell: 'gru' or 'lstm' (whose cell map is used).
        kernel_size: of the convolutions, odd.
        bidirectional: see `ConvRecurrence`.
        runs_over_padding: see `ConvRecurrence`; published.
        sensor: key of the inputs.
        init_cfg: mmengine's initialisation config; `dict(type='XavierNormalInit')` is the published one.

    Attributes:
        out_channels: channels of the one map.
        min_size: smallest height and width, 1.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int = 180,
        cell: Cell = 'gru',
        kernel_size: int = 3,
        bidirectional: bool = False,
        runs_over_padding: bool = False,
        sensor: str = 's2',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(in_channels, sensor, init_cfg)
        self.recurrence = ConvRecurrence(
            in_channels, hidden_channels, cell, kernel_size, bidirectional, runs_over_padding
        )
        self.out_channels = (self.recurrence.out_channels,)

    def forward(self, inputs: Mapping[str, ImageSeries]) -> tuple[Tensor, ...]:
        """Encode a batch of series.

        Args:
            inputs: sensor -> series, values (N, T, C, H, W), days (N, T), valid (N, T, H, W) or (N, T, 1, 1); what
                stands where not valid has no influence, and neither have the days.

        Returns:
            One map (N, out_channels[0], H, W).

        Raises:
            KeyError: if the sensor is missing.
            ValueError: if the bands do not fit.
        """
        series = self.series_of(inputs)
        dates = DatePacking(dates_exist(series.valid))
        return (self.recurrence(existing_images(series, dates), dates),)
