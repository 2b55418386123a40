"""The study of few labels: its runs are the configs', its tables and its plot show what there is."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'benchmarks' / 'label_scarcity.py'


@pytest.fixture(scope='module')
def study():
    spec = importlib.util.spec_from_file_location('label_scarcity', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # NamedTuple looks its module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def record(method, share, seed, value, data='simulated'):
    return dict(data=data, method=method, share=share, seed=seed, labels=int(800 * share), macro_f1=value, oa=value + 5)


def test_runs_differ_in_weights_and_labels_alone(study):
    lengths = study.Lengths(iterations=4, dates=20, batch_size=8)
    tasks = study.tasks_of(['simulated'], ['scratch', 'pretrained'], [0.1], [3])
    scratch, pretrained = (study.finetuning_config(task, lengths) for task in tasks)
    assert scratch.to_dict() == pretrained.to_dict()
    assert scratch.train_dataloader.dataset.label_fraction == 0.1
    assert scratch.train_dataloader.dataset.label_seed == 3
    assert scratch.train_cfg.max_iters == 4
    assert scratch.train_dataloader.batch_size == 8
    assert [step.num_dates for step in scratch.train_dataloader.dataset.pipeline if 'num_dates' in step] == [20]
    assert scratch.param_scheduler[0].end <= 4
    for data in study.DATA:
        assert study.pretraining_config(data, lengths).train_dataloader.dataset.type == 'ContrastiveViews'


def test_names_of_runs_are_different(study):
    tasks = study.tasks_of(study.DATA, study.NAMES, [0.01, 0.1, 1], [0, 1])
    assert len({task.name for task in tasks}) == len(tasks) == 2 * 4 * 3 * 2


def test_table_and_plot_show_means_over_seeds(study, tmp_path):
    records = [
        record('scratch', 0.1, 0, 60.0),
        record('scratch', 0.1, 1, 70.0),
        record('pretrained', 0.1, 0, 66.0),
        record('forest', 1.0, 0, 80.0),
    ]
    lines = study.table_of(records, 'simulated', 'macro_f1').splitlines()
    assert lines[0] == '| | 10%: 80 labels | 100%: 800 labels |'
    assert lines[2] == '| random forest | – | 80.0 |'
    assert lines[3] == '| STNet from scratch | 65.0 ± 7.1 (2) | – |'
    assert lines[4] == '| STNet pre-trained (Transformer, MoCo v2) | 66.0 | – |'
    pytest.importorskip('matplotlib')
    study.plot(records, tmp_path / 'images' / 'plot.png')
    assert (tmp_path / 'images' / 'plot.png').stat().st_size > 1000
