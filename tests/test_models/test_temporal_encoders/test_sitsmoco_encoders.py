"""What is particular to the networks of SITS-MoCo; the properties that all encoders have are tested beside."""

import pytest
import torch
from torch import nn

from mmsits.models import PostNormTransformer, SeriesLSTM, SITSMoCoLTAE, STNet, TempCNN
from mmsits.models.layers import KaimingNormalInit

SMALL = dict(in_channels=10, embed_channels=(6,), d_model=8, n_head=2, hidden_channels=7)
STATISTICS = dict(mean=[3000.0] * 10, std=[1000.0] * 10)


def rows(n: int = 4, t: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    valid = torch.rand(n, t) < 0.7
    valid[:, 0] = True
    return torch.randn(n, t, 10), torch.arange(0, 30 * t, 30).repeat(n, 1), valid


def test_stnet_with_equal_weights_is_the_transformer() -> None:
    torch.manual_seed(0)
    transformer = PostNormTransformer(**SMALL).eval()
    # Values that make every date cloudy: all weigh the same.
    stnet = STNet(**SMALL, weighting=dict(mean=[1e4] * 10, std=[1e-3] * 10)).eval()
    missing, unexpected = stnet.load_state_dict(transformer.state_dict(), strict=False)
    assert missing == ['weighting.mean', 'weighting.std']
    assert not unexpected
    torch.testing.assert_close(stnet(*rows()), transformer(*rows()))


def test_green_dates_count_more() -> None:
    torch.manual_seed(0)
    stnet = STNet(**SMALL, weighting=STATISTICS).eval()
    _, days, valid = rows(1, 6)
    valid[:] = True
    reflectance = torch.full((1, 6, 10), 0.05)
    reflectance[..., 6:] = 0.3
    reflectance[0, 3, 6] = 0.6  # greener
    reflectance[0, 5, :3] = 0.2  # cloudy
    weights = stnet.weigh_dates((reflectance * 1e4 - 3000) / 1000, valid)
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0))
    assert weights[0].argmax() == 3
    assert weights[0].argmin() == 5
    assert weights[0, 0] == weights[0, 1]
    assert stnet(torch.randn(1, 6, 10), days, valid).isfinite().all()


def test_the_caller_s_series_stay_as_they_are() -> None:
    for encoder in (STNet(**SMALL, weighting=STATISTICS), SITSMoCoLTAE(length=6, zeros_where_invalid=True)):
        series = rows()
        before = [part.clone() for part in series]
        encoder.eval()(*series)
        assert all(torch.equal(part, old) for part, old in zip(series, before, strict=True))


def test_weighing_needs_the_statistics() -> None:
    with pytest.raises(ValueError, match='mean and std'):
        STNet(**SMALL).eval()(*rows())
    with pytest.raises(ValueError, match='positions below 10'):
        STNet(**SMALL, weighting=dict(bands=dict(blue=0)))
    with pytest.raises(ValueError, match='10 bands'):
        STNet(**SMALL).weighting.set_statistics([0.0], [1.0])


def test_positions_may_be_the_order_of_valid_dates() -> None:
    torch.manual_seed(0)
    encoder = PostNormTransformer(**SMALL, positions='order').eval()
    x, days, valid = rows()
    torch.testing.assert_close(encoder(x, days, valid), encoder(x, days * 3 + 5, valid))


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        (SITSMoCoLTAE, dict(length=6)),
        (TempCNN, dict(in_channels=10, length=6, positional_encoding=False)),
        (SeriesLSTM, dict(in_channels=10, states='all_cells', layer_norms=True)),
    ],
)
@torch.no_grad()
def test_zeros_where_invalid_sees_the_padding_and_nothing_else_does(kind: type, options: dict) -> None:
    torch.manual_seed(0)
    ours = kind(**options).eval()
    published = kind(**options, zeros_where_invalid=True).eval()
    published.load_state_dict(ours.state_dict())
    x, days, valid = rows()
    torch.testing.assert_close(ours(x, days, valid | True), published(x, days, valid | True))
    assert (ours(x, days, valid) - published(x, days, valid)).abs().max() > 1e-3
    # What stands where not valid has no influence even then.
    spoilt = x.masked_fill(~valid.unsqueeze(-1), float('nan'))
    torch.testing.assert_close(published(spoilt, days, valid), published(x, days, valid))


def test_too_many_dates_for_zeros_are_refused() -> None:
    with pytest.raises(ValueError, match='takes 5 dates, the series has 6'):
        SITSMoCoLTAE(length=5, zeros_where_invalid=True).eval()(*rows())


@pytest.mark.parametrize(
    ('kind', 'options', 'message'),
    [
        (PostNormTransformer, dict(d_model=10, n_head=4), 'divide'),
        (PostNormTransformer, dict(positions='weeks'), 'positions'),
        (SITSMoCoLTAE, dict(d_model=10, n_head=4), 'divide'),
        (SITSMoCoLTAE, dict(mlp=()), 'width'),
        (SeriesLSTM, dict(states='first'), 'states'),
    ],
)
def test_options_that_cannot_work_are_refused(kind: type, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**options)


def test_the_published_initialisation_leaves_attention_and_layer_norms() -> None:
    torch.manual_seed(0)
    encoder = STNet(weighting=STATISTICS)
    attention = encoder.layers[0].query_key_value.weight.clone()
    assert not encoder.layers[0].query_key_value.bias.any()
    KaimingNormalInit()(encoder)
    assert torch.equal(encoder.layers[0].query_key_value.weight, attention)
    assert not encoder.layers[0].query_key_value.bias.any()
    assert torch.equal(encoder.in_norm.weight, torch.ones(128))
    assert encoder.layers[0].attention_proj.bias.std() > 0.7
    # Kaiming: variance 2 / fan-in.
    assert encoder.layers[0].mlp[0].weight.std().item() == pytest.approx((2 / 128) ** 0.5, rel=0.05)
    assert isinstance(encoder.embed[0].norm, nn.BatchNorm1d)
    assert encoder.embed[2].norm.weight.std() > 0.7
    lstm = SeriesLSTM(in_channels=10, bias=False)
    KaimingNormalInit()(lstm)
    weight = lstm.lstm.weight_hh_l0
    torch.testing.assert_close(weight.T @ weight, torch.eye(128), rtol=0, atol=1e-4)
