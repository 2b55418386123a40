"""The dataset configs of TimeMatch build, and a task, fold or folder given at the top reaches every dataset."""

from pathlib import Path

import pytest
from mmengine.runner import Runner

from mmsits.datasets.timematch import DOMAINS
from mmsits.engine import load_config
from tests.helpers.timematch_miniature import write_timematch_miniature

FOLDER = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'datasets'


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_timematch_miniature(tmp_path_factory.mktemp('configs'), parcels=30, dates=40)
    return write_timematch_miniature(folder, DOMAINS['AT1'], parcels=40, dates=33, seed=1)


def open_loaders(name: str, root: Path) -> dict:
    options = dict(data_root=str(root), target='AT1', fold=2, min_parcels=5, default_scope='mmseg')
    cfg = load_config(FOLDER / name, options)
    loaders = {split: cfg[f'{split}_dataloader'] for split in ('train', 'val', 'test')}
    for loader in loaders.values():
        loader.update(num_workers=0, persistent_workers=False, batch_size=4)
    return {split: Runner.build_dataloader(loader, seed=0) for split, loader in loaders.items()}


def test_source_training(root: Path) -> None:
    loaders = open_loaders('timematch.py', root)
    assert [(loader.dataset.domain, loader.dataset.fold) for loader in loaders.values()] == [
        ('DK1', 2),
        ('DK1', 2),
        ('AT1', 2),
    ]
    assert next(iter(loaders['train']))['inputs']['s2'].values.shape == (4, 30, 10, 64, 1)
    assert next(iter(loaders['val']))['inputs']['s2'].values.shape == (3, 40, 10, 64, 1)
    tested = list(loaders['test'])
    assert sum(len(batch['metas']) for batch in tested) == len(loaders['test'].dataset) == 8
    pixels = sum(int(batch['inputs']['s2'].valid[:, 0].sum()) for batch in tested)
    assert pixels == loaders['test'].dataset.sample_sizes.sum()


def test_adaptation(root: Path) -> None:
    loader = open_loaders('timematch_adaptation.py', root)['train']
    batch = next(iter(loader))
    shapes = {view: tuple(batch[view]['inputs']['s2'].values.shape) for view in batch}
    assert shapes == {
        'source': (4, 30, 10, 64, 1),
        'target_weak': (4, 33, 10, 64, 1),
        'target_strong': (4, 30, 10, 64, 1),
    }
    assert 'targets' in batch['source']
    assert all(domain.dataset.fold == 2 for domain in loader.dataset.domains.values())
    assert loader.dataset.domains['target'].dataset.domain == 'AT1'


@pytest.mark.parametrize('name', ['timematch_simulated.py', 'timematch_adaptation_simulated.py'])
def test_the_simulated_task_reaches_the_datasets(name: str) -> None:
    dataset = load_config(FOLDER / name, dict(default_scope='mmseg')).train_dataloader.dataset
    inner = dataset.domains.target.dataset if 'domains' in dataset else dataset
    assert (inner.source, inner.target, inner.min_parcels) == ('france/SIM00/2018', 'france/SIM01/2018', 10)
    assert inner.data_root.endswith('simulated_parcels')
