"""check_dataset, browse_dataset, dataset_stats and baseline as a user runs them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from mmsits.evaluation.segmentation_metric import scores
from tests.helpers.forked_tools import run_tools
from tests.helpers.pastis_miniature import write_pastis_miniature

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / 'tools' / 'analysis_tools'


@pytest.fixture(scope='module')
def runs(tmp_path_factory):
    """One good and one damaged folder, gone through by the tools."""
    base = tmp_path_factory.mktemp('tools')
    good = write_pastis_miniature(base / 'good', patches=10, sensors=('s2', 's1a'))
    (good / 'NORM_S1A_patch.json').unlink()
    bad = write_pastis_miniature(base / 'bad', patches=10)
    path = bad / 'DATA_S2' / 'S2_10001.npy'
    path.write_bytes(path.read_bytes()[:-7])
    np.save(bad / 'DATA_S2' / 'S2_10003.npy', np.load(bad / 'DATA_S2' / 'S2_10003.npy')[:, :9])
    np.save(bad / 'ANNOTATIONS' / 'TARGET_10004.npy', np.full((3, 16, 16), 99, np.uint8))
    config = base / 'config.py'
    config.write_text(
        f"_base_ = ['{ROOT}/configs/_base_/datasets/pastis.py', '{ROOT}/configs/_base_/default_runtime.py']\n"
        f"data_root = '{good}'\n"
        "train_dataloader = dict(dataset=dict(sensors=('s2', 's1a')))\n"
        "test_evaluator = dict(excluded_classes=['meadow'], average_over='reference_or_prediction')\n"
    )
    commands = {
        'check_good': ['check_dataset.py', config, '--out', base / 'good.csv'],
        'check_bad': ['check_dataset.py', config, '--out', base / 'bad.csv', '--cfg-options', f'data_root={bad}',
                      'train_dataloader.dataset.sensors=("s2",)'],
        'browse': ['browse_dataset.py', config, '--out', base / 'pictures', '-n', '2', '--dates', '3'],
        'stats': ['dataset_stats.py', good, '--norm', base / 'norm', '--out', base / 'card'],
        'stats_config': ['dataset_stats.py', config, '--split', 'val'],
        'base_only': ['check_dataset.py', ROOT / 'configs/_base_/datasets/pastis.py', '--cfg-options',
                      f'data_root={good}'],
        'baseline': ['baseline.py', config, '--trees', '5', '--seeds', '0', '1', '--out', base / 'baseline.json',
                     '--cfg-options', 'train_dataloader.dataset.sensors=("s2",)'],
        'baseline_nowhere': ['baseline.py', config, '--cfg-options', 'data_root=/nowhere'],
        'misspelt': ['check_dataset.py', config, '--cfg-options', 'data_roots=nowhere'],
    }  # fmt: skip
    group = [
        dict(argv=[TOOLS / command[0], *command[1:]], log=base / f'{name}.log') for name, command in commands.items()
    ]
    statuses = [status for (status,) in run_tools([[run] for run in group])]
    logs = {name: (base / f'{name}.log').read_text() for name in commands}
    return base, dict(zip(commands, statuses, strict=True)), logs


def test_a_good_dataset_passes(runs):
    base, statuses, logs = runs
    assert statuses['check_good'] == 0, logs['check_good']
    assert 'train: 6 samples read, 0 bad' in logs['check_good']
    assert 'test: 2 samples read, 0 bad' in logs['check_good']
    assert len((base / 'good.csv').read_text().splitlines()) == 1


def test_the_base_config_alone_is_enough(runs):
    _, statuses, logs = runs
    assert statuses['base_only'] == 0, logs['base_only']


def test_every_bad_sample_is_listed(runs):
    base, statuses, logs = runs
    assert statuses['check_bad'] == 1
    assert 'train: 6 samples read, 2 bad' in logs['check_bad']
    with (base / 'bad.csv').open() as file:
        rows = {row['sample_id']: row for row in csv.DictReader(file)}
    assert set(rows) == {'10001', '10003', '10004'}
    assert 'truncated' in rows['10001']['message']
    assert '9 found' in rows['10003']['message']
    assert 'class code 99 at row 0, column 0' in rows['10004']['message']
    assert [rows[name]['split'] for name in sorted(rows)] == ['train', 'train', 'val']
    assert all(row['message'] in logs['check_bad'] for row in rows.values())


def test_a_misspelt_option_is_a_sentence(runs):
    _, statuses, logs = runs
    assert statuses['misspelt'] == 2
    assert "did you mean 'data_root'" in logs['misspelt']
    assert 'Traceback' not in logs['misspelt']


def test_browse_draws_the_asked_number_of_samples(runs):
    base, statuses, logs = runs
    assert statuses['browse'] == 0, logs['browse']
    assert sorted(path.name for path in (base / 'pictures').iterdir()) == ['00000_10001.png', '00001_10006.png']


def test_stats_of_a_folder_write_the_missing_norm_file(runs):
    base, statuses, logs = runs
    assert statuses['stats'] == 0, logs['stats']
    card = json.loads((base / 'card' / 'data_card.json').read_text())
    assert card['samples'] == card['described'] == 10
    assert set(card['sensors']) == {'s2', 's1a'}
    norm = json.loads((base / 'norm' / 'NORM_S1A_patch.json').read_text())
    values = np.stack([np.load(base / 'good' / 'DATA_S1A' / f'S1A_{n}.npy').mean((0, 2, 3)) for n in (10002, 10007)])
    np.testing.assert_allclose(norm['Fold_2']['mean'], values.mean(0), rtol=1e-5)


def test_stats_of_a_config_take_its_split(runs):
    _, statuses, logs = runs
    assert statuses['stats_config'] == 0, logs['stats_config']
    assert 'PASTISDataset: 2 samples' in logs['stats_config']


def test_baselines_are_scored_by_the_rules_of_the_metric(runs):
    base, statuses, logs = runs
    assert statuses['baseline'] == 0, logs['baseline']
    results = json.loads((base / 'baseline.json').read_text())
    assert [len(results['confusion'][name]) for name in ('random forest', 'linear model', 'majority class')] == [
        2,
        1,
        1,
    ]
    matrix = np.array(results['confusion']['random forest'][0])
    expected = scores(matrix, excluded_classes=[1], average_over='reference_or_prediction').overall
    assert results['scores']['random forest'][0] == pytest.approx(expected, nan_ok=True)


def test_baselines_of_missing_data_end_with_a_sentence(runs):
    _, statuses, logs = runs
    assert statuses['baseline_nowhere'] == 1
    assert 'the PASTIS folder does not exist [file /nowhere]' in logs['baseline_nowhere']
    assert 'Traceback' not in logs['baseline_nowhere']
