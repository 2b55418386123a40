"""A teacher whose weights are the running average of a student's (Tarvainen and Valpola, NeurIPS 2017, arXiv
1703.01780)."""

from __future__ import annotations

import torch
from torch import nn


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, decay: float) -> None:
    """Move every entry of the teacher's state, buffers included, towards the student's: decay t + (1 - decay) s.

    Integers (the counters of batch norms) are rounded towards zero, as in TimeMatch. With decay 0 the teacher becomes
    the student.

    Args:
        teacher: changed in place; its state must be a part of the student's.
        student: the trained network.
        decay: share of the old teacher that is kept, 0 to 1.

    Raises:
        ValueError: if `decay` is outside 0 to 1.
        KeyError: if the teacher has an entry that the student lacks.
    """
    if not 0 <= decay <= 1:
        raise ValueError(f'decay={decay}: the share of the old teacher that is kept lies between 0 and 1')
    held = student.state_dict()
    for name, entry in teacher.state_dict().items():
        if name not in held:
            raise KeyError(f'the teacher has {name!r}, the student has not: build both from one config')
        entry.copy_(decay * entry + (1 - decay) * held[name])


@torch.no_grad()
def copy_student(teacher: nn.Module, student: nn.Module) -> None:
    """Make the teacher equal to the student, buffers included."""
    held = student.state_dict()
    for name, entry in teacher.state_dict().items():
        entry.copy_(held[name])
