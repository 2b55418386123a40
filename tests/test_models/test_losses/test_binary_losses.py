"""Losses over what is labelled: unknown pixels have no influence, and the values are those of the definitions."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor

from mmsits.models import BinaryFocalLoss, MaskedBinaryLoss, MaskedDiceLoss, PositiveUnlabelledLoss

MASKED = [
    dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True),
    dict(type='MaskedBinaryLoss'),
    dict(type='MaskedBinaryLoss', class_weight=[1.0, 2.0, 0.5], negative_weight=0.3),
    dict(type='BinaryFocalLoss', alpha=0.3),
    dict(type='MaskedDiceLoss'),
]


def batch(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(2, 3, 8, 8, generator=generator)
    maps = (torch.rand(2, 3, 8, 8, generator=generator) > 0.6).long()
    unknown = torch.rand(2, 1, 8, 8, generator=generator) > 0.5
    return logits, maps.masked_fill(unknown, 255)


@pytest.mark.parametrize('config', MASKED, ids=lambda config: '-'.join(map(str, config.values())))
def test_unknown_pixels_have_no_influence(config: dict[str, Any]) -> None:
    loss, (logits, maps) = MODELS.build(config), batch()
    changed = torch.where(maps == 255, 50.0, logits).requires_grad_()
    value = loss(changed, maps, ignore_index=255)
    torch.testing.assert_close(value, loss(logits, maps, ignore_index=255))
    value.backward()
    assert (changed.grad[maps == 255] == 0).all()
    assert (changed.grad[maps != 255] != 0).any()


@pytest.mark.parametrize(
    'config',
    [*MASKED, dict(type='PositiveUnlabelledLoss', prior=0.2)],
    ids=lambda config: '-'.join(map(str, config.values())),
)
def test_nothing_labelled_is_no_loss_and_no_nan(config: dict[str, Any]) -> None:
    logits = torch.randn(2, 3, 4, 4).requires_grad_()
    value = MODELS.build(config)(logits, torch.full((2, 3, 4, 4), 255), ignore_index=255)
    value.backward()
    assert float(value) == 0
    assert (logits.grad == 0).all()


def test_binary_cross_entropy_and_focal_are_those_of_torch_on_what_is_labelled() -> None:
    logits, maps = batch()
    known = maps != 255
    plain = F.binary_cross_entropy_with_logits(logits[known], maps[known].float())
    torch.testing.assert_close(MaskedBinaryLoss()(logits, maps), plain)
    torch.testing.assert_close(BinaryFocalLoss(gamma=0)(logits, maps), plain)
    p = torch.where(maps[known] > 0, logits[known].sigmoid(), 1 - logits[known].sigmoid())
    torch.testing.assert_close(BinaryFocalLoss(gamma=2)(logits, maps), ((1 - p) ** 2 * -p.log()).mean())


def test_class_weights_go_with_the_classes() -> None:
    logits, maps = batch()
    weighted = MaskedBinaryLoss(class_weight=[0.0, 0.0, 3.0], negative_weight=0.0)(logits, maps)
    chosen = maps[:, 2] == 1
    expected = 3 * -F.logsigmoid(logits[:, 2][chosen]).sum() / (maps != 255).sum()
    torch.testing.assert_close(weighted, expected)


def test_dice_is_zero_for_a_perfect_map_and_leaves_absent_crops_out() -> None:
    maps = torch.zeros(1, 2, 4, 4).long()
    maps[0, 0, :2] = 1
    sure = torch.where(maps > 0, 50.0, -50.0)
    sure[0, 1] = 50.0  # a crop without a positive pixel
    assert float(MaskedDiceLoss()(sure, maps)) == pytest.approx(0, abs=1e-6)
    assert float(MaskedDiceLoss(smooth=0)(-sure, maps)) == pytest.approx(1)


def nn_pu(logits: Tensor, maps: Tensor, prior: float) -> Tensor:
    """The published estimator of one crop, written plainly, without known negatives."""
    positive, unlabelled = logits[maps == 1], logits[maps == 255]
    inner = F.softplus(unlabelled).mean() - prior * F.softplus(positive).mean()
    return prior * F.softplus(-positive).mean() + inner.clamp(min=0)


def test_positive_unlabelled_risk_is_the_published_estimator() -> None:
    logits, maps = batch()
    logits, maps = logits[:, :1], torch.where(maps[:, :1] == 1, 1, 255)
    found = PositiveUnlabelledLoss(prior=0.3)(logits, maps)
    torch.testing.assert_close(found, nn_pu(logits, maps, 0.3))


def test_a_risk_below_zero_steps_back() -> None:
    """All positives are sure, all else is surely no crop: the estimate of the negatives falls below 0."""
    maps = torch.full((1, 1, 4, 4), 255)
    maps[..., :2, :] = 1
    logits = torch.where(maps == 1, 3.0, -6.0).requires_grad_()
    loss = PositiveUnlabelledLoss(prior=0.5)
    value = loss(logits, maps)
    torch.testing.assert_close(value, nn_pu(logits, maps, 0.5))
    value.backward()
    inner = torch.where(maps == 1, 3.0, -6.0).requires_grad_()
    (F.softplus(inner[maps == 255]).mean() - 0.5 * F.softplus(inner[maps == 1]).mean()).backward()
    torch.testing.assert_close(logits.grad, -inner.grad)


def test_the_estimate_has_the_risk_of_full_labels_as_its_mean() -> None:
    """Positives drawn from the positives, unlabelled pixels from all: on average nothing is lost by not knowing."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(1, 1, 300, 300, generator=generator) < 0.3
    logits = torch.randn(truth.shape, generator=generator) + 2.0 * truth
    marked = truth & (torch.rand(truth.shape, generator=generator) < 0.1)
    # Unlabelled pixels are all the others: their share of the crop is a little below that of all.
    prior = float((truth & ~marked).sum() / (~marked).sum())
    found = PositiveUnlabelledLoss(prior=prior)(logits, torch.where(marked, 1, 255))
    others = ~marked
    expected = F.binary_cross_entropy_with_logits(logits[others], truth[others].float())
    assert float(found) == pytest.approx(float(expected), rel=0.02)


def test_known_negatives_take_part() -> None:
    logits, maps = batch()
    with_negatives = PositiveUnlabelledLoss(prior=0.3, negative_share=1.0)(logits[:, :1], maps[:, :1])
    positive, negative = (logits[:, :1][maps[:, :1] == label] for label in (1, 0))
    expected = 0.3 * F.softplus(-positive).mean() + 0.7 * F.softplus(negative).mean()
    torch.testing.assert_close(with_negatives, expected)


@pytest.mark.parametrize('case', ['nothing unlabelled', 'negatives alone are trusted'])
def test_without_an_estimate_a_step_makes_positives_surer_and_negatives_lower(case: str) -> None:
    maps = torch.tensor([1, 1, 0, 0] if case == 'nothing unlabelled' else [1, 1, 0, 255]).view(1, 1, 1, 4)
    # The estimate of the second case lies below 0.
    logits = torch.tensor([1.0, 1.0, 0.0, -9.0], dtype=torch.float64).view(1, 1, 1, 4).requires_grad_()
    share = 0.5 if case == 'nothing unlabelled' else 1.0
    PositiveUnlabelledLoss(prior=0.3, negative_share=share)(logits, maps).backward()
    assert (logits.grad[maps == 1] < 0).all()
    assert (logits.grad[maps == 0] > 0).all()


@pytest.mark.parametrize(
    ('build', 'words'),
    [
        (lambda: PositiveUnlabelledLoss(prior=0.0), 'prior'),
        (lambda: PositiveUnlabelledLoss(prior=0.2, surrogate='hinge'), 'surrogate'),
        (lambda: PositiveUnlabelledLoss(prior=0.2, gamma=2), 'gamma'),
        (lambda: BinaryFocalLoss(gamma=-1), 'gamma'),
        (lambda: MaskedBinaryLoss(negative_weight=-1), 'negative'),
        (lambda: PositiveUnlabelledLoss(prior=[0.1, 0.2])(*batch()), '2 shares'),
        (lambda: MaskedBinaryLoss(class_weight=[2.0])(*batch()), '1 weights were given for 3 crops'),
        (lambda: MaskedBinaryLoss(class_weight=[1.0] * 4)(*batch()), '4 weights were given for 3 crops'),
        (lambda: MaskedBinaryLoss()(batch()[0], torch.zeros(2, 8, 8).long()), 'MultiLabelHead'),
    ],
)
def test_what_makes_no_sense_is_refused(build: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build()


def test_a_constant_guess_loses_its_entropy() -> None:
    logits = torch.full((1, 1, 4, 4), math.log(0.25 / 0.75))
    maps = torch.zeros(1, 1, 4, 4).long()
    maps[..., 0, :] = 1
    expected = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    assert float(MaskedBinaryLoss()(logits, maps)) == pytest.approx(expected, rel=1e-5)
