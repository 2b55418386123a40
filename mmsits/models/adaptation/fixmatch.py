"""FixMatch between domains (Sohn et al., NeurIPS 2020, arXiv 2001.07685), as the baseline of TimeMatch: the same
algorithm without a shift in time."""

from __future__ import annotations

from mmseg.registry import MODELS

from .self_training import SelfTraining


@MODELS.register_module()
class FixMatch(SelfTraining):
    """Learn from a teacher's confident predictions of a weakly augmented view; arguments as in `SelfTraining`.

    `MeanTeacherHook` updates the teacher.
    """
