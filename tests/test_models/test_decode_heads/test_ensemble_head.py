"""The ensemble's head: its members learn apart, and their probabilities are averaged."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.registry import MODELS

from mmsits.models.segmentors.temporal_encoder_decoder import _Labels


def build(members=2):
    torch.manual_seed(0)
    return MODELS.build(dict(type='EnsembleHead', in_channels=8, num_members=members, num_classes=4))


def labels(values):
    return [_Labels(PixelData(data=torch.tensor([[[value]]]))) for value in values]


def test_probabilities_are_the_mean_of_the_members():
    head, features = build(), torch.randn(6, 8, 2, 3)
    mean, scores = head((features,))
    assert scores.shape == (6, 2, 4, 2, 3)
    torch.testing.assert_close(mean.exp(), scores.softmax(2).mean(1))
    torch.testing.assert_close(mean.exp().sum(1), torch.ones(6, 2, 3))


def test_the_loss_is_the_mean_of_the_members_losses():
    head, features = build(), torch.randn(4, 8, 1, 1)
    target = [0, 3, 255, 1]
    outputs = head((features,))
    loss = head.loss_by_feat(outputs, labels(target))['loss_ce']
    own = [
        torch.nn.functional.cross_entropy(outputs[1][:, m, :, 0, 0], torch.tensor(target), ignore_index=255)
        for m in range(2)
    ]
    torch.testing.assert_close(loss, torch.stack(own).mean())


def test_no_member_sees_the_others_channels():
    head, features = build(), torch.randn(2, 8, 1, 1).requires_grad_()
    head((features,))[1][:, 0].sum().backward()
    assert features.grad[:, :4].any()
    assert not features.grad[:, 4:].any()


def test_refuses_unequal_shares():
    with pytest.raises(ValueError, match='3 do not share 8 channels'):
        build(3)
