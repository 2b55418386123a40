"""Checks of TimeMatch's adaptation: shift scores, pseudo labels, teacher, the whole loop; its competitors; metrics."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.optim.lr_scheduler import CosineAnnealingLR

from mmsits.evaluation import confusion_matrix, scores
from mmsits.models.adaptation import DomainAdaptor, pseudo_labels, update_teacher
from mmsits.models.adaptation.alda import alda_terms
from mmsits.models.adaptation.cdan import certainty_weights, entropy, multilinear_map, randomized_map
from mmsits.models.adaptation.discriminators import ClassDiscriminator
from mmsits.models.adaptation.jumbot import feature_cost, label_cost, unbalanced_sinkhorn
from mmsits.models.adaptation.mmd import (
    BANDWIDTHS,
    kernel_sum,
    kernel_variances,
    mmd_loss,
    pair_weights,
    squared_distances,
)
from mmsits.models.adaptation.shift_scores import ShiftStatistics, best_shift, score_shifts, share_divergence
from mmsits.models.converters import convert_timematch, rename_timematch_key, timematch_options
from mmsits.models.layers.gradient_reversal import GradientReversal, ramp

from .golden import Comparer, GoldenFile, register_check
from .timematch_models import parcel_inputs

ESTIMATORS = ('IS', 'ENT', 'AM', 'ACC')


def build_adaptor(state_dict: dict[str, Tensor], method: dict[str, Any], loss: dict[str, Any]) -> DomainAdaptor:
    """An adaptor of a published network, without dropout, in training mode.

    Args:
        state_dict: published weights.
        method: config of the method.
        loss: config of the head's loss.
    """
    options = timematch_options(state_dict)
    segmentor = dict(
        type='TemporalEncoderDecoder',
        backbone=dict(options['backbone'], padded_pixels='values_in_norms'),
        decode_head=dict(options['decode_head'], loss_decode=loss),
    )
    adaptor = DomainAdaptor(segmentor, method)
    adaptor.segmentor.load_state_dict(convert_timematch(state_dict))
    adaptor.reset_teacher()
    for module in adaptor.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return adaptor.train()


def read_batches(golden: GoldenFile, prefix: str) -> list[dict[str, Any]]:
    """Batches that are stored one behind the other as 'in/<prefix>_pixels' …"""
    names = ('pixels', 'valid_pixels', 'positions', 'label')
    parts = zip(*(golden.tensor(f'in/{prefix}_{name}') for name in names), strict=True)
    return [_batch(*part) for part in parts]


def _batch(pixels: Tensor, valid: Tensor, positions: Tensor, label: Tensor) -> dict[str, Any]:
    return dict(inputs=parcel_inputs(pixels, valid, positions), targets=label[:, None, None, None])


@register_check('timematch_shift_estimation')
def check_shift_estimation(golden: GoldenFile, compare: Comparer) -> None:
    """Scores and chosen shifts, from given logits and from a network."""
    shifts = golden.arrays['in/shifts'].tolist()
    logits, labels = golden.tensor('in/logits'), golden.tensor('in/labels')
    expected = golden.tensor('in/class_distribution')
    statistics = ShiftStatistics(shifts, logits.shape[-1])
    statistics.add_all(logits.softmax(-1), labels)
    compare('mean_probs', statistics.mean_probability().float())
    compare('hard_histogram', statistics.class_shares().float())
    compare('kl_hard', share_divergence(expected, statistics.class_shares()))
    for estimator in ESTIMATORS:
        curve = statistics.scores(estimator, expected)
        compare(f'score_{estimator}', curve)
        for name in golden.outputs():
            match = re.fullmatch(rf'best_{estimator}_(-?\d+)_(-?\d+)', name)
            if match:
                compare(name, best_shift(curve, shifts, estimator, int(match[1]), int(match[2])))
    _check_scoring_by_network(golden, compare)


def _check_scoring_by_network(golden: GoldenFile, compare: Comparer) -> None:
    segmentor = build_adaptor(golden.parameters(), dict(type='FixMatch'), dict(type='SoftmaxFocalLoss')).segmentor
    shifts = golden.arrays['in/model_shifts'].tolist()
    batches = read_batches(golden, 'model')
    statistics = score_shifts(segmentor, batches, shifts)
    for estimator in ESTIMATORS:
        curve = statistics.scores(estimator, golden.tensor('in/model_class_distribution'))
        compare(f'model_score_{estimator}', curve)
        compare(f'model_best_{estimator}', best_shift(curve, shifts, estimator))
    recorded = _probabilities(segmentor, batches, shifts)
    compare('model_probs', recorded)
    compare('model_pseudo_softmax_shift7_batch0', recorded[: len(batches[0]['targets']), shifts.index(7)])


def _probabilities(segmentor: Any, batches: list[dict[str, Any]], shifts: list[int]) -> Tensor:
    """Probabilities (n, S, K) by whole forward passes, the way any network is scored."""
    segmentor.eval()
    rows = []
    for batch in batches:
        inputs = batch['inputs']
        moved = [dict(inputs, s2=inputs['s2']._replace(days=inputs['s2'].days + shift)) for shift in shifts]
        answers = [segmentor.predict(each)[0]['logits'].softmax(1).flatten(1) for each in moved]
        rows.append(torch.stack(answers, 1))
    return torch.cat(rows)


@register_check('timematch_pseudo_labels')
def check_pseudo_labels(golden: GoldenFile, compare: Comparer) -> None:
    """Confidence, labels, masks, class distribution and its divergence from the true one."""
    probabilities, labels = golden.tensor('in/probs'), golden.tensor('in/labels')
    classes = probabilities.shape[1]
    for threshold in golden.meta['thresholds']:
        made = pseudo_labels(probabilities, threshold)
        compare(f'mask_{threshold}', made.kept)
    compare('confidence', made.confidence)
    compare('pseudo_label', made.predicted)
    estimated, actual = (
        torch.bincount(each, minlength=classes).double() / len(each) for each in (made.predicted, labels)
    )
    compare('class_distribution', estimated)
    compare('actual_distribution', actual)
    compare('kl_actual_vs_estimated', share_divergence(actual, estimated))


@register_check('timematch_ema')
def check_ema(golden: GoldenFile, compare: Comparer) -> None:
    """Up to three updates of a whole state, integers included."""
    for decay in sorted({name.split('/')[0] for name in golden.outputs()}):
        student, teacher = (_holder(golden, f'in/{role}/') for role in ('student', 'teacher'))
        for step in (1, 2, 3):
            update_teacher(teacher, student, float(decay.removeprefix('decay')))
            for key, value in teacher.state_dict().items():
                compare(f'{decay}/step{step}/{key}', value)


def _holder(golden: GoldenFile, prefix: str) -> nn.Module:
    """A module that holds the arrays of a golden file as its state."""
    root = nn.Module()
    for key in golden.arrays:
        if key.startswith(prefix):
            *path, name = key.removeprefix(prefix).split('.')
            module = root
            for part in path:
                if part not in module._modules:
                    module.add_module(part, nn.Module())
                module = module.get_submodule(part)
            module.register_buffer(name, golden.tensor(key))
    return root


@register_check('timematch_algorithm')
def check_algorithm(golden: GoldenFile, compare: Comparer) -> None:
    """The whole loop: shifts, losses, pseudo labels, student and teacher, in three configurations."""
    for block in ('dsbn', 'jointbn', 'fixmatch'):
        _Loop(golden, compare, block).run()


class _Loop:
    """Two epochs of two steps, recorded as the golden file has them."""

    def __init__(self, golden: GoldenFile, compare: Comparer, block: str) -> None:
        from mmsits.engine.hooks import TemporalShiftHook

        self.golden, self.compare, self.block = golden, compare, block
        self.options = golden.meta['hparams']
        method = dict(
            type='FixMatch' if block == 'fixmatch' else 'TimeMatch',
            threshold=self.options['pseudo_threshold'],
            trade_off=self.options['trade_off'],
            separate_batch_norm=block != 'jointbn',
        )
        focal = dict(type='SoftmaxFocalLoss', gamma=self.options['gamma'])
        self.adaptor = build_adaptor(golden.parameters(), method, focal)
        self.hook = TemporalShiftHook(max_shift=self.options['max_temporal_shift'], interval=1)
        steps = self.options['epochs'] * self.options['steps_per_epoch']
        self.optimizer = torch.optim.Adam(
            self.adaptor.segmentor.parameters(), self.options['lr'], weight_decay=self.options['weight_decay']
        )
        self.schedule = CosineAnnealingLR(self.optimizer, steps)
        self.views = {name: read_batches(golden, name) for name in ('source', 'weak', 'strong', 'noaug')}
        self.terms: list[float] = []
        self.term_counts: list[int] = []
        self.per_step: dict[str, list[float]] = {name: [] for name in ('loss', 'lr', 'target_updates')}
        self.per_epoch: dict[str, list[float]] = {name: [] for name in ('kl_d', 'temporal_shift')}
        self.confident: list[tuple[Tensor, Tensor]] = []

    def run(self) -> None:
        """Run and compare."""
        per_epoch = self.options['steps_per_epoch']
        f1s, counts = [], []
        for epoch in range(self.options['epochs']):
            self.confident = []
            if self.block != 'fixmatch':
                self._estimate_shift()
            for step in range(per_epoch):
                self._step(step)
                if epoch == step == 0:
                    self._compare_state('student_step1', self.adaptor.segmentor)
            f1, count = self._pseudo_scores()
            f1s += [f1] * per_epoch
            counts += [float(count)] * per_epoch
        self._compare('scalar/pseudo_f1', np.array(f1s))
        self._compare('scalar/pseudo_count', np.array(counts))
        self._compare('loss_terms', np.array(self.terms))
        self._compare('loss_term_counts', np.array(self.term_counts))
        for name, values in {**self.per_step, **(self.per_epoch if self.block != 'fixmatch' else {})}.items():
            self._compare(f'scalar/{name}', np.array(values))
        if self.block != 'fixmatch':
            calls = [[entry['shift'], entry['low'], entry['high']] for entry in self.hook.history]
            # The hook estimates twice before the first step; the second is the first epoch's.
            self._compare('shift_calls', np.array(calls))
        self._compare_state('student_final', self.adaptor.segmentor)
        self._compare_state('teacher_final', self.adaptor.teacher)

    def _estimate_shift(self) -> None:
        shift = self.hook.update(self.adaptor, lambda: self.views['noaug'], lambda: self.views['noaug'])
        labels = torch.cat([batch['targets'].flatten() for batch in self.views['noaug']])
        estimated: Any = self.adaptor.method.class_distribution
        actual = torch.bincount(labels, minlength=len(estimated)).double() / len(labels)
        self.per_epoch['kl_d'].append(float(share_divergence(actual, estimated)))
        self.per_epoch['temporal_shift'].append(float(shift))

    def _step(self, step: int) -> None:
        source, weak, strong = (self.views[name][step] for name in ('source', 'weak', 'strong'))
        kept = self._record_confident(weak)
        unlabelled = [dict(inputs=view['inputs']) for view in (weak, strong)]
        losses = self.adaptor(source=source, target_weak=unlabelled[0], target_strong=unlabelled[1], mode='loss')
        loss = sum(value for name, value in losses.items() if 'loss' in name)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        assert self.adaptor.teacher is not None
        update_teacher(self.adaptor.teacher, self.adaptor.segmentor, self.options['ema_decay'])
        self.terms.append(losses['source.decode.loss_focal'].item())
        self.terms.append(losses['target.decode.loss_focal'].item() / self.options['trade_off'])
        self.term_counts += [len(source['targets']), kept]
        self.per_step['loss'].append(loss.item())
        self.per_step['lr'].append(self.optimizer.param_groups[0]['lr'])
        self.per_step['target_updates'].append(float(kept))

    def _record_confident(self, weak: dict[str, Any]) -> int:
        """Pseudo labels of the step, beside the true ones."""
        method: Any = self.adaptor.method
        assert self.adaptor.teacher is not None
        answer = self.adaptor.teacher.predict(method.weak_inputs(weak['inputs']))[0]
        labels = pseudo_labels(answer['logits'].softmax(1), method.threshold)
        self.confident.append((labels.predicted[labels.kept], weak['targets'].squeeze(1)[labels.kept]))
        return int(labels.kept.sum())

    def _pseudo_scores(self) -> tuple[float, int]:
        predicted, true = (torch.cat(part) for part in zip(*self.confident, strict=True))
        matrix = confusion_matrix(predicted, true, self.adaptor.method.num_classes)
        return scores(matrix, average_over='reference_or_prediction').overall['macro_F1'], len(predicted)

    def _compare(self, name: str, value: np.ndarray) -> None:
        self.compare(f'{self.block}/{name}', value)

    def _compare_state(self, name: str, model: nn.Module | None) -> None:
        assert model is not None
        state = model.state_dict()
        prefix = f'{self.block}/{name}/'
        for full in self.golden.outputs():
            if full.startswith(prefix):
                key = full.removeprefix(prefix)
                value = _without_noise(self.golden, full, self.block, key, state[rename_timematch_key(key)])
                entry = 'zero_gradient' if key in self.golden.meta['zero_gradient'] else None
                self.compare(full, value, entry)


def _without_noise(golden: GoldenFile, full: str, block: str, key: str, value: Tensor) -> Tensor:
    """Single elements whose gradient is rounding alone are held to the looser tolerance, then taken as given."""
    value = value.clone()
    expected, (atol, _) = golden.tensor(f'out/{full}'), golden.tolerance(full, 'zero_gradient')
    for exception in golden.meta['zero_gradient']:
        match = re.fullmatch(rf'{block}: {re.escape(key)}\[([\d,]+)\]', exception)
        if match:
            index = tuple(int(i) for i in match[1].split(','))
            if abs(float(value[index] - expected[index])) <= atol:
                value[index] = expected[index]
    return value


@register_check('timematch_mmd')
def check_mmd(golden: GoldenFile, compare: Comparer) -> None:
    """Loss, gradients, weights of pairs, kernels."""
    for name in ('linear', 'quadratic'):
        source, target = (golden.tensor(f'in/f_{domain}').requires_grad_() for domain in ('s', 't'))
        loss = mmd_loss(source, target, name == 'linear')
        loss.backward()
        compare(f'loss_{name}', loss)
        compare(f'grad_source_{name}', _gradient(source))
        compare(f'grad_target_{name}', _gradient(target))
        compare(f'index_matrix_{name}', pair_weights(len(source), name == 'linear', source))
    both = torch.cat([source, target]).detach()
    compare('kernel_sum', kernel_sum(both))
    compare('sigma_square', kernel_variances(squared_distances(both), BANDWIDTHS))


def _gradient(tensor: Tensor) -> Tensor:
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def _adversary(golden: GoldenFile, kind: str, count: int, features: int, **options: Any) -> Any:
    """DANN or CDAN with the golden discriminator and a reversal that has made `count` passes."""
    hidden = golden.meta['hparams']['hidden']
    classes = golden.meta['hparams'].get('num_classes', 2)
    method: Any = MODELS.build(
        dict(type=kind, num_classes=classes, feature_channels=features, hidden=hidden, **options)
    )
    method.discriminator.load_state_dict(golden.parameters())
    method.reversal.count.fill_(count)
    return method.train()


def _compare_discriminator(compare: Comparer, name: str, discriminator: nn.Module) -> None:
    norms = [torch.tensor(0.0) if p.grad is None else p.grad.norm() for p in discriminator.parameters()]
    compare(name, torch.stack(norms))


@register_check('timematch_dann')
def check_dann(golden: GoldenFile, compare: Comparer) -> None:
    """Loss, reversed gradients and domain accuracy along the reversal's ramp; the ramps."""
    from mmsits.models.adaptation import DomainRows

    for count in (0, 300, 1000):
        source, target = (golden.tensor(f'in/f_{domain}').requires_grad_() for domain in ('s', 't'))
        method = _adversary(golden, 'DANN', count, source.shape[1])
        losses = method.alignment(DomainRows(source, source), DomainRows(target, target))
        losses['loss_transfer'].backward()
        compare(f'dann_loss_iter{count}', losses['loss_transfer'])
        compare(f'dann_grad_fs_iter{count}', _gradient(source))
        compare(f'dann_grad_ft_iter{count}', _gradient(target))
        compare(f'dann_acc_iter{count}', losses['domain_accuracy'])
        _compare_discriminator(compare, f'dann_disc_grad_norms_iter{count}', method.discriminator)
    counts = golden.tensor('out/grl_coeff_iters')
    compare.given('grl_coeff_iters')
    compare('grl_coeff', ramp(counts))
    compare('alda_grl_coeff', ramp(counts, alpha=10.0, length=1000))
    compare('alda_correct_coeff', ramp(counts, alpha=10.0, length=10000))


@register_check('timematch_cdan')
def check_cdan(golden: GoldenFile, compare: Comparer) -> None:
    """Both variants along the reversal's ramp, the maps, entropies and weights."""
    from mmsits.models.adaptation import DomainRows

    for name, weighted in (('cdan', False), ('cdan_e', True)):
        for count in (0, 300):
            rows = {k: golden.tensor(f'in/{k}').requires_grad_() for k in ('g_s', 'f_s', 'g_t', 'f_t')}
            method = _adversary(golden, 'CDAN', count, rows['f_s'].shape[1], weighted_by_entropy=weighted)
            losses = method.alignment(DomainRows(rows['f_s'], rows['g_s']), DomainRows(rows['f_t'], rows['g_t']))
            losses['loss_transfer'].backward()
            compare(f'{name}_loss_iter{count}', losses['loss_transfer'])
            for short, key in (('fs', 'f_s'), ('ft', 'f_t'), ('gs', 'g_s')):
                compare(f'{name}_grad_{short}_iter{count}', _gradient(rows[key]))
            _compare_discriminator(compare, f'{name}_disc_grad_norms_iter{count}', method.discriminator)
    features = torch.cat([rows['f_s'], rows['f_t']]).detach()
    probabilities = torch.cat([rows['g_s'], rows['g_t']]).detach().softmax(1)
    compare('entropy', entropy(probabilities))
    compare('weight_normalised', certainty_weights(probabilities))
    compare('multilinear_map', multilinear_map(features, probabilities))
    projections = golden.tensor('in/random_Rf'), golden.tensor('in/random_Rg')
    compare('randomized_map', randomized_map(features, probabilities, *projections))


@register_check('timematch_jumbot')
def check_jumbot(golden: GoldenFile, compare: Comparer) -> None:
    """Costs, plans by a kernel in float32, loss and gradients."""
    labels = golden.tensor('in/label_s')
    for name in ('mild', 'default'):
        options = golden.meta['hparams'][name]
        rows = {k: golden.tensor(f'in/{name}_{k}').requires_grad_() for k in ('f_s', 'f_t', 'logits_t')}
        by_feature = feature_cost(rows['f_s'], rows['f_t'])
        by_label = label_cost(labels, rows['logits_t'])
        cost = options['eta1'] * by_feature + options['eta2'] * by_label
        solution = unbalanced_sinkhorn(cost, options['epsilon'], options['tau'], 'float32')
        loss = (solution.plan.to(cost.dtype) * cost).sum()
        loss.backward()
        for key, value in (('M_embed', by_feature), ('M_label', by_label), ('M', cost), ('plan', solution.plan)):
            compare(f'{name}_{key}', value)
        compare(f'{name}_transfer_loss', loss)
        for short, key in (('fs', 'f_s'), ('ft', 'f_t'), ('logits_t', 'logits_t')):
            compare(f'{name}_grad_{short}', _gradient(rows[key]))
        compare(f'{name}_iterations', np.int64(solution.iterations))
        compare(f'{name}_numerical_break', np.int64(solution.broke_down))
        prior = unbalanced_sinkhorn(cost, options['epsilon'], options['tau'], 'float32', prior=True)
        compare(f'{name}_plan_kl_reference', prior.plan)


@register_check('timematch_jumbot_float64')
def check_jumbot_float64(golden: GoldenFile, compare: Comparer) -> None:
    """Plans by a kernel in float64, with entropy and with the marginals as prior."""
    for name, options in golden.meta['hparams'].items():
        cost = golden.tensor(f'in/{name}_M')
        for kind in ('entropy', 'kl'):
            plan = unbalanced_sinkhorn(cost, options['epsilon'], options['tau'], prior=kind == 'kl').plan
            compare(f'{name}_plan_{kind}', plan)
            compare(f'{name}_loss_{kind}', (plan * cost).sum())


def _class_discriminator(golden: GoldenFile, state: dict[str, Tensor]) -> ClassDiscriminator:
    hidden, channels = state['ad_layer1.weight'].shape
    discriminator = ClassDiscriminator(channels, state['ad_layer3.weight'].shape[0], hidden, dropout=0.0)
    discriminator.load_state_dict({key.removeprefix('ad_'): value for key, value in state.items()})
    return discriminator.train()


@register_check('timematch_alda')
def check_alda(golden: GoldenFile, compare: Comparer) -> None:
    """The three losses and their gradients for several thresholds."""
    labels = golden.tensor('in/label_s')
    for threshold in (0.5, 0.7, 0.9):
        discriminator = _class_discriminator(golden, golden.parameters())
        features, probabilities = (golden.tensor(f'in/{name}').requires_grad_() for name in ('features', 'softmax'))
        reversal = GradientReversal(alpha=10.0)
        reversal.count.fill_(golden.meta['hparams']['grl_iter_num'])
        output = discriminator(reversal(features))
        terms = alda_terms(output, probabilities, labels, threshold)
        (terms.adversarial + terms.regulariser + golden.meta['correct_weight'] * terms.correct).backward()
        compare(f'adv_loss_t{threshold}', terms.adversarial)
        compare(f'reg_loss_t{threshold}', terms.regulariser)
        compare(f'correct_loss_t{threshold}', terms.correct)
        compare(f'grad_features_t{threshold}', _gradient(features))
        compare(f'grad_softmax_t{threshold}', _gradient(probabilities))
    compare('ad_out', output)


@register_check('timematch_uda_step')
def check_uda_step(golden: GoldenFile, compare: Comparer) -> None:
    """One training step of every competitor: losses, gradients, and the network after it."""
    options = golden.meta['hparams']
    reversal, disc = options['grl_iter_dann_cdan'], options['disc_hidden']
    jumbot = {key: options['jumbot'][key] for key in ('eta1', 'eta2', 'epsilon', 'tau')}
    _UDAStep(golden, compare, 'mmd', dict(type='MMD')).run()
    _UDAStep(golden, compare, 'dann', dict(type='DANN', hidden=disc), reversal).run()
    _UDAStep(golden, compare, 'cdan', dict(type='CDAN', hidden=disc), reversal).run()
    weighted = dict(type='CDAN', hidden=disc, weighted_by_entropy=True)
    _UDAStep(golden, compare, 'cdan_e', weighted, reversal).run()
    _UDAStep(golden, compare, 'jumbot', dict(type='JUMBOT', **jumbot)).run()
    # The published counter stands behind the count that the pass begins with.
    alda = dict(type='ALDA', hidden=disc, dropout=0.0, threshold=options['alda_threshold'])
    _UDAStep(golden, compare, 'alda', alda, options['alda_grl_counter'] - 1).run()


class _UDAStep:
    """One step of one competitor."""

    def __init__(
        self, golden: GoldenFile, compare: Comparer, name: str, method: dict[str, Any], count: int | None = None
    ) -> None:
        self.golden, self.compare, self.name = golden, compare, name
        published = _with_prefix(golden, 'param/model/')
        self.adaptor = build_adaptor(published, method, dict(type='CrossEntropyLoss', avg_non_ignore=True))
        self.method: Any = self.adaptor.method
        if count is not None:
            self.method.reversal.count.fill_(count)
            kind = 'cdan' if name == 'cdan_e' else name
            self.method.discriminator.load_state_dict(
                {key.removeprefix('ad_'): value for key, value in _with_prefix(golden, f'param/{kind}_disc/').items()}
            )
        if name == 'alda':
            self.method.steps.fill_(int(golden.arrays['in/alda_step_in_epoch']))
        self.weight = self.method.correct_weight() if name == 'alda' else None

    def run(self) -> None:
        """Run and compare."""
        rows = self._spy_on_rows()
        views = {}
        for view, prefix in (('source', 's'), ('target_strong', 't')):
            parts = [self.golden.tensor(f'in/{prefix}_{n}') for n in ('pixels', 'valid_pixels', 'positions', 'label')]
            views[view] = _batch(*parts)
        del views['target_strong']['targets']
        losses = self.adaptor(**views, mode='loss')
        supervised, transfer = losses['source.decode.loss_ce'], losses['loss_transfer']
        self._compare('cls_loss', supervised)
        self._compare('transfer_loss', transfer)
        self._compare('total_loss', supervised + transfer)
        if self.name == 'alda':
            self._compare_alda(losses)
        if self.name == 'jumbot':
            self._compare_plan(*rows)
        self._step(supervised + transfer + losses.get('loss_regulariser', 0.0))

    def _spy_on_rows(self) -> list[Any]:
        rows: list[Any] = []
        alignment = self.method.alignment

        def spy(*given: Any) -> Any:
            rows.extend(given)
            return alignment(*given)

        self.method.alignment = spy
        return rows

    def _compare_alda(self, losses: dict[str, Tensor]) -> None:
        self._compare('adv_loss', losses['adversarial'])
        self._compare('reg_loss', losses['loss_regulariser'])
        self._compare('correct_loss', losses['correct'])
        self._compare('correct_coeff', self.weight)
        parameters = list(self.adaptor.segmentor.parameters())
        reached = torch.autograd.grad(losses['loss_regulariser'], parameters, retain_graph=True, allow_unused=True)
        self._compare('reg_grad_in_model', np.bool_(any(gradient is not None for gradient in reached)))

    def _compare_plan(self, source: Any, target: Any) -> None:
        cost = self.method.eta1 * feature_cost(source.features, target.features)
        cost = cost + self.method.eta2 * label_cost(source.labels, target.logits)
        self._compare('plan', unbalanced_sinkhorn(cost, self.method.epsilon, self.method.tau).plan)

    def _step(self, loss: Tensor) -> None:
        recipe = self.golden.meta['hparams']['sgd']
        slow = [p for name, p in self.adaptor.named_parameters() if name.startswith('segmentor.backbone.')]
        fast = [p for name, p in self.adaptor.named_parameters() if not name.startswith('segmentor.backbone.')]
        groups = [dict(params=slow, lr=recipe['lr'] * recipe['group'][0]), dict(params=fast, lr=recipe['lr'])]
        momentum = {key: recipe[key] for key in ('momentum', 'nesterov', 'weight_decay')}
        optimizer = torch.optim.SGD(groups, **momentum)
        loss.backward()
        for kind, module in (('model', self.adaptor.segmentor), ('disc', getattr(self.method, 'discriminator', None))):
            for name in self._outputs(f'grad_norm/{kind}/'):
                assert isinstance(module, nn.Module)
                parameter = module.get_parameter(self._ours(name, kind))
                self._compare(f'grad_norm/{kind}/{name}', _gradient(parameter).norm())
        optimizer.step()
        state = self.adaptor.segmentor.state_dict()
        for name in self._outputs('after/'):
            self._compare(f'after/{name}', state[rename_timematch_key(name)])

    @staticmethod
    def _ours(name: str, kind: str) -> str:
        return rename_timematch_key(name) if kind == 'model' else name.removeprefix('ad_')

    def _outputs(self, prefix: str) -> Iterator[str]:
        full = f'{self.name}/{prefix}'
        return (name.removeprefix(full) for name in self.golden.outputs() if name.startswith(full))

    def _compare(self, name: str, value: Any) -> None:
        self.compare(f'{self.name}/{name}', value)


def _with_prefix(golden: GoldenFile, prefix: str) -> dict[str, Tensor]:
    state = {key.removeprefix(prefix): golden.tensor(key) for key in golden.arrays if key.startswith(prefix)}
    return {key: v.reshape(()) if key.endswith('num_batches_tracked') else v for key, v in state.items()}


@register_check('timematch_metrics')
def check_metrics(golden: GoldenFile, compare: Comparer) -> None:
    """Accuracy, F1 in its variants, kappa, per-class values; one class occurs nowhere."""
    true, predicted = golden.tensor('in/y_true'), golden.tensor('in/y_pred')
    matrix = confusion_matrix(predicted, true, int(golden.arrays['in/num_classes']))
    found = scores(matrix, average_over='reference_or_prediction')
    per_class = {name: np.nan_to_num(values) for name, values in found.per_class.items()}
    compare('confusion_matrix', matrix)
    compare('accuracy', found.overall['OA'])
    compare('kappa', found.overall['kappa'])
    compare('macro_f1', found.overall['macro_F1'])
    compare('macro_f1_all_classes', per_class['F1'].mean())
    compare('weighted_f1', per_class['F1'] @ found.support / found.support.sum())
    compare('class_support', found.support)
    for name in ('precision', 'recall', 'F1'):
        compare(f'class_{name.lower()}', per_class[name])
