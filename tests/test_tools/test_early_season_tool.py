"""The early-season curve: its end is the ordinary test, both ways work, and what is done is not done again."""

import json

import pytest
import torch
from mmseg.registry import MODELS

from mmsits.engine import load_config
from mmsits.evaluation.early_season import cut_series
from tests.helpers.parcel_network import call, write_parcel_network
from tests.helpers.pastis_miniature import write_pastis_miniature
from tests.helpers.tiny_model import write_config
from tools.analysis_tools import early_season

EXTRA = """
train_cfg.update(max_iters=4, val_interval=4)
custom_hooks = []
"""


@pytest.fixture(scope='module')
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp('early')
    root = write_pastis_miniature(folder / 'data', patches=5, size=8)
    config = write_config(folder / 'tiny.py', root, EXTRA)
    cfg = load_config(config)
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.data_preprocessor.set_statistics('s2', [1500.0] * 10, [1000.0] * 10)
    checkpoint = folder / 'network.pth'
    meta = dict(classes=[f'class {number}' for number in range(20)], season_start='09-01')
    torch.save(dict(state_dict=model.state_dict(), meta=dict(dataset_meta=meta)), checkpoint)
    return config, checkpoint


def test_scores_against_the_last_date(network, tmp_path, monkeypatch, capsys):
    config, checkpoint = network
    out = tmp_path / 'early'
    arguments = (config, '--checkpoint', checkpoint, '--out', out, '--device', 'cpu', '--dates')
    assert call(early_season, monkeypatch, *arguments, '10-10', '12-31') == 0
    said = capsys.readouterr().out
    assert 'ECE: mean' in said
    held = json.loads((out / 'early_season.json').read_text())['curves'][early_season.TESTED]
    assert list(held) == ['40', '122']
    assert {row['pixels'] for row in held.values()} == {held['40']['pixels']}
    assert held['40']['OA'] != held['122']['OA'] or held['40']['ECE'] != held['122']['ECE']
    # Behind the last observation nothing changes: this is the ordinary test.
    results = early_season.test_until(
        load_config(config), checkpoint, 400, early_season.argparse.Namespace(device='cpu', split='test', bins=15)
    )
    assert dict(results, last_date='12-31') == held['122']
    assert (out / 'early_season.png').stat().st_size > 5000
    assert (out / 'early_season.csv').read_text().count('\n') == 3
    # Repeated with one date more, only that is computed.
    asked = []
    monkeypatch.setattr(early_season, 'test_until', lambda cfg, path, end, options: asked.append(end) or held['40'])
    assert call(early_season, monkeypatch, *arguments, '10-10', '11-15', '12-31') == 0
    assert asked == ['11-15']
    # In leap years the first 122 days end a day earlier.
    assert call(early_season, monkeypatch, *arguments, '122') == 0
    assert asked == ['11-15', 122]
    other = (config, '--checkpoint', checkpoint, '--split', 'val', '--out', out, '--dates', '10-10')
    assert call(early_season, monkeypatch, *other) == 2


def test_one_network_for_each_length(network, tmp_path, monkeypatch, capsys):
    config, _ = network
    out = tmp_path / 'early'
    arguments = (config, '--fine-tune', '--out', out, '--device', 'cpu', '--dates', '12-31')
    assert call(early_season, monkeypatch, *arguments) == 0
    held = json.loads((out / 'early_season.json').read_text())['curves'][early_season.FINE_TUNED]
    assert list(held) == ['122']
    assert list((out / 'until_12-31').glob('*.pth'))
    assert call(early_season, monkeypatch, config, '--out', out, '--dates', '12-31') == 2
    # A training that was stopped before there was any result is not gone on with under another config.
    (out / 'early_season.json').unlink()
    assert call(early_season, monkeypatch, *arguments, '--cfg-options', 'train_cfg.max_iters=6') == 2
    assert 'training of another config' in capsys.readouterr().err


def test_training_data_end_early_too(network):
    cfg = load_config(network[0])
    cut = cut_series(cfg.train_dataloader.dataset, 40)
    assert [step['type'] for step in cut['pipeline']][2] == 'CropDays'


def test_networks_for_parcels_too(tmp_path, monkeypatch):
    config, checkpoint = write_parcel_network(tmp_path, parcels=24)
    loader = ('batch_size=8', 'num_workers=0', 'sampler.type=SeriesEvalSampler', 'collate_fn.type=identity_collate')
    options = [f'test_dataloader.{option}' for option in loader]
    out = tmp_path / 'early'
    arguments = (config, '--checkpoint', checkpoint, '--out', out, '--device', 'cpu', '--dates', '90', '364')
    assert call(early_season, monkeypatch, *arguments, '--cfg-options', *options) == 0
    held = json.loads((out / 'early_season.json').read_text())['curves'][early_season.TESTED]
    assert held['90']['pixels'] == held['364']['pixels'] > 0
    assert 0 <= held['364']['ECE'] <= 1
