"""TSViT: a vision transformer that looks at time first, then at space (Tarasiou, Chavez and Zafeiriou, CVPR 2023, arXiv
2301.04944)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.structures import ImageSeries, dates_exist

from ..layers.attention_layer import AttentionLayer
from ..layers.date_embedding import DayOfYearEmbedding, PlaceEmbedding, TrainingDaysEmbedding, day_of_year
from ..layers.day_encoding import add_day_encoding
from .single_sensor import SingleSensorBackbone

DATE_ENCODINGS = ('day_of_year', 'place', 'training_days')
SPATIAL_ATTENTIONS = ('within_class', 'across_classes', None)
SUMMARIES = ('token', 'mean')


class TokenTransformer(nn.Module):
    """Pre-norm layers of attention and a layer norm.

    Args:
        width, num_heads, head_channels, dropout: see `AttentionLayer`.
        depth: number of layers.
        hidden_channels: width of the perceptrons.
    """

    def __init__(
        self, width: int, depth: int, num_heads: int, head_channels: int, hidden_channels: int, dropout: float
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            AttentionLayer(width, num_heads, hidden_channels, dropout, head_channels, False, dropout)
            for _ in range(depth)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, attended: Tensor | None, kept: int | None = None) -> Tensor:
        """(N, T, C) and bool (N, T), which tokens are looked at, or None for all -> (N, T, C), or the first `kept`
        tokens, of which the last layer computes no more."""
        mask = None if attended is None else attended[:, None, None]
        for number, layer in enumerate(self.layers):
            x = layer(x, mask, kept if number == len(self.layers) - 1 else None)
        return self.norm(x[:, :kept])


class PatchBackbone(SingleSensorBackbone):
    """What TSViT and its reverse share: small patches of an image become tokens; each place has a learnt vector.

    Args:
        in_channels, sensor, init_cfg: see `SingleSensorBackbone`.
        patch_size: side of a patch, in pixels.
        image_size: side of the images in pixels that the vectors of places are made for; of images of another size they
            are interpolated.
        runs_over_padding: take what is not valid for patches of zeros on day 0 that are attended to, as published.
    """

    def __init__(
        self,
        in_channels: int,
        patch_size: int,
        image_size: int,
        runs_over_padding: bool,
        sensor: str,
        init_cfg: Any,
    ) -> None:
        super().__init__(in_channels, sensor, init_cfg)
        if patch_size < 1 or image_size % patch_size:
            raise ValueError(f'patch_size: {patch_size} pixels do not divide images of {image_size}')
        self.patch_size, self.grid_size = patch_size, image_size // patch_size
        self.runs_over_padding, self.min_size = runs_over_padding, patch_size

    def patches_of(self, series: ImageSeries) -> tuple[Tensor, Tensor, Tensor | None]:
        """Cut a series.

        Returns:
            Patches (N, h, w, T, p * p * C), in them rows, columns, channels, zero where not valid; bool (N, T), which
            dates count; and bool (N, h, w, T), which patches do, None if all.

        Raises:
            ValueError: if patches do not divide height and width.
        """
        n, t, channels, height, width = series.values.shape
        p = self.patch_size
        if height % p or width % p:
            raise ValueError(
                f'{type(self).__name__} cuts images in patches of {p} x {p} pixels, which do not divide '
                f'{height} x {width}: crop or pad to multiples of {p}, or test in sliding windows of such a size'
            )
        valid, exists = series.valid, dates_exist(series.valid)
        complete = bool(valid.all())
        values = series.values if complete else series.values.masked_fill(~valid.unsqueeze(2), 0.0)
        values = values.reshape(n, t, channels, height // p, p, width // p, p)
        patches = values.permute(0, 3, 5, 1, 4, 6, 2).flatten(4)
        if complete or self.runs_over_padding:
            return patches, exists, None
        seen = valid.expand(n, t, height, width).reshape(n, t, height // p, p, width // p, p)
        return patches, exists, seen.any(5).any(3).permute(0, 2, 3, 1)

    def places(self, table: Tensor, grid: tuple[int, int]) -> Tensor:
        """Vectors of places (..., places of the image size, D), interpolated to another grid (h, w) where needed."""
        if grid == (self.grid_size, self.grid_size):
            return table
        rows = table.flatten(0, -3).unflatten(1, (self.grid_size, self.grid_size)).permute(0, 3, 1, 2)
        resized = F.interpolate(rows, size=grid, mode='bicubic', align_corners=False)
        return resized.flatten(2).transpose(1, 2).unflatten(0, table.shape[:-2])


@MODELS.register_module()
class TSViT(PatchBackbone):
    """Each small patch's series is summed up by one token per class; then the patches of a class look at each other.

    Patches that were not observed on a date are not attended to, so that padding changes nothing.

    Args:
        in_channels: bands of the series.
        num_classes: classes K, a token each.
        patch_size, image_size: see `PatchBackbone`; height and width are multiples of `patch_size`.
        dim: width D of the tokens.
        temporal_depth, spatial_depth: layers of the two transformers.
        num_heads, head_channels: of all layers.
        mlp_ratio: width of the perceptrons by D.
        dropout: on what attention and perceptron add, and inside the perceptron.
        embedding_dropout: on the tokens in front of the spatial transformer.
        date_encoding: 'day_of_year'; 'place', the number of a date in its series (`num_dates` at most); or
            'training_days' (see `TrainingDaysEmbedding`).
        num_days: rows of the table of 'day_of_year'.
        first_day: day of the year of the model's reference date: 1 where days count from 1 January.
        cut_days: as published, one day less for nineteen days of the year, see `cut_day_of_year`.
        num_dates: places of 'place'.
        training_days: days of the year of 'training_days'.
        class_tokens: False for one token in all.
        summary: of the one token: 'token' takes it, 'mean' the mean of it and the dates.
        spatial_attention: 'within_class'; 'across_classes', the patches of all classes look at each other; or None, no
            spatial transformer.
        whole_image: one label per image: a token that sums up its patches.
        runs_over_padding: see `PatchBackbone`.
        sensor: key of the inputs.
        init_cfg: mmengine's initialisation config.

    Attributes:
        out_channels: K D, or D without class tokens.
        pools_space: whether the map is 1×1.

    Raises:
        ValueError: for options that contradict each other.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        patch_size: int = 2,
        image_size: int = 24,
        dim: int = 128,
        temporal_depth: int = 4,
        spatial_depth: int = 4,
        num_heads: int = 4,
        head_channels: int = 32,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        date_encoding: str = 'day_of_year',
        num_days: int = 366,
        first_day: int = 1,
        cut_days: bool = False,
        num_dates: int | None = None,
        training_days: Sequence[int] | None = None,
        class_tokens: bool = True,
        summary: str = 'token',
        spatial_attention: str | None = 'within_class',
        whole_image: bool = False,
        runs_over_padding: bool = False,
        sensor: str = 's2',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(in_channels, patch_size, image_size, runs_over_padding, sensor, init_cfg)
        _check_options(date_encoding, num_dates, training_days, summary, class_tokens, spatial_attention, whole_image)
        self.num_tokens = num_classes if class_tokens else 1
        self.summary, self.spatial_attention, self.pools_space = summary, spatial_attention, whole_image
        self.out_channels = (self.num_tokens * dim,)
        self.patch_embedding = nn.Linear(in_channels * patch_size**2, dim)
        self.date_embedding = _date_embedding(
            date_encoding, dim, num_days, first_day, cut_days, num_dates, training_days
        )
        self.class_token = nn.Parameter(torch.randn(1, self.num_tokens, dim))
        layers: dict[str, Any] = dict(num_heads=num_heads, head_channels=head_channels, dropout=dropout)
        hidden = round(mlp_ratio * dim)
        self.temporal_transformer = TokenTransformer(dim, temporal_depth, hidden_channels=hidden, **layers)
        if spatial_attention is not None:
            self.place_embedding = nn.Parameter(torch.randn(1, self.grid_size**2, dim))
            self.embedding_dropout = nn.Dropout(embedding_dropout)
            self.spatial_transformer = TokenTransformer(dim, spatial_depth, hidden_channels=hidden, **layers)
        if whole_image:
            self.image_token = nn.Parameter(torch.randn(1, 1, dim))

    def forward(self, inputs: Mapping[str, ImageSeries]) -> tuple[Tensor]:
        """Encode a batch of series.

        Args:
            inputs: sensor -> series, values (N, T, C, H, W), days (N, T), valid (N, T, H, W) or (N, T, 1, 1); what
                stands where not valid has no influence.

        Returns:
            One map (N, K D, H / patch_size, W / patch_size), the D channels of the first class first; or (N, K D, 1, 1)
            with `whole_image`.

        Raises:
            KeyError: if the sensor is missing.
            ValueError: if bands or size do not fit.
        """
        patches, exists, seen = self.patches_of(series := self.series_of(inputs))
        grid = (patches.shape[1], patches.shape[2])
        counted = torch.ones_like(exists) if self.runs_over_padding else exists
        # The published table of days knows padding as day 0; places are counted with it.
        marked = counted if isinstance(self.date_embedding, PlaceEmbedding) else exists
        tokens = self._sum_up_dates(patches, self.date_embedding(series.days, marked), seen)  # N h w, tokens, D
        tokens = tokens.unflatten(0, (len(patches), -1)).transpose(1, 2)  # N, tokens, h w, D
        if self.spatial_attention is not None:
            tokens = self._look_around(tokens, grid, None if seen is None else seen.any(-1).flatten(1))
        maps = tokens.transpose(2, 3).flatten(1, 2)  # N, tokens D, places
        return (maps.unflatten(2, (1, 1) if self.pools_space else grid),)

    def _sum_up_dates(self, patches: Tensor, dates: Tensor, seen: Tensor | None) -> Tensor:
        """Patches (N, h, w, T, …), vectors of dates (N, T, D) and bool (N, h, w, T) -> (N h w, tokens, D)."""
        rows = add_day_encoding(self.patch_embedding(patches.flatten(0, 2)), dates)
        tokens = torch.cat([self.class_token.expand(len(rows), -1, -1).to(rows.dtype), rows], 1)
        attended = None
        if seen is not None:
            seen_rows = seen.flatten(0, 2)
            attended = torch.cat([seen_rows.new_ones(len(rows), self.num_tokens), seen_rows], 1)
        if self.summary == 'token':
            return self.temporal_transformer(tokens, attended, self.num_tokens)
        return masked_mean(self.temporal_transformer(tokens, attended), attended)

    def _look_around(self, tokens: Tensor, grid: tuple[int, int], seen: Tensor | None) -> Tensor:
        """(N, tokens, places, D) and bool (N, places), where anything was observed -> likewise, or one place."""
        n, number, places, _ = tokens.shape
        tokens = self.embedding_dropout(tokens + self.places(self.place_embedding, grid))
        if seen is not None:
            # An image without any observation looks at all of its tokens.
            seen = seen | ~seen.any(1, keepdim=True)
        if self.spatial_attention == 'across_classes':
            attended = None if seen is None else seen.repeat(1, number)
            return self.spatial_transformer(tokens.flatten(1, 2), attended).unflatten(1, (number, places))
        rows = tokens.flatten(0, 1)
        attended = None if seen is None else seen.repeat_interleave(number, 0)
        if not self.pools_space:
            return self.spatial_transformer(rows, attended).unflatten(0, (n, number))
        rows = torch.cat([self.image_token.expand(len(rows), -1, -1).to(rows.dtype), rows], 1)
        if attended is not None:
            attended = F.pad(attended, (1, 0), value=True)
        return self.spatial_transformer(rows, attended, 1).unflatten(0, (n, number))


@MODELS.register_module()
class STViT(PatchBackbone):
    """The reverse of TSViT, which its authors compare it with: patches of one date look at each other first, then the
    dates of one patch; one token sums up the dates.

    Every place on every date has a learnt vector; the day of the year is a band of its own, constant over the image.

    Args:
        in_channels, patch_size, image_size, dim, num_heads, head_channels, mlp_ratio, dropout, summary,
            runs_over_padding, first_day, sensor, init_cfg: as for `TSViT`.
        num_dates: most dates of a series; the published network takes this number only.
        spatial_depth, temporal_depth: layers of the two transformers.

    Raises:
        ValueError: for options that contradict each other.
    """

    def __init__(
        self,
        in_channels: int,
        num_dates: int,
        patch_size: int = 2,
        image_size: int = 24,
        dim: int = 128,
        spatial_depth: int = 4,
        temporal_depth: int = 4,
        num_heads: int = 4,
        head_channels: int = 32,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
        summary: str = 'token',
        first_day: int = 1,
        runs_over_padding: bool = False,
        sensor: str = 's2',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(in_channels, patch_size, image_size, runs_over_padding, sensor, init_cfg)
        if summary not in SUMMARIES:
            raise ValueError(f'summary={summary!r}: expected one of {SUMMARIES}')
        self.summary, self.first_day = summary, first_day
        self.out_channels = (dim,)
        self.patch_embedding = nn.Linear((in_channels + 1) * patch_size**2, dim)
        self.place_embedding = nn.Parameter(torch.randn(1, num_dates, self.grid_size**2, dim))
        self.time_token = nn.Parameter(torch.randn(1, 1, dim))
        layers: dict[str, Any] = dict(num_heads=num_heads, head_channels=head_channels, dropout=dropout)
        hidden = round(mlp_ratio * dim)
        self.spatial_transformer = TokenTransformer(dim, spatial_depth, hidden_channels=hidden, **layers)
        self.temporal_transformer = TokenTransformer(dim, temporal_depth, hidden_channels=hidden, **layers)

    def forward(self, inputs: Mapping[str, ImageSeries]) -> tuple[Tensor]:
        """As `TSViT.forward`; the map has D channels.

        Raises:
            KeyError: if the sensor is missing.
            ValueError: if bands, size or number of dates do not fit.
        """
        series = self.series_of(inputs)
        exists = dates_exist(series.valid)
        day = (day_of_year(series.days, self.first_day) / 365.0001).masked_fill(~exists, 0.0)
        n, t, _, height, width = series.values.shape
        day_band = day.to(series.values.dtype)[:, :, None, None, None].expand(n, t, 1, height, width)
        values = torch.cat([series.values, day_band], 2)
        patches, _, seen = self.patches_of(series._replace(values=values))
        n, h, w, t = patches.shape[:4]
        tokens = self.patch_embedding(patches).permute(0, 3, 1, 2, 4).flatten(2, 3)  # N, T, places, D
        tokens = tokens + self._places_on_dates(exists, (h, w))
        attended = None if seen is None else seen.flatten(1, 2).transpose(1, 2).flatten(0, 1)  # N T, places
        if attended is not None:
            attended = attended | ~attended.any(1, keepdim=True)
        tokens = self.spatial_transformer(tokens.flatten(0, 1), attended).unflatten(0, (n, t))
        rows = tokens.transpose(1, 2).flatten(0, 1)  # N places, T, D
        rows = torch.cat([self.time_token.expand(len(rows), -1, -1).to(rows.dtype), rows], 1)
        attended = None if seen is None else F.pad(seen.flatten(0, 2), (1, 0), value=True)
        if self.summary == 'token':
            summed = self.temporal_transformer(rows, attended, 1)
        else:
            summed = masked_mean(self.temporal_transformer(rows, attended), attended)
        return (summed.squeeze(1).unflatten(0, (n, h, w)).permute(0, 3, 1, 2),)

    def _places_on_dates(self, exists: Tensor, grid: tuple[int, int]) -> Tensor:
        """The vectors (N, T, places, D) of the first, second … date of each series."""
        counted = torch.ones_like(exists) if self.runs_over_padding else exists
        number = (counted.cumsum(1) - 1).clamp(min=0)
        most = self.place_embedding.shape[1]
        if number.numel() and int(number.max()) >= most:
            raise ValueError(
                f'STViT was built for {most} dates at most, a series has {int(number.max()) + 1}: let SampleDates '
                'choose some'
            )
        return self.places(self.place_embedding, grid)[0][number]


def masked_mean(tokens: Tensor, counted: Tensor | None) -> Tensor:
    """The mean (N, 1, D) of the tokens (N, T, D) that count, bool (N, T), or of all."""
    if counted is None:
        return tokens.mean(1, keepdim=True)
    weight = counted.unsqueeze(-1).to(tokens.dtype)
    return (tokens * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)


def _check_options(
    date_encoding: str,
    num_dates: int | None,
    training_days: Sequence[int] | None,
    summary: str,
    class_tokens: bool,
    spatial_attention: str | None,
    whole_image: bool,
) -> None:
    if date_encoding not in DATE_ENCODINGS:
        raise ValueError(f'date_encoding={date_encoding!r}: expected one of {DATE_ENCODINGS}')
    if (date_encoding == 'place') != (num_dates is not None):
        raise ValueError("num_dates belongs to date_encoding='place', which needs it")
    if (date_encoding == 'training_days') != (training_days is not None):
        raise ValueError("training_days belong to date_encoding='training_days', which needs them")
    if summary not in SUMMARIES:
        raise ValueError(f'summary={summary!r}: expected one of {SUMMARIES}')
    if summary == 'mean' and class_tokens:
        raise ValueError("summary='mean' takes the place of one token: set class_tokens=False")
    if spatial_attention not in SPATIAL_ATTENTIONS:
        raise ValueError(f'spatial_attention={spatial_attention!r}: expected one of {SPATIAL_ATTENTIONS}')
    if whole_image and spatial_attention != 'within_class':
        raise ValueError("whole_image needs spatial_attention='within_class', where its token looks at the patches")


def _date_embedding(
    date_encoding: str,
    dim: int,
    num_days: int,
    first_day: int,
    cut_days: bool,
    num_dates: int | None,
    training_days: Sequence[int] | None,
) -> nn.Module:
    if num_dates is not None:
        return PlaceEmbedding(dim, num_dates)
    if training_days is not None:
        return TrainingDaysEmbedding(dim, training_days, first_day, cut_days)
    return DayOfYearEmbedding(dim, num_days, first_day, cut_days)
