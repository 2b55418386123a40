"""Checks of TSViT, its variants, its loss and metrics, its data pipeline and its schedule."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.datasets.mtlcc import fine_grid
from mmsits.engine.schedulers import WarmupCosineLR
from mmsits.evaluation import confusion_matrix, scores
from mmsits.models.converters import convert_tsvit, tsvit_options
from mmsits.models.data_preprocessors import SeriesDataPreprocessor
from mmsits.models.layers import cut_day_of_year
from mmsits.models.losses import SoftmaxFocalLoss
from mmsits.structures import ImageSeries, SampleMeta

from .golden import Comparer, GoldenFile, register_check

IGNORED = 255
# Of "fold 1" in the published transform, which uses them for all folds.
_PASTIS_MEAN = (
    1165.9398193359375, 1375.6534423828125, 1429.2191162109375, 1764.798828125, 2719.273193359375,
    3063.61181640625, 3205.90185546875, 3319.109619140625, 2422.904296875, 1639.370361328125,
)  # fmt: skip
_PASTIS_STD = (
    1942.6156005859375, 1881.9234619140625, 1959.3798828125, 1867.2239990234375, 1754.5850830078125,
    1769.4046630859375, 1784.860595703125, 1767.7100830078125, 1458.963623046875, 1299.2833251953125,
)  # fmt: skip
_MTLCC_CODES = (1, 2, 3, 5, 8, 9, 12, 13, 15, 16, 17, 19, 22, 23, 24, 25, 26)


class _Network(nn.Module):
    """Backbone and head with published weights under the names that `convert_tsvit` gives them."""

    def __init__(self, published: dict[str, Tensor], constructor: dict[str, Any]) -> None:
        super().__init__()
        options = tsvit_options(published, constructor['img_res'], constructor['heads'])
        # The golden days are days of the year.
        options['backbone']['first_day'] = 0
        self.backbone = MODELS.build(options['backbone'])
        self.decode_head = MODELS.build(options['decode_head'])
        self.load_state_dict(convert_tsvit(published, options))

    def forward(self, series: ImageSeries) -> Tensor:
        return self.decode_head(self.backbone({'s2': series}))


def _series(x: Tensor, days: list[list[int]]) -> ImageSeries:
    """A published batch (N, T, H, W, C) without its last channel, the day; day 0 is padding."""
    day = torch.tensor(days)
    return ImageSeries(x[..., :-1].permute(0, 1, 4, 2, 3), day, (day > 0)[..., None, None])


@register_check('tsvit_seg')
@torch.no_grad()
def check_segmentation(golden: GoldenFile, compare: Comparer) -> None:
    """The dense network with and without padding, days as it cuts them, all variants, loss and metrics."""
    meta = golden.meta
    constructor = meta['constructor']
    network = _Network(golden.parameters(), constructor).eval()
    series = _series(golden.tensor('in/x'), meta['doys'])
    logits = network(series)
    compare('out', logits)
    compare('out_T4', network(ImageSeries(*(part[:, :4] for part in series))))
    compare('time_index', cut_day_of_year(series.days))
    compare('all_time_index', cut_day_of_year(golden.tensor('in/all_days')))
    small = _series(golden.tensor('in/x_small'), meta['doys_small'])
    for name in meta['variants']:
        variant = _Network(golden.parameters(name), constructor).eval()
        if name == 'lookup':
            compare('lookup_inference', variant(small))
            compare('lookup_train', variant.train()(small))
        else:
            compare(name, variant(small))
    _check_loss_and_metrics(golden, logits, compare)


def _check_loss_and_metrics(golden: GoldenFile, logits: Tensor, compare: Comparer) -> None:
    kept = golden.tensor('in/mask').squeeze(-1).bool()
    target = golden.tensor('in/target').squeeze(-1).long().masked_fill(~kept, IGNORED)
    # Elements and scores belong to the golden scores.
    cross_entropy = MODELS.build(dict(type='CrossEntropyLoss', avg_non_ignore=True))
    compare('masked_ce', cross_entropy(logits, target, ignore_index=IGNORED))
    elements = F.cross_entropy(logits, target, ignore_index=IGNORED, reduction='none')
    compare('masked_ce_elements', elements[kept])
    compare('masked_focal_g1', SoftmaxFocalLoss(gamma=1.0)(logits, target, ignore_index=IGNORED))
    found = scores(
        confusion_matrix(logits.argmax(1), target, logits.shape[1], IGNORED), average_over='reference_or_prediction'
    )
    accuracy = found.overall['OA']
    names = ('recall', 'precision', 'recall', 'F1', 'IoU')
    compare('metrics_class', np.nan_to_num(np.stack([found.per_class[name] for name in names])))
    compare('metrics_micro', np.array([accuracy] * 4 + [accuracy / (2 - accuracy)]))
    macro = ('macro_recall', 'macro_precision', 'macro_recall', 'macro_F1', 'mIoU')
    compare('metrics_macro', np.array([found.overall[name] for name in macro]))


@register_check('tsvit_cls')
@torch.no_grad()
def check_classification(golden: GoldenFile, compare: Comparer) -> None:
    """One label per image, and the focal losses."""
    network = _Network(golden.parameters(), golden.meta['constructor']).eval()
    logits = network(_series(golden.tensor('in/x'), golden.meta['doys'])).flatten(1)
    compare('out', logits)
    target = golden.tensor('in/target').long()
    compare('focal_gamma1', SoftmaxFocalLoss(gamma=1.0)(logits, target))
    compare('focal_gamma2_elements', SoftmaxFocalLoss(gamma=2.0, reduction='none')(logits, target))


@register_check('tsvit_pipeline')
def check_pipeline(golden: GoldenFile, compare: Comparer) -> None:
    """The samples of PASTIS and MTLCC as the published networks see them, and the learning rates."""
    for name in ('short', 'long'):
        image, days = golden.arrays[f'in/{name}_img'], golden.arrays[f'in/{name}_doy']
        labels = golden.arrays[f'in/{name}_labels'][0]
        length = golden.meta['max_seq_len'][name]
        batch = _normalised(image, days, dict(mean=_PASTIS_MEAN, std=_PASTIS_STD))
        _compare_sample(compare, name, _published_layout(batch, days, length), min(len(days), length))
        compare(f'{name}_labels', _like(golden, f'{name}_labels', labels[..., None]))
        compare(f'{name}_unk_masks', _like(golden, f'{name}_unk_masks', labels[..., None] != 19))
    _check_mtlcc(golden, compare)
    compare('lr_per_epoch', _rates(golden.meta['schedule_arguments']))


def _like(golden: GoldenFile, name: str, values: np.ndarray) -> np.ndarray:
    return values.astype(golden.arrays[f'out/{name}'].dtype)


def _normalised(values: np.ndarray, days: np.ndarray, statistics: dict[str, Any]) -> Tensor:
    """(T, C, H, W) through our data preprocessor."""
    series = ImageSeries(
        [torch.from_numpy(values)],
        [torch.from_numpy(days.astype(np.int32))],
        [torch.ones(len(days), 1, 1, dtype=torch.bool)],
    )
    preprocessor = SeriesDataPreprocessor({'s2': values.shape[1]}, {'s2': statistics}, '1970-01-01')
    return preprocessor({'inputs': {'s2': series}, 'metas': [SampleMeta()]})['inputs']['s2'].values[0]


def _published_layout(values: Tensor, days: np.ndarray, length: int, years: np.ndarray | None = None) -> Tensor:
    """(T, C, H, W) with day (and year) as bands behind them, cut or padded to a length, (length, H, W, C)."""
    size = values.shape[-2:]
    bands = [torch.from_numpy(days.astype(np.float32)) / 365.0001]
    if years is not None:
        bands.append(torch.from_numpy(years.astype(np.float32)) - 2016)
    extra = torch.stack(bands, 1)[:, :, None, None].expand(-1, -1, *size)
    sample = torch.cat([values, extra], 1)[:length].permute(0, 2, 3, 1)
    return F.pad(sample, (0, 0, 0, 0, 0, 0, 0, length - len(sample)))


def _compare_sample(compare: Comparer, name: str, sample: Tensor, count: int) -> None:
    compare(f'{name}_inputs_sub', sample[:, ::5, ::5])
    compare(f'{name}_inputs_sum_per_date_channel', sample.sum((1, 2)))
    golden = compare.golden
    compare(f'{name}_seq_lengths', _like(golden, f'{name}_seq_lengths', np.array([count])))


def _check_mtlcc(golden: GoldenFile, compare: Comparer) -> None:
    parts = [golden.arrays[f'in/mtlcc_x{size}'].transpose(0, 3, 1, 2).astype(np.float32) for size in (10, 20, 60)]
    fine = [fine_grid(part, ratio, 'bilinear') for part, ratio in zip(parts, (1, 2, 6), strict=True)]
    values = torch.from_numpy(np.concatenate(fine, 1)).float() * 1e-4
    days, years = golden.arrays['in/mtlcc_day'], golden.arrays['in/mtlcc_year']
    length = golden.meta['max_seq_len']['mtlcc']
    _compare_sample(compare, 'mtlcc', _published_layout(values, days, length, years), min(len(days), length))
    labels = golden.arrays['in/mtlcc_labels'][0]
    table = np.full(256, len(_MTLCC_CODES))
    table[list(_MTLCC_CODES)] = np.arange(len(_MTLCC_CODES))
    classes = table[labels.astype(np.int64)][..., None]
    compare('mtlcc_labels', _like(golden, 'mtlcc_labels', classes))
    compare('mtlcc_unk_masks', _like(golden, 'mtlcc_unk_masks', classes != len(_MTLCC_CODES)))


def _rates(arguments: dict[str, Any]) -> np.ndarray:
    steps = arguments['steps_per_epoch']
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], arguments['lr_base'])
    scheduler = WarmupCosineLR(
        optimizer,
        end=arguments['epochs'] * steps,
        warmup=arguments['warmup_epochs'] * steps,
        start_value=arguments['lr_start'],
        eta_min=arguments['lr_min'],
        held_for=steps,
    )
    rates = [optimizer.param_groups[0]['lr']]
    for step in range(arguments['epochs'] * steps):
        optimizer.step()
        scheduler.step()
        if (step + 1) % steps == 0:
            rates.append(optimizer.param_groups[0]['lr'])
    return np.array(rates)
