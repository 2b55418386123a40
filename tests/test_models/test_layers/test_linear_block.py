"""Linear map, norm and ReLU: the same function whether the norm is folded or not."""

import torch

from mmsits.models.layers import LinearBlock, linear_blocks


def test_folding_the_norm_changes_nothing_but_the_cost() -> None:
    torch.manual_seed(0)
    block = LinearBlock(5, 4)
    for _ in range(20):
        block(torch.randn(30, 5) * 3 + 1)
    torch.nn.init.uniform_(block.norm.weight, 0.5, 1.5)
    torch.nn.init.uniform_(block.norm.bias, -1, 1)
    rows = torch.randn(7, 5)
    step_by_step = block.eval().norm(block.linear(rows)).relu()
    torch.testing.assert_close(block(rows), step_by_step)
    # Gradients reach every parameter through the folded weights, too.
    ours = torch.autograd.grad(block(rows).square().sum(), list(block.parameters()))
    theirs = torch.autograd.grad(step_by_step.square().sum(), list(block.parameters()))
    for gradient, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, expected)


def test_one_block_from_each_width_to_the_next() -> None:
    assert [(block.linear.in_features, block.linear.out_features) for block in linear_blocks([3, 5, 2])] == [
        (3, 5),
        (5, 2),
    ]
    assert len(linear_blocks([3])) == 0
