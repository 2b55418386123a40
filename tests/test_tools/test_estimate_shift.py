"""Shifts of domains and of groups of parcels, found without labels."""

import csv
import json

import pytest
import torch

from tests.helpers.parcel_network import call, write_parcel_network
from tests.helpers.timematch_miniature import change_metadata, write_timematch_miniature
from tools.analysis_tools import estimate_shift

SHIFT = 20


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    return write_parcel_network(tmp_path_factory.mktemp('shift'), shift_days=SHIFT, steps=150)


def rows_of(folder):
    with open(folder / 'shifts.csv', newline='') as file:
        return list(csv.DictReader(file))


def test_the_shift_of_each_domain_is_found(trained, tmp_path, monkeypatch, capsys):
    options = ('--domains', 'FR1', 'DK1', '--max-shift', 40, '--pixels', 0, '--out', tmp_path)
    assert call(estimate_shift, monkeypatch, *trained, *options) == 0
    late, same = rows_of(tmp_path)
    assert abs(int(late['add_days']) + SHIFT) <= 6
    assert abs(int(same['add_days'])) <= 6
    assert (late['domain'], late['parcels']) == ('FR1', '40')
    assert 'days later' in capsys.readouterr().out
    content = json.loads((tmp_path / 'shifts.json').read_text())
    assert len(content[0]['curves']['AM']) == 81
    assert sum(content[0]['class_shares']) == pytest.approx(1)
    assert {path.name for path in tmp_path.glob('*.png')} == {'FR1.png', 'DK1.png'}


def test_networks_that_disagree_are_not_trusted(trained, tmp_path, monkeypatch, capsys):
    config, checkpoint = trained
    content = torch.load(checkpoint, weights_only=True)
    torch.manual_seed(1)
    content['state_dict'] = {
        name: torch.randn_like(value) if value.is_floating_point() and 'running' not in name else value
        for name, value in content['state_dict'].items()
    }
    torch.save(content, tmp_path / 'other.pth')
    options = ('--domains', 'FR1', '--max-shift', 30, '--step', 5, '--pixels', 0, '--separation', 0, '--out', tmp_path)
    assert call(estimate_shift, monkeypatch, config, checkpoint, tmp_path / 'other.pth', checkpoint, *options) == 0
    (row,) = rows_of(tmp_path)
    first, other, again = (int(shift) for shift in row['add_days_by_network'].split())
    assert first == again != other
    # The middle one of the three.
    assert int(row['add_days']) == first
    assert row['trusted'] == 'False'
    assert 'the networks disagree' in capsys.readouterr().out


def test_groups_by_block_and_by_a_table(trained, tmp_path, monkeypatch, capsys):
    options = ('--max-shift', 5, '--out', tmp_path, '--min-parcels', 8)
    assert call(estimate_shift, monkeypatch, *trained, '--group-by', 'block', *options) == 0
    assert [row['group'] for row in rows_of(tmp_path)] == list('01234')
    table = tmp_path / 'groups.csv'
    table.write_text('id,valley\n' + '\n'.join(f'{1000 + n},{"north" if n < 30 else "south"}' for n in range(35)))
    assert call(estimate_shift, monkeypatch, *trained, '--group-by', 'valley', '--groups', table, *options) == 0
    found = {row['group']: row for row in rows_of(tmp_path)}
    assert {name: row['parcels'] for name, row in found.items()} == {
        'north': '30',
        'south': '5',
        'not in the table': '5',
    }
    assert found['south']['add_days'] == ''
    assert 'too few parcels' in found['south']['warnings']
    assert 'too few parcels' in capsys.readouterr().out


def test_neither_labels_nor_the_source_nor_a_class_table_is_needed(trained, tmp_path, monkeypatch):
    root = write_timematch_miniature(tmp_path / 'own', 'france/00AAA/2021', parcels=10, dates=24, seed=3)
    change_metadata(root, 'france/00AAA/2021', parcels=lambda rows: [{**row, 'label': 'not surveyed'} for row in rows])
    (root / 'france').rename(root / 'atlantis')
    options = ('--domains', 'atlantis/00AAA/2021', '--max-shift', 3, '--min-parcels', 5, '--out', tmp_path / 'out')
    assert call(estimate_shift, monkeypatch, *trained, *options, '--cfg-options', f'data_root={root}') == 0
    assert rows_of(tmp_path / 'out')[0]['parcels'] == '10'


def test_an_adaptor_checkpoint_gives_the_network_that_predicts(trained, tmp_path, monkeypatch):
    config, checkpoint = trained
    content = torch.load(checkpoint, weights_only=True)
    state = {f'segmentor.{name}': value for name, value in content['state_dict'].items()}
    torch.save(dict(state_dict=state, meta=content['meta']), tmp_path / 'adaptor.pth')
    options = ('--max-shift', 5, '--out')
    assert call(estimate_shift, monkeypatch, config, tmp_path / 'adaptor.pth', *options, tmp_path / 'a') == 0
    assert call(estimate_shift, monkeypatch, config, checkpoint, *options, tmp_path / 'b') == 0
    assert rows_of(tmp_path / 'a') == rows_of(tmp_path / 'b')


@pytest.mark.parametrize(
    ('arguments', 'status', 'sentence'),
    [
        (('--domains', 'FR9'), 1, 'neither'),
        (('--group-by', 'colour'), 1, 'no column'),
        (('--groups', 'x.csv'), 2, '--group-by'),
        (('--group-by', 'a', '--groups', 'missing.csv'), 1, 'table is missing'),
        (('--class-shares', 'corn=much'), 2, 'CLASS=SHARE'),
        (('--class-shares', 'rice=1'), 2, 'meadow'),
        (('--max-shift', '0'), 1, 'max_shift'),
        (('--batch-size', '0'), 2, '--batch-size'),
        (('--cfg-options', 'model.decode_head.num_classes=3'), 1, 'another network'),
    ],
)
def test_bad_input_ends_with_a_sentence(trained, monkeypatch, capsys, arguments, status, sentence):
    assert call(estimate_shift, monkeypatch, *trained, *arguments) == status
    assert sentence in capsys.readouterr().err


def test_known_shares_of_classes_are_used(trained, tmp_path, monkeypatch):
    shares = ('--class-shares', 'corn=0.5', 'meadow=0.5')
    assert call(estimate_shift, monkeypatch, *trained, '--max-shift', 5, '--out', tmp_path, *shares) == 0
    content = json.loads((tmp_path / 'shifts.json').read_text())
    assert sorted(content[0]['class_shares']) == [0, 0, 0.5, 0.5]
