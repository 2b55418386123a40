"""U-ConvLSTM: a U-Net for each date, a ConvLSTM over the dates at its lowest level (baseline of U-TAE, Garnot and
Landrieu, ICCV 2021; published code: `RecUNet`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, get_args

from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import ImageSeries, dates_exist

from ..layers.conv_blocks import ConvLayer, DownConvBlock, PaddingMode, UpConvBlock
from ..layers.conv_recurrent import ConvRecurrence
from ..layers.date_packing import DatePacking
from ..layers.spatial_padding import pad_to_multiple
from .single_sensor import SingleSensorBackbone, existing_images

Temporal = Literal['lstm', 'blstm', 'mean']


@MODELS.register_module()
class UConvLSTM(SingleSensorBackbone):
    """The convolutions of U-TAE, with a recurrence instead of its attention.

    A convolutional encoder is shared by all dates. A ConvLSTM runs over the dates of its lowest maps; skip maps of the
    higher levels are averaged over the dates. A convolutional decoder goes back up. The published last convolutions are
    `UTAEHead(padding_mode='zeros')`.

    Only dates that exist are computed. Any height and width from `min_size` is taken: maps are padded inside and
    cropped again.

    Args:
        in_channels: bands of the series.
        encoder_widths: channels of the encoder, highest resolution first.
        decoder_widths: channels of the decoder, highest resolution first; the last must be that of the encoder.
        hidden_channels: of the recurrence.
        temporal: 'lstm'; 'blstm', from both ends; or 'mean' over the dates, which is all that one date needs.
        str_conv_k, str_conv_s, str_conv_p: kernel, stride and padding of the convolutions that change resolution; k = s
            + 2 p.
        encoder_norm: 'group', 'batch', 'instance' or None, of the decoder's 3x3 convolutions too.
        padding_mode: of the convolutions, as of `torch.nn.Conv2d`, but for the first two.
        in_conv_padding_mode: of the first two; the published code leaves them at 'reflect'.
        runs_over_padding: see `ConvRecurrence`; published.
        sensor: key of the inputs.
        init_cfg: mmengine's initialisation config; `dict(type='XavierNormalInit')` is the published one.

    Attributes:
        out_channels: channels of the maps, highest resolution first.
        min_size: smallest height and width.

    Raises:
        ValueError: for options that contradict each other.
    """

    min_size = 2  # a single pixel has no neighbourhood to convolve

    def __init__(
        self,
        in_channels: int,
        encoder_widths: Sequence[int] = (64, 64, 64, 128),
        decoder_widths: Sequence[int] = (32, 32, 64, 128),
        hidden_channels: int = 64,
        temporal: Temporal = 'lstm',
        str_conv_k: int = 4,
        str_conv_s: int = 2,
        str_conv_p: int = 1,
        encoder_norm: str | None = 'group',
        padding_mode: PaddingMode = 'zeros',
        in_conv_padding_mode: PaddingMode = 'reflect',
        runs_over_padding: bool = False,
        sensor: str = 's2',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(in_channels, sensor, init_cfg)
        enc, dec = list(encoder_widths), list(decoder_widths)
        if len(enc) < 2 or len(enc) != len(dec) or enc[-1] != dec[-1]:
            raise ValueError(
                'encoder_widths and decoder_widths must be equally long, two at least, with the same last width; got '
                f'{enc} and {dec}'
            )
        if temporal not in get_args(Temporal):
            raise ValueError(f'temporal: expected one of {", ".join(get_args(Temporal))}; got {temporal!r}')
        self.out_channels = tuple(dec)
        self.stride = str_conv_s
        resample: dict[str, Any] = dict(
            kernel_size=str_conv_k,
            stride=str_conv_s,
            padding=str_conv_p,
            norm=encoder_norm,
            padding_mode=padding_mode,
        )
        self.in_conv = ConvLayer([in_channels, enc[0], enc[0]], encoder_norm, padding_mode=in_conv_padding_mode)
        self.down_blocks = nn.ModuleList(DownConvBlock(above, below, **resample) for above, below in pairwise(enc))
        self.up_blocks = nn.ModuleList(
            UpConvBlock(dec[i], dec[i - 1], skip_channels=enc[i - 1], **resample) for i in range(len(dec) - 1, 0, -1)
        )
        self.recurrence: ConvRecurrence | None = None
        if temporal != 'mean':
            self.recurrence = ConvRecurrence(
                enc[-1],
                hidden_channels,
                bidirectional=temporal == 'blstm',
                runs_over_padding=runs_over_padding,
            )
            self.out_conv = nn.Conv2d(self.recurrence.out_channels, enc[-1], 3, padding=1)

    def forward(self, inputs: Mapping[str, ImageSeries]) -> tuple[Tensor, ...]:
        """Encode a batch of series.

        Args:
            inputs: sensor -> series, values (N, T, C, H, W), days (N, T), valid (N, T, H, W) or (N, T, 1, 1); what
                stands where not valid has no influence, and neither have the days.

        Returns:
            Maps (N, out_channels[i], H / s^i, W / s^i) (rounded up), highest resolution first.

        Raises:
            KeyError: if the sensor is missing.
            ValueError: if bands or size do not fit.
        """
        series = self.series_of(inputs)
        height, width = series.values.shape[-2:]
        dates = DatePacking(dates_exist(series.valid))
        multiple = self.stride ** len(self.down_blocks)
        # Reflect padding of the lowest map needs two pixels.
        images = pad_to_multiple(existing_images(series, dates), multiple, at_least=2 * multiple)
        encoded = [self.in_conv(images)]  # M, e0, H', W': M dates exist in the batch
        for down_block in self.down_blocks:
            encoded.append(down_block(encoded[-1]))
        maps = [self._without_dates(encoded.pop(), dates)]
        for up_block in self.up_blocks:
            maps.append(up_block(maps[-1], _mean_of_dates(encoded.pop(), dates)))
        strides = [self.stride**level for level in range(len(maps))]
        return tuple(m[..., : -(-height // s), : -(-width // s)] for m, s in zip(maps[::-1], strides, strict=True))

    def _without_dates(self, lowest: Tensor, dates: DatePacking) -> Tensor:
        """(M, e_n, h, w) -> (N, e_n, h, w)."""
        if self.recurrence is None:
            return _mean_of_dates(lowest, dates)
        return self.out_conv(self.recurrence(lowest, dates))


def _mean_of_dates(maps: Tensor, dates: DatePacking) -> Tensor:
    """(M, C, H, W) -> (N, C, H, W), zero for a series without any date."""
    return dates.sum_dates(maps) / dates.counts.clamp(min=1).view(-1, 1, 1, 1)
