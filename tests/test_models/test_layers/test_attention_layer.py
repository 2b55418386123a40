"""Attention among dates: what is worked on in parts and with dropout is softmax attention, in value and gradient."""

import pytest
import torch
from torch import nn

from mmsits.models.layers import PostNormAttentionLayer, attention_layer
from mmsits.models.layers.attention_layer import DroppedAttention, attention_over_dates, random_mask


@pytest.mark.parametrize('masked', [False, True])
@pytest.mark.parametrize('at_once', [2**18, 2 * 2 * 5 * 5, 1])  # all rows, two, one
def test_is_softmax_attention_with_the_dropped_weights(
    monkeypatch: pytest.MonkeyPatch, masked: bool, at_once: int
) -> None:
    monkeypatch.setattr(attention_layer, '_SCORES_AT_ONCE', at_once)
    torch.manual_seed(0)
    attended = torch.rand(7, 1, 1, 5) < 0.7 if masked else None
    if attended is not None:
        attended[..., 0] = True
    kept = random_mask((7, 2, 5, 5), 0.3)
    results = []
    for plain in (True, False):
        torch.manual_seed(1)
        query, key, value = (torch.randn(7, 2, 5, 3, dtype=torch.float64, requires_grad=True) for _ in range(3))
        if plain:
            scores = query @ key.mT / 3**0.5
            scores = scores if attended is None else scores.masked_fill(~attended, -torch.inf)
            out = (scores.softmax(-1) * kept / 0.7) @ value
        else:
            out = DroppedAttention.apply(query, key, value, attended, kept, 1 / 0.7)
        out.square().sum().backward()
        results.append([out, query.grad, key.grad, value.grad])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_mask_drops_its_share_anew_each_time() -> None:
    torch.manual_seed(0)
    first, second = (random_mask((100, 333), 0.2) for _ in range(2))
    assert first.float().mean() == pytest.approx(0.8, abs=0.01)
    assert (first & second).float().mean() == pytest.approx(0.64, abs=0.01)
    torch.manual_seed(0)
    assert torch.equal(random_mask((100, 333), 0.2), first)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16])
def test_mixed_precision_trains(dtype: torch.dtype) -> None:
    layer = PostNormAttentionLayer(8, 2, 6, 0.1, 0.1)
    with torch.autocast('cpu', torch.bfloat16, enabled=dtype == torch.bfloat16):
        layer(torch.randn(3, 5, 8), None).float().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())


def test_dropout_is_that_of_the_gradient_too() -> None:
    torch.manual_seed(0)
    query, key = torch.randn(6, 1, 4, 3), torch.randn(6, 1, 4, 3)
    value = torch.randn(6, 1, 4, 3, requires_grad=True)
    out = attention_over_dates(query, key, value, None, 0.8)
    direction = torch.randn_like(out)
    (gradient,) = torch.autograd.grad(out, value, direction)
    # Linear in the values for a given dropout, so the product with the gradient is that of the output.
    torch.testing.assert_close((gradient * value).sum(), (direction * out).sum())
    assert (out.abs().sum(-1) == 0).any()  # some dates lost all they attended to


def test_is_the_layer_of_torch() -> None:
    torch.manual_seed(0)
    theirs = nn.TransformerEncoderLayer(8, 2, 6, dropout=0.0, batch_first=True)
    ours = PostNormAttentionLayer(8, 2, 6, 0.0, 0.0)
    names = {
        'self_attn.in_proj_weight': 'query_key_value.weight',
        'self_attn.in_proj_bias': 'query_key_value.bias',
        'self_attn.out_proj.weight': 'attention_proj.weight',
        'self_attn.out_proj.bias': 'attention_proj.bias',
    }
    parts = {'linear1': 'mlp.0', 'linear2': 'mlp.3', 'norm1': 'attention_norm', 'norm2': 'mlp_norm'}
    state = {}
    for name, value in theirs.state_dict().items():
        first, _, rest = name.partition('.')
        state[names.get(name) or f'{parts[first]}.{rest}'] = value
    ours.load_state_dict(state)
    x, valid = torch.randn(3, 5, 8), torch.rand(3, 5) < 0.6
    valid[:, 0] = True
    expected = theirs.train()(x, src_key_padding_mask=~valid)
    torch.testing.assert_close(ours.train()(x, valid[:, None, None])[valid], expected[valid])
