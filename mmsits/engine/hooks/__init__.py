"""Hooks of the runner."""

from mmsits.engine.hooks.checkpoint_contract_hook import CheckpointContractHook
from mmsits.engine.hooks.checkpoint_hook import SeriesCheckpointHook
from mmsits.engine.hooks.class_count_hooks import ClassPriorHook, ClassWeightHook
from mmsits.engine.hooks.contrast_monitor_hook import ContrastMonitorHook
from mmsits.engine.hooks.dataset_contract_hook import DatasetContractHook
from mmsits.engine.hooks.mask_ratio_hook import MaskRatioHook
from mmsits.engine.hooks.mean_teacher_hook import MeanTeacherHook
from mmsits.engine.hooks.nearest_neighbour_probe_hook import NearestNeighbourProbeHook
from mmsits.engine.hooks.prediction_drawing_hook import PredictionDrawingHook
from mmsits.engine.hooks.pseudo_label_log_hook import PseudoLabelLogHook
from mmsits.engine.hooks.reconstruction_drawing_hook import ReconstructionDrawingHook
from mmsits.engine.hooks.source_weights_hook import SourceWeightsHook
from mmsits.engine.hooks.stateful_hook import StatefulHook
from mmsits.engine.hooks.step_seed_hook import StepSeedHook
from mmsits.engine.hooks.temporal_shift_hook import TemporalShiftHook
from mmsits.engine.hooks.weight_transfer_hook import WeightTransferHook

__all__ = [
    'CheckpointContractHook',
    'ClassPriorHook',
    'ClassWeightHook',
    'ContrastMonitorHook',
    'DatasetContractHook',
    'MaskRatioHook',
    'MeanTeacherHook',
    'NearestNeighbourProbeHook',
    'PredictionDrawingHook',
    'PseudoLabelLogHook',
    'ReconstructionDrawingHook',
    'SeriesCheckpointHook',
    'SourceWeightsHook',
    'StatefulHook',
    'StepSeedHook',
    'TemporalShiftHook',
    'WeightTransferHook',
]
