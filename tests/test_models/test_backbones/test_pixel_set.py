"""Parcels: what padding, batching and the order of pixels may and may not change."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.models import PixelSetBackbone
from mmsits.models.backbones.pixel_set import pool_pixels
from mmsits.structures import ImageSeries

ENCODERS = {
    'ltae': dict(type='TimeMatchLTAE', in_channels=12, n_head=4, d_k=3, d_model=16, mlp=(16, 10)),
    'tae': dict(type='TAE', in_channels=12, n_head=2, d_k=3, mlp=(24, 10)),
    'gru': dict(type='SeriesGRU', in_channels=12, hidden_channels=10),
    'tempcnn': dict(type='TempCNN', in_channels=12, conv_channels=(6, 8), mlp=(9, 10), length=6),
    'published ltae': dict(type='LTAE', in_channels=12, n_head=2, d_k=3, d_model=16, mlp=(16, 10)),
}
every_encoder = pytest.mark.parametrize('encoder', ENCODERS)


def build(encoder: str = 'ltae', **options) -> PixelSetBackbone:
    torch.manual_seed(0)
    backbone = PixelSetBackbone(3, ENCODERS[encoder], mlp1=(6, 8), mlp2=(12,), **options)
    generator = torch.Generator().manual_seed(1)
    for name, buffer in backbone.named_buffers():
        if name.endswith('running_mean'):
            buffer.normal_(0, 0.1, generator=generator)
        elif name.endswith('running_var'):
            buffer.uniform_(0.8, 1.2, generator=generator)
    for module in backbone.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return backbone.eval()


def make_parcels(n: int = 4, t: int = 5, s: int = 7, seed: int = 0) -> ImageSeries:
    """Parcels of 1, 2, … pixels (at most s), every third date of the second one missing."""
    rng = np.random.default_rng(seed)
    values = torch.from_numpy(rng.normal(size=(n, t, 3, s, 1)).astype(np.float32))
    days = torch.from_numpy(np.sort(rng.integers(-30, 360, (n, t)), axis=1).astype(np.int32))
    valid = torch.zeros(n, t, s, 1, dtype=torch.bool)
    for row in range(n):
        valid[row, :, : min(row + 1, s)] = True
    if n > 1:
        valid[1, 1::3] = False
    return ImageSeries(values, days, valid)


def pad(series: ImageSeries, pixels: int = 0, dates: int = 0, garbage: float = float('nan')) -> ImageSeries:
    return ImageSeries(
        F.pad(series.values, (0, 0, 0, pixels, 0, 0, 0, dates), value=garbage),
        F.pad(series.days, (0, dates), value=77),
        F.pad(series.valid, (0, 0, 0, pixels, 0, dates)),
    )


def spoil(series: ImageSeries) -> ImageSeries:
    return series._replace(values=series.values.masked_fill(~series.valid.unsqueeze(2), float('nan')))


@torch.no_grad()
def run(backbone: PixelSetBackbone, series: ImageSeries) -> Tensor:
    (features,) = backbone({'s2': series})
    return features


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    assert ours.isfinite().all()
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@every_encoder
def test_padding_changes_nothing(encoder: str) -> None:
    backbone, series = build(encoder), make_parcels()
    plain = run(backbone, series)
    assert plain.shape == (4, 10, 1, 1)
    assert_same(run(backbone, spoil(series)), plain)
    assert_same(run(backbone, pad(series, pixels=9)), plain)
    assert_same(run(backbone, pad(series, dates=6)), plain)
    assert_same(run(backbone, pad(series, 4, 3, garbage=1e9)), plain)


@every_encoder
def test_batching_changes_nothing(encoder: str) -> None:
    backbone, series = build(encoder), make_parcels()
    together = run(backbone, series)
    for row in range(4):
        pixels, dates = series.valid[row].any(0).flatten(), series.valid[row].flatten(1).any(1)
        alone = ImageSeries(
            series.values[row : row + 1, dates][:, :, :, pixels],
            series.days[row : row + 1, dates],
            series.valid[row : row + 1, dates][:, :, pixels],
        )
        assert alone.valid.all()
        assert_same(run(backbone, alone), together[row : row + 1])


@pytest.mark.parametrize('pooling', [('mean', 'std'), ('min', 'max', 'mean')])
def test_the_order_of_pixels_does_not_matter(pooling: tuple[str, ...]) -> None:
    backbone, series = build(pooling=pooling), make_parcels()
    order = torch.randperm(7, generator=torch.Generator().manual_seed(2))
    shuffled = ImageSeries(series.values[:, :, :, order], series.days, series.valid[:, :, order])
    assert_same(run(backbone, shuffled), run(backbone, series))
    assert_same(run(backbone, pad(series, pixels=3)), run(backbone, series))


@every_encoder
def test_training_does_not_see_padding_either(encoder: str) -> None:
    plain, padded = build(encoder).train(), build(encoder).train()
    series = make_parcels()
    ours = plain({'s2': spoil(series)})[0]
    theirs = padded({'s2': pad(series, 5, 4)})[0]
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    for output in (ours, theirs):
        output.square().sum().backward()
    state = padded.state_dict()
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(value, state[name], rtol=1e-4, atol=1e-5, msg=name)
    for ours_p, theirs_p in zip(plain.parameters(), padded.parameters(), strict=True):
        assert ours_p.grad is not None
        assert ours_p.grad.isfinite().all()
        torch.testing.assert_close(ours_p.grad, theirs_p.grad, rtol=1e-3, atol=1e-4)


def test_published_padding_acts_in_training_only() -> None:
    series = make_parcels()
    published, ours = build(padded_pixels='copies_in_norms'), build()
    assert_same(run(published, spoil(series)), run(ours, series))
    trained = published.train()({'s2': spoil(series)})[0]
    assert trained.isfinite().all()
    assert (trained - ours.train()({'s2': series})[0]).abs().max() > 1e-3
    # The same copies, made by hand, where the values of padded pixels are taken as they are.
    copies = torch.where(series.valid.unsqueeze(2), series.values, series.values[:, :, :, :1])
    by_hand = build(padded_pixels='values_in_norms').train()
    torch.testing.assert_close(by_hand({'s2': series._replace(values=copies)})[0], trained)


def test_days_matter_to_the_second_half_only() -> None:
    backbone, series = build(), make_parcels()
    with torch.no_grad():
        features, days, valid = backbone.encode_pixels({'s2': series})
        later, later_days, _ = backbone.encode_pixels({'s2': series._replace(days=series.days + 30)})
        shifted = backbone.encode_dates(features, days + 30, valid)
    assert torch.equal(features, later)
    assert torch.equal(later_days, days + 30)
    assert torch.equal(shifted[..., None, None], run(backbone, series._replace(days=series.days + 30)))
    assert (shifted[..., None, None] - run(backbone, series)).abs().max() > 1e-3
    # Far outside the published table of 565 days.
    assert run(backbone, series._replace(days=series.days + 5000)).isfinite().all()


def test_geometry_stands_beside_every_date() -> None:
    backbone, series = build(geometry_channels=4), make_parcels()
    geometry = ImageSeries(
        torch.rand(4, 1, 4, 1, 1), torch.zeros(4, 1, dtype=torch.int32), torch.ones(4, 1, 1, 1, dtype=torch.bool)
    )
    with torch.no_grad():
        (features,) = backbone({'s2': series, 'geometry': geometry})
        (padded,) = backbone({'s2': pad(series, 3, 3), 'geometry': geometry})
        (other,) = backbone({'s2': series, 'geometry': geometry._replace(values=geometry.values + 0.5)})
    assert_same(padded, features)
    assert (other - features).abs().amax((1, 2, 3)).min() > 1e-4
    with pytest.raises(KeyError, match='geometry_channels=4'):
        backbone({'s2': series})
    with pytest.raises(ValueError, match='one date of 4 features'):
        backbone({'s2': series, 'geometry': geometry._replace(values=torch.zeros(4, 1, 3, 1, 1))})


def test_statistics_are_those_of_numpy() -> None:
    rng = np.random.default_rng(0)
    features = torch.from_numpy(rng.normal(5, 1, (3, 6, 2)).astype(np.float32))
    members = torch.tensor([[1, 1, 1, 1, 0, 1], [0, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0]], dtype=torch.bool)
    pooled = pool_pixels(features * members.unsqueeze(-1), members, ('mean', 'std', 'min', 'max'))
    for row, mask in enumerate(members.numpy()):
        pixels = features[row].numpy()[mask]
        spread = pixels.std(0, ddof=1) if len(pixels) > 1 else np.zeros(2)
        for ours, theirs in zip(pooled, (pixels.mean(0), spread, pixels.min(0), pixels.max(0)), strict=True):
            np.testing.assert_allclose(ours[row].numpy(), theirs, rtol=1e-5, atol=1e-6)
    everything = torch.ones_like(members)
    for ours, theirs in zip(
        pool_pixels(features, everything, ('mean', 'std')), pool_pixels(features, None, ('mean', 'std')), strict=True
    ):
        torch.testing.assert_close(ours, theirs)


def test_equal_pixels_have_finite_gradients() -> None:
    backbone = build().train()
    values = torch.ones(4, 5, 3, 7, 1, requires_grad=True)
    backbone({'s2': make_parcels()._replace(values=values)})[0].square().sum().backward()
    assert values.grad is not None
    assert values.grad.isfinite().all()


def test_a_parcel_never_observed_is_finite() -> None:
    series = make_parcels()
    series.valid[2] = False
    for encoder in ENCODERS:
        assert run(build(encoder), series).isfinite().all()


def test_patches_are_sets_of_pixels_too() -> None:
    backbone, series = build(), make_parcels(s=6)
    values = series.values.reshape(4, 5, 3, 2, 3)
    square = ImageSeries(values, series.days, series.valid.reshape(4, 5, 2, 3))
    assert_same(run(backbone, square), run(backbone, series))
    whole_dates = ImageSeries(values, series.days, series.valid[:, :, :1])
    assert_same(
        run(backbone, whole_dates), run(backbone, square._replace(valid=whole_dates.valid.expand(-1, -1, 2, 3)))
    )


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        (dict(mlp2=(13,)), 'takes 12 channels, but mlp2 ends with 13'),
        (dict(mlp1=()), 'one width at least'),
        (dict(pooling=('median',)), 'pooling'),
        (dict(pooling='mean'), 'pooling'),
        (dict(padded_pixels='zeros'), 'padded_pixels'),
    ],
)
def test_refuses_options_that_cannot_work(options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        PixelSetBackbone(3, **{**dict(encoder=ENCODERS['ltae'], mlp1=(6, 8), mlp2=(12,)), **options})


def test_names_what_is_wrong_with_the_input() -> None:
    with pytest.raises(KeyError, match='s1a'):
        build()({'s1a': make_parcels()})
    series = make_parcels()
    with pytest.raises(ValueError, match='3 bands'):
        build()({'s2': series._replace(values=series.values[:, :, :2])})


@every_encoder
def test_trains_and_predicts_in_the_segmentor(encoder: str) -> None:
    model = MODELS.build(
        dict(
            type='TemporalEncoderDecoder',
            backbone=dict(type='PixelSetBackbone', in_channels=3, encoder=ENCODERS[encoder], mlp1=(6,), mlp2=(12,)),
            decode_head=dict(
                type='MLPHead',
                in_channels=10,
                hidden_channels=(8,),
                num_classes=3,
                loss_decode=dict(type='SoftmaxFocalLoss'),
            ),
        )
    )
    targets = torch.tensor([0, 1, 255, 2]).reshape(4, 1, 1, 1)
    losses = model({'s2': make_parcels()}, targets, mode='loss')
    losses['decode.loss_focal'].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    predicted = model.eval()({'s2': make_parcels()}, targets, mode='predict')[0]
    assert predicted['prediction'].shape == predicted['observed'].shape == (4, 1, 1)


@every_encoder
def test_half_precision_stays_finite(encoder: str) -> None:
    backbone = build(encoder).train()
    with torch.autocast('cpu', torch.bfloat16):
        (features,) = backbone({'s2': make_parcels()})
    features.float().square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in backbone.parameters())
