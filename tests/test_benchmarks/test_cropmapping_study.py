"""The benchmark of CropMapping keeps its results and sums them up."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from mmsits.datasets.cropmapping import ISRC_CROPS
from mmsits.structures import ImageSeries

PATH = Path(__file__).parents[2] / 'benchmarks' / 'cropmapping.py'
spec = importlib.util.spec_from_file_location('cropmapping_benchmark', PATH)
assert spec is not None
assert spec.loader is not None
benchmark = importlib.util.module_from_spec(spec)
sys.modules['cropmapping_benchmark'] = benchmark
spec.loader.exec_module(benchmark)


def test_runs_that_are_done_are_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    done: list[tuple[int, str]] = []

    def study(_: Path, __: Any, seed: int, ___: Sequence[float]) -> Iterator[tuple[str, Any]]:
        for name, value in (('S1', 0.3), ('S2', 0.5)):

            def run(name: str = name, value: float = value) -> dict[str, float]:
                done.append((seed, name))
                return dict(mIoU=value + 0.1 * seed, macro_F1=value, OA=value, seconds=2.0)

            yield name, run

    monkeypatch.setitem(benchmark.STUDIES, 'fusion', study)
    for seeds in (['0'], ['0', '1']):
        benchmark.main(benchmark.parse_arguments(['fusion', '--seeds', *seeds, '--work-dir', str(tmp_path)]))
    assert done == [(0, 'S1'), (0, 'S2'), (1, 'S1'), (1, 'S2')]
    assert '| S2 | 55.0 ± 5.0 | 50.0 ± 0.0 | 50.0 ± 0.0 | 2 | 2 |' in capsys.readouterr().out


def test_streams_of_all_three_networks_are_of_one_width() -> None:
    benchmark.init_default_scope('mmseg')
    settings = benchmark.Settings(width=8)
    for sensors in (('s1',), ('s2',), ('s1', 's2')):
        model = benchmark.build(settings, sensors, dict(type='MultiLabelHead', num_classes=4))
        assert model.backbone.out_channels == (8 * len(sensors),)
        assert model.decode_head.in_channels == 8 * len(sensors)


def test_shares_of_crops_are_probabilities() -> None:
    config = benchmark.region_config(benchmark.Settings(patch_size=16), 0, 0.4, classes=benchmark.ISRC_CLASSES)
    priors = dict(zip(ISRC_CROPS, benchmark._priors(config), strict=True))
    assert priors['onion'] == 1e-3
    assert 0.01 < priors['maize'] < 0.5
    assert sum(priors.values()) < 1


def test_patches_are_turned_with_their_labels() -> None:
    batches = benchmark.Batches.__new__(benchmark.Batches)
    values = torch.arange(32.0).view(2, 1, 1, 4, 4)
    batches.inputs = {'s1': ImageSeries(values, torch.zeros(2, 1), torch.ones(2, 1, 1, 1, dtype=torch.bool))}
    batches.targets = values[:, 0].long()
    inputs, targets = batches.chosen(torch.tensor([1]), turn=1, mirror=True)
    assert torch.equal(inputs['s1'].values[:, 0].long(), targets)
    assert not torch.equal(targets, batches.targets[1:])
