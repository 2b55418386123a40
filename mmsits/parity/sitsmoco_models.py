"""Checks of STNet, the Transformer, L-TAE, LSTM and TempCNN of SITS-MoCo, and of their tables of day encodings."""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from mmsits.models.converters import convert_sitsmoco, rename_sitsmoco_key, sitsmoco_options
from mmsits.models.layers import DayEncoding, OffsetDayEncoding
from mmsits.models.temporal_encoders.post_norm_transformer import sum_dates

from .golden import Comparer, GoldenFile, register_check


class SITSMoCoNetwork(nn.Module):
    """Backbone and head under the names that `convert_sitsmoco` gives published weights, without dropout.

    Args:
        state_dict: published weights; the options are read from them.
        n_head: heads of the attention, which cannot be.
        stnet: see `convert_sitsmoco`.
    """

    def __init__(self, state_dict: dict[str, Tensor], n_head: int | None = None, stnet: bool = True) -> None:
        super().__init__()
        options = sitsmoco_options(state_dict, stnet)
        if 'n_head' in options['backbone']['encoder'] and n_head is not None:
            options['backbone']['encoder']['n_head'] = n_head
        self.backbone = MODELS.build(options['backbone'])
        self.decode_head = MODELS.build(options['decode_head'])
        self.load_state_dict(convert_sitsmoco(state_dict, stnet))
        without_dropout(self)

    def forward(self, x: Tensor, days: Tensor, valid: Tensor, weight: Tensor) -> Tensor:
        """x (N, T, C), days (N, T), valid (N, T), weights of dates (N, T) as given -> logits (N, K)."""
        encoder = self.backbone.encoder
        if hasattr(encoder, 'drop_weights'):
            dates = encoder.encode_dates(x, days, valid)
            return self.decode_head.classify_rows(sum_dates(dates, encoder.drop_weights(weight)))
        return self.decode_head.classify_rows(encoder(x, days, valid))


def without_dropout(module: nn.Module) -> None:
    """Set all dropout, that between the layers of an LSTM too, to zero."""
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.0
        elif isinstance(part, nn.LSTM):
            part.dropout = 0.0


def model_inputs(golden: GoldenFile, prefix: str = '') -> list[Tensor]:
    """Published inputs as ours: x, days from 1 January, validity, weights of dates."""
    x, mask, doy = (golden.tensor(f'in/{prefix}{name}') for name in ('x', 'mask', 'doy'))
    weight = golden.tensor(f'in/{prefix}weight') if f'in/{prefix}weight' in golden else torch.ones(mask.shape)
    return [x, doy - 1, ~mask.bool(), weight]


@register_check('sitsmoco_stnet')
@register_check('sitsmoco_transformer')
@register_check('sitsmoco_ltae')
@register_check('sitsmoco_lstm')
@register_check('sitsmoco_tempcnn')
def check_network(golden: GoldenFile, compare: Comparer) -> None:
    """One network: scores, features of dates, loss, gradients, batch-norm statistics, number of parameters."""
    network = SITSMoCoNetwork(
        golden.parameters(), golden.meta['hparams'].get('n_head'), stnet=golden.name == 'sitsmoco_stnet'
    )
    inputs = model_inputs(golden)
    _compare_eval(network.eval(), inputs, golden, compare)
    compare_training(network.train(), inputs, golden, compare)
    count = sum(parameter.numel() for parameter in network.parameters())
    compare.figure('trainable_params', count, golden.meta['trainable_params'])


@torch.no_grad()
def _compare_eval(network: SITSMoCoNetwork, inputs: list[Tensor], golden: GoldenFile, compare: Comparer) -> None:
    encoder, logits = network.backbone.encoder, network(*inputs)
    if 'out/logits' in golden:
        compare('logits', logits)
    if 'out/encoder_feats' in golden:
        # Those of padding, which ours leaves out and theirs computes, have no influence on what follows.
        theirs, valid = golden.tensor('out/encoder_feats'), inputs[2].unsqueeze(-1)
        dates = torch.where(valid, encoder.encode_dates(*inputs[:3]), theirs)
        compare('encoder_feats', dates)
        compare('logits_per_step', network.decode_head.classify_rows(dates.flatten(0, 1)))
    if 'out/logits_use_doy' in golden:
        compare('logits_use_doy', logits)
        encoder.positions = 'order'
        compare('logits_index_positions', network(*inputs))
        encoder.positions = 'days'


def compare_training(network: SITSMoCoNetwork, inputs: list[Tensor], golden: GoldenFile, compare: Comparer) -> None:
    """Scores, loss, gradients and running statistics of one pass in training."""
    logits = network(*inputs)
    loss = F.cross_entropy(logits, golden.tensor('in/label'))
    loss.backward()
    compare('train_logits', logits)
    compare('train_loss_ce', loss)
    norms = {name: norm_of_gradient(parameter) for name, parameter in network.named_parameters()}
    compare('grad_norm_total', torch.stack(list(norms.values())).double().norm())
    state = network.state_dict()
    for name in golden.outputs():
        if name.startswith('grad_norm/'):
            compare(name, norms[rename_sitsmoco_key(name.removeprefix('grad_norm/'))])
        elif name.startswith('after_bn/'):
            compare(name, state[rename_sitsmoco_key(name.removeprefix('after_bn/'))])


def norm_of_gradient(parameter: Tensor) -> Tensor:
    """L2 norm of a parameter's gradient, NaN without one."""
    return torch.tensor(float('nan')) if parameter.grad is None else parameter.grad.norm()


@register_check('sitsmoco_posenc')
def check_day_encodings(golden: GoldenFile, compare: Comparer) -> None:
    """Rows of both published tables, computed.

    Row r of the Transformer's belongs to day r - 1 after 1 January, and row 0, which padding has, is zero: padding gets
    an encoding here, but no part in anything. Row r of L-TAE's is r days after a series' first date.
    """
    width, period = int(golden.arrays['in/d_model']), float(golden.arrays['in/T'])
    rows = golden.tensor('out/row_index')
    encoding = OffsetDayEncoding(width, period, offset=0.0)(rows - 1)
    compare('pe_rows', encoding.masked_fill((rows == 0).unsqueeze(-1), 0.0))
    rows = golden.tensor('out/ltae_row_index')
    width = cast(Any, golden.arrays['out/ltae_table_rows']).shape[1]
    compare('ltae_table_rows', DayEncoding(width, period, double=True)(rows))
    compare.given('row_index', 'ltae_row_index')
