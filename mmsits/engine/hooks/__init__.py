"""Hooks of the runner."""

from mmsits.engine.hooks.checkpoint_contract_hook import CheckpointContractHook
from mmsits.engine.hooks.checkpoint_hook import SeriesCheckpointHook
from mmsits.engine.hooks.dataset_contract_hook import DatasetContractHook
from mmsits.engine.hooks.prediction_drawing_hook import PredictionDrawingHook
from mmsits.engine.hooks.stateful_hook import StatefulHook
from mmsits.engine.hooks.step_seed_hook import StepSeedHook

__all__ = [
    'CheckpointContractHook',
    'DatasetContractHook',
    'PredictionDrawingHook',
    'SeriesCheckpointHook',
    'StatefulHook',
    'StepSeedHook',
]
