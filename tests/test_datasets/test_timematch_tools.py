"""Tools that look at datasets take TimeMatch's, and domains one by one."""

from pathlib import Path

import pytest

from mmsits.datasets.data_card import describe_dataset
from mmsits.datasets.inspection import build_dataset, check_samples, dataset_configs
from mmsits.datasets.timematch import DOMAINS
from mmsits.engine import load_config
from tests.helpers.timematch_miniature import write_timematch_miniature

CONFIG = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'datasets' / 'timematch_adaptation.py'


@pytest.fixture(scope='module')
def configs(tmp_path_factory: pytest.TempPathFactory) -> dict:
    root = write_timematch_miniature(tmp_path_factory.mktemp('tools'))
    write_timematch_miniature(root, DOMAINS['FR1'], parcels=10, seed=1)
    (root / DOMAINS['FR1'] / 'data' / '4.zarr' / '0.0.0').write_bytes(b'damaged')
    return dataset_configs(load_config(CONFIG, dict(data_root=str(root), min_parcels=3, default_scope='mmseg')))


def test_domains_are_checked_one_by_one(configs: dict) -> None:
    assert list(configs) == ['train, source', 'train, target', 'val', 'test']
    bad = {name: [] for name in configs}
    for name, config in configs.items():
        bad[name] = [sample for sample in check_samples(build_dataset(config, augment=False), name) if sample]
    named = [sample for samples in bad.values() for sample in samples]
    assert not bad['train, source'] + bad['val']
    assert [sample.sample_id for sample in named] == ['france/30TXT/2017/4']
    assert 'chunk 0.0.0 is damaged' in named[0].message


def test_a_card_describes_parcels(configs: dict) -> None:
    card = describe_dataset(build_dataset(configs['val'], augment=False))
    assert card.samples == 2
    assert card.sensors['s2'].dtype == 'uint16'
    assert card.sensors['s2'].dates == (8, 8, 8)
    assert sum(card.class_pixels.values()) == 2
    assert card.season_starts == {'2017-01-01': 2}
