"""Independent outputs of the crops, and 'none of them' below the threshold."""

from __future__ import annotations

import pytest
import torch
from mmengine.structures import PixelData

from mmsits.models import MultiLabelHead
from mmsits.models.segmentors.temporal_encoder_decoder import _Labels
from mmsits.structures import binary_maps, crop_probabilities


def head(**options: object) -> MultiLabelHead:
    torch.manual_seed(0)
    return MultiLabelHead(6, num_classes=4, **options).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize('threshold', [0.2, 0.5, 0.9])
@pytest.mark.parametrize('hidden', [None, 5])
@torch.no_grad()
def test_the_highest_score_is_the_decision(threshold: float, hidden: int | None) -> None:
    net = head(threshold=threshold, hidden_channels=hidden)
    net.conv_seg.weight.mul_(10)
    scores = net([torch.randn(2, 6, 8, 8)])
    p = net.probabilities(scores)
    expected = torch.where(p.max(1).values > threshold, p.argmax(1), 3)
    assert scores.argmax(1).equal(expected)
    assert len(expected.unique()) > 1
    # Averaged predictions come as logarithms of softmax probabilities.
    torch.testing.assert_close(crop_probabilities(scores.log_softmax(1), threshold), p)


def test_labels_become_a_map_for_each_crop() -> None:
    maps = binary_maps(torch.tensor([[[0, 1, 128], [2, 255, 129]]]), 2)
    assert maps[0, 0].tolist() == [[1, 0, 0], [0, 255, 255]]
    assert maps[0, 1].tolist() == [[0, 1, 255], [0, 255, 0]]


def test_the_loss_falls_and_unlabelled_pixels_have_no_gradient() -> None:
    net = head(loss_decode=dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True)).train()
    features = torch.randn(1, 6, 4, 4, requires_grad=True)
    label = torch.randint(0, 4, (1, 4, 4), generator=torch.Generator().manual_seed(0))
    label[0, 0] = 255
    labels = [_Labels(PixelData(data=label))]
    optimizer = torch.optim.Adam(net.parameters(), 0.1)
    values = []
    for _ in range(30):
        loss = net.loss_by_feat(net([features]), labels)['loss_ce']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values.append(float(loss))
    assert values[-1] < 0.7 * values[0]
    assert features.grad is not None
    assert (features.grad[0, :, 0] == 0).all()
    assert (features.grad[0, :, 1:] != 0).any()


def test_the_prior_is_what_the_untrained_head_says() -> None:
    net = MultiLabelHead(6, num_classes=4, prior=0.05)
    net.init_weights()
    with torch.no_grad():
        torch.testing.assert_close(net.probabilities(net([torch.zeros(1, 6, 2, 2)])), torch.full((1, 3, 2, 2), 0.05))


@pytest.mark.parametrize('options', [dict(threshold=0.0), dict(threshold=1.0), dict(prior=1.5)])
def test_what_is_no_probability_is_refused(options: dict[str, float]) -> None:
    with pytest.raises(ValueError, match='probability'):
        head(**options)
