"""Named views of several domains: orders by counters, labels kept from methods, exact resume."""

import pickle
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from mmsits.datasets import DataError, DomainViews, DrawIndex, PASTISDataset, SeriesSampler, identity_collate
from mmsits.datasets.domain import _Domain
from mmsits.datasets.timematch import DOMAINS
from tests.helpers.timematch_miniature import change_metadata, write_timematch_miniature

WEAK = [dict(type='SamplePixels', num_pixels=6), dict(type='PackSeriesInputs')]
STRONG = [WEAK[0], dict(type='SampleDates', num_dates=4), dict(type='ShiftDays', days=(-60, 60)), WEAK[1]]


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_timematch_miniature(tmp_path_factory.mktemp('domains'))
    return write_timematch_miniature(folder, DOMAINS['FR1'], parcels=7, dates=6, seed=1)


def open_views(root: Path, **options) -> DomainViews:
    def dataset(role: str) -> dict:
        return dict(
            type='TimeMatchDataset',
            data_root=str(root),
            source='DK1',
            target='FR1',
            role=role,
            min_parcels=1,
            pipeline=STRONG,
        )

    source = dict(dataset=dataset('source'), order=options.pop('order', 'class_balanced'))
    target = dict(dataset=dataset('target'), views=dict(target_weak=WEAK, target_strong=STRONG))
    return DomainViews(dict(source=source, target=target), **options)


def names(batch: dict) -> list[str]:
    return [meta['sample_id'] for meta in batch['metas']]


def draws(first: int, count: int, seed: int = 3) -> list[DrawIndex]:
    return [DrawIndex(0, draw, seed) for draw in range(first, first + count)]


def test_a_batch_holds_every_view_and_weak_and_strong_are_of_one_parcel(root: Path):
    batch = open_views(root).__getitems__(draws(0, 5))
    assert list(batch) == ['source', 'target_weak', 'target_strong']
    assert names(batch['target_weak']) == names(batch['target_strong'])
    assert all(name.startswith(DOMAINS['FR1']) for name in names(batch['target_weak']))
    assert all(name.startswith(DOMAINS['DK1']) for name in names(batch['source']))
    assert batch['target_weak']['inputs']['s2'].values.shape == (5, 6, 10, 6, 1)
    assert batch['target_strong']['inputs']['s2'].values.shape == (5, 4, 10, 6, 1)


def test_views_draw_pixels_of_their_own(root: Path):
    domains = dict(target=dict(dataset=open_views(root).main, views=dict(a=STRONG, b=STRONG)))
    batch = DomainViews(domains, oracle=True).__getitems__(draws(0, 5))
    assert not torch.equal(batch['a']['inputs']['s2'].days, batch['b']['inputs']['s2'].days)
    assert torch.equal(batch['a']['targets'], batch['b']['targets'])


def test_labels_of_the_target_are_removed_unless_for_an_oracle(root: Path):
    views, oracle = open_views(root), open_views(root, oracle=True)
    batch, sample = views.__getitems__(draws(0, 2)), views[0]
    assert [view for view in batch if 'targets' in batch[view]] == ['source']
    assert [view for view in sample if 'targets' in sample[view]] == ['source']
    # Nor has who takes a view's dataset for itself, as hooks do.
    assert views.views['target_weak'][1].labels is None
    assert 'targets' not in views.views['target_strong'][1][0]
    assert all('targets' in view for view in oracle.__getitems__(draws(0, 2)).values())


def test_each_domain_passes_over_all_its_samples(root: Path):
    views = open_views(root, order='shuffled')
    batch = views.__getitems__(draws(0, 20))
    assert len(set(names(batch['source']))) == 20
    target = names(batch['target_weak'])
    assert len(set(target[:7])) == len(set(target[7:14])) == 7
    assert target[:7] != target[7:14]


def test_classes_of_the_source_are_balanced(root: Path):
    class Labelled:
        labels = np.array([0] * 90 + [1] * 9 + [2] + [255] * 20)

        def __len__(self) -> int:
            return len(self.labels)

    domain = _Domain('source', Labelled(), 'class_balanced')
    drawn = Labelled.labels[domain.positions([5] * 3000, range(3000))]
    assert np.bincount(drawn)[:3] == pytest.approx(1000, rel=0.1)
    assert (drawn != 255).all()


def test_class_shares_are_the_sources(root: Path, pastis_folder: Path):
    views = open_views(root)
    labels = views.main.labels
    counts = np.bincount(labels[labels != 255], minlength=20)
    np.testing.assert_allclose(views.class_shares(20), counts / counts.sum())
    np.testing.assert_allclose(views.class_shares(20, as_drawn=True), (counts > 0) / (counts > 0).sum())
    shuffled = open_views(root, order='shuffled')
    np.testing.assert_array_equal(shuffled.class_shares(20, as_drawn=True), views.class_shares(20))
    assert open_dense_views(pastis_folder, [], []).class_shares(20) is None


@pytest.mark.parametrize('workers', [0, 2])
def test_a_resumed_loader_gives_what_the_uninterrupted_one_would_have(root: Path, workers: int):
    def batches(skipped: int, count: int) -> list[dict]:
        views = open_views(root)
        sampler = SeriesSampler(views, shuffle=False, seed=9)
        sampler.skip(4 * skipped)
        loader = DataLoader(views, batch_size=4, sampler=sampler, num_workers=workers, collate_fn=identity_collate)
        return list(islice(loader, count))

    whole, resumed = batches(0, 6), batches(4, 2)
    for before, after in zip(whole[4:], resumed, strict=True):
        for view in before:
            assert names(before[view]) == names(after[view])
            for one, other in zip(before[view]['inputs']['s2'], after[view]['inputs']['s2'], strict=True):
                assert torch.equal(one, other)


def test_single_samples_are_those_of_the_batch(root: Path):
    views = open_views(root)
    batch, alone = views.__getitems__(draws(8, 3)), pseudo_collate([views[index] for index in draws(8, 3)])
    for view in batch:
        assert torch.equal(batch[view]['inputs']['s2'].values, torch.stack(alone[view]['inputs']['s2'].values))


LOADED = [dict(type='LoadSeries'), dict(type='LoadSeriesLabels')]
MOVED = [dict(type='SeriesRandomFlip'), dict(type='SeriesRandomCrop', crop_size=6), dict(type='SeriesRandomRotate90')]
PACKED = dict(type='PackSeriesInputs', meta_keys=('sample_id', 'window', 'flip', 'rotate90'))


def open_dense_views(folder: Path, weak: list, strong: list, **options) -> DomainViews:
    pipeline = [*LOADED, PACKED]
    domains = dict(
        source=dict(dataset=PASTISDataset(str(folder), folds=[1, 2], pipeline=pipeline)),
        target=dict(
            dataset=PASTISDataset(str(folder), folds=[3, 4], pipeline=pipeline),
            views=dict(target_weak=[*LOADED, *weak, PACKED], target_strong=[*LOADED, *strong, PACKED]),
        ),
    )
    return DomainViews(domains, **options)


def test_dense_patches_can_be_domains(pastis_folder: Path):
    views = open_dense_views(pastis_folder, [], [])
    batch = views.__getitems__(draws(0, 2))
    assert len(batch['source']['targets']) == 2
    assert 'targets' not in batch['target_strong']
    assert views.metainfo['bands'] == views.main.metainfo['bands']
    with pytest.raises(ValueError, match=r"PASTISDataset gives none.*order='shuffled'"):
        DomainViews(dict(source=dict(dataset=views.main, order='class_balanced')))


def test_flips_and_crops_leave_the_views_of_a_sample_aligned(pastis_folder: Path):
    # The random transforms before and between the spatial ones take numbers of their own.
    strong = [dict(type='SampleDates', num_dates=3), MOVED[0], dict(type='ScaleReflectance', amount=0.1), *MOVED[1:]]
    views = open_dense_views(pastis_folder, MOVED, strong, oracle=True)
    weak, strong = (views.__getitems__(draws(0, 12))[name] for name in ('target_weak', 'target_strong'))
    for one, other in zip(weak['targets'], strong['targets'], strict=True):
        assert torch.equal(one, other)
    moves = [tuple(meta[key] for key in ('window', 'flip', 'rotate90')) for meta in weak['metas']]
    assert moves == [tuple(meta[key] for key in ('window', 'flip', 'rotate90')) for meta in strong['metas']]
    assert len(set(moves)) > 8
    # Dates and values differ, pixels do not: without jitter the dates that both views hold are equal.
    plain = open_dense_views(pastis_folder, MOVED, [dict(type='SampleDates', num_dates=3), *MOVED])
    batch = plain.__getitems__(draws(0, 4))
    for row in range(4):
        weak, strong = (batch[view]['inputs']['s2'] for view in ('target_weak', 'target_strong'))
        common = torch.isin(weak.days[row], strong.days[row])
        assert common.sum() == 3
        assert torch.equal(weak.values[row][common], strong.values[row])


def test_aligned_views_are_functions_of_the_draw(pastis_folder: Path):
    views = open_dense_views(pastis_folder, MOVED, MOVED)
    whole, later = views.__getitems__(draws(0, 6)), views.__getitems__(draws(4, 2))
    other = views.__getitems__(draws(4, 2, seed=8))
    for view in ('target_weak', 'target_strong'):
        assert [dict(meta) for meta in whole[view]['metas'][4:]] == [dict(meta) for meta in later[view]['metas']]
        assert [dict(meta) for meta in later[view]['metas']] != [dict(meta) for meta in other[view]['metas']]
    index = pickle.loads(pickle.dumps(DrawIndex(4, 17, 2, spatial_seed=5)))
    assert [(i, i.draw, i.seed, i.spatial_seed) for i in (index % 3, index - 1)] == [(1, 17, 2, 5), (3, 17, 2, 5)]


@pytest.mark.parametrize('strong', [[], MOVED[:2], [MOVED[1], MOVED[0], MOVED[2]]])
def test_views_that_cannot_be_aligned_are_refused(pastis_folder: Path, strong: list):
    with pytest.raises(ValueError, match="'target_weak' and 'target_strong' change the image plane in different ways"):
        open_dense_views(pastis_folder, MOVED, strong)


def test_mistakes_in_the_config_are_named(root: Path):
    dataset = open_views(root).main
    with pytest.raises(ValueError, match=r"unknown \['pipeline'\]"):
        DomainViews(dict(source=dict(dataset=dataset, pipeline=WEAK)))
    with pytest.raises(ValueError, match=r"order must be one of.*'random'"):
        DomainViews(dict(source=dict(dataset=dataset, order='random')))
    with pytest.raises(ValueError, match="two views have the name 'a'"):
        DomainViews(dict(a=dict(dataset=dataset), b=dict(dataset=dataset, views=dict(a=WEAK))))


def test_domains_without_common_season_are_refused(tmp_path: Path):
    write_timematch_miniature(tmp_path)
    write_timematch_miniature(tmp_path, DOMAINS['FR1'], parcels=7, dates=3)
    early, late = [20170101, 20170110, 20170301], [20170601, 20170710, 20170801, 20170802, 20170803, 20170804, 20170805]
    change_metadata(tmp_path, DOMAINS['FR1'], dates=early)
    change_metadata(tmp_path, DOMAINS['DK1'], dates=[*late, 20170901])
    with pytest.raises(DataError, match=r"'target' \(days 0 to 59 .* do not overlap .*'source' \(days 151 to 243\)"):
        open_views(tmp_path)


def test_root_and_fold_reach_the_domains(root: Path):
    from mmengine.config import Config

    from mmsits.engine.config import hand_on

    inner = dict(type='TimeMatchDataset', data_root='old', fold=0)
    domains = dict(source=dict(dataset=dict(inner)), target=dict(dataset=dict(inner), views=dict(weak=WEAK)))
    cfg = Config(
        dict(
            default_scope='mmseg',
            data_root='new',
            fold=2,
            train_dataloader=dict(dataset=dict(type='DomainViews', domains=domains)),
        )
    )
    hand_on(cfg, dict(data_root=['old'], fold=[0]))
    found = cfg.train_dataloader.dataset.domains
    assert [(found[name].dataset.data_root, found[name].dataset.fold) for name in found] == [('new', 2)] * 2
    assert 'data_root' not in found.target.views.weak[0]
