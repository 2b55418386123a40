"""A share of the labels: nested, the same for every kind of dataset, and loud where a class disappears."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from mmsits.datasets import DataError, PASTISDataset
from mmsits.datasets.label_fraction import chosen_samples
from mmsits.datasets.published_lists import STCLN_CELLS, list_classes, published_list
from mmsits.datasets.transforms import LoadPASTISInstances, LoadSeries, LoadSeriesLabels, PackSeriesInputs
from tests.helpers.pastis_miniature import write_pastis_miniature


@pytest.fixture(scope='module')
def pastis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pastis_miniature(tmp_path_factory.mktemp('pastis'), patches=10)


def _patches(root: Path, **options: object) -> PASTISDataset:
    return PASTISDataset(str(root), pipeline=[LoadSeries(), LoadSeriesLabels(), PackSeriesInputs()], **options)


def _ids(dataset: PASTISDataset) -> list[str]:
    return [dataset.get_data_info(index)['sample_id'] for index in range(len(dataset))]


@pytest.mark.parametrize('count', [1, 7, 1000])
def test_shares_are_nested_and_exact(count: int) -> None:
    shares = [set(chosen_samples(count, fraction, 3).tolist()) for fraction in (0.001, 0.01, 0.05, 0.5, 1)]
    assert all(small <= large for small, large in pairwise(shares))
    assert len(shares[0]) == 1
    assert len(shares[-1]) == count
    if count == 1000:
        assert [len(share) for share in shares] == [1, 10, 50, 500, 1000]
        assert set(chosen_samples(count, 0.05, 4).tolist()) != shares[2]


def test_patches_of_a_share(pastis: Path) -> None:
    half, whole = _patches(pastis, label_fraction=0.5), _patches(pastis)
    assert len(half) == 5
    assert set(_ids(half)) < set(_ids(whole))
    assert len(_patches(pastis, label_fraction=1.0)) == 10
    with pytest.raises(ValueError, match='label_fraction'):
        _patches(pastis, label_fraction=0)


def _log_of(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr('mmsits.datasets.label_fraction.print_log', lambda message, *_: said.append(message))
    return said


def test_a_class_of_label_maps_that_disappears_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = write_pastis_miniature(tmp_path, patches=5)
    labels = np.load(root / 'ANNOTATIONS' / 'TARGET_10005.npy')
    labels[:, 0, 0] = 18
    np.save(root / 'ANNOTATIONS' / 'TARGET_10005.npy', labels)
    seed = next(s for s in range(50) if 4 not in chosen_samples(5, 0.4, s))
    said = _log_of(monkeypatch)
    assert len(_patches(root, label_fraction=0.4, label_seed=seed)) == 2
    assert 'sorghum' in said[-1]
    # Classes that no patch has did not disappear.
    assert 'orchard' not in said[-1]


def test_published_lists_keep_order_and_repetitions() -> None:
    assert published_list('stcln_pastis_train')[:3] == [10279, 40282, 10174]
    assert len(set(published_list('stcln_pastis_val'))) == 71
    two = published_list('stcln_mtlcc_train_2%')
    assert len(two) == 78
    assert two[:6] == published_list('stcln_mtlcc_train')[:6]
    assert two[6] == published_list('stcln_mtlcc_train')[15]
    assert [len(published_list(f'stcln_mtlcc_val_{n}%')) for n in (1, 5)] == [39, 195]
    assert list_classes('stcln_mtlcc_val') == [1, 2, *range(4, 13), 15, 16]
    assert [len(cells) for cells in STCLN_CELLS.values()] == [1, 2, 5]
    for name in ('nothing', 'stcln_pastis_train_2%'):
        with pytest.raises(ValueError, match='no published list'):
            published_list(name)


def test_listed_patches_and_their_cells(pastis: Path) -> None:
    whole = _patches(pastis, patches=[10003, 10001, 10003])
    assert _ids(whole) == ['10003', '10001', '10003']
    cells = _patches(pastis, patches=[10003, 10001], cells=STCLN_CELLS[2])
    assert _ids(cells) == ['10003_0_0', '10003_1_1', '10001_0_0', '10001_1_1']
    full, part = whole[0], cells[1]
    assert torch.equal(part['inputs']['s2'].values, full['inputs']['s2'].values[..., 4:8, 4:8])
    assert torch.equal(part['targets'], full['targets'][..., 4:8, 4:8])
    assert part['metas']['window'] == (4, 4, 4, 4)


def test_cells_of_a_grid_make_up_the_patch(pastis: Path) -> None:
    places = [(row, column) for row in range(4) for column in range(4)]
    parts = _patches(pastis, patches=[10001], cells=places)
    labels = torch.stack([parts[index]['targets'][0] for index in range(16)]).view(4, 4, 4, 4)
    whole = _patches(pastis, patches=[10001])[0]['targets'][0]
    assert torch.equal(labels.permute(0, 2, 1, 3).reshape(16, 16), whole)


def test_wrong_cells_and_patches_are_named(pastis: Path) -> None:
    with pytest.raises(ValueError, match='cells must be pairs'):
        _patches(pastis, cells=[(0, 4)])
    with pytest.raises(DataError, match='cannot be cut into 3×3 cells'):
        _patches(pastis, cells=[(0, 0)], grid=3)[0]
    with pytest.raises(DataError, match='1 of 2 listed patches are not in folds 1: 10002'):
        _patches(pastis, folds=[1], patches=[10001, 10002]).full_init()
    kept = _patches(pastis, folds=[1], patches=[10001, 10002], absent_patches='warn')
    assert _ids(kept) == ['10001']
    with pytest.raises(DataError, match='no published list'):
        _patches(pastis, patches='stcln_pastis_tset').full_init()
    with pytest.raises(DataError, match='listed patches are not in'):
        _patches(pastis, patches=[1, 2], absent_patches='warn').full_init()


def test_instances_are_cut_too(tmp_path: Path) -> None:
    numbers = np.arange(64, dtype=np.int32).reshape(8, 8)
    paths = {name: str(tmp_path / f'{name}.npy') for name in ('heatmap', 'instances', 'zones')}
    for path in paths.values():
        np.save(path, numbers)
    np.save(tmp_path / 'target.npy', np.zeros((3, 8, 8), np.uint8))
    info = dict(instance_paths=paths, label_path=str(tmp_path / 'target.npy'), sample_id='1', cell=(1, 0, 4, 4))
    found = LoadPASTISInstances().transform(info)['instances']
    np.testing.assert_array_equal(found[1], numbers[2:4, 0:2])
