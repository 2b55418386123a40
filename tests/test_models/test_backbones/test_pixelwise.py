"""Temporal encoders as backbones: patches, pixel sets and single pixels; blind to whatever is not valid."""

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from torch import Tensor

from mmsits.models import PixelwiseBackbone
from mmsits.structures import ImageSeries

ENCODER = dict(type='mmseg.LTAE', in_channels=8, n_head=4, d_k=2, d_model=16, mlp=(16, 12))


def build(in_channels: int = 3) -> PixelwiseBackbone:
    torch.manual_seed(0)
    return PixelwiseBackbone(in_channels, ENCODER).eval()


def make_series(n: int = 2, t: int = 5, size: tuple[int, int] = (4, 3), bands: int = 3) -> ImageSeries:
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.normal(size=(n, t, bands, *size)).astype(np.float32))
    days = torch.from_numpy(np.sort(rng.integers(-30, 360, (n, t)), axis=1).astype(np.int32))
    return ImageSeries(
        values, days, torch.from_numpy(rng.random((n, t, *size)) < 0.7) | (torch.arange(t) == 0)[:, None, None]
    )


@torch.no_grad()
def run(backbone: PixelwiseBackbone, series: ImageSeries) -> Tensor:
    return backbone({'s2': series})[0]


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@pytest.mark.parametrize('size', [(4, 3), (6, 1), (1, 1)])
def test_each_pixel_is_encoded_by_itself(size: tuple[int, int]) -> None:
    backbone, series = build(), make_series(size=size)
    maps = run(backbone, series)
    assert maps.shape == (2, 12, *size)
    alone = ImageSeries(series.values[1:, ..., -1:, -1:], series.days[1:], series.valid[1:, :, -1:, -1:])
    assert_same(run(backbone, alone), maps[1:, :, -1:, -1:])


def test_invalid_dates_and_values_change_nothing() -> None:
    backbone, series = build(), make_series()
    garbage = torch.where(series.valid.unsqueeze(2), series.values, torch.tensor(float('nan')))
    longer = ImageSeries(
        torch.cat([garbage, torch.full_like(garbage, 1e6)], 1),
        torch.cat([series.days, series.days + 7], 1),
        torch.cat([series.valid, torch.zeros_like(series.valid)], 1),
    )
    assert_same(run(backbone, longer), run(backbone, series))


def test_unobserved_pixels_are_zero_and_leave_no_trace_in_training() -> None:
    series = make_series()
    series.values[~series.valid.unsqueeze(2).expand_as(series.values)] = float('nan')
    series.valid[1, :, 2] = False
    blind, plain = build().train(), build().train()
    torch.manual_seed(0)
    maps = blind({'s2': series})[0]
    assert not maps[1, :, 2].any()
    maps.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in blind.parameters())
    padded = ImageSeries(
        torch.nn.functional.pad(series.values, (0, 5)), series.days, torch.nn.functional.pad(series.valid, (0, 5))
    )
    torch.manual_seed(0)
    plain({'s2': padded})
    torch.testing.assert_close(blind.encoder.mlp[1].running_var, plain.encoder.mlp[1].running_var)


def test_a_batch_that_was_never_observed_is_zero() -> None:
    series = make_series()
    series.valid[:] = False
    assert not run(build(), series).any()


def test_bands_that_the_encoder_takes_need_no_layer_before_it() -> None:
    assert not list(build(in_channels=8).embed.parameters())


def test_names_what_is_wrong_with_the_input() -> None:
    with pytest.raises(KeyError, match='s1a'):
        build()({'s1a': make_series()})
    with pytest.raises(ValueError, match='3 bands'):
        build()({'s2': make_series(bands=4)})


@pytest.mark.parametrize('size', [(4, 3), (6, 1), (1, 1)])
def test_trains_and_predicts_in_the_segmentor(size: tuple[int, int]) -> None:
    model = MODELS.build(
        dict(
            type='TemporalEncoderDecoder',
            backbone=dict(type='PixelwiseBackbone', in_channels=3, encoder=ENCODER),
            decode_head=dict(
                type='FCNHead',
                in_channels=12,
                channels=12,
                num_convs=0,
                concat_input=False,
                num_classes=3,
                loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True),
            ),
        )
    )
    inputs, targets = {'s2': make_series(size=size)}, torch.ones(2, 1, *size, dtype=torch.int64)
    assert model(inputs, targets, mode='loss')['decode.loss_ce'].isfinite()
    assert model.eval()(inputs, targets, mode='predict')[0]['prediction'].shape == (2, *size)
