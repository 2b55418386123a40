"""The command that packs TimeMatch's parcels, as a user runs it."""

import json
from pathlib import Path

import pytest

from mmsits.datasets import TimeMatchDataset
from mmsits.datasets.packed_parcels import PackedParcels
from mmsits.datasets.timematch import DOMAINS
from tests.helpers.forked_tools import run_tools
from tests.helpers.timematch_miniature import write_timematch_miniature

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'dataset_converters' / 'timematch.py'


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    base = tmp_path_factory.mktemp('pack')
    write_timematch_miniature(base / 'data')
    write_timematch_miniature(base / 'data', DOMAINS['FR1'], parcels=5, seed=1)
    broken = write_timematch_miniature(base / 'broken')
    (broken / DOMAINS['DK1'] / 'data' / '3.zarr' / '0.0.0').write_bytes(b'nothing')
    commands = {
        'all': [base / 'data', '--out', base / 'packed'],
        'again': [base / 'data', '--out', base / 'packed', '--domains', 'DK1'],
        'broken': [base / 'broken'],
        'empty': [base / 'nowhere'],
    }
    groups = [[dict(argv=[TOOL, *argv], log=base / f'{name}.log')] for name, argv in commands.items()]
    statuses = [group[0] for group in run_tools(groups)]
    outcome = {
        name: (status, (base / f'{name}.log').read_text()) for name, status in zip(commands, statuses, strict=True)
    }
    return base, outcome


def test_all_domains_are_packed_and_said_to_be(runs) -> None:
    base, outcome = runs
    status, log = outcome['all']
    assert status == 0
    assert 'denmark/32VNH/2017: 20 parcels' in log
    assert 'france/30TXT/2017: 5 parcels' in log
    store = json.loads((base / 'packed' / DOMAINS['FR1'] / 'packed' / 'store.json').read_text())
    assert store['parcels'] == 5
    dataset = TimeMatchDataset(str(base / 'packed'), source='DK1', target='FR1', role='target', min_parcels=5)
    assert isinstance(dataset.store, PackedParcels)
    assert len(dataset) == 5


def test_what_is_packed_is_left_alone(runs) -> None:
    assert runs[1]['again'] == (0, 'DK1: packed already\n')


@pytest.mark.parametrize(('name', 'message'), [('broken', 'chunk 0.0.0 is damaged'), ('empty', 'no domain')])
def test_a_failure_is_a_sentence(runs, name: str, message: str) -> None:
    status, log = runs[1][name]
    assert status == 1
    assert f'error: {message}' in log.replace('denmark/32VNH/2017 ', '')
    assert 'Traceback' not in log
