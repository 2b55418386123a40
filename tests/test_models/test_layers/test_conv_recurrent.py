"""Recurrences over maps, against the same written date by date."""

import pytest
import torch

from mmsits.models.layers.conv_recurrent import ConvGRUCell, ConvLSTMCell, ConvRecurrence
from mmsits.models.layers.date_packing import DatePacking

EXISTS = torch.tensor([[True, False, True, True], [False, True, False, False], [False] * 4])


@pytest.mark.parametrize('cell', ['lstm', 'gru'])
@pytest.mark.parametrize('bidirectional', [False, True])
def test_each_series_runs_over_its_own_dates(cell: str, bidirectional: bool) -> None:
    torch.manual_seed(0)
    layer = ConvRecurrence(2, 3, cell, bidirectional=bidirectional)
    values, dates = torch.randn(3, 4, 2, 5, 6), DatePacking(EXISTS)
    out = layer(dates.pack(values), dates)
    assert out.shape == (3, layer.out_channels, 5, 6)
    for row, exists in enumerate(EXISTS):
        parts = []
        for one, order in ((layer.ahead, 1), (layer.back, -1)):
            if one is None:
                continue
            state = (torch.zeros(1, 3, 5, 6),) * one.parts
            for date in exists.nonzero().flatten().tolist()[::order]:
                state = one(values[row : row + 1, date], state)
            parts.append(state[-1])
        torch.testing.assert_close(out[row : row + 1], torch.cat(parts, 1))
    assert not out[2].any()


def test_gates_are_those_of_an_lstm() -> None:
    """With maps of one pixel, the cell is torch's."""
    torch.manual_seed(0)
    cell, reference = ConvLSTMCell(2, 3, 1), torch.nn.LSTMCell(2, 3)
    order = [0, 1, 3, 2]  # ours: input, forget, output, candidate; torch's: input, forget, candidate, output
    weight = torch.cat([reference.weight_ih, reference.weight_hh], 1).unflatten(0, (4, 3))[order].flatten(0, 1)
    bias = (reference.bias_ih + reference.bias_hh).unflatten(0, (4, 3))[order].flatten()
    cell.load_state_dict({'conv.weight': weight.detach()[..., None, None], 'conv.bias': bias.detach()})
    x, hidden, state = torch.randn(4, 2), torch.randn(4, 3), torch.randn(4, 3)
    ours = cell(x[..., None, None], (hidden[..., None, None], state[..., None, None]))
    for a, b in zip(ours, reference(x, (hidden, state)), strict=True):
        torch.testing.assert_close(a[..., 0, 0], b)


def test_a_closed_update_gate_keeps_the_state() -> None:
    cell = ConvGRUCell(2, 3)
    with torch.no_grad():
        cell.gates.weight.zero_()
        cell.gates.bias.copy_(torch.tensor([-100.0] * 3 + [0.0] * 3))
    hidden = torch.randn(1, 3, 4, 4)
    assert torch.equal(cell(torch.randn(1, 2, 4, 4), (hidden,))[0], hidden)


def test_half_precision_keeps_running() -> None:
    layer, dates = ConvRecurrence(2, 3, bidirectional=True), DatePacking(EXISTS)
    with torch.autocast('cpu', torch.bfloat16):
        out = layer(dates.pack(torch.randn(3, 4, 2, 5, 6)), dates)
    assert torch.isfinite(out).all()
