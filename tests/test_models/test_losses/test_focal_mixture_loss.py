"""Cross-entropy and focal loss in one sum."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from mmsits.models import FocalMixtureLoss, SoftmaxFocalLoss


def make_batch() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    label = torch.randint(0, 4, (2, 5, 6))
    label[0, :2] = 255
    return torch.randn(2, 4, 5, 6, requires_grad=True), label


def test_its_parts_are_cross_entropy_and_focal_loss() -> None:
    logits, label = make_batch()
    entropy = F.cross_entropy(logits, label, ignore_index=255)
    focal = SoftmaxFocalLoss(gamma=2.0)(logits, label)
    torch.testing.assert_close(FocalMixtureLoss()(logits, label), entropy)
    torch.testing.assert_close(FocalMixtureLoss(share=0.0, gamma=2.0)(logits, label), focal)
    mixed = FocalMixtureLoss(share=0.25, alpha=0.5, gamma=2.0, loss_weight=3.0)(logits, label)
    torch.testing.assert_close(mixed, 3 * (0.25 * entropy + 0.75 * 0.5 * focal))


def test_the_mean_is_over_labelled_pixels_or_over_all() -> None:
    logits, label = make_batch()
    labelled, everything = FocalMixtureLoss()(logits, label), FocalMixtureLoss(avg_non_ignore=False)(logits, label)
    torch.testing.assert_close(everything, labelled * (label != 255).float().mean())


def test_pixels_can_be_weighted() -> None:
    logits, label = make_batch()
    weight = torch.zeros(2, 5, 6)
    weight[1] = 2
    loss = FocalMixtureLoss(avg_non_ignore=False)(logits, label, weight)
    torch.testing.assert_close(loss, F.cross_entropy(logits[1:], label[1:]))


@pytest.mark.parametrize('options', [dict(share=0.0, gamma=0.5), dict(share=0.5, gamma=2.0, class_weight=[1, 0, 2, 1])])
def test_gradients_are_finite_where_everything_is_certain_or_ignored(options: dict) -> None:
    loss = FocalMixtureLoss(**options)
    logits = torch.zeros(1, 4, 2, 2)
    logits[:, 1] = 200.0
    logits.requires_grad_()
    for label in (torch.full((1, 2, 2), 1), torch.full((1, 2, 2), 255), torch.full((1, 2, 2), 3)):
        value = loss(logits, label)
        (gradient,) = torch.autograd.grad(value, logits)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()
    assert loss(logits, torch.full((1, 2, 2), 255)) == 0


def test_can_be_configured_and_refuses_nonsense() -> None:
    assert MODELS.build(dict(type='FocalMixtureLoss', share=0.5)).loss_name == 'loss_focal_mixture'
    for options in (dict(share=1.5), dict(share=-0.1), dict(gamma=-1.0)):
        with pytest.raises(ValueError, match='share from 0 to 1'):
            FocalMixtureLoss(**options)
