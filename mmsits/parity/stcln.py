"""Checks of STCLN: its day encoding, transformer, encoder, whole network and masked pre-training."""

from __future__ import annotations

import re
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmsits.models.backbones import STCLN
from mmsits.models.converters import convert_stcln, rename_stcln_key
from mmsits.models.decode_heads import STCLNHead
from mmsits.models.layers import DatedTransformer, DayEncoding, PostNormAttentionLayer
from mmsits.models.pretraining import MaskedSeriesModel
from mmsits.structures import ImageSeries

from .filled import filled_parameters
from .golden import Comparer, GoldenFile, register_check

_HEADS = 8


@register_check('stcln_posenc')
def check_day_encoding(golden: GoldenFile, compare: Comparer) -> None:
    """The day encoding, repeated along the channels."""
    for name in golden.outputs():
        match = re.fullmatch(r'pe_d(\d+)_r(\d+)', name)
        if match:
            compare(name, DayEncoding(int(match[1]))(golden.tensor('in/pos')).tile(int(match[2])))


@register_check('stcln_transformer_layer')
@torch.no_grad()
def check_layer(golden: GoldenFile, compare: Comparer) -> None:
    """One layer of the transformer and its attention."""
    args = golden.meta['args']
    layer = PostNormAttentionLayer(
        args['d_model'], args['nhead'], args['dim_feedforward'], args['dropout'], args['dropout']
    ).eval()
    prefix = 'temporal_encoder.layer_stack.0.'
    layer.load_state_dict(_renamed(golden.parameters(), prefix, 'backbone.temporal_encoder.layers.0.'))
    x = golden.tensor('in/x')
    compare('y', layer(x, None))
    compare('attn', layer.attention_weights(x))


@register_check('stcln_temporal_encoder')
@torch.no_grad()
def check_temporal_encoder(golden: GoldenFile, compare: Comparer) -> None:
    """Norm, day encoding and layers on the series of every pixel."""
    args = golden.meta['args']
    width = args['d_model']
    encoder = DatedTransformer(width, hidden_channels=4 * width, norm_groups=args['n_head'], period=args['T']).eval()
    encoder.load_state_dict(_renamed(golden.parameters(), 'temporal_encoder.', 'backbone.temporal_encoder.'))
    x = golden.tensor('in/x')
    n, _, _, height, width = x.shape
    rows = x.permute(0, 3, 4, 1, 2).flatten(0, 2)
    tokens, attention = encoder.forward_with_attention(rows, golden.tensor('in/pos'))
    compare('tokens', tokens)
    compare('attn', attention.unflatten(0, (n, height, width)).permute(0, 3, 4, 1, 2).unsqueeze(0))


@register_check('stcln_backbone')
@torch.no_grad()
def check_backbone(golden: GoldenFile, compare: Comparer) -> None:
    """The encoder with small widths."""
    backbone = _backbone(golden.meta['args']).eval()
    weights = convert_stcln(golden.parameters())
    backbone.load_state_dict({key.removeprefix('backbone.'): value for key, value in weights.items()})
    features = backbone(_inputs(golden))
    compare('feat', features.dated)
    compare('x2', features.spatial.permute(0, 3, 4, 1, 2).flatten(0, 1))


@register_check('stcln_full_*')
@torch.no_grad()
def check_full_network(golden: GoldenFile, compare: Comparer) -> None:
    """The networks for both datasets in their published sizes, their weights through the converter."""
    network = _Network(golden.meta['args']).eval()
    network.load_state_dict(convert_stcln(_with_counters(golden)), strict=True)
    features = network.backbone(_inputs(golden))
    compare('logits', network.decode_head(features))
    compare('feat_pixel00', features.dated[0, 0, 0])
    compare('x2_pixel00', features.spatial[:, 0, 0].flatten(0, 1))
    ours = sum(parameter.numel() for parameter in network.parameters())
    compare.figure('params_used', ours, golden.meta['params_used'])


@register_check('stcln_classification')
def check_classification(golden: GoldenFile, compare: Comparer) -> None:
    """Scores, both losses, and one training step without dropout with its gradients."""
    network = _Network(golden.meta['args'], dropout=0.0).eval()
    network.load_state_dict(convert_stcln(golden.parameters()))
    target = golden.tensor('in/target')
    with torch.no_grad():
        logits = network(_inputs(golden))
        compare('logits', logits)
        compare('loss_pastis_eval', _loss(network.decode_head, logits, target, golden.meta['zero_weight_classes']))
        compare('loss_ignore0_eval', _loss(network.decode_head, logits, target, [golden.meta['ignore_index']]))
    logits = network.train()(_inputs(golden))
    loss = _loss(network.decode_head, logits, target, golden.meta['zero_weight_classes'])
    loss.backward()
    compare('logits_train', logits)
    compare('loss_pastis_train', loss)
    compare('running_mean_after', network.backbone.get_buffer('stages.0.1.running_mean'))
    compare_gradients(golden, compare, dict(network.named_parameters()))


@register_check('stcln_pretrain_*')
def check_pretraining(golden: GoldenFile, compare: Comparer) -> None:
    """A step of masked pre-training with a given mask: gate, covered values, reconstruction, loss, gradients."""
    model = _pretraining_model(golden).eval()
    inputs = _inputs(golden)
    drawn = golden.tensor('in/raw_mask') == 0
    hidden = model.pass_gate(inputs, {'s2': drawn})
    compare('ndvi_map', (model.gate.greenness(inputs['s2']) > golden.meta['ndvi_threshold']).float())
    compare('mask', (~hidden['s2']).float())
    with torch.no_grad():
        compare('x_masked', model.cover(inputs, hidden)['s2'].values)
        compare('recon', model.reconstruct(inputs, hidden)['s2'])
        compare('mid', _second_output(golden, model.backbone(model.cover(inputs, hidden)).spatial))
    total, count = model.squared_errors(inputs, hidden)['s2']
    compare('n_masked', count.to(torch.int64) if golden.arrays['out/n_masked'].dtype.kind == 'i' else count)
    loss = total / count
    compare('loss', loss)
    loss.backward()
    renamed = {f'backbone.{key}': value for key, value in model.backbone.named_parameters()}
    compare_gradients(golden, compare, renamed)
    rest = {'linear.weight': model.decoders['s2'].output.weight, 'linear.bias': model.decoders['s2'].output.bias}
    rest['MASK_TOKEN'] = model.mask_tokens['s2']
    for name, parameter in rest.items():
        assert parameter.grad is not None
        for kind, value in (('grad', parameter.grad), ('grad_norm', parameter.grad.norm())):
            if f'out/{kind}/{name}' in golden:
                compare(f'{kind}/{name}', value)


def _pretraining_model(golden: GoldenFile) -> MaskedSeriesModel:
    """The published network of pre-training with its weights."""
    args, meta = golden.meta['args'], golden.meta
    gate = dict(red=meta['red'], nir=meta['nir'], threshold=meta['ndvi_threshold'], share=meta['vegetated_fraction'])
    model = MaskedSeriesModel(
        dict(type='STCLN', **_backbone_options(args)),
        mask=dict(ratio=args['mask_ratio']),
        vegetation_gate=dict(gate, of_normalised_values=True),
    )
    published = golden.parameters()
    weights = convert_stcln(published)
    weights |= {f'decoders.s2.output.{name}': published[f'linear.{name}'] for name in ('weight', 'bias')}
    model.load_state_dict({**weights, 'mask_tokens.s2': published['MASK_TOKEN']})
    return model


def _second_output(golden: GoldenFile, spatial: Tensor) -> Tensor:
    """What the published network also reconstructs from the convolutions alone, and leaves out of its loss."""
    weights = golden.parameters()
    return F.linear(spatial, weights['midlinear.weight'], weights['midlinear.bias']).permute(0, 3, 4, 1, 2)


def compare_gradients(golden: GoldenFile, compare: Comparer, parameters: dict[str, nn.Parameter]) -> None:
    """Compare gradients and their norms by their published names; `parameters` by their names here."""
    for name in golden.outputs():
        match = re.fullmatch(r'grad(_norm)?/(.+)', name)
        if not match or rename_stcln_key(match[2]) not in parameters:
            continue
        gradient = parameters[rename_stcln_key(match[2])].grad
        if gradient is None:
            gradient = torch.tensor(float('nan'))
        compare(name, gradient.norm() if match[1] else gradient)


class _Network(nn.Module):
    """Backbone and head under the names that `convert_stcln` gives their weights."""

    def __init__(self, args: dict[str, Any], dropout: float = 0.1) -> None:
        super().__init__()
        self.backbone = _backbone(args, dropout)
        self.decode_head = STCLNHead(self.backbone.dated_channels, num_classes=args['n_classes'])

    def forward(self, inputs: dict[str, ImageSeries]) -> Tensor:
        return self.decode_head(self.backbone(inputs))


def _backbone(args: dict[str, Any], dropout: float = 0.1) -> STCLN:
    return STCLN(**_backbone_options(args), dropout=dropout)


def _backbone_options(args: dict[str, Any]) -> dict[str, Any]:
    groups = args['n_head']
    # The golden positions are given as days.
    return dict(
        in_channels=args['n_channels'],
        widths=args['encoder_widths'],
        num_heads=_HEADS,
        norm_groups=groups,
        day_repeats=groups,
        runs_over_padding=True,
    )


def _inputs(golden: GoldenFile) -> dict[str, ImageSeries]:
    values, places = golden.tensor('in/x'), golden.tensor('in/pos')
    return {'s2': ImageSeries(values, places, torch.ones(*places.shape, 1, 1, dtype=torch.bool))}


def _loss(head: STCLNHead, logits: Tensor, target: Tensor, left_out: list[int]) -> Tensor:
    """As in training: classes that do not count have the ignored label."""
    for number in left_out:
        target = target.masked_fill(target == number, head.ignore_index)
    return head.loss_decode(logits, target, ignore_index=head.ignore_index)


def _with_counters(golden: GoldenFile) -> dict[str, Tensor]:
    """The filled parameters, and the counters of batch norms, which are not filled."""
    filled = filled_parameters(golden.meta)
    return {name: filled.get(name, torch.zeros(shape, dtype=torch.int64)) for name, shape in golden.meta['keys']}


def _renamed(parameters: dict[str, Tensor], published_prefix: str, prefix: str) -> dict[str, Tensor]:
    """Weights of a part of the network by their names in that part."""
    return {rename_stcln_key(published_prefix + key).removeprefix(prefix): v for key, v in parameters.items()}
