"""Pre-training without labels, handing the weights on, and a test, by the command-line tools; also interrupted."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmsits.engine import load_strictly
from tests.helpers.forked_tools import run_tools

ROOT = Path(__file__).resolve().parents[2]
BASES = ROOT / 'configs' / '_base_'

COMMON = """
_base_ = [{runtime!r}, {model!r}]
_table = {table!r}
_dataset = dict(type='SeriesTableDataset', table=_table, bands=[f'B{{n}}' for n in range(10)])
_widths = dict(embed_channels=(8,), d_model=16, n_head=4, hidden_channels=16)
_loader = dict(batch_size=12, num_workers=0, collate_fn=dict(type='identity_collate'))
default_hooks = dict(
    checkpoint=dict(interval=4, max_keep_ckpts=5, save_best=None), logger=dict(interval=4))
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-3))
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='Visualizer', vis_backends=vis_backends, name='visualizer')
"""

PRETRAIN = """
_augment = [
    dict(type='RollDates'), dict(type='DisturbDates', amount=dict(s2=0.5)), dict(type='ThinDates'),
    dict(type='SampleDates', num_dates=9, repeat=True), dict(type='PackSeriesInputs')]
model = dict(
    data_preprocessor=dict(statistics=None), dim=8, queue_size=40,
    backbone=dict(encoder=dict(**_widths)))
train_dataloader = dict(
    sampler=dict(type='SeriesSampler'), drop_last=True,
    dataset=dict(type='ContrastiveViews', dataset=dict(_dataset), pipeline=_augment), **_loader)
train_cfg = dict(type='IterBasedTrainLoop', max_iters=8)
_pack = [dict(type='PackSeriesInputs')]
custom_hooks = [
    dict(type='ContrastMonitorHook', interval=2),
    dict(type='NearestNeighbourProbeHook', reference=dict(pipeline=_pack, where=dict(split='train'), **_dataset),
         probed=dict(pipeline=_pack, where=dict(split='test'), **_dataset), interval=4, neighbours=3)]
"""

FINETUNE = """
model = dict(
    data_preprocessor=dict(statistics=None), backbone=dict(encoder=dict(**_widths)),
    decode_head=dict(in_channels=16, num_classes=2))
_pack = [dict(type='PackSeriesInputs')]
train_dataloader = dict(
    sampler=dict(type='SeriesSampler'), drop_last=True,
    dataset=dict(pipeline=_pack, where=dict(split='train'), **_dataset), **_loader)
val_dataloader = dict(
    sampler=dict(type='SeriesEvalSampler'),
    dataset=dict(pipeline=_pack, where=dict(split='test'), test_mode=True, **_dataset), **_loader)
test_dataloader = val_dataloader
val_evaluator = dict(type='SeriesSegmentationMetric')
test_evaluator = val_evaluator
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=4)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
custom_hooks = [dict(type='WeightTransferHook')]
"""


def write_table(path: Path) -> Path:
    rng = np.random.default_rng(0)
    labels = np.arange(48) % 2
    x = 0.1 * rng.random((48, 12, 10)) + 0.2 + 0.1 * labels[:, None, None] * np.linspace(0, 1, 12)[:, None]
    np.savez(
        path,
        x=x.astype(np.float32),
        y=labels,
        classes=['beet', 'corn'],
        bands=[f'B{n}' for n in range(10)],
        doy=np.arange(12) * 30 + 1,
        year=np.full(48, 2019),
        split=np.where(np.arange(48) % 4 < 3, 'train', 'test'),
    )
    return path


def write_config(path: Path, model: str, table: Path, own: str) -> Path:
    runtime = str(BASES / 'default_runtime.py')
    common = COMMON.format(runtime=runtime, model=str(BASES / 'models' / f'{model}.py'), table=str(table))
    path.write_text(common + own)
    return path


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('pretraining')
    table = write_table(folder / 'table.npz')
    moco = write_config(folder / 'moco.py', 'moco_transformer', table, PRETRAIN)
    stnet = write_config(folder / 'stnet.py', 'sitsmoco_stnet', table, FINETUNE)

    def run(name: str, tool: str, *arguments: object) -> dict:
        argv = [f'tools/{tool}.py', *arguments, '--work-dir', folder / name]
        return dict(argv=argv, log=folder / f'{name}.log', env={})

    last = folder / 'moco' / 'iter_8.pth'
    groups = [
        [run('moco', 'train', moco), run('half', 'train', moco, '--cfg-options', 'train_cfg.max_iters=4')],
        [
            run('stnet', 'train', stnet, '--cfg-options', f'load_from={last}'),
            run('half', 'train', moco, '--resume'),
            run('wrong', 'test', stnet, last),
        ],
        [run('tested', 'test', stnet, folder / 'stnet' / 'iter_4.pth')],
    ]
    statuses = run_tools(groups)
    logs = {path.stem: path.read_text()[-3000:] for path in folder.glob('*.log')}
    assert statuses == [[0, 0], [0, 0, 1], [0]], logs
    return folder


def test_hooks_tell_how_the_pretraining_goes(runs: Path) -> None:
    state = load_strictly(runs / 'moco' / 'iter_8.pth')
    histories = state['mmsits']
    assert [entry['iter'] for entry in histories['ContrastMonitorHook']['history']] == [2, 4, 6, 8]
    assert [entry['iter'] for entry in histories['NearestNeighbourProbeHook']['history']] == [0, 4, 8]
    assert histories['NearestNeighbourProbeHook']['history'][-1]['overall_accuracy'] > 0.6
    assert state['state_dict']['queue_pointer'].item() == 8 * 12 % 40


def test_an_interrupted_pretraining_ends_where_the_other_does(runs: Path) -> None:
    whole, resumed = (load_strictly(runs / name / 'iter_8.pth')['state_dict'] for name in ('moco', 'half'))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[name]) for name, value in whole.items())


def test_the_log_says_what_was_handed_on(runs: Path) -> None:
    log = (runs / 'stnet.log').read_text()
    assert 'Weights handed on' in log
    assert 'decode_head.layers' in log
    moco = load_strictly(runs / 'moco' / 'iter_8.pth')['state_dict']
    stnet = load_strictly(runs / 'stnet' / 'iter_4.pth')['state_dict']
    assert torch.equal(stnet['data_preprocessor.mean_s2'], moco['data_preprocessor.mean_s2'])
    # The layer that weighs dates by greenness goes by the same normalisation.
    assert torch.equal(stnet['backbone.encoder.weighting.mean'], moco['data_preprocessor.mean_s2'])


def test_a_test_never_runs_with_a_head_that_learnt_nothing(runs: Path) -> None:
    assert 'decode_head' in (runs / 'wrong.log').read_text()
    assert 'OA' in (runs / 'tested.log').read_text()
