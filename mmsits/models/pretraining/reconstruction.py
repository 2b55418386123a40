"""From features to the observations that were hidden."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.day_encoding import DayEncoding


class DatedDecoder(nn.Module):
    """A linear map from the features of a pixel on a date to its bands, as published for STCLN.

    Args:
        in_channels: channels of the features.
        bands: C.
    """

    def __init__(self, in_channels: int, bands: int) -> None:
        super().__init__()
        self.output = nn.Linear(in_channels, bands)

    def forward(self, features: Tensor, days: Tensor, wanted: Tensor) -> Tensor:
        """Reconstruct.

        Args:
            features: (N, H, W, T, D).
            days: (N, T); not needed, the features know their dates.
            wanted: bool (N, T, H, W), M of which are true.

        Returns:
            (M, C), in the order of `wanted`.
        """
        return self.output(features.permute(0, 3, 1, 2, 4)[wanted])


class DateConditionedDecoder(nn.Module):
    """What a pixel looks like on a day, from one feature vector that stands for its whole series.

    Networks that collapse the dates (U-TAE, TSViT, every temporal encoder) are asked for a day: the feature of the
    pixel and the encoding of the day, both mapped to the same width, are added and pass a perceptron. So what was seen
    on other days must be in the feature, and so must how the pixel changes with time.

    Args:
        in_channels: channels of the feature map.
        bands: C.
        hidden_channels: width.
        patch_size: pixels along one side of what one feature vector stands for; each pixel in it gets a part of its
            own.
        period: of the day encoding.
    """

    def __init__(
        self, in_channels: int, bands: int, hidden_channels: int = 128, patch_size: int = 1, period: float = 1000.0
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.pixel = nn.Conv2d(in_channels, hidden_channels * patch_size**2, 1)
        self.day_encoding = DayEncoding(hidden_channels, period)
        self.day = nn.Linear(hidden_channels, hidden_channels)
        self.output = nn.Sequential(
            nn.GELU(), nn.Linear(hidden_channels, hidden_channels), nn.GELU(), nn.Linear(hidden_channels, bands)
        )

    def forward(self, features: Tensor, days: Tensor, wanted: Tensor) -> Tensor:
        """Reconstruct.

        Args:
            features: (N, D, h, w); resized where it does not have the height and width of `wanted`.
            days: (N, T).
            wanted: bool (N, T, H, W), M of which are true.

        Returns:
            (M, C), in the order of `wanted`.
        """
        pixels = F.pixel_shuffle(self.pixel(features), self.patch_size)
        size = wanted.shape[-2:]
        if pixels.shape[-2:] != size:
            pixels = F.interpolate(pixels, size=size, mode='bilinear', align_corners=False)
        dates = self.day(self.day_encoding(days).to(pixels.dtype))  # N, T, hidden
        sample, date, row, column = torch.nonzero(wanted, as_tuple=True)
        return self.output(pixels.permute(0, 2, 3, 1)[sample, row, column] + dates[sample, date])
