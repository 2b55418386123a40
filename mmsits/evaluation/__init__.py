"""How good is a prediction: one confusion matrix, and every figure that follows from it."""

from mmsits.evaluation.reconstruction_metric import ReconstructionMetric
from mmsits.evaluation.segmentation_metric import (
    SegmentationScores,
    SeriesSegmentationMetric,
    confusion_matrix,
    scores,
)

__all__ = ['ReconstructionMetric', 'SegmentationScores', 'SeriesSegmentationMetric', 'confusion_matrix', 'scores']
