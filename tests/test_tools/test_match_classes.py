"""match_classes as a user runs it: built-in lists, configs, own codes."""

import numpy as np
import pytest

from mmsits.datasets.nomenclature import code_list_names
from tests.helpers.parcel_network import call
from tools.analysis_tools import match_classes

CONFIG = """
default_scope = 'mmseg'
custom_imports = dict(imports=['mmsits'])
train_dataloader = dict(dataset=dict(
    type='SeriesTableDataset', data_root={root!r}, table='fields.npz', pipeline=[dict(type='PackSeriesInputs')]))
"""


@pytest.fixture
def config(tmp_path):
    np.savez(
        tmp_path / 'fields.npz',
        x=np.ones((4, 2, 1), np.float32),
        date=np.array(['2019-05-01', '2019-06-01']),
        y=np.arange(4),
        classes=np.array(['Weizen', 'Mais', 'Wald', 'Moor']),
    )
    (tmp_path / 'codes.csv').write_text(
        'name,hcat,note\nWeizen,3301010101,\nMais,grain_maize_corn_popcorn,\nMoor,,land cover\n'
    )
    path = tmp_path / 'config.py'
    path.write_text(CONFIG.format(root=str(tmp_path)))
    return path


def last_setting(text, title):
    """The dict that the tool prints below a title."""
    line = text.split(f'# {title}')[1].splitlines()[1]
    return eval(line.removeprefix('nomenclature='), {'dict': dict})


def test_a_config_with_own_codes_meets_a_built_in_list(config, monkeypatch, capsys):
    codes = config.with_name('codes.csv')
    assert call(match_classes, monkeypatch, config, 'pastis', '--csv', codes, '--keep', 'Moor') == 0
    text = capsys.readouterr().out
    assert last_setting(text, 'shared classes')['classes'] == ['common_soft_wheat', 'grain_maize_corn_popcorn']
    assert last_setting(text, 'all classes')['keep'] == ['Moor']
    assert 'unknown in config: Wald' in text


def test_what_is_printed_gives_the_same_classes(monkeypatch, capsys):
    from mmsits.datasets.nomenclature import match_classes as match
    from mmsits.datasets.nomenclature import read_code_list

    assert call(match_classes, monkeypatch, 'timematch', 'us-cdl', '--level', 4, '--keep', 'unknown') == 0
    settings = last_setting(capsys.readouterr().out, 'all classes')
    lists = [read_code_list(name).codes(read_code_list(name).names) for name in ('timematch', 'us-cdl')]
    separately = [match(codes, **settings) for codes in lists]
    assert separately[0].classes == separately[1].classes == match(*lists, level=4, keep=['unknown']).classes


def test_the_lists_are_named(monkeypatch, capsys):
    assert call(match_classes, monkeypatch, '--list') == 0
    printed = capsys.readouterr().out
    assert all(f'{name}: ' in printed for name in code_list_names())


def test_a_side_that_is_nothing_is_refused(monkeypatch, capsys):
    assert call(match_classes, monkeypatch, 'pastis', 'nowhere.py') == 2
    assert 'nowhere.py' in capsys.readouterr().err
