"""Masked pre-training on two sensors, also interrupted, and fine-tuning on shorter series, by the tools."""

from pathlib import Path

import pytest
import torch

from mmsits.engine import load_strictly
from tests.helpers.forked_tools import run_tools
from tests.helpers.pastis_miniature import write_pastis_miniature

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / 'configs' / '_base_' / 'default_runtime.py'

COMMON = """
_base_ = [{runtime!r}]
_dataset = dict(type='PASTISDataset', data_root={root!r})
_backbone = dict(
    type='STCLN', in_channels=10, widths=(4, 8), num_heads=2, norm_groups=2, day_repeats=2, num_layers=1)
_loader = dict(num_workers=0, sampler=dict(type='SeriesSampler'), drop_last=True, batch_size=2)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.01))
default_hooks = dict(
    checkpoint=dict(interval=2, max_keep_ckpts=5, save_best=None), logger=dict(interval=1))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='Visualizer', vis_backends=vis_backends, name='visualizer')
"""

PRETRAIN = """
_backbone.update(further_sensors=dict(s1a=3))
model = dict(
    type='MaskedSeriesModel', backbone=_backbone, mask=dict(over='dates_and_space', block_size=2), hide_sensor=0.5,
    vegetation_gate=dict(red='B04', nir='B08', threshold=-1.0),
    data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s2=10, s1a=3)))
_dataset.update(sensors=('s2', 's1a'))
_steps = [dict(type='LoadSeries'), dict(type='PackSeriesInputs')]
train_dataloader = dict(dataset=dict(folds=[1, 2, 3], pipeline=_steps, **_dataset), **_loader)
val_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='SeriesEvalSampler'),
    dataset=dict(folds=[4, 5], test_mode=True, pipeline=_steps, **_dataset))
val_evaluator = dict(type='ReconstructionMetric')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=2)
val_cfg = dict(type='ValLoop')
custom_hooks = [
    dict(type='MaskRatioHook', begin=0.3, end=0.6, until=3), dict(type='ReconstructionDrawingHook', interval=2)]
"""

FINETUNE = """
model = dict(
    type='TemporalEncoderDecoder', backbone=_backbone,
    decode_head=dict(type='STCLNHead', in_channels=8, num_classes=20),
    test_cfg=dict(mode='slide', crop_size=(8, 8), stride=(6, 6)),
    data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s2=10)))
_steps = [
    dict(type='LoadSeries'), dict(type='LoadSeriesLabels'), dict(type='SampleDates', num_dates=3),
    dict(type='PackSeriesInputs')]
train_dataloader = dict(dataset=dict(folds=[1, 2, 3], pipeline=_steps, **_dataset), **_loader)
val_dataloader = dict(
    batch_size=2, num_workers=0, sampler=dict(type='SeriesEvalSampler'),
    dataset=dict(folds=[4, 5], test_mode=True, pipeline=_steps, **_dataset))
val_evaluator = dict(type='SeriesSegmentationMetric')
train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=2)
val_cfg = dict(type='ValLoop')
custom_hooks = [dict(type='WeightTransferHook')]
"""


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('masked')
    root = write_pastis_miniature(folder / 'PASTIS', patches=5, size=12, sensors=('s2', 's1a'))
    configs = {}
    for name, own in (('pretrain', PRETRAIN), ('finetune', FINETUNE)):
        configs[name] = folder / f'{name}.py'
        configs[name].write_text(COMMON.format(runtime=str(RUNTIME), root=str(root)) + own)

    def run(name: str, config: str, *arguments: object) -> dict:
        argv = ['tools/train.py', configs[config], *arguments, '--work-dir', folder / name]
        return dict(argv=argv, log=folder / f'{name}.log', env={})

    groups = [
        [run('whole', 'pretrain'), run('half', 'pretrain', '--cfg-options', 'train_cfg.max_iters=2')],
        [
            run('half', 'pretrain', '--resume'),
            run('tuned', 'finetune', '--cfg-options', f'load_from={folder / "whole" / "iter_4.pth"}'),
        ],
    ]
    statuses = run_tools(groups)
    assert statuses == [[0, 0], [0, 0]], {path.stem: path.read_text()[-3000:] for path in folder.glob('*.log')}
    return folder


def test_an_interrupted_pretraining_ends_where_the_other_does(runs: Path) -> None:
    whole, resumed = (load_strictly(runs / name / 'iter_4.pth')['state_dict'] for name in ('whole', 'half'))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())
    assert float(whole['mask_tokens.s2']) != 0


def test_it_is_scored_and_drawn(runs: Path) -> None:
    assert 'reconstruction_mse/s1a' in (runs / 'whole.log').read_text()
    pictures = {path.name for path in (runs / 'whole' / 'pictures' / 'reconstruction').iterdir()}
    assert any(name.endswith('_s1a_4.png') for name in pictures)
    assert any(name.endswith('_s2_2.png') for name in pictures)


def test_a_network_for_one_sensor_and_fewer_dates_takes_the_weights(runs: Path) -> None:
    log = (runs / 'tuned.log').read_text()
    assert 'Weights handed on' in log
    assert 'mIoU' in log
    first, tuned = (load_strictly(runs / name)['state_dict'] for name in ('whole/iter_4.pth', 'tuned/iter_2.pth'))
    assert torch.equal(tuned['data_preprocessor.mean_s2'], first['data_preprocessor.mean_s2'])
    name = 'backbone.stages.0.0.weight'
    # Two steps with a rate of 0.01 move a weight by 0.02 at most.
    assert 0 < (tuned[name] - first[name]).abs().max() < 0.03
