"""TimeMatch on image patches: a small U-TAE through tools/train.py, its views flipped and cropped alike."""

import json
from pathlib import Path

import pytest
import torch

from tests.helpers.adaptation_run import BASES
from tests.helpers.forked_tools import ROOT, run_tools

CONFIG = """
_base_ = [{base!r}]
custom_imports = dict(imports=['mmsits', 'tests.helpers.adaptation_run'])
_loaded = [dict(type='LoadSeries'), dict(type='LoadSeriesLabels')]
_moved = [dict(type='SeriesRandomFlip'), dict(type='SeriesRandomCrop', crop_size=8)]
_weak = [*_loaded, *_moved, dict(type='PackSeriesInputs')]
_strong = [
    *_loaded, dict(type='SampleDates', num_dates=4), dict(type='ShiftDays', days=(-10, 10)), *_moved,
    dict(type='PackSeriesInputs')]
_plain = [*_loaded, dict(type='PackSeriesInputs')]
_common = dict(type='PASTISDataset', data_root={data_root!r})
train_dataloader = dict(
    batch_size=2, num_workers=0, drop_last=True, sampler=dict(type='SeriesSampler', shuffle=False),
    collate_fn=dict(type='identity_collate'),
    dataset=dict(type='DomainViews', domains=dict(
        source=dict(dataset=dict(folds=[1, 2], pipeline=_strong, **_common)),
        target=dict(
            dataset=dict(folds=[3, 4], pipeline=_weak, **_common),
            views=dict(target_weak=_weak, target_strong=_strong)))))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='SeriesEvalSampler'),
    dataset=dict(folds=[5], pipeline=_plain, test_mode=True, **_common))
test_dataloader = val_dataloader
val_evaluator = dict(type='SeriesSegmentationMetric')
test_evaluator = val_evaluator
model = dict(
    _delete_=True,
    type='DomainAdaptor',
    segmentor=dict(
        type='TemporalEncoderDecoder',
        data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s2=10)),
        backbone=dict(
            type='UTAE', in_channels=10, encoder_widths=(8, 8), decoder_widths=(8, 8), n_head=2, d_model=16, d_k=4),
        decode_head=dict(type='UTAEHead', in_channels=8, channels=8, num_classes=20)),
    method=dict(type='TimeMatch', threshold=0.05{method}))
custom_hooks = [
    dict(type='MeanTeacherHook', decay=0.9),
    dict(type='TemporalShiftHook', interval=3, max_shift=6, num_batches=1, batch_size=2, draw=False{hook}),
    dict(type='PseudoLabelLogHook', interval=3),
    dict(type='RecordAdaptationHook'),
]
train_cfg = dict(type='IterBasedTrainLoop', max_iters=6, val_interval=6)
default_hooks = dict(checkpoint=dict(interval=6), logger=dict(interval=1))
randomness = dict(seed=3)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='Visualizer', vis_backends=vis_backends, name='visualizer')
"""


# What corrects for moved class proportions.
VARIANTS = {
    'published': ('', ''),
    'corrected': (", balance='estimated', lowest_threshold=0.01", ", estimator='EM', training_shares=[0.05] * 20"),
}


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory, pastis_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp('patches')
    jobs = []
    for name, (method, hook) in VARIANTS.items():
        config = folder / f'{name}.py'
        base = str(BASES / 'adaptation' / 'timematch.py')
        config.write_text(CONFIG.format(base=base, data_root=str(pastis_folder), method=method, hook=hook))
        argv = [str(ROOT / 'tools' / 'train.py'), config, '--work-dir', folder / name]
        jobs.append([dict(argv=argv, log=folder / f'{name}.log')])
    statuses = run_tools(jobs)
    logs = '\n'.join((folder / f'{name}.log').read_text()[-3000:] for name in VARIANTS)
    assert statuses == [[0], [0]], logs
    return folder


@pytest.mark.parametrize('name', VARIANTS)
def test_timematch_trains_a_network_of_patches(runs: Path, name: str) -> None:
    lines = [json.loads(line) for line in (runs / name / 'agreed_0.jsonl').read_text().splitlines()]
    assert len(lines) == 6
    # Two patches of 8×8 pixels in each step, all observed: every one has a pseudo label.
    assert sum(lines[-1]['counts']) == 6 * 2 * 64
    state = torch.load(runs / name / 'iter_6.pth', weights_only=False)['state_dict']
    assert state['method.kept_counts'].sum() > 0
    assert lines[0]['teacher'] != pytest.approx(lines[-1]['teacher'], abs=1e-9)
    estimates = [path.stem.split('_')[-1] for path in sorted((runs / name / 'shift_scores').glob('*.json'))]
    assert estimates == (['IS', 'AM', 'AM'] if name == 'published' else ['IS', 'EM', 'EM', 'EM'])
    assert ('method.balanced.counts' in state) == (name == 'corrected')
