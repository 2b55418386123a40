"""Checks of SL-GT2Net: its blocks, the network, training, full-size weights, losses and metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmseg.models.losses import accuracy
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.evaluation import confusion_matrix, scores
from mmsits.models.backbones import SLGT2Net
from mmsits.models.converters import convert_slgt2net, rename_slgt2net_key, slgt2net_options
from mmsits.models.layers.local_global_blocks import (
    ChannelGate,
    ChannelRefinement,
    LocalGlobalBlock,
    LocalGlobalStage,
    Mlp,
    PatchMerge,
    PositionConv,
    channels_first,
    channels_last,
)
from mmsits.models.layers.window_attention import LocalWindowAttention, PooledAttention, PyramidPooling
from mmsits.structures import ImageSeries

from .filled import filled_parameters
from .golden import Comparer, GoldenFile, register_check

# Published settings named by a number -> ours.
_FLAGS: dict[int, dict[str, int]] = {
    1: dict(length=16, trimmed_steps=0),
    2: dict(length=48, trimmed_steps=8),
    3: dict(length=80, trimmed_steps=8),
}
_WINDOWS = {'wss': 'window_sizes', 'dws': 'window_lengths', 'rel_pos': 'relative_positions'}
_NETWORK = {
    'in_chans': 'in_channels',
    'wss_lst': 'window_sizes',
    'dss_lst': 'window_lengths',
    'rel_pos': 'relative_positions',
    'ape': 'absolute_positions',
}
# Without effect in the published code.
_UNUSED = ('patch_size', 'img_size', 'input_resolution', 'image_resolution', 'num_classes', 'flag', 'out_dim')


def _options(arguments: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Published constructor arguments under our names."""
    return {names.get(key, key): value for key, value in arguments.items() if key not in _UNUSED}


# Blocks


def _local_attention(arguments: dict[str, Any]) -> nn.Module:
    return LocalWindowAttention(**_options(arguments, _WINDOWS))


def _global_attention(arguments: dict[str, Any]) -> nn.Module:
    return PooledAttention(**_options({k: v for k, v in arguments.items() if k not in _WINDOWS}, {}))


def _block(arguments: dict[str, Any]) -> nn.Module:
    options = dict(arguments)
    build = _local_attention if options.pop('attention') == 'SLGT2LocalAttention' else _global_attention
    own = {name: options.pop(name) for name in ('mlp_ratio', 'layer_scale', 'drop_path') if name in options}
    return LocalGlobalBlock(options['dim'], build(options), **own)


def _patch_merge(arguments: dict[str, Any]) -> nn.Module:
    dim, out_dim = arguments['dim'], arguments['dim_out']
    if arguments.get('reduce_temporal_dim'):
        return PatchMerge(dim, out_dim)
    steps = _FLAGS[arguments['flag']]['trimmed_steps']
    kernel, padding = (3, 1) if steps == 0 else (steps + 1, 0)
    return PatchMerge(dim, out_dim, (kernel, 3, 3), (1, 2, 2), (padding, 1, 1))


class _PatchEmbed(nn.Module):
    """The stem, or one of the steps behind it, under the names that they have in `SLGT2Net`."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        super().__init__()
        dim, out_dim = arguments['in_chans'], arguments['embed_dim']
        if arguments['patchmerge']:
            merge = _patch_merge(dict(dim=dim, dim_out=out_dim, reduce_temporal_dim=True))
        else:
            self.stem = nn.Conv3d(dim, out_dim, 3, 2, 1)
            merge = _patch_merge(dict(dim=out_dim, dim_out=out_dim, flag=arguments['flag']))
        self.merges = nn.ModuleList([merge])

    def forward(self, x: Tensor) -> Tensor:
        return self.merges[0](channels_last(self.stem(x) if hasattr(self, 'stem') else x))


# Published name -> how to build it, and where the converter finds it: published prefix, our prefix.
_BLOCKS: dict[str, tuple[Callable[[dict[str, Any]], nn.Module], str, str]] = {
    'Mlp': (
        lambda arguments: Mlp(arguments['in_features'], arguments['hidden_features']),
        'layers.0.blocks.0.mlp.',
        'stages.0.blocks.0.mlp.',
    ),
    'CRM': (lambda _: ChannelGate(), 'patch_embeds.0.conv_down.conv.2.', 'merges.0.refinement.2.'),
    'STCRB': (
        lambda arguments: ChannelRefinement(arguments['dim']),
        'patch_embeds.0.conv_down.conv.',
        'merges.0.refinement.',
    ),
    'PatchMerge': (_patch_merge, 'patch_embeds.0.conv_down.', 'merges.0.'),
    'PatchEmbed': (_PatchEmbed, 'patch_embeds.0.', ''),
    'PosCNN': (lambda arguments: PositionConv(arguments['dim']), 'layers.0.cpe.', 'stages.0.position.'),
    'PyramidPooling': (
        lambda arguments: PyramidPooling(arguments['dim']),
        'layers.0.blocks.1.attn.glb_kv.',
        'stages.0.blocks.1.attn.pooling.',
    ),
    'SLGT2LocalAttention': (_local_attention, 'layers.0.blocks.0.attn.', 'stages.0.blocks.0.attn.'),
    'SLGT2GlobalAttention': (_global_attention, 'layers.0.blocks.1.attn.', 'stages.0.blocks.1.attn.'),
    'SLGT2Block': (_block, 'layers.0.blocks.0.', 'stages.0.blocks.0.'),
    'SLGT2Layer': (
        lambda arguments: LocalGlobalStage(**_options(arguments, _WINDOWS)),
        'layers.0.',
        'stages.0.',
    ),
}


def _build_block(golden: GoldenFile) -> nn.Module:
    build, published, ours = _BLOCKS['STCRB' if golden.name == 'slgt2_stcrb' else golden.meta['model']]
    block = build(golden.meta['args']).eval()
    renamed = {
        rename_slgt2net_key(published + key).removeprefix(f'backbone.{ours}'): value
        for key, value in golden.parameters().items()
    }
    if 'refinement' not in ours:  # made, but not run by the published code
        renamed = {key: value for key, value in renamed.items() if 'refinement.' not in key}
    block.load_state_dict(renamed)
    return block


@register_check('slgt2_mlp')
@register_check('slgt2_crm')
@register_check('slgt2_stcrb')
@register_check('slgt2_patch*')
@register_check('slgt2_poscnn')
@register_check('slgt2_pyramidpooling')
@register_check('slgt2_*_attn_*')
@register_check('slgt2_block_*')
@register_check('slgt2_stage')
@torch.no_grad()
def check_block(golden: GoldenFile, compare: Comparer) -> None:
    """One block in evaluation mode, by the name of its class."""
    block, x = _build_block(golden), golden.tensor('in/x')
    if 'in/D' in golden:
        grid = tuple(int(golden.arrays[f'in/{axis}']) for axis in 'DHW')
        x = x.unflatten(1, grid)
    y = block(x)
    if 'out/size' in golden:
        compare('size', np.array(y.shape[1:4]))
        compare('tokens', y.flatten(1, 3))
        return
    compare('y', y.flatten(1, 3) if y.ndim == 5 and golden.arrays['out/y'].ndim == 3 else y)


# The network


class _Network(nn.Module):
    """Backbone and head under the names that `convert_slgt2net` gives their weights."""

    def __init__(self, arguments: dict[str, Any], state_dict: dict[str, Tensor]) -> None:
        super().__init__()
        backbone = dict(
            type='SLGT2Net', **_options(arguments, _NETWORK), **_FLAGS[arguments['flag']], fit_dates='zeros'
        )
        head = dict(type='ConvHead', in_channels=arguments['embed_dims'][0], num_classes=arguments['num_classes'])
        self.backbone: SLGT2Net = MODELS.build(backbone)
        self.decode_head = MODELS.build(head)
        self.load_state_dict(convert_slgt2net(state_dict, dict(backbone=backbone, decode_head=head)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W), as the published network takes it -> class scores (N, K, H, W)."""
        values = x.transpose(1, 2)
        days = torch.zeros(values.shape[:2], dtype=torch.int32)
        valid = torch.ones(*values.shape[:2], 1, 1, dtype=torch.bool)
        return self.decode_head(self.backbone({'s1': ImageSeries(values, days, valid)}))


@register_check('slgt2_backbone_*')
@torch.no_grad()
def check_network(golden: GoldenFile, compare: Comparer) -> None:
    """The whole network with filled weights: class scores, and what leaves each level."""
    network = _Network(golden.meta['args'], filled_parameters(golden.meta)).eval()
    seen: dict[str, list[Tensor]] = {}
    for name, keep in (('encode', network.backbone.encode), ('decode', network.backbone.decode)):
        _keep_output(network.backbone, name, keep, seen)
    compare('y', network(golden.tensor('in/x')))
    for level, grid in enumerate(seen['encode']):
        compare(f'enc{level}_mean_abs', _mean_abs(grid))
        compare(f'enc{level}_shape', np.array(channels_first(grid).shape))
    compare('dec_mean_abs', _mean_abs(seen['decode'][0]))


def _keep_output(owner: nn.Module, name: str, method: Callable, seen: dict[str, list[Tensor]]) -> None:
    def keeping(x: Any) -> list[Tensor]:
        seen[name] = method(x)
        return seen[name]

    setattr(owner, name, keeping)


def _mean_abs(grid: Tensor) -> Tensor:
    """(N, D, H, W, C) -> (C, D)."""
    return grid.abs().mean((0, 2, 3)).T


@register_check('slgt2_backbone_grad')
def check_gradients(golden: GoldenFile, compare: Comparer) -> None:
    """A training step: loss and the norm of every gradient, and that nothing is left without one."""
    published = filled_parameters(golden.meta)
    network = _Network(golden.meta['args'], published).train()
    logits = network(golden.tensor('in/x'))
    loss = MODELS.build(dict(type='CrossEntropyLoss'))(logits, golden.tensor('in/label'), ignore_index=255)
    loss.backward()
    compare('y', logits)
    compare('loss', loss)
    gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
    for key in published.keys() - set(golden.meta['no_grad']):
        gradient = gradients[rename_slgt2net_key(key)]
        compare(f'grad_norm/{key}', torch.tensor(float('nan')) if gradient is None else gradient.norm())


@register_check('slgt2_keys_*')
def check_keys(golden: GoldenFile, compare: Comparer) -> None:
    """Names, shapes and number of the weights of a full-size network."""
    published = {key: torch.empty(shape, device='meta') for key, shape in golden.meta['keys']}
    converted = convert_slgt2net(published)
    ours = sum(value.numel() for value in converted.values())
    with torch.device('meta'):
        network = [MODELS.build(config) for config in slgt2net_options(published).values()]
    assert ours == sum(parameter.numel() for part in network for parameter in part.parameters())
    total = sum(value.numel() for value in published.values())
    compare('params_total', np.array(total))
    compare('params_unused', np.array(total - ours))


# Losses and metrics


@register_check('slgt2_head_loss')
def check_losses(golden: GoldenFile, compare: Comparer) -> None:
    """Cross-entropy and its focal variants with gradients, accuracy, and class scores brought to the labels' size."""
    meta, label = golden.meta, golden.tensor('in/label')
    weights = golden.tensor('in/class_weight').tolist()
    focal = dict(share=0.0, **meta['focal'])
    mixed = dict(share=1 - meta['fl_cel']['beta'], alpha=meta['fl_cel']['alpha'], gamma=meta['fl_cel']['gamma'])
    variants = {
        'ce': dict(type='CrossEntropyLoss'),
        'ce_loss_weight': dict(type='CrossEntropyLoss', loss_weight=meta['loss_weight']),
        'ce_classweight': dict(type='FocalMixtureLoss', avg_non_ignore=False, class_weight=weights),
        'focal': dict(type='FocalMixtureLoss', avg_non_ignore=False, **focal),
        'focal_classweight': dict(type='FocalMixtureLoss', avg_non_ignore=False, class_weight=weights, **focal),
        'fl_cel': dict(type='FocalMixtureLoss', avg_non_ignore=False, **mixed),
        'fl_cel_classweight': dict(type='FocalMixtureLoss', avg_non_ignore=False, class_weight=weights, **mixed),
    }
    for name, config in variants.items():
        logits = golden.tensor('in/logits').requires_grad_()
        loss = MODELS.build(config)(logits, label, ignore_index=meta['ignore_index'])
        loss.backward()
        compare(f'loss_{name}', loss)
        compare(f'grad_{name}', torch.tensor(float('nan')) if logits.grad is None else logits.grad)
    logits, large = golden.tensor('in/logits'), golden.tensor('in/label_large')
    compare('acc_seg', accuracy(logits, label))
    resized = resize(logits, size=large.shape[1:], mode='bilinear', align_corners=meta['align_corners'])
    compare('logits_resized', resized)
    compare('loss_resized', MODELS.build(variants['ce'])(resized, large, ignore_index=meta['ignore_index']))
    compare('acc_resized', accuracy(resized, large))


@register_check('slgt2_metrics')
def check_metrics(golden: GoldenFile, compare: Comparer) -> None:
    """Scores of each class and their means, where what is undefined counts as 0."""
    matrix = confusion_matrix(
        golden.tensor('in/pred'), golden.tensor('in/label'), golden.meta['num_classes'], golden.meta['ignore_index']
    )
    found = scores(matrix, average_over='all')
    per_class = dict(Acc='recall', Precision='precision', IoU='IoU', F1='F1', Dice='F1')
    for name, ours in per_class.items():
        compare(name, np.nan_to_num(found.per_class[ours]))
    overall = dict(aAcc='OA', mIoU='mIoU', mF1='macro_F1', mAcc='macro_recall', mPrecision='macro_precision')
    for name, ours in overall.items():
        compare(name, found.overall[ours])
