"""The configs of TimeMatch load and build, and the small adaptation runs through the tools from source weights."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope
from mmseg.registry import HOOKS, MODELS

from mmsits.engine import load_config
from mmsits.models.adaptation import DomainAdaptor
from tests.helpers.forked_tools import ROOT, run_tools
from tests.helpers.timematch_miniature import write_timematch_miniature

FOLDER = ROOT / 'configs' / 'timematch'
# view names of a batch, order of the source
METHODS = {
    'timematch': (['target_weak', 'target_strong'], 'class_balanced'),
    'fixmatch': (['target_weak', 'target_strong'], 'class_balanced'),
    **dict.fromkeys(('mmd', 'dann', 'cdan', 'cdan_e', 'jumbot', 'alda', 'control'), (['target_strong'], 'shuffled')),
}
SCENARIOS = (('DK1', 'FR1'), ('DK1', 'FR2'), ('DK1', 'AT1'), ('FR1', 'DK1'), ('FR1', 'FR2'))
BARE = ('pseltae_source', 'pseltae_target', 'pseltae_source_simulated', 'pseltae_target_simulated')
ADAPTED = (*(f'{method}_pseltae' for method in METHODS), 'timematch_pseltae_fr1-dk1', 'timematch_pseltae_simulated')


@pytest.mark.parametrize('name', [*BARE, *ADAPTED])
def test_model_and_hooks_are_built(name: str) -> None:
    init_default_scope('mmseg')
    cfg = load_config(FOLDER / f'{name}.py')
    model = MODELS.build(cfg.model)
    assert isinstance(model, DomainAdaptor) == (name in ADAPTED)
    assert (cfg.load_from is not None) == (name in ADAPTED)
    for hook in [*cfg.custom_hooks, *cfg.default_hooks.values()]:
        HOOKS.build(hook)


def test_every_config_is_tested() -> None:
    here = {path.stem for path in FOLDER.glob('*pseltae*.py')}
    assert here == {*BARE, *ADAPTED}


@pytest.mark.parametrize(
    ('method', 'source', 'target'), [(method, *SCENARIOS[i % len(SCENARIOS)]) for i, method in enumerate(METHODS)]
)
def test_a_scenario_given_once_reaches_every_dataset(method: str, source: str, target: str) -> None:
    cfg = load_config(FOLDER / f'{method}_pseltae.py', dict(source=source, target=target, fold=1))
    domains = cfg.train_dataloader.dataset.domains
    views, order = METHODS[method]
    assert list(domains.target.views) == views
    assert domains.source.order == order
    roles = [domains.source.dataset, domains.target.dataset, cfg.val_dataloader.dataset, cfg.test_dataloader.dataset]
    assert [(d.source, d.target, d.fold, d.role, d.split) for d in roles] == [
        (source, target, 1, 'source', 'train'),
        (source, target, 1, 'target', 'train'),
        (source, target, 1, 'source', 'val'),
        (source, target, 1, 'target', 'test'),
    ]


def test_published_recipes() -> None:
    source, bound = (load_config(FOLDER / f'{name}.py') for name in ('pseltae_source', 'pseltae_target'))
    assert source.optim_wrapper.optimizer == dict(type='Adam', lr=1e-3, weight_decay=1e-4)
    assert source.train_dataloader.batch_size == 128
    assert source.default_hooks.checkpoint.save_best == 'macro_F1'
    assert [bound[f'{split}_dataloader'].dataset.role for split in ('train', 'val', 'test')] == ['target'] * 3
    adapted = load_config(FOLDER / 'timematch_pseltae.py')
    assert adapted.optim_wrapper.optimizer.lr == 1e-4
    assert adapted.default_hooks.checkpoint.save_best is None
    assert adapted.custom_hooks[0].decay == 0.9999


SMALL = """
_base_ = [{base!r}]
train_cfg = dict(max_iters={iterations}, val_interval={iterations})
default_hooks = dict(checkpoint=dict(interval=2, max_keep_ckpts=-1), logger=dict(interval=1))
randomness = dict(seed=1)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='Visualizer', vis_backends=vis_backends, name='visualizer')
"""
HOOKS_OF_SMALL = """
custom_hooks = [
    dict(type='MeanTeacherHook', decay=0.9),
    dict(type='TemporalShiftHook', interval=2, max_shift=4, num_batches=1, batch_size=16, draw=False),
    dict(type='PseudoLabelLogHook', interval=2),
]
"""


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Source training, adaptation, the same adaptation stopped after two of four steps and resumed, and both tests."""
    folder = tmp_path_factory.mktemp('timematch')
    options = dict(parcels=48, dates=34, pixels=(9, 20))
    for number, domain in enumerate(('france/SIM00/2018', 'france/SIM01/2018')):
        write_timematch_miniature(folder / 'data', domain, seed=number, shift_days=3 * number, **options)
    for name, iterations, more in (('pseltae_source', 2, ''), ('timematch_pseltae', 4, HOOKS_OF_SMALL)):
        text = SMALL.format(base=str(FOLDER / f'{name}_simulated.py'), iterations=iterations) + more
        (folder / f'{name}.py').write_text(text)

    common = ['--cfg-options', f'data_root={folder / "data"}', 'min_parcels=5', 'train_dataloader.batch_size=12']
    source = [*common, 'model.decode_head.num_classes=4']
    tested = [*common, 'model.segmentor.decode_head.num_classes=4']
    adaptation = [*tested, f'load_from={folder / "source" / "best_macro_F1_iter_*.pth"}']

    def run(tool: str, config: str, work_dir: str, *arguments: object) -> dict:
        argv = [ROOT / 'tools' / f'{tool}.py', folder / f'{config}.py', *arguments]
        return dict(argv=[*argv, '--work-dir', folder / work_dir], log=folder / f'{tool}_{work_dir}.log')

    def stopped(folder: Path) -> None:
        shutil.copytree(folder / 'whole', folder / 'resumed')
        (folder / 'resumed' / 'iter_4.pth').unlink()
        (folder / 'resumed' / 'last_checkpoint').write_text('iter_2.pth')

    def check(groups: list[list[dict]]) -> None:
        statuses = run_tools(groups)
        logs = '\n'.join(Path(each['log']).read_text()[-3000:] for group in groups for each in group)
        assert all(status == 0 for group in statuses for status in group), logs

    check(
        [
            [run('train', 'pseltae_source', 'source', *source)],
            [run('train', 'timematch_pseltae', 'whole', *adaptation)],
        ]
    )
    stopped(folder)
    check(
        [
            [run('train', 'timematch_pseltae', 'resumed', '--resume', *adaptation)],
            [
                run('test', 'pseltae_source', 'test_source', folder / 'source' / 'iter_2.pth', *source),
                run('test', 'timematch_pseltae', 'test_adapted', folder / 'whole' / 'iter_4.pth', *tested),
            ],
        ]
    )
    return folder


def test_adaptation_starts_from_the_source(runs: Path) -> None:
    log = (runs / 'train_whole.log').read_text()
    assert 'its weights are where adaptation starts from' in log
    assert 'Temporal shift by IS over -4 to +4 days' in log


def test_a_resumed_adaptation_ends_where_the_whole_one_does(runs: Path) -> None:
    whole, resumed = (
        torch.load(runs / name / 'iter_4.pth', map_location='cpu', weights_only=False) for name in ('whole', 'resumed')
    )
    assert 'The checkpoint holds a segmentor' not in (runs / 'train_resumed.log').read_text()
    assert whole['state_dict'].keys() == resumed['state_dict'].keys()
    for name, value in whole['state_dict'].items():
        assert torch.equal(value, resumed['state_dict'][name]), name
    states = [
        [run['mmsits'][hook]['history'] for hook in ('TemporalShiftHook', 'PseudoLabelLogHook')]
        for run in (whole, resumed)
    ]
    assert states[0] == states[1]


@pytest.mark.parametrize('name', ['source', 'adapted'])
def test_both_networks_are_tested_on_the_target(runs: Path, name: str) -> None:
    log = (runs / f'test_test_{name}.log').read_text()
    assert '9 labelled pixels of 9 samples' in log
