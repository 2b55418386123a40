"""How good is a prediction: one confusion matrix, and every figure that follows from it."""

from mmsits.evaluation.one_versus_rest import (
    BinaryScores,
    OneVersusRestMetric,
    ThresholdCounts,
    crop_probability,
    crop_truth,
)
from mmsits.evaluation.reconstruction_metric import ReconstructionMetric
from mmsits.evaluation.segmentation_metric import (
    SegmentationScores,
    SeriesSegmentationMetric,
    confusion_matrix,
    scores,
)

__all__ = [
    'BinaryScores',
    'OneVersusRestMetric',
    'ReconstructionMetric',
    'SegmentationScores',
    'SeriesSegmentationMetric',
    'ThresholdCounts',
    'confusion_matrix',
    'crop_probability',
    'crop_truth',
    'scores',
]
