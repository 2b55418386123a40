"""A part of the labelled pixels, as if only they had been visited in the field."""

from __future__ import annotations

import zlib

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from mmsits.datasets.label_fraction import stratified_share

IGNORED = 255


@TRANSFORMS.register_module()
class KeepLabelledPixels(BaseTransform):
    """Keep a share of the labelled pixels of every image, of each class in proportion; the others count as unlabelled.

    For few large images, of which `label_fraction`, the share of images, could keep none or one. Which pixels are kept
    depends on the image and the seed alone, so it is the same in every epoch; a smaller share is part of a larger one.
    Place it behind the labels' reading and in front of crops and flips.

    `tools/analysis_tools/baseline.py` hides the same labels from its classifiers; class counts (data cards, class
    weights measured on a dataset) still tell of all.

    Required keys: targets, sample_id. Changed keys: targets.

    Args:
        fraction: 0 < fraction ≤ 1. Of an image that has labels at least one pixel is kept.
        seed: of the choice.

    Raises:
        ValueError: if the fraction is out of range.
    """

    def __init__(self, fraction: float, seed: int = 0) -> None:
        if not 0 < fraction <= 1:
            raise ValueError(f'fraction must lie above 0 and not above 1, got {fraction}')
        self.fraction = fraction
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Hide the labels of the other pixels."""
        labels = results['targets']
        if self.fraction == 1 or (labels == IGNORED).all():
            return results
        # A hash of the image's name: neither the order of the dataset nor another image changes the choice.
        seed = zlib.crc32(f'{results["sample_id"]}/{self.seed}'.encode())
        kept = stratified_share(labels.ravel(), self.fraction, seed, IGNORED)
        targets = np.full_like(labels, IGNORED)
        targets.flat[kept] = labels.flat[kept]
        results['targets'] = targets
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(fraction={self.fraction}, seed={self.seed})'
