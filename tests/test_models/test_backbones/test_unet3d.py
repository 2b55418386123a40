"""The 3D U-Net against the published one written plainly, whose deep levels hardly move the golden values."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsits.models import ConvHead, UNet3D
from mmsits.models.backbones.unet3d import ConvBlock3d
from mmsits.structures import ImageSeries


def block(module: ConvBlock3d, x: Tensor) -> Tensor:
    for conv, norm in ((module.conv1, module.norm1), (module.conv2, module.norm2)):
        x = F.leaky_relu(norm.norm(conv(x)), 0.01)
    return x


def plain(net: UNet3D, classifier: nn.Conv3d, values: Tensor) -> Tensor:
    """Class scores as published, of a series without padding: the classifier in front of the mean over dates."""
    en3 = block(net.encoder1, values.transpose(1, 2))
    en4 = block(net.encoder2, F.max_pool3d(en3, 2))
    center = net.up2(block(net.center, F.max_pool3d(en4, 2)))
    dc4 = block(net.decoder2, torch.cat([center, en4[:, :, : center.shape[2]]], 1))
    up = F.leaky_relu(net.up1_norm.norm(net.up1(dc4)), 0.01)
    dc3 = block(net.decoder1, torch.cat([up, en3[:, :, : up.shape[2]]], 1))
    return classifier(dc3).mean(2)


@pytest.mark.parametrize('dates', [4, 5, 6, 7, 8, 11])
@pytest.mark.parametrize('runs_over_padding', [False, True])
def test_is_the_published_network(dates: int, runs_over_padding: bool) -> None:
    torch.manual_seed(0)
    net = UNet3D(3, 2, runs_over_padding=runs_over_padding, sensor='s1').eval()
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter.mul_(3)
    classifier, head = nn.Conv3d(4, 5, 3, padding=1), ConvHead(12, num_classes=5, kernel_size=3)
    weight = classifier.weight.detach().transpose(1, 2).flatten(1, 2)
    head.load_state_dict({'conv_seg.weight': weight, 'conv_seg.bias': classifier.bias.detach()})
    values = torch.randn(2, dates, 3, 8, 12)
    series = ImageSeries(values, torch.zeros(2, dates).int(), torch.ones(2, dates, 1, 1).bool())
    with torch.no_grad():
        expected = plain(net, classifier, values)
        torch.testing.assert_close(
            head(net({'s1': series})), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max())
        )


def test_a_short_series_is_stretched_to_four_dates() -> None:
    torch.manual_seed(0)
    net, values = UNet3D(3, 2).eval(), torch.randn(1, 2, 3, 8, 8)
    stretched = torch.stack([torch.lerp(values[:, 0], values[:, 1], share / 3) for share in range(4)], 1)
    maps = []
    for series in (values, stretched):
        valid = torch.ones(1, series.shape[1], 1, 1).bool()
        maps.append(net({'s2': ImageSeries(series, torch.zeros(1, series.shape[1]).int(), valid)})[0])
    torch.testing.assert_close(maps[0], maps[1])
