"""The schedule of TSViT: its shape, and that it goes on after a break."""

import math
from itertools import pairwise

import pytest
import torch

from mmsits.engine import WarmupCosineLR


def schedule(**options) -> tuple[torch.optim.Optimizer, WarmupCosineLR]:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    return optimizer, WarmupCosineLR(optimizer, **{**dict(end=20, warmup=5, start_value=0.1, eta_min=0.2), **options})


def rates(optimizer: torch.optim.Optimizer, scheduler: WarmupCosineLR, steps: int) -> list[float]:
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    return found


def test_a_line_then_the_rest_of_a_cosine() -> None:
    found = rates(*schedule(), 25)
    assert found[0] == pytest.approx(0.1)
    assert found[1] - found[0] == pytest.approx(0.9 / 5)
    assert found[10] == pytest.approx(0.2 + 0.4 * (1 + math.cos(math.pi / 2)))
    assert found[20:] == [0.2] * 5
    assert all(later <= earlier for earlier, later in pairwise(found[5:]))


def test_rates_are_held() -> None:
    plain, held = rates(*schedule(), 20), rates(*schedule(held_for=4), 20)
    assert held == [plain[step // 4 * 4] for step in range(20)]


def test_goes_on_from_its_state() -> None:
    whole = rates(*schedule(), 20)
    optimizer, scheduler = schedule()
    rates(optimizer, scheduler, 8)
    again, resumed = schedule()
    again.load_state_dict(optimizer.state_dict())
    resumed.load_state_dict(scheduler.state_dict())
    assert rates(again, resumed, 12) == pytest.approx(whole[8:])


def test_refuses_what_cannot_be() -> None:
    with pytest.raises(ValueError, match='warmup'):
        schedule(warmup=20)
