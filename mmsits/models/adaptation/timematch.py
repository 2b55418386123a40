"""TimeMatch: self-training across regions whose seasons are shifted in time (Nyborg et al., ISPRS J. 188, 2022, arXiv
2111.02682)."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor

from .self_training import SelfTraining
from .views import Inputs, shift_days


@MODELS.register_module()
class TimeMatch(SelfTraining):
    """Self-training in which the teacher sees the target moved to the source's season, and the student learns the
    source moved to the target's.

    `TemporalShiftHook` estimates the shift, `MeanTeacherHook` updates the teacher.

    Args:
        **kwargs: see `SelfTraining`.

    Attributes:
        target_shift: int64 scalar buffer, days added to the target for the teacher.
        source_shift: int64 scalar buffer, days added to the source for the student.
        class_distribution: (K,) float64 buffer, estimated shares of the classes in the target; zeros until known.
    """

    target_shift: Tensor
    source_shift: Tensor
    class_distribution: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.register_buffer('target_shift', torch.zeros((), dtype=torch.int64))
        self.register_buffer('source_shift', torch.zeros((), dtype=torch.int64))
        self.register_buffer('class_distribution', torch.zeros(self.num_classes, dtype=torch.float64))

    def expected_shares(self) -> Tensor | None:
        """`class_distribution` once `TemporalShiftHook` has estimated it, else as in `SelfTraining`."""
        return self.class_distribution if bool(self.class_distribution.sum()) else super().expected_shares()

    def source_inputs(self, inputs: Inputs) -> Inputs:
        """The source as the student sees it, at the target's season."""
        return shift_days(inputs, self.source_shift)

    def weak_inputs(self, inputs: Inputs) -> Inputs:
        """The target as the teacher sees it, at the source's season."""
        return shift_days(inputs, self.target_shift)
