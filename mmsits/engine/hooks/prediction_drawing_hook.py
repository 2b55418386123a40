"""Pictures of predictions during validation and test."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

from mmsits.datasets.base import day_to_date
from mmsits.engine.files import write_atomically
from mmsits.structures import ImageSeries
from mmsits.visualization.prediction import draw_prediction
from mmsits.visualization.series import TRUE_COLOUR, clearest_date, composite, mark_unobserved

# Smaller maps (parcels, single pixels) show nothing.
_SMALLEST = 8


@HOOKS.register_module()
class PredictionDrawingHook(Hook):
    """Draw a few predictions as PNG: composite, reference, prediction, confidence, class legend.

    The first samples of the first process are drawn, the same ones at every validation, into
    `<work_dir>/pictures/val` and `…/test`; a new validation replaces the pictures of the one before. Maps of fewer
    than 8×8 pixels are left out.

    Args:
        max_pictures: How many to draw at each validation or test.
        show_dir: Another folder than `<work_dir>/pictures`.
    """

    priority = 'LOW'

    def __init__(
        self,
        max_pictures: int = 4,
        show_dir: str | None = None,
    ) -> None:
        self.max_pictures = max_pictures
        self.show_dir = show_dir
        self._drawn = 0

    def before_val_epoch(self, runner: Any) -> None:
        """Start to count anew."""
        self._drawn = 0

    def before_test_epoch(self, runner: Any) -> None:
        """Start to count anew."""
        self._drawn = 0

    def after_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Draw samples of a batch of the validation set."""
        self._draw(runner, 'val', runner.val_dataloader.dataset.metainfo, data_batch, outputs)

    def after_test_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Draw samples of a batch of the test set."""
        self._draw(runner, 'test', runner.test_dataloader.dataset.metainfo, data_batch, outputs)

    def _draw(self, runner: Any, split: str, metainfo: dict, data_batch: Any, outputs: Any) -> None:
        if self._drawn >= self.max_pictures or not is_main_process():
            return
        folder = Path(self.show_dir) if self.show_dir else Path(runner.work_dir) / 'pictures'
        for output in outputs:
            if 'prediction' not in output:  # of a pre-training
                return
            for index in range(min(len(output['prediction']), self.max_pictures - self._drawn)):
                picture = self._picture(index, metainfo, data_batch, output)
                if picture is None:
                    continue
                name = re.sub(r'[^\w.-]', '_', str(output['metas'][index].get('sample_id', self._drawn)))
                write_atomically(folder / split / f'{name}.png', picture)
                self._drawn += 1

    def _picture(self, index: int, metainfo: dict, data_batch: Any, output: dict) -> bytes | None:
        prediction = output['prediction'][index].cpu().numpy()
        if min(prediction.shape) < _SMALLEST:
            return None
        sensor, series = self._sensor(data_batch['inputs'], index, metainfo)
        if series is None:
            return None
        values, days, valid = (np.asarray(part) for part in series)
        bands, unit = metainfo['bands'][sensor], metainfo.get('units', {}).get(sensor, '')
        date = clearest_date(values, valid, bands)
        image = mark_unobserved(composite(values, bands, date, unit), valid[date])
        # A batch of patches of different size is padded: show the part that both have.
        rows, columns = (slice(min(sides)) for sides in zip(image.shape[:2], prediction.shape, strict=True))
        targets = output.get('targets')
        return draw_prediction(
            image[rows, columns],
            prediction[rows, columns],
            {**metainfo, 'palette': metainfo.get('palette') or _default_palette(len(metainfo['classes']))},
            reference=None if targets is None else targets[index].cpu().numpy()[rows, columns],
            confidence=_confidence(output['logits'][index])[rows, columns],
            title=f'{output["metas"][index].get("sample_id", "")}  {sensor} of {day_to_date(days[date])}',
        )

    def _sensor(self, inputs: dict, index: int, metainfo: dict) -> tuple[str, ImageSeries | None]:
        """The sensor with bands in true colour, else the first one that is no single pixel."""
        samples = {
            name: ImageSeries(*(field[index].cpu() for field in series))
            for name, series in inputs.items()
            if min(series.values[index].shape[-2:]) >= _SMALLEST
        }
        for name, sample in samples.items():
            if set(TRUE_COLOUR) <= set(metainfo['bands'][name]):
                return name, sample
        return next(iter(samples.items()), ('', None))


def _confidence(logits: torch.Tensor) -> np.ndarray:
    """Probability of the predicted class, (H, W), from scores (K, H, W)."""
    if logits.shape[0] == 1:
        probability = logits[0].float().sigmoid()
        return torch.maximum(probability, 1 - probability).cpu().numpy()
    return logits.float().softmax(0).amax(0).cpu().numpy()


def _default_palette(number: int) -> list[list[int]]:
    """Evenly spread hues for a dataset without colours of its own."""
    import colorsys

    return [[int(255 * part) for part in colorsys.hsv_to_rgb(i / number, 0.65, 0.9)] for i in range(number)]
