"""Hooks of the runner."""

from mmsits.engine.hooks.checkpoint_contract_hook import CheckpointContractHook
from mmsits.engine.hooks.checkpoint_hook import SeriesCheckpointHook
from mmsits.engine.hooks.class_count_hooks import ClassPriorHook, ClassWeightHook
from mmsits.engine.hooks.dataset_contract_hook import DatasetContractHook
from mmsits.engine.hooks.mean_teacher_hook import MeanTeacherHook
from mmsits.engine.hooks.prediction_drawing_hook import PredictionDrawingHook
from mmsits.engine.hooks.pseudo_label_log_hook import PseudoLabelLogHook
from mmsits.engine.hooks.source_weights_hook import SourceWeightsHook
from mmsits.engine.hooks.stateful_hook import StatefulHook
from mmsits.engine.hooks.step_seed_hook import StepSeedHook
from mmsits.engine.hooks.temporal_shift_hook import TemporalShiftHook

__all__ = [
    'CheckpointContractHook',
    'ClassPriorHook',
    'ClassWeightHook',
    'DatasetContractHook',
    'MeanTeacherHook',
    'PredictionDrawingHook',
    'PseudoLabelLogHook',
    'SeriesCheckpointHook',
    'SourceWeightsHook',
    'StatefulHook',
    'StepSeedHook',
    'TemporalShiftHook',
]
