"""Hooks of the pre-training: neighbours know classes before any is learnt, and a collapse does not go unnoticed."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger

from mmsits.engine import ConfigError, ContrastMonitorHook, NearestNeighbourProbeHook
from mmsits.engine.hooks.nearest_neighbour_probe_hook import nearest_neighbour_scores
from tests.test_models.test_pretraining.test_series_moco import build


class Recorder:
    def __init__(self) -> None:
        self.scalars: dict[int, dict] = {}

    def add_scalars(self, scalars: dict, step: int) -> None:
        self.scalars.setdefault(step, {}).update(scalars)


def runner_of(model: Any, name: str, iteration: int = 0) -> Any:
    return SimpleNamespace(
        model=model, iter=iteration, max_iters=4, logger=MMLogger.get_instance(name), visualizer=Recorder()
    )


def write_table(path: Any, seed: int) -> dict:
    """Pixels of two classes that differ in level."""
    rng = np.random.default_rng(seed)
    labels = np.arange(40) % 2
    x = rng.normal(size=(40, 5, 3)) + 4 * labels[:, None, None]
    np.savez(
        path,
        x=x.astype(np.float32),
        y=labels,
        classes=['low', 'high'],
        doy=np.arange(1, 51, 10),
        year=np.full(40, 2019),
    )
    return dict(type='SeriesTableDataset', table=str(path), pipeline=[dict(type='PackSeriesInputs')])


def test_neighbours_know_classes_that_are_easy(tmp_path: Any) -> None:
    configs = [write_table(tmp_path / f'{seed}.npz', seed) for seed in (0, 1)]
    statistics = dict(s2=dict(mean=[0.0] * 3, std=[1.0] * 3))
    model = build(
        data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s2=3), statistics=statistics)
    ).train()
    hook = NearestNeighbourProbeHook(*configs, interval=2, neighbours=5, max_samples=30, batch_size=7)
    runner = runner_of(model, 'probe')
    before = {name: value.clone() for name, value in model.state_dict().items()}
    hook.before_train(runner)
    for runner.iter in range(4):
        hook.after_train_iter(runner, runner.iter)
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert [entry['iter'] for entry in hook.history] == [0, 2, 4]
    # Nothing was trained in between: the samples are the same, and so is the score.
    assert hook.history[0]['overall_accuracy'] == hook.history[2]['overall_accuracy'] > 0.9
    assert runner.visualizer.scalars[4].keys() == {'neighbours/overall_accuracy', 'neighbours/macro_f1'}
    again = NearestNeighbourProbeHook(*configs)
    again.load_state_dict(hook.state_dict())
    assert again.history == hook.history


def test_scores_of_neighbours() -> None:
    features = np.array([[1.0, 0], [1, 0.1], [0, 1], [0.1, 1]])
    labels = np.array([0, 0, 7, 7])
    assert nearest_neighbour_scores(features, labels, 3 * features, labels, 20) == (1.0, 1.0)
    accuracy, macro_f1 = nearest_neighbour_scores(features, labels, features, np.array([0, 0, 7, 0]), 1)
    assert accuracy == 0.75
    assert macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    with pytest.raises(ConfigError, match='no labelled sample'):
        nearest_neighbour_scores(features[:0], labels[:0], features, labels, 1)


def test_probe_needs_features_and_single_labels(tmp_path: Any) -> None:
    config = write_table(tmp_path / 'a.npz', 0)
    with pytest.raises(ConfigError, match='gives no features'):
        NearestNeighbourProbeHook(config, config).before_train(runner_of(torch.nn.Identity(), 'probe 2'))
    with pytest.raises(ConfigError, match='1 or more'):
        NearestNeighbourProbeHook(config, config, interval=0)
    statistics = dict(s2=dict(mean=[0.0] * 3, std=[1.0] * 3))
    model = build(data_preprocessor=dict(type='SeriesDataPreprocessor', sensors=dict(s2=3), statistics=statistics))
    unlabelled = dict(config, with_labels=False)
    with pytest.raises(ConfigError, match=r'one label .*got none'):
        NearestNeighbourProbeHook(unlabelled, config).before_train(runner_of(model, 'probe 3'))


def test_a_collapse_is_warned_of() -> None:
    model, hook = build(), ContrastMonitorHook(interval=2)
    runner = runner_of(model, 'monitor')
    warnings: list[str] = []
    runner.logger = SimpleNamespace(info=lambda text: None, log=lambda level, text: warnings.append(text))
    vectors = torch.nn.functional.normalize(torch.randn(50, 5), dim=1)
    for iteration, queries in ((0, vectors), (1, vectors), (3, vectors[:1].expand(50, 5))):
        runner.iter, model.latest = iteration, (queries, queries)
        hook.after_train_iter(runner, iteration)
    assert [entry['iter'] for entry in hook.history] == [2, 4]
    assert hook.history[0]['alignment'] == 0
    assert hook.history[0]['spread'] > 0.5 > 0.01 > hook.history[1]['spread']
    assert len(warnings) == 1
    assert 'collapsed' in warnings[0]
    again = ContrastMonitorHook()
    again.load_state_dict(hook.state_dict())
    assert again.history == hook.history


def test_the_monitor_watches_what_compares_vectors() -> None:
    with pytest.raises(ConfigError, match='SeriesMoCo'):
        ContrastMonitorHook(interval=1).after_train_iter(runner_of(torch.nn.Identity(), 'monitor 2'), 0)
    with pytest.raises(ConfigError, match='interval'):
        ContrastMonitorHook(interval=0)
