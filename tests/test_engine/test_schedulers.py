"""Learning-rate schedules of our own."""

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmseg.registry import PARAM_SCHEDULERS

from mmsits.engine import InversePowerLR


def make_optimizer() -> torch.optim.SGD:
    groups = [dict(params=[torch.zeros(1, requires_grad=True)], lr=rate) for rate in (1e-4, 1e-3)]
    return torch.optim.SGD(groups)


def test_rates_follow_the_formula_in_every_group() -> None:
    optimizer = make_optimizer()
    schedule = PARAM_SCHEDULERS.build(dict(type='InversePowerLR', optimizer=optimizer, gamma=0.01, power=0.5))
    for step in range(50):
        for group, rate in zip(optimizer.param_groups, (1e-4, 1e-3), strict=True):
            assert group['lr'] == pytest.approx(rate * (1 + 0.01 * step) ** -0.5, rel=1e-12)
        optimizer.step()
        schedule.step()


def test_goes_on_from_its_state() -> None:
    optimizer = make_optimizer()
    schedule = InversePowerLR(OptimWrapper(optimizer))
    for _ in range(7):
        optimizer.step()
        schedule.step()
    resumed_optimizer = make_optimizer()
    resumed = InversePowerLR(OptimWrapper(resumed_optimizer))
    resumed.load_state_dict(schedule.state_dict())
    resumed_optimizer.load_state_dict(optimizer.state_dict())
    for one, other in ((optimizer, schedule), (resumed_optimizer, resumed)):
        one.step()
        other.step()
    assert [g['lr'] for g in optimizer.param_groups] == [g['lr'] for g in resumed_optimizer.param_groups]


def test_refuses_a_schedule_that_does_not_fall() -> None:
    with pytest.raises(ValueError, match='positive'):
        InversePowerLR(make_optimizer(), gamma=0.0)
