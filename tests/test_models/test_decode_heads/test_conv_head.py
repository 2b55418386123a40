"""A single convolution as head."""

import pytest
import torch

from mmsits.models import ConvHead


@pytest.mark.parametrize('kernel_size', [1, 3])
def test_scores_are_a_convolution_of_one_map(kernel_size: int) -> None:
    torch.manual_seed(0)
    maps = (torch.randn(2, 8, 6, 5), torch.randn(2, 16, 3, 3))
    head = ConvHead(8, num_classes=3, kernel_size=kernel_size)
    assert {name for name, _ in head.named_parameters()} == {'conv_seg.weight', 'conv_seg.bias'}
    conv = torch.nn.functional.conv2d(maps[0], head.conv_seg.weight, head.conv_seg.bias, padding=kernel_size // 2)
    torch.testing.assert_close(head(maps), conv)
    assert ConvHead(16, num_classes=3, in_index=1)(maps).shape == (2, 3, 3, 3)


def test_initialisation_is_torch_s_unless_given() -> None:
    head = ConvHead(64, num_classes=32)
    before = head.conv_seg.weight.clone()
    head.init_weights()
    assert torch.equal(head.conv_seg.weight, before)
    init_cfg = dict(type='Kaiming', layer='Conv2d', mode='fan_out', nonlinearity='relu', distribution='normal')
    head = ConvHead(64, num_classes=32, init_cfg=init_cfg)
    head.init_weights()
    assert head.conv_seg.weight.detach().std() == pytest.approx((2 / 32) ** 0.5, rel=0.1)
    assert not head.conv_seg.bias.any()


def test_dropout_is_off_unless_asked_for() -> None:
    maps = (torch.randn(2, 8, 6, 5),)
    head = ConvHead(8, num_classes=3).train()
    assert torch.equal(head(maps), head(maps))
    head = ConvHead(8, num_classes=3, dropout_ratio=0.5).train()
    assert not torch.equal(head(maps), head(maps))
