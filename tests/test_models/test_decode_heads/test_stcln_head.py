"""The head of STCLN: the gate, pixels without dates, many pixels."""

import pytest
import torch
from mmengine.registry import init_default_scope

from mmsits.models import STCLNHead
from mmsits.models.decode_heads import stcln_head

init_default_scope('mmseg')


def make_features(n: int = 2, height: int = 4, width: int = 3, dates: int = 5) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    pooled = torch.randn(n, 8, height, width, generator=generator)
    dated, spatial = torch.randn(2, n, height, width, dates, 8, generator=generator)
    return [pooled, dated, spatial, torch.ones(n, height, width, dates, dtype=torch.bool)]


def build(gate: float = 0.5, **options) -> STCLNHead:
    torch.manual_seed(0)
    head = STCLNHead(8, num_classes=3, **options)
    torch.nn.init.constant_(head.gate, gate)
    return head


def test_a_shut_gate_classifies_each_pixel_by_itself() -> None:
    head, features = build(gate=0.0), make_features()
    pooled = features[0]
    expected = head.conv_seg(torch.einsum('nchw,dc->ndhw', pooled, head.value.weight))
    torch.testing.assert_close(head(features), expected)
    head(features).square().sum().backward()
    assert head.gate.grad.abs() > 0


def test_equals_the_equations() -> None:
    head, (pooled, dated, spatial, valid) = build(), make_features()
    queries = torch.einsum('nhwtc,dc->nhwtd', dated, head.query.weight).flatten(3).flatten(1, 2)
    keys = torch.einsum('nhwtc,dc->nhwtd', spatial, head.key.weight).flatten(3).flatten(1, 2)
    values = torch.einsum('nchw,dc->nhwd', pooled, head.value.weight).flatten(1, 2)
    weights = (queries @ keys.transpose(1, 2) / 8**0.5).softmax(-1)
    mixed = (0.5 * weights @ values + values).transpose(1, 2).unflatten(2, (4, 3))
    torch.testing.assert_close(head([pooled, dated, spatial, valid]), head.conv_seg(mixed), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_order_of_pixels_does_not_matter() -> None:
    head, features = build().eval(), make_features()
    turned = [part.flip(-1) if i == 0 else part.flip(2) for i, part in enumerate(features)]
    torch.testing.assert_close(head(turned), head(features).flip(-1))


@torch.no_grad()
def test_pixels_without_dates_are_not_attended_to() -> None:
    head, features = build().eval(), make_features()
    features[3][:, :, 2] = False
    features[1][:, :, 2] = 0.0
    scores = head(features)
    features[0][..., 2] = 100.0
    torch.testing.assert_close(head(features)[..., :2], scores[..., :2])
    features[3][:] = False
    assert torch.isfinite(head(features)).all()


@torch.no_grad()
def test_pixels_are_compared_on_dates_that_both_have() -> None:
    head, features = build().eval(), make_features()
    features[3][:, 1, 2, :3] = False  # A pixel with two of five dates.
    features[1][:, 1, 2, :3] = 0.0
    scores = head(features)
    features[2][:, 1, 2, :3] = 100.0
    torch.testing.assert_close(head(features), scores)
    features[2][:, 1, 2, 3] = 100.0
    assert (head(features) - scores).abs().max() > 1e-3


@torch.no_grad()
def test_taking_rows_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    head, features = build().eval(), make_features()
    whole = head(features)
    monkeypatch.setattr(stcln_head, '_LARGEST_SCORES', 60)
    torch.testing.assert_close(head(features), whole)


@torch.no_grad()
def test_scores_can_be_scaled_by_the_number_of_dates() -> None:
    features = make_features()
    twice = [features[0], *(torch.cat([part, part], 3) for part in features[1:])]
    scaled, plain = build(score_scale='channels_and_dates'), build()
    once = build(score_scale='channels_and_dates')([features[0], features[1] * 5**0.5, *features[2:]])
    torch.testing.assert_close(once, plain(features))
    assert (scaled(twice) - scaled(features)).abs().max() < (plain(twice) - plain(features)).abs().max()


def test_refuses_other_features_and_options() -> None:
    with pytest.raises(ValueError, match='DatedFeatures'):
        build()([torch.zeros(1, 8, 2, 2)])
    with pytest.raises(ValueError, match='score_scale'):
        build(score_scale='root')
