"""Feature pyramid and ConvLSTM (Martinez et al., 2021, in the form of U-TAE's baselines, Garnot and Landrieu, ICCV
2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import ImageSeries, dates_exist

from ..layers.conv_blocks import ConvLayer
from ..layers.conv_recurrent import ConvRecurrence
from ..layers.date_packing import DatePacking
from ..layers.spatial_padding import pad_to_multiple
from .single_sensor import SingleSensorBackbone, existing_images


class DilatedPyramid(nn.Module):
    """A map seen at several scales: convolutions of dilation 1, 2, 4 … beside one another, and its maximum.

    Args:
        in_channels: of the map.
        num_channels: of each scale.
        num_levels: number of scales, the maximum being one.
    """

    def __init__(self, in_channels: int, num_channels: int, num_levels: int) -> None:
        super().__init__()
        self.in_conv = nn.Conv2d(in_channels, num_channels, 3, padding=1)
        self.convs = nn.ModuleList(
            nn.Conv2d(num_channels, num_channels, 3, dilation=2**i, padding=2**i, padding_mode='reflect')
            for i in range(num_levels - 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(M, C, H, W) -> (M, num_levels * num_channels, H, W)."""
        x = self.in_conv(x)
        highest = x.amax((2, 3), keepdim=True).expand_as(x)
        return torch.cat([*(conv(x) for conv in self.convs), highest], 1)


@MODELS.register_module()
class FPNConvLSTM(SingleSensorBackbone):
    """Each date through a pyramid of dilated convolutions, the dates through a ConvLSTM, at full resolution.

    The published classifier behind it is `ConvHead(kernel_size=1)`. Any height and width from `min_size` is taken.

    Args:
        in_channels: bands of the series.
        inconv_widths: channels of the convolutions in front of the pyramid.
        num_levels: scales of the pyramid.
        num_channels: channels of each scale.
        hidden_channels: channels of the state.
        mid_conv: one convolution to half of the pyramid's channels behind it.
        runs_over_padding: see `ConvRecurrence`; published.
        sensor: key of the inputs.
        init_cfg: mmengine's initialisation config; `dict(type='XavierNormalInit')` is the published one.

    Attributes:
        out_channels: channels of the one map.
        min_size: smallest height and width.
    """

    min_size = 2  # a single pixel has no neighbourhood

    def __init__(
        self,
        in_channels: int,
        inconv_widths: Sequence[int] = (32, 64),
        num_levels: int = 4,
        num_channels: int = 64,
        hidden_channels: int = 88,
        mid_conv: bool = True,
        runs_over_padding: bool = False,
        sensor: str = 's2',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(in_channels, sensor, init_cfg)
        if num_levels < 2:
            raise ValueError(f'num_levels: two scales at least, got {num_levels}')
        width = num_levels * num_channels
        self.in_conv = ConvLayer([in_channels, *inconv_widths], norm='group')
        self.pyramid = DilatedPyramid(inconv_widths[-1], num_channels, num_levels)
        self.mid_conv = ConvLayer([width, width // 2], norm='group') if mid_conv else nn.Identity()
        self.recurrence = ConvRecurrence(
            width // 2 if mid_conv else width, hidden_channels, runs_over_padding=runs_over_padding
        )
        self.out_channels = (hidden_channels,)
        # Reflection at the border takes more pixels than the largest dilation.
        self.inner_size = 2 ** (num_levels - 2) + 1

    def forward(self, inputs: Mapping[str, ImageSeries]) -> tuple[Tensor, ...]:
        """Encode a batch of series.

        Args:
            inputs: sensor -> series, values (N, T, C, H, W), days (N, T), valid (N, T, H, W) or (N, T, 1, 1); what
                stands where not valid has no influence, and neither have the days.

        Returns:
            One map (N, out_channels[0], H, W).

        Raises:
            KeyError: if the sensor is missing.
            ValueError: if bands or size do not fit.
        """
        series = self.series_of(inputs)
        height, width = series.values.shape[-2:]
        dates = DatePacking(dates_exist(series.valid))
        images = pad_to_multiple(existing_images(series, dates), 1, at_least=self.inner_size)
        features = self.mid_conv(self.pyramid(self.in_conv(images)))  # M, C, H', W': M dates exist
        return (self.recurrence(features, dates)[..., :height, :width],)
