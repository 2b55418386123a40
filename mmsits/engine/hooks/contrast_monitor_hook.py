"""Watching a contrastive pre-training for collapse."""

from __future__ import annotations

import logging
from typing import Any

from mmengine.model import is_model_wrapper
from mmseg.registry import HOOKS

from mmsits.engine.errors import ConfigError
from mmsits.engine.hooks.stateful_hook import StatefulHook
from mmsits.models.pretraining import SeriesMoCo, alignment, spread, uniformity


@HOOKS.register_module()
class ContrastMonitorHook(StatefulHook):
    """Every so many iterations log alignment, uniformity and spread of a step's vectors (Wang and Isola, 2020), and
    warn where all samples have nearly the same: the representation has collapsed.

    Args:
        interval: iterations between two entries.
        collapsed_below: spread below which a warning is given; evenly spread vectors have 1.

    Attributes:
        history: one dict per entry: `iter`, `alignment`, `uniformity`, `spread`.

    Raises:
        ConfigError: if the interval is not positive, or the model compares no vectors.
    """

    def __init__(self, interval: int = 100, collapsed_below: float = 0.1) -> None:
        if interval < 1:
            raise ConfigError(f'ContrastMonitorHook: interval={interval}, expected iterations, 1 or more')
        self.interval, self.collapsed_below = interval, collapsed_below
        self.history: list[dict[str, Any]] = []

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Log at the end of an interval."""
        if (runner.iter + 1) % self.interval:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        if not isinstance(model, SeriesMoCo):
            raise ConfigError(f'ContrastMonitorHook watches a SeriesMoCo, the model is a {type(model).__name__}')
        if model.latest is None or len(model.latest[0]) < 2:
            return
        queries, keys = model.latest
        entry = dict(
            alignment=alignment(queries, keys).item(),
            uniformity=uniformity(queries).item(),
            spread=spread(queries).item(),
        )
        self.history.append(dict(iter=runner.iter + 1, **entry))
        runner.logger.info(
            f'Contrast at iteration {runner.iter + 1}: alignment {entry["alignment"]:.3f} (0 is best), uniformity '
            f'{entry["uniformity"]:.3f} (0 is worst), spread {entry["spread"]:.3f}'
        )
        if getattr(runner, 'visualizer', None) is not None:
            runner.visualizer.add_scalars({f'contrast/{k}': v for k, v in entry.items()}, step=runner.iter + 1)
        if entry['spread'] < self.collapsed_below:
            runner.logger.log(
                logging.WARNING,
                f'All samples have nearly the same vector (spread {entry["spread"]:.3f}): the representation has '
                'collapsed. Lower the learning rate, raise the temperature, or look whether the data vary.',
            )

    def state_dict(self) -> dict[str, Any]:
        """Entries so far."""
        return dict(history=self.history)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take back what `state_dict` returned."""
        self.history = list(state['history'])
