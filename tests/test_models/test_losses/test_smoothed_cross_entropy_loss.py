"""Cross-entropy with label smoothing: equal to its formula, over labelled pixels only."""

import pytest
import torch
import torch.nn.functional as F

from mmsits.models import SmoothedCrossEntropyLoss


@pytest.mark.parametrize('size', [(), (1, 1), (3, 2)])
def test_is_the_formula(size):
    logits, target = torch.randn(4, 5, *size), torch.randint(0, 5, (4, *size))
    soft = 0.9 * F.one_hot(target, 5).movedim(-1, 1) + 0.1 / 5
    expected = -(soft * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(SmoothedCrossEntropyLoss(0.1, loss_weight=2)(logits, target), 2 * expected)
    torch.testing.assert_close(SmoothedCrossEntropyLoss(0)(logits, target), F.cross_entropy(logits, target))


def test_the_mean_is_over_labelled_pixels():
    logits, target = torch.randn(4, 5, 3, 2, requires_grad=True), torch.randint(0, 5, (4, 3, 2))
    target[:, 1:] = 255
    loss = SmoothedCrossEntropyLoss()
    torch.testing.assert_close(loss(logits, target), loss(logits[:, :, :1], target[:, :1]))
    nothing = loss(logits, torch.full_like(target, 255))
    nothing.backward()
    assert nothing == 0
    assert not logits.grad.any()


def test_refuses_a_share_out_of_range():
    with pytest.raises(ValueError, match='label_smoothing must lie'):
        SmoothedCrossEntropyLoss(1.0)
