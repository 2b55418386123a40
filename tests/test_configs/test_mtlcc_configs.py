"""The base configs of MTLCC and of STCLN's protocols read what they say, and score as published."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmseg.registry import DATASETS, METRICS

from mmsits.datasets.published_lists import published_list
from mmsits.datasets.simulator import RegionConfig, write_mtlcc
from mmsits.engine import load_config
from mmsits.engine.contracts import compare_metainfo
from tests.helpers.pastis_miniature import write_pastis_miniature

FOLDER = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'datasets'
TILES = {'mtlcc_2016': (2016, 30), 'mtlcc_2017_t12': (2017, 12), 'mtlcc_2016_24px': (2016, 16)}
TILES |= {'mtlcc_simulated': (2016, 12), 'stcln_mtlcc_2017_t12': (2017, 12)}


@pytest.fixture(scope='module')
def roots(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp('mtlcc')
    return {
        year: write_mtlcc(
            RegionConfig(height=12, width=84, season_start=f'{year}-01-01', s2_dates=31), folder / str(year), 12
        )
        for year in (2016, 2017)
    }


@pytest.mark.parametrize('name', TILES)
def test_loaders_of_mtlcc(name: str, roots: dict[int, Path]) -> None:
    year, dates = TILES[name]
    cfg = load_config(FOLDER / f'{name}.py', dict(data_root=str(roots[year]), default_scope='mmseg'))
    if name.startswith('stcln'):
        for split in ('train', 'val'):
            dataset = cfg[f'{split}_dataloader'].dataset
            assert len(published_list(dataset.tiles)) == 78
            dataset.tiles = ['1', '2', '3', '3']
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        loader.update(batch_size=1, num_workers=0, persistent_workers=False)
        batch = next(iter(Runner.build_dataloader(loader, seed=0)))
        assert batch['inputs']['s2'].values[0].shape == (dates, 13, 12, 12)
    classes = Runner.build_dataloader(loader, seed=0).dataset.metainfo['classes']
    assert len(classes) == (17 if name == 'mtlcc_2016_24px' else 18)
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        METRICS.build(evaluator)


def test_networks_of_one_year_may_be_tested_on_the_other(roots: dict[int, Path]) -> None:
    cfg = load_config(FOLDER / 'mtlcc_simulated.py', dict(default_scope='mmseg')).test_dataloader.dataset
    one, other = (DATASETS.build(dict(cfg, data_root=str(root), year=year)) for year, root in roots.items())
    assert compare_metainfo(one.metainfo, other.metainfo) == ''
    starts = [str(np.datetime64(dataset[0]['metas']['season_start'], 'D')) for dataset in (one, other)]
    assert starts == ['2016-01-01', '2017-01-01']


@pytest.mark.parametrize('name', ['stcln_pastis', 'stcln_pastis_pretrain'])
def test_loaders_of_pastis(name: str, tmp_path: Path) -> None:
    root = write_pastis_miniature(tmp_path, patches=5)
    cfg = load_config(FOLDER / f'{name}.py', dict(data_root=str(root), default_scope='mmseg'))
    sizes = {}
    for split, patch in (('train', 10001), ('val', 10002), ('test', None)):
        loader = cfg.get(f'{split}_dataloader')
        if loader is None:
            continue
        if patch is not None and 'patches' in loader.dataset:
            assert len(published_list(loader.dataset.patches)) == 76
            loader.dataset.patches = [patch]
        loader.update(batch_size=1, num_workers=0, persistent_workers=False)
        if not (root / 'NORM_S2_patch.json').exists():
            loader.dataset.pop('statistics_in_sample', None)
        built = Runner.build_dataloader(loader, seed=0)
        sizes[split] = (len(built.dataset), next(iter(built))['inputs']['s2'].values[0].shape[-1])
    if name == 'stcln_pastis':
        assert sizes == dict(train=(2, 4), val=(2, 4), test=(1, 16))
    else:
        assert sizes == dict(train=(16, 4))


def test_two_datasets_at_once(roots: dict[int, Path], tmp_path: Path) -> None:
    init_default_scope('mmseg')
    cfg = load_config(FOLDER / 'pastis_mtlcc_mixture.py')
    pastis, mtlcc = cfg.train_dataloader.dataset.datasets
    pastis.data_root = str(write_pastis_miniature(tmp_path, patches=5, size=32))
    mtlcc.data_root = str(roots[2016])
    cfg.train_dataloader.update(num_workers=0, persistent_workers=False)
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    sizes = set()
    for _, batch in zip(range(8), loader, strict=False):
        shapes = {tuple(values.shape[1:]) for values in batch['inputs']['s2'].values}
        assert len(shapes) == 1
        sizes |= shapes
    assert sizes == {(10, 8, 8), (10, 12, 12)}
