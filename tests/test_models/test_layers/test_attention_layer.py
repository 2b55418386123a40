"""Attention among dates: some rows at a time gives what all of them give, in value and gradient."""

import pytest
import torch
from torch import nn

from mmsits.models.layers import PostNormAttentionLayer, attention_layer
from mmsits.models.layers.attention_layer import attention_over_dates


@pytest.mark.parametrize('masked', [False, True])
def test_rows_in_parts_are_rows_at_once(monkeypatch: pytest.MonkeyPatch, masked: bool) -> None:
    torch.manual_seed(0)
    attended = torch.rand(7, 1, 1, 5) < 0.7 if masked else None
    if attended is not None:
        attended[..., 0] = True
    results = []
    for largest in (2**22, 2 * 2 * 5 * 5):  # all rows, two rows
        monkeypatch.setattr(attention_layer, '_LARGEST_SCORES', largest)
        torch.manual_seed(1)
        parts = [torch.randn(7, 2, 5, 3, requires_grad=True) for _ in range(3)]
        # A dropout so small that it drops nothing takes the way of those that do.
        out = attention_over_dates(*parts, attended, 1e-9)
        out.square().sum().backward()
        results.append([out, *(part.grad for part in parts)])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_dropout_is_the_same_when_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_layer, '_LARGEST_SCORES', 1)
    torch.manual_seed(0)
    query, key = torch.randn(6, 1, 4, 3), torch.randn(6, 1, 4, 3)
    value = torch.randn(6, 1, 4, 3, requires_grad=True)
    out = attention_over_dates(query, key, value, None, 0.5)
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
