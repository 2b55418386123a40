"""Checks of CropMapping's loss and scores."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
from mmseg.registry import MODELS
from torch import Tensor

from mmsits.evaluation import confusion_matrix, scores

from .golden import Comparer, GoldenFile, register_check

_NAMES = {
    'accuracy': 'OA',
    'recall': 'recall',
    'true_negative_rate': 'recall',
    'precision': 'precision',
    'f1_score': 'F1',
}


@register_check('cropmapping_losses_metrics')
def check_losses_and_scores(golden: GoldenFile, compare: Comparer) -> None:
    """Binary cross-entropy of probabilities, of the exact 0 and 1 among them too, and one-vs-rest scores."""
    p, target = golden.tensor('in/p'), golden.tensor('in/target')
    # Published of probabilities; ours takes logits, so each probability is one, with logarithms cut off at -100.
    elements = -(target * p.log().clamp(min=-100) + (1 - target) * (1 - p).log().clamp(min=-100))
    compare('bce_elements', elements)
    inner = (p > 0) & (p < 1)
    logits = torch.where(inner, torch.logit(p.double()), torch.where(p > 0, 100.0, -100.0).double())
    loss = MODELS.build(dict(type='CrossEntropyLoss', use_sigmoid=True, avg_non_ignore=True))
    compare('bce', loss(logits, target.long(), ignore_index=255))
    for name, expected in golden.meta['dataset_metrics'].items():
        channel, threshold = re.fullmatch(r'channel(\d+)_th([\d.]+)', name).groups()  # type: ignore[union-attr]
        crop = int(channel)
        _compare_scores(name, p[:, crop] >= np.float32(threshold), target[:, crop], expected, compare)
    for name, expected in golden.meta['image_metrics'].items():
        threshold = np.float32(name.removeprefix('th'))
        _compare_scores(f'image_{name}', p[0, 7] > threshold, target[0, 7], expected, compare)


def _compare_scores(name: str, prediction: Tensor, target: Tensor, expected: dict[str, Any], compare: Comparer) -> None:
    """Scores of one crop against all else; what is undefined counts as 0."""
    found = scores(confusion_matrix(prediction.long(), target.long(), 2, ignore_index=None))
    for published, value in expected.items():
        key = next(key for key in _NAMES if key in published and not (key == 'recall' and 'negative' in published))
        row = 0 if key == 'true_negative_rate' else 1
        ours = found.overall['OA'] if key == 'accuracy' else found.per_class[_NAMES[key]][row]
        compare.figure(f'{name}/{published}', float(np.nan_to_num(ours)), value)
