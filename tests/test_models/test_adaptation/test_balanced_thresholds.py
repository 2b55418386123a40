import pytest
import torch

from mmsits.models.adaptation import BalancedThresholds, pseudo_labels
from tests.helpers.adaptation_batches import adaptor, views

SHARES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)


def predictions(samples: int = 30000) -> tuple[torch.Tensor, torch.Tensor]:
    """Classes (n,) and confidences (n,): class 0 is predicted often and surely, class 2 seldom and hesitantly."""
    generator = torch.Generator().manual_seed(0)
    predicted = torch.multinomial(torch.tensor([0.6, 0.25, 0.15]), samples, True, generator=generator)
    power = torch.tensor([0.05, 0.3, 1.0])[predicted]
    return predicted, torch.rand(samples, generator=generator) ** power


def kept_by(thresholds: torch.Tensor, predicted: torch.Tensor, confidence: torch.Tensor) -> torch.Tensor:
    kept = confidence > thresholds[predicted]
    return torch.bincount(predicted[kept], minlength=3).double()


def test_as_many_labels_are_kept_in_the_wanted_shares() -> None:
    predicted, confidence = predictions()
    balanced = BalancedThresholds(3, 0.9, lowest=0.2)
    balanced.update(predicted, confidence)
    before = kept_by(torch.full((3,), 0.9), predicted, confidence)
    wanted = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64)
    after = kept_by(balanced.thresholds(wanted), predicted, confidence)
    assert float((before / before.sum())[0]) > 0.85
    torch.testing.assert_close(after / after.sum(), wanted, atol=0.02, rtol=0)
    assert 0.9 * before.sum() <= after.sum() <= before.sum()


def test_no_class_gets_a_threshold_below_the_lowest() -> None:
    predicted, confidence = predictions()
    balanced = BalancedThresholds(3, 0.9, lowest=0.8)
    balanced.update(predicted, confidence)
    thresholds = balanced.thresholds(torch.tensor([0.1, 0.1, 0.8]))
    assert float(thresholds[2]) == 0.8
    assert float(thresholds[0]) > 0.9


def test_predictions_that_are_all_certain_are_kept() -> None:
    balanced = BalancedThresholds(2, 0.9)
    balanced.update(torch.tensor([0, 0, 0, 1]), torch.ones(4))
    assert (balanced.thresholds(torch.tensor([0.5, 0.5])) < 1).all()


def test_before_anything_is_known_the_common_threshold_holds() -> None:
    assert BalancedThresholds(3, 0.9).thresholds(SHARES).tolist() == [0.9] * 3


def test_old_predictions_are_forgotten() -> None:
    balanced = BalancedThresholds(2, 0.9, decay=0.5)
    for _ in range(40):
        balanced.update(torch.tensor([0]), torch.tensor([0.95]))
    assert float(balanced.counts.sum()) == pytest.approx(2)


def test_a_threshold_per_class_chooses_pseudo_labels() -> None:
    probabilities = torch.tensor([[0.7, 0.3], [0.3, 0.7]])[:, :, None, None]
    assert pseudo_labels(probabilities, torch.tensor([0.8, 0.6])).kept.flatten().tolist() == [False, True]


@pytest.mark.parametrize('kind', ['parcels', 'patches'])
def test_methods_can_balance_their_labels(kind: str) -> None:
    options = dict(threshold=0.4, lowest_threshold=0.0)
    plain = adaptor(kind, 'TimeMatch', **options)
    assert not any('balanced' in name for name in plain.state_dict())
    model = adaptor(kind, 'TimeMatch', balance='estimated', **options)
    assert model.method.expected_shares() is None
    for step in range(3):
        losses = model(**model.data_preprocessor(views(kind, step), True), mode='loss')
    assert torch.isfinite(sum(value for name, value in losses.items() if 'loss' in name))
    assert model.method.balanced.counts.sum() > 0
    torch.testing.assert_close(
        model.method.expected_shares(), model.method.predicted_counts / model.method.predicted_counts.sum().double()
    )
    model.method.class_distribution.copy_(SHARES)
    assert torch.equal(model.method.expected_shares(), SHARES)
    # Exact resume: the counts are a part of the checkpoint.
    again = adaptor(kind, 'TimeMatch', balance='estimated', **options)
    again.load_state_dict(model.state_dict())
    data = model.data_preprocessor(views(kind, 7), True)
    torch.manual_seed(0)
    one = model(**data, mode='loss')
    torch.manual_seed(0)
    other = again(**data, mode='loss')
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_kept_labels_follow_given_shares() -> None:
    model = adaptor('patches', 'FixMatch', threshold=0.36, lowest_threshold=0.0, balance=[0.2, 0.2, 0.6])
    for step in range(6):
        model(**model.data_preprocessor(views('patches', step), True), mode='loss')
    plain = adaptor('patches', 'FixMatch', threshold=0.36)
    for step in range(6):
        plain(**plain.data_preprocessor(views('patches', step), True), mode='loss')
    wanted = torch.tensor([0.2, 0.2, 0.6])
    distance = [float((m.method.kept_counts / m.method.kept_counts.sum() - wanted).abs().sum()) for m in (model, plain)]
    assert distance[0] < distance[1]


def test_options_that_cannot_be_meant_are_refused() -> None:
    with pytest.raises(ValueError, match="balance='even', expected None"):
        adaptor('parcels', 'FixMatch', balance='even')
    with pytest.raises(ValueError, match='balance needs 3 shares'):
        adaptor('parcels', 'FixMatch', balance=[0.5, 0.5])
    with pytest.raises(ValueError, match='lowest=0'):
        adaptor('parcels', 'FixMatch', balance='estimated', lowest_threshold=0.95)
    with pytest.raises(ValueError, match='decay'):
        BalancedThresholds(3, 0.9, decay=1.0)
