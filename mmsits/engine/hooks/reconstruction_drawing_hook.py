"""Pictures of what masked pre-training reconstructs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmseg.registry import HOOKS

from mmsits.datasets.base import day_to_date
from mmsits.engine.errors import ConfigError
from mmsits.engine.files import write_atomically
from mmsits.models.pretraining import MaskedSeriesModel
from mmsits.structures import SampleMeta
from mmsits.visualization.reconstruction import draw_reconstruction


@HOOKS.register_module()
class ReconstructionDrawingHook(Hook):
    """Draw dates of a few training samples as observed, masked and reconstructed, as PNG.

    Always the samples of the first training batch of this process, with masks that stay the same, so that pictures of
    different iterations compare. They are in `<work_dir>/pictures/reconstruction`, named by sample, sensor and
    iteration. Nothing of the training depends on them.

    Args:
        interval: iterations between two drawings; the last iteration is drawn too.
        max_pictures: samples.
        max_dates: dates of each.

    Raises:
        ConfigError: when training begins, if the model is no `MaskedSeriesModel`.
    """

    priority = 'LOW'

    def __init__(self, interval: int = 1000, max_pictures: int = 2, max_dates: int = 6) -> None:
        self.interval, self.max_pictures, self.max_dates = interval, max_pictures, max_dates
        self._batch: dict[str, Any] | None = None

    def before_train(self, runner: Any) -> None:
        """Check the model."""
        model = _unwrapped(runner)
        if not isinstance(model, MaskedSeriesModel):
            raise ConfigError(
                f'ReconstructionDrawingHook draws what a MaskedSeriesModel reconstructs, the model is a '
                f'{type(model).__name__}'
            )

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Draw, if it is time."""
        if not is_main_process() or not self.max_pictures:
            return
        if self._batch is None and data_batch is not None:
            self._batch = data_batch
        if self._batch is not None and ((batch_idx + 1) % self.interval == 0 or batch_idx + 1 == runner.max_iters):
            self._draw(runner, batch_idx + 1)

    @torch.no_grad()
    def _draw(self, runner: Any, iteration: int) -> None:
        model = _unwrapped(runner)
        training = model.training
        model.eval()
        batch = model.data_preprocessor(self._batch, False)
        inputs = {
            sensor: type(series)(*(part[: self.max_pictures] for part in series))
            for sensor, series in batch['inputs'].items()
        }
        device = next(iter(inputs.values())).values.device
        hidden = model.draw_fixed(inputs, batch['metas'][: self.max_pictures])
        found = model.reconstruct(inputs, hidden)
        model.train(training)
        metainfo = getattr(runner.train_dataloader.dataset, 'metainfo', None) or {}
        folder = Path(runner.work_dir) / 'pictures' / 'reconstruction'
        for sensor, reconstruction in found.items():
            mean, std = (
                model.data_preprocessor.get_buffer(f'{name}_{sensor}')[:, None, None] for name in ('mean', 'std')
            )
            for index in range(len(reconstruction)):
                meta = batch['metas'][index]
                scale = _own_statistics(meta, sensor, device) or (mean, std)
                dates, size = reconstruction.shape[1], reconstruction.shape[-2:]
                picture = self._picture(
                    (inputs[sensor].values[index] * scale[1] + scale[0]).cpu().numpy(),
                    (reconstruction[index] * scale[1] + scale[0]).cpu().numpy(),
                    inputs[sensor].valid[index].expand(dates, *size).cpu().numpy(),
                    hidden[sensor][index].cpu().numpy(),
                    metainfo,
                    sensor,
                    _dates(inputs[sensor].days[index], meta),
                )
                if picture is not None:
                    name = re.sub(r'[^\w.-]', '_', str(meta.get('sample_id', index)))
                    write_atomically(folder / f'{name}_{sensor}_{iteration}.png', picture)

    def _picture(
        self,
        observed: np.ndarray,
        reconstructed: np.ndarray,
        valid: np.ndarray,
        hidden: np.ndarray,
        metainfo: dict,
        sensor: str,
        dates: list[str],
    ) -> bytes | None:
        share = hidden.reshape(len(hidden), -1).sum(1)
        order = np.argsort(-share, kind='stable')[: self.max_dates]
        observed_dates = np.asarray(valid.reshape(len(valid), -1).any(1))
        chosen = np.sort(order[observed_dates[order]])
        if not len(chosen):
            return None
        bands = metainfo.get('bands', {}).get(sensor) or [f'band {number}' for number in range(observed.shape[1])]
        return draw_reconstruction(
            observed,
            reconstructed,
            valid,
            hidden,
            bands,
            unit=metainfo.get('units', {}).get(sensor, ''),
            dates=[int(date) for date in chosen],
            titles=[dates[date] for date in chosen],
        )


def _own_statistics(meta: SampleMeta, sensor: str, device: torch.device) -> tuple[torch.Tensor, torch.Tensor] | None:
    own = meta.get('statistics') or {}
    if sensor not in own:
        return None
    mean, std = (torch.tensor(own[sensor][name], device=device)[:, None, None] for name in ('mean', 'std'))
    return mean, std


def _dates(days: torch.Tensor, meta: SampleMeta) -> list[str]:
    start = meta.get('season_start')
    if start is None:
        return [f'day {int(day)}' for day in days]
    return [str(day_to_date(int(start) + int(day))) for day in days]


def _unwrapped(runner: Any) -> Any:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
