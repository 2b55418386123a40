"""Scores by threshold and by days before the harvest, of an untrained network on patches with known labels."""

import csv
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import Compose
from mmseg.registry import MODELS

from mmsits.datasets.crop_calendar import CropCalendar
from mmsits.datasets.errors import DataError
from mmsits.datasets.inspection import build_dataset
from mmsits.datasets.transforms import HandleMissingValues, PackSeriesInputs
from mmsits.engine import load_config
from tests.helpers.composites import write_root
from tools import test as test_tool
from tools.analysis_tools import before_harvest

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """
_base_ = [{base!r}]
data_root = {root!r}
_data = dict(data_root=data_root, split=None, harvest_date='2022-05-01')
test_dataloader = dict(batch_size=2, dataset=_data)
model = dict(
    data_preprocessor=dict(
        statistics=dict(s1=dict(mean=[-12.0] * 2, std=[4.0] * 2), s2=dict(mean=[0.3] * 10, std=[0.1] * 10))),
    backbone=dict(width=2), decode_head=dict(in_channels=4))
"""


@pytest.fixture(scope='module')
def network(tmp_path_factory):
    """A config and a checkpoint."""
    folder = tmp_path_factory.mktemp('network')
    write_root(folder / 'data', ['a_r00_c00', 'b_r00_c00'], [211, 216, 500, 0], np.int16)
    base = ROOT / 'configs' / 'siamese_unet3d' / 'siamese-unet3d_simulated-eurocropmap.py'
    config = folder / 'tiny.py'
    config.write_text(CONFIG.format(base=str(base), root=str(folder / 'data')))
    torch.manual_seed(0)
    model = MODELS.build(load_config(config).model)
    torch.save({'state_dict': model.state_dict(), 'meta': {}}, folder / 'weights.pth')
    return config, folder / 'weights.pth'


def run(monkeypatch, tool, *arguments):
    monkeypatch.setattr(sys, 'argv', ['tool', *map(str, arguments)])
    options = tool.parse_arguments() if tool is test_tool else tool.make_parser().parse_args()
    tool.main(options)


def curve(folder, crop):
    rows = list(csv.DictReader((folder / 'before_harvest.csv').open()))
    return {int(row['days']): row['AP'] for row in rows if row['crop'] == crop}


def test_scores_change_when_images_are_hidden_and_not_before(network, tmp_path, monkeypatch):
    # The last composite is complete 30 days before the harvest, and dated 46 days before it.
    days = ('--out', tmp_path, '--days', 0, 30, 31)
    # What the training began from is not there any more.
    gone = ('--cfg-options', 'load_from=nowhere.pth')
    run(monkeypatch, before_harvest, *network, *days, '--crops', 'maize', 'rye', *gone)
    maize = curve(tmp_path, 'maize')
    assert maize[0] == maize[30] != maize[31]
    assert set(curve(tmp_path, 'rye').values()) == {''}  # nothing of it there
    run(monkeypatch, before_harvest, *network, '--out', tmp_path / 'lag', '--days', 40, 31, '--lag', 6)
    assert curve(tmp_path / 'lag', 'maize') == {40: maize[0], 31: maize[0]}
    assert (tmp_path / 'before_harvest.png').read_bytes().startswith(b'\x89PNG')
    with pytest.raises(DataError, match=r'300 days before the harvest nothing was there.*--days'):
        run(monkeypatch, before_harvest, *network, '--out', tmp_path, '--days', 300)


def test_what_came_later_is_hidden_before_anything_else_sees_it(network):
    class LoadNothing:
        def __call__(self, results):
            return results

    dataset = build_dataset(load_config(network[0]).test_dataloader.dataset)
    steps = [LoadNothing(), HandleMissingValues('interpolate'), PackSeriesInputs()]
    dataset.pipeline = Compose(steps)
    part = before_harvest.cut_dataset(dataset, 30, before_harvest.CropDates(), None)
    names = [type(step).__name__ for step in part.pipeline.transforms]
    assert names == ['LoadNothing', 'HideDaysBeforeHarvest', 'HandleMissingValues', 'PackSeriesInputs']
    assert dataset.pipeline.transforms == steps


def test_a_calendar_gives_each_crop_its_own_harvest(network, tmp_path, monkeypatch, capsys):
    heading = 'crop,Province,Planting Start Date,Planting End Date,Harvest Start Date,Harvest End Date'
    lines = ['maize,Kent,2021-09-01,2021-10-01,2022-05-01,2022-06-01', 'rye,Kent,2020-01-01,2020-02-01,-,-']
    (tmp_path / 'calendar.csv').write_text('\n'.join([heading, *lines]))
    dated = ('--calendar', tmp_path / 'calendar.csv', '--province', 'Kent')
    days = ('--out', tmp_path, '--days', 0, 100)
    run(monkeypatch, before_harvest, *network, *days, '--crops', 'maize')
    own = curve(tmp_path, 'maize')
    run(monkeypatch, before_harvest, *network, *days, *dated, '--crops', 'maize')
    assert curve(tmp_path, 'maize') == own
    with pytest.raises(DataError, match=r'no harvest of rye.*--crops'):
        run(monkeypatch, before_harvest, *network, *days, *dated, '--crops', 'rye')
    # Of all crops, those that the calendar does not know are left out, and named.
    run(monkeypatch, before_harvest, *network, *days, *dated)
    assert curve(tmp_path, 'maize') == own
    assert curve(tmp_path, 'rye') == {}
    assert 'rye' in capsys.readouterr().err


@pytest.mark.parametrize(('year', 'words'), [(2024, 'more than a year before'), (2021, 'nothing was there')])
def test_a_calendar_of_another_year_is_refused(network, tmp_path, monkeypatch, year, words):
    heading = 'crop,Province,Planting Start Date,Planting End Date,Harvest Start Date,Harvest End Date'
    line = f'maize,Kent,{year - 1}-09-01,{year - 1}-10-01,{year}-05-01,{year}-06-01'
    (tmp_path / 'calendar.csv').write_text(f'{heading}\n{line}')
    dated = ('--calendar', tmp_path / 'calendar.csv', '--province', 'kent')
    with pytest.raises(DataError, match=words):
        run(monkeypatch, before_harvest, *network, '--out', tmp_path, '--days', 0, *dated)


def test_samples_of_provinces_without_a_harvest_are_listed_and_left_out_if_asked_for(network, tmp_path, monkeypatch):
    config, weights = network
    shutil.copytree(config.parent / 'data', tmp_path / 'data')
    table = 'uuid,harvest_date,province\na,2022-05-01,Kent\nb,2022-05-01,Essex\n'
    (tmp_path / 'data' / 'regions.csv').write_text(table)
    heading = 'crop,Province,Planting Start Date,Planting End Date,Harvest Start Date,Harvest End Date'
    (tmp_path / 'calendar.csv').write_text(f'{heading}\nmaize,Kent,2021-09-01,2021-10-01,2022-05-01,2022-06-01\n')
    arguments = (config, weights, '--out', tmp_path / 'out', '--days', 0, '--crops', 'maize')
    dated = ('--calendar', tmp_path / 'calendar.csv', '--province', 'Kent')
    data = ('--cfg-options', f'data_root={tmp_path / "data"}')
    with pytest.raises(DataError, match=r'maize: Essex \(1\).*--leave-out-undated'):
        run(monkeypatch, before_harvest, *arguments, *dated, *data)
    run(monkeypatch, before_harvest, *arguments, *dated, '--leave-out-undated', *data)
    assert json.loads((tmp_path / 'out' / 'before_harvest.json').read_text())['left_out'] == {'maize': {'Essex': 1}}
    (tmp_path / 'data' / 'crop_map' / 'b_r00_c00.tif').unlink()
    alone = curve(tmp_path / 'out', 'maize')
    run(monkeypatch, before_harvest, *arguments, *dated, *data)
    assert curve(tmp_path / 'out', 'maize') == alone


def test_the_earliest_season_counts_and_an_unknown_province_is_named():
    dates = {'Fars': ['2021-01-01', '2021-02-01', '2021-06-01', '2021-07-01']}
    later = {'Fars': ['2021-03-01', '2021-04-01', '2021-09-01', '2021-10-01']}
    calendar = CropCalendar({'Onion_Late': later, 'Onion_Early': dates}, 'calendar.csv')
    assert before_harvest.harvests_of('onion', calendar, None) == {'Fars': '2021-06-01'}
    assert before_harvest.harvests_of('onion', calendar, 'Fars')[''] == '2021-06-01'
    with pytest.raises(DataError, match=r"in Kent, but in \['Fars'\]"):
        before_harvest.harvests_of('onion', calendar, 'Kent')


def test_the_test_tool_takes_a_threshold(network, tmp_path, monkeypatch):
    run(monkeypatch, test_tool, *network, '--threshold', 0.35, '--eval-crop', 'maize', '--work-dir', tmp_path)
    [path] = (tmp_path / 'thresholds').glob('results_maize_Threshold_0.35_*.json')
    assert 'f1_score' in json.loads(path.read_text())['Maize_Test']
    assert (tmp_path / 'thresholds' / 'pr_curves.png').exists()


def test_a_metric_in_the_config_keeps_its_options(network):
    config, _ = network
    cfg = load_config(config)
    cfg.work_dir = 'somewhere'
    cfg.test_evaluator = dict(type='OneVersusRestMetric', unlabelled_is_other=True, head_threshold=0.2)
    test_tool.score_by_threshold(cfg, 0.4, None)
    [metric] = cfg.test_evaluator
    assert (metric.threshold, metric.unlabelled_is_other, metric.head_threshold) == (0.4, True, 0.2)
    # Without one, it is that of the model: else a softmax over independent crops would be scored.
    cfg.test_evaluator = dict(type='OneVersusRestMetric')
    cfg.model.decode_head.threshold = 0.35
    test_tool.score_by_threshold(cfg, 0.4, None)
    assert cfg.test_evaluator[0].head_threshold == 0.35
