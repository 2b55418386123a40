"""Unbalanced optimal transport: both solvers give one plan, and only the one by logarithms survives large costs."""

import torch

from mmsits.models.adaptation.jumbot import log_sinkhorn, unbalanced_sinkhorn


def test_solvers_agree_where_the_kernel_can_be_represented() -> None:
    cost = torch.rand(7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    by_logarithms = log_sinkhorn(cost, epsilon=0.05, tau=0.5, tolerance=1e-10, max_iterations=5000)
    by_scaling = unbalanced_sinkhorn(cost, epsilon=0.05, tau=0.5, tolerance=1e-10, max_iterations=5000)
    assert not by_scaling.broke_down
    torch.testing.assert_close(by_logarithms.plan, by_scaling.plan, rtol=1e-5, atol=1e-12)


def test_a_source_class_without_counterpart_does_not_stop_the_transport() -> None:
    # Rows 0 to 3 lie beside the columns, row 4 far from all: its row of the kernel underflows in float64.
    cost = (torch.arange(5.0)[:, None] - torch.arange(4.0)).abs() * 2
    cost[4] = 12
    assert unbalanced_sinkhorn(cost, epsilon=0.01, tau=0.5).broke_down
    plan = log_sinkhorn(cost, epsilon=0.01, tau=0.5).plan
    assert plan.sum() > 0.7
    torch.testing.assert_close(plan[:4].diag(), plan[:4].sum(1), rtol=1e-3, atol=1e-6)
    assert plan[4].sum() < 1e-6


def test_mmd_of_rows_that_are_all_the_same_is_finite() -> None:
    from mmsits.models.adaptation.mmd import mmd_loss

    rows = torch.ones(4, 3, requires_grad=True)
    loss = mmd_loss(rows, torch.ones(4, 3))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(rows.grad).all()
