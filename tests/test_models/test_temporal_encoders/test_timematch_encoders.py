"""The temporal encoders per row, those of TimeMatch first: blind to invalid dates, also pixel by pixel on patches."""

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.models import TAE, PixelwiseBackbone, SeriesGRU, TempCNN, TemporalEncoder, TimeMatchLTAE
from mmsits.models.layers.day_encoding import add_day_encoding
from mmsits.structures import ImageSeries

CONFIGS = {
    'ltae': dict(type='TimeMatchLTAE', in_channels=8, n_head=4, d_k=3, d_model=16, mlp=(16, 10)),
    'ltae without projection': dict(type='TimeMatchLTAE', in_channels=8, n_head=4, d_k=3, d_model=None, mlp=(8, 10)),
    'tae': dict(type='TAE', in_channels=8, n_head=2, d_k=3, mlp=(16, 10)),
    'tae with projection': dict(type='TAE', in_channels=8, n_head=2, d_k=3, d_model=6, mlp=(12, 10)),
    'gru': dict(type='SeriesGRU', in_channels=8, hidden_channels=10),
    'gru of two layers': dict(type='SeriesGRU', in_channels=8, hidden_channels=10, num_layers=2),
    'lstm': dict(type='SeriesLSTM', in_channels=8, hidden_channels=5),
    'lstm of one layer': dict(type='SeriesLSTM', in_channels=8, hidden_channels=5, num_layers=1),
    'transformer': dict(
        type='SeriesTransformer', in_channels=8, d_model=10, n_head=2, num_layers=2, hidden_channels=12
    ),
    'mlp': dict(type='SeriesMLP', in_channels=8, hidden_channels=(9, 10), days=(-40, 380), length=11),
    'two mlps': dict(type='SeriesMLP', in_channels=8, hidden_channels=(9, 5), days=(-40, 380), length=11, members=2),
    'ensemble': dict(
        type='EncoderEnsemble',
        in_channels=8,
        members=dict(
            mlp=dict(type='SeriesMLP', hidden_channels=(3,)), narrow=dict(type='SeriesMLP', hidden_channels=(2,))
        ),
        copies=2,
        shared=dict(days=(-40, 380), length=11),
    ),
    'tempcnn': dict(type='TempCNN', in_channels=8, conv_channels=(6, 4), mlp=(9, 10), length=5),
    'tempcnn of regular days': dict(
        type='TempCNN', in_channels=8, conv_channels=(6, 4), mlp=(9, 10), length=5, days=(-40, 380)
    ),
    'tempcnn without days': dict(type='TempCNN', in_channels=8, mlp=(10,), length=5, positional_encoding=False),
}
every_encoder = pytest.mark.parametrize('name', CONFIGS)


def build(name: str) -> TemporalEncoder:
    torch.manual_seed(0)
    encoder = MODELS.build(CONFIGS[name])
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return encoder.eval()


def make_rows(n: int = 6, t: int = 7, c: int = 8) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(n, t, c)).astype(np.float32))
    days = torch.from_numpy(np.sort(rng.integers(-50, 400, (n, t)), axis=1).astype(np.int32))
    return x, days, torch.from_numpy(rng.random((n, t)) < 0.7) | (torch.arange(t) == 2)


def assert_same(ours: Tensor, theirs: Tensor) -> None:
    assert ours.isfinite().all()
    assert (ours - theirs).abs().max() <= 1e-5 * theirs.abs().max()


@every_encoder
@torch.no_grad()
def test_invalid_dates_change_nothing(name: str) -> None:
    encoder, (x, days, valid) = build(name), make_rows()
    expected = encoder(x, days, valid)
    assert expected.shape == (6, encoder.out_channels) == (6, 10)
    spoilt = x.masked_fill(~valid.unsqueeze(-1), float('nan'))
    # Invalid dates may stand anywhere, not only at the end.
    longer = torch.cat([torch.full((6, 2, 8), 1e9), spoilt, torch.full((6, 3, 8), float('nan'))], 1)
    longer_days = torch.cat([days[:, :2], days, days[:, :3]], 1)
    longer_valid = torch.cat([torch.zeros(6, 2).bool(), valid, torch.zeros(6, 3).bool()], 1)
    assert_same(encoder(longer, longer_days, longer_valid), expected)
    for row in range(6):
        alone = valid[row]
        assert_same(
            encoder(x[row : row + 1, alone], days[row : row + 1, alone], valid[row : row + 1, alone]),
            expected[row : row + 1],
        )


@every_encoder
def test_statistics_of_training_do_not_see_invalid_dates(name: str) -> None:
    x, days, valid = make_rows()
    once, again = build(name).train(), build(name).train()
    ours = once(x.masked_fill(~valid.unsqueeze(-1), float('nan')), days, valid)
    padding = torch.zeros(6, 4).bool()
    theirs = again(
        torch.cat([x, torch.full((6, 4, 8), 1e6)], 1), torch.cat([days, days[:, :4]], 1), torch.cat([valid, padding], 1)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    state = again.state_dict()
    for key, value in once.state_dict().items():
        torch.testing.assert_close(value, state[key], rtol=1e-4, atol=1e-5)
    ours.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in once.parameters())


@every_encoder
def test_a_row_without_any_valid_date_is_finite_in_value_and_gradient(name: str) -> None:
    encoder, (x, days, valid) = build(name), make_rows()
    valid[2] = False
    x = x.masked_fill(~valid.unsqueeze(-1), float('nan')).requires_grad_()
    features = encoder(x, days, valid)
    assert features.isfinite().all()
    features.square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())


@every_encoder
@torch.no_grad()
def test_rows_may_share_their_dates(name: str) -> None:
    encoder, (x, days, valid) = build(name), make_rows()
    for mask in (valid, torch.ones_like(valid)):
        shared = encoder(x, days[:2], mask)
        torch.testing.assert_close(shared, encoder(x, days[:2].repeat_interleave(3, 0), mask))


@every_encoder
@torch.no_grad()
def test_dates_matter_unless_left_out(name: str) -> None:
    encoder, (x, days, valid) = build(name), make_rows()
    difference = (encoder(x, days + 40, valid) - encoder(x, days, valid)).abs().max()
    assert (difference == 0) if name == 'tempcnn without days' else (difference > 1e-4)


@pytest.mark.parametrize('name', ['ltae', 'tae'])
@torch.no_grad()
def test_attention_is_a_share_of_valid_dates(name: str) -> None:
    encoder, (x, days, valid) = build(name), make_rows()
    features, attention = encoder.forward_with_attention(x, days, valid)
    assert torch.equal(features, encoder(x, days, valid))
    assert attention.shape == (6, encoder.num_heads, 7)
    torch.testing.assert_close(attention.sum(-1), torch.ones(6, encoder.num_heads))
    assert not attention.masked_select(~valid.unsqueeze(1)).any()


@every_encoder
@torch.no_grad()
def test_is_a_backbone_for_patches_too(name: str) -> None:
    torch.manual_seed(0)
    backbone = PixelwiseBackbone(3, CONFIGS[name]).eval()
    rng = np.random.default_rng(1)
    values = torch.from_numpy(rng.normal(size=(2, 6, 3, 4, 3)).astype(np.float32))
    days = torch.arange(0, 240, 40).repeat(2, 1).int()
    for valid in (torch.ones(2, 6, 1, 1).bool(), torch.from_numpy(rng.random((2, 6, 4, 3)) < 0.7)):
        (maps,) = backbone({'s2': ImageSeries(values, days, valid)})
        assert maps.shape == (2, 10, 4, 3)
        pixel = ImageSeries(values[1:, ..., 2:3, 1:2], days[1:], valid.expand(2, 6, 4, 3)[1:, :, 2:3, 1:2])
        torch.testing.assert_close(backbone({'s2': pixel})[0], maps[1:, :, 2:3, 1:2], rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_backward_direction_starts_at_the_last_valid_date() -> None:
    encoder, (x, days, _) = build('lstm of one layer'), make_rows(2)
    valid = torch.ones(2, 7).bool()
    valid[1, 5:] = False
    backwards = encoder.lstm(add_day_encoding(x, encoder.day_encoding(days))[1:, :5])[0][0, 0, 5:]
    assert_same(encoder(x, days, valid)[1, 5:], backwards)


def test_a_single_row_of_a_long_series_stops_the_gru_at_its_last_valid_date() -> None:
    encoder = SeriesGRU(4, 5).eval()
    x, days = torch.randn(1, 9, 4), torch.arange(9)[None]
    valid = (torch.arange(9) < 4)[None]
    with torch.no_grad():
        assert_same(encoder(x, days, valid), encoder(x[:, :4], days[:, :4], valid[:, :4]))


def test_has_the_published_sizes() -> None:
    sizes = [sum(p.numel() for p in encoder().parameters()) for encoder in (TimeMatchLTAE, TAE, SeriesGRU, TempCNN)]
    mlp1, mlp2, head = 10 * 32 + 64 + 32 * 64 + 128, 128 * 128 + 256, 128 * 64 + 128 + 64 * 32 + 64 + 32 * 6 + 6
    published = [129_158, 162_822, 128_902, 189_894 + 128 * 128 * (24 - 7)]
    assert [size + mlp1 + mlp2 + head for size in sizes] == published


@pytest.mark.parametrize(
    ('config', 'sentence'),
    [
        (dict(type='TimeMatchLTAE', mlp=(128, 64)), 'the first 256'),
        (dict(type='TimeMatchLTAE', n_head=7), '7 heads do not divide 256'),
        (dict(type='TAE', mlp=(128, 64)), '= 512'),
        (dict(type='TempCNN', kernel_size=4), 'odd kernel_size'),
        (dict(type='TempCNN', length=0), 'at least one date'),
        (dict(type='SeriesGRU', in_channels=7), 'even length'),
        (dict(type='SeriesLSTM', in_channels=7), 'even length'),
        (dict(type='SeriesMLP', hidden_channels=()), 'at least one width and one member'),
        (dict(type='SeriesMLP', days=(10, 0)), 'one day at least from 10 to 0'),
        (dict(type='EncoderEnsemble', in_channels=2, members={}), 'one member at least'),
        (dict(type='SeriesTransformer', d_model=9), '4 heads do not divide 9'),
    ],
)
def test_refuses_options_that_cannot_work(config: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        MODELS.build(config)
