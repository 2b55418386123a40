"""Linear layers side by side are what they are one by one."""

import torch

from mmsits.models.layers.member_linear import MemberLinear


def test_each_member_is_a_linear_layer_of_its_own():
    layers, x = MemberLinear(3, 5, 4), torch.randn(7, 3, 5)
    found = layers(x)
    for member in range(3):
        expected = torch.nn.functional.linear(x[:, member], layers.weight[member].T, layers.bias[member])
        torch.testing.assert_close(found[:, member], expected)
