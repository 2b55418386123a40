"""The perceptron as a decode head: parcels and patches."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmsits.models import MLPHead


def build(**options) -> MLPHead:
    torch.manual_seed(0)
    return MLPHead(in_channels=8, **{**dict(hidden_channels=(6, 4), num_classes=3), **options}).eval()


def test_every_pixel_is_classified_by_itself() -> None:
    head, maps = build(), torch.randn(2, 8, 3, 5)
    scores = head((maps,))
    assert scores.shape == (2, 3, 3, 5)
    torch.testing.assert_close(head((maps[1:, :, 2:, 4:],)), scores[1:, :, 2:, 4:])
    torch.testing.assert_close(head.classify_rows(maps[:, :, 0, 0]), scores[:, :, 0, 0])


def test_without_hidden_layers_it_is_linear() -> None:
    head = build(hidden_channels=())
    x = torch.randn(1, 8, 1, 1)
    torch.testing.assert_close(head((2 * x,)) - head((x,)), head((x,)) - head((0 * x,)))


def test_has_no_parameter_that_nothing_uses() -> None:
    head = build().train()
    head((torch.randn(4, 8, 1, 1),)).sum().backward()
    assert all(parameter.grad is not None for parameter in head.parameters())


@pytest.mark.parametrize('loss', [None, dict(type='SoftmaxFocalLoss', gamma=1.0)])
def test_losses_of_parcels_ignore_255(loss: dict | None) -> None:
    head = build(**({} if loss is None else dict(loss_decode=loss)))
    maps, labels = torch.randn(3, 8, 1, 1), [2, 255, 0]

    def loss_of(rows: list[int]) -> torch.Tensor:
        samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.full((1, 1, 1), labels[row]))) for row in rows]
        losses = head.loss_by_feat(head((maps[rows],)), samples)
        return next(value for name, value in losses.items() if name.startswith('loss'))

    torch.testing.assert_close(loss_of([0, 1, 2]), loss_of([0, 2]))
    assert loss_of([1]) == 0
