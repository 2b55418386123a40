"""L-TAE per row: equal to the paper's order of operations, blind to invalid dates."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmsits.models import LTAE
from mmsits.models.temporal_encoders import TemporalEncoder

OPTIONS = dict(in_channels=16, n_head=4, d_k=3, d_model=24, mlp=(24, 12), dropout=0.0)


def build(**options) -> LTAE:
    torch.manual_seed(0)
    encoder = LTAE(**{**OPTIONS, **options})
    for name, parameter in encoder.named_parameters():
        if 'norm' in name or name.endswith('bias'):
            torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return encoder.eval()


def make_rows(n: int = 6, t: int = 7, c: int = 16) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(0)
    x = torch.from_numpy(rng.normal(size=(n, t, c)).astype(np.float32))
    days = torch.from_numpy(rng.integers(-50, 400, (n, t)).astype(np.float32))
    return x, days, torch.from_numpy(rng.random((n, t)) < 0.8)


def in_the_papers_order(encoder: LTAE, x: Tensor, days: Tensor) -> tuple[Tensor, Tensor]:
    """Every step of the paper, all dates valid, nothing folded."""
    h = encoder.num_heads
    x = F.group_norm(x.transpose(1, 2), h, encoder.in_norm.weight, encoder.in_norm.bias)
    x = encoder.in_proj(x).transpose(1, 2) + encoder.day_encoding(days).tile(h)
    keys = encoder.attention.key(x).unflatten(-1, (h, -1))
    scores = torch.einsum('nthk,hk->nht', keys, encoder.attention.query) / encoder.attention.key_dim**0.5
    attention = scores.softmax(-1)
    summed = torch.einsum('nht,nthc->nhc', attention, x.unflatten(-1, (h, -1))).flatten(1)
    return encoder.out_norm(encoder.mlp(summed)), attention


def test_folding_gives_the_papers_numbers() -> None:
    encoder = build().double()
    x, days, valid = make_rows()
    features, attention = encoder.forward_with_attention(x.double(), days.double(), torch.ones_like(valid))
    expected, expected_attention = in_the_papers_order(encoder, x.double(), days.double())
    torch.testing.assert_close(features, expected)
    torch.testing.assert_close(attention, expected_attention)


@pytest.mark.parametrize('options', [{}, dict(positional_encoding=False), dict(d_model=None, mlp=(16, 20, 8))])
def test_invalid_dates_change_nothing(options: dict) -> None:
    encoder = build(**options)
    x, days, valid = make_rows()
    expected, attention = encoder.forward_with_attention(x, days, valid)
    x = torch.where(valid.unsqueeze(-1), x, torch.tensor(float('nan')))
    x = torch.cat([x, torch.full((6, 9, 16), 1e9)], 1)
    days, valid = F.pad(days, (0, 9), value=99), F.pad(valid, (0, 9))
    features, longer = encoder.forward_with_attention(x, days, valid)
    assert (features - expected).abs().max() <= 1e-5 * expected.abs().max()
    torch.testing.assert_close(longer[..., :7], attention, rtol=1e-5, atol=1e-7)
    assert not longer[..., 7:].any()


def test_without_padding_the_published_norm_is_the_same() -> None:
    x, days, valid = make_rows()
    everything = torch.ones_like(valid)
    ours, published = build()(x, days, everything), build(norm_over_padding=True)(x, days, everything)
    torch.testing.assert_close(ours, published)
    assert (build(norm_over_padding=True)(x, days, valid) - build()(x, days, valid)).abs().max() > 1e-3


def test_a_row_without_any_valid_date_is_finite_in_value_and_gradient() -> None:
    encoder = build()
    x, days, valid = make_rows()
    valid[2] = False
    x.requires_grad_()
    features, attention = encoder.forward_with_attention(x, days, valid)
    assert torch.isfinite(features).all()
    assert not attention[2].any()
    features.square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert all(torch.isfinite(p.grad).all() for p in encoder.parameters())


def test_rows_may_share_their_dates() -> None:
    encoder = build()
    x, days, valid = make_rows()
    shared = encoder(x, days[:2], valid)
    torch.testing.assert_close(shared, encoder(x, days[:2].repeat_interleave(3, 0), valid))


@pytest.mark.parametrize('validity', ['dates', 'pixels'])
def test_maps_are_encoded_pixel_by_pixel(validity: str) -> None:
    encoder = build()
    rng = np.random.default_rng(1)
    x = torch.from_numpy(rng.normal(size=(2, 5, 16, 3, 4)).astype(np.float32))
    days = torch.from_numpy(rng.integers(0, 300, (2, 5)))
    valid = torch.from_numpy(rng.random((2, 5, 3, 4) if validity == 'pixels' else (2, 5)) < 0.7)
    maps, attention = encoder.encode_maps_with_attention(x, days, valid)
    assert maps.shape == (2, 12, 3, 4)
    assert attention.shape == (2, 4, 5, 3, 4)
    here = valid[1:, :, 2, 1] if validity == 'pixels' else valid[1:]
    pixel, pixel_attention = encoder.forward_with_attention(x[1:, :, :, 2, 1], days[1:], here)
    torch.testing.assert_close(maps[1:, :, 2, 1], pixel, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(attention[1:, :, :, 2, 1], pixel_attention, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(encoder.encode_maps(x, days, valid), maps)


def test_training_drops_attention() -> None:
    encoder = build(attention_dropout=0.5).train()
    x, days, valid = make_rows()
    attention = encoder.forward_with_attention(x, days, torch.ones_like(valid))[1]
    assert 0.2 < (attention == 0).float().mean() < 0.8


@pytest.mark.parametrize(
    ('options', 'sentence'),
    [
        (dict(mlp=(16, 12)), 'the first 24'),
        (dict(mlp=(24,)), 'at least two widths'),
        (dict(n_head=5), '5 heads do not divide in_channels'),
        (dict(mlp=(24, 10)), 'last width of mlp = 10'),
    ],
)
def test_refuses_widths_that_cannot_work(options: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        LTAE(**{**OPTIONS, **options})


def test_an_encoder_without_attention_says_so() -> None:
    class Mean(TemporalEncoder):
        def forward(self, x: Tensor, days: Tensor, valid: Tensor) -> Tensor:
            return x.mean(1)

    with pytest.raises(NotImplementedError, match='Mean has no attention'):
        Mean(2, 2).forward_with_attention(torch.zeros(1, 1, 2), torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool))
