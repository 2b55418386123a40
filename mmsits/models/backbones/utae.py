"""U-TAE: U-Net with temporal attention encoder (Garnot and Landrieu, ICCV 2021, arXiv 2107.07933)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import ImageSeries, dates_exist

from ..layers.conv_blocks import ConvLayer, DownConvBlock, PaddingMode, UpConvBlock
from ..layers.date_packing import DatePacking
from ..layers.spatial_padding import pad_to_multiple
from ..layers.temporal_aggregator import TemporalAggregator
from ..temporal_encoders.ltae import LTAE
from .single_sensor import SingleSensorBackbone, existing_images


@MODELS.register_module()
class UTAE(SingleSensorBackbone):
    """A U-Net whose encoder sees each date, whose decoder sees the whole series, with one temporal attention for all
    levels.

    A convolutional encoder is shared by all dates. At its lowest resolution an L-TAE collapses the dates of every
    pixel. Its attention, resized, also collapses the skip maps of the higher levels. A convolutional decoder goes back
    up.

    Only dates that exist are computed (`valid` anywhere in the date), so padding costs nothing and, with the default
    `norm_over_padding=False`, changes nothing. Any height and width from `min_size` is taken: maps are padded inside
    and cropped again.

    Args:
        in_channels: bands of the series.
        encoder_widths: channels of the encoder, highest resolution first.
        decoder_widths: channels of the decoder, highest resolution first; None for those of the encoder. The last must
            be that of the encoder.
        str_conv_k, str_conv_s, str_conv_p: kernel, stride and padding of the convolutions that change resolution; k = s
            + 2 p.
        agg_mode: how skip maps lose their dates, see `TemporalAggregator`.
        encoder_norm: 'group', 'batch', 'instance' or None.
        n_head, d_model, d_k: of the L-TAE.
        dropout, attention_dropout: of the L-TAE.
        padding_mode: of the convolutions, as of `torch.nn.Conv2d`.
        norm_over_padding: see `LTAE`; published weights give published numbers on padded batches with True only.
        channels_last: run the encoder in channels-last layout. On a CPU a training step takes about 30 % less time, but
            torch's group norm rounds more coarsely there (2e-6 instead of 4e-7 of a normal value).
        sensor: key of the inputs.
        init_cfg: mmengine's initialisation config; `dict(type='XavierNormalInit')` is the published one.

    Attributes:
        out_channels: channels of the maps, highest resolution first.
        min_size: smallest height and width.

    Raises:
        ValueError: for options that contradict each other.
    """

    min_size = 2  # a single pixel has no neighbourhood to convolve: use PixelwiseBackbone on it

    def __init__(
        self,
        in_channels: int,
        encoder_widths: Sequence[int] = (64, 64, 64, 128),
        decoder_widths: Sequence[int] | None = (32, 32, 64, 128),
        str_conv_k: int = 4,
        str_conv_s: int = 2,
        str_conv_p: int = 1,
        agg_mode: str = 'att_group',
        encoder_norm: str | None = 'group',
        n_head: int = 16,
        d_model: int | None = 256,
        d_k: int = 4,
        dropout: float = 0.2,
        attention_dropout: float = 0.1,
        padding_mode: PaddingMode = 'reflect',
        norm_over_padding: bool = False,
        channels_last: bool = False,
        sensor: str = 's2',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(in_channels, sensor, init_cfg)
        enc = list(encoder_widths)
        dec = enc if decoder_widths is None else list(decoder_widths)
        _check_options(enc, dec, (str_conv_k, str_conv_s, str_conv_p), agg_mode, n_head)
        self.out_channels = tuple(dec)
        self.channels_last = channels_last
        self.stride = str_conv_s
        resample: dict[str, Any] = dict(
            kernel_size=str_conv_k, stride=str_conv_s, padding=str_conv_p, padding_mode=padding_mode
        )

        self.in_conv = ConvLayer([in_channels, enc[0], enc[0]], encoder_norm, padding_mode=padding_mode)
        self.down_blocks = nn.ModuleList(
            DownConvBlock(above, below, norm=encoder_norm, **resample) for above, below in pairwise(enc)
        )
        self.temporal_encoder = LTAE(
            enc[-1],
            n_head=n_head,
            d_k=d_k,
            d_model=d_model,
            mlp=[enc[-1] if d_model is None else d_model, enc[-1]],
            dropout=dropout,
            attention_dropout=attention_dropout,
            norm_over_padding=norm_over_padding,
        )
        self.temporal_aggregator = TemporalAggregator(agg_mode)
        self.up_blocks = nn.ModuleList(
            UpConvBlock(dec[i], dec[i - 1], skip_channels=enc[i - 1], norm='batch', **resample)
            for i in range(len(dec) - 1, 0, -1)
        )

    def forward(self, inputs: Mapping[str, ImageSeries]) -> tuple[Tensor, ...]:
        """Encode a batch of series.

        Args:
            inputs: sensor -> series, values (N, T, C, H, W), days (N, T), valid (N, T, H, W) or (N, T, 1, 1); what
                stands where not valid has no influence.

        Returns:
            Maps (N, out_channels[i], H / s^i, W / s^i) (rounded up), highest resolution first.

        Raises:
            KeyError: if the sensor is missing.
            ValueError: if bands or size do not fit.
        """
        return self.forward_with_attention(inputs)[0]

    def forward_with_attention(self, inputs: Mapping[str, ImageSeries]) -> tuple[tuple[Tensor, ...], Tensor]:
        """As `forward`, and the attention of the L-TAE (N, heads, T, h, w) at the lowest resolution, of the maps as
        padded inside."""
        series = self.series_of(inputs)
        size = series.values.shape[-2:]
        dates = DatePacking(dates_exist(series.valid))
        frames = self._existing_frames(series, dates)  # M, bands, H, W: M dates exist in the batch

        # Spatial encoder, shared by all dates.
        encoded = [self.in_conv(frames)]  # M, e0, H, W
        for down_block in self.down_blocks:
            encoded.append(down_block(encoded[-1]))  # M, e_i, H / s^i, W / s^i

        # Temporal encoder, per pixel of the lowest resolution.
        out, attention = self.temporal_encoder.encode_maps_with_attention(
            dates.unpack(encoded.pop()), series.days, dates.exists
        )  # N, e_n, h, w and N, heads, T, h, w
        date_attention = dates.pack(attention.transpose(1, 2))  # M, heads, h, w

        # Decoder, with skip maps collapsed by the same attention.
        maps = [out]
        for up_block in self.up_blocks:
            skip = self.temporal_aggregator(encoded.pop(), date_attention, dates)  # N, e_i, H / s^i, W / s^i
            maps.append(up_block(maps[-1], skip))  # N, d_i, H / s^i, W / s^i
        return self._crop(maps[::-1], size), attention

    def _existing_frames(self, series: ImageSeries, dates: DatePacking) -> Tensor:
        """Existing dates (M, bands, H', W'): zero where a pixel is not valid, padded to a size that the U-Net
        divides."""
        multiple = self.stride ** len(self.down_blocks)
        # Reflect padding of the lowest map needs two pixels.
        frames = pad_to_multiple(existing_images(series, dates), multiple, at_least=2 * multiple)
        return frames.contiguous(memory_format=torch.channels_last) if self.channels_last else frames

    def _crop(self, maps: Sequence[Tensor], size: Sequence[int]) -> tuple[Tensor, ...]:
        """Undo the padding at each level; what is left covers the input."""
        height, width = size
        strides = [self.stride**level for level in range(len(maps))]
        return tuple(m[..., : -(-height // s), : -(-width // s)] for m, s in zip(maps, strides, strict=True))


def _check_options(
    enc: Sequence[int], dec: Sequence[int], resample: tuple[int, int, int], agg_mode: str, n_head: int
) -> None:
    """Refuse what cannot work, in plain words."""
    if len(enc) < 2 or len(enc) != len(dec):
        raise ValueError(f'encoder_widths and decoder_widths must be equally long, two at least; got {enc} and {dec}')
    if enc[-1] != dec[-1]:
        raise ValueError(f'encoder and decoder must have the same last width, got {enc[-1]} and {dec[-1]}')
    kernel, stride, padding = resample
    if stride < 2 or kernel != stride + 2 * padding:
        raise ValueError(
            f'str_conv_k must be str_conv_s + 2 * str_conv_p with a stride of 2 at least, so that going down and up '
            f'meets the same sizes; got k={kernel}, s={stride}, p={padding}'
        )
    if agg_mode == 'att_group' and any(width % n_head for width in enc[:-1]):
        raise ValueError(f"agg_mode 'att_group' needs encoder widths that {n_head} heads divide, got {list(enc)}")
