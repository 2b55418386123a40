"""Attention in windows and to pooled maps, against the same written as attention between all positions with masks."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmsits.models.layers.window_attention import LocalWindowAttention, PooledAttention, sparse_attention


def masked_attention(attention: LocalWindowAttention, x: Tensor) -> Tensor:
    """The same attention among all positions of the padded map, those of other windows masked; head by head."""
    size, width = x.shape[1:4], attention.dim // (attention.groups * attention.heads)
    parts = []
    for group, window in enumerate(attention.windows):
        padded = [-(-length // side) * side for length, side in zip(size, window, strict=True)]
        positions = torch.cartesian_prod(*(torch.arange(length) for length in padded))
        tile = torch.stack([positions[:, axis] // window[axis] for axis in range(3)], 1)
        same = (tile[:, None] == tile[None]).all(-1)
        qkv = attention.qkv(x)
        full = torch.zeros(len(x), *padded, qkv.shape[-1])
        full[:, : size[0], : size[1], : size[2]] = qkv
        query, key, value = full.flatten(1, 3).chunk(3, -1)
        for head in range(attention.heads):
            start = (group * attention.heads + head) * width
            q, k, v = (part[..., start : start + width] for part in (query, key, value))
            logits = (q @ k.transpose(1, 2) * attention.scale).masked_fill(~same, -torch.inf)
            out = (logits.softmax(-1) @ v).view(len(x), *padded, width)
            parts.append(out[:, : size[0], : size[1], : size[2]])
    return attention.proj(torch.cat(parts, -1))


@pytest.mark.parametrize('size', [(4, 6, 6), (3, 5, 4), (1, 1, 2)])
def test_windows_are_masked_attention(size: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    attention = LocalWindowAttention(12, 6, window_sizes=(2, 3, 7), window_lengths=(4, 1, 2), qkv_bias=True)
    x = torch.randn(2, *size, 12)
    torch.testing.assert_close(attention(x), masked_attention(attention, x))


def test_pooled_attention_is_attention_to_the_pooled_positions() -> None:
    torch.manual_seed(0)
    attention, x = PooledAttention(8, 2, qkv_bias=True), torch.randn(2, 3, 4, 5, 8)
    query, (key, value) = attention.q(x).flatten(1, 3), attention.pooling(x).chunk(2, -1)
    assert key.shape[1] == 1 + 2 * 4 + 3 * 9 + 3 * 36
    parts = []
    for head in (slice(0, 4), slice(4, 8)):
        weights = (query[..., head] @ key[..., head].transpose(1, 2) / 2).softmax(-1)
        parts.append(weights @ value[..., head])
    torch.testing.assert_close(attention(x), attention.proj(torch.cat(parts, -1)).view(x.shape))


@pytest.mark.parametrize('topk_div', [2, 3, 7, 100])
def test_exactly_the_best_keys_are_kept(topk_div: int) -> None:
    torch.manual_seed(0)
    query, key, value = torch.randn(2, 5, 4), torch.randn(2, 7, 4), torch.randn(2, 7, 3)
    logits = query @ key.transpose(1, 2) * 0.5
    kept = max(7 // topk_div, 1)
    threshold = logits.sort(-1, descending=True).values[..., kept - 1 : kept]
    expected = logits.masked_fill(logits < threshold, -torch.inf).softmax(-1) @ value
    torch.testing.assert_close(sparse_attention(query, key, value, 0.5, topk_div), expected)


def test_of_equal_logits_no_more_than_asked_for_are_kept() -> None:
    value = torch.eye(6).unsqueeze(0)
    weights = sparse_attention(torch.zeros(1, 3, 4), torch.randn(1, 6, 4), value, 1.0, 2)
    assert (weights > 0).sum(-1).eq(3).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 3))


def test_sparse_and_dense_agree_with_a_bias() -> None:
    torch.manual_seed(0)
    query, key, value, bias = torch.randn(2, 5, 4), torch.randn(2, 6, 4), torch.randn(2, 6, 4), torch.randn(5, 6)
    dense = sparse_attention(query, key, value, 0.3, bias=bias)
    torch.testing.assert_close(dense, (query @ key.mT * 0.3 + bias).softmax(-1) @ value)
    best = (query @ key.mT * 0.3 + bias).topk(3, -1)
    sparse = sparse_attention(query, key, value, 0.3, 2, bias)
    weights = torch.zeros(2, 5, 6).scatter(-1, best.indices, best.values.softmax(-1))
    torch.testing.assert_close(sparse, weights @ value)


def test_dropout_acts_in_training_only() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 2, 4, 4, 6)
    for attention in (
        LocalWindowAttention(6, 3, (2, 4, 4), (2, 1, 1), attn_drop=0.5),
        LocalWindowAttention(6, 3, (2, 4, 4), (2, 1, 1), attn_drop=0.5, topk_div=2),
        PooledAttention(6, 3, attn_drop=0.5),
    ):
        assert not torch.equal(attention(x), attention(x))
        attention.eval()
        assert torch.equal(attention(x), attention(x))


def test_relative_positions_start_small_and_are_learnt() -> None:
    attention = LocalWindowAttention(6, 3, (2, 3, 4), (2, 1, 1), relative_positions=True)
    assert [tuple(table.shape) for table in attention.relative_bias] == [(27, 1), (25, 1), (49, 1)]
    attention(torch.randn(1, 3, 4, 4, 6)).square().sum().backward()
    assert all(table.grad is not None and table.grad.any() for table in attention.relative_bias)
    assert 0.01 < torch.cat([table.flatten() for table in attention.relative_bias]).std() < 0.03
    assert not any('index' in name for name in attention.state_dict())


@pytest.mark.parametrize(
    ('arguments', 'sentence'),
    [
        (dict(dim=12, num_heads=4, window_sizes=(2, 3, 4), window_lengths=(1, 1, 1)), 'divide 4 heads'),
        (dict(dim=10, num_heads=3, window_sizes=(2, 3, 4), window_lengths=(1, 1, 1)), '10 channels'),
        (dict(dim=12, num_heads=3, window_sizes=(2, 3, 4), window_lengths=(1, 1)), 'equally many'),
    ],
)
def test_refuses_numbers_that_do_not_divide(arguments: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        LocalWindowAttention(**arguments)
    with pytest.raises(ValueError, match='divide'):
        PooledAttention(10, 4)


def test_scale_can_be_given() -> None:
    torch.manual_seed(0)
    attention, x = LocalWindowAttention(4, 1, (4,), (1,), qk_scale=0.0), torch.randn(1, 1, 4, 4, 4)
    value = F.linear(x, attention.qkv.weight).chunk(3, -1)[2].mean((2, 3), keepdim=True)
    torch.testing.assert_close(attention(x), attention.proj(value).expand(x.shape))
