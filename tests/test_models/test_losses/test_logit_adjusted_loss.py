"""Logit adjustment, and class weights of the library's own losses."""

import pytest
import torch
from mmseg.registry import MODELS

from mmsits.models.losses import LogitAdjustedLoss

COUNTS = [70, 20, 10]
PLAIN = dict(type='CrossEntropyLoss', avg_non_ignore=True)


def _labels() -> torch.Tensor:
    return torch.repeat_interleave(torch.arange(3), torch.tensor(COUNTS)).reshape(1, -1, 1)


def _slope(loss: torch.nn.Module, scores: torch.Tensor) -> torch.Tensor:
    scores = scores.clone().requires_grad_()
    loss(scores.view(1, 3, 1, 1).expand(1, 3, 100, 1), _labels(), ignore_index=255).backward()
    assert scores.grad is not None
    return scores.grad


def test_without_information_the_best_scores_are_equal_whatever_the_shares() -> None:
    adjusted = LogitAdjustedLoss(PLAIN, prior=COUNTS)
    torch.testing.assert_close(_slope(adjusted, torch.zeros(3)), torch.zeros(3), atol=1e-6, rtol=0)
    # The plain loss learns the shares instead.
    shares = (torch.tensor(COUNTS) / 100).log()
    torch.testing.assert_close(_slope(MODELS.build(PLAIN), shares), torch.zeros(3), atol=1e-6, rtol=0)
    assert _slope(MODELS.build(PLAIN), torch.zeros(3)).abs().max() > 0.1


def test_no_strength_and_equal_shares_change_nothing() -> None:
    torch.manual_seed(0)
    scores, labels = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    labels[0, 0] = 255
    plain = MODELS.build(PLAIN)(scores, labels, ignore_index=255)
    for options in (dict(tau=0, prior=COUNTS), dict(tau=2, prior=[5, 5, 5])):
        torch.testing.assert_close(LogitAdjustedLoss(PLAIN, **options)(scores, labels, ignore_index=255), plain)


def test_shares_are_no_part_of_the_weights_and_must_be_known() -> None:
    loss = LogitAdjustedLoss(PLAIN)
    with pytest.raises(ValueError, match='ClassPriorHook'):
        loss(torch.zeros(1, 3, 1, 1), torch.zeros(1, 1, 1, dtype=torch.long))
    loss.set_class_counts([10, 0, 5])
    assert loss.log_prior.isfinite().all()
    assert not loss.state_dict()
    with pytest.raises(ValueError, match='3 shares'):
        loss(torch.zeros(1, 4, 1, 1), torch.zeros(1, 1, 1, dtype=torch.long))
    with pytest.raises(ValueError, match='one at least positive'):
        loss.set_class_counts([0, 0])
    with pytest.raises(ValueError, match='sigmoid'):
        LogitAdjustedLoss(dict(type='CrossEntropyLoss', use_sigmoid=True))


@pytest.mark.parametrize(
    'own', [dict(type='SoftmaxFocalLoss', gamma=0.0), dict(type='SmoothedCrossEntropyLoss', label_smoothing=0.0)]
)
def test_class_weights_are_those_of_mmsegs_cross_entropy(own: dict) -> None:
    torch.manual_seed(0)
    scores, labels = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    labels[:, 1] = 255
    weights = [0.5, 2.0, 1.0]
    expected = MODELS.build(dict(type='CrossEntropyLoss', class_weight=weights))(scores, labels, ignore_index=255)
    loss = MODELS.build({**own, 'class_weight': weights})
    torch.testing.assert_close(loss(scores, labels, ignore_index=255), expected)
    assert loss(scores, torch.full_like(labels, 255), ignore_index=255) == 0
