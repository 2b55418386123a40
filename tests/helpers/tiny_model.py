"""A network of a few hundred weights for tests of the engine, and a config that trains it on a miniature PASTIS."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmseg.registry import HOOKS, MODELS
from torch import nn

CONFIG = """
_base_ = [{base!r}]
custom_imports = dict(imports=['mmsits', 'tests.helpers.tiny_model'])
data_root = {data_root!r}
work_dir = {work_dir!r}
_pipeline = [dict(type='LoadSeries'), dict(type='LoadSeriesLabels')]
_augmented = [
    *_pipeline, dict(type='SeriesRandomFlip'), dict(type='SampleDates', num_dates=4), dict(type='PackSeriesInputs')]
_plain = [*_pipeline, dict(type='PackSeriesInputs')]
train_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='SeriesSampler'), drop_last=True,
    dataset=dict(type='PASTISDataset', data_root=data_root, folds=[1, 2, 3], pipeline=_augmented))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='SeriesEvalSampler'),
    dataset=dict(type='PASTISDataset', data_root=data_root, folds=[4, 5], test_mode=True, pipeline=_plain))
test_dataloader = val_dataloader
val_evaluator = dict(type='SeriesSegmentationMetric')
test_evaluator = val_evaluator
model = dict(
    type='TemporalEncoderDecoder',
    data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s2=10)),
    backbone=dict(type='TinySeriesBackbone', in_channels=10, out_channels=8),
    decode_head=dict(
        type='FCNHead', in_channels=8, channels=8, in_index=0, num_convs=1, kernel_size=1, concat_input=False,
        num_classes=20, dropout_ratio=0.1, norm_cfg=dict(type='GN', num_groups=2), align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss', avg_non_ignore=True)))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.01), clip_grad=None, accumulative_counts=2)
param_scheduler = [dict(type='PolyLR', eta_min=1e-4, power=0.9, by_epoch=False)]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=12, val_interval=8)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
default_hooks = dict(
    checkpoint=dict(interval=4, max_keep_ckpts=2), logger=dict(interval=4), prediction_drawing=dict(max_pictures=1))
custom_hooks = [dict(type='EMAHook', momentum=0.1)]
randomness = dict(seed=3)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='Visualizer', vis_backends=vis_backends, name='visualizer')
"""

RUNTIME = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'default_runtime.py'


def write_config(path: Path, data_root: Path, extra: str = '') -> Path:
    """Write the tiny config; its work directory is the file's name without the suffix."""
    text = CONFIG.format(base=str(RUNTIME), data_root=str(data_root), work_dir=str(path.with_suffix('')))
    path.write_text(text + extra)
    return path


@MODELS.register_module()
class TinySeriesBackbone(nn.Module):
    """One 1x1 convolution per date and the mean over valid dates."""

    min_size = 1

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels, 1)
        self.out_channels = (out_channels,)

    def forward(self, inputs: dict) -> tuple[torch.Tensor]:
        series = next(iter(inputs.values()))
        n, t = series.values.shape[:2]
        features = self.convolution(series.values.flatten(0, 1)).relu().unflatten(0, (n, t))
        weight = series.valid.unsqueeze(2).float()
        return ((features * weight).sum(1) / weight.sum(1).clamp(min=1),)


@HOOKS.register_module()
class KillHook(Hook):
    """Kill the process without warning: before a training step, while writing a checkpoint, or while validating."""

    priority = 'VERY_LOW'

    def __init__(self, at: int, while_saving: bool = False, while_validating: bool = False) -> None:
        self.at = at
        self.while_saving = while_saving
        self.while_validating = while_validating

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if batch_idx == self.at and not self.while_saving and not self.while_validating:
            os.kill(os.getpid(), signal.SIGKILL)

    def before_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == self.at and self.while_validating:
            os.kill(os.getpid(), signal.SIGKILL)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        if not self.while_saving or checkpoint['meta']['iter'] < self.at:
            return

        def die(descriptor: int) -> None:
            # Half of the bytes have reached the disk.
            os.truncate(descriptor, os.fstat(descriptor).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

        os.fsync = die  # type: ignore[assignment]
