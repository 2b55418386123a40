"""Checks of TimeMatch's networks: pixel-set encoder with each temporal encoder, day encoding, focal loss, training."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.optim.scheduler import CosineAnnealingLR
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.engine.schedulers import InversePowerLR
from mmsits.models.converters import convert_timematch, rename_timematch_key, timematch_options
from mmsits.models.layers import OffsetDayEncoding
from mmsits.models.losses import SoftmaxFocalLoss
from mmsits.structures import ImageSeries

from .golden import Comparer, GoldenFile, register_check


class TimeMatchNetwork(nn.Module):
    """Backbone and head under the names that `convert_timematch` gives published weights, without dropout.

    Args:
        state_dict: published weights; its options are read from them.
    """

    def __init__(self, state_dict: dict[str, Tensor]) -> None:
        super().__init__()
        options = timematch_options(state_dict)
        self.backbone = MODELS.build(dict(options['backbone'], padded_pixels='values_in_norms'))
        self.decode_head = MODELS.build(options['decode_head'])
        self.load_state_dict(convert_timematch(state_dict))
        for module in self.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0

    def forward(self, inputs: dict[str, ImageSeries]) -> Tensor:
        """Inputs -> logits (N, K)."""
        return self.decode_head(self.backbone(inputs)).flatten(1)


def parcel_inputs(pixels: Tensor, valid: Tensor, positions: Tensor, extra: Tensor | None = None) -> dict[str, Any]:
    """Published inputs as series: pixels (N, T, C, S), valid (N, T, S), days of the year (N, T), features (N, E)."""
    inputs = {'s2': ImageSeries(pixels.unsqueeze(-1), positions, valid.bool().unsqueeze(-1))}
    if extra is not None:
        shape = extra.shape[:1]
        day, exists = torch.zeros(*shape, 1, dtype=torch.int32), torch.ones(*shape, 1, 1, 1, dtype=torch.bool)
        inputs['geometry'] = ImageSeries(extra[:, None, :, None, None], day, exists)
    return inputs


@register_check('timematch_pseltae*')
@register_check('timematch_pse_*')
def check_network(golden: GoldenFile, compare: Comparer) -> None:
    """One network: features, attention, scores at shifted days, loss, gradients and batch-norm statistics."""
    network = TimeMatchNetwork(golden.parameters())
    inputs = parcel_inputs(
        golden.tensor('in/pixels'),
        golden.tensor('in/valid_pixels'),
        golden.tensor('in/positions'),
        golden.tensor('in/extra') if golden.meta['hparams']['with_extra'] else None,
    )
    _compare_eval(network.eval(), inputs, golden, compare)
    _compare_training(network.train(), inputs, golden, compare)
    if 'trainable_params' in golden.meta:
        count = sum(parameter.numel() for parameter in network.parameters())
        compare.figure('trainable_params', count, golden.meta['trainable_params'])


@torch.no_grad()
def _compare_eval(
    network: TimeMatchNetwork, inputs: dict[str, ImageSeries], golden: GoldenFile, compare: Comparer
) -> None:
    backbone = network.backbone
    features, days, valid = backbone.encode_pixels(inputs)
    encoded = backbone.encode_dates(features, days, valid)
    logits = network.decode_head.classify_rows(encoded)
    compare('spatial_feats', features)
    compare('temporal_feats', encoded)
    compare('logits', logits)
    compare('probs', logits.softmax(1))
    for name, shift in (('plus17', 17), ('minus60', -60)):
        shifted = inputs['s2']._replace(days=inputs['s2'].days + shift)
        compare(f'logits_shift_{name}', network({**inputs, 's2': shifted}))
    if 'out/attention' in golden:
        attention = backbone.encoder.forward_with_attention(features, days, valid)[1]  # N, heads, T
        # L-TAE hands it out as (N, heads, 1, T), TAE as (heads, N, T).
        by_head = golden.arrays['out/attention'].ndim == 3
        compare('attention', attention.transpose(0, 1) if by_head else attention.unsqueeze(2))


def _compare_training(
    network: TimeMatchNetwork, inputs: dict[str, ImageSeries], golden: GoldenFile, compare: Comparer
) -> None:
    label = golden.tensor('in/label')
    logits = network(inputs)
    loss = SoftmaxFocalLoss(gamma=1.0)(logits, label)
    loss.backward()
    compare('train_logits', logits)
    compare('train_loss_focal_g1', loss)
    compare('train_loss_ce', F.cross_entropy(logits, label))
    parameters = dict(network.named_parameters())
    norms = {name: _norm_of_gradient(parameter) for name, parameter in parameters.items()}
    compare('grad_norm_total', torch.stack(list(norms.values())).double().norm())
    state = network.state_dict()
    for name in golden.outputs():
        if name.startswith('grad_norm/'):
            compare(name, norms[rename_timematch_key(name.removeprefix('grad_norm/'))])
        elif name.startswith('after_bn/'):
            compare(name, state[rename_timematch_key(name.removeprefix('after_bn/'))])


def _norm_of_gradient(parameter: Tensor) -> Tensor:
    return torch.tensor(float('nan')) if parameter.grad is None else parameter.grad.norm()


@register_check('timematch_posenc')
def check_day_encoding(golden: GoldenFile, compare: Comparer) -> None:
    """Rows of the published tables, computed; row r belongs to day r - 100."""
    rows = golden.tensor('out/row_index')
    compare.given('row_index')
    for width in golden.tensor('in/d_model').tolist():
        encoding = OffsetDayEncoding(width, float(golden.arrays['in/T']), offset=100)
        compare(f'table_d{width}_rows', encoding(rows - 100))


@register_check('timematch_focal')
def check_focal_loss(golden: GoldenFile, compare: Comparer) -> None:
    """Loss and gradient for several exponents, mean and sum."""
    label = golden.tensor('in/label')
    for gamma in golden.meta['gammas']:
        logits = golden.tensor('in/logits').requires_grad_()
        loss = SoftmaxFocalLoss(gamma)(logits, label)
        loss.backward()
        compare(f'loss_gamma{gamma}', loss)
        compare(f'grad_gamma{gamma}', torch.tensor(float('nan')) if logits.grad is None else logits.grad)
    compare('loss_sum_gamma1', SoftmaxFocalLoss(1.0, reduction='sum')(golden.tensor('in/logits'), label))


@register_check('timematch_source_steps')
def check_source_steps(golden: GoldenFile, compare: Comparer) -> None:
    """Supervised steps with the published optimiser and schedule, and the competitors' schedule."""
    network, recipe = TimeMatchNetwork(golden.parameters()).train(), golden.meta['optimizer']
    optimizer = torch.optim.Adam(network.parameters(), recipe['lr'], weight_decay=recipe['weight_decay'])
    schedule = CosineAnnealingLR(optimizer, T_max=recipe['steps'], by_epoch=False)
    losses, rates = [], []
    batches = [golden.tensor(f'in/{name}') for name in ('pixels', 'valid_pixels', 'positions', 'label')]
    for pixels, valid, positions, label in zip(*batches, strict=True):
        loss = SoftmaxFocalLoss(gamma=1.0)(network(parcel_inputs(pixels, valid, positions)), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        rates.append(optimizer.param_groups[0]['lr'])
    compare('losses', np.array(losses))
    compare('lr_after_step', np.array(rates))
    state = network.state_dict()
    for name in golden.outputs():
        if name.startswith('final/'):
            key = name.removeprefix('final/')
            # Without a gradient in exact arithmetic, Adam moves it in the direction of the rounding.
            entry = 'zero_gradient' if key in golden.meta['zero_gradient'] else None
            compare(name, state[rename_timematch_key(key)], entry)
    compare('sgd_group_lr', competitor_rates(golden.arrays['in/schedule_steps']))


def competitor_rates(steps: np.ndarray) -> np.ndarray:
    """Learning rates of encoders (twice) and classifier at some steps of the competitors' training."""
    groups = [dict(params=[torch.zeros(1, requires_grad=True)], lr=1e-3 * factor) for factor in (0.1, 0.1, 1.0)]
    optimizer = torch.optim.SGD(groups, momentum=0.9, nesterov=True)
    schedule = InversePowerLR(optimizer, gamma=0.001, power=0.75)
    rates = []
    for _ in range(int(steps.max()) + 1):
        rates.append([group['lr'] for group in optimizer.param_groups])
        optimizer.step()
        schedule.step()
    return np.array(rates)[steps]
