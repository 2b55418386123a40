"""Training and testing: checkpoints, hooks, preparation of configs.

Importing it makes mmengine write files atomically and read checkpoints strictly.
"""

from mmsits.engine.checkpoint import (
    find_resumable,
    load_strictly,
    read_published_weights,
    register_strict_loaders,
    trust_checkpoints,
)
from mmsits.engine.config import load_config, prepare_config
from mmsits.engine.ensemble import load_ensemble
from mmsits.engine.errors import CheckpointError, ConfigError, DiskWriteError
from mmsits.engine.files import AtomicLocalBackend, register_atomic_backend, write_atomically
from mmsits.engine.hooks import (
    CheckpointContractHook,
    ClassPriorHook,
    ClassWeightHook,
    ContrastMonitorHook,
    DatasetContractHook,
    MaskRatioHook,
    MeanTeacherHook,
    NearestNeighbourProbeHook,
    PredictionDrawingHook,
    PseudoLabelLogHook,
    ReconstructionDrawingHook,
    SeriesCheckpointHook,
    SourceWeightsHook,
    StatefulHook,
    StepSeedHook,
    TemporalShiftHook,
    WeightTransferHook,
)
from mmsits.engine.loops import EpochCountedTrainLoop
from mmsits.engine.schedulers import InversePowerLR, WarmupCosineLR
from mmsits.engine.weight_transfer import Transfer, transfer_weights

register_atomic_backend()
register_strict_loaders()

__all__ = [
    'AtomicLocalBackend',
    'CheckpointContractHook',
    'CheckpointError',
    'ClassPriorHook',
    'ClassWeightHook',
    'ConfigError',
    'ContrastMonitorHook',
    'DatasetContractHook',
    'DiskWriteError',
    'EpochCountedTrainLoop',
    'InversePowerLR',
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
    'Transfer',
    'WarmupCosineLR',
    'WeightTransferHook',
    'find_resumable',
    'load_config',
    'load_ensemble',
    'load_strictly',
    'prepare_config',
    'read_published_weights',
    'register_atomic_backend',
    'register_strict_loaders',
    'transfer_weights',
    'trust_checkpoints',
    'write_atomically',
]
