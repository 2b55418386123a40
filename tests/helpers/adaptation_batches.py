"""Segmentors of a few thousand weights, for parcels and for patches, and random batches for them."""

from __future__ import annotations

from typing import Any

import torch
from mmseg.registry import MODELS

from mmsits.models.adaptation import DomainAdaptor
from mmsits.structures import ImageSeries, SampleMeta

CLASSES, BANDS = 3, 4


def parcel_segmentor() -> dict[str, Any]:
    """PSE and L-TAE."""
    return dict(
        type='TemporalEncoderDecoder',
        data_preprocessor=_preprocessor(),
        backbone=dict(
            type='PixelSetBackbone',
            in_channels=BANDS,
            mlp1=(8,),
            mlp2=(16,),
            encoder=dict(type='TimeMatchLTAE', in_channels=16, n_head=2, d_k=4, d_model=16, mlp=(16, 8)),
        ),
        decode_head=dict(type='MLPHead', in_channels=8, hidden_channels=(8,), num_classes=CLASSES),
    )


def patch_segmentor() -> dict[str, Any]:
    """A small U-TAE."""
    return dict(
        type='TemporalEncoderDecoder',
        data_preprocessor=_preprocessor(),
        backbone=dict(
            type='UTAE',
            in_channels=BANDS,
            encoder_widths=(8, 8),
            decoder_widths=(8, 8),
            n_head=2,
            d_model=16,
            d_k=4,
        ),
        decode_head=dict(type='UTAEHead', in_channels=8, channels=8, num_classes=CLASSES),
    )


def _preprocessor() -> dict[str, Any]:
    statistics = dict(s2=dict(mean=[0.0] * BANDS, std=[1.0] * BANDS))
    return dict(type='SeriesDataPreprocessor', sensors=dict(s2=BANDS), statistics=statistics)


SEGMENTORS = {'parcels': parcel_segmentor, 'patches': patch_segmentor}
SIZES = {'parcels': (5, 1), 'patches': (8, 8)}


def adaptor(kind: str, method: str, **options: Any) -> DomainAdaptor:
    """An adaptor in training mode, its weights a function of nothing."""
    torch.manual_seed(0)
    model = MODELS.build(dict(type='DomainAdaptor', segmentor=SEGMENTORS[kind](), method=dict(type=method, **options)))
    return model.train()


def batch(kind: str, seed: int, samples: int = 6, dates: int = 5, labels: bool = True) -> dict[str, Any]:
    """What a loader hands over: lists of samples."""
    generator = torch.Generator().manual_seed(seed)
    size = SIZES[kind]
    values = [torch.randn(dates, BANDS, *size, generator=generator) for _ in range(samples)]
    days = [torch.arange(dates, dtype=torch.int32) * 30 + 17000 for _ in range(samples)]
    valid = [torch.ones(dates, *size, dtype=torch.bool) for _ in range(samples)]
    shape = (1, 1, 1) if kind == 'parcels' else (1, *size)
    data: dict[str, Any] = dict(
        inputs={'s2': ImageSeries(values, days, valid)},
        metas=[SampleMeta(sample_id=str(i), season_start=17000) for i in range(samples)],
    )
    if labels:
        data['targets'] = [
            torch.randint(0, CLASSES, shape, generator=generator).to(torch.uint8) for _ in range(samples)
        ]
    return data


def views(kind: str, seed: int = 0) -> dict[str, Any]:
    """Views of both domains, of different numbers of dates."""
    return dict(
        source=batch(kind, seed),
        target_weak=batch(kind, seed + 1, dates=7, labels=False),
        target_strong=batch(kind, seed + 2, dates=4, labels=False),
    )
