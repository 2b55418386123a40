from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.logging import MMLogger

from mmsits.engine import StatefulHook, load_strictly

LOGGER = MMLogger.get_instance('test_stateful_hook')


class _Counter(StatefulHook):
    def __init__(self, name: str = '') -> None:
        self.state_name = name
        self.shift = torch.zeros(2)
        self.history: list[float] = []

    def state_dict(self) -> dict[str, Any]:
        return dict(shift=self.shift, history=list(self.history))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.shift, self.history = state['shift'], list(state['history'])


def _runner(resume: bool) -> SimpleNamespace:
    return SimpleNamespace(_resume=resume, logger=LOGGER)


@pytest.fixture
def checkpoint(tmp_path: Path) -> dict:
    one, two = _Counter(), _Counter('target')
    one.shift, one.history = torch.tensor([3.0, -2.0]), [0.5, 0.25]
    two.history = [9.0]
    content: dict = {'state_dict': {}}
    for hook in (one, two):
        hook.before_save_checkpoint(_runner(False), content)
    torch.save(content, tmp_path / 'x.pth')
    return load_strictly(tmp_path / 'x.pth')


def test_state_makes_the_round_trip_through_a_strictly_read_file(checkpoint: dict) -> None:
    assert set(checkpoint['mmsits']) == {'_Counter', 'target'}
    one, two = _Counter(), _Counter('target')
    for hook in (one, two):
        hook.after_load_checkpoint(_runner(True), checkpoint)
    assert one.shift.tolist() == [3.0, -2.0]
    assert one.history == [0.5, 0.25]
    assert two.history == [9.0]


def test_state_is_not_taken_over_when_only_weights_are_loaded(checkpoint: dict) -> None:
    hook = _Counter()
    hook.after_load_checkpoint(_runner(False), checkpoint)
    assert hook.history == []


def test_two_hooks_of_one_name_are_refused() -> None:
    content: dict = {}
    _Counter().before_save_checkpoint(_runner(False), content)
    with pytest.raises(ValueError, match="keep their state as '_Counter'"):
        _Counter().before_save_checkpoint(_runner(False), content)


def test_missing_state_starts_afresh() -> None:
    hook = _Counter()
    hook.after_load_checkpoint(_runner(True), {'state_dict': {}})
    assert hook.history == []
