"""MoCo and fine-tuning of SITS-MoCo against published values: single steps, several with an optimiser, handing on."""

from __future__ import annotations

from fnmatch import fnmatch

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.optim.scheduler import MultiStepLR
from mmseg.registry import MODELS
from torch import Tensor

from mmsits.engine.weight_transfer import transfer_weights
from mmsits.models.converters import convert_sitsmoco, rename_sitsmoco_key, sitsmoco_options
from mmsits.models.pretraining import SeriesMoCo
from mmsits.structures import ImageSeries

from .golden import Comparer, GoldenFile, register_check
from .sitsmoco_models import SITSMoCoNetwork, model_inputs, norm_of_gradient, without_dropout


def build_moco(golden: GoldenFile) -> SeriesMoCo:
    """The pre-training of a golden file, as it was before the first step, without dropout."""
    published, options = golden.parameters(), golden.meta['hparams']
    config = sitsmoco_options(published)
    config['backbone']['encoder']['n_head'] = options['encoder']['n_head']
    config.update(momentum=options['m'], temperature=options['T'], follow_in_evaluation=True)
    moco = MODELS.build(config)
    moco.load_state_dict(convert_sitsmoco(published))
    without_dropout(moco)
    return moco


def view(golden: GoldenFile, prefix: str) -> dict[str, ImageSeries]:
    """Published inputs of one view as series."""
    x, days, valid, _ = model_inputs(golden, prefix)
    return {'s2': ImageSeries(x[..., None, None], days, valid[..., None, None])}


@register_check('sitsmoco_moco_linear')
@register_check('sitsmoco_moco_mlp')
def check_step(golden: GoldenFile, compare: Comparer) -> None:
    """One step in evaluation mode and one in training, each from the stored state."""
    for mode in ('eval', 'train'):
        moco = build_moco(golden).train(mode == 'train')
        logits = moco.contrast(view(golden, 'q_'), view(golden, 'k_'))
        loss = F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.int64))
        loss.backward()
        compare(f'{mode}_logits', logits)
        compare(f'{mode}_labels', np.zeros(len(logits), np.int64))
        compare(f'{mode}_loss', loss)
        compare(f'{mode}_queue_after', moco.queue)
        compare(f'{mode}_queue_ptr_after', moco.queue_pointer)
        parameters, state = dict(moco.named_parameters()), moco.state_dict()
        for name in golden.outputs():
            if name.startswith((f'{mode}_key_after/', f'{mode}_after_bn/')):
                compare(name, state[rename_sitsmoco_key(name.split('/')[1])])
            elif name.startswith(f'{mode}_grad_norm/'):
                compare(name, norm_of_gradient(parameters[rename_sitsmoco_key(name.split('/')[1])]))
    without = all(p.grad is None for name, p in parameters.items() if name.startswith('key_'))
    compare('key_params_without_grad', np.array(without))


@register_check('sitsmoco_moco_2step')
def check_steps(golden: GoldenFile, compare: Comparer) -> None:
    """Three steps with the published optimiser, the queue going round, then one in evaluation mode.

    The last one starts from the published state, which was compared by then: biases in front of batch norms, which Adam
    moves by their rounding, have an effect in evaluation mode.
    """
    moco = build_moco(golden)
    trained = [parameter for parameter in moco.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(trained, 1e-3, weight_decay=1e-4)
    for step in ('step1', 'step2', 'step3', 'val'):
        moco.train(step != 'val')
        if step == 'val':
            moco.load_state_dict(convert_sitsmoco(_published_state(golden, 'step3')))
        logits = moco.contrast(view(golden, f'{step}_q_'), view(golden, f'{step}_k_'))
        loss = F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.int64))
        compare(f'{step}_logits', logits)
        compare(f'{step}_loss', loss)
        compare(f'{step}_queue', moco.queue)
        compare(f'{step}_queue_ptr', moco.queue_pointer)
        if step == 'val':
            compare('val_key_linear1', moco.state_dict()['key_backbone.encoder.layers.0.mlp.0.weight'])
            return
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        compare_state(golden, compare, moco.state_dict(), f'{step}_state/')


def _published_state(golden: GoldenFile, step: str) -> dict[str, Tensor]:
    """The whole state after a step, under its published names."""
    prefix = f'{step}_state/'
    state = {k.removeprefix(prefix): golden.tensor(f'out/{k}') for k in golden.outputs() if k.startswith(prefix)}
    state.update(queue=golden.tensor(f'out/{step}_queue'), queue_ptr=golden.tensor(f'out/{step}_queue_ptr'))
    return state


def compare_state(golden: GoldenFile, compare: Comparer, state: dict[str, Tensor], prefix: str) -> None:
    """Compare a state with the outputs of a prefix.

    Entries without a gradient in exact arithmetic, which Adam moves in the direction of the rounding, have a tolerance
    of their own.
    """
    exceptions: list[str] = golden.meta['zero_gradient']
    for name in golden.outputs():
        if not name.startswith(prefix):
            continue
        key = name.removeprefix(prefix)
        ours = state[rename_sitsmoco_key(key)]
        if key.endswith('in_proj_bias'):
            ours = _keys_within(golden, name, ours)
        free = any(fnmatch(key, pattern) or fnmatch(key, f'*.{pattern}') for pattern in exceptions)
        compare(name, ours, 'zero_gradient' if free else None)


def _keys_within(golden: GoldenFile, name: str, ours: Tensor) -> Tensor:
    """The bias of query, key and value, its key third replaced by the published one where it agrees with it by the
    tolerance of entries without gradient."""
    theirs, third = golden.tensor(f'out/{name}'), len(ours) // 3
    keys = slice(third, 2 * third)
    atol, _ = golden.tolerance(name, 'zero_gradient')
    agree = (ours[keys] - theirs[keys]).abs() <= atol
    joined = ours.clone()
    joined[keys] = torch.where(agree, theirs[keys], ours[keys])
    return joined


@register_check('sitsmoco_finetune')
def check_finetuning(golden: GoldenFile, compare: Comparer) -> None:
    """What of a pre-training is handed on to an STNet, its scores then, and three optimiser steps."""
    given = {name: golden.tensor(f'in/{name}') for name in _names(golden, 'fresh/', 'pretrained/')}
    fresh = {name.removeprefix('fresh/'): value for name, value in given.items() if name.startswith('fresh/')}
    pretrained = {k.removeprefix('pretrained/'): value for k, value in given.items() if k.startswith('pretrained/')}
    network = SITSMoCoNetwork(fresh, golden.meta['hparams']['model']['n_head'])
    transfer = transfer_weights(convert_sitsmoco(pretrained), network.state_dict())
    network.load_state_dict(transfer.weights)
    published = {rename_sitsmoco_key(name): name for name in fresh if 'position_enc' not in name}
    compare('loaded_keys', np.array(sorted(published[name] for name in transfer.loaded)))
    compare('all_keys', np.array(sorted(fresh)) if 'position_enc.pe' in fresh else _with_table(fresh))
    head = [published[f'decode_head.{name}'] for name, _ in network.decode_head.named_parameters()]
    compare('trainable_when_frozen', np.array(sorted(head)))
    with torch.no_grad():
        compare('eval_logits', network.eval()(*model_inputs(golden, 'eval_')))
    recipe = golden.meta['optimizer']
    optimizer = torch.optim.Adam(network.train().parameters(), recipe['lr'], weight_decay=recipe['weight_decay'])
    losses = []
    for step in range(1, recipe['steps'] + 1):
        loss = F.cross_entropy(network(*model_inputs(golden, f'step{step}_')), golden.tensor(f'in/step{step}_label'))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    compare('losses', np.array(losses))
    compare_state(golden, compare, network.state_dict(), 'final/')


def _names(golden: GoldenFile, *prefixes: str) -> list[str]:
    names = [key.removeprefix('in/') for key in golden.arrays if key.startswith('in/')]
    return [name for name in names if name.startswith(prefixes)]


def _with_table(fresh: dict[str, Tensor]) -> np.ndarray:
    """The published names, with that of the table of day encodings, which the file leaves out."""
    return np.array(sorted({*fresh, 'position_enc.pe'}))


@register_check('sitsmoco_schedule')
def check_schedule(golden: GoldenFile, compare: Comparer) -> None:
    """The learning rate of each epoch, by mmengine's scheduler."""
    options = golden.meta['hparams']
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], options['base_lr'])
    scheduler = MultiStepLR(optimizer, options['milestones'], options['gamma'])
    rates = []
    for _ in range(int(golden.arrays['in/epochs'].max()) + 1):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        scheduler.step()
    compare('step_schedule_4_8', np.array(rates)[golden.arrays['in/epochs']])
