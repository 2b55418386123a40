"""From the batch-wise predictions that metrics read to mmseg's `SegDataSample`, which users and pictures want."""

from __future__ import annotations

from typing import Any

from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from .sample_meta import SampleMeta


def to_data_samples(prediction: dict[str, Any]) -> list[SegDataSample]:
    """Split one batch's prediction into mmseg's data samples.

    Args:
        prediction: What `TemporalEncoderDecoder.predict` returns for a batch: `logits` (N, K, H, W), `prediction`
            (N, H, W), `targets` (N, H, W) or None, `metas` N `SampleMeta`.

    Returns:
        N samples with `seg_logits`, `pred_sem_seg`, `gt_sem_seg` where labels are known, and the sample's meta
        information, each cut to the sample's own height and width (`metas[i]['img_shape']`) where that is smaller than
        the batch's.
    """
    samples = []
    for i, meta in enumerate(prediction['metas']):
        height, width = _own_size(meta, prediction['prediction'].shape[-2:])
        sample = SegDataSample(metainfo=dict(meta))
        sample.seg_logits = PixelData(data=prediction['logits'][i, :, :height, :width])
        sample.pred_sem_seg = PixelData(data=prediction['prediction'][i, None, :height, :width])
        if prediction['targets'] is not None:
            sample.gt_sem_seg = PixelData(data=prediction['targets'][i, None, :height, :width])
        samples.append(sample)
    return samples


def _own_size(meta: SampleMeta, batch_size: tuple[int, int]) -> tuple[int, int]:
    # A parcel's pixel set of S×1 is mapped to 1×1, smaller than its input.
    height, width = meta.get('img_shape', batch_size)
    return min(height, batch_size[0]), min(width, batch_size[1])
