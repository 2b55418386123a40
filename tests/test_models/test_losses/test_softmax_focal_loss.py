"""Focal loss over a softmax: what it is equal to, and where naive formulas break."""

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS

from mmsits.models import SoftmaxFocalLoss


def make_batch(*size: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 5, *size, generator=generator), torch.randint(0, 5, (4, *size), generator=generator)


@pytest.mark.parametrize('size', [(), (1, 1), (3, 2)])
def test_is_the_formula(size: tuple[int, ...]) -> None:
    logits, target = make_batch(*size)
    p = logits.softmax(1).gather(1, target.unsqueeze(1)).squeeze(1)
    for gamma in (0.0, 0.5, 1.0, 2.0):
        expected = -((1 - p) ** gamma) * p.log()
        torch.testing.assert_close(SoftmaxFocalLoss(gamma)(logits, target), expected.mean())
        torch.testing.assert_close(SoftmaxFocalLoss(gamma, reduction='none')(logits, target), expected)
        torch.testing.assert_close(SoftmaxFocalLoss(gamma, 'sum', loss_weight=2.0)(logits, target), 2 * expected.sum())
    torch.testing.assert_close(SoftmaxFocalLoss(0.0)(logits, target), F.cross_entropy(logits, target))


def test_the_mean_is_over_labelled_pixels() -> None:
    logits, target = make_batch(6, 6)
    target[:, 1:] = 255
    loss = SoftmaxFocalLoss(1.0)(logits, target, ignore_index=255)
    torch.testing.assert_close(loss, SoftmaxFocalLoss(1.0)(logits[:, :, :1], target[:, :1]))
    logits.requires_grad_()
    nothing = SoftmaxFocalLoss(1.0)(logits, torch.full_like(target, 255))
    nothing.backward()
    assert nothing == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize('gamma', [0.0, 0.5, 1.0, 3.0])
@pytest.mark.parametrize('certainty', [50.0, 1e4, -1e4])
def test_certain_scores_have_finite_gradients(gamma: float, certainty: float) -> None:
    logits = torch.tensor([[certainty, 0.0, 0.0]], requires_grad=True)
    SoftmaxFocalLoss(gamma)(logits, torch.tensor([0])).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_half_precision_is_computed_in_single() -> None:
    logits, target = make_batch()
    half = SoftmaxFocalLoss(2.0)(logits.half(), target)
    assert half.dtype == torch.float32
    torch.testing.assert_close(half, SoftmaxFocalLoss(2.0)(logits.half().float(), target))


def test_weights_and_divisor() -> None:
    logits, target = make_batch(2, 2)
    weight = torch.rand(4, 2, 2)
    each = SoftmaxFocalLoss(reduction='none')(logits, target)
    torch.testing.assert_close(SoftmaxFocalLoss()(logits, target, weight), (each * weight).mean())
    torch.testing.assert_close(SoftmaxFocalLoss()(logits, target, avg_factor=8), each.sum() / 8)
    torch.testing.assert_close(SoftmaxFocalLoss()(logits, target, reduction_override='none'), each)


def test_is_registered_beside_that_of_mmseg() -> None:
    assert isinstance(MODELS.build(dict(type='SoftmaxFocalLoss', gamma=2.0)), SoftmaxFocalLoss)
    with pytest.raises(ValueError, match='gamma'):
        SoftmaxFocalLoss(-1.0)
    with pytest.raises(ValueError, match='reduction'):
        SoftmaxFocalLoss(reduction='median')
