import pytest
import torch
from torch import nn

from mmsits.models.adaptation import update_teacher


def network(value: float, batches: int) -> nn.Module:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    for entry in model.state_dict().values():
        entry.fill_(value if entry.is_floating_point() else batches)
    return model


@pytest.mark.parametrize('decay', [0.0, 0.25, 0.9, 1.0])
def test_all_entries_are_averaged_and_counters_truncated(decay: float) -> None:
    teacher, student = network(1.0, 10), network(3.0, 15)
    update_teacher(teacher, student, decay)
    for entry in teacher.state_dict().values():
        expected = decay * 1 + (1 - decay) * 3 if entry.is_floating_point() else int(decay * 10 + (1 - decay) * 15)
        torch.testing.assert_close(entry, torch.full_like(entry, expected))


def test_repeated_updates_approach_a_student_that_stands_still() -> None:
    teacher, student = network(0.0, 0), network(1.0, 0)
    for _ in range(50):
        update_teacher(teacher, student, 0.9)
    torch.testing.assert_close(teacher[0].weight, torch.full((2, 2), 1 - 0.9**50))
    assert torch.equal(student[0].weight, torch.ones(2, 2))


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r'decay=1\.5'):
        update_teacher(network(0, 0), network(0, 0), 1.5)
    with pytest.raises(KeyError, match='the student has not'):
        update_teacher(network(0, 0), nn.Sequential(nn.Linear(2, 2)), 0.5)
