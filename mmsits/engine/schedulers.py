"""Learning-rate schedules beside those of mmengine."""

from __future__ import annotations

from typing import Any

from mmengine.optim.scheduler.param_scheduler import INF, _ParamScheduler
from mmseg.registry import PARAM_SCHEDULERS


@PARAM_SCHEDULERS.register_module()
class InversePowerLR(_ParamScheduler):
    """The initial rate times (1 + gamma n) ** -power at step n: the schedule of adversarial adaptation (Ganin and
    Lempitsky, ICML 2015), with TimeMatch's numbers.

    Args:
        optimizer: optimizer or its wrapper.
        gamma: speed of the decay per step, > 0.
        power: exponent, > 0.
        begin, end: first and last step to change the rate at.
        last_step: to go on from without a state dict.
        by_epoch: whether steps are epochs; here iterations by default.
        verbose: print the rate at each step.

    Raises:
        ValueError: for a gamma or power that is not positive.
    """

    def __init__(
        self,
        optimizer: Any,
        gamma: float = 0.001,
        power: float = 0.75,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = False,
        verbose: bool = False,
    ) -> None:
        if gamma <= 0 or power <= 0:
            raise ValueError(f'InversePowerLR: gamma and power must be positive, got {gamma} and {power}')
        self.gamma, self.power = gamma, power
        super().__init__(optimizer, 'lr', begin=begin, end=end, last_step=last_step, by_epoch=by_epoch, verbose=verbose)

    def _get_value(self) -> list[float]:
        """Step from the last rate, so that schedules may be chained as in mmengine."""
        rates = [group[self.param_name] for group in self.optimizer.param_groups]
        if self.last_step == 0:
            return rates
        before, now = 1 + self.gamma * (self.last_step - 1), 1 + self.gamma * self.last_step
        return [rate * (before / now) ** self.power for rate in rates]
