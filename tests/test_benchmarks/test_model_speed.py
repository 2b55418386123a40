"""The speed benchmark measures what it says."""

import importlib.util
from pathlib import Path

import torch

PATH = Path(__file__).parents[2] / 'benchmarks' / 'model_speed.py'
spec = importlib.util.spec_from_file_location('model_speed', PATH)
assert spec is not None
assert spec.loader is not None
model_speed = importlib.util.module_from_spec(spec)
spec.loader.exec_module(model_speed)


def test_the_unit_is_the_network_described() -> None:
    network = model_speed.CalibrationNetwork()
    convolutions = (10 * 64 * 9 + 64) + (64 * 64 * 9 + 64) + 2 * 2 * 64
    assert sum(p.numel() for p in network.parameters()) == convolutions + (64 * 192 + 192) + (64 * 20 + 20)
    assert network(torch.zeros(2, 24, 10, 4, 4)).shape == (2 * 4 * 4, 20)


def test_padded_dates_are_invalid_and_zero() -> None:
    series = model_speed.make_series(model_speed.Case('utae', (2, 5, 3, 4, 4), (5, 2)))['s2']
    assert series.valid[:, :, 0, 0].sum(1).tolist() == [5, 2]
    assert not series.values[1, 2:].any()
    assert not series.days[1, 2:].any()


def test_a_row_has_a_figure_for_forward_and_training() -> None:
    row = model_speed.measure(model_speed.Case('utae', (1, 2, 10, 16, 16)), repeats=1, train=True)
    assert row[:3] == ['utae', '1x2x10x16x16', '1,087,260']
    assert all(float(figure) > 0 for figure in row[3:])
