"""Checks of the U-TAE family: the network, its L-TAE, its building blocks, metrics and collation."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.evaluation import confusion_matrix, scores
from mmsits.models.backbones import UTAE
from mmsits.models.converters import convert_utae, rename_utae_key
from mmsits.models.data_preprocessors import SeriesDataPreprocessor
from mmsits.models.decode_heads import UTAEHead
from mmsits.models.layers import (
    ConvLayer,
    DatePacking,
    DayEncoding,
    DownConvBlock,
    TemporalAggregator,
    UpConvBlock,
    shared_over_dates,
)
from mmsits.models.temporal_encoders import LTAE
from mmsits.structures import ImageSeries, SampleMeta

from .golden import Comparer, GoldenFile, register_check

IGNORED = 255


class _Network(nn.Module):
    """Backbone and head under the names that `convert_utae` gives their weights."""

    def __init__(self, constructor: dict[str, Any], agg_mode: str) -> None:
        super().__init__()
        options = dict(constructor, agg_mode=agg_mode)
        for unused in ('encoder', 'return_maps', 'pad_value'):
            options.pop(unused, None)
        hidden, classes = options.pop('out_conv')
        self.backbone = UTAE(in_channels=options.pop('input_dim'), norm_over_padding=True, **options)
        self.decode_head = UTAEHead(self.backbone.out_channels[0], hidden, num_classes=classes)

    def forward(self, series: ImageSeries) -> Tensor:
        return self.decode_head(self.backbone({'s2': series}))


def _build(golden: GoldenFile, agg_mode: str) -> _Network:
    network = _Network(golden.meta['constructor'], agg_mode).eval()
    network.load_state_dict(convert_utae(golden.parameters()))
    return network


def _series(values: Tensor, days: Tensor, pad_value: float | None) -> ImageSeries:
    """A series as the published network reads it: a date exists unless all its values are the pad value."""
    exists = torch.ones(values.shape[:2], dtype=torch.bool)
    if pad_value is not None:
        exists = (values != pad_value).flatten(2).any(-1)
    return ImageSeries(values, days, exists[..., None, None])


@register_check('utae')
def check_utae(golden: GoldenFile, compare: Comparer) -> None:
    """The whole network: scores, attention, maps, other aggregation modes, series without padding, loss and
    gradients."""
    constructor = golden.meta['constructor']
    series = _series(golden.tensor('in/x'), golden.tensor('in/batch_positions'), constructor.get('pad_value', 0))
    network = _build(golden, constructor['agg_mode'])
    with torch.no_grad():
        maps, attention = network.backbone.forward_with_attention({'s2': series})
        compare('out', network.decode_head(maps))
        compare('att', attention.transpose(0, 1))  # published order: heads, N, T, h, w
        compare('feat', maps[0])
        for level, feature_map in enumerate(reversed(maps)):
            compare(f'map{level}', feature_map)
        compare('out_nopad_first', network(_cut_series(series, 0, golden.meta['valid_dates'][0])))
        compare('out_second_unpadded', network(_cut_series(series, 1, golden.meta['valid_dates'][1])))
        for name in golden.outputs():
            if name.startswith('out_agg_'):
                compare(name, _build(golden, name.removeprefix('out_agg_'))(series))
    loss = _weighted_loss(network(series), golden.tensor('in/target'), golden.meta['class_weight'])
    compare('loss', loss)
    loss.backward()
    parameters = dict(network.named_parameters())
    for name in golden.outputs():
        if name.startswith('grad/'):
            gradient = parameters[rename_utae_key(name.removeprefix('grad/'))].grad
            compare(name, torch.tensor(float('nan')) if gradient is None else gradient)


def _cut_series(series: ImageSeries, row: int, count: int) -> ImageSeries:
    """One series of a batch with its first dates only."""
    return ImageSeries(*(part[row : row + 1, :count] for part in series))


def _weighted_loss(logits: Tensor, target: Tensor, weights: list[float]) -> Tensor:
    """Weighted cross-entropy; classes of weight 0 are ignored labels here, as in training."""
    weight = torch.tensor(weights, dtype=torch.float32)
    target = torch.where(weight[target] == 0, IGNORED, target)
    if set(weights) <= {0, 1}:
        loss = MODELS.build(dict(type='CrossEntropyLoss', avg_non_ignore=True))
        return loss(logits, target, ignore_index=IGNORED)
    return F.cross_entropy(logits, target, weight, ignore_index=IGNORED)


@register_check('utae_ltae2d')
def check_ltae(golden: GoldenFile, compare: Comparer) -> None:
    """L-TAE on maps with and without padding, its variants, and the day encoding."""
    encoder = _build_ltae(golden.meta['constructor'], golden.parameters())
    x, days = golden.tensor('in/x'), golden.tensor('in/batch_positions')
    valid = ~golden.tensor('in/pad_mask')
    for suffix, mask in (('', valid), ('_nomask', torch.ones_like(valid))):
        _compare_ltae(encoder, x, days, mask, suffix, compare)
    for key, constructor in golden.meta.items():
        if key.startswith('constructor_'):
            suffix = key.removeprefix('constructor')
            variant = _build_ltae(constructor, golden.parameters(suffix[1:]))
            x = golden.tensor(f'in/x{suffix}')
            _compare_ltae(
                variant, x, torch.zeros(x.shape[:2]), torch.ones(x.shape[:2], dtype=torch.bool), suffix, compare
            )
    _check_day_encoding(golden, compare)


def _build_ltae(constructor: dict[str, Any], parameters: dict[str, Tensor]) -> LTAE:
    options = {name: value for name, value in constructor.items() if name not in ('T', 'return_att')}
    encoder = LTAE(period=constructor['T'], norm_over_padding=True, **options)
    prefix = 'temporal_encoder.'
    renamed = {rename_utae_key(prefix + k).removeprefix('backbone.' + prefix): v for k, v in parameters.items()}
    encoder.load_state_dict(renamed)
    return encoder.eval()


@torch.no_grad()
def _compare_ltae(encoder: LTAE, x: Tensor, days: Tensor, valid: Tensor, suffix: str, compare: Comparer) -> None:
    out, attention = encoder.encode_maps_with_attention(x, days, valid)
    compare(f'out{suffix}', out)
    compare(f'att{suffix}', attention.transpose(0, 1))


def _check_day_encoding(golden: GoldenFile, compare: Comparer) -> None:
    days, options = golden.tensor('in/pe_positions'), golden.meta['posenc']
    compare('pe', DayEncoding(options['d'], options['T'])(days).tile(options['repeat']))
    for name in golden.outputs():
        match = re.fullmatch(r'pe(_divisor)?_d(\d+)', name)
        if match:
            encoding = DayEncoding(int(match[2]), options['T'])
            compare(name, encoding.divisor if match[1] else encoding(days))


@register_check('utae_blocks')
@torch.no_grad()
def check_blocks(golden: GoldenFile, compare: Comparer) -> None:
    """Convolution blocks, temporal aggregator, metrics, loss and collation."""
    blocks = {name: _build_block(name, golden) for name in golden.meta['variants']}
    for name, block in blocks.items():
        if name.startswith('convlayer_'):
            compare(name, block(golden.tensor('in/x_convlayer')))
        elif name.startswith('up'):
            compare(name, block(golden.tensor(f'in/{name}_x'), golden.tensor(f'in/{name}_skip')))
    series = golden.tensor('in/x_series')
    exists = (series != golden.meta['variants']['convblock']['pad_value']).flatten(2).any(-1)
    features = shared_over_dates(blocks['convblock'], series, exists)
    compare('convblock', features)
    compare('convblock_4d', blocks['convblock'](series[0]))
    compare('down', shared_over_dates(blocks['down'], features, exists))
    _check_aggregator(golden, compare)
    _check_metrics(golden, compare)
    _check_collation(compare)


def _build_block(name: str, golden: GoldenFile) -> nn.Module:
    """One of the blocks, by its published constructor arguments."""
    arguments: dict[str, Any] = dict(golden.meta['variants'][name])
    arguments.pop('pad_value', None)
    published: dict[str, str] = dict(
        k='kernel_size',
        s='stride',
        p='padding',
        d_in='in_channels',
        d_out='out_channels',
        d_skip='skip_channels',
        nkernels='widths',
    )
    options: dict[str, Any] = {published.get(key, key): value for key, value in arguments.items()}
    kind: type[nn.Module] = (
        ConvLayer if 'widths' in options else UpConvBlock if 'skip_channels' in options else DownConvBlock
    )
    block = kind(**options)
    block.load_state_dict({rename_utae_key(k).split('.', 1)[1]: v for k, v in golden.parameters(name).items()})
    return block.eval()


def _check_aggregator(golden: GoldenFile, compare: Comparer) -> None:
    attention = golden.tensor('in/agg_att').permute(1, 2, 0, 3, 4)  # N, T, heads, h, w
    exists = ~golden.tensor('in/agg_pad')
    for name in golden.outputs():
        match = re.fullmatch(r'agg_(att_group|att_mean|mean)(_nopad|_low)?', name)
        if match:
            maps = golden.tensor('in/agg_x_low' if match[2] == '_low' else 'in/agg_x')
            dates = DatePacking(torch.ones_like(exists) if match[2] == '_nopad' else exists)
            compare(name, TemporalAggregator(match[1])(dates.pack(maps), dates.pack(attention), dates))


def _check_metrics(golden: GoldenFile, compare: Comparer) -> None:
    logits, target = golden.tensor('in/metric_scores'), golden.tensor('in/metric_target')
    classes = logits.shape[1]
    confusion = confusion_matrix(logits.argmax(1), target, classes, ignore_index=None)
    compare('confusion', confusion)
    without_void = scores(confusion, excluded_classes=[classes - 1], average_over='reference_or_prediction').overall
    compare('miou', 100 * without_void['mIoU'])
    compare('accuracy', 100 * without_void['OA'])
    compare('miou_helper', scores(confusion, average_over='reference_or_prediction').overall['mIoU'])
    accuracy = without_void['OA']
    figures = {
        'Accuracy': accuracy,
        'micro_IoU': accuracy / (2 - accuracy),
        **{f'micro_{name}': accuracy for name in ('Precision', 'Recall', 'F1-score')},
        'MACRO_IoU': without_void['mIoU'],
        'MACRO_Precision': without_void['macro_precision'],
        'MACRO_Recall': without_void['macro_recall'],
        'MACRO_F1-score': without_void['macro_F1'],
    }
    for name, expected in golden.meta['overall_from_confusion_without_void'].items():
        compare.figure(name, figures[name], expected)
    compare('ce_loss', _weighted_loss(logits, target, [1.0] * (classes - 1) + [0.0]))


def _check_collation(compare: Comparer) -> None:
    """Two series of three and two dates, as `meta['collate']` words them, through our batching."""
    lengths, days = (3, 2), ([5, 9, 12], [1, 2])
    values = [torch.arange(6, dtype=torch.float32).reshape(3, 2, 1, 1), torch.ones(2, 2, 1, 1)]
    series = ImageSeries(
        values,
        [torch.tensor(numbers, dtype=torch.int32) for numbers in days],
        [torch.ones(length, 1, 1, dtype=torch.bool) for length in lengths],
    )
    preprocessor = SeriesDataPreprocessor({'s2': 2}, {'s2': dict(mean=[0.0, 0.0], std=[1.0, 1.0])}, '1970-01-01')
    targets = [torch.ones(1, 2, 2, dtype=torch.uint8), torch.zeros(1, 2, 2, dtype=torch.uint8)]
    batch = preprocessor({'inputs': {'s2': series}, 'targets': targets, 'metas': [SampleMeta(), SampleMeta()]})
    compare('collate_data', batch['inputs']['s2'].values)
    compare('collate_dates', batch['inputs']['s2'].days.numpy().astype(np.int64))
    compare('collate_target', batch['targets'].squeeze(1))
