"""A config that adapts a network of a few thousand weights between two miniature domains of TimeMatch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmseg.registry import HOOKS

from mmsits.models.adaptation import adaptor_of
from tests.helpers.timematch_miniature import write_timematch_miniature

BASES = Path(__file__).resolve().parents[2] / 'configs' / '_base_'

CONFIG = """
_base_ = [{base!r}]
custom_imports = dict(imports=['mmsits', 'tests.helpers.tiny_model', 'tests.helpers.adaptation_run'])
_root = {data_root!r}
_classes = ['corn', 'meadow', 'unknown', 'winter_wheat']
_common = dict(type='TimeMatchDataset', data_root=_root, source='DK1', target='FR1', classes=_classes)
_strong = [
    dict(type='SamplePixels', num_pixels=8), dict(type='SampleDates', num_dates=6),
    dict(type='ShiftDays', days=(-10, 10)), dict(type='PackSeriesInputs')]
_weak = [dict(type='SamplePixels', num_pixels=8), dict(type='PackSeriesInputs')]
train_dataloader = dict(
    batch_size=12, num_workers=0, drop_last=True, sampler=dict(type='SeriesSampler', shuffle=False),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(type='DomainViews', domains=dict(
        source=dict(dataset=dict(role='source', pipeline=_strong, **_common), order='class_balanced'),
        target=dict(
            dataset=dict(role='target', pipeline=_weak, **_common),
            views=dict(target_weak=_weak, target_strong=_strong)))))
val_dataloader = dict(
    batch_size=12, num_workers=0, sampler=dict(type='SeriesEvalSampler'), collate_fn=dict(type='identity_collate'),
    dataset=dict(role='target', pipeline=_weak, test_mode=True, **_common))
test_dataloader = val_dataloader
val_evaluator = dict(type='SeriesSegmentationMetric')
test_evaluator = val_evaluator
model = dict(segmentor=dict(
    backbone=dict(
        mlp1=(8, 16), mlp2=(16,),
        encoder=dict(in_channels=16, n_head=4, d_k=4, d_model=32, mlp=(32, 16))),
    decode_head=dict(in_channels=16, hidden_channels=(8,), num_classes=4)))
train_cfg = dict(type='IterBasedTrainLoop', max_iters=12, val_interval=6)
default_hooks = dict(
    checkpoint=dict(interval=4, max_keep_ckpts=2), logger=dict(interval=4))
randomness = dict(seed=3)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='Visualizer', vis_backends=vis_backends, name='visualizer')
"""

CUSTOM_HOOKS = """
custom_hooks = [
    dict(type='MeanTeacherHook', decay=0.9),
    dict(type='TemporalShiftHook', interval=3, max_shift=12, num_batches=2, batch_size=12, draw=False),
    dict(type='PseudoLabelLogHook', interval=3),{more}
]
model.update(method=dict(threshold=0.2))
"""


def write_domains(folder: Path, shift: int = 6) -> Path:
    """Two domains; vegetation of the second is late by `shift` days."""
    write_timematch_miniature(folder, 'denmark/32VNH/2017', parcels=48, dates=12, seed=1)
    return write_timematch_miniature(folder, 'france/30TXT/2017', parcels=40, dates=14, seed=2, shift_days=shift)


def write_adaptation_config(path: Path, data_root: Path, method: str = 'timematch', extra: str = '') -> Path:
    """Write the config; its work directory is left to the command line."""
    base = BASES / 'adaptation' / f'{method}.py'
    path.write_text(CONFIG.format(base=str(base), data_root=str(data_root)) + extra)
    return path


@HOOKS.register_module()
class RecordAdaptationHook(Hook):
    """Write down what every process must agree on, one line per iteration: `<work_dir>/agreed_<rank>.jsonl`."""

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        adaptor = adaptor_of(runner.model)
        shared = [value for name, value in adaptor.state_dict().items() if name.startswith(('teacher.', 'method.'))]
        line = dict(
            iter=runner.iter,
            shift=int(adaptor.method.target_shift),
            teacher=torch.cat([value.flatten().double() for value in shared]).sum().item(),
            counts=adaptor.method.predicted_counts.tolist(),
        )
        with open(os.path.join(runner.work_dir, f'agreed_{runner.rank}.jsonl'), 'a') as file:
            file.write(json.dumps(line) + '\n')
