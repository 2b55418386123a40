"""Learning-rate schedules beside those of mmengine."""

from __future__ import annotations

import math
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


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(_ParamScheduler):
    """A linear warm-up, then the rest of one cosine over the whole run: the schedule of TSViT (Tarasiou et al., CVPR
    2023) and of timm.

    At step n < warmup the rate is start + n (base - start) / warmup, then eta_min + (base - eta_min) (1 + cos(pi n /
    end)) / 2, and eta_min behind the end. mmengine's `LinearLR` and `CosineAnnealingLR`, one after the other, make
    the cosine begin where the warm-up ends.

    With `by_epoch=True, convert_to_iter_based=True` in a config, mmengine makes iterations of epochs: of `end`,
    `warmup` and `held_for`.

    Args:
        optimizer: optimizer or its wrapper.
        end: steps of the whole cosine; in a config without it, those of the training.
        warmup: steps of the warm-up, less than `end`.
        start_value: rate at step 0.
        eta_min: rate at the end.
        held_for: steps for which a rate is kept: the published training computes a new one once per epoch, and so
            spends its first epoch at `start_value`.
        last_step: to go on from without a state dict.
        by_epoch: whether steps are epochs; here iterations by default.
        verbose: print the rate at each step.

    Raises:
        ValueError: for numbers of steps that cannot be.
    """

    def __init__(
        self,
        optimizer: Any,
        end: int,
        warmup: int = 0,
        start_value: float = 0.0,
        eta_min: float = 0.0,
        held_for: int = 1,
        last_step: int = -1,
        by_epoch: bool = False,
        verbose: bool = False,
    ) -> None:
        if not 0 <= warmup < end or held_for < 1:
            raise ValueError(
                f'WarmupCosineLR: 0 <= warmup < end and held_for >= 1, got warmup={warmup}, end={end}, '
                f'held_for={held_for}'
            )
        self.warmup, self.held_for = warmup, held_for
        self.start_value, self.eta_min = start_value, eta_min
        self.total = end
        # mmengine's `end` is the first step that changes nothing; here that is the step behind the cosine's last.
        super().__init__(optimizer, 'lr', end=end + 1, last_step=last_step, by_epoch=by_epoch, verbose=verbose)

    @classmethod
    def build_iter_from_epoch(
        cls,
        optimizer: Any,
        end: int,
        warmup: int = 0,
        held_for: int = 1,
        by_epoch: bool = True,
        epoch_length: int | None = None,
        **kwargs: Any,
    ) -> WarmupCosineLR:
        """A schedule by iterations from numbers of epochs; mmengine calls it where a config asks for it.

        Args:
            optimizer: as above.
            end: epochs of the whole cosine.
            warmup: epochs of the warm-up.
            held_for: epochs for which a rate is kept.
            by_epoch: must be True, as what is converted counts epochs.
            epoch_length: iterations of an epoch.
            **kwargs: the other arguments.

        Raises:
            ValueError: if the length of an epoch is unknown, or what is converted counts iterations already.
        """
        if not by_epoch or not epoch_length:
            raise ValueError('WarmupCosineLR: by_epoch=True and the length of an epoch are needed to convert epochs')
        steps: dict[str, Any] = dict(
            end=end * epoch_length, warmup=warmup * epoch_length, held_for=held_for * epoch_length
        )
        return cls(optimizer, **steps, by_epoch=False, **kwargs)

    def _get_value(self) -> list[float]:
        """The rate of each group at the step, from its initial one."""
        step = self.last_step // self.held_for * self.held_for
        return [self._rate(step, group['initial_lr']) for group in self.optimizer.param_groups]

    def _rate(self, step: int, base: float) -> float:
        if step < self.warmup:
            return self.start_value + step * (base - self.start_value) / self.warmup
        if step >= self.total:
            return self.eta_min
        return self.eta_min + 0.5 * (base - self.eta_min) * (1 + math.cos(math.pi * step / self.total))
