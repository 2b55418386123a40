"""TempCNN (Pelletier et al., Remote Sensing 2019, arXiv 1811.10166), in the form of TimeMatch (Nyborg et al., 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor, nn

from ..layers.day_encoding import OffsetDayEncoding, add_day_encoding
from ..layers.regular_days import ToRegularDays
from ..layers.valid_dates import ToFixedLength
from .base import TemporalEncoder


@MODELS.register_module()
class TempCNN(TemporalEncoder):
    """Convolutions along time, then a perceptron over all steps: a network of fixed length.

    Series of another length are brought to it first (`ToFixedLength`); one that has `length` valid dates passes
    unchanged, which is all that the published network takes. With `days` they are interpolated to these days of the
    season instead, so that a step is the same time of year in every series.

    Args:
        in_channels: C of the series.
        conv_channels: channels after each convolution.
        mlp: widths of the perceptron's layers, C' the last.
        length: number of steps.
        days: first and last day that series are interpolated to, from the model's reference date.
        kernel_size: of the convolutions, odd.
        dropout: after each layer.
        positional_encoding: False leaves the day encoding out.
        period, day_offset: of the day encoding, see `OffsetDayEncoding`.
        init_cfg: mmengine's initialisation config.

    Raises:
        ValueError: for options that cannot work.
    """

    def __init__(
        self,
        in_channels: int = 128,
        conv_channels: Sequence[int] = (32, 32, 128),
        mlp: Sequence[int] = (128, 128),
        length: int = 24,
        days: tuple[float, float] | None = None,
        kernel_size: int = 3,
        dropout: float = 0.0,
        positional_encoding: bool = True,
        period: float = 1000.0,
        day_offset: float = 100.0,
        init_cfg: Any = None,
    ) -> None:
        if not conv_channels or not mlp or kernel_size % 2 == 0:
            raise ValueError(
                f'expected at least one width in conv_channels and mlp and an odd kernel_size; got '
                f'{list(conv_channels)}, {list(mlp)}, {kernel_size}'
            )
        super().__init__(in_channels, mlp[-1], init_cfg)
        self.to_fixed_length = ToFixedLength(length) if days is None else None
        self.to_regular_days = None if days is None else ToRegularDays(*days, length)
        self.day_encoding = OffsetDayEncoding(in_channels, period, day_offset) if positional_encoding else None
        self.convs = nn.Sequential()
        for c_in, c_out in pairwise([in_channels, *conv_channels]):
            self.convs.append(nn.Conv1d(c_in, c_out, kernel_size, padding=kernel_size // 2))
            self.convs.extend(_norm_and_activation(c_out, dropout))
        self.mlp = nn.Sequential()
        for c_in, c_out in pairwise([conv_channels[-1] * length, *mlp]):
            self.mlp.append(nn.Linear(c_in, c_out))
            self.mlp.extend(_norm_and_activation(c_out, dropout))

    def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
        """(N, T, C) -> (N, C'); see `TemporalEncoder.forward`."""
        x, days = self._steps(x, days, valid)
        if self.day_encoding is not None:
            x = add_day_encoding(x, self.day_encoding(days))
        return self.mlp(self.convs(x.transpose(1, 2)).flatten(1))

    def _steps(self, x: Tensor, days: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, C) -> (N, length, C), and the days of the steps."""
        if self.to_fixed_length is not None:
            return self.to_fixed_length(x, days, valid)
        assert self.to_regular_days is not None  # one of the two is there
        return self.to_regular_days(x, days, valid), self.to_regular_days.grid.unsqueeze(0)


def _norm_and_activation(channels: int, dropout: float) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.BatchNorm1d(channels), nn.ReLU()]
    return [*layers, nn.Dropout(dropout)] if dropout else layers
