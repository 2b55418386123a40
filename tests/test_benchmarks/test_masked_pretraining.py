"""The study of masked pre-training: its runs are the configs', and its table shows means over seeds."""

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / 'benchmarks' / 'masked_pretraining.py'


@pytest.fixture(scope='module')
def study():
    spec = importlib.util.spec_from_file_location('masked_pretraining', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    # NamedTuple looks its module up.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_runs_of_a_seed_differ_in_weights_alone_and_nothing_is_validated(study):
    for data in study.FINETUNING:
        scratch, pretrained = (
            study.finetuning_config(study.Task(data, method, 0.05, 3), iterations=7)
            for method in ('scratch', 'pretrained')
        )
        assert scratch.to_dict() == pretrained.to_dict()
        assert scratch.train_cfg.max_iters == scratch.default_hooks.checkpoint.interval == 7
        assert scratch.get('val_dataloader') is None
        pretraining = study.pretraining_config(data, 5)
        assert pretraining.model.backbone == scratch.model.backbone
        assert pretraining.data_root == scratch.data_root


def test_the_seed_draws_the_labels(study):
    patches = study.finetuning_config(study.Task('simulated', 'scratch', 0.05, 3)).train_dataloader.dataset
    assert (patches.label_fraction, patches.label_seed) == (0.05, 3)
    pixels = study.finetuning_config(study.Task('flanders', 'scratch', 0.05, 3)).train_dataloader.dataset.pipeline
    names = [step['type'] for step in pixels]
    assert names.index('LoadSeriesLabels') < names.index('KeepLabelledPixels') < names.index('SeriesRandomCrop')
    assert pixels[names.index('KeepLabelledPixels')] == dict(type='KeepLabelledPixels', fraction=0.05, seed=3)


def test_nothing_of_the_tested_tiles_is_seen_before(study):
    pretraining, training = (
        study.pretraining_config('flanders'),
        study.finetuning_config(study.Task('flanders', 'pretrained', 1.0, 0)),
    )
    tested = set(training.test_dataloader.dataset.folds)
    for cfg in (pretraining, training):
        assert not tested & set(cfg.train_dataloader.dataset.folds)


def test_table_shows_means_over_seeds(study):
    def record(method, share, seed, value):
        return dict(
            data='simulated', method=method, share=share, seed=seed, mIoU=value, macro_F1=value + 1, OA=value + 2
        )

    records = [record('scratch', 0.05, 0, 60.0), record('scratch', 0.05, 1, 70.0), record('forest', 1.0, 0, 80.0)]
    lines = study.table_of(records, 'simulated').splitlines()
    assert lines[0] == '| labels | | mIoU | macro_F1 | OA | seeds |'
    assert lines[2] == '| 5% | from scratch | 65.0 ± 7.1 | 66.0 ± 7.1 | 67.0 ± 7.1 | 2 |'
    assert lines[3] == '| 100% | random forest | 80.0 | 81.0 | 82.0 | 1 |'
